"""Curves of groups are whole, thinned without being seen to be, and shaded where they lie furthest apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.groups import Groups
from mindgap.metrics.roc import area_between, auroc, roc_curve
from mindgap.report.group_curves import REST, class_curves, thinned


def curves_of(groups: Groups, positive: np.ndarray, scores: np.ndarray):
    return class_curves(groups, positive=positive, scores=scores, order=np.argsort(-scores))


def test_curves_by_hand() -> None:
    """Group a puts both its positives first, group b both last; the row of unknown group counts for neither."""
    groups = Groups("g", ("a", "b", "empty"), np.array([0, 0, 0, 1, 1, 1, -1]))
    positive = np.array([True, True, False, True, True, False, True])
    scores = np.array([0.9, 0.8, 0.1, 0.3, 0.2, 0.9, 0.5])
    found = curves_of(groups, positive, scores)
    assert found.pair == ("a", "b")
    assert list(found.by_group) == ["a", "b"]
    a, b = found.by_group["a"], found.by_group["b"]
    assert (a.area, b.area) == (1.0, 0.0)
    assert (a.positives, a.negatives) == (2, 1)
    assert area_between(a.curve, b.curve) == pytest.approx(1.0)


def test_a_group_without_one_kind_of_rows_has_a_reason_and_is_in_no_pair() -> None:
    groups = Groups("g", ("a", "b"), np.array([0, 0, 1, 1]))
    found = curves_of(groups, np.array([True, False, True, True]), np.array([0.9, 0.1, 0.3, 0.2]))
    assert found.pair is None
    assert not found.by_group["b"].defined
    assert found.by_group["b"].missing == "images of this class only"


def test_the_pair_is_the_one_with_the_largest_area_between_its_curves() -> None:
    generator = np.random.default_rng(0)
    ids, positive = generator.integers(0, 4, 800), generator.random(800) < 0.4
    scores = generator.random(800) + positive * np.array([0.3, 0.6, 0.35, 0.0])[ids]
    groups = Groups("g", tuple("abcd"), ids)
    assert set(curves_of(groups, positive, scores).pair or ()) == {"b", "d"}


def test_of_many_groups_the_furthest_is_set_against_all_others() -> None:
    generator = np.random.default_rng(0)
    ids, positive = generator.integers(0, 25, 5000), generator.random(5000) < 0.4
    scores = generator.random(5000) + 0.6 * positive * (ids != 7)
    found = curves_of(Groups("g", tuple(f"g{k}" for k in range(25)), ids), positive, scores)
    assert found.pair == ("g7", REST)
    assert found.by_group[REST].area == pytest.approx(auroc(positive[ids != 7], scores[ids != 7]))


@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 6000), levels=st.integers(2, 10_000))
@settings(deadline=None, derandomize=True)
def test_a_thinned_curve_is_short_keeps_its_ends_and_lies_where_the_whole_does(seed: int, n: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    positive = generator.random(n) < 0.3
    positive[:2] = True, False
    scores = generator.integers(0, levels, n) / levels + 0.3 * positive
    whole = roc_curve(positive, scores)
    thin = thinned(whole)
    assert len(thin[0]) <= 200
    assert (thin[0][0], thin[1][0], thin[0][-1], thin[1][-1]) == (0, 0, 1, 1)
    assert area_between(whole, thin) <= 0.005
