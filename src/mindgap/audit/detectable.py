"""What size of gap a split could show: per group, per pair of groups, and for U."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from mindgap.audit.detectable_gap import LEVEL, POWER, Sample, detectable_difference
from mindgap.audit.detectable_unfairness import UnfairnessSimulation
from mindgap.audit.record import Record
from mindgap.core.groups import Groups
from mindgap.metrics.counts import Integers
from mindgap.metrics.interval import MIN_CLUSTERS

ACCURACIES = (0.7, 0.8, 0.9)


def detectable_record(
    labels: Integers, groups: Groups, clusters: Integers, *, accuracy: float, icc: float, seed: int
) -> Record:
    """The smallest gaps that the rows of a split would show at a two-sided 5 % with 80 % power.

    Args:
        labels: int64 (n,) classes, for the case mix; zeros where there is none to keep.
        groups: groups of the n rows.
        clusters: int64 (n,).
        accuracy: A, assumed for every group that is not worse.
        icc: correlation of being right within a cluster, assumed.
        seed: of the simulation of U.

    Returns:
        ``groups``: per group its effective n, ``versus_rest`` (δ against all others) and ``unfairness``;
        ``largest_pair`` and ``worst_pair``: δ between the two largest and the two least informative groups;
        ``by_accuracy``: the same differences at other accuracies; ``chance``: U if no group is worse.
    """
    samples = {name: Sample.of(clusters[groups.ids == g]) for g, name in enumerate(groups.names)}
    rest = {name: Sample.of(clusters[groups.known & (groups.ids != g)]) for g, name in enumerate(groups.names)}
    usable = [name for name, sample in samples.items() if sample.clusters >= MIN_CLUSTERS]
    simulated, chance = _unfairness(labels, groups, clusters, usable, accuracy=accuracy, icc=icc, seed=seed)
    record: Record = {
        "accuracy": accuracy,
        "icc": icc,
        "level": LEVEL,
        "power": POWER,
        "clustered": any(sample.clusters < sample.n for sample in samples.values()),
        "chance": chance,
        "groups": {},
    }
    for name, sample in samples.items():
        record["groups"][name] = {
            "n": sample.n,
            "clusters": sample.clusters,
            "effective_n": sample.effective_n(icc),
            "versus_rest": _difference(sample, rest[name], accuracy, icc, who=name),
            "unfairness": simulated.get(name) or _nothing(_too_few(name, sample)),
        }
    record |= _pairs(samples, usable, accuracy, icc)
    record["by_accuracy"] = {
        f"{other:g}": {
            "groups": {name: _difference(samples[name], rest[name], other, icc, who=name)["value"] for name in samples},
            **{key: pair["value"] for key, pair in _pairs(samples, usable, other, icc).items()},
        }
        for other in sorted({*ACCURACIES, accuracy})
    }
    return record


def _difference(worse: Sample, other: Sample, accuracy: float, icc: float, *, who: str) -> Record:
    for name, sample in ((who, worse), ("the rest", other)):
        if sample.clusters < MIN_CLUSTERS:
            return {"value": None, "reason": _too_few(name, sample)}
    delta = detectable_difference(accuracy, worse.effective_n(icc), other.effective_n(icc))
    if math.isnan(delta):
        return {"value": None, "reason": _never(who)}
    return {"value": delta, "reason": None}


def _pairs(samples: Mapping[str, Sample], usable: Sequence[str], accuracy: float, icc: float) -> Record:
    """δ between the two largest groups, and the largest δ of any two groups, either being the worse one."""
    if len(usable) < 2:
        reason = f"fewer than two groups have {MIN_CLUSTERS} clusters"
        nothing = {"groups": None, "value": None, "reason": reason}
        return {"largest_pair": nothing, "worst_pair": nothing}
    by_size = sorted(usable, key=lambda name: -samples[name].effective_n(icc))

    def between(pair: Sequence[str]) -> Record:
        first, second = (samples[name].effective_n(icc) for name in pair)
        deltas = [detectable_difference(accuracy, first, second), detectable_difference(accuracy, second, first)]
        value = None if any(map(math.isnan, deltas)) else max(deltas)
        return {"groups": list(pair), "value": value, "reason": None if value is not None else _never("either group")}

    return {"largest_pair": between(by_size[:2]), "worst_pair": between(by_size[-2:])}


def _unfairness(
    labels: Integers,
    groups: Groups,
    clusters: Integers,
    usable: Sequence[str],
    *,
    accuracy: float,
    icc: float,
    seed: int,
) -> tuple[Record, Record]:
    """Per usable group what U would show, and U by chance alone."""
    known = groups.known
    there = np.unique(groups.ids[known])
    if len(there) < 2:
        return {}, {"mean": None, "p95": None, "reason": "fewer than two groups have images"}
    numbers = np.searchsorted(there, groups.ids[known])
    simulation = UnfairnessSimulation.of(labels[known], numbers, clusters[known], accuracy=accuracy, icc=icc, seed=seed)
    mean, p95 = simulation.chance()
    found: Record = {}
    for place, g in enumerate(there.tolist()):
        name = groups.names[g]
        if name not in usable:
            continue
        result = simulation.detectable(place)
        if math.isnan(result.worse_by):
            found[name] = _nothing(_never(name))
        else:
            found[name] = {
                "worse_by": result.worse_by,
                "true": result.true,
                "expected": result.expected,
                "noise_p95": result.noise_p95,
                "reason": None,
            }
    return found, {"mean": mean, "p95": p95, "reason": None}


def _nothing(reason: str) -> Record:
    return {"worse_by": None, "true": None, "expected": None, "noise_p95": None, "reason": reason}


def _too_few(name: str, sample: Sample) -> str:
    plural = "" if sample.clusters == 1 else "s"
    return f"{name} has {sample.clusters} cluster{plural}, and under {MIN_CLUSTERS} there is no interval"


def _never(who: str) -> str:
    return f"not even if {who} were always wrong"
