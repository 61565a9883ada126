"""Resampling, reweighting, the smooth largest loss and GroupDRO."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp, softmax
from sklearn.utils.class_weight import compute_class_weight

from mindgap.core.groups import Groups
from mindgap.testing.batches_of_losses import made, objective_of
from mindgap.train.batch_ratios import batch_plan
from mindgap.train.settings import TrainSettings

LOSSES = st.lists(st.floats(0.0, 5.0), min_size=4, max_size=12)


def test_balanced_batches_have_the_same_share_of_every_group_that_has_an_image():
    ids = np.array([0] * 90 + [1] * 10 + [-1] * 20)
    groups = Groups("sex", ("a", "b", "nobody"), ids)
    plan = batch_plan(groups, made("resample", 90, 10, 0), TrainSettings(batch_size=12))
    drawn = ids[np.concatenate([plan.epoch(epoch).ravel() for epoch in range(30)])]
    assert plan.shares.tolist() == pytest.approx([5 / 12, 5 / 12, 0, 2 / 12])
    assert (drawn == 0).sum() == (drawn == 1).sum()
    assert made("resample", 0).batches(Groups("sex", ("a",), np.array([-1]))).ratios is None


def test_weights_by_hand():
    weighted = made("reweight", 3, 1)
    assert objective_of(weighted, [1, 1, 1, 5], [0, 0, 0, 1])[0] == pytest.approx(3.0)
    assert objective_of(weighted, [4.0, 2.0], [1, -1])[0] == pytest.approx((2 * 4 + 2) / 2)


def test_weights_are_scikit_learns():
    ids = np.repeat([0, 1, 2], [50, 9, 1])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=ids)
    _, gradient = objective_of(made("reweight", 50, 9, 1, 0), [1.0, 1.0, 1.0], [0, 1, 2])
    assert gradient == pytest.approx((expected / 3).tolist(), rel=1e-6)


def test_the_smooth_largest_loss_by_hand():
    value, gradient = objective_of(made("maxgroup_smooth", 5, 5, temperature=1.0), [2, 5], [0, 1])
    assert value == pytest.approx(math.log((math.exp(2) + math.exp(5)) / 2))
    assert value == pytest.approx(4.355, abs=5e-4)
    assert gradient == pytest.approx([0.0474, 0.9526], abs=1e-4)


@given(LOSSES, st.floats(0.05, 5.0))
def test_it_is_scipys_logsumexp_of_the_groups_present(losses, temperature):
    groups = [k % 3 for k in range(len(losses))]  # of five groups two are absent
    means = np.array([np.mean([loss for loss, g in zip(losses, groups, strict=True) if g == k]) for k in range(3)])
    value, gradient = objective_of(made("maxgroup_smooth", 9, 9, 9, 9, 9, temperature=temperature), losses, groups)
    assert value == pytest.approx(temperature * (logsumexp(means / temperature) - math.log(3)), abs=1e-9)
    of_groups = [sum(part for part, g in zip(gradient, groups, strict=True) if g == k) for k in range(3)]
    assert of_groups == pytest.approx(softmax(means / temperature).tolist(), abs=1e-6)


@given(LOSSES)
def test_without_temperature_it_is_the_largest_loss(losses):
    groups = [k % 2 for k in range(len(losses))]
    largest, _ = objective_of(made("maxgroup", 9, 9), losses, groups)
    smooth, _ = objective_of(made("maxgroup_smooth", 9, 9, temperature=1e-4), losses, groups)
    assert smooth == pytest.approx(largest, abs=1e-3)


@pytest.mark.parametrize("name", ["maxgroup_smooth", "groupdro", "reweight", "maxgroup"])
def test_samples_of_unknown_group_alone_are_trained_plainly(name):
    value, gradient = objective_of(made(name, 4, 4), [1.0, 3.0], [-1, -1])
    assert value == 2.0
    assert gradient == [0.5, 0.5]


def test_groupdro_by_hand():
    robust = made("groupdro", 5, 5, eta=math.log(2))
    value, gradient = objective_of(robust, [1, 3], [0, 1])
    assert value == pytest.approx(2.6)
    assert gradient == pytest.approx([0.2, 0.8])
    assert robust.weights.tolist() == pytest.approx([0.2, 0.8])
    objective_of(robust, [1, 3], [0, 1])
    assert robust.weights.tolist() == pytest.approx([1 / 17, 16 / 17], rel=1e-5), "4 and 64"


def test_its_weights_move_to_the_worst_group_and_pass_over_the_absent():
    robust = made("groupdro", 50, 50, 50, eta=0.1)
    for _ in range(200):
        objective_of(robust, [0.2, 0.9, 0.3, 0.8], [0, 1, 0, 1])
    first, worst, absent = robust.weights.tolist()
    assert worst > 0.9
    assert absent < first, "its loss was never seen, so nothing raised its weight"
    assert sum((first, worst, absent)) == pytest.approx(1.0)


def test_the_adjustment_favours_small_groups():
    robust = made("groupdro", 100, 4, eta=1.0, adjustment=2.0)
    objective_of(robust, [1.0, 1.0], [0, 1])
    assert robust.weights.tolist() == pytest.approx(softmax([2 / 10, 2 / 2]).tolist(), rel=1e-5)


@given(LOSSES)
def test_without_memory_and_for_a_large_eta_it_is_the_largest_group_loss(losses):
    losses = [loss + 0.01 * k for k, loss in enumerate(losses)]
    groups = [k % 2 for k in range(len(losses))]
    means = [np.mean([v for v, g in zip(losses, groups, strict=True) if g == k]) for k in (0, 1)]
    robust = made("groupdro", 9, 9, 9, eta=1e6, memoryless=True)
    for _ in range(2):  # what came before does not matter
        value, gradient = objective_of(robust, losses, groups)
        if abs(means[0] - means[1]) > 1e-3:
            expected = objective_of(made("maxgroup", 9, 9, 9), losses, groups)
            assert value == pytest.approx(expected[0], abs=1e-6)
            assert gradient == pytest.approx(expected[1], abs=1e-6)


def test_a_weight_that_became_tiny_comes_back():
    robust = made("groupdro", 9, 9, eta=1.0)
    for _ in range(300):
        objective_of(robust, [5.0, 0.0], [0, 1])
    assert robust.weights[1].item() == 0.0, "beyond what float32 tells from 0"
    for _ in range(600):
        objective_of(robust, [0.0, 5.0], [0, 1])
    assert robust.weights[1].item() > 0.99


def test_its_weights_are_kept():
    robust, other = made("groupdro", 9, 9, eta=1.0), made("groupdro", 9, 9, eta=1.0)
    objective_of(robust, [5.0, 0.0], [0, 1])
    other.load_state_dict(robust.state_dict())
    assert objective_of(other, [1.0, 2.0], [0, 1]) == objective_of(robust, [1.0, 2.0], [0, 1])
    assert torch.equal(other.weights, robust.weights)
