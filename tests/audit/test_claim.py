"""A claim is shown, not shown, or undecidable, and nothing between."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindgap.audit.claim import NOT_SHOWN, SHOWN, UNDECIDABLE, judge_claim, judge_gap
from mindgap.core.errors import ConfigError


def verdict(low, high, **options):
    return judge_claim({"value": (low + high) / 2, "low": low, "high": high}, **options).verdict


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (-0.03, -0.01, SHOWN),
        (-0.09, -0.01, SHOWN),
        (0.01, 0.02, NOT_SHOWN),
        (-0.02, 0.01, NOT_SHOWN),
        (-0.05, 0.01, UNDECIDABLE),
        (-0.06, 0.01, UNDECIDABLE),
    ],
)
def test_a_change_of_a_published_size(low, high, expected):
    assert verdict(low, high, direction="smaller", published=-0.05) == expected
    assert verdict(-high, -low, direction="larger", published=0.05) == expected


def test_a_change_of_no_published_size():
    assert verdict(-0.05, 0.01, direction="smaller", published=None) == UNDECIDABLE
    assert verdict(0.01, 0.02, direction="smaller", published=None) == NOT_SHOWN


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(-0.01, 0.01, SHOWN), (-0.03, 0.01, UNDECIDABLE), (-0.05, -0.03, NOT_SHOWN), (0.01, 0.02, SHOWN)],
)
def test_no_loss_beyond_a_margin(low, high, expected):
    assert verdict(low, high, direction="larger", published=None, margin=0.02) == expected
    assert verdict(-high, -low, direction="smaller", published=None, margin=0.02) == expected


@pytest.mark.parametrize(
    ("by_seed", "expected"),
    [([-0.03, -0.01], SHOWN), ([-0.04, 0.0], UNDECIDABLE), ([-0.06, 0.01], UNDECIDABLE), ([None, -0.02], SHOWN)],
)
def test_a_change_is_shown_where_every_seed_has_it(by_seed, expected):
    assert verdict(-0.03, -0.01, direction="smaller", published=-0.05, by_seed=by_seed) == expected
    mirrored = [None if one is None else -one for one in by_seed]
    assert verdict(0.01, 0.03, direction="larger", published=None, by_seed=mirrored) == expected


def test_seeds_of_no_loss_are_held_against_the_margin_and_cannot_show_what_the_interval_does_not():
    options = {"direction": "larger", "published": None, "margin": 0.02}
    assert verdict(-0.01, 0.01, by_seed=[-0.015, 0.01], **options) == SHOWN
    assert verdict(-0.01, 0.01, by_seed=[-0.025, 0.01], **options) == UNDECIDABLE
    assert verdict(-0.05, -0.03, by_seed=[0.01], **options) == NOT_SHOWN


TESTED = {"value": -0.2, "low": -0.3, "high": -0.1}


@pytest.mark.parametrize(
    ("p_value", "p_holm", "expected", "why"),
    [
        (0.001, 0.05, SHOWN, "claimed side"),
        (0.02, 0.06, UNDECIDABLE, "p = 0.060"),
        (1 / 101, 0.06, UNDECIDABLE, "too few permutations"),
        (None, None, UNDECIDABLE, "no permutations were asked for"),
    ],
)
def test_an_interval_alone_shows_nothing_that_the_swap_test_does_not(p_value, p_holm, expected, why):
    tested = TESTED | {"p_value": p_value, "p_holm": p_holm}
    found = judge_claim(tested, direction="smaller", published=-0.2, permutations=100)
    assert found.verdict == expected
    assert why in found.why
    assert judge_claim(tested, direction="larger", published=0.2, permutations=100).verdict == NOT_SHOWN


def test_without_an_interval_nothing_is_decided_and_the_reason_is_told():
    found = judge_claim(
        {"value": None, "low": None, "high": None, "reason": "one group"}, direction="smaller", published=-1
    )
    assert (found.verdict, found.why) == (UNDECIDABLE, "one group")


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0.001, 1))
def test_an_interval_that_has_both_is_never_decided_and_one_without_0_always_is(one, other, size):
    low, high = sorted((one, other))
    found = verdict(low, high, direction="larger", published=size)
    if low <= 0 <= high and size <= high:
        assert found == UNDECIDABLE
    elif low <= 0 <= high or high < 0:
        assert found == NOT_SHOWN
    else:
        assert found == SHOWN


def test_nonsense_is_refused():
    with pytest.raises(ConfigError, match="mend the sign"):
        verdict(-1, 1, direction="smaller", published=0.1)
    with pytest.raises(ConfigError, match="largest loss, above 0"):
        verdict(-1, 1, direction="smaller", published=None, margin=-0.1)


@pytest.mark.parametrize(
    ("chances", "expected"),
    [
        ([0.01, 0.05], SHOWN),
        ([0.06], NOT_SHOWN),
        ([0.3, 0.9], NOT_SHOWN),
        ([0.01, 0.06], UNDECIDABLE),
        ([0.01, None], UNDECIDABLE),
        ([], UNDECIDABLE),
    ],
)
def test_a_gap_is_there_where_every_seed_says_so(chances, expected):
    assert judge_gap(chances, permutations=1000).verdict == expected


def test_too_few_permutations_decide_nothing():
    assert judge_gap([1 / 11], permutations=10).verdict == UNDECIDABLE
    assert judge_gap([1 / 20], permutations=19).verdict == SHOWN
    assert judge_gap([0.05], permutations=19, together=2).verdict == UNDECIDABLE
