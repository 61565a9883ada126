"""A run of two labels on a tiny store, and its heads tuned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mindgap.api import train, tune
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.tiny_training import SMALL

QUICK: dict[str, Any] = {"bootstrap": 60, "permutations": 60}


def blur_labels(path: Path) -> None:
    """Makes every fifth positive a negative, so that no head is without mistakes and a front has several."""
    table = pd.read_parquet(path)
    if "label_red" in table:
        generator = np.random.default_rng(1)
        for name in ("label_red", "label_even"):
            table[name] *= generator.random(len(table)) < 0.8
        table.to_parquet(path)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a tiny store with the given options, and trains on it."""

    def make(store: dict[str, Any] | None = None, *, with_test: bool = True, **training: Any) -> Path:
        folder = tmp_path_factory.mktemp("run")
        (folder / "small.json").write_text(SMALL.to_json(), encoding="utf-8")
        place = write_tiny_store(folder / "store", **{"n": 600, "multi_label": True} | (store or {}))
        blur_labels(place / "table.parquet")
        if not with_test:
            table = pd.read_parquet(place / "table.parquet")
            table["split"] = table["split"].replace("test", "train")
            table.to_parquet(place / "table.parquet")
        asked = {"network": folder / "small.json", "epochs": 3, "lr": 0.01, "batch_size": 48, "precision": "fp32"}
        train(place, out=folder / "run", **asked | QUICK | training)
        return folder / "run"

    return make


@pytest.fixture(scope="session")
def run(make_run: Callable[..., Path]) -> Path:
    """A trained run of two labels."""
    return make_run()


@pytest.fixture(scope="session")
def single_label_run(make_run: Callable[..., Path]) -> Path:
    """A trained run of two classes."""
    return make_run({"multi_label": False})


@pytest.fixture(scope="session")
def quick() -> Callable[..., dict[str, Any]]:
    """Tunes in a second."""

    def work(run: Path, out: Path, **options: Any) -> dict[str, Any]:
        return tune(run, out=out, **{"budget": 400, "population": 20, "min_rows": 3} | QUICK | options)

    return work


@pytest.fixture(scope="session")
def tuned(run: Path, quick: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run with a tuned head per label."""
    out = tmp_path_factory.mktemp("tuned") / "out"
    quick(run, out)
    return out
