"""What may be said of a difference between two models, and of what a model does to an attribute's gap."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from mindgap.audit.record import Record
from mindgap.metrics.holm import holm

LEVEL = 0.05
HARM = 0.01
"""Loss of the worst group's accuracy that counts as harm."""

NO_P = "no p-value: no permutations were asked for"
TOO_FEW = "too few permutations for so many comparisons"

Reading = Literal["better", "worse", "no difference shown", "not judged", "not defined"]
Word = Literal["helps", "levels down", "hurts", "no difference shown", "not judged", "not defined"]


def read_differences(by_label: Mapping[str, Record], *, permutations: int) -> None:
    """Adds ``p_holm``, ``reading`` and ``why`` to every difference, in place; ``why`` says why one is not judged.

    p is adjusted over all that is looked at together, for each metric: the models and labels overall; for gaps also the
    attributes; for groups also all groups of all attributes.
    """
    families: dict[Any, dict[Any, Record]] = {}
    for family, key, record in _differences(by_label):
        families.setdefault(family, {})[key] = record
    for family in families.values():
        adjusted = holm({key: record["p_value"] for key, record in family.items()})
        for key, record in family.items():
            record["p_holm"] = adjusted[key]
            record["reading"], record["why"] = read(record, permutations=permutations)


def read(record: Mapping[str, Any], *, permutations: int) -> tuple[Reading, str | None]:
    """Whether the second model's figure is shown to be better or worse, and why that cannot be judged.

    Shown takes an adjusted p of at most .05 and an interval without 0. A p that no swap reached and that is over .05
    when adjusted says that there are too few swaps, not that there is no difference.
    """
    if record["value"] is None:
        return "not defined", record["reason"]
    if why := _unjudged(record, permutations):
        return "not judged", why
    if record["p_holm"] > LEVEL or record["low"] <= 0 <= record["high"]:
        return "no difference shown", None
    return ("better" if (record["value"] > 0) == (record["better"] == "larger") else "worse"), None


def _unjudged(record: Mapping[str, Any], permutations: int) -> str | None:
    """Why nothing can be said; a large p needs no interval."""
    if record["p_holm"] is None:
        return NO_P
    if record["p_holm"] > LEVEL:
        reached = record["p_value"] * (1 + permutations) > 1 + 1e-9
        return None if reached else TOO_FEW
    return record["reason"] if record["low"] is None else None


def attribute_verdict(gaps: Mapping[str, Mapping[str, Record]], model: str, *, gap: str) -> Record:
    """What the model does to an attribute, beside the first: hurts, helps, levels down, or no difference shown.

    In this order: **hurts**, the gap is shown to be larger, or the worst group's accuracy to fall by over a point (its
    whole interval below −.01); **helps**, the gap is shown to be smaller and the worst group's accuracy falls by no
    more than a point; **levels down**, the gap is shown to be smaller while the worst group loses more: it shrinks
    because others lose as well; else **no difference shown**. ``harmless`` says, of a model that helps, whether the
    interval of the worst group's accuracy excludes a loss of over a point.
    """
    if not gaps:
        return {"word": "not defined", "gap": gap, "harmless": None}
    of_gap, worst = gaps[gap][model], gaps["worst_group_accuracy"][model]
    word = _word(of_gap, worst)
    harmless = worst["low"] is not None and worst["low"] >= -HARM
    return {"word": word, "gap": gap, "harmless": harmless if word == "helps" else None}


def _word(gap: Mapping[str, Any], worst: Mapping[str, Any]) -> Word:
    if gap["reading"] == "worse" or (worst["reading"] == "worse" and worst["high"] < -HARM):
        return "hurts"
    if gap["reading"] == "better":
        return "helps" if worst["value"] is not None and worst["value"] >= -HARM else "levels down"
    if gap["reading"] in {"not defined", "not judged"}:
        return gap["reading"]
    return "no difference shown"


def _differences(by_label: Mapping[str, Record]) -> Iterator[tuple[Any, Any, Record]]:
    """Family, key and record of every difference."""
    for label, part in by_label.items():
        yield from _of_figures("overall", (label,), part["overall"])
        for name, attribute in part["attributes"].items():
            yield from _of_figures("gap", (label, name), attribute["gaps"])
            for group, figures in attribute["groups"].items():
                of_group = {metric: of_models for metric, of_models in figures.items() if metric != "n"}
                yield from _of_figures("group", (label, name, group), of_group)


def _of_figures(kind: str, where: tuple[str, ...], figures: Record) -> Iterator[tuple[Any, Any, Record]]:
    for metric, of_models in figures.items():
        for model, record in of_models.items():
            yield (kind, metric), (*where, model), record
