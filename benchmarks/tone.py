"""Tone estimation and normalisation: images per second and core, mask prediction apart.

    python benchmarks/tone.py [--size 128] [--n 512] [--rounds 5]

The images are synthetic with their true masks. In turns: reading the tone alone, the twins alone, and both, with the
CIELAB of the first used by the second. Times are the process's own, one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from rounds import show

from mindgap.tone.measure import ToneMeasure, measure_tone
from mindgap.tone.normalize import shift_skin
from mindgap.tone.shift import find_shift
from mindgap.tone.targets import draw_targets
from mindgap.workflows.synth import synth

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--n", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    images, masks, ids = load(options.n, options.size)
    targets = draw_targets("IV", ids, seed=0)
    rates: dict[str, list[float]] = {"tone": [], "twins": [], "both": []}
    known = [measure_tone(images[at], masks[at]) for at in batches(options.n)]

    def measure() -> None:
        for at in batches(options.n):
            measure_tone(images[at], masks[at])

    def twins() -> None:
        for at, tone in zip(batches(options.n), known, strict=True):
            twin(images[at], masks[at], tone, targets[at])

    def both() -> None:
        for at in batches(options.n):
            twin(images[at], masks[at], measure_tone(images[at], masks[at]), targets[at])

    for _ in range(options.rounds):
        for name, action in (("tone", measure), ("twins", twins), ("both", both)):
            rates[name].append(options.n / seconds(action))
    print(f"torch {torch.__version__}, 1 thread, {options.n} synthetic images of {options.size} px, batches of {BATCH}")
    show("per second and core", rates, unit="images/s")
    print(f"P12: {np.median(rates['both']):.0f} images/s (target 300)")


def load(n: int, size: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """uint8 (n, 3, size, size) images, bool (n, size, size) masks, and ids."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "synthetic"
        synth(folder, n=n, size=size, seed=0)
        ids = pd.read_csv(folder / "metadata.csv")["image_id"].tolist()
        files = [sorted((folder / kind).iterdir()) for kind in ("images", "masks")]
        pixels, masks = (np.stack([np.asarray(Image.open(file)) for file in part]) for part in files)
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(masks > 127), ids


def batches(n: int) -> list[slice]:
    return [slice(start, start + BATCH) for start in range(0, n, BATCH)]


def twin(images: torch.Tensor, masks: torch.Tensor, tone: ToneMeasure, targets: np.ndarray) -> torch.Tensor:
    shift = find_shift(tone.lightness, tone.yellowness, targets)
    return shift_skin(images, lesions=masks, others=tone.finding.others, shift=shift, lab=tone.finding.lab)


def seconds(action: Callable[[], None]) -> float:
    begun = time.process_time()
    action()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
