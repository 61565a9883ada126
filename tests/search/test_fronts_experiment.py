"""The experiment that compares fronts at one budget, on a few small images."""

from __future__ import annotations

import importlib
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from mindgap.core.files import read_json
from mindgap.data.image_store import Store
from mindgap.search.rungs import RungPlan
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


def row(arm, seed, accuracy, unfairness, **more):
    found = {"arm": arm, "seed": str(seed), "test_accuracy": str(accuracy), "test_unfairness": str(unfairness)}
    return found | more


def test_the_hypervolume_is_the_share_of_the_box_that_a_front_holds(fronts):
    # from (.5, .5) the points (.9, .3) and (.8, .1) hold .4·.2 + .3·.4 − .3·.2 = .14 of .5·.5
    rows = [row("a", 0, 0.9, 0.3), row("a", 0, 0.8, 0.1), row("a", 1, 0.5, 0.0), row("b", 0, 1, 0)]
    found = fronts.volumes(rows, (0.5, 0.5))
    assert found["a"]["0"] == pytest.approx(0.14 / 0.25)
    assert found["a"]["1"] == 0  # the commonest class for everyone is worth nothing, however small its U
    assert found["b"] == {"0": pytest.approx(1)}


def test_the_commonest_class_is_that_of_training(fronts, tmp_path):
    place = write_tiny_store(tmp_path / "store")
    table = pd.read_parquet(place / "table.parquet")
    draws = np.random.default_rng(0).random(len(table))
    table["label"] = np.where(draws < np.where(table["split"] == "train", 0.8, 0.2), "red", "dark")
    table.to_parquet(place / "table.parquet")
    store = Store.open(place)
    for split in ("validation", "test"):
        share = (table.loc[table["split"] == split, "label"] == "red").mean()
        assert 0.05 < share < 0.4  # red is rare there, and the commonest in training
        assert fronts.majority(store, split) == pytest.approx(share)


def test_the_last_columns_are_of_one_network_that_validation_chose(fronts, capsys):
    def network(arm, seed, validation, test, high=0.4):
        return row(
            arm, seed, *test, validation_accuracy=str(validation[0]), validation_unfairness=str(validation[1]),
            test_worst_group_accuracy="0.6", macs="3e6", params="55207", arm_passes="5000", arm_seconds="120",
            test_unfairness_low="0.01", test_unfairness_high=str(high), test_unfairness_noise_p95="0.05",
        )  # fmt: skip

    rows = [
        network("erm", 0, (0.8, 0.3), (0.81, 0.1)),
        network("erm", 0, (0.7, 0.2), (0.71, 0.35)),  # chosen: U 0.2 is the least above the floor, whatever test says
        network("erm", 0, (0.5, 0.0), (0.5, 0.0)),
        network("erm", 1, (0.8, 0.3), (0.91, 0.25)),
        network("groupdro", 0, (0.7, 0.2), (0.7, 0.2), high=0.3),
        network("groupdro", 1, (0.7, 0.2), (0.7, 0.3), high=0.5),
        network("reweight", 0, (0.7, 0.2), (0.7, 0.2), high=math.nan),
        network("domainindep", 0, (0.5, 0.0), (0.9, 0.2)),
        row("maxgroup", 0, "", "", validation_accuracy="", macs="", params="", arm_passes="700", arm_seconds="6"),
    ]
    fronts.show(rows, {"validation": 0.6, "test": 0.55})
    table = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[3:]]
    erm, groupdro, reweight, told, lost = table
    assert erm[-5:] == ["3.0", "55", "0.810", "0.300 [0.010, 0.400] / 0.050", "0.600"]
    assert groupdro[-2] == "0.250 [0.010, 0.400] / 0.050"  # means over seeds
    assert reweight[-2] == "0.200 [0.010, none] / 0.050"
    assert told[0] == "domainindep (told each image's group)"
    assert told[-5:] == ["– (0 of 1 seeds)", "–", "–", "–", "–"]
    assert lost[2] == "0.000"  # every run diverged: it holds nothing, and counts
    assert lost[5] == "1"


def test_differences_are_paired_by_seed(fronts, capsys):
    rows = [
        row(arm, seed, 0.75, u, validation_accuracy="0", macs="1", params="1", arm_passes="1", arm_seconds="1")
        for arm, us in {"erm": (0.2, 0.4, 0.6), "everything": (0.1, 0.31, 0.49)}.items()
        for seed, u in enumerate(us)
    ]
    fronts.show(rows, {"validation": 0.5, "test": 0.5})
    line = capsys.readouterr().out.splitlines()[-1].split(" | ")
    share = 0.25 / (0.5 * 0.66)
    gain, half = 0.1 * share, 4.3027 * 0.01 / math.sqrt(3) * share  # nearly alike, though seeds differ by more
    p = 2 * stats.t.sf(0.1 / (0.01 / math.sqrt(3)), 2)
    assert line[3] == f"{gain:.3f} [{gain - half:.3f}, {gain + half:.3f}], p {p:.2f}"


