"""The front of accuracy and U that one budget of image passes buys: all the tool has, beside each rival.

    python experiments/fronts.py STORE WORK --name ham10000 --attribute age [--blend] [--seeds 0 1 2]
    python experiments/fronts.py STORE WORK --name ham10000 --attribute age --table

The budget is that of six trainings of eight epochs. A rival spends it on six runs of ResNet-18 of half the width, the
first with the method's defaults, the others with a learning rate and options drawn from the method's own ranges. The
tool spends it on a search of ten candidates, the best three of which are trained for eight epochs: batch composition
and network, with the loss weighted by group and, in the reward, U at equal case mix. The other arms take one ingredient
away (``without …``), or add one: ``pruned`` two iterations of the chosen network, which cost passes beyond the budget,
``heads`` another last layer, which costs none. Networks differ in size, so that equal passes are not equal time: the
table has both.

In every arm the candidates that no other beats in accuracy and U on validation are its front; of these alone the test
figures are used. What pruning or heads add is beside it, as validation chose it. ``--table`` prints the hypervolume of
the test figures, the share of the box between the reference (accuracy of the commonest class, 1.1 times the largest U
in the table) and accuracy 1, U 0; differences are paired by seed; intervals are Student's t over seeds, and p, of the
same, is Holm's over the arms of a column. The last columns are of one network per seed: the one of the front with the
least U on validation among those that beat the commonest class there, with the interval of the test images beside its
U and, after the stroke, the adverse 95 % point of the noise floor, all means over seeds. Finished arms are rows of
``results/fronts_NAME.csv``; the same command goes on.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from csv_rows import append_rows, read_rows
from front_arms import EVERYTHING, FIRST, Arms, Candidate, Spent
from scipy import stats

from mindgap.audit.method_figures import difference_over_seeds, figure_over_seeds
from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import ConfigError, near_names
from mindgap.data.image_store import Store
from mindgap.metrics.holm import holm
from mindgap.metrics.hypervolume import hypervolume
from mindgap.metrics.pareto import non_dominated
from mindgap.space.architecture import ARCHITECTURE_FILE, read_architecture
from mindgap.space.cost import count_cost
from mindgap.train.mitigation import MITIGATIONS
from mindgap.train.store_predictions import to_predictions

RESULTS = Path(__file__).parent / "results"
MAXIMIZE = (True, False)
FIGURES = ("unfairness", "unfairness_standardized", "worst_group_accuracy")
OF_U = ("low", "high", "noise_p95")
OF_NETWORK = (
    "macs", "params", "validation_accuracy", "validation_unfairness", "test_accuracy",
    *(f"test_{name}" for name in FIGURES), *(f"test_unfairness_{name}" for name in OF_U),
)  # fmt: skip


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
    table, store = RESULTS / f"fronts_{options.name}.csv", Store.open(options.store)
    asked = {"attribute": options.attribute, "blend": str(options.blend), "fingerprint": store.fingerprint}
    check_rows(read_rows(table), asked, table)
    if not options.table:
        fill(options, table, asked)
    show(read_rows(table), {split: majority(store, split) for split in ("validation", "test")})


def check_rows(rows: list[dict[str, str]], asked: dict[str, str], table: Path) -> None:
    """Refuses a table of another question.

    Raises:
        ConfigError: a row is of another attribute or store, or with blended tones where these are without.
    """
    for row in rows:
        if not set(OF_NETWORK) <= set(row):
            raise ConfigError(f"{table}: its rows are of an earlier version of this script; take another --name")
        if odd := [key for key, value in asked.items() if row[key] != value]:
            raise ConfigError(
                f"{table}: its rows are of {odd[0]}={row[odd[0]]}, not {asked[odd[0]]}; take another --name"
            )


def fill(options: argparse.Namespace, table: Path, asked: dict[str, str]) -> None:
    """Makes the arms that are not in the table yet, seed by seed."""
    options.work.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        place = options.work / options.name
        place.mkdir(exist_ok=True)
        makers = Arms(options.store, place, attribute=options.attribute, seed=seed, blend=options.blend).makers()
        chosen = options.arms.split(",") if options.arms else list(makers)
        for name in chosen:
            if name not in makers:
                raise ConfigError(f"--arms: no arm {name!r}; {near_names(name, makers)}")
        for name in chosen:
            if (name, str(seed)) not in {(row["arm"], row["seed"]) for row in read_rows(table)}:
                rows = front_rows(Store.open(options.store), options.attribute, name, seed, makers[name]())
                append_rows(table, [asked | row for row in rows])


def front_rows(store: Store, attribute: str, arm: str, seed: int, spent: Spent) -> list[dict[str, Any]]:
    """A row for each candidate on the front of the validation split; one without figures where there is none."""
    judged = [(one, figures(store, attribute, one, "validation")) for one in spent.candidates]
    points = np.array([[of["accuracy"], of["unfairness"]] for _, of in judged]).reshape(-1, 2)
    front = [one for on_front, one in zip(non_dominated(points, MAXIMIZE), judged, strict=True) if on_front]
    front += [(one, figures(store, attribute, one, "validation")) for one in spent.added]
    whole = {"arm": arm, "seed": seed, "candidates": len(judged) + len(spent.added), "arm_passes": spent.passes}
    whole |= {"arm_seconds": round(spent.seconds, 1)}
    rows = []
    for one, validation in front:
        test = figures(store, attribute, one, "test", bootstrap=2000, permutations=1000)
        cost = count_cost(read_architecture(one.folder / ARCHITECTURE_FILE))
        row = whole | {"macs": cost.macs, "params": cost.params}
        row |= {f"validation_{name}": validation[name] for name in ("accuracy", "unfairness")}
        row |= {f"test_{name}": value for name, value in test.items()}
        rows.append({key: round(value, 5) if isinstance(value, float) else value for key, value in row.items()})
    return rows or [whole | dict.fromkeys(OF_NETWORK, "")]


def figures(
    store: Store, attribute: str, one: Candidate, split: str, *, bootstrap: int = 0, permutations: int = 0
) -> dict[str, float]:
    """Accuracy and gaps of a candidate on a split, and the interval and noise floor of U; NaN is what there is not."""
    whole = to_predictions(store, store.rows(split), one.probabilities(store, split))
    # without scores, which none of these figures needs and whose resamples take most of the time
    predictions = replace(whole, probabilities=None, groups={attribute: whole.groups[attribute]})
    audit = audit_predictions(predictions, bootstrap=bootstrap, permutations=permutations)
    gaps = audit["attributes"][attribute]["gaps"]
    found = {"accuracy": audit["overall"]["accuracy"]["value"]} | {name: gaps[name]["value"] for name in FIGURES}
    found |= {f"unfairness_{name}": gaps["unfairness"][name] for name in OF_U}
    return {name: float("nan") if value is None else value for name, value in found.items()}


def majority(store: Store, split: str) -> float:
    """Accuracy on a split of naming the commonest training class for everyone."""
    commonest = np.bincount(store.labels[store.rows("train")]).argmax()
    return float((store.labels[store.rows(split)] == commonest).mean())


def volumes(rows: list[dict[str, str]], reference: tuple[float, float]) -> dict[str, dict[str, float]]:
    """Hypervolume of each arm and seed, as a share of the box from the reference to accuracy 1 and U 0."""
    whole = (1 - reference[0]) * reference[1]
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        of = points.setdefault((row["arm"], row["seed"]), [])
        if row["test_accuracy"]:
            of.append((float(row["test_accuracy"]), float(row["test_unfairness"])))
    found: dict[str, dict[str, float]] = {}
    for (arm, seed), of in points.items():
        found.setdefault(arm, {})[seed] = hypervolume(of, reference, maximize=MAXIMIZE) / whole if of else 0.0
    return found


def show(rows: list[dict[str, str]], floors: dict[str, float]) -> None:
    """The arms as a Markdown table."""
    reference = (floors["test"], 1.1 * max(float(row["test_unfairness"] or 0) for row in rows))
    found = volumes(rows, reference)
    apart = [differences(found, other) for other in (FIRST, EVERYTHING)]
    print(f"reference: accuracy {reference[0]:.3f}, U {reference[1]:.3f}")
    heads = ("seeds", "hypervolume", f"less {FIRST}'s", f"less {EVERYTHING}'s", "thousand passes", "minutes")
    heads += ("M MACs", "k parameters", "accuracy", "U", "worst group")
    print(f"| arm | {' | '.join(heads)} |\n| --- |{' ---: |' * len(heads)}")
    for arm, of in found.items():
        own = [row for row in rows if row["arm"] == arm]
        cells = [str(len(of)), cell(over_seeds(list(of.values())))]
        cells += [cell(of_all[arm]) + p_words(of_all[arm]) if arm in of_all else "–" for of_all in apart]
        cells += [f"{once(own, 'arm_passes') / 1e3:.0f}", f"{once(own, 'arm_seconds') / 60:.1f}"]
        chosen = [one for one in (chosen_of(own, seed, floors["validation"]) for seed in of) if one is not None]
        few = "" if len(chosen) == len(of) else f" ({len(chosen)} of {len(of)} seeds)"
        cells += [mean_of(chosen, "macs", 1e-6, 1) + few, mean_of(chosen, "params", 1e-3, 0)]
        cells += [mean_of(chosen, "test_accuracy"), unfairness_of(chosen), mean_of(chosen, "test_worst_group_accuracy")]
        print(f"| {arm}{told(arm)} | {' | '.join(cells)} |")


def differences(found: dict[str, dict[str, float]], other: str) -> dict[str, dict[str, Any]]:
    """By arm how much more it holds than another, in the seeds of both; ``p``, of Student's t, is Holm's over arms."""
    there, apart, p_values = found.get(other, {}), dict[str, dict[str, Any]](), dict[str, float | None]()
    for arm, of in found.items():
        both = [seed for seed in of if seed in there]
        if arm == other or not both:
            continue
        first, second = [there[seed] for seed in both], [of[seed] for seed in both]
        apart[arm] = difference_over_seeds(first, second)
        known = apart[arm]["low"] is not None
        p_values[arm] = float(cast("Any", stats).ttest_rel(second, first).pvalue) if known else None
    return {arm: one | {"p": p} for (arm, one), p in zip(apart.items(), holm(p_values).values(), strict=True)}


def p_words(apart: dict[str, Any]) -> str:
    return "" if apart["p"] is None else f", p {min(apart['p'], 1.0):.2f}"


def over_seeds(values: list[float]) -> dict[str, Any]:
    """Mean with Student's interval."""
    found = figure_over_seeds([{"value": value, "low": None, "high": None, "n": 0, "reason": None} for value in values])
    return {"value": found["mean"], "low": found["seeds_low"], "high": found["seeds_high"]}


