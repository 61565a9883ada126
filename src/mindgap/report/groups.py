"""Groups side by side: a row per group with its figure, interval and n drawn on one scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mindgap.core.small_group import SMALL_GROUP
from mindgap.report.drawing import at, element, hover
from mindgap.report.estimate import Estimate, listed, percent, sentence

_LABELS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "positive_f1": "F1 of the positive class",
    "macro_auroc": "Macro AUROC",
    "ece": "Calibration error (ECE)",
}


@dataclass(frozen=True)
class GroupRow:
    """One group of one attribute.

    Attributes:
        name: the group.
        n: its images on this split.
        accuracy: its accuracy.
        bar: the accuracy drawn with its interval; the dashed line is the accuracy over all known rows.
        others: label and figure of every other metric of the group.
        flags: what a reader has to know of it, in words.
    """

    name: str
    n: int
    accuracy: Estimate
    bar: Markup
    others: tuple[tuple[str, Estimate], ...]
    flags: tuple[str, ...]


def group_rows(part: Mapping[str, Any], *, overall: float | None) -> list[GroupRow]:
    """Rows of one attribute of an AUDIT, in the AUDIT's order.

    Args:
        part: ``audit["attributes"][name]``.
        overall: the accuracy over all rows with a known group, in 0..1.
    """
    rows = []
    for name, group in part.get("groups", {}).items():
        accuracy = Estimate.read(group.get("accuracy"))
        others = tuple(
            (metric_label(key), Estimate.read(value))
            for key, value in group.items()
            if key not in {"n", "flags", "accuracy"}
        )
        flags = flag_texts(group.get("flags", []))
        n = int(group.get("n") or 0)
        bar = interval_bar(accuracy, reference=overall, small=n < SMALL_GROUP, name=name)
        rows.append(GroupRow(name, n, accuracy, bar, others, flags))
    return rows


def metric_label(name: str) -> str:
    """A metric's name on the page."""
    return _LABELS.get(name, name.replace("_", " "))


def flag_texts(flags: Iterable[object]) -> tuple[str, ...]:
    """The flags of a group of an AUDIT in words; the classes it has no image of are one.

    Example:
        >>> flag_texts(["no_positives:mel", "no_positives:df"])
        ('no image of class mel and df',)
    """
    parts = [str(flag).partition(":") for flag in flags]
    lacking = [detail for kind, _, detail in parts if kind == "no_positives"]
    others = [f"{kind}{colon}{detail}" for kind, colon, detail in parts if kind != "no_positives"]
    said = [f"under {SMALL_GROUP} images" if flag == "small" else flag for flag in others]
    return (*said, f"no image of class {listed(lacking, most=5)}") if lacking else tuple(said)


def known_accuracy(part: Mapping[str, Any]) -> float | None:
    """Accuracy over all rows where the attribute is known: the group accuracies weighted by their n."""
    pairs = [
        (Estimate.read(group.get("accuracy")).value, int(group.get("n") or 0))
        for group in part.get("groups", {}).values()
    ]
    known = [(value, n) for value, n in pairs if value is not None and n]
    total = sum(n for _, n in known)
    return sum(value * n for value, n in known) / total if total else None


def interval_bar(estimate: Estimate, *, reference: float | None, small: bool, name: str) -> Markup:
    """A rate on a scale of 0 to 100 % with its interval; a small group is hatched by colour and said so in text."""
    if estimate.value is None:
        return element("span", f"not defined: {estimate.reason}", class_="undefined")
    alt = f"{name}: {sentence(estimate, unit='percent')}"
    marks = [
        element("rect", x="0", y=3, width="100%", height=18, class_="track"),
        element("rect", x="0", y=3, width=at(estimate.value), height=18, class_="bar small" if small else "bar"),
        *(element("line", x1=at(k / 4), x2=at(k / 4), y1=3, y2=21, class_="grid") for k in (1, 2, 3)),
    ]
    if reference is not None:
        said = f"all images of known group: {percent(reference)}"
        marks.append(element("line", hover(said), x1=at(reference), x2=at(reference), y1=0, y2=24, class_="reference"))
    marks += whisker(estimate, low=0.0, high=1.0, y=12)
    return element("svg", hover(alt), *marks, class_="cell", width="100%", height=24, role="img", aria_label=alt)


def whisker(estimate: Estimate, *, low: float, high: float, y: float) -> list[Markup]:
    """A dot at the value and a line over its interval, on a scale from low to high."""
    marks = []
    if estimate.low is not None and estimate.high is not None:
        x1, x2 = at((estimate.low - low) / (high - low)), at((estimate.high - low) / (high - low))
        marks.append(element("line", x1=x1, x2=x2, y1=y, y2=y, class_="whisker"))
        marks += [element("line", x1=x, x2=x, y1=y - 4, y2=y + 4, class_="whisker") for x in (x1, x2)]
    if estimate.value is not None:
        marks.append(element("circle", cx=at((estimate.value - low) / (high - low)), cy=y, r=4, class_="point"))
    return marks
