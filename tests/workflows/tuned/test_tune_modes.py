"""One head of all labels, thresholds, classes that exclude each other, and other objectives and optimisers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.core.files import read_json, write_json
from mindgap.train.trained_model import read_trained_model


def test_one_head_of_all_labels_has_one_choice(run: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    labels = quick(run, tmp_path / "out", mode="dynamic")["labels"]
    assert {label["unit"] for label in labels.values()} == {"all"}
    assert labels["red"]["chosen"] == labels["even"]["chosen"]
    assert len(labels["red"]["front"]) == len(labels["even"]["front"])
    assert len(list((tmp_path / "out" / "fronts").iterdir())) == 1


def test_thresholds_change_biases_alone(run: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    record = quick(run, tmp_path / "out", mode="thresholds")
    before, after = (read_trained_model(folder).network.state_dict() for folder in (run, tmp_path / "out"))
    assert torch.equal(before["classifier.weight"], after["classifier.weight"])
    assert [model["name"] for model in record["comparison"]["models"]] == ["trained", "tuned"]
    assert record["optimizer"] is None


@pytest.mark.parametrize("mode", ["multitask", "dynamic"])
def test_classes_that_exclude_each_other_have_one_head(
    single_label_run: Path, quick: Callable[..., Any], tmp_path: Path, mode: str
) -> None:
    record = quick(single_label_run, tmp_path / "out", mode=mode)
    label = record["labels"]["single-label"]
    assert label["front"][0]["accuracy"] >= label["trained"]["tuned_on"]["accuracy"]
    audit = read_json(tmp_path / "out" / "metrics.json")["test"]
    assert label["figures"]["test"]["uei"] == pytest.approx(audit["attributes"]["sex"]["gaps"]["uei"]["value"])
    assert label["thresholds"] is None


def test_without_a_held_back_half_all_of_validation_is_tuned_on(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    record = quick(run, tmp_path / "out", hold_back=False, labels="red")
    rows = record["rows"]
    assert rows["tuned_on"] == rows["held_back"] == 110  # of 120, the others are of unknown group
    assert rows["unknown_group"]["tuned_on"] == 10
    assert "held_back" not in record["labels"]["red"]["front"][0]
    assert record["labels"]["red"]["figures"]["held_back"] is None
    assert list(record["labels"]) == ["red"]


def test_three_objectives_and_another_optimizer(run: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    record = quick(
        run, tmp_path / "out", objectives="accuracy,uei,worst_group_accuracy", optimizer="nsga2", labels="red"
    )
    assert "worst_group_accuracy" in record["labels"]["red"]["front"][0]


def test_without_test_images_there_are_fronts_and_no_comparison(
    make_run: Callable[..., Path], quick: Callable[..., Any], tmp_path: Path
) -> None:
    record = quick(make_run(with_test=False), tmp_path / "out", labels="red")
    assert (record["comparison"], record["test_reads"], record["labels"]["red"]["test"]) == (None, 0, {})
    assert record["labels"]["red"]["figures"]["test"] is None
    assert "UEI per label on the test split" not in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["multitask", "dynamic", "thresholds"])
def test_a_hidden_head_is_trained_first_and_then_tuned(
    run: Path, quick: Callable[..., Any], tmp_path: Path, mode: str
) -> None:
    record = quick(run, tmp_path / "out", mode=mode, hidden=4)
    before, after = (read_trained_model(folder) for folder in (run, tmp_path / "out"))
    assert after.architecture.head.hidden == 4
    assert after.network.classifier.weight.shape == (2, 4)
    kept = {name: of for name, of in before.network.state_dict().items() if not name.startswith("classifier.")}
    assert all(torch.equal(of, after.network.state_dict()[name]) for name, of in kept.items())
    names = ["trained", "hidden", "tuned"] if mode == "thresholds" else ["trained", "hidden", "thresholds", "tuned"]
    assert [model["name"] for model in record["comparison"]["models"]] == names
    audit = read_json(tmp_path / "out" / "metrics.json")["test"]["labels"]["red"]
    figures = record["labels"]["red"]["figures"]["test"]
    assert figures["uei"] == pytest.approx(audit["attributes"]["sex"]["gaps"]["uei"]["value"])
    assert figures["accuracy"] == pytest.approx(audit["overall"]["accuracy"]["value"])


@pytest.mark.parametrize(
    ("options", "units"),
    [
        ({"mode": "multitask", "subspace": 3}, None),
        ({"mode": "multitask", "subspace": 3, "hidden": 4}, 8),
        ({"mode": "multitask", "subspace": 3, "hidden": 4, "labels": "red"}, 8),
        ({"mode": "dynamic", "subspace": 3, "hidden": 4}, 4),
    ],
    ids=["last layer", "a hidden layer per label", "the other label keeps its own", "one hidden layer"],
)
def test_a_head_is_searched_in_few_directions(
    run: Path, quick: Callable[..., Any], tmp_path: Path, options: dict[str, Any], units: int | None
) -> None:
    record = quick(run, tmp_path / "out", **options)
    assert np.load(tmp_path / "out" / "fronts" / "0.npy").shape[1] == 3
    tuned = read_trained_model(tmp_path / "out")
    assert tuned.architecture.head.hidden == units
    audit = read_json(tmp_path / "out" / "metrics.json")["test"]["labels"]
    for name, label in record["labels"].items():
        assert label["front"][label["trained_point"]]["accuracy"] == label["trained"]["tuned_on"]["accuracy"]
        assert label["figures"]["test"]["accuracy"] == pytest.approx(audit[name]["overall"]["accuracy"]["value"])


def test_a_label_that_is_not_tuned_keeps_the_hidden_heads_logits(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    for name, options in {"one": {"labels": "red"}, "all": {"mode": "thresholds"}}.items():
        quick(run, tmp_path / name, hidden=4, **({"subspace": 3} if name == "one" else {}), **options)
    one, start = (pd.read_parquet(tmp_path / name / "predictions.parquet") for name in ("one", "all"))
    moved = np.log(one["prob_even"] / (1 - one["prob_even"])) - np.log(start["prob_even"] / (1 - start["prob_even"]))
    np.testing.assert_allclose(moved - moved.mean(), 0, atol=1e-4)  # thresholds move its bias and nothing else


def test_a_finished_hidden_head_is_not_trained_again(run: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    first = quick(run, tmp_path / "out", hidden=4, labels="red")
    written = (tmp_path / "out" / "hidden.npy").stat().st_mtime_ns
    assert not list((tmp_path / "out").glob("features-train-*"))
    again = quick(run, tmp_path / "out", hidden=4, labels="red", pick={"red": 0})
    assert (tmp_path / "out" / "hidden.npy").stat().st_mtime_ns == written
    assert again["labels"]["red"]["front"] == first["labels"]["red"]["front"]
    tuned = quick(tmp_path / "out", tmp_path / "more", labels="red")  # a run with a hidden layer is tuned like others
    assert tuned["labels"]["red"]["trained"]["test"]["accuracy"] == pytest.approx(
        again["labels"]["red"]["figures"]["test"]["accuracy"]
    )


def test_underestimation_is_minimised_as_what_it_is_called(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    record = quick(run, tmp_path / "out", objectives="accuracy,underestimation", labels="red")
    label = record["labels"]["red"]
    assert record["gap"] == "underestimation"
    held = [point["held_back"]["underestimation"] for point in label["front"]]
    assert min(held) >= 0  # mean |log US|
    assert label["figures"]["held_back"]["underestimation"] <= label["trained"]["held_back"]["underestimation"]
    scores = read_json(tmp_path / "out" / "metrics.json")["test"]["labels"]["red"]["attributes"]["sex"]["per_class"]
    given = [score["value"] for score in scores["1"]["underestimation"].values()]
    expected = np.mean([abs(np.log(score)) for score in given])
    assert label["figures"]["test"]["underestimation"] == pytest.approx(expected, abs=0.05)  # half a row is added
    assert "Mean |log US|" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_gap_of_which_more_is_better_is_chosen_large(run: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    record = quick(run, tmp_path / "out", objectives="accuracy,worst_group_accuracy", labels="red")
    label = record["labels"]["red"]
    least = label["trained"]["held_back"]["accuracy"] - 0.05 - 1e-9
    allowed = [point["held_back"] for point in label["front"] if point["held_back"]["accuracy"] >= least]
    best = max(point["worst_group_accuracy"] for point in allowed)
    assert label["figures"]["held_back"]["worst_group_accuracy"] == best
    assert "Up and to the right is better" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_images_of_unknown_group_are_counted_and_in_no_figure_of_a_point(
    make_run: Callable[..., Path], quick: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run(seed=3)
    place = run.parent / "store" / "table.parquet"
    table = pd.read_parquet(place)
    test = np.flatnonzero(table["split"] == "test")
    table.loc[test[::4], "sex"] = None
    table.to_parquet(place)
    record = quick(run, tmp_path / "out", labels="red")
    known = table.iloc[test]["sex"].notna()
    assert record["rows"]["test"] == int(known.sum())
    assert record["rows"]["unknown_group"]["test"] == int((~known).sum()) > 0
    predicted = pd.read_parquet(tmp_path / "out" / "predictions.parquet").query("split == 'test'").set_index("id")
    truth = table.iloc[test][known.to_numpy()].set_index("id")["label_red"]
    right = (predicted.loc[truth.index, "prob_red"] > 0.5) == (truth == 1)
    assert record["labels"]["red"]["figures"]["test"]["accuracy"] == pytest.approx(right.mean())
    assert "images of unknown group take no part" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_seed_weights_and_reach_decide_the_front(run: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    asked: dict[str, dict[str, Any]] = {
        "first": {},
        "same": {},
        "seed": {"seed": 1, "hold_back": False},
        "seed 0": {"hold_back": False},
        "reach": {"reach": 0.3, "hold_back": False},
        "own": {"mode": "dynamic"},
        "base": {"mode": "dynamic", "weights": "base"},
    }
    found = {}
    for name, options in asked.items():
        quick(run, tmp_path / name, **{"bootstrap": 0, "permutations": 0} | options)
        found[name] = np.load(tmp_path / name / "fronts" / "0.npy")
    assert np.array_equal(found["first"], found["same"])
    for one, other in (("seed", "seed 0"), ("reach", "seed 0"), ("own", "base")):
        assert found[one].shape != found[other].shape or not np.array_equal(found[one], found[other])


def test_the_tuned_network_is_compared_with_simpler_ones_on_the_tuned_labels(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    record = quick(run, tmp_path / "out", labels="red", hidden=4)
    assert list(record["rivals"]) == ["hidden", "thresholds"]
    assert list(record["comparison"]["labels"]) == ["red"]
    for name, compared in record["rivals"].items():
        assert [model["name"] for model in compared["models"]] == [name, "tuned"]
        gap = compared["labels"]["red"]["attributes"]["sex"]["gaps"]["uei"]["tuned"]
        test = record["labels"]["red"]["test"]
        assert gap["value"] == pytest.approx(test["tuned"]["uei"]["value"] - test[name]["uei"]["value"])
    assert "Beside what is simpler" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_there_are_as_many_permutations_as_the_number_of_comparisons_takes(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    differences = quick(run, tmp_path / "out", permutations=1)["comparison"]["labels"]["red"]["overall"]["accuracy"]
    assert all(of["why"] != "too few permutations for so many comparisons" for of in differences.values())
    assert min(of["p_value"] for of in differences.values()) < 0.5  # one swap could say no less


@pytest.mark.parametrize("gone", [("hidden.npy", "fronts/0.npy", "fronts/1.npy"), ("fronts/1.npy",), ()])
@pytest.mark.parametrize("mode", ["multitask", "dynamic"])
def test_a_hidden_head_in_a_subspace_goes_on_to_the_same_record(
    run: Path, quick: Callable[..., Any], tmp_path: Path, mode: str, gone: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    first = quick(run, out, mode=mode, hidden=4, subspace=3)
    weights = (out / "weights.safetensors").read_bytes()
    for name in (*gone, "tune.json", "weights.safetensors"):
        (out / name).unlink(missing_ok=True)
    write_json(out / "provenance.json", read_json(out / "provenance.json") | {"finished": None})
    assert quick(run, out, mode=mode, hidden=4, subspace=3) | {"test_reads": 1} == first
    assert (out / "weights.safetensors").read_bytes() == weights
