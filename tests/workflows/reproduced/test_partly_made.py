"""A reproduction of which something came to nothing: what cannot be judged is not, and says why."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Any

import pytest
from tests.workflows.reproduced.conftest import QUICK, SEVERAL, SINGLE, write_recipe

from mindgap.api import reproduce
from mindgap.core.errors import TrainingFailure
from mindgap.core.files import read_json, write_json


def test_where_no_pruning_is_kept_its_claims_are_undecidable(store: Path, tmp_path: Path) -> None:
    never = "control = true, max_accuracy_drop = 0.0, min_gap_reduction = 1.0"
    recipe = write_recipe(tmp_path, SINGLE.replace("KEPT", never).replace("seeds = 2, epochs = 2", "epochs = 1"))
    record = reproduce(str(recipe), data=store, attribute="sex", out=tmp_path / "run", **QUICK)
    assert record["rows"][2]["kept"] == [0]
    claim = record["claims"][1]
    assert (claim["verdict"], claim["why"]) == ("undecidable at this n", "no iteration of pruning was kept")


def test_a_seed_that_diverges_is_left_out_and_said(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = importlib.import_module("mindgap.workflows.train")
    plain = workflow.train

    @functools.wraps(plain)
    def diverges(*args: Any, seed: int, **options: Any) -> Any:
        if seed == 1:
            raise TrainingFailure("loss is nan at epoch 1")
        return plain(*args, seed=seed, **options)

    monkeypatch.setattr(workflow, "train", diverges)
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
    assert "2; seed 1 left out: loss is nan at epoch 1" in (tmp_path / "run" / "report.html").read_text("utf-8")


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
    assert set(record["claims"][1]["labels"]) == {"red", "even"}