def test_p_of_differences_is_holms_over_arms(fronts):
    generator = np.random.default_rng(0)
    found = {arm: {str(seed): float(generator.random()) for seed in range(4)} for arm in ("erm", "a", "b", "c")}
    found["c"] = {seed: value + 0.25 for seed, value in found["erm"].items()}  # alike in all seeds: no interval, no p
    apart = fronts.differences(found, "erm")
    plain = {arm: stats.ttest_rel(list(found[arm].values()), list(found["erm"].values())).pvalue for arm in ("a", "b")}
    least, most = sorted(plain, key=plain.__getitem__)
    assert apart[least]["p"] == pytest.approx(min(1, 2 * plain[least]))
    assert apart[most]["p"] == pytest.approx(max(apart[least]["p"], plain[most]))
    assert apart["c"]["p"] is None
    assert "erm" not in apart


def test_a_search_has_the_budget_of_the_rivals(arms):
    budget = arms.Budget()
    first, last = (int(epochs) for epochs in budget.rungs.split(","))
    plan = RungPlan(epochs=(first, last))
    promoted = math.ceil(budget.trials / plan.promotion.factor)
    spent = budget.trials * plan.training(0)["epochs"] + promoted * (last - plan.plateau(0))
    assert spent == budget.runs * budget.epochs == 48


def test_rows_of_another_question_are_refused(fronts, tmp_path):
    asked = {"attribute": "age", "blend": "False", "fingerprint": "f"}
    whole = asked | dict.fromkeys(fronts.OF_NETWORK, "1")
    fronts.check_rows([whole], asked, tmp_path)
    for key in asked:
        with pytest.raises(fronts.ConfigError, match=f"its rows are of {key}=other"):
            fronts.check_rows([whole | {key: "other"}], asked, tmp_path)
    del whole["test_unfairness_noise_p95"]
    with pytest.raises(fronts.ConfigError, match="of an earlier version of this script"):
        fronts.check_rows([whole], asked, tmp_path)


@pytest.mark.slow
def test_every_arm_keeps_to_the_budget_and_its_figures_are_of_the_test_split(fronts, arms, tmp_path, monkeypatch):
    store = write_tiny_store(tmp_path / "store", n=600, twins=True)
    budget = arms.Budget(runs=4, epochs=2, trials=3, rungs="1,2")
    monkeypatch.setattr(arms, "LR_ABOVE", 1.0)  # a rate that diverges spends less
    (tmp_path / "work").mkdir()
    every = arms.Arms(store, tmp_path / "work", attribute="sex", seed=0, blend=True, budget=budget).makers()
    opened, rows = Store.open(store), []
    for name, make in every.items():
        found = fronts.front_rows(opened, "sex", name, 0, make())
        assert all(one["test_accuracy"] != "" for one in found), name
        assert all(one["test_unfairness_low"] <= one["test_unfairness"] for one in found), name
        assert all(one["test_unfairness"] <= one["test_unfairness_high"] for one in found), name
        right = [one["test_accuracy"] == 1 for one in found]
        assert [one["test_unfairness_noise_p95"] == 0 for one in found] == right, name  # without errors there is no gap
        rows += found
    passes = {one["arm"]: one["arm_passes"] for one in rows}
    n = len(opened.rows("train"))
    assert passes["erm"] == passes["resample"] == passes["domainindep"]
    assert 4 * 2 * n <= passes["erm"] <= 4 * 2 * (n + 64)  # the last batch of an epoch is filled up
    assert passes["everything"] == passes["without loss"] == passes["without batches"]
    assert 0.8 * passes["erm"] < passes["everything"] <= passes["erm"]
    assert passes["everything + pruned"] > passes["everything + heads"] == passes["everything"]
    of_erm = [one for one in rows if one["arm"] == "erm"]
    runs = [read_json(tmp_path / "work" / "seed_0" / "erm_half" / str(k) / "metrics.json") for k in range(4)]
    splits = ("validation", "test")
    known = {tuple(round(run[split]["overall"]["accuracy"]["value"], 5) for split in splits) for run in runs}
    assert {(one["validation_accuracy"], one["test_accuracy"]) for one in of_erm} <= known
    whole = read_json(tmp_path / "work" / "seed_0" / "everything" / "metrics.json")["test"]["overall"]["accuracy"]
    assert round(whole["value"], 5) in {one["test_accuracy"] for one in rows if one["arm"] == "everything"}
