"""Whether removing the channels that encode an attribute narrows gaps: SNNL beside the smallest channels and neither.

    python experiments/pruning.py STORE WORK --name ham10000_resnet18 [--network FILE] [--attributes sex,age]
    python experiments/pruning.py STORE WORK --name ham10000_resnet18 --table

Per seed a network is trained (ResNet-18 of half the width with a 7×7 stem and pool unless FILE is given; 15 epochs of
batches of 64), then pruned by `snnl` with learned weights and by `magnitude`, three iterations of 2 % of the last
stage's channels, whatever validation says, with at most 5 epochs of fine-tuning after each; the control is fine-tuned
as often without a removal. The test split is read at the end alone. That is what two cores can do: attribute weights
are learned in 10 steps instead of 100. `--share` removes more.

A row per seed, method and iteration is appended to `experiments/results/pruning.csv`, with what the rule of Wei &
Chakraborti's Alg. 2 would have decided (after it takes an iteration back, it stops), and the test predictions of a
seed's networks to `pruning_NAME_SHARE.jsonl` when all are there; seeds that are there are not made again. `--table`
prints the networks as Markdown: means over seeds of the figure, its interval and its noise floor; then the methods
beside the control and SNNL beside magnitude: paired, with intervals of the images and Holm's p over methods and
attributes, and the interval over seeds.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from csv_rows import append_rows, read_rows
from half_width import half_width
from kept_predictions import packed, unpacked_test
from seed_figure import figure

from mindgap.api import prune, train
from mindgap.audit.compared_models import Model
from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.audit.method_figures import difference_over_seeds, figure_over_seeds
from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import DataError
from mindgap.core.files import read_json
from mindgap.data.image_store import Store
from mindgap.prune.schedule import PruningSchedule, ValidationFigures, decide
from mindgap.search.chosen import kept_probabilities
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.store_predictions import to_predictions
from mindgap.train.trained_model import read_trained_model

RESULTS = Path(__file__).parent / "results"
TABLE = RESULTS / "pruning.csv"
METHODS = ("snnl", "magnitude")
GAP = "equalized_odds_abs_mean"
GAPS = {
    GAP: "EOdds", "unfairness": "U", "accuracy_ratio": "DI (accuracy)", "selection_rate_ratio": "DI (selection rate)",
    "abroca": "ABROCA", "worst_group_accuracy": "worst group",
}  # fmt: skip
UNPRUNED, CONTROL = "unpruned", "fine-tuned only"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--network", type=Path)
    parser.add_argument("--attributes")
    parser.add_argument("--share", type=float, default=0.02)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bootstrap", type=int, default=2000)
    parser.add_argument("--permutations", type=int, default=1000)
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    if options.table:
        show(options)
        return
    done = {line["seed"] for line in kept(options)}
    written = {(row["name"], row["share"], row["seed"], row["method"]) for row in read_rows(TABLE)}
    for seed in options.seeds:
        if seed in done:
            continue
        base = trained(options, seed)
        records = {method: pruned(options, base, method=method, seed=seed) for method in METHODS}
        for method, record in records.items():
            if (options.name, f"{options.share:g}", str(seed), method) not in written:
                append_rows(TABLE, rows(options, record, method=method, seed=seed))
        keep(options, base, seed)
        print(f"{options.name}: seed {seed} done", flush=True)


def trained(options: argparse.Namespace, seed: int) -> Path:
    """The run that is pruned."""
    out = options.work / options.name / f"base_{seed}"
    network = options.network or half_width(options.store, options.work)
    train(
        options.store, network=network, epochs=15, batch_size=64, seed=seed, device=options.device,
        bootstrap=200, permutations=200, out=out,
    )  # fmt: skip
    return out


def pruned(options: argparse.Namespace, base: Path, *, method: str, seed: int) -> dict[str, Any]:
    """The record of a pruning; the control is made once, with the first method."""
    return prune(
        base, method=method, attributes=options.attributes, share=options.share, seed=seed, device=options.device,
        max_accuracy_drop=1.0, min_gap_reduction=-1.0, weight_steps=10, control=method == METHODS[0],
        bootstrap=200, permutations=200, out=place(options, method, seed),
    )  # fmt: skip


def place(options: argparse.Namespace, method: str, seed: int) -> Path:
    """The folder of a pruning."""
    return options.work / options.name / f"{method}_{options.share:g}_{seed}"


def rows(options: argparse.Namespace, record: dict[str, Any], *, method: str, seed: int) -> list[dict[str, Any]]:
    """One row per iteration, the network before as number 0."""
    found, before = [], standing(record, record["iterations"][0])
    first, stopped = before, False
    for step in record["iterations"]:
        now = standing(record, step)
        said = decide(PruningSchedule(), max(1, step["iteration"]), first=first, before=before, now=now)
        before = now
        row = {
            "name": options.name, "share": options.share, "seed": seed, "method": method,
            "iteration": step["iteration"], "params": step["cost"]["params"], "macs": step["cost"]["macs"],
            "validation_accuracy": now.accuracy,
            "validation_gaps": json.dumps({name: round(value, 4) for name, value in now.gaps.items()}),
            "weights": json.dumps({name: round(of, 3) for name, of in (step["weights"] or {}).items()}),
            "best_epoch": (step.get("training") or {}).get("best_epoch", ""),
            "image_passes": (step.get("training") or {}).get("image_passes", ""),
            "rule": "" if not step["iteration"] else "stopped" if stopped else "taken back" if said.revert else "kept",
        }  # fmt: skip
        stopped = stopped or bool(step["iteration"] and said.revert)
        found.append({key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()})
    return found


def standing(record: dict[str, Any], step: dict[str, Any]) -> ValidationFigures:
    """Accuracy and gaps of the validation split."""
    audit = step["validation"]
    gaps = {name: audit["attributes"][name]["gaps"][record["gap"]]["value"] for name in record["attributes"]}
    accuracy = audit["overall"]["accuracy"]["value"]
    return ValidationFigures(accuracy, {name: np.nan if value is None else value for name, value in gaps.items()})


def kept_file(options: argparse.Namespace) -> Path:
    """Where the test predictions of the finished seeds are."""
    return RESULTS / f"pruning_{options.name}_{options.share:g}.jsonl"


def kept(options: argparse.Namespace) -> list[dict[str, Any]]:
    """The finished seeds, with each network's predictions."""
    place = kept_file(options)
    return [json.loads(line) for line in place.read_text("utf-8").splitlines()] if place.is_file() else []


