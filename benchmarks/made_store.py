"""A store of made-up images, written chunk by chunk, and networks of one kind of block."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem

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


def _images(generator: np.random.Generator, count: int, px: int) -> np.ndarray:
    """Smooth pictures with a little noise, so that JPEG has work of the usual size."""
    coarse = generator.integers(0, 256, (count, 8, 8, 3)).repeat(px // 8, axis=1).repeat(px // 8, axis=2)
    noisy = coarse * 0.8 + generator.integers(0, 50, (count, px, px, 3))
    return noisy.astype(np.uint8)
