"""How many channels an iteration of pruning removes, which, and when it stops."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError, ShapeError
from mindgap.prune.schedule import (
    Decision,
    PruningSchedule,
    ValidationFigures,
    channels_to_remove,
    decide,
    ranked_channels,
)

NAN = math.nan
SCHEDULE = PruningSchedule()


def decided(
    accuracies: tuple[float, float] = (0.9, 0.9),
    gaps: tuple[dict[str, float], dict[str, float]] = ({"sex": 0.2}, {"sex": 0.1}),
    *,
    iteration: int = 1,
    schedule: PruningSchedule = SCHEDULE,
) -> Decision:
    """What follows from accuracies at the start and now, and gaps before and now."""
    first = ValidationFigures(accuracies[0], {"sex": 0.0})
    before, now = ValidationFigures(0.5, gaps[0]), ValidationFigures(accuracies[1], gaps[1])
    return decide(schedule, iteration, first=first, before=before, now=now)


# How many.


@pytest.mark.parametrize(
    ("count", "share", "removed"),
    [
        (512, 0.02, 10),
        (2048, 0.02, 41),
        (16, 0.02, 1),
        (2, 0.02, 1),
        (1, 0.02, 0),
        (1, 0.99, 0),
        (10, 0.5, 5),
        (8, 0.75, 6),
        (2, 0.75, 1),
        (3, 0.9, 2),
    ],
)
def test_an_iteration_removes_a_share_of_the_channels_and_at_least_one_but_not_the_last(
    count: int, share: float, removed: int
) -> None:
    assert channels_to_remove(count, share=share) == removed


@given(st.integers(1, 5000), st.floats(0.001, 0.999))
def test_a_layer_keeps_a_channel_and_shrinks_each_time_but_if_it_has_one(count: int, share: float) -> None:
    removed = channels_to_remove(count, share=share)
    assert 0 <= removed < count
    assert (removed > 0) == (count > 1)
    assert abs(removed - share * count) <= 0.5 or removed in {min(1, count - 1), count - 1}


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, NAN])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(ConfigError, match="give more than 0 and less than 1"):
        channels_to_remove(8, share=share)


def test_a_layer_without_channels_is_refused() -> None:
    with pytest.raises(ShapeError, match="a layer of 0 channels cannot be pruned"):
        channels_to_remove(0)


# Which.


def test_the_lowest_weighted_sums_are_chosen() -> None:
    scores = {
        "sex": {"a": torch.tensor([1.0, 4.0, 2.0, 9.0]), "b": torch.tensor([3.0, 1.0])},
        "age": {"a": torch.tensor([5.0, 1.0, 2.0, 0.0]), "b": torch.tensor([1.0, 1.0])},
    }
    # Layer a: 1.5·sex + .5·age is 4, 6.5, 4, 13.5; layer b: 5, 2.
    chosen = ranked_channels(scores, {"sex": 1.5, "age": 0.5}, {"a": 3, "b": 1})
    assert chosen == {"a": (0, 2, 1), "b": (1,)}


def test_an_attribute_of_weight_0_has_no_say() -> None:
    scores = {"sex": {"a": torch.tensor([2.0, 1.0, 3.0])}, "age": {"a": torch.tensor([9.0, 99.0, 0.0])}}
    assert ranked_channels(scores, {"sex": 2.0, "age": 0.0}, {"a": 1}) == {"a": (1,)}


def test_a_dead_channel_is_never_chosen_and_fewer_are_if_fewer_are_scored() -> None:
    scores = {"sex": {"a": torch.tensor([NAN, 2.0, NAN, 1.0])}}
    assert ranked_channels(scores, {"sex": 1.0}, {"a": 1}) == {"a": (3,)}
    assert ranked_channels(scores, {"sex": 1.0}, {"a": 3}) == {"a": (3, 1)}


def test_a_channel_that_one_attribute_cannot_score_is_not_chosen_whatever_its_weight() -> None:
    scores = {"sex": {"a": torch.tensor([1.0, 2.0])}, "age": {"a": torch.tensor([NAN, 2.0])}}
    assert ranked_channels(scores, {"sex": 2.0, "age": 0.0}, {"a": 1}) == {"a": (1,)}


def test_a_layer_of_which_nothing_is_asked_is_left_even_if_all_of_it_is_dead() -> None:
    assert ranked_channels({"sex": {"a": torch.tensor([NAN])}}, {"sex": 1.0}, {"a": 0}) == {"a": ()}


@given(
    st.integers(2, 12).flatmap(
        lambda channels: st.tuples(
            st.lists(
                st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, NAN]), min_size=channels, max_size=channels),
                min_size=1,
                max_size=3,
            ),
            st.lists(st.sampled_from([0.0, 0.5, 1.5]), min_size=3, max_size=3),
            st.integers(1, channels - 1),
        )
    )
)
def test_it_agrees_with_sorting_pairs_of_score_and_number(case: tuple[list[list[float]], list[float], int]) -> None:
    rows, given_weights, count = case
    names = [f"attribute {number}" for number in range(len(rows))]
    weights = dict(zip(names, given_weights, strict=False))
    scores = {name: {"a": torch.tensor(row)} for name, row in zip(names, rows, strict=True)}
    sums = [sum(weights[name] * row[c] for name, row in zip(names, rows, strict=True)) for c in range(len(rows[0]))]
    scored = sorted((total, channel) for channel, total in enumerate(sums) if not math.isnan(total))
    if scored:
        expected = tuple(channel for _, channel in scored[:count])
        assert ranked_channels(scores, weights, {"a": count}) == {"a": expected}
    else:
        with pytest.raises(ConfigError, match=r"none of its .* channels can be scored"):
            ranked_channels(scores, weights, {"a": count})


def test_attributes_layers_and_counts_that_do_not_fit_are_refused() -> None:
    two = {"sex": {"a": torch.tensor([1.0, 2.0])}}
    with pytest.raises(ConfigError, match="scores are of sex, weights of age"):
        ranked_channels(two, {"age": 1.0}, {"a": 1})
    with pytest.raises(ConfigError, match="scores are of no attribute"):
        ranked_channels({}, {}, {"a": 1})
    with pytest.raises(ConfigError, match="layer 'b' has no scores of 'sex'"):
        ranked_channels(two, {"sex": 1.0}, {"b": 1})
    with pytest.raises(ConfigError, match="layer 'a' has 2 channels, asked to remove 2; at least one must stay"):
        ranked_channels(two, {"sex": 1.0}, {"a": 2})
    with pytest.raises(ConfigError, match="asked to remove -1"):
        ranked_channels(two, {"sex": 1.0}, {"a": -1})
    with pytest.raises(ShapeError, match=r"scores of \[2, 3\] channels"):
        ranked_channels(two | {"age": {"a": torch.ones(3)}}, {"sex": 1.0, "age": 1.0}, {"a": 1})


# When to stop.


def test_it_goes_on_while_accuracy_holds_and_the_gap_narrows() -> None:
    decision = decided((0.9, 0.88), ({"sex": 0.2, "age": 0.3}, {"sex": 0.1, "age": 0.32}))
    assert not decision.stop
    assert not decision.revert
    assert decision.figure is None
    assert (decision.accuracy_drop, decision.gap_reduction) == pytest.approx((0.02, 0.04))
    assert decision.reason == "accuracy changed by -0.0200 since the start, the mean gap by -0.0400 in this iteration"


def test_it_reverts_when_accuracy_fell_too_far_from_the_start() -> None:
    decision = decided((0.9, 0.86))
    assert (decision.stop, decision.revert, decision.figure) == (True, True, "accuracy")
    assert decision.reason == (
        "accuracy went from 0.9000 before pruning to 0.8600, a drop of 0.0400; at most 0.03 is allowed"
    )


def test_it_reverts_when_the_gap_narrows_too_little() -> None:
    decision = decided(gaps=({"sex": 0.1, "age": 0.3}, {"sex": 0.1, "age": 0.294}))
    assert (decision.stop, decision.revert, decision.figure) == (True, True, "gap")
    assert decision.reason == (
        "the mean gap went from 0.2000 to 0.1970; a reduction of at least 0.005 per iteration is asked for"
    )


def test_accuracy_decides_first() -> None:
    assert decided((0.9, 0.8), ({"sex": 0.1}, {"sex": 0.2})).figure == "accuracy"


def test_a_difference_of_exactly_the_threshold_goes_on() -> None:
    assert 0.9 - 0.87 > 0.03  # in binary
    assert 0.105 - 0.1 < 0.005
    assert not decided((0.9, 0.87), ({"sex": 0.105}, {"sex": 0.1})).stop


def test_the_last_iteration_stops_and_keeps_what_it_reached() -> None:
    decision = decided(iteration=3)
    assert (decision.stop, decision.revert, decision.figure) == (True, False, "iterations")
    assert decision.reason == "iteration 3 of 3 is the last"
    assert decided((0.9, 0.5), iteration=3).revert


def test_an_attribute_whose_gap_is_undefined_is_left_out_of_both_means() -> None:
    decision = decided(gaps=({"sex": 0.2, "age": 0.9, "site": NAN}, {"sex": 0.1, "age": NAN, "site": 0.0}))
    assert decision.left_out == ("age", "site")
    assert decision.gap_reduction == pytest.approx(0.1)
    assert not decision.stop
    assert decision.reason.endswith("; undefined now or before, and left out: age, site")


def test_without_any_defined_gap_it_reverts_and_says_so() -> None:
    decision = decided(gaps=({"sex": NAN}, {"sex": 0.1}))
    assert (decision.stop, decision.revert, decision.figure) == (True, True, "gap")
    assert math.isnan(decision.gap_reduction)
    assert decision.reason.startswith("no attribute's gap is defined both now and before")


def test_an_undefined_accuracy_reverts() -> None:
    decision = decided((0.9, NAN))
    assert (decision.revert, decision.figure) == (True, "accuracy")
    assert "to undefined" in decision.reason


def test_the_widest_thresholds_never_stop_before_the_last_iteration() -> None:
    schedule = PruningSchedule(max_accuracy_drop=1.0, min_gap_reduction=-1.0)
    assert not decided((1.0, 0.0), ({"sex": 0.0}, {"sex": 1.0}), schedule=schedule).stop


def test_gaps_of_other_attributes_than_before_are_refused() -> None:
    with pytest.raises(ConfigError, match="gaps before are of sex, now of age"):
        decided(gaps=({"sex": 0.1}, {"age": 0.1}))
    with pytest.raises(ConfigError, match="now of no attribute"):
        decided(gaps=({}, {}))


@given(*[st.floats(0, 1)] * 6, st.integers(1, 4))
def test_it_follows_the_papers_two_conditions(
    start: float, accuracy: float, one: float, two: float, other: float, another: float, iteration: int
) -> None:
    decision = decided((start, accuracy), ({"a": one, "b": two}, {"a": other, "b": another}), iteration=iteration)
    drop, gain = start - accuracy - 0.03, (1 - (other + another) / 2) - (1 - (one + two) / 2) - 0.005
    if min(abs(drop), abs(gain)) > 1e-8:
        assert decision.revert == (drop > 0 or gain < 0)
        assert decision.stop == (decision.revert or iteration >= 3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("share", 0.0),
        ("share", 1.0),
        ("iterations", 0),
        ("max_accuracy_drop", -0.1),
        ("max_accuracy_drop", 3.0),
        ("min_gap_reduction", -2.0),
        ("min_gap_reduction", 5.0),
    ],
)
def test_options_outside_their_bounds_are_refused(key: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"prune: {key} is {value}: give"):
        parse(PruningSchedule, {key: value}, source="prune")


def test_the_defaults_are_the_papers() -> None:
    assert SCHEDULE.model_dump() == {
        "share": 0.02,
        "iterations": 3,
        "max_accuracy_drop": 0.03,
        "min_gap_reduction": 0.005,
    }
