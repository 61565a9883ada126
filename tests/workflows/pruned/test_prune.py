"""The verb ``prune``: what it leaves, when it takes an iteration back, and that a stopped one goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from mindgap.api import predict, report
from mindgap.core.files import read_json, write_json
from mindgap.prune.options import PruneOptions
from mindgap.space.cost import count_cost
from mindgap.train.trained_model import read_trained_model
from mindgap.workflows.prune_choice import learned_path
from mindgap.workflows.prune_job import PruneJob


def test_every_iteration_removes_its_share_of_what_is_left(pruned: Path) -> None:
    record = read_json(pruned / "prune.json")
    assert [len(step["removed"].get("head", [])) for step in record["iterations"]] == [0, 2, 2]
    assert [step["channels"]["head"] for step in record["iterations"]] == [20, 18, 16]
    assert (record["kept"], record["reverted"]) == (2, False)
    gone = [channel for step in record["iterations"] for channel in step["removed"].get("head", [])]
    assert len(set(gone)) == 4  # by their numbers before pruning, so no channel goes twice
    assert all(0 <= channel < 20 for channel in gone)


def test_the_numbers_are_those_of_the_network_before(pruned: Path, run: Path) -> None:
    before, first = read_trained_model(run).network, read_json(pruned / "iterations" / "1" / "choice.json")
    left = [channel for channel in range(20) if channel not in first["removed"]["head"]]
    second = read_json(pruned / "iterations" / "2" / "choice.json")
    assert second["removed"]["head"] == [left[place] for place in second["places"]["head"]]
    assert before.classifier.in_features == 20


def test_the_result_is_a_run_of_a_smaller_network(pruned: Path, run: Path, tmp_path: Path) -> None:
    before, after = read_trained_model(run), read_trained_model(pruned)
    assert after.architecture.head.width == 16
    assert count_cost(after.architecture).params < count_cost(before.architecture).params
    metrics = read_json(pruned / "metrics.json")
    assert metrics["cost"]["params"] == sum(weight.numel() for weight in after.network.parameters())
    predict(pruned, Path(before.options["store"]), out=tmp_path / "p.csv")
    table = pd.read_parquet(pruned / "predictions.parquet")
    again, kept = pd.read_csv(tmp_path / "p.csv"), table[table["split"] == "test"]
    np.testing.assert_allclose(again["prob_red"], kept["prob_red"], atol=1e-5)
    assert after.settings.lr == pytest.approx(0.001)
    assert report([pruned])[0].read_text(encoding="utf-8").count("fine-tuned only") > 1
    card = (pruned / "model_card.md").read_text(encoding="utf-8")
    assert f"Pruned from {run.name}, whose own card says how it was trained. " in card
    assert "After each iteration it was fine-tuned with the mitigation erm; batches: natural; epochs: " in card
    assert "between pruned and fine-tuned only is shown" in card


def test_params_fall_at_every_step_and_audits_have_intervals_and_floors(pruned: Path) -> None:
    steps = read_json(pruned / "prune.json")["iterations"]
    assert np.all(np.diff([step["cost"]["params"] for step in steps]) < 0)
    assert np.all(np.diff([step["cost"]["macs"] for step in steps]) < 0)
    for step in steps:
        gap = step["validation"]["attributes"]["sex"]["gaps"]["equalized_odds_abs_mean"]
        assert gap["noise_p95"] is not None


def test_a_gap_that_does_not_narrow_is_taken_back_to_the_network_before(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    record = quick(run, tmp_path / "out", min_gap_reduction=1.0)
    assert (record["reverted"], record["kept"], len(record["iterations"])) == (True, 0, 2)
    decision = record["iterations"][1]["decision"]
    assert decision["figure"] == "gap"
    assert "sex" in decision["changes"]["gaps"]
    before, after = read_trained_model(run), read_trained_model(tmp_path / "out")
    assert after.architecture == before.architecture
    assert all(
        torch.equal(value, after.network.state_dict()[name]) for name, value in before.network.state_dict().items()
    )
    mine, theirs = (read_json(folder / "metrics.json")["test"] for folder in (tmp_path / "out", run))
    assert mine["overall"]["accuracy"]["value"] == theirs["overall"]["accuracy"]["value"]
    assert (record["control"], record["comparison"]) == ([], None)
    assert after.settings == before.settings
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Nothing is removed" in page
    assert "Fine-tuned only" not in page


def test_the_control_is_trained_as_often_with_the_same_seeds(pruned: Path) -> None:
    record = read_json(pruned / "prune.json")
    assert [one["epochs"] for one in record["control"]] == [
        step["training"]["epochs"] for step in record["iterations"][1:]
    ]
    assert [model["name"] for model in record["comparison"]["models"]] == ["unpruned", "fine-tuned only", "pruned"]
    assert record["against_control"]["baseline"] == "fine-tuned only"
    assert "pruned" in record["against_control"]["attributes"]["sex"]["verdict"]


def without_times(record: Any) -> Any:
    if isinstance(record, dict):
        return {k: without_times(v) for k, v in record.items() if k not in {"seconds", "latency_ms"}}
    return [without_times(one) for one in record] if isinstance(record, list) else record


STOPS = {
    "while scoring": ("iterations/1", "iterations/2", "control"),
    "while the first is judged": ("iterations/1/record.json", "iterations/2", "control"),
    "while the second is tuned": ("iterations/2/record.json", "iterations/2/fine_tuning", "control"),
    "before the control": ("control",),
    "at the end": (),
}


@pytest.mark.parametrize("stop", STOPS)
def test_stopped_at_any_moment_it_goes_on_to_the_same_record(
    run: Path, pruned: Path, quick: Callable[..., Any], tmp_path: Path, stop: str
) -> None:
    out = tmp_path / "out"
    shutil.copytree(pruned, out)
    for name in (*STOPS[stop], "prune.json", "metrics.json", "report.html"):
        place = out / name
        shutil.rmtree(place) if place.is_dir() else place.unlink()
    provenance = read_json(out / "provenance.json") | {"finished": None}
    write_json(out / "provenance.json", provenance)
    record = quick(run, out)
    assert without_times(record) == without_times(read_json(pruned / "prune.json"))
    assert (out / "weights.safetensors").read_bytes() == (pruned / "weights.safetensors").read_bytes()


def test_of_a_large_share_the_last_channel_stays_and_pruning_goes_on(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    record = quick(run, tmp_path / "out", share=0.99, control=False)
    assert [step["channels"]["head"] for step in record["iterations"]] == [20, 1, 1]


def test_finished_it_is_read_again(run: Path, pruned: Path, quick: Callable[..., Any]) -> None:
    stamp = (pruned / "prune.json").stat().st_mtime_ns
    assert quick(run, pruned) == read_json(pruned / "prune.json")
    assert (pruned / "prune.json").stat().st_mtime_ns == stamp


def test_a_pruned_run_is_pruned_again(pruned: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    record = quick(pruned, tmp_path / "again", iterations=1, method="magnitude", control=False)
    assert record["iterations"][1]["channels"]["head"] == 14
    assert record["iterations"][1]["weights"] is None
    assert record["against_control"] is None


@pytest.mark.parametrize("method", ["fairprune", "taylor", "magnitude"])
def test_every_importance_prunes_a_block_with_all_that_is_coupled(
    run: Path, quick: Callable[..., Any], tmp_path: Path, method: str
) -> None:
    record = quick(run, tmp_path / "out", method=method, layers="blocks.0,stem", iterations=1, control=False)
    step = record["iterations"][1]
    assert step["channels"] == {"blocks.0": 14, "stem": 7}
    assert read_trained_model(tmp_path / "out").architecture.blocks[0].out_channels == 14


def test_frozen_parts_are_scored_alike_after_a_stop(
    make_run: Callable[..., Path], quick: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run(freeze=1)
    asked: dict[str, Any] = {"layers": "blocks.0", "method": "taylor", "control": False}
    whole = quick(run, tmp_path / "out", **asked)
    assert {one["best_epoch"] for step in whole["iterations"][1:] for one in [step["training"]]} == {1}
    shutil.copytree(tmp_path / "out", tmp_path / "again")
    shutil.rmtree(tmp_path / "again" / "iterations" / "2")
    write_json(
        tmp_path / "again" / "provenance.json", read_json(tmp_path / "again" / "provenance.json") | {"finished": None}
    )
    assert without_times(quick(run, tmp_path / "again", **asked)) == without_times(whole)


def test_a_pruned_run_keeps_its_learning_rate_when_it_is_pruned_again(
    pruned: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    quick(pruned, tmp_path / "out", iterations=1, control=False)
    assert read_trained_model(tmp_path / "out").settings.lr == read_trained_model(pruned).settings.lr


def test_several_labels_are_pruned_by_the_mean_over_labels(
    make_run: Callable[..., Path], quick: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run({"multi_label": True})
    record = quick(run, tmp_path / "out", iterations=1)
    assert set(record["iterations"][1]["decision"]["changes"]["gaps"]) == {"red", "even"}
    assert set(record["comparison"]["labels"]) == {"red", "even"}
    assert (tmp_path / "out" / "report.html").is_file()


def test_weights_that_are_given_are_scaled_to_a_mean_of_one(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    record = quick(run, tmp_path / "out", attribute_weights={"sex": 5}, iterations=1, control=False)
    assert record["iterations"][1]["weights"] == {"sex": 1.0}
    assert record["iterations"][1]["weights_path"] is None


def test_the_weights_of_two_attributes_are_learned_and_their_path_is_kept(
    two_attributes: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    record = quick(two_attributes, tmp_path / "out", layers=None, iterations=1, control=False, weight_steps=2)
    step = record["iterations"][1]
    path = np.array(step["weights_path"])
    assert path.shape == (3, 2)
    assert path[0].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(path.mean(axis=1), 1.0)
    assert step["weights"] == dict(zip(["sex", "age"], path[-1].tolist(), strict=True))
    assert record["layers"] == ["blocks.7"]
    assert len(step["removed"]["blocks.7"]) == 51
    assert "Weights before iteration 1" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


class Told:
    """Keeps what long work reports."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def advance(self, n: int = 1) -> None:
        pass

    def describe(self, text: str) -> None:
        self.words.append(text)