def keep(options: argparse.Namespace, base: Path, seed: int) -> None:
    """Adds a finished seed."""
    store = Store.open(options.store)
    chances = {UNPRUNED: kept_probabilities(store, base, "test")}
    chances[CONTROL] = control_of(store, base, place(options, METHODS[0], seed))
    chances |= {method: kept_probabilities(store, place(options, method, seed), "test") for method in METHODS}
    line = {
        "seed": seed,
        "fingerprint": store.fingerprint,
        "test": {name: packed(of, store) for name, of in chances.items()},
    }
    with kept_file(options).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")


def models(options: argparse.Namespace) -> list[Model]:
    """Each network's predictions of the test split, a seed each; the control first."""
    store = Store.open(options.store)
    found = kept(options)
    if not found:
        raise DataError(f"{kept_file(options)}: no seed is finished yet")
    if odd := [line["seed"] for line in found if line["fingerprint"] != store.fingerprint]:
        raise DataError(f"{options.store}: is not the store of the kept seeds {odd}; prepare it as they were")
    seeds, test = tuple(line["seed"] for line in found), store.rows("test")
    return [
        Model(
            name,
            tuple(f"{name} {seed}" for seed in seeds),
            seeds,
            tuple(to_predictions(store, test, unpacked_test(line["test"][name], store)) for line in found),
        )
        for name in (CONTROL, UNPRUNED, *METHODS)
    ]


