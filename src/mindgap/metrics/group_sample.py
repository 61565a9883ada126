"""All that metrics measure of one sample, or of many resamples of it: counts, ROC curves, reliability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mindgap.metrics.counts import GroupCounts
from mindgap.metrics.group_roc import GroupRoc
from mindgap.metrics.reliability import GroupReliability

Statistic = Literal["counts", "class_counts", "roc", "reliability"]
ON_COUNTS: tuple[Statistic, ...] = ("counts", "class_counts")
"""What predicted classes alone give."""


@dataclass(frozen=True, eq=False)
class GroupSample:
    """What metrics measure, all of the same rows; leading axes are replicates.

    Attributes:
        counts: confusion counts of every group.
        roc: ROC curves; None where only predicted classes are known.
        reliability: confidence against accuracy; None likewise.
        pseudo: counts of replicates with pseudo-clusters class by class; None where no class needs one.
    """

    counts: GroupCounts
    roc: GroupRoc | None = None
    reliability: GroupReliability | None = None
    pseudo: GroupCounts | None = None

    @property
    def class_counts(self) -> GroupCounts:
        """The counts for what compares groups class by class: in replicates a class that is all right varies too."""
        return self.counts if self.pseudo is None else self.pseudo

    def has(self, statistic: Statistic) -> bool:
        """Whether the statistic is known."""
        return getattr(self, statistic) is not None

    def keep(self, groups: NDArray[np.bool_]) -> GroupSample:
        """The sample of some groups, chosen by a bool (G,) mask."""
        if groups.all():
            return self
        return GroupSample(
            self.counts.keep(groups),
            None if self.roc is None else self.roc.keep(groups),
            None if self.reliability is None else self.reliability.keep(groups),
            None if self.pseudo is None else self.pseudo.keep(groups),
        )

    def replicate(self, index: int) -> GroupSample:
        """One of several replicates, without their axis."""
        counts, roc, reliability = self.counts, self.roc, self.reliability
        if roc is not None:
            named = {name: getattr(roc, name)[index] for name in ("auroc", "tpr", "support", "sizes")}
            roc = GroupRoc(**named, groups=roc.groups, classes=roc.classes)
        if reliability is not None:
            reliability = GroupReliability(reliability.surplus[index], reliability.sizes[index], reliability.groups)
        pseudo = None if self.pseudo is None else counts.replicates(self.pseudo.counts[index])
        return GroupSample(counts.replicates(counts.counts[index]), roc, reliability, pseudo)
