"""What a lesion mask that is not the true one does to the measured skin tone.

    python experiments/tone_masks.py WORK [--weights NAME=FILE …]

Synthetic images of 128 px (seed 0), hair and frames included, without a cast, whose tone and lesion are known. Masks:
the true ones; a U-Net's that was trained on 2,400 other synthetic images (`mindgap tone --train-masks`, kept in WORK);
those of every network that is named; and the fallback's without weights. One row per mask and skin is appended to
`experiments/results/tone_masks.csv`: mean Jaccard, and of the images whose angle is known the median of
|measured − true| in degrees with its 95 % bootstrap interval over lesions, and its 90 % point. Rows that are there are
not measured again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from csv_rows import append_rows, read_rows
from tone_constancy import BATCH, Set, angles, interval, painted

from mindgap.api import prepare, synth, tone
from mindgap.tone.classical_mask import classical_masks
from mindgap.tone.mask_scores import jaccard
from mindgap.tone.unet import load_unet, predict_lesions

TABLE = Path(__file__).parent / "results" / "tone_masks.csv"
FIELDS = ("masks", "skin", "n", "jaccard", "measured", "median_error", "low", "high", "p90_error")
DARK_DEGREES = 10.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--weights", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--n", type=int, default=1200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    some = painted(options.n, 0)[0]["white light"]
    networks = dict(pair.split("=", 1) for pair in options.weights)
    networks = {"U-Net, synthetic": str(trained(options.work))} | networks
    makers: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {"classical": without_weights}
    makers |= {name: predicts(Path(file)) for name, file in networks.items()}
    done = {row["masks"] for row in read_rows(TABLE)}
    for name in ("true", *makers):
        if name not in done:
            masks = (
                some.lesions if name == "true" else torch.cat([makers[name](part) for part in some.images.split(BATCH)])
            )
            append(name, some, masks)


def trained(work: Path) -> Path:
    """The network of a store of other synthetic images."""
    synth(work / "set", n=2400, size=96, dark_share=0.3, seed=7)
    prepare(
        images=work / "set" / "images", metadata=work / "set" / "metadata.csv", id="image_id", label="label",
        attributes="true_tone", cluster="lesion_id", masks=work / "set" / "masks", size=96, out=work / "store",
    )  # fmt: skip
    tone(work / "store", out=work / "toned", train_masks=True, mask_epochs=10)
    return work / "toned" / "lesion_unet.safetensors"


def without_weights(images: torch.Tensor) -> torch.Tensor:
    return classical_masks(images).masks


def predicts(file: Path) -> Callable[[torch.Tensor], torch.Tensor]:
    network = load_unet(file)
    return lambda images: predict_lesions(network, images).masks


def append(name: str, some: Set, masks: torch.Tensor) -> None:
    error = np.abs(angles(replace(some, lesions=masks)) - some.true)
    overlap = np.nan_to_num(jaccard(masks, some.lesions))
    dark = some.true < DARK_DEGREES
    rows = []
    for skin, where in (("light", ~dark), ("dark", dark)):
        known = where & np.isfinite(error)
        low, high = interval(error[known], some.lesion_ids[known])
        middle, far = np.quantile(error[known], [0.5, 0.9])
        values = (name, skin, where.sum(), f"{overlap[where].mean():.3f}", known.sum())
        rows.append((*values, *(f"{value:.2f}" for value in (middle, low, high, far))))
    append_rows(TABLE, [dict(zip(FIELDS, row, strict=True)) for row in rows])


if __name__ == "__main__":
    main()