def chosen_of(rows: list[dict[str, str]], seed: str, floor: float) -> dict[str, str] | None:
    """Of a seed's front the network that one would take by validation, where U is to be small; None of none."""
    able = [row for row in rows if row["seed"] == seed and float(row["validation_accuracy"] or 0) > floor]
    return min(able, key=lambda row: float(row["validation_unfairness"]), default=None)


def mean_of(rows: list[dict[str, str]], key: str, scale: float = 1.0, digits: int = 3) -> str:
    return f"{scale * statistics.fmean(float(row[key]) for row in rows):.{digits}f}" if rows else "–"


def unfairness_of(rows: list[dict[str, str]]) -> str:
    """Mean U of networks on the test images, with its interval and noise floor where all have one."""
    if not rows:
        return "–"
    keys = ("test_unfairness", *(f"test_unfairness_{name}" for name in OF_U))
    value, *ends = (statistics.fmean(float(row[key]) for row in rows) for key in keys)
    low, high, floor = ("none" if np.isnan(end) else f"{end:.3f}" for end in ends)
    return f"{value:.3f} [{low}, {high}] / {floor}"


def told(arm: str) -> str:
    """A note on a method that is told the group of every image that it predicts."""
    knows = arm in MITIGATIONS.names() and not MITIGATIONS.get(arm).predicts_by_network_alone()
    return " (told each image's group)" if knows else ""


def cell(value: dict[str, Any]) -> str:
    ends = "" if value["low"] is None else f" [{value['low']:.3f}, {value['high']:.3f}]"
    return f"{value['value']:.3f}{ends}"


def once(rows: list[dict[str, str]], key: str) -> float:
    """Mean over seeds of what an arm spent, which each of its rows has."""
    return statistics.fmean(float(value) for value in {row["seed"]: row[key] for row in rows}.values())


if __name__ == "__main__":
    main()
