"""A figure that a mitigation took itself while it worked, beside those that every run is judged by."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class OwnFigure:
    """One figure of a mitigation's own, such as how well its adversary tells the groups.

    It describes what the mitigation did. It is measured on images that steer, so it judges no network.

    Attributes:
        name: what was measured, in words.
        of: the group or attribute that it is of; empty if of neither.
        value: the figure, a share in 0..1; None where it is not defined.
        n: how many it is a share of.
        unit: what ``n`` counts.
        chance: what guessing reaches; None where there is no such level.
        reason: why there is no value, or why it is what it is; None if nothing need be said.
    """

    name: str
    of: str
    value: float | None
    n: int
    unit: str
    chance: float | None = None
    reason: str | None = None


def figure_records(figures: Iterable[OwnFigure]) -> list[dict[str, Any]]:
    """The figures as a run's record has them, in their order."""
    return [asdict(figure) for figure in figures]
