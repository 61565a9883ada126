"""A tiny store, and comparisons of methods on it that take a moment."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mindgap.api import compare
from mindgap.search.placement import PLACEMENTS, AbstractPlacement, PlacementOptions
from mindgap.search.worker import work
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store

METHODS = "maxgroup,biasless"


class Inline(AbstractPlacement[PlacementOptions]):
    """Works in this process, so that tests pay for no start."""

    running = frozenset()

    def start(self, assignment, numbers):
        work(assignment.run)

    def ended(self):
        return []

    def wait(self, seconds):
        """Nothing runs."""

    def drain(self):
        """Nothing runs."""

    def stop(self):
        return []


@contextmanager
def inline():
    with pytest.MonkeyPatch.context() as patch:
        PLACEMENTS.discover()
        patch.setitem(PLACEMENTS._entries, "inline", Inline)
        yield


@pytest.fixture(scope="module", autouse=True)
def _inline():
    with inline():
        yield


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    return write_tiny_store(tmp_path_factory.mktemp("data") / "store")


@pytest.fixture(scope="session")
def call(tmp_path_factory):
    """Compares methods on a network so small that a run takes a moment."""
    network = tmp_path_factory.mktemp("network") / "architecture.json"
    block = BlockSpec(type="cb", out_channels=4, choices={"kernel": 3, "hidden_channels": 4})
    tiny = Architecture(
        name="tiny", input_px=SIZE_PX, num_classes=2, stem=Stem(channels=4), blocks=(block,), head=Head(width=8)
    )
    network.write_text(tiny.to_json())

    def call(store: Path, out: Path, **changes: Any) -> dict[str, Any]:
        options: dict[str, Any] = {
            "methods": METHODS, "network": network, "out": out, "seeds": 2, "trials": 2, "epochs": 2, "batch_size": 32,
            "precision": "fp32", "device": "cpu", "bootstrap": 40, "permutations": 19, "min_group": 5,
            "placement": "inline",
        }  # fmt: skip
        return compare(store, **options | changes)

    return call


@pytest.fixture(scope="session")
def undisturbed(store, call, tmp_path_factory):
    """One worker, nobody disturbs it."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    with inline():
        return run, call(store, run)