def control_of(store: Store, base: Path, folder: Path) -> Any:
    """Probabilities (n, C) of the test split by the network that was fine-tuned without a removal."""
    from safetensors.torch import load_file

    model = read_trained_model(base)
    last = max((folder / "control").iterdir(), key=lambda one: int(one.name))
    modes = read_json(last / "fine_tuning.json")["modes"] or None
    model.network.load_state_dict(load_file(last / "best.safetensors"))
    return predict_probabilities(
        model.network, store.image_tensor(), store.rows("test"), architecture=model.architecture, modes=modes
    )


def show(options: argparse.Namespace) -> None:
    """Markdown tables: all images, the gaps of every attribute, and accuracy and gaps of networks in pairs."""
    found = models(options)
    attributes = options.attributes.split(",") if options.attributes else list(Store.open(options.store).attributes)
    how = {"bootstrap": options.bootstrap, "permutations": options.permutations}
    audits = {model.name: [audit_predictions(of, **how) for of in model.predictions] for model in found}
    seeds = ", ".join(str(line["seed"]) for line in kept(options))
    print(f"n = {audits[CONTROL][0]['n']} test images, seeds {seeds}")
    heading("network", "accuracy", "macro F1")
    for name, of in audits.items():
        line(
            name, *(figure(figure_over_seeds([one["overall"][key] for one in of])) for key in ("accuracy", "macro_f1"))
        )
    heading("over", "network", *GAPS.values())
    for attribute in attributes:
        for name, of in audits.items():
            gaps = [one["attributes"][attribute]["gaps"] for one in of]
            line(attribute, name, *(figure(figure_over_seeds([one[gap] for one in gaps])) for gap in GAPS))
    by_name = {model.name: model for model in found}
    pairs = []
    for first, *others in ((CONTROL, UNPRUNED, *METHODS), (METHODS[1], METHODS[0])):
        record = compare_models([by_name[name] for name in (first, *others)], ComparisonOptions(gap=GAP, **how))
        pairs += [(name, first, record) for name in others]
    heading("network", "beside", "accuracy, images", "over seeds", "p", "reading")
    for name, first, record in pairs:
        whole = record["overall"]["accuracy"][name]
        again = difference_over_seeds(*(accuracies(audits[one]) for one in (first, name)))
        line(name, first, apart(whole), apart(again), chance(whole), whole["reading"])
    heading("over", "network", "beside", "EOdds, images", "over seeds", "p", "worst group, images", "verdict")
    for attribute in attributes:
        for name, first, record in pairs:
            of = record["attributes"][attribute]
            gap, worst = (of["gaps"][key][name] for key in (GAP, "worst_group_accuracy"))
            again = difference_over_seeds(*(values(audits[one], attribute) for one in (first, name)))
            verdict = of["verdict"][name]["word"]
            line(attribute, name, first, apart(gap), apart(again), chance(gap), apart(worst), verdict)


def heading(*names: str) -> None:
    """The beginning of a Markdown table."""
    print()
    line(*names)
    line(*(["---"] * len(names)))


def line(*cells: str) -> None:
    """A row of it."""
    print(f"| {' | '.join(cells)} |")


def values(audits: list[dict[str, Any]], attribute: str) -> list[float | None]:
    """The gap of every seed."""
    return [one["attributes"][attribute]["gaps"][GAP]["value"] for one in audits]


def accuracies(audits: list[dict[str, Any]]) -> list[float | None]:
    """The accuracy of every seed."""
    return [one["overall"]["accuracy"]["value"] for one in audits]


def chance(record: dict[str, Any]) -> str:
    """Holm's p."""
    return "–" if record["p_holm"] is None else f"{record['p_holm']:.2f}"


def apart(record: dict[str, Any]) -> str:
    """A difference with its interval, or why there is none."""
    if record["value"] is None:
        return f"– ({record['reason']})"
    ends = "no interval" if record["low"] is None else f"[{record['low']:+.3f}, {record['high']:+.3f}]"
    return f"{record['value']:+.3f} {ends}"


if __name__ == "__main__":
    main()
