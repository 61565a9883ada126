from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgap.core.errors import DataError
from mindgap.core.groups import Groups
from mindgap.search.reward import Reward, default_accuracy_floor, excluded_groups, infeasible_reward, majority_rate

shares = st.floats(0, 1)


def test_reward_by_hand_bn_table_1():
    """BiaslessNAS-Fair: .2·.7951 − .8·.0779 = .0967."""
    reward = Reward(alpha=0.2, beta=0.8, accuracy_floor=0.7)
    assert reward(0.7951, 0.0779) == pytest.approx(0.0967)


def test_below_the_floor_the_reward_is_minus_one_and_at_the_floor_it_is_not():
    reward = Reward(alpha=0.2, beta=0.8, accuracy_floor=0.7)
    assert reward(0.699, 0.0) == -1
    assert reward(0.7, 0.0) == pytest.approx(0.14)


@pytest.mark.parametrize(("rate", "floor"), [(0.5, 0.55), (0.67, 0.72), (0.9, 0.925), (1.0, 1.0)])
def test_default_floor_is_a_little_above_the_majority(rate, floor):
    assert default_accuracy_floor(rate) == pytest.approx(floor)


@pytest.mark.parametrize(("beta", "groups", "reward"), [(0.8, 2, -1), (0.8, 3, -1.6), (0.2, 9, -1.6)])
def test_infeasible_is_the_worst_eq_2_could_give(beta, groups, reward):
    assert infeasible_reward(beta, groups) == pytest.approx(reward)


@given(accuracies=st.lists(shares, min_size=2, max_size=5), alpha=shares, beta=shares)
def test_no_trained_candidate_is_rewarded_less_than_an_infeasible_one(accuracies, alpha, beta):
    overall = float(np.mean(accuracies))
    unfairness = float(np.abs(np.array(accuracies) - overall).sum())
    reward = Reward(alpha=alpha, beta=beta, accuracy_floor=0.0)
    assert reward(overall, unfairness) >= infeasible_reward(beta, len(accuracies)) - 1e-12


def test_majority_rate_of_classes_and_of_labels():
    assert majority_rate(np.array([0, 1, 1, 2])) == 0.5
    assert majority_rate(np.array([[0, 1], [0, 1], [1, 0], [0, 1]])) == 0.75


def test_small_groups_are_named():
    ids = np.repeat([0, 1, 2, -1], [40, 5, 30, 10])
    assert excluded_groups(Groups("age", ("young", "mid", "old"), ids)) == ("mid",)
    assert excluded_groups(Groups("age", ("young", "mid", "old"), ids), min_group=5) == ()


def test_fewer_than_two_groups_left_is_refused_in_one_line():
    with pytest.raises(
        DataError,
        match=r"age: fewer than two groups have 30 validation images \(young 40, old 5\); .* or lower --min-group",
    ):
        excluded_groups(Groups("age", ("young", "old"), np.repeat([0, 1], [40, 5])))
    with pytest.raises(DataError, match=r"; take --attribute sex, merge groups, or lower --min-group"):
        excluded_groups(Groups("age", ("young", "old"), np.repeat([0, 1], [40, 5])), others=["sex", "site"])


def test_no_validation_image_at_all_is_not_put_down_to_small_groups():
    with pytest.raises(DataError, match=r"no validation images.*prepare it again with a validation share.*--split"):
        excluded_groups(Groups("age", ("young", "old"), np.array([], dtype=np.int64)))
