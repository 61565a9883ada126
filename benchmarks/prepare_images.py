"""P11: preparing JPEGs (decode, resize, store) against Pillow's draft-mode decoding alone, both on all cores.

    python benchmarks/prepare_images.py [--images 25000] [--size 128] [--rounds 3] [--quality 97]

It writes the images itself (6 GB, and 1.2 GB of stores, in the temporary folder): 600x450, with detail at every scale.
A is ``prepare``'s decoding step into the memory map; B opens, drafts and loads the same files in as many processes, in
the same chunks, and keeps nothing. All files are read once before, and what was written is on the disk before a round
begins. A's processes start in its time. B's are forked from one that has loaded Pillow, have A's allocator settings,
and need not end in its time. A and B alternate, and so does which of them is first; target: A at 80 % of B's rate or
more. The files are written at quality 97 without chroma subsampling, which makes them as large as the originals of
HAM10000 (2.6 GB for 10,015 images of this size). Smaller files are less work for B, while scaling and storing cost A
the same, so the ratio falls: try ``--quality 95 --subsampling 2``.
"""

from __future__ import annotations

import argparse
import ctypes
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from mindgap.data.decode import Geometry
from mindgap.data.decoder import KEEP_MEMORY
from mindgap.data.image_builder import CHUNK_ROWS, Sources, build_images

WIDTH_PX, HEIGHT_PX = 600, 450
DIFFERENT = 200
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of mallopt


def photograph(seed: int) -> Image.Image:
    """A 600x450 image with detail at every scale down to sensor noise."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((HEIGHT_PX, WIDTH_PX, 3), dtype=np.float32)
    for step in (1, 4, 16, 64):
        coarse = rng.integers(0, 256, (HEIGHT_PX // 64 * step + 1, WIDTH_PX // 64 * step + 1, 3), dtype=np.uint8)
        pixels += np.asarray(Image.fromarray(coarse).resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BICUBIC)) / step
    pixels = pixels / 1.33 + rng.normal(0, 4, pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def write_images(folder: Path, *, count: int, quality: int, subsampling: int) -> list[str]:
    paths = [folder / f"{row:06d}.jpg" for row in range(count)]
    for row, path in enumerate(paths):
        if row < DIFFERENT:
            photograph(row).save(path, quality=quality, subsampling=subsampling)
        else:
            shutil.copyfile(paths[row % DIFFERENT], path)
    return [str(path) for path in paths]


def draft_decode(paths: list[str], size: int) -> None:
    for path in paths:
        with Image.open(path) as image:
            image.draft("RGB", (size, size))
            image.load()


def pillow_seconds(paths: list[str], *, size: int, workers: int) -> float:
    chunks = [(paths[start : start + CHUNK_ROWS], size) for start in range(0, len(paths), CHUNK_ROWS)]
    os.sync()
    begin = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(workers, initializer=keep_memory) as pool:
        pool.starmap(draft_decode, chunks, chunksize=1)
        return time.perf_counter() - begin


def keep_memory() -> None:
    """Gives a forked process the allocator settings that A's processes are started with."""
    for option, name in ((_M_MMAP_THRESHOLD, "MALLOC_MMAP_THRESHOLD_"), (_M_TRIM_THRESHOLD, "MALLOC_TRIM_THRESHOLD_")):
        ctypes.CDLL(None).mallopt(option, int(KEEP_MEMORY[name]))


def prepare_seconds(folder: Path, paths: list[str], *, size: int, workers: int) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.sync()
    begin = time.perf_counter()
    build_images(folder, Sources(paths), geometry=Geometry(size, "squash"), workers=workers)
    return time.perf_counter() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=25_000)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quality", type=int, default=97)
    parser.add_argument("--subsampling", type=int, default=0, choices=(0, 1, 2))
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        images = Path(place) / "images"
        images.mkdir()
        paths = write_images(images, count=options.images, quality=options.quality, subsampling=options.subsampling)
        kib = sum(os.path.getsize(path) for path in paths) / len(paths) / 1024
        print(f"{len(paths)} JPEGs of {WIDTH_PX}x{HEIGHT_PX}, {kib:.0f} KiB each, to {options.size} px")
        print(f"{options.workers} processes")
        for path in paths:
            Path(path).read_bytes()
        sides = {
            "B": lambda: pillow_seconds(paths, size=options.size, workers=options.workers),
            "A": lambda: prepare_seconds(Path(place) / "store", paths, size=options.size, workers=options.workers),
        }
        ratios: list[float] = []
        for number in range(options.rounds):
            seconds = {side: sides[side]() for side in ("AB" if number % 2 else "BA")}
            ratios.append(seconds["B"] / seconds["A"])
            print(
                f"round {number + 1}: A prepare {len(paths) / seconds['A']:7.0f} images/s, "
                f"B draft decode {len(paths) / seconds['B']:7.0f} images/s, A/B {ratios[-1]:.3f}"
            )
    print(f"median A/B {statistics.median(ratios):.3f} (target 0.80)")


if __name__ == "__main__":
    main()
