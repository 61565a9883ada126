"""The point chosen, the rows it is chosen on, and the labels that can be tuned."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import ConfigError, DataError
from mindgap.core.groups import Groups
from mindgap.tune.choice import choose_by_rule, pick, split_half
from mindgap.tune.eligible import refused_labels


def chosen(accuracy, gap, trained=0.9, **options):
    return choose_by_rule(np.array(accuracy), np.array(gap), trained_accuracy=trained, **options)


def test_the_smallest_gap_within_five_points_is_chosen():
    found = chosen([0.90, 0.86, 0.84], [0.20, 0.10, 0.05])
    assert found.index == 1
    assert "within 5 points" in found.reason


def test_exactly_five_points_are_within():
    assert chosen([0.9, 0.85], [0.2, 0.1]).index == 1
    assert chosen([0.9, 0.85], [0.2, 0.1], tolerance=0.04).index == 0


def test_of_a_tie_the_more_accurate_then_the_first():
    assert chosen([0.88, 0.89, 0.89], [0.1, 0.1, 0.1]).index == 1


def test_without_a_point_near_enough_it_is_the_most_accurate():
    found = chosen([0.7, 0.8, 0.8], [0.0, 0.3, 0.2])
    assert found.index == 2
    assert found.reason == "no point within 5 points of the trained head's accuracy: the most accurate"


def test_a_point_without_a_figure_is_not_chosen():
    assert chosen([0.9, 0.9], [np.nan, 0.5]).index == 1
    with pytest.raises(DataError, match="no point of the front has both"):
        chosen([0.9], [np.nan])


def test_a_picked_point_must_be_there():
    assert pick(2, size=3).index == 2
    for index in (-1, 3):
        with pytest.raises(ConfigError, match=f"pick={index}: the front has the points 0 to 2"):
            pick(index, size=3)


def test_halves_share_no_cluster_and_have_the_same_mix():
    generator = np.random.default_rng(0)
    clusters = np.arange(400) // 2
    labels = np.repeat(generator.integers(0, 2, (200, 3)), 2, axis=0).astype(np.uint8)
    groups = Groups("g", ("a", "b"), np.repeat(generator.integers(-1, 2, 200), 2))
    tune, choose = split_half(labels, groups, clusters=clusters, seed=1)
    assert sorted([*tune, *choose]) == list(range(400))
    assert not set(clusters[tune]) & set(clusters[choose])
    assert abs(len(tune) - len(choose)) <= 4
    for group in range(2):
        for label in range(3):
            counts = [int((labels[half, label] & (groups.ids[half] == group)).sum()) for half in (tune, choose)]
            assert abs(counts[0] - counts[1]) <= 10
    again, _ = split_half(labels, groups, clusters=clusters, seed=1)
    assert np.array_equal(tune, again)


def test_one_cluster_has_no_halves():
    with pytest.raises(ConfigError, match="at most one per cluster"):
        split_half(np.zeros(4, dtype=np.int64), Groups("g", ("a",), np.zeros(4, int)), clusters=np.zeros(4, int))


def test_a_label_needs_enough_positives_and_negatives_of_every_group_in_every_part():
    groups = Groups("sex", ("f", "m"), np.array([0] * 50 + [1] * 50 + [-1] * 10))
    fine = np.tile([0, 1], 55)
    rare = fine.copy()
    rare[50:] = 0
    rare[50:53] = 1
    rare[100:] = 1  # of unknown group: no help
    common = fine.copy()
    common[:40] = 1
    parts = {"validation": np.stack([fine, rare, fine], axis=1), "test": np.stack([fine, fine, common], axis=1)}
    found = refused_labels(parts, dict.fromkeys(parts, groups), names=("fine", "rare", "common"))
    assert found == {
        "rare": "validation: 3 positives in group 'm', needs 20",
        "common": "test: 5 negatives in group 'f', needs 20",
    }
    assert not refused_labels(parts, dict.fromkeys(parts, groups), names=("fine", "rare", "common"), min_rows=3)


def test_one_row_is_not_enough():
    groups = {"validation": Groups("sex", ("f", "m"), np.array([0]))}
    found = refused_labels({"validation": np.ones((1, 1), dtype=np.uint8)}, groups, names=("x",))
    assert found == {"x": "validation: 0 positives in group 'm', needs 20"}
