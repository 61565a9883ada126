"""The large numbers at the top of a page, each with what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.core.small_group import SMALL_GROUP
from mindgap.report.estimate import Estimate, decimal, interval, percent, size
from mindgap.report.floor_words import WITHIN_CLASS, FloorWords
from mindgap.report.measures import measure_of
from mindgap.report.page import KeyFigure
from mindgap.report.standing import Standing
from mindgap.report.verdict import Verdict


def rate_figure(label: str, record: object) -> KeyFigure:
    """A rate of an AUDIT in per cent."""
    estimate = Estimate.read(record)
    if estimate.value is None:
        return KeyFigure(label, "not defined", str(estimate.reason), undefined=True)
    return KeyFigure(label, percent(estimate.value), f"{interval(estimate, unit='percent')}, {size(estimate.n)}")


def number_figure(label: str, record: object, *, floor: FloorWords = WITHIN_CLASS) -> KeyFigure:
    """A figure of an AUDIT as a decimal; of a gap, what its floor gives alone stands below."""
    estimate = Estimate.read(record)
    if estimate.value is None:
        return KeyFigure(label, "not defined", str(estimate.reason), undefined=True)
    under = f"{interval(estimate)}, {size(estimate.n)}"
    if estimate.has_floor:
        under += f"; {floor.holds} alone: {decimal(estimate.noise_mean)}"
    return KeyFigure(label, decimal(estimate.value), under)


def attribute_figures(
    name: str, part: Mapping[str, Any], verdict: Verdict | None, *, floor: FloorWords
) -> list[KeyFigure]:
    """The lowest group accuracy and U of one attribute; none where it has no U.

    Args:
        name: the attribute.
        part: ``audit["attributes"][name]``.
        verdict: on its U. Only of a shown gap is the lowest group called the worst.
        floor: what its noise floor is called.
    """
    gaps = part.get("gaps", {})
    if "unfairness" not in gaps:
        return []
    shown = verdict is not None and verdict.kind == "shown"
    return [
        _lowest(name, part, shown=shown),
        number_figure(f"{measure_of('unfairness').label}, {name}", gaps["unfairness"], floor=floor),
    ]


def _lowest(name: str, part: Mapping[str, Any], *, shown: bool) -> KeyFigure:
    """The lowest group accuracy, with the group's name, its n and whether it is small."""
    estimate = Estimate.read(part["gaps"].get("worst_group_accuracy"))
    label = f"Worst group's accuracy, {name}" if shown else f"Lowest group accuracy, {name}"
    if estimate.value is None:
        return KeyFigure(label, "not defined", str(estimate.reason), undefined=True)
    standing = Standing.of(part)
    worst = [g for g in (*standing.ordered, *standing.left_out) if abs(g.value - estimate.value) < 1e-9]
    names = " and ".join(f"{g.sized}{f', under {SMALL_GROUP} images' if g.is_small else ''}" for g in worst)
    under = interval(estimate, unit="percent")
    under = f"{names}: {under}" if names else f"{under}, {size(estimate.n)}"
    return KeyFigure(label, percent(estimate.value), under if shown else f"{under}. Some group always is")
