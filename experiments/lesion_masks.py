"""Lesion masks on real images: a U-Net trained on HAM10000, and the fallback without weights, on held-out lesions.

    python experiments/lesion_masks.py HAM [--pad PAD] [--epochs 8] [--save unet.safetensors]

HAM and PAD are stores of 128 px prepared with `--masks`. The U-Net is trained on HAM's training split, its epoch chosen
on the validation split, and judged on the test split and on all of PAD with masks, of which it saw nothing; splits are
disjoint by lesion. One row per set and method is appended to `experiments/results/lesion_masks.csv`: mean Jaccard with
its 95 % bootstrap interval over clusters, and n.
"""

from __future__ import annotations

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator
from mindgap.data.image_store import Store
from mindgap.tone.classical_mask import classical_masks
from mindgap.tone.mask_scores import jaccard
from mindgap.tone.unet import predict_masks, save_unet
from mindgap.tone.unet_training import UNetTraining, train_unet

TABLE = Path(__file__).parent / "results" / "lesion_masks.csv"
RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ham", type=Path)
    parser.add_argument("--pad", type=Path)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    ham = Store.open(options.ham)
    settings = UNetTraining(width=options.width, epochs=options.epochs, narrow=True, seed=options.seed)
    begun = time.process_time()
    network = train_unet(
        ham.images,
        ham.masks,
        train_rows=_masked(ham, "train"),
        validation_rows=_masked(ham, "validation"),
        settings=settings,
        on_epoch=lambda epoch: print(epoch, f"{time.process_time() - begun:.0f} s CPU", flush=True),
    )
    minutes = (time.process_time() - begun) / 60
    if options.save is not None:
        save_unet(network, options.save)
    sets = {"ham10000 test": (ham, _masked(ham, "test"))}
    if options.pad is not None:
        pad = Store.open(options.pad)
        sets["pad_ufes_20"] = (pad, np.flatnonzero(pad.table["has_mask"].to_numpy(dtype=np.bool_)))
    for name, (store, rows) in sets.items():
        images = torch.from_numpy(np.ascontiguousarray(store.images[rows].transpose(0, 3, 1, 2)))
        truth = torch.from_numpy(store.masks[rows] > 127)
        parts = [classical_masks(images[start : start + 64]).masks for start in range(0, len(rows), 64)]
        for method, found in (("unet", predict_masks(network, images)), ("classical", torch.cat(parts))):
            scores = np.nan_to_num(jaccard(found, truth))
            low, high = interval(scores, store.clusters[rows])
            row = {
                "set": name, "method": method, "n": len(rows), "jaccard": f"{scores.mean():.4f}", "low": f"{low:.4f}",
                "high": f"{high:.4f}", "median": f"{np.median(scores):.4f}", "seed": options.seed,
                "epochs": options.epochs, "width": options.width, "cpu_minutes": f"{minutes:.1f}",
            }  # fmt: skip
            print(row, flush=True)
            append(row)


def _masked(store: Store, split: str) -> NDArray[np.int64]:
    rows = store.rows(split)
    return rows[store.table["has_mask"].to_numpy(dtype=np.bool_)[rows]]


def interval(scores: NDArray[np.float64], clusters: NDArray[np.int64]) -> tuple[float, float]:
    """95 % percentile interval of the mean, whole clusters resampled."""
    _, number = np.unique(clusters, return_inverse=True)
    sums, sizes = np.bincount(number, weights=scores), np.bincount(number)
    drawn = numpy_generator(0, "masks").integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def append(row: dict[str, object]) -> None:
    new = not TABLE.exists()
    with TABLE.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


if __name__ == "__main__":
    main()
