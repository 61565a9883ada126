"""Which of a method's tuning runs its options are taken from: rules that look at validation figures alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mindgap.core.errors import ConfigError, near_names
from mindgap.metrics.pareto import non_dominated


@dataclass(frozen=True)
class Point:
    """The validation figures of one tuning run that was trained to the end.

    Attributes:
        trial: its number, from 0; 0 is the method's defaults.
        accuracy: in 0..1.
        unfairness: U over the groups that are large enough.
        worst_group_accuracy: of the same groups, in 0..1.
    """

    trial: int
    accuracy: float
    unfairness: float
    worst_group_accuracy: float


@dataclass(frozen=True)
class Choice:
    """The run that was chosen, and why, in words."""

    trial: int
    why: str


Choose = Callable[[Sequence[Point], Sequence[Point]], Choice]


@dataclass(frozen=True)
class SelectionRule:
    """How options are chosen.

    Attributes:
        says: the rule in one sentence.
        choose: from a method's points, one or more, and the baseline's, perhaps none.
        score: what a tuner that learns is to raise.
    """

    says: str
    choose: Choose
    score: Callable[[Point], float]


def best_worst_group(points: Sequence[Point], baseline: Sequence[Point]) -> Choice:  # noqa: ARG001  (as all rules)
    """The highest accuracy of the worst group; of a tie the more accurate, then the earlier.

    Worst groups of .70, .74 and .74 with accuracies .90, .80 and .81 choose the third.
    """
    best = max(points, key=lambda point: (point.worst_group_accuracy, point.accuracy, -point.trial))
    return Choice(best.trial, f"highest validation worst-group accuracy, {best.worst_group_accuracy:.3f}")


def accurate_within_u(points: Sequence[Point], baseline: Sequence[Point]) -> Choice:
    """The highest accuracy among points with U not above the baseline's, whose own pick is its most accurate run.

    With a baseline of (accuracy .80, U .20), of (.82, .25) and (.78, .15) the second is chosen. Where no point is
    within that U it is the least U; where the baseline has no run, the most accurate.
    """
    if not baseline:
        best = _most_accurate(points)
        return Choice(best.trial, f"highest validation accuracy, {best.accuracy:.3f}, as the baseline has no U")
    limit = _most_accurate(baseline).unfairness
    within = [point for point in points if point.unfairness <= limit]
    if within:
        best = _most_accurate(within)
        return Choice(best.trial, f"highest validation accuracy, {best.accuracy:.3f}, with U at most {limit:.3f}")
    least = min(points, key=lambda point: (point.unfairness, -point.accuracy, point.trial))
    return Choice(least.trial, f"least validation U, {least.unfairness:.3f}: none is within the baseline's {limit:.3f}")


def pareto_knee(points: Sequence[Point], baseline: Sequence[Point]) -> Choice:  # noqa: ARG001
    """The knee of the front of accuracy and U: furthest beyond the line between the front's two ends.

    With both figures scaled to 0..1 over the front that is the largest sum of accuracy gained and U spared; two points
    are both ends, of which the more accurate is taken. Of (.90, .30), (.88, .12) and (.80, .10) it is the second.
    """
    front = [
        point
        for point, kept in zip(
            points, non_dominated([(p.accuracy, p.unfairness) for p in points], (True, False)), strict=True
        )
        if kept
    ]
    accuracy, spared = (_scaled(values) for values in ([p.accuracy for p in front], [-p.unfairness for p in front]))
    sums = {point.trial: round(a + s, 9) for point, a, s in zip(front, accuracy, spared, strict=True)}
    knee = max(front, key=lambda point: (sums[point.trial], point.accuracy, -point.trial))
    return Choice(
        knee.trial, f"knee of {len(front)} on the front: accuracy {knee.accuracy:.3f}, U {knee.unfairness:.3f}"
    )


RULES: dict[str, SelectionRule] = {
    "worst_group_accuracy": SelectionRule(
        "the tuning run with the highest validation accuracy of the worst group that is large enough",
        best_worst_group,
        lambda point: point.worst_group_accuracy,
    ),
    "accuracy_within_u": SelectionRule(
        "the most accurate tuning run on validation whose U is not above that of the baseline's most accurate one",
        accurate_within_u,
        lambda point: point.accuracy - point.unfairness,
    ),
    "pareto_knee": SelectionRule(
        "the knee of the front of validation accuracy against U",
        pareto_knee,
        lambda point: point.accuracy - point.unfairness,
    ),
}


def selection_rule(name: str) -> SelectionRule:
    """The rule of that name.

    Raises:
        ConfigError: there is none.
    """
    if name not in RULES:
        raise ConfigError(f"select is {name!r}; {near_names(name, RULES)}")
    return RULES[name]


def _most_accurate(points: Sequence[Point]) -> Point:
    return max(points, key=lambda point: (point.accuracy, -point.unfairness, -point.trial))


def _scaled(values: Sequence[float]) -> list[float]:
    low, high = min(values), max(values)
    return [
        (value - low) / (high - low) if high > low else 0.0 for value in np.asarray(values, dtype=np.float64).tolist()
    ]
