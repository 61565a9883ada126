"""What changes between two ways of computing a network."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.groups import Groups
from mindgap.export.paired_change import paired_changes
from mindgap.metrics.predictions import predictions_from_arrays
from mindgap.metrics.unfairness import unfairness


def predictions(labels, predicted, groups, clusters=None):
    attributes = {"sex": Groups("sex", ("a", "b"), np.asarray(groups))}
    return predictions_from_arrays(
        labels, classes=("x", "y", "z"), predicted=predicted, groups=attributes, clusters=clusters
    )


def drawn(n=400, *, flipped=0.05):
    generator = np.random.default_rng(0)
    labels, groups = generator.integers(0, 3, n), generator.integers(-1, 2, n)
    before = np.where(generator.random(n) < 0.75, labels, (labels + 1) % 3)
    after = np.where(generator.random(n) < flipped, generator.integers(0, 3, n), before)
    clusters = np.arange(n) // 2
    return [predictions(labels, chosen, groups, clusters) for chosen in (before, after)]


def test_changes_by_hand():
    """Group a: 2/4 right, then 3/4; group b: 4/4 both times. A: 6/8, then 7/8; U: .25 + .25, then .125 + .125."""
    labels, groups = [0] * 8, [0] * 4 + [1] * 4
    before = predictions(labels, [0, 0, 1, 1, 0, 0, 0, 0], groups)
    after = predictions(labels, [0, 0, 0, 2, 0, 0, 0, 0], groups)
    found = paired_changes(before, after, replicates=200)
    assert found["accuracy"]["value"] == pytest.approx(0.125)
    assert found["unfairness"]["sex"]["value"] == pytest.approx(-0.25)
    assert found["unfairness"]["sex"]["n"] == 8


def test_values_are_differences_of_the_figures_themselves():
    before, after = drawn()
    found = paired_changes(before, after, replicates=0)
    gaps = [unfairness(part.labels, part.predicted, part.groups["sex"])[0] for part in (before, after)]
    accuracies = [(part.labels == part.predicted).mean() for part in (before, after)]
    assert found["unfairness"]["sex"]["value"] == pytest.approx(gaps[1] - gaps[0])
    assert found["accuracy"]["value"] == pytest.approx(accuracies[1] - accuracies[0])
    assert found["accuracy"]["reason"] == "no interval: no bootstrap was asked for"


def test_the_interval_of_a_paired_change_has_the_width_that_theory_gives():
    """Of unrelated rows the accuracy's change has variance (p₊ + p₋ − (p₊ − p₋)²)/n."""
    before, after = drawn(n=2000)
    found = paired_changes(before, after, replicates=2000)["accuracy"]
    gained = ((before.predicted != before.labels) & (after.predicted == after.labels)).mean()
    lost = ((before.predicted == before.labels) & (after.predicted != after.labels)).mean()
    width = 2 * 1.96 * np.sqrt((gained + lost - (gained - lost) ** 2) / before.n)
    assert found["low"] <= found["value"] <= found["high"]
    assert found["high"] - found["low"] == pytest.approx(width, rel=0.15)


def test_nothing_that_changed_has_no_interval():
    before, _ = drawn()
    found = paired_changes(before, before, replicates=100)
    for record in (found["accuracy"], found["unfairness"]["sex"]):
        assert (record["value"], record["low"]) == (0.0, None)
        assert record["reason"].startswith("no interval: every image that was right is right")


def test_u_without_small_groups_is_that_without_their_rows():
    """Group b: 2/4 right, then 4/4; c: 4/4 both times; a, of one row, is out. U: .25 + .25 over b and c, then 0."""
    labels, groups, names = [0] * 9, [0] + [1] * 4 + [2] * 4, ("a", "b", "c")
    before, after = (
        predictions_from_arrays(
            labels, classes=("x", "y"), predicted=chosen, groups={"sex": Groups("sex", names, np.array(groups))}
        )
        for chosen in ([0, 0, 0, 1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0])
    )
    found = paired_changes(before, after, replicates=100, min_group_of={"sex": 2, "age": 7})
    assert found["unfairness"]["sex"]["value"] == pytest.approx(-0.5)
    assert found["unfairness"]["sex"]["n"] == 8
    assert found["accuracy"]["n"] == 9


def test_a_group_without_an_image_is_left_out_and_one_group_has_no_change_of_u():
    """Of groups b and c there are images, of a none: the change is that of b and c, as their U's are."""
    labels, groups = [0] * 8, [1] * 4 + [2] * 4
    before, after = (
        predictions_from_arrays(
            labels, classes=("x", "y"), predicted=chosen,
            groups={"sex": Groups("sex", ("a", "b", "c"), np.array(groups))},
        )
        for chosen in ([0, 0, 1, 1, 0, 0, 0, 0], [0] * 8)
    )  # fmt: skip
    assert paired_changes(before, after, replicates=100)["unfairness"]["sex"]["value"] == pytest.approx(-0.5)
    first = np.arange(4)
    found = paired_changes(before.take(first), after.take(first), replicates=100)["unfairness"]["sex"]
    assert found["value"] is None
    assert found["reason"] == "fewer than two groups have images"
