"""Predictions in memory: shapes, ties and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import DataError, ShapeError
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import multi_label_from_arrays, predictions_from_arrays

AB = ("a", "b")


def test_ties_go_to_the_first_class():
    found = predictions_from_arrays([0, 1], classes=AB, probabilities=[[0.5, 0.5], [0.2, 0.8]])
    assert found.predicted.tolist() == [0, 1]


def test_a_label_is_predicted_above_one_half():
    found = multi_label_from_arrays([[1], [0], [1]], [[0.5], [0.51], [0.49]], label_names=("x",))
    assert found.by_label["x"].predicted.tolist() == [0, 1, 0]
    assert found.by_label["x"].classes == ("0", "1")
    assert found.n == 3


@pytest.mark.parametrize(
    "clusters", [[4, np.nan, 4, np.nan], [4, None, 4, None], [4, -1, 4, -1], np.array([4, -1, 4, -1], dtype=np.int8)]
)
def test_rows_whose_cluster_is_missing_are_clusters_of_their_own(clusters):
    found = predictions_from_arrays([0] * 4, classes=AB, predicted=[0] * 4, clusters=clusters).clusters
    assert found[0] == found[2]
    assert len({*found.tolist()}) == 3


def test_negative_numbers_as_of_a_hash_are_clusters():
    found = predictions_from_arrays([0] * 4, classes=AB, predicted=[0] * 4, clusters=[-7, -7, 9, -1]).clusters
    assert found[0] == found[1]
    assert len({*found.tolist()}) == 3


def test_large_numbers_of_clusters_stay_apart():
    found = predictions_from_arrays([0] * 3, classes=AB, predicted=[0] * 3, clusters=[2**53, 2**53 + 1, None]).clusters
    assert len({*found.tolist()}) == 3


@pytest.mark.parametrize("clusters", [[0.5, 1, 2], ["p1", "p2", "p3"], [np.inf, 1, 2], [2**63, 1, 2]])
def test_clusters_that_are_not_whole_numbers_are_refused(clusters):
    with pytest.raises(DataError, match="give whole numbers"):
        predictions_from_arrays([0] * 3, classes=AB, predicted=[0] * 3, clusters=clusters)


def test_rows_without_clusters_are_clusters_of_their_own():
    assert predictions_from_arrays([0, 0], classes=AB, predicted=[0, 1]).clusters.tolist() == [0, 1]


def test_take_keeps_rows_together():
    groups = {"sex": Groups("sex", ("f", "m"), np.array([0, 1, -1]))}
    chances = [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]
    whole = predictions_from_arrays(
        [0, 1, 0], classes=AB, probabilities=chances, groups=groups, clusters=[5, 6, 6], ids=["p", "q", "r"]
    )
    part = whole.take(np.array([2, 0]))
    assert part.ids.tolist() == ["r", "p"]
    assert part.labels.tolist() == [0, 0]
    assert part.predicted.tolist() == [1, 0]
    assert part.groups["sex"].ids.tolist() == [-1, 0]
    assert part.clusters.tolist() == [6, 5]


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        ([[0.5, np.nan]], "row 1: prob_b is empty or no number; probabilities must lie in [0, 1]"),
        (
            [[1.2, -0.2]],
            (
                "row 1: prob_a is 1.2; probabilities must lie in [0, 1], so put logits through a softmax or sigmoid, "
                "and divide percentages by 100"
            ),
        ),
        ([[0.5, 0.4]], "row 1: probabilities sum to 0.9, not 1; normalise them"),
    ],
)
def test_impossible_probabilities_are_refused(chances, message):
    with pytest.raises(DataError) as refusal:
        predictions_from_arrays([0], classes=AB, probabilities=chances)
    assert str(refusal.value) == f"predictions: {message}"


def test_sums_within_a_thousandth_are_taken():
    assert predictions_from_arrays([0], classes=AB, probabilities=[[0.5, 0.4995]]).n == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"labels": [0, 2], "predicted": [0, 0]},
        {"labels": [0, 1], "predicted": [0]},
        {"labels": [0, 1], "predicted": [0, 1], "clusters": [1]},
        {"labels": [0], "probabilities": [[0.2, 0.3, 0.5]]},
        {"labels": [0]},
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments):
    with pytest.raises(ShapeError):
        predictions_from_arrays(**arguments, classes=AB)


def test_multi_label_shapes_must_agree():
    with pytest.raises(ShapeError, match=r"must both be \(n, 2\)"):
        multi_label_from_arrays([[1, 0]], [[0.5]], label_names=("x", "y"))
