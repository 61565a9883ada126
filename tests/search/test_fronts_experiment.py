"""The experiment that compares fronts at one budget, on a few small images."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from mindgap.data.image_store import Store
from mindgap.testing.tiny_store import write_tiny_store

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture
def fronts(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    return importlib.import_module("fronts")


@pytest.fixture
def arms(fronts):
    """What it is made of."""
    return importlib.import_module("front_arms")


def row(arm, seed, accuracy, unfairness):
    return {"arm": arm, "seed": str(seed), "test_accuracy": str(accuracy), "test_unfairness": str(unfairness)}


def test_the_hypervolume_is_the_share_of_the_box_that_a_front_holds(fronts):
    # from (.5, .5) the points (.9, .3) and (.8, .1) hold .4·.2 + .3·.4 − .3·.2 = .14 of .5·.5
    rows = [row("a", 0, 0.9, 0.3), row("a", 0, 0.8, 0.1), row("a", 1, 0.5, 0.0), row("b", 0, 1, 0)]
    found = fronts.volumes(rows, (0.5, 0.5))
    assert found["a"]["0"] == pytest.approx(0.14 / 0.25)
    assert found["a"]["1"] == 0  # the commonest class for everyone is worth nothing, however small its U
    assert found["b"] == {"0": pytest.approx(1)}


def test_the_commonest_class_is_that_of_training(fronts, tmp_path):
    store = Store.open(write_tiny_store(tmp_path / "store"))
    assert fronts.majority(store) == pytest.approx(0.5, abs=0.1)


@pytest.mark.slow
def test_every_arm_spends_the_budget_and_reads_the_test_images_of_its_front(fronts, arms, tmp_path):
    store = write_tiny_store(tmp_path / "store", n=600, twins=True)
    budget = arms.Budget(runs=2, epochs=2, trials=4, rungs="1,2")
    (tmp_path / "work").mkdir()
    every = arms.Arms(store, tmp_path / "work", attribute="sex", seed=0, blend=True, budget=budget).makers()
    opened, rows = Store.open(store), []
    for name, make in every.items():
        spent = make()
        assert spent.passes > 0, name
        found = fronts.front_rows(opened, "sex", name, 0, spent)
        assert 1 <= len(found) <= len(spent.candidates), name
        rows += found
    passes = {one["arm"]: one["arm_passes"] for one in rows}
    assert passes["erm"] == passes["resample"] == passes["domainindep"] >= 2 * 2 * len(opened.rows("train"))
    assert passes["everything"] == passes["without loss"] == passes["without batches"]
    assert passes["everything, pruned"] > passes["everything, heads"] == passes["everything"]
    assert {one["macs"] for one in rows if one["arm"] == "erm"} == {
        one["macs"] for one in rows if one["arm"] == "resample"
    }
    front = [(one["validation_accuracy"], -one["validation_unfairness"]) for one in rows if one["arm"] == "erm"]
    assert sorted(front) == sorted(front, key=lambda point: -point[1])  # more accurate is less even, or it is one point
