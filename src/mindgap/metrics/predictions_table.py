"""The predictions table, CSV or Parquet: a model trained anywhere can be judged from it.

Columns: ``id``, ``label``, one ``prob_<class>`` per class (or ``prediction`` alone), one per attribute, and optionally
``cluster`` and ``split``. Multi-label: ``label_<name>`` (0 or 1) and ``prob_<name>`` per label, or
``prediction_<name>``, which is taken as it stands where both are there.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# (pandas and pyarrow come without complete types)

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.errors import DataError, near_names
from mindgap.core.files import atomic_path
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions
from mindgap.metrics.table_file import PARQUET_SUFFIXES, TableFile, open_table
from mindgap.metrics.table_predictions import predictions_from_table
from mindgap.metrics.text_table import TextTable, distinct, first_row, is_word, require_column

_SCORES = frozenset({"prob", "probability", "probabilities", "score", "p", "y_prob", "y_score", "proba"})
_RESERVED = ("id", "label", "prediction", "cluster", "split")


def read_predictions(
    path: Path | str, *, attributes: Sequence[str], cluster: str | None = None, split: str | None = None
) -> Predictions | MultiLabelPredictions:
    """Reads a predictions table; labels and groups are text verbatim, an empty group is unknown.

    Args:
        path: CSV or Parquet file.
        attributes: names of the attribute columns.
        cluster: name of the cluster column; by default ``cluster`` where it is there.
        split: rows of this split; by default ``test`` where there is a ``split`` column; ``all`` takes every row.

    Raises:
        DataError: the file is refused as a whole; the line names the column, the row and the value.
    """
    file = open_table(path)
    table = rows_of_split(read_columns(file, attributes, cluster=cluster, source=str(path)), split)
    groups = {name: _groups(name, table) for name in dict.fromkeys(attributes)}
    return predictions_from_table(table, groups=groups, cluster=cluster)


def read_columns(file: TableFile, attributes: Sequence[str], *, cluster: str | None = None, source: str) -> TextTable:
    """Reads what a judgement needs: the predictions' own columns, the cluster, the split, and columns of groups.

    Args:
        file: the table.
        attributes: columns of groups.
        cluster: as ``read_predictions``.
        source: what an error message calls the table.

    Raises:
        DataError: a column is missing or cannot be what it is asked to be, or the file is damaged.
    """
    require_column("id", file.names, purpose="row names", source=source)
    for name in attributes:
        require_column(name, file.names, purpose="attribute", source=source)
        refuse_own_column(name, source)
    if cluster is not None:
        require_column(cluster, file.names, purpose="clusters", source=source)
    for prefix, noun, form in (("prob_", "class", "prob_<class>"), ("label_", "label", "label_<name>")):
        if prefix in file.names:
            raise DataError(f"{source}: column {prefix!r} names no {noun}; call it {form}")
    probabilities = [name for name in file.names if name.startswith("prob_")]
    decided = decision_columns(file.names)
    own = {"id", "label", "prediction", *decided}
    of_model = [name for name in file.names if name in own or name.startswith("label_")]
    if not probabilities and not decided and "prediction" not in file.names:
        raise DataError(f"{source}: no prob_<class> column and no 'prediction'; {_what_else(file.names)}")
    filled = [*(name for name in of_model if name not in attributes), *probabilities]
    others = [name for name in file.names if name in {"split", cluster or "cluster", *attributes}]
    chosen = dict.fromkeys([*of_model, *probabilities, *others])
    return file.read(
        [name for name in file.names if name in chosen],
        numbers=frozenset(probabilities),
        filled=frozenset(filled),
        judged=frozenset() if "split" in chosen else frozenset(probabilities),
    )


def decision_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Of a table's columns the ``prediction_<name>`` of its labels; others of that form are the user's own."""
    known = {name.removeprefix("label_") for name in names if name.startswith("label_")}
    if "label" not in names:
        known |= {name.removeprefix("prob_") for name in names if name.startswith("prob_")}
    return tuple(name for name in names if name.startswith("prediction_") and name.removeprefix("prediction_") in known)


def _what_else(names: Sequence[str]) -> str:
    """What to do about a table without probabilities by class."""
    score = next((name for name in names if name.lower() in _SCORES), None)
    if score is not None:
        return f"if {score!r} is that of one of two classes, name it prob_1 after its class, and add prob_0, 1 less it"
    return near_names("prediction", [name for name in names if name])


