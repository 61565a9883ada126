"""Simulates how often an audit's 95 % intervals hold the truth, and how often its noise floors raise a false alarm.

Rows of known truth are drawn again and again, each sample is audited, and every figure and gap of the record is held
against the truth. Scores are the softmax of Gaussian logits, so every group has known accuracy, ROC curves and
calibration; the true values are those of 400,000 rows per group (a million without scores) with exact class shares,
which share their noise. 300 resamples instead of 2,000 cost a percentile interval nearly one point of cover.
False alarms are p ≤ .05 where groups are alike, of 199 permutations (so p ≤ .05 has probability .05 exactly).

    python experiments/coverage.py [--simulations 2000] [--workers 2] [--settings equal_3 clustered_3 …]

Each finished setting appends its rows to experiments/results/coverage.csv; the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.groups import Groups
from mindgap.metrics.metric import gap_metrics
from mindgap.metrics.predictions import Predictions, predictions_from_arrays

FIELDS = (
    "setting", "measure", "figure", "truth", "simulations", "resamples", "rate", "without", "half_width", "cpu_seconds",
)  # fmt: skip
ROWS_PER_GROUP = 500
TRUE_ROWS = {True: 400_000, False: 1_000_000}
BATCH = 50
_GRID = np.linspace(-9, 9, 4001)


@dataclass(frozen=True)
class Setting:
    """A population and how its samples are audited.

    Attributes:
        accuracies: of each group.
        shares: of each class, the same in every group unless ``other_shares``.
        other_shares: of each class in the last group.
        cluster_size: rows of a cluster; they share label and group.
        correlation: of anything about two rows of a cluster.
        bootstrap: replicates behind an interval.
        permutations: permutations behind a noise floor.
        scores: whether the audit knows probabilities, or predicted classes alone (a tenth of the work).
    """

    accuracies: tuple[float, ...]
    shares: tuple[float, ...] = (0.5, 0.3, 0.2)
    other_shares: tuple[float, ...] = ()
    cluster_size: int = 1
    correlation: float = 0.0
    bootstrap: int = 300
    permutations: int = 0
    scores: bool = True

    def shares_of(self, group: int) -> tuple[float, ...]:
        """Class shares of a group."""
        return self.other_shares if self.other_shares and group == len(self.accuracies) - 1 else self.shares


SETTINGS = {
    "equal_3": Setting((0.8,) * 3, permutations=199),
    "two": Setting((0.85, 0.75)),
    "four": Setting((0.85, 0.80, 0.75, 0.70)),
    "equal_6": Setting((0.8,) * 6),
    "clustered_3": Setting((0.8,) * 3, cluster_size=3, correlation=0.5, permutations=199),
    "binary_equal_3": Setting((0.8,) * 3, shares=(0.7, 0.3), permutations=199),
    "binary_two": Setting((0.85, 0.75), shares=(0.7, 0.3)),
    "rare_equal_3": Setting((0.8,) * 3, shares=(0.7, 0.24, 0.06)),
    "rare_four": Setting((0.85, 0.80, 0.75, 0.70), shares=(0.7, 0.24, 0.06)),
    "other_mix": Setting((0.85, 0.75), other_shares=(0.2, 0.3, 0.5)),
}
# the same samples by their predicted classes alone, with as many resamples as an audit has
SETTINGS |= {
    f"{name}_counts": replace(SETTINGS[name], bootstrap=2000, permutations=0, scores=False)
    for name in ("equal_3", "equal_6", "two", "four", "clustered_3")
}


@cache
def skill(accuracy: float, classes: int) -> float:
    """How far the true class's logit lies above the others, in standard deviations, for that accuracy."""

    def excess(shift: float) -> float:
        below = stats.norm.cdf(_GRID + shift) ** (classes - 1)
        return float(np.trapezoid(stats.norm.pdf(_GRID) * below, _GRID)) - accuracy

    return float(optimize.brentq(excess, 0, 8))


def chances(labels: NDArray[np.int64], noise: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """Softmax of the noise (n, C) plus the true class's shift (n,)."""
    logits = noise.copy()
    logits[np.arange(len(labels)), labels] += shift
    logits -= logits.max(axis=1, keepdims=True)
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True)


