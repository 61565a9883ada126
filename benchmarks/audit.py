"""P10: a full audit of a million predictions under 60 s and 3 GiB, and its bootstrap against fairlearn's; target 100×.

    python benchmarks/audit.py [--n 1000000] [--clusters 200000] [--replicates 2000] [--permutations 1000] [--rounds 2]

The audit is of 7 classes with probabilities and attributes of 4, 6 and 2 groups: every metric, in a process of its own,
whose peak memory it is. Writing the predictions as Parquet and reading them back is timed apart. Then the same rows as
a task of two classes without scores, on one attribute, are audited by both: fairlearn's MetricFrame gives accuracy,
selection rate, TPR and FPR per group with bootstrap intervals, the audit all metrics that need counts alone, with
intervals but without clusters. They take turns; fairlearn has few replicates and is charged by the replicate, its
set-up left out, the audit by 2,000 with its set-up.
"""

from __future__ import annotations

import argparse
import multiprocessing
import queue
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rounds import arguments, clock, ratio, show, take_turns

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.groups import Groups
from mindgap.metrics.predictions import Predictions, predictions_from_arrays
from mindgap.metrics.predictions_table import read_predictions, write_predictions

CLASSES = tuple(f"class {k}" for k in range(7))
SHARES = (0.66, 0.11, 0.11, 0.05, 0.03, 0.02, 0.02)
ATTRIBUTES = {"tone": (0.4, 0.3, 0.2, 0.1), "age": (0.3, 0.25, 0.2, 0.15, 0.07, 0.03), "sex": (0.5, 0.5)}
TARGET_SECONDS, TARGET_GIB, TARGET_TIMES = 60, 3, 100
FAIRLEARN_REPLICATES = 2


def made(n: int, n_clusters: int) -> Predictions:
    """Predictions of unbalanced classes in clusters that share label and groups."""
    generator = np.random.default_rng(0)
    clusters = generator.integers(n_clusters, size=n)
    labels = generator.choice(len(CLASSES), size=n_clusters, p=SHARES)[clusters]
    logits = generator.normal(size=(n, len(CLASSES))) + 2.0 * np.eye(len(CLASSES))[labels]
    odds = np.exp(logits)
    groups = {
        name: Groups(name, tuple(f"{name} {k}" for k in range(len(shares))), _groups(generator, shares, clusters))
        for name, shares in ATTRIBUTES.items()
    }
    return predictions_from_arrays(
        labels, classes=CLASSES, probabilities=odds / odds.sum(axis=1, keepdims=True), groups=groups, clusters=clusters
    )


def _groups(generator: np.random.Generator, shares: tuple[float, ...], clusters: np.ndarray) -> np.ndarray:
    return generator.choice(len(shares), size=int(clusters.max()) + 1, p=shares)[clusters]


def full_audit(options: argparse.Namespace, answers: Any) -> None:
    """Writes, reads and audits, and puts seconds and GiB into the queue."""
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "predictions.parquet"
        write_predictions(file, made(options.n, options.clusters))
        start = time.perf_counter()
        predictions = read_predictions(file, attributes=list(ATTRIBUTES))
        reading = time.perf_counter() - start
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    start, busy = time.perf_counter(), time.process_time()
    audit_predictions(predictions, bootstrap=options.replicates, permutations=options.permutations)
    seconds = {"reading": reading, "wall": time.perf_counter() - start, "cpu": time.process_time() - busy}
    answers.put(seconds | {"before": before, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20})


def answer_of(child: Any, answers: Any) -> dict[str, float]:
    """What the child puts into the queue; ends the benchmark if it dies before, as where memory runs out."""
    while True:
        try:
            return answers.get(timeout=1)
        except queue.Empty:
            if child.is_alive():
                continue
        try:
            return answers.get(timeout=1)  # put there just before it ended
        except queue.Empty:
            raise SystemExit(f"the audit's process ended without an answer (exit code {child.exitcode})") from None


def binary(predictions: Predictions) -> Predictions:
    """The first class against the rest, without scores, on the first attribute, every row a cluster."""
    attribute = next(iter(ATTRIBUTES))
    return predictions_from_arrays(
        (predictions.labels == 0).astype(np.int64),
        classes=("rest", "first"),
        predicted=(predictions.predicted == 0).astype(np.int64),
        groups={attribute: predictions.groups[attribute]},
    )


def by_fairlearn(predictions: Predictions, seconds: Callable[[], float]) -> Callable[[], float]:
    """Seconds per replicate of fairlearn's bootstrap."""
    from fairlearn.metrics import MetricFrame, false_positive_rate, selection_rate, true_positive_rate
    from sklearn.metrics import accuracy_score

    metrics = {
        "accuracy": accuracy_score,
        "selection rate": selection_rate,
        "TPR": true_positive_rate,
        "FPR": false_positive_rate,
    }
    groups = next(iter(predictions.groups.values()))
    columns = {
        "y_true": predictions.labels,
        "y_pred": predictions.predicted,
        "sensitive_features": np.array(groups.names)[groups.ids],
    }

    def frame(**options: Any) -> float:
        start = seconds()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            MetricFrame(metrics=metrics, **columns, **options)
        return seconds() - start

    def play() -> float:
        options = {"n_boot": FAIRLEARN_REPLICATES, "ci_quantiles": [0.025, 0.975], "random_state": 0}
        return (frame(**options) - frame()) / FAIRLEARN_REPLICATES

    return play


def by_audit(predictions: Predictions, seconds: Callable[[], float], *, replicates: int) -> Callable[[], float]:
    """Seconds per replicate of the audit's bootstrap."""

    def play() -> float:
        start = seconds()
        audit_predictions(predictions, bootstrap=replicates, permutations=0)
        return (seconds() - start) / replicates

    return play


def main() -> None:
    parser = arguments(__doc__ or "", rounds=2)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--clusters", type=int, default=200_000)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("--permutations", type=int, default=1000)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    child = context.Process(target=full_audit, args=(options, answers))
    child.start()
    found = answer_of(child, answers)
    child.join()
    print(f"{options.n} predictions: read in {found['reading']:.1f} s")
    print(f"  audited in {found['wall']:.1f} s ({found['cpu']:.1f} s of CPU; target {TARGET_SECONDS} s on two cores)")
    print(f"  peak {found['peak']:.2f} GiB, {found['before']:.2f} before the audit (target {TARGET_GIB})")
    if options.rounds:
        two_classes, seconds = binary(made(options.n, options.clusters)), clock(options.clock)
        figures = take_turns(
            {
                "fairlearn": by_fairlearn(two_classes, seconds),
                "mindgap": by_audit(two_classes, seconds, replicates=options.replicates),
            },
            rounds=options.rounds,
        )
        show("seconds per bootstrap replicate", figures, unit="s")
        print(f"  {ratio(figures['fairlearn'], figures['mindgap']):.0f} times as fast (target {TARGET_TIMES})")


if __name__ == "__main__":
    main()
