"""The figures of a method over its seeds: what is known of each from the images, and from training again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, stdev
from typing import Any

from scipy import stats

from mindgap.audit.model_figures import over_seeds
from mindgap.audit.record import Record, number
from mindgap.metrics.interval import NO_WIDTH

OVERALL = ("accuracy", "macro_f1")
GAPS = (
    "unfairness",
    "worst_group_accuracy",
    "accuracy_difference",
    "accuracy_ratio",
    "f1_difference",
    "equalized_odds_abs_mean",
    "abroca",
)
ALIKE = "no interval over seeds: all give the same value"
ONE_SEED = "one seed: no interval over seeds can be given"


def method_figures(audits: Sequence[Mapping[str, Any]], *, gap: str) -> Record:
    """The main figures of the AUDITs of one method's seeds, ``overall`` and by attribute; of several labels each.

    Args:
        audits: one per seed, at least one.
        gap: a gap that is wanted besides the main ones.
    """
    names = tuple(dict.fromkeys((gap, *GAPS)))
    if "labels" in audits[0]:
        by_label = {
            label: method_figures([audit["labels"][label] for audit in audits], gap=gap)
            for label in audits[0]["labels"]
        }
        return {"overall": _figures([audit["overall"] for audit in audits], OVERALL), "labels": by_label}
    return {
        "overall": _figures([audit["overall"] for audit in audits], OVERALL),
        "attributes": {
            attribute: _figures([audit["attributes"][attribute]["gaps"] for audit in audits], names)
            for attribute in audits[0]["attributes"]
        },
    }


def figure_over_seeds(records: Sequence[Mapping[str, Any]]) -> Record:
    """One figure over seeds, from the V or G of each.

    Returns:
        ``mean`` and ``sd`` (n − 1) over ``n_seeds``; ``low`` and ``high``, mean ends of the seeds' own intervals, which
        are about the images; ``seeds_low`` and ``seeds_high``, Student's 95 % interval of the mean over seeds, which is
        about training again, or ``seeds_reason`` why there is none; ``noise_mean`` and ``noise_p95``, mean of the noise
        floors; ``seeds``, each value; ``reason`` why there is no mean.

    Example:
        Values .80, .82 and .84 have mean .82, sd .02 and an interval of .82 ± 4.303 · .02/√3, .770 to .870.
    """
    found = over_seeds([dict(record) for record in records])
    values = [record["value"] for record in records if record["value"] is not None]
    found |= {"seeds": [record["value"] for record in records], "seeds_low": None, "seeds_high": None}
    found |= {"seeds_reason": found["reason"] or (ONE_SEED if len(records) < 2 else None)}
    if found["seeds_reason"] is None and stdev(values) <= NO_WIDTH:
        found["seeds_reason"] = ALIKE
    if found["seeds_reason"] is None:
        half = float(stats.t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
        found |= {"seeds_low": number(mean(values) - half), "seeds_high": number(mean(values) + half)}
    for name in ("noise_mean", "noise_p95"):
        floors = [record.get(name) for record in records]
        known = [floor for floor in floors if floor is not None]
        found[name] = mean(known) if known and len(known) == len(floors) else None
    return found


def difference_over_seeds(first: Sequence[float | None], second: Sequence[float | None]) -> Record:
    """Mean over seeds of the second less the first, each seed beside its own, with Student's 95 % interval.

    It is about training again on the same images, which the interval over images leaves out.

    Args:
        first: one value per seed, None where there is none.
        second: likewise, of the same seeds.

    Example:
        .3, .2 and .4 beside .2, .2 and .2 differ by −.1, 0 and −.2: −.1 ± 4.303 · .1/√3, −.348 to .148.
    """
    apart = [b - a for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    record: Record = {"value": mean(apart) if apart else None, "low": None, "high": None, "n_seeds": len(apart)}
    if len(apart) < 2:
        return record | {"reason": ONE_SEED if apart else "in no seed are both figures defined"}
    if stdev(apart) <= NO_WIDTH:
        return record | {"reason": ALIKE}
    half = float(stats.t.ppf(0.975, len(apart) - 1)) * stdev(apart) / math.sqrt(len(apart))
    return record | {"low": number(mean(apart) - half), "high": number(mean(apart) + half), "reason": None}


def _figures(parts: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Record:
    return {name: figure_over_seeds([part[name] for part in parts]) for name in names if name in parts[0]}
