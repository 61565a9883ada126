"""Whether heads tuned by a swarm lower underestimation on test images: both modes, NSGA-II and thresholds beside them.

    python experiments/head_tuning.py WORK --name planted [--seeds 0 1 2 3 4]
    python experiments/head_tuning.py WORK --name utkface --store STORE [--attribute gender] [--seeds 0 1 2]
    python experiments/head_tuning.py WORK --name planted --table

``planted`` draws 10,000 images per seed (``planted_labels.py``) and trains a network of two blocks for 8 epochs. With
a STORE of several labels a ResNet-18 of half the width (7×7 stem with pool) is trained on it for 15 epochs of batches
of 64, per seed. Then its heads are tuned: a swarm per label (``multitask``), the same with NSGA-II, the same without a
half of the validation images that is held back for the choice, and one head by weighted sums (``dynamic``); each judges
5,000 heads (per label, or in all). Thresholds are chosen on the same images by the same rule: the least UEI within
five points of accuracy.

A row per seed, method and label is appended to ``experiments/results/head_tuning.csv``; runs that are there are not
made again. ``--table`` prints means over labels as Markdown, with 95 % intervals over seeds (Student's t).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from csv_rows import append_rows, read_rows
from half_width import half_width
from planted_labels import LABELS, PX, write_planted
from scipy import stats

from mindgap.api import prepare, train, tune
from mindgap.core.files import write_text
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem

TABLE = Path(__file__).parent / "results" / "head_tuning.csv"
HOW: dict[str, dict[str, Any]] = {
    "multitask": {},
    "multitask, NSGA-II": {"optimizer": "nsga2"},
    "multitask, nothing held back": {"hold_back": False},
    "dynamic": {"mode": "dynamic"},
}
THRESHOLDS = "thresholds"
QUICK = {"bootstrap": 200, "permutations": 200}
IMAGES, BUDGET = 10_000, 5000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--attribute")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        show([row for row in read_rows(TABLE) if row["data"] == options.name])
        return
    done = {(row["data"], row["seed"], row["method"]) for row in read_rows(TABLE)}
    for seed in options.seeds:
        for method, how in HOW.items():
            if (options.name, str(seed), method) not in done:
                record = tuned(options, how, method=method, seed=seed)
                append_rows(TABLE, rows(options.name, record, method=method, seed=seed))


def tuned(options: argparse.Namespace, how: dict[str, Any], *, method: str, seed: int) -> dict[str, Any]:
    """The record of a tuning of the seed's network, which is trained where it is not there yet."""
    work = options.work / options.name
    if options.store is None:
        store, network, epochs = planted(work, seed), planted_network(work), 8
    else:
        store, network, epochs = options.store, half_width(options.store, options.work), 15
    base = work / f"trained_{seed}"
    train(store, network=network, epochs=epochs, batch_size=64, seed=seed, out=base, **QUICK)
    out = work / f"{method.replace(', ', '_').replace(' ', '-')}_{seed}"
    return tune(base, out=out, attribute=options.attribute, budget=BUDGET, seed=seed, **QUICK | how)


def planted(work: Path, seed: int) -> Path:
    """The store of a seed's images."""
    raw, store = work / f"images_{seed}", work / f"store_{seed}"
    if not (raw / "metadata.csv").is_file():
        write_planted(raw, n=IMAGES, seed=seed)
    prepare(
        images=raw / "images", metadata=raw / "metadata.csv", id="image_id", labels=",".join(LABELS),
        attributes="group", size=PX, upright=True, seed=seed, out=store,
    )  # fmt: skip
    return store


def planted_network(work: Path) -> Path:
    """A network of two blocks, which reads the bars."""
    blocks = tuple(
        BlockSpec(type="rb", out_channels=out, stride=2, choices={"kernel": 3, "hidden_channels": out})
        for out in (32, 64)
    )
    small = Architecture(
        name="two blocks", input_px=PX, num_classes=len(LABELS), stem=Stem(channels=16), blocks=blocks, head=Head()
    )
    write_text(work / "two_blocks.json", small.to_json())
    return work / "two_blocks.json"


def rows(data: str, record: dict[str, Any], *, method: str, seed: int) -> Iterator[dict[str, Any]]:
    """One row per label, and one of its threshold with the method that has the same halves."""
    for name, label in record["labels"].items():
        at = label["figures"]
        yield _row(data, label, label["trained"], at, seed=seed, method=method, name=name, model="tuned")
        if method == next(iter(HOW)):
            point = label["thresholds"]["front"][label["thresholds"]["chosen"]]
            yield _row(
                data, label, label["trained"], {"tuned_on": point, "held_back": point["held_back"]},
                seed=seed, method=THRESHOLDS, name=name, model=THRESHOLDS,
            )  # fmt: skip


def _row(
    data: str, label: dict[str, Any], before: dict[str, Any], after: dict[str, Any], *, seed: int, method: str,
    name: str, model: str,
) -> dict[str, Any]:  # fmt: skip
    row: dict[str, Any] = {"data": data, "seed": seed, "method": method, "label": name}
    for figure in ("accuracy", "uei"):
        for part in ("tuned_on", "held_back"):
            own = after.get(part)
            row |= {f"{part}_{figure}_before": (before[part] or before["tuned_on"])[figure]}
            row |= {f"{part}_{figure}": "" if own is None else own[figure]}
        row |= {f"test_{figure}_before": label["test"]["trained"][figure]["value"]}
        row |= {f"test_{figure}": label["test"][model][figure]["value"]}
    return {key: round(of, 5) if isinstance(of, float) else of for key, of in row.items()}


def show(found: list[dict[str, str]]) -> None:
    """The methods as a Markdown table: means over labels, per seed, then over seeds."""
    seeds = sorted({row["seed"] for row in found})
    print(f"{len(seeds)} seeds, {len({row['label'] for row in found})} labels\n")
    columns = "UEI before | after | change | accuracy, change | UEI where tuned | where chosen | test | UEI rose"
    print(f"| method | {columns} |")
    print("| --- |" + " ---: |" * 8)
    for method in dict.fromkeys(row["method"] for row in found):
        own = [row for row in found if row["method"] == method]

        def means(column: str, own: list[dict[str, str]] = own) -> np.ndarray:
            by_seed = [[row[column] for row in own if row["seed"] == seed] for seed in seeds]
            return np.array([np.mean([float(of) for of in row]) if all(row) else np.nan for row in by_seed])

        before, after = means("test_uei_before"), means("test_uei")
        rose = sum(float(row["test_uei"]) > float(row["test_uei_before"]) for row in own)
        cells = [
            f"{before.mean():.3f}", f"{after.mean():.3f}", interval(100 * (after / before - 1), "+.0f") + " %",
            interval(means("test_accuracy") - means("test_accuracy_before"), "+.3f"),
            *(_mean(means(f"{part}_uei")) for part in ("tuned_on", "held_back", "test")), f"{rose} of {len(own)}",
        ]  # fmt: skip
        print(f"| {method} | {' | '.join(cells)} |")


def interval(values: np.ndarray, form: str) -> str:
    """Mean and 95 % interval over seeds."""
    mean = float(values.mean())
    if len(values) < 2:
        return f"{mean:{form}}"
    half = float(stats.sem(values) * stats.t.ppf(0.975, len(values) - 1))
    return f"{mean:{form}} [{mean - half:{form}}, {mean + half:{form}}]"


def _mean(values: np.ndarray) -> str:
    return "–" if np.isnan(values).any() else f"{values.mean():.3f}"


if __name__ == "__main__":
    main()
