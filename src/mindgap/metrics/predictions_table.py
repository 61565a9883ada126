"""The predictions table, CSV or Parquet: a model trained anywhere can be judged from it.

Columns: ``id``, ``label``, one ``prob_<class>`` per class (or ``prediction`` alone), one per attribute, and optionally
``cluster`` and ``split``. Multi-label: ``label_<name>`` (0 or 1) and ``prob_<name>`` per label.
"""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# (pandas and pyarrow come without complete types)

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mindgap.core.errors import DataError, near_names
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import (
    MultiLabelPredictions,
    Predictions,
    check_probabilities,
    multi_label_from_arrays,
    predictions_from_arrays,
    row_name,
)
from mindgap.metrics.text_table import (
    Column,
    Table,
    number_column,
    read_table,
    require_column,
    text_column,
    write_columns,
)

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
    table = read_table(path)
    return predictions_from_table(table, attributes=attributes, cluster=cluster, split=split, source=str(path))


def predictions_from_table(
    table: Table,
    *,
    attributes: Sequence[str],
    cluster: str | None = None,
    split: str | None = None,
    source: str = "predictions",
) -> Predictions | MultiLabelPredictions:
    """Predictions from columns already read; arguments and refusals as ``read_predictions``."""
    require_column(table, "id", purpose="row names", source=source)
    _check_columns(table, attributes, source)
    table = _rows_of_split(table, split, source)
    ids = text_column(table, "id")
    _refuse_empty(ids, "id", None, source)
    _refuse_duplicates(ids, source)
    groups = {name: _groups(name, text_column(table, name), source) for name in dict.fromkeys(attributes)}
    clusters = _clusters(table, cluster, source)
    if "label" in table:
        return _single_label(table, ids=ids, groups=groups, clusters=clusters, source=source)
    return _multi_label(table, ids=ids, groups=groups, clusters=clusters, source=source)


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
            columns[f"prob_{name}"] = None if part.probabilities is None else part.probabilities[:, 1]
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
    write_columns(path, columns)


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
    write_columns(path, columns | {f"prob_{name}": probabilities[:, k] for k, name in enumerate(classes)})


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


def _rows_of_split(table: Table, split: str | None, source: str) -> Table:
    rows = len(table["id"])
    if not rows:
        raise DataError(f"{source}: the table has no rows; give at least one prediction")
    if split == "all" or (split is None and "split" not in table):
        return table
    require_column(table, "split", purpose="choice of rows", source=source)
    column = text_column(table, "split")
    wanted = split or "test"
    chosen = column == wanted
    if not chosen.any():
        there = ", ".join(repr(name) for name in sorted(set(column))[:8])
        raise DataError(f"{source}: no row has the split {wanted!r}; there are {there}; choose one of them or 'all'")
    return {name: values[chosen] for name, values in table.items()}


def _check_columns(table: Table, attributes: Sequence[str], source: str) -> None:
    for attribute in attributes:
        require_column(table, attribute, purpose="attribute", source=source)
        if attribute in {"id", "label", "prediction", "split"} or attribute.startswith("prob_"):
            advice = "choose a column that names groups"
            raise DataError(f"{source}: {attribute!r} is no attribute but a column of the predictions; {advice}")
    for prefix, noun, form in (("prob_", "class", "prob_<class>"), ("label_", "label", "label_<name>")):
        if prefix in table:
            raise DataError(f"{source}: column {prefix!r} names no {noun}; call it {form}")


def _refuse_duplicates(ids: Column, source: str) -> None:
    repeated = cast("NDArray[np.bool_]", pd.Series(ids).duplicated().to_numpy())
    if repeated.any():
        raise DataError(f"{source}: id {ids[repeated][0]!r} is there more than once; keep one row per id")


def _groups(attribute: str, column: Column, source: str) -> Groups:
    codes, names = _codes(column)
    if len(names) < 2:
        found = f"one group only ({names[0]!r})" if names else "no value"
        raise DataError(f"{source}: attribute {attribute!r} has {found}; a gap needs two groups, leave it out")
    return Groups(attribute, names, codes)


