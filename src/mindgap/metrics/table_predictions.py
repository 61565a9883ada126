"""From the rows of a predictions table to the arrays that metrics work on; what does not fit is refused."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportUnknownVariableType=false
# (pandas and pyarrow come without complete types)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import DataError, near_names
from mindgap.core.groups import Groups, refuse_alike_but_for_blanks
from mindgap.metrics.predictions import (
    MultiLabelPredictions,
    Predictions,
    check_probabilities,
    multi_label_from_arrays,
    predictions_from_arrays,
    row_name,
)
from mindgap.metrics.text_table import Cells, TextTable, distinct, first_row, pc, positions, repeated_word

_MOST_CLASSES = 1000
_HALF = 0.5
_NO, _YES = ("0", "0.0", "false"), ("1", "1.0", "true")
"""Answers to a label, as a table of pandas may hold them."""


def predictions_from_table(
    table: TextTable, *, groups: Mapping[str, Groups], cluster: str | None = None
) -> Predictions | MultiLabelPredictions:
    """Predictions from the rows to be judged.

    Args:
        table: their columns.
        groups: attribute name → group of each row.
        cluster: as ``read_predictions``.

    Raises:
        DataError: as ``read_predictions``.
    """
    table.require("id", purpose="row names")
    names = table.text("id")
    refuse_empty(names, "id", None, table.source)
    if (twice := repeated_word(names)) is not None:
        raise DataError(f"{table.source}: id {twice!r} is there more than once; keep one row per id")
    ids = np.asarray(names.to_pylist(), dtype=object)
    clusters = _clusters(table, cluster)
    if "label" in table.names:
        return _single_label(table, ids=ids, groups=groups, clusters=clusters)
    return _multi_label(table, ids=ids, groups=groups, clusters=clusters)


def _clusters(table: TextTable, cluster: str | None) -> NDArray[np.int64] | None:
    if cluster is None and "cluster" not in table.names:
        return None
    name = cluster or "cluster"
    table.require(name, purpose="clusters")
    codes, names = table.codes(name)
    alone = codes < 0
    codes = codes.copy()
    codes[alone] = len(names) + np.arange(alone.sum())
    return codes


def _single_label(
    table: TextTable, *, ids: NDArray[Any], groups: Mapping[str, Groups], clusters: NDArray[np.int64] | None
) -> Predictions:
    labels = table.text("label")
    refuse_empty(labels, "label", ids, table.source)
    predicted = table.text("prediction") if "prediction" in table.names else None
    if predicted is not None:
        refuse_empty(predicted, "prediction", ids, table.source)
    classes = _classes(table, labels, predicted)
    probabilities = [name for name in table.names if name.startswith("prob_")]
    return predictions_from_arrays(
        _class_numbers(labels, classes, "label", ids, table.source),
        classes=classes,
        groups=groups,
        probabilities=_probabilities(table, classes, ids, sums_to_one=True) if probabilities else None,
        predicted=None if predicted is None else _class_numbers(predicted, classes, "prediction", ids, table.source),
        clusters=clusters,
        ids=ids,
    )


def _classes(table: TextTable, labels: Cells, predicted: Cells | None) -> list[str]:
    classes = [name.removeprefix("prob_") for name in table.names if name.startswith("prob_")]
    if not classes:
        named = {*distinct(labels), *distinct(predicted)}
        classes = sorted(named - {"nan", "NaN"})  # a missing number, not a name
        refuse_alike_but_for_blanks(classes, column="label and prediction")
    if len(classes) == 1:
        column = f"prob_{classes[0]}"
        other = f"; of two classes add the other's column too, 1 less {column}" if column in table.names else ""
        raise DataError(
            f"{table.source}: there is one class only ({classes[0]!r}); a gap needs two classes to confuse{other}"
        )
    if len(classes) > _MOST_CLASSES:
        raise DataError(
            f"{table.source}: there are {len(classes)} classes, such as {classes[0]!r} and {classes[1]!r}; an audit "
            f"takes at most {_MOST_CLASSES}, merge some"
        )
    return classes


def _multi_label(
    table: TextTable, *, ids: NDArray[Any], groups: Mapping[str, Groups], clusters: NDArray[np.int64] | None
) -> MultiLabelPredictions:
    source = table.source
    names = [c.removeprefix("label_") for c in table.names if c.startswith("label_") and c not in groups]
    if not names:
        raise DataError(f"{source}: no column 'label' and no label_<name>; {near_names('label', table.names)}")
    decided = [name for name in names if f"prediction_{name}" in table.names]
    if set(decided) < set(names) or any(f"prob_{name}" in table.names for name in names):
        for name in names:
            table.require(f"prob_{name}", purpose=f"probability of {name!r}")
        chances = _probabilities(table, names, ids, sums_to_one=False)
    else:
        chances = None
    for name in (c.removeprefix("prob_") for c in table.names if c.startswith("prob_")):
        if name not in names:
            raise DataError(f"{source}: column 'prob_{name}' has no 'label_{name}'; add its labels or leave it out")
    said = None
    if decided:
        blank = np.zeros((len(ids), len(names)), dtype=np.int64)
        said = blank if chances is None else (chances > _HALF).astype(np.int64)
        for name in decided:
            said[:, names.index(name)] = _binary(table, f"prediction_{name}", ids)
    return multi_label_from_arrays(
        np.stack([_binary(table, f"label_{name}", ids) for name in names], axis=1),
        chances,
        label_names=names,
        predicted=said,
        groups=groups,
        clusters=clusters,
        ids=ids,
    )


def _binary(table: TextTable, name: str, ids: NDArray[Any]) -> NDArray[np.int64]:
    cells = table.text(name)
    refuse_empty(cells, name, ids, table.source)
    found = positions(pc.utf8_lower(cells), _NO + _YES)
    if (found < 0).any():
        row = int(np.flatnonzero(found < 0)[0])
        raise DataError(f"{table.source}: {row_name(row, ids)}: {name} is {cells[row].as_py()!r}; it must be 0 or 1")
    return (found >= len(_NO)).astype(np.int64)


def _probabilities(
    table: TextTable, names: Sequence[str], ids: NDArray[Any], *, sums_to_one: bool
) -> NDArray[np.float64]:
    probabilities = np.empty((len(ids), len(names)))
    for place, name in enumerate(names):
        probabilities[:, place] = table.numbers(f"prob_{name}")
    check_probabilities(probabilities, names=tuple(names), sums_to_one=sums_to_one, ids=ids, source=table.source)
    return probabilities


def refuse_empty(cells: Cells, name: str, ids: NDArray[Any] | None, source: str) -> None:
    """Checks that no cell is empty.

    Raises:
        DataError: one is; the line names its row.
    """
    row = first_row(cells, "")
    if row is not None:
        raise DataError(f"{source}: {row_name(row, ids)}: {name} is empty; every row needs one")


def _class_numbers(
    cells: Cells, classes: Sequence[str], name: str, ids: NDArray[Any], source: str
) -> NDArray[np.int64]:
    numbers = positions(cells, tuple(classes))
    if (numbers < 0).any():
        row = int(np.flatnonzero(numbers < 0)[0])
        word = cells[row].as_py()
        whole = word.removesuffix(".0")
        how = f"write {whole}, not {word}" if whole != word and whole in classes else near_names(word, classes)
        raise DataError(f"{source}: {row_name(row, ids)}: {name} {word!r} is no class; {how}")
    return numbers
