"""One head of all labels, thresholds, classes that exclude each other, and other objectives and optimisers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.core.files import read_json
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
    assert rows["tuned_on"] == rows["held_back"] == 120
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
    again = quick(run, tmp_path / "out", hidden=4, labels="red", pick={"red": 0})
    assert (tmp_path / "out" / "hidden.npy").stat().st_mtime_ns == written
    assert again["labels"]["red"]["front"] == first["labels"]["red"]["front"]
    tuned = quick(tmp_path / "out", tmp_path / "more", labels="red")  # a run with a hidden layer is tuned like others
    assert tuned["labels"]["red"]["trained"]["test"]["accuracy"] == pytest.approx(
        again["labels"]["red"]["figures"]["test"]["accuracy"]
    )
