"""Where the groups of an attribute stand: which are lowest and highest, and which are too small to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.core.small_group import SMALL_GROUP
from mindgap.report.estimate import Estimate, size
from mindgap.report.groups import known_accuracy


@dataclass(frozen=True)
class GroupFigure:
    """One group with a known accuracy."""

    name: str
    n: int
    accuracy: Estimate

    @property
    def value(self) -> float:
        """Its accuracy in 0..1."""
        return self.accuracy.value or 0.0

    @property
    def is_small(self) -> bool:
        """Whether it has under 30 images."""
        return self.n < SMALL_GROUP

    @property
    def sized(self) -> str:
        """Its name with its n."""
        return f"{self.name} ({size(self.n)})"


@dataclass(frozen=True)
class Standing:
    """The groups of one attribute.

    Attributes:
        ordered: those of at least 30 images, the lowest accuracy first; all of them if every group is small.
        left_out: the small groups that are not in ``ordered``, the lowest first.
        overall: accuracy over all rows of the groups compared, in 0..1.
    """

    ordered: tuple[GroupFigure, ...]
    left_out: tuple[GroupFigure, ...]
    overall: float | None

    @classmethod
    def of(cls, part: Mapping[str, Any]) -> Standing:
        """Reads one attribute of an AUDIT; a group without an accuracy, or left out of its gaps, stands nowhere."""
        left_out = part.get("left_out") or ()
        groups = {name: group for name, group in part.get("groups", {}).items() if name not in left_out}
        known = [
            GroupFigure(name, int(group.get("n") or 0), Estimate.read(group.get("accuracy")))
            for name, group in groups.items()
        ]
        known = sorted((group for group in known if group.accuracy.value is not None), key=lambda group: group.value)
        large = tuple(group for group in known if not group.is_small)
        small = tuple(group for group in known if group.is_small)
        return cls(large or small, small if large else (), known_accuracy({"groups": groups}))

    @property
    def all_small(self) -> bool:
        """Whether there is no group of at least 30 images."""
        return bool(self.ordered) and self.ordered[0].is_small

    @property
    def low_doubt(self) -> GroupFigure | None:
        """The small group that is lower than every larger one."""
        lowest = self.left_out[0] if self.left_out else None
        return lowest if lowest and self.ordered and lowest.value < self.ordered[0].value else None

    @property
    def high_doubt(self) -> GroupFigure | None:
        """The small group that is higher than every larger one."""
        highest = self.left_out[-1] if self.left_out else None
        return highest if highest and self.ordered and highest.value > self.ordered[-1].value else None

    @property
    def without_interval(self) -> bool:
        """Whether the lowest or the highest has no interval to compare."""
        return not all(group.accuracy.has_interval for group in (self.ordered[0], self.ordered[-1]))

    @property
    def apart(self) -> bool:
        """Whether the lowest and the highest may be contrasted.

        That is: they are the extremes of all groups, are large, and their intervals do not overlap.
        """
        return not (self.low_doubt or self.high_doubt) and self.disjoint

    @property
    def disjoint(self) -> bool:
        """Whether the lowest and the highest of the large groups have intervals that do not overlap."""
        if len(self.ordered) < 2 or self.all_small or self.without_interval:
            return False
        high, low = self.ordered[0].accuracy.high, self.ordered[-1].accuracy.low
        return high is not None and low is not None and high < low

    @property
    def largest_term(self) -> tuple[GroupFigure, float] | None:
        """The one group with the largest |A_g − A| and its A_g − A; None where two tie or A is not known."""
        if self.overall is None or len(self.ordered) + len(self.left_out) < 2:
            return None
        terms = [(group, group.value - self.overall) for group in (*self.ordered, *self.left_out)]
        terms.sort(key=lambda term: -abs(term[1]))
        return terms[0] if abs(terms[0][1]) - abs(terms[1][1]) > 1e-9 else None


def small_groups(part: Mapping[str, Any]) -> list[str]:
    """The small groups of one attribute of an AUDIT, each with its n, whether it has a figure or not."""
    sizes = {name: int(group.get("n") or 0) for name, group in part.get("groups", {}).items()}
    return [f"{name} ({size(n)})" for name, n in sizes.items() if n < SMALL_GROUP]
