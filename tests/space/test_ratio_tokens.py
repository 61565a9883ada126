"""Ratio tokens: hand cases and the properties every sequence keeps."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, DataError
from mindgap.space.ratio_tokens import ratio_tiers, ratio_token_count, ratios_from_tokens


@st.composite
def counts_and_tokens(draw):
    sizes = draw(st.lists(st.integers(1, 20_000), min_size=1, max_size=7))
    counts = {f"g{number}": size for number, size in enumerate(sizes)}
    count = ratio_token_count(counts)
    return counts, draw(st.lists(st.integers(0, 4), min_size=count, max_size=count))


def test_two_groups_by_hand():
    counts = {"light": 80, "dark": 20}
    shares = [ratios_from_tokens([token], counts)["dark"] for token in range(5)]
    assert shares == pytest.approx([0.2, 0.275, 0.35, 0.425, 0.5])


def test_three_groups_by_hand():
    # p = .1, .3, .6. Token 2 for a: .1 + ½(1/3 − .1) = 13/60; R = 47/60, lowest for b = R/3 = 47/180, highest R/2.
    shares = ratios_from_tokens([2, 1], {"c": 60, "a": 10, "b": 30})
    lowest, highest = 47 / 180, 47 / 120
    assert shares["a"] == pytest.approx(13 / 60)
    assert shares["b"] == pytest.approx(lowest + (highest - lowest) / 4)
    assert list(shares) == ["c", "a", "b"]


def test_the_order_constraint_lifts_the_lower_end():
    # a at its highest takes 1/3; the natural rest would give b .3·(2/3)/.9 = 2/9, less than a, so b starts at 1/3.
    shares = ratios_from_tokens([4, 0], {"a": 10, "b": 30, "c": 60})
    assert shares["b"] == pytest.approx(1 / 3)


def test_tied_groups_share_equally_by_one_token():
    counts = {"a": 20, "b": 60, "c": 20}
    assert ratio_tiers(counts) == (("a", "c"), ("b",))
    assert ratio_token_count(counts) == 1
    assert ratios_from_tokens([2], counts) == pytest.approx({"a": (0.2 + 1 / 3) / 2, "b": 1 - 0.2 - 1 / 3, "c": 4 / 15})


def test_groups_of_one_size_need_no_token():
    assert ratios_from_tokens([], {"a": 5, "b": 5}) == {"a": 0.5, "b": 0.5}


def test_a_group_without_images_gets_nothing():
    assert ratios_from_tokens([4], {"a": 0, "b": 5, "c": 15}) == {"a": 0.0, "b": 0.5, "c": 0.5}


@given(counts_and_tokens())
@settings(deadline=None, derandomize=True)
def test_every_sequence_sums_to_one_and_keeps_the_order(case):
    counts, tokens = case
    shares = ratios_from_tokens(tokens, counts)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-12)
    for one, other in product(counts, repeat=2):
        if counts[one] <= counts[other]:
            assert shares[one] <= shares[other] + 1e-15
        if counts[one] == counts[other]:
            assert shares[one] == shares[other]


@given(counts_and_tokens())
@settings(deadline=None, derandomize=True)
def test_all_zero_is_exactly_natural_and_all_four_exactly_uniform(case):
    counts, tokens = case
    total = sum(counts.values())
    assert ratios_from_tokens([0] * len(tokens), counts) == {name: size / total for name, size in counts.items()}
    assert ratios_from_tokens([4] * len(tokens), counts) == dict.fromkeys(counts, 1 / len(counts))


@given(counts_and_tokens())
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_higher_token_never_lowers_its_group(case):
    counts, tokens = case
    if tokens:
        first = ratio_tiers(counts)[0][0]
        shares = [ratios_from_tokens([step, *tokens[1:]], counts)[first] for step in range(5)]
        assert shares == sorted(shares)


@pytest.mark.parametrize("tokens", [[], [1, 2], [5], [-1]])
def test_tokens_that_do_not_fit_are_refused(tokens):
    with pytest.raises(ConfigError, match=r"numbers of 0\.\.4"):
        ratios_from_tokens(tokens, {"a": 1, "b": 2})


@pytest.mark.parametrize(
    ("counts", "said"), [({}, "no group"), ({"a": 0}, "no group"), ({"a": -1, "b": 2}, "0 or more")]
)
def test_counts_that_make_no_groups_are_refused(counts, said):
    with pytest.raises(DataError, match=said):
        ratio_tiers(counts)
