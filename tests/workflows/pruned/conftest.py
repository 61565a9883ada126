"""A trained run on a tiny store, and it pruned."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mindgap.api import prepare, prune, synth, train
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store

QUICK: dict[str, Any] = {"bootstrap": 60, "permutations": 60}
NETWORK = Architecture(
    name="small",
    input_px=SIZE_PX,
    num_classes=2,
    stem=Stem(channels=8),
    blocks=(
        BlockSpec(type="rb", out_channels=16, choices={"kernel": 3, "hidden_channels": 8}),
        BlockSpec(type="mb", out_channels=16, choices={"kernel": 3, "hidden_channels": 24}),
    ),
    head=Head(width=20),
)
ALLOW_ALL: dict[str, Any] = {"max_accuracy_drop": 1.0, "min_gap_reduction": -1.0}


@pytest.fixture(scope="session")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The architecture of the runs."""
    path = tmp_path_factory.mktemp("network") / "small.json"
    path.write_text(NETWORK.to_json(), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory, network_file: Path) -> Callable[..., Path]:
    """Writes a tiny store with the given options, and trains on it."""

    def make(store: dict[str, Any] | None = None, **training: Any) -> Path:
        folder = tmp_path_factory.mktemp("run")
        place = write_tiny_store(folder / "store", **{"n": 240, "minority": 0.3} | (store or {}))
        asked = {"network": network_file, "epochs": 2, "lr": 0.01, "batch_size": 48, "precision": "fp32", **QUICK}
        train(place, out=folder / "run", **asked | training)
        return folder / "run"

    return make


@pytest.fixture(scope="session")
def run(make_run: Callable[..., Path]) -> Path:
    """A trained run."""
    return make_run()


@pytest.fixture(scope="session")
def two_attributes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on synthetic images with two attributes."""
    folder = tmp_path_factory.mktemp("synthetic")
    synth(folder / "set", n=200, size=32, seed=0)
    prepare(
        images=folder / "set" / "images", metadata=folder / "set" / "metadata.csv", id="image_id", label="label",
        attributes="sex,age:bands=0/50/120", cluster="lesion_id", size=32, out=folder / "store",
    )  # fmt: skip
    train(folder / "store", network="resnet18", epochs=1, precision="fp32", out=folder / "run", **QUICK)
    return folder / "run"


@pytest.fixture(scope="session")
def quick() -> Callable[..., dict[str, Any]]:
    """Prunes in a second or two; nothing is taken back unless told so."""

    def work(run: Path, out: Path, **options: Any) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "method": "snnl", "layers": "head", "iterations": 2, "share": 0.1, "epochs": 1, "precision": "fp32",
            "scoring_batches": 2, **QUICK, **ALLOW_ALL,
        }  # fmt: skip
        return prune(run, out=out, **asked | options)

    return work


@pytest.fixture(scope="session")
def pruned(run: Path, quick: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run, pruned in two iterations of which both are kept."""
    out = tmp_path_factory.mktemp("pruned") / "out"
    quick(run, out)
    return out
