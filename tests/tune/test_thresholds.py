"""The thresholds found are all that are worth having, and a network decides by the one that is written."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mindgap.core.errors import DataError, ShapeError
from mindgap.core.groups import Groups
from mindgap.metrics.counts import count_rows
from mindgap.metrics.pareto import non_dominated
from mindgap.tune.objectives import make_objectives
from mindgap.tune.thresholds import shift_threshold, threshold_front

ACCURACY_UEI = make_objectives()


def judged(logits, labels, groups, threshold, objectives=ACCURACY_UEI):
    """The objectives of one threshold, by the definitions."""
    ids = groups.ids
    counts = [
        count_rows(labels.astype(np.int64), predicted, ids, groups=groups.names, classes=("0", "1"))
        for predicted in ((logits > threshold).astype(np.int64), labels.astype(np.int64))
    ]
    return objectives.of(*counts)


def test_three_rows_by_hand():
    groups = Groups("g", ("a",), np.zeros(4, dtype=np.int64))
    found = threshold_front(np.array([-3.0, -1, -2, 5]), np.array([0, 1, 1, 1], dtype=np.uint8), groups, ACCURACY_UEI)
    assert found.thresholds.tolist() == [-2.5]
    assert found.objectives.tolist() == [[0.0, 0.0]]


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.integers(0, 999), st.integers(2, 25), st.sampled_from([1, 3, 50]), st.booleans())
def test_the_front_is_that_of_every_threshold_tried(seed, n, levels, triple):
    generator = np.random.default_rng(seed)
    logits = np.round(generator.standard_normal(n) * levels)  # ties
    groups = Groups("g", ("a", "b"), np.append([0, 1], generator.integers(-1, 2, n - 2)))
    labels = generator.integers(0, 2, n).astype(np.uint8)
    objectives = make_objectives(["accuracy", "uei", "unfairness"]) if triple else ACCURACY_UEI
    found = threshold_front(logits, labels, groups, objectives)
    tried = np.append(np.unique(logits), -np.inf)
    every = np.stack([judged(logits, labels, groups, threshold, objectives) for threshold in tried])
    best = every[non_dominated(every, [False] * every.shape[1])]
    assert {tuple(point) for point in np.round(found.objectives, 9)} == {tuple(point) for point in np.round(best, 9)}
    assert len(found.objectives) == len(np.unique(np.round(found.objectives, 9), axis=0))
    for threshold, value in zip(found.thresholds, found.objectives, strict=True):
        np.testing.assert_allclose(judged(logits, labels, groups, threshold, objectives), value, atol=1e-12)


def test_a_network_that_needs_no_other_threshold_keeps_its_own():
    logits = np.array([-2.0, -1, 1, 3])
    groups = Groups("g", ("a",), np.zeros(4, dtype=np.int64))
    assert threshold_front(logits, np.array([0, 0, 1, 1]), groups, ACCURACY_UEI).thresholds.tolist() == [0.0]


def test_neighbouring_floats_have_a_threshold_between_them():
    logits = np.array([1.0, np.nextafter(1.0, 2.0)])
    groups = Groups("g", ("a",), np.zeros(2, dtype=np.int64))
    found = threshold_front(logits, np.array([0, 1]), groups, ACCURACY_UEI)
    assert ((logits > found.thresholds[0]) == [False, True]).all()


def test_a_written_threshold_is_a_decision_at_zero():
    classifier, features = nn.Linear(3, 2), torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = classifier(features)
        shift_threshold(classifier, 1, 0.3)
        after = classifier(features)
    assert torch.equal(after[:, 1] > 0, before[:, 1] > 0.3)
    assert torch.equal(after[:, 0], before[:, 0])
    with pytest.raises(ShapeError, match="predicts the label never"):
        shift_threshold(classifier, 1, np.inf)


def test_rows_that_cannot_be_judged_are_refused():
    groups = Groups("g", ("a", "b"), np.array([0, 0, -1]))
    labels = np.array([0, 1, 1], dtype=np.uint8)
    with pytest.raises(DataError, match=r"uei is undefined \(group 'b' has no rows\)"):
        threshold_front(np.arange(3.0), labels, groups, ACCURACY_UEI)
    for logits in (np.arange(2.0), np.array([0, 1, np.nan])):
        with pytest.raises(ShapeError, match="thresholds need a logit"):
            threshold_front(logits, labels, groups, ACCURACY_UEI)
    with pytest.raises(ShapeError, match="0 of 3 groups"):
        threshold_front(np.arange(3.0), labels, Groups("g", ("a",), np.full(3, -1)), ACCURACY_UEI)
