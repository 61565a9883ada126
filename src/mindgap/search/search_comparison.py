"""Searches side by side: the hypervolume each reached, in all and at equal image passes, from one reference point."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mindgap.metrics.hypervolume import hypervolume_over_time
from mindgap.search.objectives import MAXIMIZE

IDEAL = (1.0, 0.0, 0.0)
BEYOND = 1.1  # the reference lies a tenth beyond the worst, else a candidate that is worst in one thing counts nothing
SAME = {
    "fingerprint": "stores",
    "attribute": "attributes",
    "unfairness": "kinds of U",
    "excluded_groups": "groups left out of U",
}


@dataclass(frozen=True)
class SearchRuns:
    """The runs of one search, which differ in their seed.

    Attributes:
        name: what it is called.
        records: the ``search.json`` of each run, with the ``fingerprint`` of its store.
    """

    name: str
    records: tuple[Mapping[str, Any], ...]


def compare_searches(searches: Sequence[SearchRuns]) -> dict[str, Any]:
    """Hypervolumes of accuracy, U and multiply-accumulates, as shares of the box from the reference to the ideal point.

    The reference point is common: the lowest accuracy floor of the runs, and 1.1 times the largest U and
    multiply-accumulates of any candidate above it; the ideal point has accuracy 1, U 0 and no multiply-accumulates.
    Candidates count in the order of their slots and only if trained to the end; what others took until they were
    stopped or failed is spent too, but not the epochs of candidates that crashed, which nobody has noted. Intervals are
    over the seeds of a search (Student's t), differences from the first are Welch's.

    Returns:
        A record; where searches are not alike enough or no candidate counts, ``reason`` says so and nothing else is
        there.
    """
    everything = [record for search in searches for record in search.records]
    reason = why_not_alike(searches)
    reference = None if reason else _reference(everything)
    if reference is None:
        return {"reason": reason or "no candidate of any search is above its accuracy floor"}
    paths = [[_progress(record, reference) for record in search.records] for search in searches]
    equal = min(float(passes[-1]) for of_one in paths for passes, _ in of_one)
    found = [_search(search, of_one, equal) for search, of_one in zip(searches, paths, strict=True)]
    for name in ("final", "at_equal_passes"):
        first = found[0][f"each_{name}"]
        for one in found[1:]:
            one[f"difference_{name}"] = difference(first, one[f"each_{name}"])
    return {
        "reason": None,
        "reference": dict(zip(("accuracy", "unfairness", "macs"), reference, strict=True)),
        "equal_passes": equal,
        "searches": found,
    }


def why_not_alike(searches: Sequence[SearchRuns]) -> str | None:
    """In which way U or the images of two searches are not the same, so that their hypervolumes say nothing."""
    for key, words in SAME.items():
        seen: dict[str, str] = {}
        for search in searches:
            for record in search.records:
                value = ", ".join(record[key]) if isinstance(record[key], list) else str(record[key])
                seen.setdefault(value, search.name)
        if len(seen) > 1:
            told = "; ".join(f"{name}: {value[:40] or 'none'}" for value, name in seen.items())
            return f"the searches have different {words} ({told})"
    return None


def _reference(records: Sequence[Mapping[str, Any]]) -> tuple[float, float, float] | None:
    floor = min(float(record["reward"]["accuracy_floor"]) for record in records)
    points = np.concatenate([_points(record) for record in records])
    counted = points[points[:, 0] > floor]
    if not len(counted):
        return None
    return floor, BEYOND * float(counted[:, 1].max()), BEYOND * float(counted[:, 2].max())


def _points(record: Mapping[str, Any]) -> NDArray[np.float64]:
    """Accuracy, U and MACs of every slot in order, float64 (n, 3); NaN for what was not trained to the end."""
    rows = [
        (trial["accuracy"], trial["unfairness"], trial["macs"]) if _counts(trial) else (math.nan,) * 3
        for trial in sorted(record["trials"], key=lambda trial: trial["slot"])
    ]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def _counts(trial: Mapping[str, Any]) -> bool:
    return trial["state"] == "complete"


Progress = tuple[NDArray[np.float64], NDArray[np.float64]]


def _progress(record: Mapping[str, Any], reference: tuple[float, float, float]) -> Progress:
    """Image passes spent and the hypervolume reached after each slot, each float64 (n + 1,), from 0."""
    trials = sorted(record["trials"], key=lambda trial: trial["slot"])
    passes = np.cumsum([0.0, *(float(trial["image_passes"] or 0) for trial in trials)])
    box = math.prod(abs(ideal - bound) for ideal, bound in zip(IDEAL, reference, strict=True))
    reached = hypervolume_over_time(_points(record), reference, maximize=MAXIMIZE)
    return passes, np.concatenate([[0.0], reached / box if box > 0 else reached])


def _search(search: SearchRuns, paths: Sequence[Progress], equal: float) -> dict[str, Any]:
    finals = [float(reached[-1]) for _, reached in paths]
    equals = [float(reached[np.searchsorted(passes, equal, side="right") - 1]) for passes, reached in paths]
    return {
        "name": search.name,
        "searcher": search.records[0]["searcher"],
        "seeds": [record["seed"] for record in search.records],
        "trials": [len(record["trials"]) for record in search.records],
        "epochs": sorted({t["epochs"] for record in search.records for t in record["trials"] if _counts(t)}),
        "image_passes": [float(passes[-1]) for passes, _ in paths],
        "final": mean_over_seeds(finals),
        "at_equal_passes": mean_over_seeds(equals),
        "each_final": finals,
        "each_at_equal_passes": equals,
        "curves": [_curve(*path) for path in paths],
    }


def _curve(passes: NDArray[np.float64], reached: NDArray[np.float64]) -> dict[str, list[float]]:
    """Where the hypervolume rises, and the end."""
    rises = np.flatnonzero(np.diff(reached) > 0) + 1
    kept = np.unique(np.concatenate([[0], rises, [len(reached) - 1]]))
    return {"image_passes": passes[kept].tolist(), "hypervolume": reached[kept].tolist()}


def mean_over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean with a 95 % interval of Student's t, n being the seeds; one seed has no interval, and a reason.

    Example: of .2 and .4 the half width is t(.975; 1) · .1 = 1.27, so the interval is −.97 to 1.57.
    """
    n, mean = len(values), float(np.mean(values))
    if n < 2:
        return _value(mean, math.nan, n, reason="no interval: one seed; run the search with others")
    return _value(mean, float(stats.t.ppf(0.975, n - 1) * stats.sem(values)), n)


def difference(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """Mean of the second less that of the first, with Welch's 95 % interval; n are the seeds of both."""
    n, value = len(first) + len(second), float(np.mean(second) - np.mean(first))
    if min(len(first), len(second)) < 2:
        return _value(value, math.nan, n, reason="no interval: a search has one seed; run it with others")
    variances = [float(np.var(one, ddof=1)) / len(one) for one in (first, second)]
    if sum(variances) == 0:
        return _value(value, math.nan, n, reason="no interval: the seeds of each search reached the same")
    freedom = sum(variances) ** 2 / sum(
        v**2 / (len(one) - 1) for v, one in zip(variances, (first, second), strict=True)
    )
    return _value(value, float(stats.t.ppf(0.975, freedom)) * math.sqrt(sum(variances)), n)


def _value(value: float, half: float, n: int, *, reason: str | None = None) -> dict[str, Any]:
    return {"value": value, "low": value - half, "high": value + half, "n": n, "reason": reason}
