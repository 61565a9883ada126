"""The front of accuracy and U that one budget of image passes buys: all the tool has, beside each rival.

    python experiments/fronts.py STORE WORK --name ham10000 --attribute age [--blend] [--seeds 0 1 2]
    python experiments/fronts.py STORE WORK --name ham10000 --attribute age --table

The budget is that of six trainings of eight epochs. A rival spends it on six runs of ResNet-18 of half the width, the
first with the method's defaults, the others with a learning rate and options drawn from the method's own ranges. The
tool spends it on a search of twelve candidates, two epochs each and the best three eight: batch composition and
network, with the loss weighted by group and, in the reward, U at equal case mix. The other arms take one ingredient
away (``without …``), or add one: with ``pruned`` two iterations of the chosen network, which cost passes beyond the
budget, with ``heads`` another last layer, which costs none. Networks differ in size, so that equal passes are
not equal time: the table has both.

In every arm the candidates that no other beats in accuracy and U on validation are its front; of these alone the test
images are read. ``--table`` prints the hypervolume of the test figures, the share of the box between the reference
(accuracy of the commonest class, 1.1 times the largest U in the table) and accuracy 1, U 0, with intervals of
Student's t over seeds. Finished arms are rows of ``results/fronts_NAME.csv``; the same command goes on.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from csv_rows import append_rows, read_rows
from front_arms import EVERYTHING, FIRST, Arms, Candidate, Spent

from mindgap.audit.model_audit import audit_predictions
from mindgap.data.image_store import Store
from mindgap.metrics.hypervolume import hypervolume
from mindgap.metrics.pareto import non_dominated
from mindgap.search.search_comparison import difference, mean_over_seeds
from mindgap.space.architecture import ARCHITECTURE_FILE, read_architecture
from mindgap.space.cost import count_cost
from mindgap.train.store_predictions import to_predictions

RESULTS = Path(__file__).parent / "results"
MAXIMIZE = (True, False)
FIGURES = ("unfairness", "unfairness_standardized", "worst_group_accuracy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--attribute", required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", help="some of them, with commas")
    parser.add_argument("--blend", action="store_true")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    table = RESULTS / f"fronts_{options.name}.csv"
    if not options.table:
        fill(options, table)
    show(read_rows(table), majority(Store.open(options.store)))


def fill(options: argparse.Namespace, table: Path) -> None:
    """Makes the arms that are not in the table yet, seed by seed."""
    options.work.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        place = options.work / options.name
        place.mkdir(exist_ok=True)
        arms = Arms(options.store, place, attribute=options.attribute, seed=seed, blend=options.blend)
        for name, make in arms.makers().items():
            done = {(row["arm"], row["seed"]) for row in read_rows(table)}
            if (name, str(seed)) not in done and (not options.arms or name in options.arms.split(",")):
                append_rows(table, front_rows(Store.open(options.store), options.attribute, name, seed, make()))


def front_rows(store: Store, attribute: str, arm: str, seed: int, spent: Spent) -> list[dict[str, Any]]:
    """A row for each candidate on the front of the validation split; the test images of these alone are read."""
    judged = [(one, figures(store, attribute, one, "validation")) for one in spent.candidates]
    points = np.array([[of["accuracy"], of["unfairness"]] for _, of in judged]).reshape(-1, 2)
    whole = {"candidates": len(judged), "arm_passes": spent.passes, "arm_seconds": round(spent.seconds, 1)}
    rows = []
    for on_front, (one, validation) in zip(non_dominated(points, MAXIMIZE), judged, strict=True):
        if not on_front:
            continue
        test = figures(store, attribute, one, "test")
        cost = count_cost(read_architecture(one.folder / ARCHITECTURE_FILE))
        row = {"arm": arm, "seed": seed, **whole, "macs": cost.macs, "params": cost.params}
        row |= {f"validation_{name}": validation[name] for name in ("accuracy", "unfairness")}
        row |= {f"test_{name}": test[name] for name in ("accuracy", *FIGURES)}
        rows.append({key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()})
    return rows


def figures(store: Store, attribute: str, one: Candidate, split: str) -> dict[str, float]:
    """Accuracy and gaps of a candidate on a split, without intervals."""
    predictions = to_predictions(store, store.rows(split), one.probabilities(store, split))
    audit = audit_predictions(predictions, bootstrap=0, permutations=0)
    gaps = audit["attributes"][attribute]["gaps"]
    found = {"accuracy": audit["overall"]["accuracy"]["value"]} | {name: gaps[name]["value"] for name in FIGURES}
    return {name: float("nan") if value is None else value for name, value in found.items()}


def majority(store: Store) -> float:
    """Accuracy on the test split of naming the commonest training class for everyone."""
    commonest = np.bincount(store.labels[store.rows("train")]).argmax()
    return float((store.labels[store.rows("test")] == commonest).mean())


def volumes(rows: list[dict[str, str]], reference: tuple[float, float]) -> dict[str, dict[str, float]]:
    """Hypervolume of each arm and seed, as a share of the box from the reference to accuracy 1 and U 0."""
    whole = (1 - reference[0]) * reference[1]
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        at = (float(row["test_accuracy"]), float(row["test_unfairness"]))
        points.setdefault((row["arm"], row["seed"]), []).append(at)
    found: dict[str, dict[str, float]] = {}
    for (arm, seed), of in points.items():
        found.setdefault(arm, {})[seed] = hypervolume(of, reference, maximize=MAXIMIZE) / whole
    return found


def show(rows: list[dict[str, str]], floor: float) -> None:
    """The arms as a Markdown table."""
    reference = (floor, 1.1 * max(float(row["test_unfairness"]) for row in rows))
    found = volumes(rows, reference)
    print(f"reference: accuracy {reference[0]:.3f}, U {reference[1]:.3f}")
    heads = ("seeds", "hypervolume", f"less {FIRST}'s", f"less {EVERYTHING}'s", "accuracy", "U", "worst group")
    print(f"| arm | {' | '.join(heads)} | M MACs | thousand passes | minutes |\n| --- |{' ---: |' * (len(heads) + 3)}")
    for arm, of in found.items():
        own = [row for row in rows if row["arm"] == arm]
        values = list(of.values())
        cells = [str(len(values)), cell(mean_over_seeds(values))]
        for other in (FIRST, EVERYTHING):
            there = list(found.get(other, {}).values())
            cells.append("–" if arm == other or not there else cell(difference(there, values)))
        above = [row for row in own if float(row["test_accuracy"]) > floor]
        cells += [
            best(above, "accuracy", max),
            best(above, "unfairness", min),
            best(above, "worst_group_accuracy", max),
        ]
        cells += [f"{statistics.median(float(row['macs']) for row in own) / 1e6:.1f}"]
        cells += [f"{once(own, 'arm_passes') / 1e3:.0f}", f"{once(own, 'arm_seconds') / 60:.1f}"]
        print(f"| {arm} | {' | '.join(cells)} |")


def cell(value: dict[str, Any]) -> str:
    ends = "" if np.isnan(value["low"]) else f" [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value['value']:.3f}{ends}"


def best(rows: list[dict[str, str]], key: str, of: Callable[[list[float]], float]) -> str:
    """Mean over seeds of the best point's figure on the test images, of those above the reference in accuracy."""
    seeds = sorted({row["seed"] for row in rows})
    each = [of([float(row[f"test_{key}"]) for row in rows if row["seed"] == seed]) for seed in seeds]
    return f"{statistics.fmean(each):.3f}" if each else "–"


def once(rows: list[dict[str, str]], key: str) -> float:
    """Mean over seeds of what an arm spent, which each of its rows has."""
    return statistics.fmean(float(value) for value in {row["seed"]: row[key] for row in rows}.values())


if __name__ == "__main__":
    main()
