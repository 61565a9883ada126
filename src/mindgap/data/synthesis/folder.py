"""A synthetic set as a folder of images with a table, the way a user would bring one."""

from __future__ import annotations

import csv
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mindgap.core.files import atomic_path
from mindgap.core.progress import progress
from mindgap.data.synthesis.morphology import Morphology
from mindgap.data.synthesis.population import CLASSES, TONES, Population
from mindgap.data.synthesis.scene import paint

COLUMNS = ("image_id", "label", "lesion_id", "sex", "age", "true_ita_degrees", "true_tone")
_PIXELS_AT_ONCE = 2**17


def write_folder(folder: Path, population: Population, morphology: Morphology, *, size: int, seed: int) -> None:
    """Writes ``images/``, ``masks/`` (PNG) and, last, ``metadata.csv``; images already there are left as they are.

    Args:
        folder: an existing folder.
        population: who is shown.
        morphology: how their lesions look.
        size: side of the images in pixels.
        seed: what the pictures depend on.

    Raises:
        CapacityError: the folder cannot be written.
    """
    for name in ("images", "masks"):
        (folder / name).mkdir(exist_ok=True)
    missing = np.array([row for row in range(population.n) if not _image(folder, row).exists()], dtype=np.int64)
    batches = np.array_split(missing, -(-len(missing) * size * size // _PIXELS_AT_ONCE)) if len(missing) else []

    def write(rows: NDArray[np.int64]) -> int:
        pictures = paint(rows, population, morphology, size=size, seed=seed)
        for row, image, mask in zip(rows, pictures.images, pictures.masks, strict=True):
            _write_png(folder / "masks" / f"{image_id(row)}.png", mask.astype(np.uint8) * 255)
            _write_png(_image(folder, row), image)
        return len(rows)

    with progress(len(missing), "painting images") as bar, ThreadPoolExecutor(os.cpu_count()) as threads:
        try:
            for written in threads.map(write, batches):
                bar.advance(written)
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise
    _write_table(folder / "metadata.csv", population)


def summary(population: Population) -> dict[str, Any]:
    """Numbers of images, lesions, classes and tones."""
    labels, tones = (np.bincount(ids, minlength=3) for ids in (population.label, population.tone))
    return {
        "n": population.n,
        "lesions": len(np.unique(population.lesion)),
        "classes": {name: int(count) for name, count in zip(CLASSES, labels, strict=True)},
        "tones": {name: int(count) for name, count in zip(TONES, tones, strict=False)},
    }


def image_id(row: int | np.int64) -> str:
    """Name of an image without its extension."""
    return f"SYN_{row:07d}"


def _image(folder: Path, row: int | np.int64) -> Path:
    return folder / "images" / f"{image_id(row)}.png"


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    temporary = path.with_suffix(".partial")
    Image.fromarray(pixels).save(temporary, format="png", compress_level=2)
    temporary.replace(path)


def _write_table(path: Path, population: Population) -> None:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for row in range(population.n):
            who = (population.sex[row], population.age[row])
            tone = (f"{population.ita_degrees[row]:.2f}", TONES[population.tone[row]])
            lesion = f"LES_{population.lesion[row]:07d}"
            table.writerow((image_id(row), CLASSES[population.label[row]], lesion, *who, *tone))