def refuse_own_column(name: str, source: str) -> None:
    """Checks that a column of groups is none that the predictions need themselves.

    Raises:
        DataError: it is.
    """
    if name in {"id", "label", "prediction", "split"} or name.startswith("prob_"):
        advice = "choose a column that names groups"
        raise DataError(f"{source}: {name!r} is no attribute but a column of the predictions; {advice}")


def write_predictions(
    path: Path | str, predictions: Predictions | MultiLabelPredictions, *, split: str | Sequence[str] | None = None
) -> None:
    """Writes a predictions table (Parquet or CSV by suffix) that ``read_predictions`` gives back.

    Args:
        path: the file; it is replaced as a whole or not at all.
        predictions: what to write.
        split: one name for all rows, or one per row.

    Raises:
        DataError: an attribute has the name of another column.
    """
    parts = predictions.by_label if isinstance(predictions, MultiLabelPredictions) else {"": predictions}
    first = next(iter(parts.values()))
    columns: dict[str, Any] = {"id": first.ids.astype(str)}
    if isinstance(predictions, MultiLabelPredictions):
        for name, part in parts.items():
            columns[f"label_{name}"] = part.labels
            if part.probabilities is not None:
                columns[f"prob_{name}"] = part.probabilities[:, 1]
            if part.probabilities is None or not np.array_equal(part.predicted, part.probabilities.argmax(axis=1)):
                columns[f"prediction_{name}"] = part.predicted
    else:
        columns |= _single_label_columns(predictions)
    for attribute, groups in first.groups.items():
        if attribute in columns or attribute in _RESERVED:
            raise DataError(f"attribute {attribute!r} has the name of another column of the table; rename it")
        columns[attribute] = np.array([*groups.names, None], dtype=object)[groups.ids]
    # text even where no row has a cluster: the names join with the user's own table
    names = first.clusters.astype(str) if first.cluster_names is None else first.cluster_names
    columns["cluster"] = pd.array(names, dtype="str")
    if split is not None:
        columns["split"] = np.full(first.n, split, dtype=object) if isinstance(split, str) else np.asarray(split)
    _write(path, columns)


def write_unlabelled(
    path: Path | str, ids: Sequence[str], probabilities: NDArray[np.float64], *, classes: Sequence[str]
) -> None:
    """Writes predictions of images whose labels are not known: ``id`` and one ``prob_<class>`` per class.

    Args:
        path: CSV or Parquet file; it is replaced as a whole or not at all.
        ids: the n names, unique.
        probabilities: float64 (n, C), in 0..1.
        classes: the C names.
    """
    columns: dict[str, Any] = {"id": np.asarray(ids, dtype=object)}
    _write(path, columns | {f"prob_{name}": probabilities[:, k] for k, name in enumerate(classes)})


def _write(path: Path | str, columns: dict[str, Any]) -> None:
    frame = pd.DataFrame(columns)
    with atomic_path(path) as temporary:
        if Path(path).suffix.lower() in PARQUET_SUFFIXES:
            frame.to_parquet(temporary, index=False)
        else:
            frame.to_csv(temporary, index=False)


def _single_label_columns(predictions: Predictions) -> dict[str, Any]:
    names = np.array(predictions.classes, dtype=object)
    columns: dict[str, Any] = {"label": names[predictions.labels]}
    if predictions.probabilities is None:
        return columns | {"prediction": names[predictions.predicted]}
    for k, name in enumerate(predictions.classes):
        columns[f"prob_{name}"] = predictions.probabilities[:, k]
    if not np.array_equal(predictions.predicted, predictions.probabilities.argmax(axis=1)):
        columns["prediction"] = names[predictions.predicted]
    return columns


def rows_of_split(table: TextTable, split: str | None) -> TextTable:
    """The rows of a split; see ``read_predictions``.

    Raises:
        DataError: there is no row, or no such split.
    """
    if not table.n:
        raise DataError(f"{table.source}: the table has no rows; give at least one prediction")
    if split == "all" or (split is None and "split" not in table.names):
        return table
    table.require("split", purpose="choice of rows")
    wanted = split or "test"
    cells = table.text("split")
    if first_row(cells, wanted) is None:
        there = ", ".join(repr(name) for name in distinct(cells)[:8])
        raise DataError(
            f"{table.source}: no row has the split {wanted!r}; there are {there}; choose one of them or 'all'"
        )
    return table.rows(is_word(cells, wanted))


def _groups(attribute: str, table: TextTable) -> Groups:
    codes, names = table.codes(attribute)
    if len(names) < 2:
        found = f"one group only ({names[0]!r})" if names else "no value"
        raise DataError(f"{table.source}: attribute {attribute!r} has {found}; a gap needs two groups, leave it out")
    return Groups(attribute, names, codes)
