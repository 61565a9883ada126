"""What is said of one method beside the baseline: a word and a sentence per attribute, and what training again does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mindgap.audit.method_figures import difference_over_seeds
from mindgap.report.comparison_words import WORST, attribute_sentence, parts
from mindgap.report.methods_rows import over_seeds_sentence

Audits = Sequence[Mapping[str, Any] | None]


def method_verdicts(
    name: str,
    audits: Mapping[str, Audits],
    comparison: Mapping[str, Any] | None,
    *,
    baseline: str,
    why_none: str | None = None,
    told_groups: bool = False,
) -> dict[str, Any]:
    """``verdict``, ``sentences`` and ``over_seeds`` of a method, by attribute (of several labels ``LABEL: ATTRIBUTE``).

    Args:
        name: of the method.
        audits: of every method, one AUDIT per seed, None of a seed that failed.
        comparison: what ``compare_models`` found; None where the baseline has no run.
        baseline: its name; it has no verdict.
        why_none: why the method is not among the models compared.
        told_groups: whether it predicts by each test image's group.
    """
    if name == baseline:
        return {"verdict": {}, "over_seeds": {}, "sentences": {}}
    if comparison is None or not any(model["name"] == name for model in comparison["models"]):
        sentences = {"": f"{name} is not compared: {why_none or 'without a baseline'}."}
        return {"verdict": {}, "over_seeds": {}, "sentences": sentences}
    verdict, sentences, over_seeds, gap = {}, {}, {}, comparison["gap"]
    pairs = sum(None not in pair for pair in zip(audits[baseline], audits[name], strict=True))
    for label, part in parts(comparison).items():
        for attribute, found in part["attributes"].items():
            key = f"{label}: {attribute}" if label else attribute
            verdict[key] = found["verdict"][name]["word"]
            told = [attribute_sentence(attribute, found, label, model=name, baseline=baseline)]
            apart = {
                figure: difference_over_seeds(
                    *([_value(audit, label, attribute, figure) for audit in audits[one]] for one in (baseline, name))
                )
                for figure in dict.fromkeys((gap, WORST))
            }
            over_seeds[key] = apart[gap]
            for figure in _looked_at(found, name, gap=gap):
                reading = found["gaps"].get(figure, {}).get(name, {}).get("reading")
                what = "the gap" if figure == gap else "the worst group's accuracy"
                told.append(over_seeds_sentence(apart[figure], what=what, shown=reading in {"better", "worse"}))
            if pairs < len(audits[name]):
                told.append(f"{pairs} of {len(audits[name])} seeds could be compared.")
            if told_groups:
                told.append("It is told the group of every test image.")
            sentences[key] = " ".join(told)
    return {"verdict": verdict, "over_seeds": over_seeds, "sentences": sentences}


def _looked_at(attribute: Mapping[str, Any], name: str, *, gap: str) -> list[str]:
    """The gap, and the worst group's accuracy where it is that which is shown to be worse."""
    worst = attribute["gaps"].get(WORST, {}).get(name, {}).get("reading") == "worse"
    hurts = attribute["verdict"][name]["word"] == "hurts"
    return [gap, WORST] if hurts and worst and gap != WORST else [gap]


def _value(audit: Mapping[str, Any] | None, label: str, attribute: str, figure: str) -> float | None:
    if audit is None:
        return None
    of = audit["labels"][label] if label else audit
    return of["attributes"].get(attribute, {}).get("gaps", {}).get(figure, {}).get("value")
