"""Two models' predictions of the same rows, brought into one order; what is not the same is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import DataError
from mindgap.core.groups import Groups
from mindgap.metrics.counts import Integers
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions

AnyPredictions = Predictions | MultiLabelPredictions


def matched(first: AnyPredictions, second: AnyPredictions, *, names: tuple[str, str]) -> AnyPredictions:
    """The second model's predictions in the row and class order of the first's.

    Both must hold the same ids, labels, classes, groups and clusters: a comparison on the rows that happen to be in
    both would be one of rows that nobody chose.

    Args:
        first: the predictions that give the order.
        second: those to be reordered.
        names: what an error message calls the two.

    Raises:
        DataError: something differs; the line names the first difference.
    """
    if isinstance(first, MultiLabelPredictions) or isinstance(second, MultiLabelPredictions):
        return _matched_labels(first, second, names)
    return _matched_rows(first, second, names)


def _matched_labels(first: AnyPredictions, second: AnyPredictions, names: tuple[str, str]) -> MultiLabelPredictions:
    kinds = [part.label_names if isinstance(part, MultiLabelPredictions) else None for part in (first, second)]
    if not isinstance(first, MultiLabelPredictions) or not isinstance(second, MultiLabelPredictions):
        told = ["several labels" if kind else "one label of several classes" for kind in kinds]
        raise DataError(f"{names[0]} has {told[0]}, {names[1]} has {told[1]}; compare models of one task")
    if set(first.label_names) != set(second.label_names):
        raise DataError(_unlike("label", first.label_names, second.label_names, names))
    parts = {name: _matched_rows(first.by_label[name], second.by_label[name], names) for name in first.label_names}
    return MultiLabelPredictions(first.label_names, parts)


def _matched_rows(first: Predictions, second: Predictions, names: tuple[str, str]) -> Predictions:
    second = _in_class_order(second.take(_places(first.ids, second.ids, names)), first.classes, names)
    _refuse_other_cells(
        "label", _words(first.labels, first.classes), _words(second.labels, second.classes), first, names
    )
    groups: dict[str, Groups] = {}
    for name, own in first.groups.items():
        other = second.groups.get(name)
        if other is None:
            raise DataError(f"{names[1]}: has no attribute {name!r}, which {names[0]} has; name those of both")
        _refuse_other_cells(name, _words(own.ids, own.names), _words(other.ids, other.names), first, names)
        groups[name] = own
    _refuse_other_clusters(first, second, names)
    return replace(second, groups=groups, clusters=first.clusters)


def _places(first: NDArray[Any], second: NDArray[Any], names: tuple[str, str]) -> Integers:
    """Where each id of the first is in the second."""
    place = {str(name): row for row, name in enumerate(second.tolist())}
    rows = np.array([place.get(str(name), -1) for name in first.tolist()], dtype=np.int64)
    missing = int((rows < 0).sum())
    spare = len(second) - (len(first) - missing)
    if not missing and not spare:
        return rows
    ours = {str(name) for name in first.tolist()}
    told: list[str] = []
    if missing:
        told.append(f"{missing} of {names[0]} are not in {names[1]}, such as {str(first[int((rows < 0).argmax())])!r}")
    if spare:
        example = next(name for name in place if name not in ours)
        told.append(f"{spare} of {names[1]} are not in {names[0]}, such as {example!r}")
    raise DataError(f"ids differ: {'; '.join(told)}; compare predictions of the same rows")


def _in_class_order(predictions: Predictions, classes: tuple[str, ...], names: tuple[str, str]) -> Predictions:
    if predictions.classes == classes:
        return predictions
    if set(predictions.classes) != set(classes):
        raise DataError(_unlike("class", classes, predictions.classes, names))
    order = np.array([predictions.classes.index(name) for name in classes])
    numbers = np.argsort(order)
    chances = predictions.probabilities
    return replace(
        predictions,
        classes=classes,
        labels=numbers[predictions.labels],
        predicted=numbers[predictions.predicted],
        probabilities=None if chances is None else chances[:, order],
    )


def with_classes(predictions: Predictions, classes: tuple[str, ...]) -> Predictions:
    """Predictions without probabilities, whose classes are only those that occur, with all classes of a task."""
    if predictions.classes == classes:
        return predictions
    numbers = np.array([classes.index(name) for name in predictions.classes])
    labels, predicted = numbers[predictions.labels], numbers[predictions.predicted]
    return replace(predictions, classes=classes, labels=labels, predicted=predicted)


def _unlike(noun: str, first: tuple[str, ...], second: tuple[str, ...], names: tuple[str, str]) -> str:
    extra = [(name, names[0], names[1]) for name in first if name not in second]
    extra += [(name, names[1], names[0]) for name in second if name not in first]
    name, has, lacks = extra[0]
    return f"{noun} {name!r} is in {has}, not in {lacks}; compare models of one task"


def _words(numbers: Integers, names: tuple[str, ...]) -> NDArray[Any]:
    """Names by number, None for -1."""
    return np.array([*names, None], dtype=object)[numbers]


def _refuse_other_cells(
    what: str, first: NDArray[Any], second: NDArray[Any], rows: Predictions, names: tuple[str, str]
) -> None:
    differs = np.asarray(first != second, dtype=np.bool_)
    if differs.any():
        row = int(differs.argmax())
        seen = ["unknown" if cell is None else repr(cell) for cell in (first[row], second[row])]
        raise DataError(
            f"id {str(rows.ids[row])!r}: {what} is {seen[0]} in {names[0]}, {seen[1]} in {names[1]} "
            f"({int(differs.sum())} rows differ); compare predictions of the same rows"
        )


def _refuse_other_clusters(first: Predictions, second: Predictions, names: tuple[str, str]) -> None:
    ours, theirs = _first_of_cluster(first.clusters), _first_of_cluster(second.clusters)
    differs = ours != theirs
    if differs.any():
        row = int(differs.argmax())
        together, apart = names if ours[row] < theirs[row] else names[::-1]
        pair = f"{str(first.ids[min(ours[row], theirs[row])])!r} and {str(first.ids[row])!r}"
        raise DataError(
            f"ids {pair} are in one cluster in {together}, in two in {apart}; give both the same clusters, or name "
            "their column with --cluster"
        )


def _first_of_cluster(clusters: Integers) -> Integers:
    """For every row, the first row of its cluster."""
    _, first, inverse = np.unique(clusters, return_index=True, return_inverse=True)
    return first[inverse].astype(np.int64)
