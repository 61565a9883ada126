"""Which mitigation helps, with one budget and one rule of choice: the verb ``compare`` on a set of real images.

    python experiments/compare_methods.py STORE WORK --name utkface --attribute race [--seeds 3] [--workers 2]
    python experiments/compare_methods.py STORE WORK --name utkface --table

Every registered mitigation trains a ResNet-18 of half the width (7×7 stem with pool) for 15 epochs of batches of 64;
four tuning runs each, the first with the defaults; the rule is the best validation accuracy of the worst group. That
is what two cores can do: networks, epochs and trials are few. The command goes on where it was stopped, by the ledger
in WORK, and where WORK is empty by ``experiments/results/methods_NAME.jsonl``, which has the finished runs of a
comparison that is not at its end (``--keep`` writes it while they go on). Its finished runs are rows of
``experiments/results/methods_NAME.csv``, which is written whenever it ends or is stopped: those with a seed have
figures of the test images, once all are there. ``--table`` prints them as Markdown.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from half_width import half_width
from kept_runs import KeptCall, save_runs
from seed_figure import figure

from mindgap.core.files import read_json
from mindgap.data.image_store import Store
from mindgap.search.ledger import Ledger
from mindgap.search.ledger_place import has_ledger, ledger_url
from mindgap.search.method_plan import MethodRun, read_method_plan
from mindgap.search.placement import make_placement
from mindgap.train.mitigation import MITIGATIONS
from mindgap.workflows.method_planning import MethodsOptions, ordered_methods

GAPS = (
    "accuracy_difference", "f1_difference", "unfairness", "accuracy_ratio", "equalized_odds_abs_mean", "abroca",
    "worst_group_accuracy",
)  # fmt: skip
ORDER = (
    "erm", "resample", "reweight", "biasless", "groupdro", "maxgroup", "maxgroup_smooth", "hsic", "mfd", "advconf",
    "advrev", "domainindep", "fairadabn", "fairprune",
)  # fmt: skip
FIELDS = (
    "data", "attribute", "method", "run", "number", "state", "lr", "options", "validation_accuracy",
    "validation_unfairness", "validation_worst_group", "image_passes", "seconds", "test_accuracy", "test_macro_f1",
    *(f"test_{name}" for name in GAPS),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--attribute")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--methods", help="some of them, with commas")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--keep", action="store_true", help="write what is finished now, while the runs go on")
    options = parser.parse_args()
    run = options.work / options.name
    if options.table:
        show(read_json(run / "compare.json"), options.attribute)
        return
    if options.keep:
        kept = save_runs(run, kept_file(options.name), store=Store.open(options.store))
        print(f"{kept_file(options.name)}: {kept} runs")
        return
    options.work.mkdir(parents=True, exist_ok=True)
    every = [*ORDER, *(name for name in MITIGATIONS.names() if name not in ORDER)]
    methods = options.methods.split(",") if options.methods else every
    store = Store.open(options.store)
    asked = MethodsOptions(
        methods=ordered_methods(methods), network=str(half_width(options.store, options.work)), trials=4,
        seeds=options.seeds, attribute=options.attribute, epochs=15, batch_size=64, workers=options.workers,
        device=options.device,
    )  # fmt: skip
    try:
        with make_placement(asked.placement, asked.placement_options) as placement:
            KeptCall(store, asked, placement, kept=kept_file(options.name)).work(run)
    finally:
        if has_ledger(run):
            write_rows(run, options.name)
            save_runs(run, kept_file(options.name), store=store)
    show(read_json(run / "compare.json"), options.attribute)


def kept_file(name: str) -> Path:
    """Where the finished runs of a comparison that is not at its end are kept between machines."""
    return Path(__file__).parent / "results" / f"methods_{name}.jsonl"


def write_rows(run: Path, name: str) -> None:
    """The finished runs of the ledger, with what ``compare.json`` says of the test images."""
    ledger = Ledger(ledger_url(run), read_only=True)
    try:
        plan, slots = read_method_plan(ledger.notes()), ledger.slots(whole=True)
    finally:
        ledger.close()
    record = read_json(run / "compare.json") if (run / "compare.json").is_file() else None
    rows = []
    for slot in slots:
        if not slot.settled:
            continue
        one, result = MethodRun.of(slot.tokens), slot.result
        method, final = plan.methods[one.method], one.seed >= 0
        lr, own = plan.tuned_values(one)
        row = {
            "data": name, "attribute": plan.attribute, "method": method, "run": "final" if final else "tuning",
            "number": plan.run_seed(one) if final else one.trial, "state": slot.state, "lr": lr,
            "options": " ".join(f"{key}={value}" for key, value in own.items()),
            "validation_accuracy": result.get("accuracy"), "validation_unfairness": result.get("unfairness"),
            "validation_worst_group": result.get("reward"), "image_passes": result.get("image_passes"),
            "seconds": result.get("seconds"),
        }  # fmt: skip
        if final and record is not None and (audit := record["methods"][method]["seeds"][one.seed]) is not None:
            gaps = audit["attributes"][plan.attribute]["gaps"]
            row |= {f"test_{key}": audit["overall"][key]["value"] for key in ("accuracy", "macro_f1")}
            row |= {f"test_{gap}": gaps[gap]["value"] for gap in GAPS}
        rows.append({key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()})
    place = Path(__file__).parent / "results" / f"methods_{name}.csv"
    with place.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=FIELDS)
        writer.writeheader()
        writer.writerows(rows)
    print(f"{place}: {len(rows)} of {plan.slots} runs")


def show(record: dict[str, Any], attribute: str | None) -> None:
    """The methods as a Markdown table of one attribute: means over seeds, intervals of the images, and the verdict."""
    over = attribute or record["attribute"]
    print(f"| method | accuracy | macro F1 | {' | '.join(GAPS)} | image passes | minutes | verdict |")
    print("| --- |" + " ---: |" * (len(GAPS) + 4) + " --- |")
    for name, method in record["methods"].items():
        if method["figures"] is None:
            print(f"| {name} | no run was trained to the end |")
            continue
        overall, gaps = method["figures"]["overall"], method["figures"]["attributes"][over]
        cells = [figure(overall[key]) for key in ("accuracy", "macro_f1")] + [figure(gaps[gap]) for gap in GAPS]
        cells += [f"{method['image_passes'] / 1e6:.2f} M", f"{method['seconds'] / 60:.0f}"]
        print(f"| {name} | {' | '.join(cells)} | {method['verdict'].get(over, 'baseline')} |")
    for name, method in record["methods"].items():
        for sentence in method["sentences"].values():
            print(f"{name}: {sentence}")


if __name__ == "__main__":
    main()
