"""A store of made-up images, its batches, networks of one kind of block, and the space that searches take."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mindgap.data.batches import BatchPlan
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.search_space import SearchSpace

BATCH = 64

_CHUNK = 500
_CHANNELS = ((16, 1), (24, 2), (24, 1), (48, 2), (48, 1), (96, 2))
CLASSES = ("a", "b", "c", "d", "e", "f", "g")


def make_store(folder: Path, *, n: int, px: int) -> Store:
    """A store of n images of px × px, seven classes, two groups, all in train."""
    generator = np.random.default_rng(0)
    with (folder / "images.bin").open("wb") as file:
        for begin in range(0, n, _CHUNK):
            file.write(_images(generator, min(_CHUNK, n - begin), px).tobytes())
    sex = np.where(generator.random(n) < 0.3, "f", "m")
    columns = {"id": [f"i{row}" for row in range(n)], "label": np.array(CLASSES)[np.arange(n) % 7], "sex": sex}
    table = pd.DataFrame(columns | {"split": "train", "cluster": None})
    table.to_parquet(folder / "table.parquet")
    groups = [{"name": g, "n": int((sex == g).sum()), "train": 1, "validation": 0, "test": 0} for g in ("f", "m")]
    info = {
        "version": 1,
        "n": n,
        "size_px": px,
        "resize": "squash",
        "task": "single-label",
        "classes": CLASSES,
        "attributes": {"sex": {"spec": "sex", "groups": groups, "unknown": 0}},
        "default_attribute": "sex",
        "fingerprint": "made",
        "split": {},
        "seed": 0,
        "dropped": {},
        "duplicates": {},
        "source": {},
    }
    (folder / "store.json").write_text(json.dumps(info))
    return Store.open(folder)


def write_jpegs(store: Store, folder: Path) -> list[Path]:
    """The store's images as JPEG files of their own size."""
    paths = [folder / f"{row}.jpg" for row in range(store.n)]
    for path, image in zip(paths, store.images, strict=True):
        Image.fromarray(image).save(path, quality=90)
    return paths


def network_of(kind: str, *, px: int) -> Architecture:
    """Six blocks of one kind, three of stride 2; the kernels of MB are 3, 5, 7 in turn."""
    kernels = (3, 5, 7) if kind == "mb" else (3,)
    blocks = tuple(
        BlockSpec(
            type=kind,
            out_channels=channels,
            stride=stride,
            choices={
                "kernel": kernels[position % len(kernels)],
                "hidden_channels": 96 if kind == "mb" else channels,
            },
        )
        for position, (channels, stride) in enumerate(_CHANNELS)
    )
    stem, head = Stem(channels=16), Head(width=128)
    return Architecture(name=kind, input_px=px, num_classes=len(CLASSES), stem=stem, blocks=blocks, head=head)


def default_space(px: int) -> SearchSpace:
    """The space that a search takes if told nothing, for seven classes and an attribute of three groups."""
    counts = {"young": 900, "middle": 4000, "old": 2100}
    return SearchSpace.load("default", num_classes=7, input_px=px, group_counts=counts)


class Slices:
    """The batches of the training rows, ``steps`` at a time: a round goes on where the last one ended.

    In rounds that were epochs of a few rows, every row would be in the cache from the second one on.
    """

    def __init__(self, store: Store, *, steps: int, seed: int = 0) -> None:
        plan = BatchPlan(store.groups("sex").ids, None, batch_size=BATCH, seed=seed)
        self.steps_per_epoch, self._per_pass = steps, plan.steps_per_epoch
        self._pass = functools.lru_cache(maxsize=2)(plan.epoch)

    def epoch(self, number: int) -> np.ndarray:
        """int64 (steps, batch), rows of the store."""
        steps = range(number * self.steps_per_epoch, (number + 1) * self.steps_per_epoch)
        return np.stack([self._pass(step // self._per_pass)[step % self._per_pass] for step in steps])


def _images(generator: np.random.Generator, count: int, px: int) -> np.ndarray:
    """Smooth pictures with a little noise, so that JPEG has work of the usual size."""
    coarse = generator.integers(0, 205, (count, 8, 8, 3), dtype=np.uint8)
    noise = generator.integers(0, 50, (count, px, px, 3), dtype=np.uint8)
    return coarse.repeat(px // 8, axis=1).repeat(px // 8, axis=2) + noise
