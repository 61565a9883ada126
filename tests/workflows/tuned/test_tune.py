"""The verb ``tune``: what it leaves, what it chooses, and that a stopped one goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.api import export, predict, report
from mindgap.core.files import read_json, write_json
from mindgap.metrics.pareto import non_dominated
from mindgap.train.trained_model import read_trained_model


def uei_of_rows(table: pd.DataFrame, label: str, *, groups: pd.Series) -> float:
    """√(1 − Σ_{y,s} √(P[y, s] P[ŷ=y, s])), as the paper prints it, one cell after the other."""
    named = table[groups.notna()]
    true, predicted = named[f"label_{label}"], named[f"prob_{label}"] > 0.5
    overlap = 0.0
    for group in ("a", "b"):
        for value in (0, 1):
            inside = named["sex"] == group
            overlap += np.sqrt(((true == value) & inside).mean() * ((predicted == value) & inside).mean())
    return float(np.sqrt(max(0.0, 1 - overlap)))


def test_every_label_has_a_front_of_heads_that_none_other_beats(tuned: Path) -> None:
    labels = read_json(tuned / "tune.json")["labels"]
    assert set(labels) == {"red", "even"}
    for label in labels.values():
        assert len(label["front"]) > 2
        figures = np.array([[point["accuracy"], point["uei"]] for point in label["front"]])
        front = np.delete(figures, label["trained_point"], axis=0)
        assert non_dominated(front, [True, False]).all()
        assert np.all(np.diff(figures[:, 0]) <= 0)  # from the most accurate on


def test_the_rule_takes_the_least_uei_within_five_points_on_the_held_back_half(tuned: Path) -> None:
    for label in read_json(tuned / "tune.json")["labels"].values():
        held = [point["held_back"] for point in label["front"]]
        near = [one["uei"] for one in held if one["accuracy"] >= label["trained"]["held_back"]["accuracy"] - 0.05]
        assert held[label["chosen"]]["uei"] == min(near)


def test_the_front_holds_the_trained_head_and_better_ones(tuned: Path) -> None:
    for label in read_json(tuned / "tune.json")["labels"].values():
        trained = {key: of for key, of in label["front"][label["trained_point"]].items() if key != "held_back"}
        assert trained == label["trained"]["tuned_on"]
        assert min(point["uei"] for point in label["front"]) < label["trained"]["tuned_on"]["uei"]


def test_the_result_is_a_run_whose_predictions_have_the_figures(tuned: Path, run: Path, tmp_path: Path) -> None:
    before, after = read_trained_model(run), read_trained_model(tuned)
    store = before.open_store()
    predict(tuned, store.path, out=tmp_path / "p.csv")
    again, table = pd.read_csv(tmp_path / "p.csv"), pd.read_parquet(tuned / "predictions.parquet")
    table = table[table["split"] == "test"].reset_index(drop=True)
    np.testing.assert_allclose(again["prob_red"], table["prob_red"], atol=1e-5)
    labels = read_json(tuned / "tune.json")["labels"]
    metrics = read_json(tuned / "metrics.json")["test"]["labels"]
    for name, label in labels.items():
        uei = metrics[name]["attributes"]["sex"]["gaps"]["uei"]["value"]
        assert label["test"]["tuned"]["uei"]["value"] == uei
        assert label["figures"]["test"]["uei"] == pytest.approx(uei)
        assert uei_of_rows(table, name, groups=table["sex"]) == pytest.approx(uei, abs=1e-7)
    assert after.settings == before.settings
    assert after.architecture == before.architecture


def test_only_the_last_layer_is_another(tuned: Path, run: Path) -> None:
    before, after = (read_trained_model(folder).network.state_dict() for folder in (run, tuned))
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed == {"classifier.weight", "classifier.bias"}


def test_it_is_exported_and_has_a_page(tuned: Path, tmp_path: Path) -> None:
    export(tuned, out=tmp_path / "network.onnx")
    page = report([tuned])[0].read_text(encoding="utf-8")
    assert "Heads tuned" in page


def test_the_comparison_is_with_the_trained_head_and_thresholds(tuned: Path) -> None:
    comparison = read_json(tuned / "tune.json")["comparison"]
    assert [model["name"] for model in comparison["models"]] == ["trained", "thresholds", "tuned"]
    assert set(comparison["labels"]) == {"red", "even"}
    for label in read_json(tuned / "tune.json")["labels"].values():
        points = [*label["front"], *label["thresholds"]["front"]]
        assert all(set(point["held_back"]) == {"accuracy", "uei"} for point in points)


def test_finished_it_is_read_again(run: Path, tuned: Path, quick: Callable[..., Any]) -> None:
    stamp = (tuned / "tune.json").stat().st_mtime_ns
    assert quick(run, tuned) == read_json(tuned / "tune.json")
    assert (tuned / "tune.json").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("gone", [("fronts/0.npy",), ("fronts/0.npy", "fronts/1.npy"), ("metrics.json",)])
def test_stopped_at_any_moment_it_goes_on_to_the_same_record(
    run: Path, tuned: Path, quick: Callable[..., Any], tmp_path: Path, gone: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(tuned, out)
    for name in (*gone, "tune.json", "report.html"):
        (out / name).unlink()
    write_json(out / "provenance.json", read_json(out / "provenance.json") | {"finished": None})
    again, first = quick(run, out), read_json(tuned / "tune.json")
    assert again | {"test_reads": 1} == first
    assert again["test_reads"] == 2  # it had been read before it was stopped
    assert (out / "weights.safetensors").read_bytes() == (tuned / "weights.safetensors").read_bytes()


def test_a_pick_that_was_stopped_as_it_began_is_carried_out(
    run: Path, tuned: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(tuned, out)
    label = read_json(tuned / "tune.json")["labels"]["red"]
    wanted = next(number for number in range(len(label["front"])) if number != label["chosen"])
    write_json(out / "picks.json", {"red": wanted})
    assert quick(run, out, pick={"red": wanted})["labels"]["red"]["chosen"] == wanted


def test_a_pick_changes_the_network_and_counts_as_a_reading_of_test(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    first = quick(run, out, optimizer="random", budget=200)
    size, chosen = (len(first["labels"]["red"]["front"]), first["labels"]["red"]["chosen"])
    wanted = size - 1 if chosen < size - 1 else 0
    assert wanted != chosen
    fronts = (out / "fronts" / "0.npy").read_bytes()
    other = quick(run, out, optimizer="random", budget=200, pick={"red": wanted})
    red = other["labels"]["red"]
    assert (red["chosen"], red["reason"], other["picks"]) == (wanted, "picked", {"red": wanted})
    assert other["labels"]["even"]["chosen"] == first["labels"]["even"]["chosen"]
    assert (first["test_reads"], other["test_reads"]) == (1, 2)
    assert (out / "fronts" / "0.npy").read_bytes() == fronts
    classifier = read_trained_model(out).network.classifier
    head = np.load(out / "fronts" / "0.npy")[wanted]
    np.testing.assert_allclose(classifier.weight[0].detach().numpy(), head[:-1], rtol=1e-6)
    assert quick(run, out, optimizer="random", budget=200, pick={"red": wanted})["test_reads"] == 2


def test_with_no_accuracy_to_give_up_the_choice_is_at_least_as_accurate(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    for label in quick(run, tmp_path / "out", tolerance=0.0)["labels"].values():
        assert label["figures"]["held_back"]["accuracy"] >= label["trained"]["held_back"]["accuracy"]
