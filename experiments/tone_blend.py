"""Whether twins of another skin tone help those of whom there are few: plain, with fixed shares, and adaptive.

    python experiments/tone_blend.py synthetic WORK [--seeds 5]
    python experiments/tone_blend.py ham WORK --store HAM [--seeds 3]

`synthetic`: per seed 2,400 images of 48 px of whom 5 % have dark skin are trained on (70 %), and judged are 1,500 other
images half of whom have; true tones are known and used for judging alone. Twins are by `mindgap tone --target flatten
--steps 10`, around the true masks, of the measured tones.

`ham`: a store of HAM10000 with masks. Its own test split is judged by thirds of the measured angle.

Arms, each with the same images per epoch, epochs, network, selection rule and seeds: `plain`; `normalised`, whose
images of too frequent tones are replaced by twins of rare ones with the fixed probabilities of the flatten reading;
`adaptive`, which raises those of tones whose AUROC is low (Wei & Chakraborti, Alg. 1; looked at every other epoch on
HAM10000, as there are six); `eager`, on synthetic images alone, which looks every other epoch, at bands of five
validation images too, and raises below an AUROC of .9, as the settings by default find no cause to. One row per seed,
arm and group is appended to `experiments/results/tone_blend.csv`; runs that are there are not made again. `--table`
prints the differences from `plain`, paired by seed, with t intervals over seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from csv_rows import append_rows, read_rows
from scipy import stats

from mindgap.api import audit, predict, prepare, synth, tone, train

TABLE = Path(__file__).parent / "results" / "tone_blend.csv"
ARMS: dict[str, dict[str, bool | dict[str, Any]]] = {
    "synthetic": {
        "plain": False,
        "normalised": {"step": 0.0},
        "adaptive": True,
        "eager": {"every": 2, "least_auc": 0.9, "least_n": 5},
    },
    "ham": {"plain": False, "normalised": {"step": 0.0}, "adaptive": {"every": 2}},
}
SIZE, EPOCHS = 48, {"synthetic": 12, "ham": 6}
NETWORK = "resnet18"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", choices=tuple(EPOCHS))
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--store", type=Path, help="of HAM10000 with masks")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        show(options.data)
        return
    if options.work is None:
        parser.error("needs a folder to work in")
    if options.data == "ham" and (options.store is None or not options.store.exists()):
        print("no store of HAM10000 (--store): nothing is measured on it")
        return
    torch.set_num_threads(1)
    done = {(row["data"], row["seed"], row["arm"]) for row in read_rows(TABLE)}
    for seed in range(options.seeds):
        for arm in ARMS[options.data]:
            if (options.data, str(seed), arm) in done:
                continue
            found = synthetic(options.work, seed, arm) if options.data == "synthetic" else ham(options, seed, arm)
            key = {"data": options.data, "seed": seed, "arm": arm, "epochs": EPOCHS[options.data]}
            append_rows(TABLE, [key | row for row in found])


def synthetic(work: Path, seed: int, arm: str) -> list[dict[str, Any]]:
    learn, judge = work / f"learn{seed}", work / f"judge{seed}"
    for place, n, dark, drawn in ((learn, 2400, 0.05, seed), (judge, 1500, 0.5, seed + 1000)):
        synth(place / "set", n=n, size=SIZE, dark_share=dark, seed=drawn)
        prepare(
            images=place / "set" / "images", metadata=place / "set" / "metadata.csv", id="image_id", label="label",
            attributes="true_tone,sex", cluster="lesion_id", masks=place / "set" / "masks", size=SIZE,
            out=place / "store", seed=drawn,
        )  # fmt: skip
    tone(learn / "store", out=learn / "toned", target="flatten", steps=10, seed=seed)
    run = trained(learn / "toned", work / f"run_{seed}_{arm}", seed, arm)
    table = run / "judged.csv"
    predict(run, judge / "store", out=table, split="all", force=True)
    return judged(table, "true_tone", run)


def ham(options: argparse.Namespace, seed: int, arm: str) -> list[dict[str, Any]]:
    place = options.work / "ham_toned"
    tone(options.store, out=place, target="flatten", steps=10)
    run = trained(place, options.work / f"ham_{seed}_{arm}", seed, arm)
    audit(
        run, attributes="ita_degrees:quantiles=3", table=place / "table.parquet", id="id",
        json=run / "by_angle.json", bootstrap=200, permutations=200,
    )  # fmt: skip
    return rows_of(json.loads((run / "by_angle.json").read_text(encoding="utf-8")), "ita_degrees", run)


def trained(store: Path, run: Path, seed: int, arm: str) -> Path:
    data = "ham" if run.name.startswith("ham") else "synthetic"
    train(
        store, network=NETWORK, out=run, epochs=EPOCHS[data], seed=seed, blend=ARMS[data][arm], bootstrap=0,
        permutations=0, precision="bf16",
    )  # fmt: skip
    return run


def judged(table: Path, attribute: str, run: Path) -> list[dict[str, Any]]:
    record = run / "judged.json"
    audit(table, attributes=attribute, split="all", json=record, bootstrap=200, permutations=200)
    return rows_of(json.loads(record.read_text(encoding="utf-8")), attribute, run)


def rows_of(record: dict[str, Any], attribute: str, run: Path) -> list[dict[str, Any]]:
    """One row per group, and one of all."""
    last = (run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    part, replaced = record["attributes"][attribute], json.loads(last).get("blend_replaced", 0)
    gap = part["gaps"]["unfairness"]
    rows = [{"group": "all", "n": record["n"], "accuracy": record["overall"]["accuracy"]["value"]}]
    rows += [
        {"group": name, "n": group["n"], "accuracy": group["accuracy"]["value"]}
        for name, group in part["groups"].items()
    ]
    said = {"unfairness": gap["value"], "noise": gap["noise_mean"], "replaced": replaced}
    return [{name: round(v, 5) if isinstance(v, float) else v for name, v in (row | said).items()} for row in rows]


def show(data: str) -> None:
    rows = [row for row in read_rows(TABLE) if row["data"] == data]
    seeds = sorted({row["seed"] for row in rows})
    groups = list(dict.fromkeys(row["group"] for row in rows))
    for what in [*groups, "U"]:
        column, group = ("unfairness", "all") if what == "U" else ("accuracy", what)
        found = {(row["arm"], row["seed"]): float(row[column]) for row in rows if row["group"] == group and row[column]}
        for arm in ARMS[data]:
            values = np.array([found[arm, seed] for seed in seeds if (arm, seed) in found])
            line = f"{data} {what}, {arm}: mean {values.mean():.4f}, n = {len(values)} seeds"
            pairs = [found[arm, s] - found["plain", s] for s in seeds if (arm, s) in found and ("plain", s) in found]
            if arm != "plain" and len(pairs) > 1:
                half = stats.t.ppf(0.975, len(pairs) - 1) * stats.sem(pairs)
                line += f"; plain {np.mean(pairs):+.4f} [{np.mean(pairs) - half:+.4f}, {np.mean(pairs) + half:+.4f}]"
            print(line)


if __name__ == "__main__":
    main()
