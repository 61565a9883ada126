"""Trains a search's chosen network and the reference networks with the same data, loss and budget, over seeds.

Every network gets the chosen batch ratios (D), the same fair loss (f'), schedule and epochs: BN Table 1's rule.
Each finished run appends one row to a small CSV file; the same command again goes on where it stopped, and at the end a
table of mean ± sd over seeds beside the mean interval of a single run is printed.

    python experiments/search_vs_reference.py RUN --name ham10000 --epochs 8 --seeds 3
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
from pathlib import Path
from typing import Any

from mindgap.api import train
from mindgap.core.config import read_toml
from mindgap.core.files import read_json

FIELDS = (
    "data", "attribute", "network", "seed", "epochs", "n_test", "params", "macs", "image_passes", "seconds",
    "accuracy", "accuracy_low", "accuracy_high", "unfairness", "unfairness_low", "unfairness_high", "noise_mean",
    "noise_p95", "p_value", "standardized", "standardized_low", "standardized_high", "standardized_noise_p95",
    "worst_group_accuracy", "worst_low", "worst_high",
)  # fmt: skip
FIGURES = {
    "accuracy": ("accuracy", "accuracy_low", "accuracy_high"),
    "worst group": ("worst_group_accuracy", "worst_low", "worst_high"),
    "U": ("unfairness", "unfairness_low", "unfairness_high"),
    "standardised U": ("standardized", "standardized_low", "standardized_high"),
}


def main() -> None:
    options = parse()
    table = options.results / f"search_vs_reference_{options.name}.csv"
    search = read_json(options.run / "search.json")
    settings = read_toml(options.run / "config.toml")["options"]
    chosen = next(trial for trial in search["trials"] if trial["slot"] == search["chosen"])
    networks = {
        "searched": str(options.run / "architecture.json"),
        "mobilenet_v2": "mobilenet_v2",
        "resnet18": "resnet18",
    }
    for seed in range(options.seeds):
        for name, network in networks.items():
            if (name, str(seed)) in {(row["network"], row["seed"]) for row in rows(table)}:
                continue
            metrics, attributes = one_run(options, settings, network=network, ratios=chosen["ratios"], seed=seed)
            for attribute in attributes:
                append(table, row_of(metrics, attribute) | identity(options, attribute, name, seed))
    show(rows(table))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished search")
    parser.add_argument("--store", type=Path, help="its store, if it moved")
    parser.add_argument("--name", required=True, help="name of the data in the table")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def one_run(
    options: argparse.Namespace, settings: dict[str, Any], *, network: str, ratios: dict[str, float] | None, seed: int
) -> tuple[dict[str, Any], list[str]]:
    """Trains one network in a temporary folder; the row is what stays."""
    shares = ",".join(f"{group}={share!r}" for group, share in ratios.items()) if ratios else "natural"
    with tempfile.TemporaryDirectory() as folder:
        metrics = train(
            options.store or Path(settings["store"]),
            network=network,
            out=Path(folder) / "run",
            mitigation=settings["mitigation"],
            ratios=shares,
            attribute=settings.get("attribute"),
            epochs=options.epochs,
            seed=seed,
        )
    return metrics, list(metrics["test"]["attributes"])


def identity(options: argparse.Namespace, attribute: str, network: str, seed: int) -> dict[str, Any]:
    return {"data": options.name, "attribute": attribute, "network": network, "seed": seed, "epochs": options.epochs}


def row_of(metrics: dict[str, Any], attribute: str) -> dict[str, Any]:
    test, gaps = metrics["test"], metrics["test"]["attributes"][attribute]["gaps"]
    accuracy, gap, standard = test["overall"]["accuracy"], gaps["unfairness"], gaps["unfairness_standardized"]
    worst = gaps["worst_group_accuracy"]
    return {
        "n_test": test["n"],
        "params": metrics["cost"]["params"],
        "macs": metrics["cost"]["macs"],
        "image_passes": metrics["training"]["image_passes"],
        "seconds": round(metrics["training"]["seconds"], 1),
        "accuracy": accuracy["value"], "accuracy_low": accuracy["low"], "accuracy_high": accuracy["high"],
        "unfairness": gap["value"], "unfairness_low": gap["low"], "unfairness_high": gap["high"],
        "noise_mean": gap["noise_mean"], "noise_p95": gap["noise_p95"], "p_value": gap["p_value"],
        "standardized": standard["value"], "standardized_low": standard["low"], "standardized_high": standard["high"],
        "standardized_noise_p95": standard["noise_p95"],
        "worst_group_accuracy": worst["value"], "worst_low": worst["low"], "worst_high": worst["high"],
    }  # fmt: skip


def rows(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append(table: Path, row: dict[str, Any]) -> None:
    table.parent.mkdir(parents=True, exist_ok=True)
    new = not table.exists()
    with table.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerow({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})


def show(finished: list[dict[str, str]]) -> None:
    """A Markdown table: mean ± sd over seeds, and in brackets the mean 95 % interval of a single run."""
    print("| attribute | network | parameters | MACs | seeds | n | " + " | ".join(FIGURES) + " | floor of U, 95 % |")
    print("| --- | --- | ---: | ---: | ---: | ---: |" + " --- |" * (len(FIGURES) + 1))
    for attribute, network in dict.fromkeys((row["attribute"], row["network"]) for row in finished):
        same = [row for row in finished if (row["attribute"], row["network"]) == (attribute, network)]
        size = f"{int(same[0]['params']) / 1e6:.2f} M | {int(same[0]['macs']) / 1e6:.1f} M"
        cells = " | ".join(spread(same, *columns) for columns in FIGURES.values())
        floor = statistics.fmean(float(row["noise_p95"]) for row in same)
        print(f"| {attribute} | {network} | {size} | {len(same)} | {same[0]['n_test']} | {cells} | {floor:.3f} |")


def spread(same: list[dict[str, str]], key: str, low: str, high: str) -> str:
    values = [float(row[key]) for row in same if row[key]]
    if not values:
        return "not defined"
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    ends = [[float(row[end]) for row in same if row[end]] for end in (low, high)]
    interval = f"[{statistics.fmean(ends[0]):.3f}, {statistics.fmean(ends[1]):.3f}]" if all(ends) else "[no interval]"
    return f"{statistics.fmean(values):.3f}{deviation} {interval}"


if __name__ == "__main__":
    main()
