"""Batches with chosen group shares (Sheng et al. 2024, §3.2 ②)."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, ShapeError
from mindgap.data.batches import BatchPlan, order_warning, parse_ratios, ratios_from_mapping

NAMES = ("female", "male")
COUNTS = np.array([10, 30])


def group_rows(*sizes: int, unknown: int = 0) -> np.ndarray:
    ids = np.repeat(np.arange(len(sizes)), sizes)
    return np.random.default_rng(0).permutation(np.append(ids, np.full(unknown, -1)))


def counts_per_batch(ids: np.ndarray, batches: np.ndarray, groups: int) -> np.ndarray:
    """(steps, groups + 1), the last column for unknown."""
    members = ids[batches]
    return np.stack([(members == group).sum(axis=1) for group in [*range(groups), -1]], axis=1)


@st.composite
def plans(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    sizes = draw(st.lists(st.integers(1, 40), min_size=2, max_size=5))
    weights = draw(st.lists(st.integers(0, 20), min_size=len(sizes), max_size=len(sizes)).filter(any))
    ids = group_rows(*sizes, unknown=draw(st.integers(0, 15)))
    return ids, np.array(weights) / sum(weights), draw(st.integers(1, 24))


def test_a_share_of_three_tenths_of_batches_of_five_gives_two_then_one():
    ids = group_rows(50, 20)
    plan = BatchPlan(ids, np.array([0.7, 0.3]), batch_size=5, seed=0)
    counts = counts_per_batch(ids, plan.epoch(0), 2)
    # cumulative quotas of group 1 are 1.5, 3, 4.5, 6: the tie at 1.5 goes to group 0, so 1, 3, 4, 6 are drawn
    assert counts[:4, 1].tolist() == [1, 2, 1, 2]
    assert counts[:4, 0].tolist() == [4, 3, 4, 3]


def test_three_groups_by_largest_remainder_by_hand():
    ids = group_rows(100, 60, 40)
    plan = BatchPlan(ids, np.array([0.5, 0.3, 0.2]), batch_size=4, seed=0)
    # quotas 2 1.2 .8 | 4 2.4 1.6 | 6 3.6 2.4 | 8 4.8 3.2 | 10 6 4; largest remainders give
    #   drawn 2 1  1  | 4 2   2   | 6 4   2   | 8 5   3   | 10 6 4
    counts = counts_per_batch(ids, plan.epoch(0), 3)
    assert counts[:5, :3].tolist() == [[2, 1, 1], [2, 1, 1], [2, 2, 0], [2, 1, 1], [2, 1, 1]]


def test_natural_ratios_show_every_image_once_in_an_epoch_that_divides():
    ids = group_rows(33, 21, 10)
    batches = BatchPlan(ids, None, batch_size=8, seed=3).epoch(0)
    assert sorted(batches.ravel().tolist()) == list(range(64))


def test_natural_by_name_is_the_same_plan_as_none():
    ids = group_rows(33, 21, 10)
    natural = parse_ratios("natural", ("a", "b", "c"), np.array([33, 21, 10]))
    by_name = BatchPlan(ids, natural, batch_size=8, seed=3)
    by_none = BatchPlan(ids, None, batch_size=8, seed=3)
    assert np.array_equal(by_name.epoch(2), by_none.epoch(2))


def test_unknown_rows_keep_their_natural_share_and_stand_outside_the_ratios():
    ids = group_rows(60, 20, unknown=20)
    plan = BatchPlan(ids, np.array([0.5, 0.5]), batch_size=10, seed=0)
    assert plan.shares.tolist() == pytest.approx([0.4, 0.4, 0.2])
    assert (counts_per_batch(ids, plan.epoch(0), 2) == [4, 4, 2]).all()


def test_an_epoch_has_as_many_batches_as_the_rows_need():
    for rows, batch_size, steps in [(64, 64, 1), (65, 64, 2), (10, 64, 1), (100, 7, 15)]:
        plan = BatchPlan(np.zeros(rows, dtype=np.int64), None, batch_size=batch_size, seed=0)
        assert plan.steps_per_epoch == steps
        assert plan.epoch(0).shape == (steps, batch_size)


def test_minimum_per_group_is_held_at_the_cost_of_the_largest_group():
    ids = group_rows(900, 91, 9)
    plan = BatchPlan(ids, None, batch_size=20, seed=0, min_per_group=1)
    counts = np.concatenate([counts_per_batch(ids, plan.epoch(epoch), 3) for epoch in range(3)])
    assert (counts[:, :3] >= 1).all()
    assert (counts.sum(axis=1) == 20).all()
    # the middle group's share is untouched
    assert abs(counts[:, 1].sum() - 0.091 * 20 * len(counts)) < 1
    assert (counts[:, 2] == 1).all()


def test_without_a_minimum_a_rare_group_is_not_over_represented():
    ids = group_rows(991, 9)
    counts = counts_per_batch(ids, BatchPlan(ids, None, batch_size=10, seed=0).epoch(0), 2)
    assert counts[:, 1].sum() == 9


def test_state_continues_a_run_at_the_next_epoch():
    ids = group_rows(50, 20, unknown=7)
    arguments = (ids, np.array([0.6, 0.4]))
    whole = BatchPlan(*arguments, batch_size=6, seed=1, min_per_group=1)
    expected = [whole.epoch(epoch) for epoch in range(5)]
    first = BatchPlan(*arguments, batch_size=6, seed=1, min_per_group=1)
    for epoch in range(2):
        first.epoch(epoch)
    resumed = BatchPlan(*arguments, batch_size=6, seed=1, min_per_group=1)
    resumed.load_state_dict(json.loads(json.dumps(first.state_dict())))
    for epoch in range(2, 5):
        assert np.array_equal(resumed.epoch(epoch), expected[epoch])


def test_state_of_a_plan_with_other_groups_is_refused():
    plan = BatchPlan(group_rows(5, 5), None, batch_size=2, seed=0)
    with pytest.raises(ShapeError, match="3 strata, this plan has 4"):
        BatchPlan(group_rows(5, 5, 5), None, batch_size=2, seed=0).load_state_dict(plan.state_dict())


@settings(deadline=None, derandomize=True, max_examples=60)
@given(plans(), st.integers(0, 3))
def test_an_epoch_depends_on_the_arguments_alone_not_on_what_was_asked_before(case, epoch):
    ids, ratios, batch_size = case
    plan = BatchPlan(ids, ratios, batch_size=batch_size, seed=5)
    plan.epoch(2)
    again = BatchPlan(ids, ratios, batch_size=batch_size, seed=5)
    assert np.array_equal(plan.epoch(epoch), again.epoch(epoch))


@settings(deadline=None, derandomize=True, max_examples=150)
@given(plans())
def test_drawn_counts_follow_the_quotas_at_every_step(case):
    ids, ratios, batch_size = case
    plan = BatchPlan(ids, ratios, batch_size=batch_size, seed=0)
    batches = np.concatenate([plan.epoch(epoch) for epoch in range(6)])
    drawn = counts_per_batch(ids, batches, len(ratios)).cumsum(axis=0)
    quota = plan.shares * batch_size * np.arange(1, len(batches) + 1)[:, None]
    assert (drawn.sum(axis=1) == batch_size * np.arange(1, len(batches) + 1)).all()
    assert np.abs(drawn - quota).max() < len(plan.shares)
    assert (drawn[:, plan.shares == 0] == 0).all()


@settings(deadline=None, derandomize=True, max_examples=60)
@given(plans())
def test_long_run_shares_are_exact(case):
    ids, ratios, batch_size = case
    plan = BatchPlan(ids, ratios, batch_size=batch_size, seed=0)
    epochs = -(-2000 // (plan.steps_per_epoch * batch_size))
    batches = np.concatenate([plan.epoch(epoch) for epoch in range(epochs)])
    shares = counts_per_batch(ids, batches, len(ratios)).sum(axis=0) / batches.size
    assert shares == pytest.approx(plan.shares, abs=len(plan.shares) / batches.size)
    known = plan.shares[:-1] / plan.shares[:-1].sum()
    assert known == pytest.approx(ratios)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(plans())
def test_no_image_repeats_before_its_group_is_used_up(case):
    ids, ratios, batch_size = case
    plan = BatchPlan(ids, ratios, batch_size=batch_size, seed=0)
    stream = np.concatenate([plan.epoch(epoch).ravel() for epoch in range(4)])
    for group in np.unique(ids):
        drawn = stream[ids[stream] == group]
        size = int((ids == group).sum())
        for start in range(0, len(drawn), size):
            one_pass = drawn[start : start + size]
            assert max(Counter(one_pass.tolist()).values()) == 1


def test_orders_differ_between_passes_and_seeds():
    ids = np.zeros(64, dtype=np.int64)
    plan = BatchPlan(ids, None, batch_size=64, seed=0)
    assert not np.array_equal(plan.epoch(0), plan.epoch(1))
    assert not np.array_equal(plan.epoch(0), BatchPlan(ids, None, batch_size=64, seed=1).epoch(0))


def test_rows_all_unknown_are_plain_shuffled_batches():
    plan = BatchPlan(np.full(12, -1), None, batch_size=4, seed=0)
    assert sorted(plan.epoch(0).ravel().tolist()) == list(range(12))


def test_a_batch_too_small_for_the_minimum_is_refused():
    with pytest.raises(ConfigError, match="batch size 3 cannot hold 2 images of each of 2 groups; raise it to 4 or"):
        BatchPlan(group_rows(5, 5), None, batch_size=3, seed=0, min_per_group=2)


def test_a_batch_size_of_zero_is_refused():
    with pytest.raises(ConfigError, match="batch size 0"):
        BatchPlan(group_rows(5, 5), None, batch_size=0, seed=0)


def test_ratios_for_an_empty_group_are_refused():
    with pytest.raises(ConfigError, match="without a training row"):
        BatchPlan(group_rows(5, 0), np.array([0.5, 0.5]), batch_size=2, seed=0)


def test_ratios_that_do_not_sum_to_one_are_refused():
    with pytest.raises(ConfigError, match="sum to 1"):
        BatchPlan(group_rows(5, 5), np.array([0.5, 0.6]), batch_size=2, seed=0)


def test_no_rows_and_unknown_group_numbers_are_refused():
    with pytest.raises(ShapeError, match="shape"):
        BatchPlan(np.zeros(0, dtype=np.int64), None, batch_size=2, seed=0)
    with pytest.raises(ShapeError, match=r"-1\.\.1, got 0\.\.2"):
        BatchPlan(group_rows(5, 5, 5), np.array([0.5, 0.5]), batch_size=2, seed=0)


def test_ratios_by_name():
    assert parse_ratios("natural", NAMES, COUNTS).tolist() == [0.25, 0.75]
    assert parse_ratios("uniform", NAMES, COUNTS).tolist() == [0.5, 0.5]
    assert parse_ratios("male=.4, female=.6", NAMES, COUNTS).tolist() == pytest.approx([0.6, 0.4])
    assert parse_ratios("uniform", ("a", "b", "c"), np.array([3, 0, 5])).tolist() == [0.5, 0.0, 0.5]
    assert parse_ratios("a=b=.5,c=.5", ("a=b", "c"), COUNTS).tolist() == [0.5, 0.5]


def test_group_names_may_hold_commas_and_equals_signs():
    names = ("Asian, other", "a", "a=b", "Asian")
    text = "Asian, other=.1, a=.2,a=b = .3 ,Asian=.4"
    assert parse_ratios(text, names, np.array([1, 1, 1, 1])).tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])


@given(
    names=st.lists(st.text(alphabet="ab ,=.1*()", min_size=1, max_size=5), min_size=1, max_size=5, unique=True),
    weights=st.lists(st.integers(1, 100), min_size=5, max_size=5),
)
def test_a_mapping_holds_any_group_name(names, weights):
    weights = np.array(weights[: len(names)], dtype=np.float64)
    shares = dict(zip(names, (weights / weights.sum()).tolist(), strict=True))
    found = ratios_from_mapping(shares, tuple(reversed(names)), np.ones(len(names), dtype=np.int64))
    assert found.tolist() == pytest.approx(list(shares.values())[::-1])


def test_a_mapping_gives_the_very_numbers_of_the_text():
    shares = {"female": 0.1 + 0.2, "male": 1 - (0.1 + 0.2)}
    text = ",".join(f"{name}={share!r}" for name, share in shares.items())
    assert ratios_from_mapping(shares, NAMES, COUNTS).tolist() == parse_ratios(text, NAMES, COUNTS).tolist()


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"female": 0.6}, "leave out group 'male'"),
        ({"female": 0.6, "male": 0.5}, "sum to 1.1"),
        ({"female": 0.6, "mael": 0.4}, "no group 'mael'; did you mean 'male'"),
        ({"female": -1.0, "male": 2.0}, "-1.0 is no share"),
        ({"female": math.nan, "male": 1.0}, "nan is no share"),
    ],
)
def test_a_wrong_mapping_is_refused_in_one_line(shares, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        ratios_from_mapping(shares, NAMES, COUNTS)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("female=.6", "leave out group 'male'"),
        ("female=.6,male=.5", "sum to 1.1"),
        ("female=.6,mael=.4", "'mael=.4' is no 'GROUP=SHARE'"),
        ("balanced", "say natural or uniform"),
        ("female=-1,male=2", "'-1' is no share"),
        ("female=nan,male=1", "'nan' is no share"),
        ("female=x,male=1", "'x' is no share"),
        ("female=.5,female=.5", "is no 'GROUP=SHARE' with a new group"),
    ],
)
def test_wrong_ratios_are_refused_in_one_line(text, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        parse_ratios(text, NAMES, COUNTS)
    assert "\n" not in str(refusal.value)


def test_a_share_for_a_group_without_images_is_refused():
    with pytest.raises(ConfigError, match="'female', which has no training image"):
        parse_ratios("female=.1,male=.9", NAMES, np.array([0, 4]))


def test_breaking_the_order_of_sizes_is_said_and_keeping_it_is_not():
    assert order_warning(np.array([0.6, 0.4]), NAMES, COUNTS).startswith("ratios give the smaller group 'female'")
    assert order_warning(np.array([0.5, 0.5]), NAMES, COUNTS) is None
    assert order_warning(np.array([0.6, 0.4]), NAMES, np.array([20, 20])) is None
    # the two tied smaller groups stand in any order, but not above the larger one
    assert "'a'" in order_warning(np.array([0.5, 0.1, 0.4]), ("a", "b", "c"), np.array([10, 10, 20]))