def test_every_step_of_learning_the_weights_is_told(two_attributes: Path) -> None:
    model, bar = read_trained_model(two_attributes), Told()
    job = PruneJob(model, model.open_store(), PruneOptions(weight_steps=2, scoring_batches=1, device="cpu"))
    learned_path(job, model.network, bar, iteration=1)
    assert bar.words == [
        "iteration 1: learning the attributes' weights",
        "iteration 1: learning the attributes' weights, 1 of 2 steps done",
        "iteration 1: learning the attributes' weights, 2 of 2 steps done",
    ]


def test_a_store_without_twins_has_the_two_rows_without_blending(
    run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    table = quick(run, tmp_path / "out", iterations=1, control=False, rows=True)["table"]
    assert list(table["rows"]) == ["baseline", "pruning"]
    assert "no twins" in table["missing"]


def test_the_four_rows_are_trained_and_pruned_alike(
    make_run: Callable[..., Path], quick: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run({"twins": True})
    table = quick(run, tmp_path / "out", iterations=1, control=False, rows=True)["table"]
    assert list(table["rows"]) == ["baseline", "tone", "pruning", "both"]
    sizes = [row["cost"]["params"] for row in table["rows"].values()]
    assert sizes[0] == sizes[1] > sizes[2] == sizes[3]
    assert [model["name"] for model in table["comparison"]["models"]] == list(table["rows"])
    counterpart = read_trained_model(tmp_path / "out" / "rows" / "tone")
    assert counterpart.settings.blend is not None
    own = read_trained_model(run).settings.model_dump(exclude={"blend", "device"})
    assert counterpart.settings.model_dump(exclude={"blend", "device"}) == own
    assert "--rows" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
