"""A small store and a small network for the tests of training."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem

SIZE_PX = 16


def _write_store(folder: Path, *, n: int, multi_label: bool) -> Store:
    """Images whose red channel tells the class; group b is a fifth of them, one row in ten has no group."""
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 2
    images = generator.integers(0, 120, (n, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    images[..., 0] += (100 * labels).astype(np.uint8)[:, None, None]
    sex = np.where(generator.random(n) < 0.2, "b", "a").astype(object)
    sex[::10] = None
    split = np.array(["train"] * 6 + ["validation"] * 2 + ["test"] * 2, dtype=object)[np.arange(n) // 2 % 10]
    columns: dict[str, object] = {"id": [f"i{row}" for row in range(n)], "split": split, "sex": sex}
    columns["cluster"] = [f"c{row // 2}" for row in range(n)]
    if multi_label:
        columns |= {"label_red": labels, "label_even": 1 - labels}
    else:
        columns["label"] = np.array(["dark", "red"])[labels]
    folder.mkdir(parents=True)
    images.tofile(folder / "images.bin")
    pd.DataFrame(columns).to_parquet(folder / "table.parquet")
    groups = [
        {"name": name, "n": int((sex == name).sum())}
        | {part: int(((sex == name) & (split == part)).sum()) for part in ("train", "validation", "test")}
        for name in ("a", "b")
    ]
    info = {
        "version": 1,
        "n": n,
        "size_px": SIZE_PX,
        "resize": "squash",
        "task": "multi-label" if multi_label else "single-label",
        "classes": ["red", "even"] if multi_label else ["dark", "red"],
        "attributes": {"sex": {"spec": "sex", "groups": groups, "unknown": int(pd.isna(sex).sum())}},
        "default_attribute": "sex",
        "fingerprint": f"tiny-{n}-{multi_label}",
        "split": {},
        "seed": 0,
        "dropped": {},
        "duplicates": {},
        "source": {},
    }
    (folder / "store.json").write_text(json.dumps(info))
    return Store.open(folder)


@pytest.fixture(scope="session")
def make_store(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Store]:
    """Writes a store of n images, single- or multi-label."""

    def make(n: int = 160, *, multi_label: bool = False) -> Store:
        return _write_store(tmp_path_factory.mktemp("store") / "tiny", n=n, multi_label=multi_label)

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