def drawn(setting: Setting, generator: np.random.Generator) -> Predictions:
    """A sample of 500 rows per group."""
    n_groups, n_classes, size = len(setting.accuracies), len(setting.shares), setting.cluster_size
    of_cluster = np.repeat(np.arange(n_groups), -(-ROWS_PER_GROUP // size))
    shares = [setting.shares_of(g) for g in range(n_groups)]
    labels = np.concatenate(
        [generator.choice(n_classes, size=int((of_cluster == g).sum()), p=shares[g]) for g in range(n_groups)]
    )
    clusters = np.repeat(np.arange(len(of_cluster)), size)
    groups, labels = of_cluster[clusters], labels[clusters]
    noise = generator.normal(size=(len(labels), n_classes))
    if setting.correlation:
        # rows that take their cluster's noise as it is: pairs do with probability q² = the correlation
        common = generator.normal(size=(len(of_cluster), n_classes))[clusters]
        taken = generator.random(len(labels)) < np.sqrt(setting.correlation)
        noise = np.where(taken[:, None], common, noise)
    return predictions(setting, labels, groups, noise, clusters)


def predictions(
    setting: Setting,
    labels: NDArray[np.int64],
    groups: NDArray[np.int64],
    noise: NDArray[np.float64],
    clusters: NDArray[np.int64] | None = None,
) -> Predictions:
    skills = np.array([skill(accuracy, len(setting.shares)) for accuracy in setting.accuracies])
    return predictions_from_arrays(
        labels,
        classes=tuple(f"c{k}" for k in range(len(setting.shares))),
        probabilities=chances(labels, noise, skills[groups]),
        groups={"group": Groups("group", tuple(f"g{k}" for k in range(len(skills))), groups)},
        clusters=clusters,
    )


def truth(setting: Setting) -> dict[str, float]:
    """The population's values, from many rows whose groups differ in nothing but what they are meant to."""
    n = TRUE_ROWS[setting.scores]
    noise = np.random.default_rng(1).normal(size=(n, len(setting.shares)))
    labels, groups = [], []
    for g in range(len(setting.accuracies)):
        ends = np.round(np.cumsum(setting.shares_of(g)) * n).astype(np.int64)
        labels.append(np.searchsorted(ends, np.arange(n), side="right"))
        groups.append(np.full(n, g))
    noise = np.tile(noise, (len(groups), 1))
    whole = predictions(setting, np.concatenate(labels), np.concatenate(groups), noise)
    whole = whole if setting.scores else replace(whole, probabilities=None)
    return dict(values(audit_predictions(whole, bootstrap=0, permutations=0), "value"))


def values(audit: dict[str, Any], key: str) -> Iterator[tuple[str, Any]]:
    """One number of every figure overall, of the first group and of every gap."""
    attribute = audit["attributes"]["group"]
    parts = {"overall": audit["overall"], "group": attribute["groups"]["g0"], "gap": attribute["gaps"]}
    for kind, records in parts.items():
        for name, record in records.items():
            if isinstance(record, dict) and key in record:
                yield f"{kind} {name}", record[key]


def simulate(setting: Setting, seeds: range) -> list[dict[str, dict[str, Any]]]:
    """For each seed the figures' low, high and p."""
    found = []
    for seed in seeds:
        sample = drawn(setting, np.random.default_rng([20, seed]))
        sample = sample if setting.scores else replace(sample, probabilities=None)
        audit = audit_predictions(sample, bootstrap=setting.bootstrap, permutations=setting.permutations, seed=seed)
        found.append({key: dict(values(audit, key)) for key in ("low", "high", "p_value")})
    return found


def rows_of(name: str, *, simulations: int, workers: int = 1) -> list[dict[str, Any]]:
    """What is found of one setting."""
    setting, start = SETTINGS[name], time.process_time() + children_seconds()
    expected = truth(setting)
    found = simulate_all(setting, simulations=simulations, workers=workers)
    seconds = time.process_time() + children_seconds() - start
    common = {"setting": name, "simulations": simulations, "cpu_seconds": round(seconds)}
    covered = [common | row for row in coverage_rows(setting, expected, found)]
    return covered + [common | row for row in alarm_rows(setting, found)]


def simulate_all(setting: Setting, *, simulations: int, workers: int) -> list[dict[str, dict[str, Any]]]:
    """``simulate`` for seeds 0, 1, …, in so many processes."""
    batches = [range(k, min(k + BATCH, simulations)) for k in range(0, simulations, BATCH)]
    if workers == 1:
        return [one for batch in batches for one in simulate(setting, batch)]
    with ProcessPoolExecutor(workers) as pool:
        return [one for batch in pool.map(partial(simulate, setting), batches) for one in batch]


def coverage_rows(
    setting: Setting, expected: dict[str, float], found: list[dict[str, dict[str, Any]]]
) -> Iterator[dict[str, Any]]:
    """How many intervals hold the truth, of those that there are; and the share that there are not."""
    for figure, true in expected.items():
        if true is None:
            continue
        low, high = (np.array([one[key][figure] for one in found], dtype=float) for key in ("low", "high"))
        known = ~np.isnan(low)
        covered = ((low <= true + 1e-9) & (true - 1e-9 <= high))[known]
        width = (high - low)[known] / 2
        yield {
            "measure": "coverage",
            "figure": figure,
            "truth": f"{true:.5f}",
            "resamples": setting.bootstrap,
            "rate": f"{covered.mean() if known.any() else np.nan:.4f}",
            "without": f"{1 - known.mean():.4f}",
            "half_width": f"{width.mean() if known.any() else np.nan:.4f}",
        }


def alarm_rows(setting: Setting, found: list[dict[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """How many p-values are at most .05."""
    for metric in gap_metrics() if setting.permutations else ():
        figure = f"gap {metric.name}"
        p = np.array([one["p_value"].get(figure) for one in found], dtype=float)
        if not np.isnan(p).all():
            rates = {"rate": f"{(p <= 0.05).mean():.4f}", "without": f"{np.isnan(p).mean():.4f}"}
            yield {"measure": "false alarms", "figure": figure, "resamples": setting.permutations} | rates


def children_seconds() -> float:
    """CPU seconds of worker processes that have ended."""
    times = os.times()
    return times.children_user + times.children_system


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--table", type=Path, default=Path(__file__).parent / "results" / "coverage.csv")
    options = parser.parse_args()
    for name in options.settings:
        if name in {row["setting"] for row in table_rows(options.table)}:
            continue
        rows = rows_of(name, simulations=options.simulations, workers=options.workers)
        append(options.table, rows)
        for row in rows:
            print(f"{name:<16}{row['measure']:<14}{row['figure']:<36}{row.get('truth', ''):>9}{row['rate']:>9}")


def table_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def append(path: Path, rows: list[dict[str, Any]]) -> None:
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