def _codes(column: Column) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Numbers of the sorted names in a text column, int64 (n,), -1 where empty; and the names."""
    codes, names = cast("tuple[Any, Any]", pd.factorize(pd.Series(column, dtype=object).mask(column == ""), sort=True))
    return np.asarray(codes, dtype=np.int64), tuple(str(name) for name in names)


def _clusters(table: Table, cluster: str | None, source: str) -> NDArray[np.int64] | None:
    if cluster is None and "cluster" not in table:
        return None
    name = cluster or "cluster"
    require_column(table, name, purpose="clusters", source=source)
    codes, names = _codes(text_column(table, name))
    alone = codes < 0
    codes[alone] = len(names) + np.arange(alone.sum())
    return codes


def _single_label(
    table: Table, *, ids: Column, groups: dict[str, Groups], clusters: NDArray[np.int64] | None, source: str
) -> Predictions:
    labels = text_column(table, "label")
    _refuse_empty(labels, "label", ids, source)
    predicted = text_column(table, "prediction") if "prediction" in table else None
    if predicted is not None:
        _refuse_empty(predicted, "prediction", ids, source)
    names = [name.removeprefix("prob_") for name in table if name.startswith("prob_")]
    if not names and predicted is None:
        raise DataError(f"{source}: no prob_<class> column and no 'prediction'; {near_names('prediction', table)}")
    classes = names or sorted({*labels, *cast("Column", predicted)} - {"nan", "NaN"})  # a missing number, not a name
    if len(classes) == 1:
        raise DataError(f"{source}: there is one class only ({classes[0]!r}); a gap needs two classes to confuse")
    probabilities = _probabilities(table, names, ids, source, sums_to_one=True) if names else None
    return predictions_from_arrays(
        _class_numbers(labels, classes, "label", ids, source),
        classes=classes,
        groups=groups,
        probabilities=probabilities,
        predicted=None if predicted is None else _class_numbers(predicted, classes, "prediction", ids, source),
        clusters=clusters,
        ids=ids,
    )


def _multi_label(
    table: Table, *, ids: Column, groups: dict[str, Groups], clusters: NDArray[np.int64] | None, source: str
) -> MultiLabelPredictions:
    names = [c.removeprefix("label_") for c in table if c.startswith("label_") and c not in groups]
    if not names:
        raise DataError(f"{source}: no column 'label' and no label_<name>; {near_names('label', table)}")
    for name in names:
        require_column(table, f"prob_{name}", purpose=f"probability of {name!r}", source=source)
    for name in (c.removeprefix("prob_") for c in table if c.startswith("prob_")):
        if name not in names:
            raise DataError(f"{source}: column 'prob_{name}' has no 'label_{name}'; add its labels or leave it out")
    labels = [text_column(table, f"label_{name}") for name in names]
    for name, column in zip(names, labels, strict=True):
        _refuse_empty(column, f"label_{name}", ids, source)
        wrong = (column != "0") & (column != "1")
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise DataError(f"{source}: {row_name(row, ids)}: label_{name} is {column[row]!r}; it must be 0 or 1")
    return multi_label_from_arrays(
        np.stack([(column == "1").astype(np.int64) for column in labels], axis=1),
        _probabilities(table, names, ids, source, sums_to_one=False),
        label_names=names,
        groups=groups,
        clusters=clusters,
        ids=ids,
    )


def _probabilities(
    table: Table, names: list[str], ids: Column, source: str, *, sums_to_one: bool
) -> NDArray[np.float64]:
    probabilities = np.stack([number_column(table, f"prob_{name}") for name in names], axis=1)
    check_probabilities(probabilities, names=tuple(names), sums_to_one=sums_to_one, ids=ids, source=source)
    return probabilities


def _refuse_empty(column: Column, name: str, ids: Column | None, source: str) -> None:
    empty = column == ""
    if empty.any():
        row = int(np.flatnonzero(empty)[0])
        raise DataError(f"{source}: {row_name(row, ids)}: {name} is empty; every row needs one")


def _class_numbers(column: Column, classes: Sequence[str], name: str, ids: Column, source: str) -> NDArray[np.int64]:
    numbers = pd.Index(list(classes), dtype=object).get_indexer(cast("Any", column)).astype(np.int64)
    if (numbers < 0).any():
        row = int(np.flatnonzero(numbers < 0)[0])
        seen = f"{name} {column[row]!r}"
        raise DataError(f"{source}: {row_name(row, ids)}: {seen} is no class; {near_names(column[row], classes)}")
    return numbers
