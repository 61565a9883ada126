"""Groups left out of the gaps on request: as if their rows were not there, but for their own figures."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import ConfigError
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import predictions_from_arrays

FLOOR = ("noise_mean", "noise_p95", "p_value")


def sample(sizes, accuracies, *, seed=0, scores=True):
    """Binary predictions of groups of these sizes and accuracies, in clusters of one or two rows."""
    generator = np.random.default_rng(seed)
    ids = np.repeat(np.arange(len(sizes)), sizes)
    labels = generator.integers(2, size=len(ids))
    right = generator.random(len(ids)) < np.repeat(accuracies, sizes)
    chance = 0.5 + np.where(right == labels, 0.45, -0.45) * generator.random(len(ids))
    groups = {"g": Groups("g", tuple(f"g{k:02d}" for k in range(len(sizes))), ids)}
    given = {"probabilities": np.stack([1 - chance, chance], axis=1)} if scores else {"predicted": (chance > 0.5) * 1}
    return predictions_from_arrays(labels, classes=("x", "y"), groups=groups, clusters=np.arange(len(ids)), **given)


def without(predictions, smallest):
    """The same without the rows and the names of the small groups, which come last."""
    groups = predictions.groups["g"]
    large = groups.counts() >= smallest
    rest = predictions.take(np.flatnonzero(large[groups.ids]))
    names = tuple(name for name, kept in zip(groups.names, large, strict=True) if kept)
    return replace(rest, groups={"g": Groups("g", names, rest.groups["g"].ids)})


@pytest.mark.parametrize("scores", [True, False])
def test_gaps_and_floors_are_those_without_the_rows_and_small_groups_keep_their_figures(scores):
    whole = sample([200, 150, 6, 4], [0.8, 0.7, 1.0, 0.2], scores=scores)
    asked = audit_predictions(whole, bootstrap=50, permutations=60, min_group=30)["attributes"]["g"]
    alone = audit_predictions(without(whole, 30), bootstrap=50, permutations=60)["attributes"]["g"]
    assert asked["left_out"] == ["g02", "g03"]
    assert asked["notes"]["groups"] == "under 30 rows, so in no gap as asked: g02 (6), g03 (4)"
    assert asked["groups"]["g02"]["accuracy"]["value"] is not None
    for name, gap in asked["gaps"].items():
        for key in ("value", *FLOOR):
            expected = alone["gaps"][name][key]
            assert gap[key] == (expected if expected is None else pytest.approx(expected)), (name, key)
    assert asked["gaps"]["unfairness"]["low"] is not None


def test_an_attribute_may_have_a_number_of_its_own():
    whole = sample([200, 150, 6, 4], [0.8, 0.7, 1.0, 0.2])
    whole = replace(whole, groups=dict(whole.groups, h=Groups("h", whole.groups["g"].names, whole.groups["g"].ids)))
    few = {"bootstrap": 20, "permutations": 20}
    asked = audit_predictions(whole, **few, min_group_of={"h": 5})
    assert [asked["attributes"][name]["left_out"] for name in "gh"] == [[], ["g03"]]
    assert asked["settings"]["min_group"] == 1
    assert asked["attributes"]["g"] == audit_predictions(whole, **few)["attributes"]["g"]
    assert asked["attributes"]["h"] == audit_predictions(whole, **few, min_group=5)["attributes"]["h"]


def test_two_groups_alike_are_not_called_different_because_many_small_ones_differ():
    p_values = []
    for seed in range(40):
        whole = sample([100, 100, *[29] * 40], [0.5, 0.5, *[1.0] * 40], seed=seed, scores=False)
        gaps = audit_predictions(whole, bootstrap=0, permutations=99, min_group=30)["attributes"]["g"]["gaps"]
        p_values.append([gaps[name]["p_value"] for name in ("unfairness", "worst_group_accuracy")])
    assert (np.array(p_values) <= 0.05).sum(axis=0).max() <= 7  # 2 of 40 expected


def test_groups_are_compared_in_pairs_where_only_few_of_many_are_compared():
    whole = sample([300, 200, 250, 150, *[20] * 20], [0.8, 0.7, 0.75, 0.8, *[0.5] * 20])
    asked = audit_predictions(whole, bootstrap=0, permutations=60, min_group=30)["attributes"]["g"]
    alone = audit_predictions(without(whole, 30), bootstrap=0, permutations=60)["attributes"]["g"]
    for key in ("value", *FLOOR):
        assert asked["gaps"]["abroca"][key] == pytest.approx(alone["gaps"]["abroca"][key]), key
    assert "abroca" not in asked["notes"]


def test_the_rest_of_many_groups_is_that_of_the_groups_compared():
    sizes = [60] * 22 + [5] * 3
    whole = sample(sizes, [0.8] * 22 + [0.0] * 3)
    asked = audit_predictions(whole, bootstrap=0, permutations=20, min_group=30)["attributes"]["g"]
    alone = audit_predictions(without(whole, 30), bootstrap=0, permutations=20)["attributes"]["g"]
    assert "22 groups, so each is compared with the rest" in asked["notes"]["abroca"]
    for key in ("value", *FLOOR):
        assert asked["gaps"]["abroca"][key] == pytest.approx(alone["gaps"]["abroca"][key], abs=2e-3), key


@pytest.mark.parametrize("interval", ["percentile", "bca"])
def test_no_interval_leaves_its_metrics_range_where_scores_are_binned(interval):
    whole = sample([130] * 22, [0.97] * 22)
    attribute = audit_predictions(whole, bootstrap=200, permutations=0, interval=interval)["attributes"]["g"]
    highs = [group["macro_auroc"]["high"] for group in attribute["groups"].values()]
    assert max(high for high in highs if high is not None) <= 1


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"min_group": 0}, "min_group=0: give 1 or more"),
        ({"bootstrap": -1}, "bootstrap=-1: give 0 or more"),
        ({"interval": "bcaa"}, "interval 'bcaa' is unknown; did you mean 'bca'?"),
        ({"floor": "x"}, "floor 'x' is unknown"),
    ],
)
def test_an_option_without_such_a_value_is_refused(option, says):
    with pytest.raises(ConfigError, match=re.escape(says)):
        audit_predictions(sample([30, 30], [0.8, 0.8]), **option)
