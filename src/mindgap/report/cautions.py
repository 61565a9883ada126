"""What takes the meaning from the findings, said before them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mindgap.report.estimate import Estimate, count, p_text, percent, sentence
from mindgap.report.verdict import LEVEL, of_u, verdicts


def cautions(audits: Mapping[str, Mapping[str, Any]], search: Mapping[str, Any]) -> list[str]:
    """A network no better than naming one class for everyone; too few permutations; a search short of its accuracy.

    Args:
        audits: single-label AUDITs by label.
        search: ``search.json``; empty for a train run.
    """
    said = [line for label, audit in audits.items() if (line := _useless(label, audit))]
    if coarse := _too_few_permutations(audits):
        said.append(coarse)
    if arbitrary := arbitrary_choice(search):
        said.append(arbitrary)
    return said


def arbitrary_choice(search: Mapping[str, Any]) -> str:
    """Why the chosen network is no better than others: none at the end reached the accuracy floor; empty if one did.

    Args:
        search: ``search.json``; empty for a train run.
    """
    floor = (search.get("reward") or {}).get("accuracy_floor")
    trained = [trial for trial in search.get("trials", []) if trial.get("state", "complete") == "complete"]
    reached = [trial["accuracy"] for trial in trained if trial.get("accuracy") is not None]
    if floor is None or not reached or max(reached) >= floor:
        return ""
    return (
        f"No candidate trained to the end reached the accuracy that the reward asks for ({percent(floor)}), so all "
        "of these have the same reward and the choice among them is arbitrary. Train longer, on more data, or with "
        "other limits."
    )


def classes_that_occur(audit: Mapping[str, Any]) -> tuple[str, ...]:
    """Classes with an image in the audited split; all declared ones where the AUDIT does not count them."""
    support = audit.get("class_support")
    if isinstance(support, Mapping):
        return tuple(str(name) for name, n in support.items() if n)
    return tuple(audit.get("classes") or ())


def _too_few_permutations(audits: Mapping[str, Mapping[str, Any]]) -> str:
    """Whether no p could be small enough after Holm, however large a gap."""
    number = min((int((audit.get("settings") or {}).get("permutations") or 0) for audit in audits.values()), default=0)
    together = sum(verdict.p_adjusted is not None for of in verdicts(audits).values() for verdict in of_u(of))
    least = together / (number + 1)
    if not number or least <= LEVEL:
        return ""
    return (
        f"{count(number)} permutations are too few to show a gap: over {together} comparisons no p after Holm can be "
        f"under {p_text(min(least, 1.0))}. Audit with {count(math.ceil(together / LEVEL))} permutations or more."
    )


def _useless(label: str, audit: Mapping[str, Any]) -> str:
    classes = classes_that_occur(audit)
    accuracy = Estimate.read(audit.get("overall", {}).get("balanced_accuracy"))
    if accuracy.value is None or not classes:
        return ""
    where = f"On {label}: " if label else ""
    if len(classes) == 1:
        return f"{where}Only class {classes[0]} occurs: accuracy here says nothing of telling classes apart."
    by_one = 1 / len(classes)
    if (accuracy.value if accuracy.low is None else accuracy.low) > by_one + 1e-9:
        return ""
    return (
        f"{where}It is not shown to be better than naming one class for everyone: balanced accuracy "
        f"{sentence(accuracy, unit='percent')}, where one class for all gives {percent(by_one)} "
        f"({len(classes)} classes occur). A network that says the same to everyone has small gaps; they are no merit."
    )
