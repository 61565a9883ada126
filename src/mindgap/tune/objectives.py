"""What a swarm minimises: metrics by their names, of all its heads at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindgap.core.errors import ConfigError, DataError, near_names
from mindgap.metrics.counts import Floats, GroupCounts
from mindgap.metrics.group_sample import ON_COUNTS
from mindgap.metrics.metric import METRICS, AbstractClassRate, AbstractGapMetric, AbstractGroupMetric, AbstractMetric

DEFAULT = ("accuracy", "uei")


@dataclass(frozen=True)
class Objectives:
    """Two or three metrics that are minimised together.

    Attributes:
        names: of registered metrics that counts alone decide.
    """

    names: tuple[str, ...]

    def of(self, counts: GroupCounts, observed: GroupCounts) -> Floats:
        """The objectives, float64 (..., M), smaller is better; see ``objective``."""
        return np.stack([objective(name, counts, observed) for name in self.names], axis=-1)

    def reasons(self, observed: GroupCounts) -> dict[str, str]:
        """Why each objective that is undefined on these rows is so, whatever is predicted."""
        found: dict[str, str] = {}
        for name in self.names:
            if np.isnan(objective(name, observed, observed)):
                found[name] = _reason(name, observed)
        return found

    def check(self, observed: GroupCounts, *, what: str) -> None:
        """Refuses rows on which an objective is undefined.

        Raises:
            DataError: one is; the line says which and why.
        """
        for name, reason in self.reasons(observed).items():
            raise DataError(f"{what}: {name} is undefined ({reason}); choose other objectives, or leave {what} out")


def make_objectives(names: Sequence[str] = DEFAULT) -> Objectives:
    """The objectives of these names.

    Raises:
        ConfigError: they are not two or three different names of metrics that can be objectives.
    """
    known = objective_names()
    if len(names) not in {2, 3} or len(set(names)) != len(names):
        raise ConfigError(f"objectives={','.join(names)}: need two or three different ones, such as accuracy,uei")
    for name in names:
        if name not in known:
            raise ConfigError(f"objectives: {name!r} is none; {near_names(name, known)}")
    return Objectives(tuple(names))


def objective_names() -> tuple[str, ...]:
    """Metrics that can be objectives: those that counts decide, and that lie in a range with a best end."""
    return tuple(name for name in METRICS.names() if _fits(METRICS.get(name)()))


def objective(name: str, counts: GroupCounts, observed: GroupCounts) -> Floats:
    """One metric as something to minimise, float64 (...) of counts (..., G, K, K); NaN where it is undefined.

    A metric of which smaller is better is itself; one of which larger is better, such as accuracy or worst-group
    accuracy, is 1 minus it. A group figure is that of all rows of known group together. ``underestimation`` becomes the
    mean over groups of |log US| of the last class, with half a row added to both counts, mean_s |log((k̂_s + ½)/(k_s +
    ½))|: else no head could be told from another once a group is given no positive at all.

    Args:
        name: of the metric.
        counts: of all heads.
        observed: of the rows, as in ``Cells.observed``; it decides which classes are compared.
    """
    metric = METRICS.get(name)()
    if isinstance(metric, AbstractClassRate):
        return _log_underestimation(counts)
    if isinstance(metric, AbstractGroupMetric):
        value = metric.value(counts.counts.sum(axis=-3))
    elif isinstance(metric, AbstractGapMetric):
        value = np.asarray(metric.value(counts, observed), dtype=np.float64)
    else:
        raise TypeError(f"{name} is no metric of counts")
    return 1 - value if metric.direction == "larger" else value


def larger_is_better(name: str) -> bool:
    """Whether the figure of a point is better the larger it is.

    ``underestimation`` is not: its figure is the mean |log US| that is minimised, which no metric is.
    """
    metric = METRICS.get(name)()
    return metric.direction == "larger" and not isinstance(metric, AbstractClassRate)


def _log_underestimation(counts: GroupCounts) -> Floats:
    predicted, true = counts.selected[..., -1], counts.support[..., -1]
    ratios = np.abs(np.log((predicted + 0.5) / (true + 0.5)))
    return np.where(true > 0, ratios, np.nan).mean(axis=-1)


def _fits(metric: AbstractMetric) -> bool:
    if metric.statistic not in ON_COUNTS:
        return False
    if isinstance(metric, AbstractClassRate):
        return metric.name == "underestimation"
    if not isinstance(metric, (AbstractGroupMetric, AbstractGapMetric)):
        return False
    return metric.direction == "smaller" or metric.range[1] == 1.0


def _reason(name: str, observed: GroupCounts) -> str:
    metric = METRICS.get(name)()
    if isinstance(metric, AbstractClassRate):
        lacking = int(np.flatnonzero(observed.support[:, -1] == 0)[0])
        return f"group {observed.groups[lacking]!r}: {metric.reason(observed, lacking, len(observed.classes) - 1)}"
    if isinstance(metric, AbstractGapMetric):
        return metric.reason(observed)
    return "no rows" if not observed.sizes.sum() else "undefined on these rows"
