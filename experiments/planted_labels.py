"""Images of several labels in which the positives of one group are hard to see, so that they are underestimated.

Each label is the grey of a horizontal bar of its own, which mirroring leaves where it is: drawn around +1.5 or -1.5
standard deviations by its truth, but that positives of the group `few` lie 1.9 lower. Whose image it is shows in the
tint of what is around the bars.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mindgap.core.seed import numpy_generator

PX, LABELS = 32, ("one", "two", "three", "four")
PREVALENCE, FEW, MARGIN, DROP, GREY = 0.25, 0.3, 1.5, 1.9, 22.0


def write_planted(folder: Path, *, n: int, seed: int) -> None:
    """Writes ``images/`` and ``metadata.csv`` with 0/1 columns of the labels and the attribute ``group``."""
    generator = numpy_generator("planted labels", seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    few = generator.random(n) < FEW
    truth = generator.random((n, len(LABELS))) < PREVALENCE
    seen = np.where(truth, MARGIN - DROP * few[:, None], -MARGIN) + generator.standard_normal(truth.shape)
    tint = np.where(few[:, None], (95, 85, 70), (150, 135, 120))
    height = PX // len(LABELS)
    for number in range(n):
        image = np.tile(tint[number].astype(np.float64), (PX, PX, 1))
        for label, value in enumerate(seen[number]):
            image[label * height + 2 : (label + 1) * height - 2] = 128 + GREY * value
        image += 12 * generator.standard_normal(image.shape)
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"{number:05d}.png")
    table = pd.DataFrame(truth.astype(int), columns=list(LABELS))
    table.insert(0, "image_id", [f"{number:05d}" for number in range(n)])
    table["group"] = np.where(few, "few", "many")
    table.to_csv(folder / "metadata.csv", index=False)
