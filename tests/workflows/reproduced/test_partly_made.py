"""A reproduction of which something came to nothing: what cannot be judged is not, and says why."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.workflows.reproduced.conftest import QUICK, SEVERAL, SINGLE, write_recipe

from mindgap.api import reproduce
from mindgap.core.errors import OutOfMemoryFailure, TrainingFailure
from mindgap.core.files import read_json, write_json


def test_where_no_pruning_is_kept_its_claims_are_undecidable(store: Path, tmp_path: Path) -> None:
    never = "control = true, max_accuracy_drop = 0.0, min_gap_reduction = 1.0"
    recipe = write_recipe(tmp_path, SINGLE.replace("KEPT", never).replace("seeds = 2, epochs = 2", "epochs = 1"))
    record = reproduce(str(recipe), data=store, attribute="sex", out=tmp_path / "run", **QUICK)
    assert record["rows"][2]["kept"] == [0]
    claim = record["claims"][1]
    assert (claim["verdict"], claim["why"]) == ("undecidable at this n", "no iteration of pruning was kept")


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Lets the trainings of some seeds fail."""
    workflow = importlib.import_module("mindgap.workflows.train")
    plain = workflow.train

    def fail(*seeds: int, failure: type[TrainingFailure] = TrainingFailure) -> None:
        @functools.wraps(plain)
        def diverges(*args: Any, seed: int, **options: Any) -> Any:
            if seed in seeds:
                found = failure("loss is nan at epoch 1")
                found.spent = {"image_passes": 1000, "seconds": 2.0}
                raise found
            return plain(*args, seed=seed, **options)

        monkeypatch.setattr(workflow, "train", diverges)

    return fail


def test_a_seed_that_diverges_is_left_out_and_said(store: Path, tmp_path: Path, failing: Callable[..., None]) -> None:
    failing(1)
    text = SINGLE.replace("seeds = 2, epochs = 2", "seeds = 3, epochs = 1")
    recipe = write_recipe(tmp_path, text)
    record = reproduce(str(recipe), data=store, attribute="sex", out=tmp_path / "run", **QUICK)
    rows = {row["label"]: row["seeds"] for row in record["rows"]}
    assert (rows["plain"], rows["pruned"], rows["reweighted"]) == ([0, 2], [0, 2], [0, 1])
    assert [claim["seeds"]["n_seeds"] for claim in record["claims"][:2]] == [1, 2]
    failed = {step["name"]: step["failed"] for step in record["steps"]}
    assert failed == {
        "plain": {"1": "loss is nan at epoch 1"},
        "methods": {},
        "pruned": {"1": "loss is nan at epoch 1"},
    }
    passes = {step["name"]: step["image_passes"] for step in record["steps"]}
    own = [read_json(tmp_path / "run" / "steps" / f"plain_{seed}" / "metrics.json")["training"] for seed in (0, 2)]
    assert passes["plain"] == 1000 + sum(one["image_passes"] for one in own)
    assert "2; seed 1 left out: loss is nan at epoch 1" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_where_every_seed_diverges_the_row_is_missing_and_the_table_is_made(
    store: Path, several_store: Path, tmp_path: Path, failing: Callable[..., None]
) -> None:
    failing(0, 1)
    for name, text, of in (
        ("one", SINGLE.replace('"@plain.network"', '"NETWORK"'), store),
        ("several", SEVERAL, several_store),
    ):
        (tmp_path / name).mkdir()
        recipe = write_recipe(tmp_path / name, text)
        record = reproduce(str(recipe), data=of, attribute="sex", out=tmp_path / name / "run", **QUICK)
        first = record["steps"][0]["name"]
        assert record["rows"][0]["missing"] == f"step {first}: loss is nan at epoch 1"
        assert record["claims"][-1]["verdict"] == "undecidable at this n"
        assert (tmp_path / name / "run" / "report.html").is_file()


@pytest.mark.slow
def test_where_memory_runs_out_the_same_call_goes_on(
    store: Path, tmp_path: Path, failing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = write_recipe(tmp_path, SINGLE.replace("seeds = 2, epochs = 2", "seeds = 2, epochs = 1"))
    asked = {"data": store, "attribute": "sex", "out": tmp_path / "run", **QUICK}
    failing(1, failure=OutOfMemoryFailure)
    with pytest.raises(OutOfMemoryFailure):
        reproduce(str(recipe), **asked)
    monkeypatch.undo()
    record = reproduce(str(recipe), **asked)
    assert record["rows"][0]["seeds"] == [0, 1]


@pytest.mark.slow
def test_rows_of_other_seeds_cannot_be_compared(store: Path, tmp_path: Path, failing: Callable[..., None]) -> None:
    failing(0)
    recipe = write_recipe(
        tmp_path,
        SINGLE.replace('"@plain.network"', '"NETWORK"').replace(
            "{ seeds = 2, epochs = 1 }", "{ seeds = 1, epochs = 1 }"
        ),
    )
    record = reproduce(str(recipe), data=store, attribute="sex", out=tmp_path / "run", **QUICK)
    assert [row["seeds"] for row in record["rows"][:2]] == [[1], [0]]
    claim = record["claims"][0]
    assert (claim["verdict"], claim["why"]) == ("undecidable at this n", "the rows have no seed in common")


def test_labels_that_were_not_tuned_are_not_judged(several_store: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, SEVERAL)
    asked = {"data": several_store, "attribute": "sex", "out": tmp_path / "run", **QUICK}
    reproduce(str(recipe), **asked)
    tuned = tmp_path / "run" / "steps" / "tuned" / "tune.json"
    write_json(tuned, read_json(tuned) | {"left_out": {"even": "too few images"}})
    provenance = read_json(tmp_path / "run" / "provenance.json")
    write_json(tmp_path / "run" / "provenance.json", provenance | {"finished": None})
    (tmp_path / "run" / "reproduce.json").unlink()
    record = reproduce(str(recipe), **asked)
    assert set(record["claims"][0]["labels"]) == {"red"}
    assert record["claims"][0]["left_out"] == ["even"]
    assert "not tuned: even" in (tmp_path / "run" / "report.html").read_text("utf-8")
    assert set(record["claims"][1]["labels"]) == {"red", "even"}
