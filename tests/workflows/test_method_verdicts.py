"""What is said of a method: the figure that a verdict rests on is the one whose seeds are told."""

from __future__ import annotations

import pytest

from mindgap.testing.tiny_methods import methods_record
from mindgap.workflows.method_verdicts import method_verdicts


@pytest.fixture
def found():
    """Audits and comparison of a method that is shown to lower the worst group's accuracy, and not to move the gap."""
    record = methods_record(seeds=3)
    audits = {name: method["seeds"] for name, method in record["methods"].items()}
    attribute = record["comparison"]["attributes"]["sex"]
    attribute["gaps"]["unfairness"]["second"] |= {"reading": "no difference shown"}
    worst = attribute["gaps"]["worst_group_accuracy"]["second"]
    worst |= {"reading": "worse", "value": -0.1, "low": -0.2, "high": -0.05}
    attribute["verdict"]["second"] |= {"word": "hurts", "harmless": None}
    for seed, audit in enumerate(audits["second"]):
        audit["attributes"]["sex"]["gaps"]["worst_group_accuracy"]["value"] = 0.4 + 0.01 * seed
    return audits, record["comparison"]


def test_a_harm_to_the_worst_group_has_its_own_seeds(found):
    audits, comparison = found
    said = method_verdicts("second", audits, comparison, baseline="erm")["sentences"]["sex"]
    assert "its worst group's accuracy is over a point lower" in said
    assert "Over 3 seeds the worst group's accuracy differs by −" in said
    assert said.count("training again might not show it") == 0, "the seeds show the harm, and the gap was not shown"


def test_seeds_that_lack_are_counted_and_who_is_told_groups_is_named(found):
    audits, comparison = found
    audits["second"][1] = None
    said = method_verdicts("second", audits, comparison, baseline="erm", told_groups=True)["sentences"]["sex"]
    assert said.endswith("2 of 3 seeds could be compared. It is told the group of every test image.")


def test_the_baseline_and_a_method_without_a_pair_have_no_verdict(found):
    audits, comparison = found
    nothing = {"verdict": {}, "over_seeds": {}}
    assert method_verdicts("erm", audits, comparison, baseline="erm") == nothing | {"sentences": {}}
    audits["other"] = [None] * 3
    said = method_verdicts("other", audits, comparison, baseline="erm", why_none="no seed")
    assert said == nothing | {"sentences": {"": "other is not compared: no seed."}}
