"""One head of all labels, thresholds, classes that exclude each other, and other objectives and optimisers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

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
