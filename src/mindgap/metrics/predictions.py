"""Predictions with their labels, groups and clusters: what everything that judges a model works on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # pyright: ignore[reportMissingTypeStubs]  (pandas comes without)
from numpy.typing import ArrayLike, NDArray

from mindgap.core.errors import DataError, ShapeError
from mindgap.core.groups import Groups

SUM_TOLERANCE = 1e-3 + 1e-9  # a sum printed as 0.999 is not refused for its rounding
LABEL_CLASSES = ("0", "1")
_NO_CLUSTER = -1


@dataclass(frozen=True, eq=False)
class Predictions:
    """One model's predictions of one label.

    Attributes:
        ids: (n,) names of the rows, unique.
        classes: the C class names; ties between probabilities go to the first.
        labels: int64 (n,) true classes.
        predicted: int64 (n,) predicted classes.
        probabilities: float64 (n, C) or None where only the predicted class is known.
        groups: for every attribute, the group of each row.
        clusters: int64 (n,) number of the patient or lesion; a row without one is a cluster of its own.
        cluster_names: (n,) its name, None for a row without one; None as a whole where only numbers are known.
    """

    ids: NDArray[Any]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probabilities: NDArray[np.float64] | None
    groups: Mapping[str, Groups]
    clusters: NDArray[np.int64]
    cluster_names: NDArray[Any] | None = None

    def __post_init__(self) -> None:
        lengths = {"ids": len(self.ids), "predicted": len(self.predicted), "clusters": len(self.clusters)}
        if self.cluster_names is not None:
            lengths["cluster_names"] = len(self.cluster_names)
        lengths |= {f"attribute {name!r}": len(groups.ids) for name, groups in self.groups.items()}
        for name, length in lengths.items():
            if length != self.n:
                raise ShapeError(f"predictions: {name} has {length} rows, labels have {self.n}; give one per row")
        if self.probabilities is not None and self.probabilities.shape != (self.n, len(self.classes)):
            shape = self.probabilities.shape
            raise ShapeError(f"predictions: probabilities must be ({self.n}, {len(self.classes)}), got {shape}")
        for name, numbers in (("labels", self.labels), ("predicted", self.predicted)):
            if self.n and not (numbers.min() >= 0 and numbers.max() < len(self.classes)):
                raise ShapeError(
                    f"predictions: {name} must lie in 0..{len(self.classes) - 1}, "
                    f"got {numbers.min()}..{numbers.max()}; number them by class"
                )

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.labels)

    def take(self, rows: NDArray[np.int64]) -> Predictions:
        """The predictions of some rows, in that order."""
        return replace(
            self,
            ids=self.ids[rows],
            labels=self.labels[rows],
            predicted=self.predicted[rows],
            probabilities=None if self.probabilities is None else self.probabilities[rows],
            groups={name: groups.take(rows) for name, groups in self.groups.items()},
            clusters=self.clusters[rows],
            cluster_names=None if self.cluster_names is None else self.cluster_names[rows],
        )


@dataclass(frozen=True, eq=False)
class MultiLabelPredictions:
    """One model's predictions of several yes-or-no labels of the same rows.

    Attributes:
        label_names: the L label names.
        by_label: for each, binary predictions with the classes ``0`` and ``1``, at threshold .5 or as decided.
    """

    label_names: tuple[str, ...]
    by_label: Mapping[str, Predictions]

    @property
    def n(self) -> int:
        """Number of rows."""
        return self.by_label[self.label_names[0]].n

    def take(self, rows: NDArray[np.int64]) -> MultiLabelPredictions:
        """The predictions of some rows, in that order."""
        return replace(self, by_label={name: self.by_label[name].take(rows) for name in self.label_names})


def predictions_from_arrays(
    labels: ArrayLike,
    *,
    classes: Sequence[str],
    groups: Mapping[str, Groups] | None = None,
    probabilities: ArrayLike | None = None,
    predicted: ArrayLike | None = None,
    clusters: ArrayLike | None = None,
    cluster_names: Sequence[str | None] | NDArray[Any] | None = None,
    ids: Sequence[object] | NDArray[Any] | None = None,
) -> Predictions:
    """Predictions from arrays; without ``predicted`` the most probable class is predicted, the first of a tie.

    Args:
        labels: (n,) class numbers.
        classes: the C class names.
        groups: attribute name → groups of the n rows.
        probabilities: (n, C), each row summing to 1.
        predicted: (n,) class numbers.
        clusters: (n,) whole numbers; without them, or where one is None, NaN or -1, a row is a cluster of one.
        cluster_names: (n,) names for a table of the predictions, None where a row has none.
        ids: (n,) names; without them the row numbers.

    Raises:
        DataError: a probability is NaN, outside [0, 1], or a row does not sum to 1.
        ShapeError: lengths differ, a class number is out of range, or nothing was predicted.
    """
    true = np.asarray(labels, dtype=np.int64)
    chances = None if probabilities is None else np.asarray(probabilities, dtype=np.float64)
    if chances is not None:
        check_probabilities(chances, names=tuple(classes), sums_to_one=True)
    if predicted is None:
        if chances is None:
            raise ShapeError("predictions: neither probabilities nor predicted classes were given; give one of them")
        predicted = chances.argmax(axis=1)
    return Predictions(
        ids=np.arange(len(true)) if ids is None else np.asarray(ids, dtype=object),
        classes=tuple(classes),
        labels=true,
        predicted=np.asarray(predicted, dtype=np.int64),
        probabilities=chances,
        groups=dict(groups or {}),
        clusters=cluster_numbers(clusters, rows=len(true)),
        cluster_names=None if cluster_names is None else np.asarray(cluster_names, dtype=object),
    )


def cluster_numbers(clusters: ArrayLike | None, *, rows: int) -> NDArray[np.int64]:
    """Clusters as int64 (n,); rows whose cluster is None, NaN or -1 get numbers of their own.

    Raises:
        DataError: a number is not whole.
    """
    if clusters is None:
        return np.arange(rows)
    try:  # whole numbers of any size stay as they are, where floats would merge large ones
        with np.errstate(invalid="raise"):
            given = pd.array(np.asarray(clusters), dtype="Int64")
    except (TypeError, ValueError, ArithmeticError) as error:
        raise DataError("clusters: give whole numbers below 2^63, and names as cluster_names") from error
    numbers = given.to_numpy(np.int64, na_value=_NO_CLUSTER)
    known = numbers != _NO_CLUSTER
    own = numbers.max(initial=-1) + 1 + np.arange(len(numbers))
    return np.where(known, numbers, own)


def multi_label_from_arrays(
    labels: ArrayLike,
    probabilities: ArrayLike | None,
    *,
    label_names: Sequence[str],
    predicted: ArrayLike | None = None,
    groups: Mapping[str, Groups] | None = None,
    clusters: ArrayLike | None = None,
    cluster_names: Sequence[str | None] | NDArray[Any] | None = None,
    ids: Sequence[object] | NDArray[Any] | None = None,
) -> MultiLabelPredictions:
    """Multi-label predictions from arrays: without ``predicted`` a label is predicted above .5 (a tie is ``0``).

    Args:
        labels: (n, L) of 0 and 1.
        probabilities: (n, L) in [0, 1]; None where there are only predicted labels.
        label_names: the L names.
        predicted: (n, L) of 0 and 1.
        groups: attribute name → groups of the n rows.
        clusters: (n,) whole numbers; without them, or where one is None, NaN or -1, a row is a cluster of one.
        cluster_names: (n,) names for a table of the predictions, None where a row has none.
        ids: (n,) names; without them the row numbers.

    Raises:
        DataError: a probability is NaN or outside [0, 1].
        ShapeError: shapes differ, or nothing was predicted.
    """
    true = np.asarray(labels, dtype=np.int64)
    chances = None if probabilities is None else np.asarray(probabilities, dtype=np.float64)
    said = None if predicted is None else np.asarray(predicted, dtype=np.int64)
    for what, array in (("probabilities", chances), ("predicted labels", said)):
        if array is not None and (true.shape != array.shape or true.ndim != 2 or true.shape[1] != len(label_names)):
            raise ShapeError(
                f"multi-label predictions: labels {true.shape} and {what} {array.shape} "
                f"must both be (n, {len(label_names)})"
            )
    if chances is not None:
        check_probabilities(chances, names=tuple(label_names), sums_to_one=False)
    by_label = {
        name: predictions_from_arrays(
            true[:, k],
            classes=LABEL_CLASSES,
            groups=groups,
            probabilities=None if chances is None else np.stack([1 - chances[:, k], chances[:, k]], axis=1),
            predicted=None if said is None else said[:, k],
            clusters=clusters,
            cluster_names=cluster_names,
            ids=ids,
        )
        for k, name in enumerate(label_names)
    }
    return MultiLabelPredictions(tuple(label_names), by_label)


def check_probabilities(
    probabilities: NDArray[np.float64],
    *,
    names: tuple[str, ...],
    sums_to_one: bool,
    ids: NDArray[Any] | None = None,
    source: str = "predictions",
) -> None:
    """Checks probabilities, float64 (n, C), of the classes named; ``ids`` (n,) name the rows in the message.

    Raises:
        DataError: one is empty or NaN, outside [0, 1], or a row's sum is further than 1e-3 from 1.
        ShapeError: there is not one column per class.
    """
    if probabilities.ndim != 2 or probabilities.shape[1] != len(names):
        raise ShapeError(f"{source}: probabilities must be (n, {len(names)}), got {probabilities.shape}")
    wrong = ~((probabilities >= 0) & (probabilities <= 1))
    if wrong.any():
        row, column = (int(index) for index in np.argwhere(wrong)[0])
        value, name = probabilities[row, column], names[column]
        seen = "empty or no number" if np.isnan(value) else f"{value:g}"
        how = "" if np.isnan(value) else ", so put logits through a softmax or sigmoid, and divide percentages by 100"
        raise DataError(f"{source}: {row_name(row, ids)}: prob_{name} is {seen}; probabilities must lie in [0, 1]{how}")
    sums = probabilities.sum(axis=1)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    if sums_to_one and off.any():
        row = int(np.flatnonzero(off)[0])
        raise DataError(f"{source}: {row_name(row, ids)}: probabilities sum to {sums[row]:.6g}, not 1; normalise them")


def row_name(row: int, ids: NDArray[Any] | None) -> str:
    """How an error message calls a row: by its id, or by its number from 1."""
    return f"row {row + 1}" if ids is None else f"id {str(ids[row])!r}"


def read_predictions(
    path: Path | str, *, attributes: Sequence[str], cluster: str | None = None, split: str | None = None
) -> Predictions | MultiLabelPredictions:
    """Reads a predictions table; see ``mindgap.metrics.predictions_table``."""
    from mindgap.metrics import predictions_table

    return predictions_table.read_predictions(path, attributes=attributes, cluster=cluster, split=split)


def write_predictions(
    path: Path | str, predictions: Predictions | MultiLabelPredictions, *, split: str | Sequence[str] | None = None
) -> None:
    """Writes a predictions table; see ``mindgap.metrics.predictions_table``."""
    from mindgap.metrics import predictions_table

    predictions_table.write_predictions(path, predictions, split=split)
