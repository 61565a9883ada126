"""Lesion masks on real images: a U-Net trained on HAM10000, and the fallback without weights, on held-out lesions.

    python experiments/lesion_masks.py HAM [--pad PAD] [--epochs 20] [--save unet.safetensors]

HAM and PAD are stores of 128 px prepared with `--masks`; where HAM is absent, nothing is done. The U-Net is trained on
HAM's training split, its epoch chosen on the validation split, and judged on the test split and on all of PAD with
masks, of which it saw nothing; splits are disjoint by lesion. One row per set and method is appended to
`experiments/results/lesion_masks.csv`: mean Jaccard with its 95 % bootstrap interval over clusters, and n. Rows that
are there are not measured again, and with `--save` a training that was killed goes on. `--weights` judges a network
that was saved, as one of the epochs, width and seed that are given.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from csv_rows import append_rows, read_rows
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator
from mindgap.data.image_store import Store
from mindgap.tone.classical_mask import classical_masks
from mindgap.tone.lesion_masks import LesionMasks
from mindgap.tone.mask_scores import jaccard
from mindgap.tone.unet import LesionNetwork, load_unet, predict_lesions, save_unet
from mindgap.tone.unet_training import UNetEpoch, UNetTraining, train_unet
from mindgap.train.memory import keep_freed_memory

TABLE = Path(__file__).parent / "results" / "lesion_masks.csv"
RESAMPLES = 2000
KEY = ("set", "method", "seed", "epochs", "width", "input_px")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ham", type=Path)
    parser.add_argument("--pad", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--input-px", type=int, default=96, help="side of the images in training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--minutes", type=float, default=float("nan"), help="of the processor, that --weights took")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    names = {"ham10000 test": options.ham} | ({"pad_ufes_20": options.pad} if options.pad else {})
    for name, place in names.items():
        if not place.exists():
            print(f"{name}: no store {place}; make it with `mindgap prepare --masks`. Nothing is measured")
            return
    key = {"seed": str(options.seed), "epochs": str(options.epochs), "width": str(options.width)}
    key |= {"input_px": str(options.input_px)}
    done = [{name: row[name] for name in KEY} for row in read_rows(TABLE)]
    missing = {
        name: [m for m in ("unet", "classical") if {"set": name, "method": m} | key not in done] for name in names
    }
    if not any(missing.values()):
        print("all rows are there")
        return
    if options.weights is not None:
        network, minutes = load_unet(options.weights), options.minutes
    else:
        network, minutes = trained(Store.open(options.ham), options)
    for name, place in names.items():
        store = Store.open(place)
        rows = _masked(store, "test" if place is options.ham else None)
        for method in missing[name]:
            found = judged(store, rows, network if method == "unet" else None)
            append_rows(TABLE, [{"set": name, "method": method} | found | key | {"cpu_minutes": f"{minutes:.1f}"}])


def trained(ham: Store, options: argparse.Namespace) -> tuple[LesionNetwork, float]:
    """The network, and what its whole epochs took of the processor."""
    state = None if options.save is None else options.save.with_suffix(".training.safetensors")
    log = Path("/dev/null") if state is None else state.with_suffix(".csv")
    spent, begun = [], time.process_time()
    if state is not None and state.exists() and log.exists():
        spent = [float(line.split(",")[-1]) for line in log.read_text(encoding="utf-8").splitlines()]

    def on_epoch(epoch: UNetEpoch) -> None:
        nonlocal begun
        spent.append(time.process_time() - begun)
        begun = time.process_time()
        print(epoch, f"{sum(spent):.0f} s CPU", flush=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"{epoch.epoch},{epoch.loss},{epoch.jaccard},{spent[-1]}\n")

    network = train_unet(
        ham.images,
        ham.masks,
        train_rows=_masked(ham, "train"),
        validation_rows=_masked(ham, "validation"),
        settings=UNetTraining(
            width=options.width, input_px=options.input_px, epochs=options.epochs, narrow=True, seed=options.seed
        ),
        checkpoint=state,
        on_epoch=on_epoch,
    )
    if options.save is not None:
        save_unet(network, options.save)
    return network, sum(spent) / 60


def judged(store: Store, rows: NDArray[np.int64], network: LesionNetwork | None) -> dict[str, str]:
    """Mean Jaccard, its interval, and what the flags say; no mask counts 0."""
    parts: list[LesionMasks] = []
    for start in range(0, len(rows), 64):
        some = rows[start : start + 64]
        images = torch.from_numpy(np.ascontiguousarray(store.images[some].transpose(0, 3, 1, 2)))
        parts.append(classical_masks(images) if network is None else predict_lesions(network, images))
    found = torch.cat([part.masks for part in parts])
    flags = [name for part in parts for names in part.flags for name in names]
    scores = np.nan_to_num(jaccard(found, torch.from_numpy(store.masks[rows] > 127)))
    low, high = interval(scores, store.clusters[rows])
    expected = np.concatenate([part.confidence for part in parts])
    row = {"n": str(len(rows)), "clusters": str(len(np.unique(store.clusters[rows])))}
    row |= {"jaccard": f"{scores.mean():.4f}", "low": f"{low:.4f}", "high": f"{high:.4f}"}
    row |= {"median": f"{np.median(scores):.4f}", "below_half": f"{(scores < 0.5).mean():.4f}"}
    row |= {name: str(flags.count(name)) for name in ("no_lesion", "all_lesion", "many_parts")}
    known = ~np.isnan(expected)
    return row | {"expected": f"{expected[known].mean():.4f}" if known.any() else ""}


def _masked(store: Store, split: str | None) -> NDArray[np.int64]:
    rows = np.arange(store.n) if split is None else store.rows(split)
    return rows[store.table["has_mask"].to_numpy(dtype=np.bool_)[rows]]


def interval(scores: NDArray[np.float64], clusters: NDArray[np.int64]) -> tuple[float, float]:
    """95 % percentile interval of the mean, whole clusters resampled."""
    _, number = np.unique(clusters, return_inverse=True)
    sums, sizes = np.bincount(number, weights=scores), np.bincount(number)
    drawn = numpy_generator(0, "masks").integers(len(sums), size=(RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    main()
