"""Mean focus by group against naive resampling and theory, and the gap's noise floor against a loop."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mindgap.core.errors import ShapeError
from mindgap.core.groups import Groups
from mindgap.explain.focus import Focus
from mindgap.explain.focus_by_group import focus_by_group
from mindgap.explain.focus_records import FocusOptions

FEW = FocusOptions(bootstrap=300, permutations=200)


def defined(values: np.ndarray) -> Focus:
    return Focus(values, np.zeros(values.shape, dtype=np.int64))


def record_of(values: np.ndarray, ids: np.ndarray, *, clusters=None, labels=None, names=("a", "b"), options=FEW):
    alone = np.arange(len(values))
    return focus_by_group(
        defined(values),
        Groups("sex", names, ids),
        clusters=alone if clusters is None else clusters,
        labels=np.zeros_like(alone) if labels is None else labels,
        options=options,
    )


def test_by_hand() -> None:
    values = np.array([1.0, 2, 3, 0.5, 0.5, 1, 9, np.nan])
    ids = np.array([0, 0, 0, 1, 1, 1, -1, 1])
    found = Focus(values, np.array([0, 0, 0, 0, 0, 0, 0, 2]))
    groups = Groups("sex", ("a", "b", "c"), ids)
    record = focus_by_group(found, groups, clusters=np.arange(8), labels=np.zeros(8, dtype=np.int64), options=FEW)
    assert record["attribute"] == "sex"
    assert record["groups"]["a"]["value"] == pytest.approx(2)
    assert record["groups"]["b"]["value"] == pytest.approx(2 / 3)
    assert record["all"]["value"] == pytest.approx(8 / 6)
    assert record["gap"]["value"] == pytest.approx(4 / 3)
    assert (record["groups"]["a"]["n"], record["groups"]["c"]["n"], record["all"]["n"]) == (3, 0, 6)
    assert record["groups"]["c"] == {
        "value": None,
        "low": None,
        "high": None,
        "n": 0,
        "reason": "group 'c' has no image with a defined focus",
    }
    assert record["undefined"] == {"the mask has no pixel of a lesion": 1}
    for part, who in ((record["groups"]["a"], "group 'a'"), (record["gap"], "group 'a'")):
        assert part["low"] is None
        assert part["reason"] == f"no interval: {who} has 3 clusters"


def test_intervals_of_images_without_clusters_are_those_of_the_normal_distribution() -> None:
    generator = np.random.default_rng(0)
    values, ids = generator.exponential(1.0, 1200), np.arange(1200) % 3 // 2  # 800 and 400
    record = record_of(values, ids, options=FocusOptions(bootstrap=2000, permutations=0))
    for group, name in enumerate("ab"):
        own = values[ids == group]
        half = 1.96 * own.std() / np.sqrt(len(own))
        found = record["groups"][name]
        assert found["value"] == pytest.approx(own.mean())
        assert found["high"] - found["value"] == pytest.approx(half, rel=0.15)
        assert found["value"] - found["low"] == pytest.approx(half, rel=0.15)
    assert record["all"]["n"] == 1200
    assert "no noise floor" in record["gap"]["reason"]


def test_images_of_one_cluster_are_drawn_together() -> None:
    generator = np.random.default_rng(1)
    of_clusters = generator.exponential(1.0, 100)
    ids = np.arange(100) % 2
    alone = record_of(of_clusters, ids)
    fourfold = record_of(np.repeat(of_clusters, 4), np.repeat(ids, 4), clusters=np.repeat(np.arange(100), 4))
    assert fourfold["groups"]["a"]["n"] == 200
    for name in "ab":
        for end in ("value", "low", "high"):
            assert fourfold["groups"][name][end] == pytest.approx(alone["groups"][name][end], rel=0.05)
    apart = record_of(np.repeat(of_clusters, 4), np.repeat(ids, 4))
    assert apart["gap"]["high"] < fourfold["gap"]["high"]


def test_the_noise_floor_is_that_of_a_loop_over_permutations_within_classes() -> None:
    generator = np.random.default_rng(2)
    labels = np.arange(80) % 2
    ids = (generator.random(80) < np.where(labels, 0.8, 0.2)).astype(np.int64)
    values = 1 + labels + generator.normal(0, 0.1, 80)  # groups differ by their classes alone
    record = record_of(values, ids, labels=labels, options=FocusOptions(bootstrap=50, permutations=3000))
    gaps = []
    for _ in range(3000):
        shuffled = ids.copy()
        for label in (0, 1):
            rows = np.flatnonzero(labels == label)
            shuffled[rows] = generator.permutation(ids[rows])
        gaps.append(abs(values[shuffled == 0].mean() - values[shuffled == 1].mean()))
    gap = record["gap"]
    assert gap["value"] > 0.3
    assert gap["noise_mean"] == pytest.approx(np.mean(gaps), rel=0.01)
    assert gap["noise_p95"] == pytest.approx(np.quantile(gaps, 0.95), rel=0.01)
    assert gap["p_value"] == pytest.approx((1 + np.sum(np.array(gaps) >= gap["value"])) / 3001, abs=0.04)
    assert gap["p_value"] > 0.05


def test_a_gap_that_is_there_is_beyond_its_floor_and_one_that_is_not_seldom_is() -> None:
    generator = np.random.default_rng(3)
    ids = np.arange(60) % 2
    there = record_of(generator.exponential(1.0, 60) + ids, ids)["gap"]
    assert there["low"] > 0
    assert there["value"] > there["noise_p95"]
    assert there["p_value"] < 0.02
    few = FocusOptions(bootstrap=0, permutations=99)
    chances = [record_of(generator.exponential(1.0, 60), ids, options=few)["gap"]["p_value"] for _ in range(60)]
    assert sum(p <= 0.05 for p in chances) <= 8  # of 60 at 5 %: more in 1 of 350 runs
    assert max(chances) > 0.5


def test_figures_are_the_same_for_the_same_seed() -> None:
    generator = np.random.default_rng(4)
    values, ids = generator.exponential(1.0, 40), np.arange(40) % 2
    first, again = record_of(values, ids), record_of(values, ids)
    assert first == again
    other = record_of(values, ids, options=dataclasses.replace(FEW, seed=1))
    assert other["groups"]["a"]["low"] != first["groups"]["a"]["low"]
    assert other["groups"]["a"]["value"] == first["groups"]["a"]["value"]


def test_one_group_alone_has_no_gap() -> None:
    record = record_of(np.arange(10.0), np.zeros(10, dtype=np.int64))
    assert record["gap"]["value"] is None
    assert record["gap"]["reason"] == "fewer than two groups have an image with a defined focus"
    assert record["gap"]["p_value"] is None
    assert record["groups"]["a"]["low"] < 4.5 < record["groups"]["a"]["high"]
    none = record_of(np.arange(10.0), np.full(10, -1))
    assert none["all"]["reason"] == "the set has no image with a defined focus"


def test_labels_below_0_are_refused() -> None:
    with pytest.raises(ShapeError, match="labels must be 0 and up, got -1; leave images without a class out"):
        record_of(np.ones(3), np.array([0, 1, 0]), labels=np.array([0, -1, 1]))


def test_columns_of_other_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"shapes \(9,\), \(10,\)"):
        record_of(np.arange(10.0), np.zeros(10, dtype=np.int64), clusters=np.arange(9))
