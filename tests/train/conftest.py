"""A small store and a small network for the tests of training."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Store]:
    """Writes a store of n images, single- or multi-label."""

    def make(n: int = 160, *, multi_label: bool = False) -> Store:
        folder = tmp_path_factory.mktemp("store") / "tiny"
        return Store.open(write_tiny_store(folder, n=n, multi_label=multi_label, minority=0.2))

    return make


@pytest.fixture(scope="session")
def store(make_store: Callable[..., Store]) -> Store:
    """160 images of 16 px, two classes, 96 of them for training."""
    return make_store()


@pytest.fixture(scope="session")
def architecture() -> Architecture:
    """One block of each kind, and dropout."""
    return Architecture(
        name="tiny",
        input_px=SIZE_PX,
        num_classes=2,
        stem=Stem(channels=8),
        blocks=(
            BlockSpec(type="mb", out_channels=8, choices={"kernel": 5, "hidden_channels": 16}),
            BlockSpec(type="db", out_channels=16, stride=2, choices={"kernel": 3, "hidden_channels": 16}),
            BlockSpec(type="rb", out_channels=16, choices={"kernel": 3, "hidden_channels": 8}),
        ),
        head=Head(width=16),
        dropout=0.2,
    )
