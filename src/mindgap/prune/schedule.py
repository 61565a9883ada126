"""Iterative pruning as pure logic: how many channels, which, and when to stop (Wei & Chakraborti, Alg. 2)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.core.errors import ConfigError, ShapeError

_ROUNDING = 1e-9
"""What two figures may differ by and be called equal: .90 − .87 is a little above .03 in binary."""

Figure = Literal["accuracy", "gap", "iterations"]


class PruningSchedule(StrictModel):
    """How much is removed at a time, how often, and what makes it stop.

    Attributes:
        share: of the channels that a layer still has, removed per iteration, above 0 and below 1 (the paper's prc).
        iterations: at most so many (n_max).
        max_accuracy_drop: from the network before pruning, 0..1; stop above it (τ_acc). 1 never stops.
        min_gap_reduction: from the iteration before, in units of the gap, -1..1; stop below it (τ_fair). -1 never stops
            where gaps lie in 0..1.
    """

    share: float = Field(default=0.02, gt=0, lt=1)
    iterations: int = Field(default=3, ge=1)
    max_accuracy_drop: float = Field(default=0.03, ge=0, le=1)
    min_gap_reduction: float = Field(default=0.005, ge=-1, le=1)


@dataclass(frozen=True)
class ValidationFigures:
    """What a network reaches on the validation split.

    Attributes:
        accuracy: 0..1.
        gaps: of each attribute, the chosen metric, 0 where there is no gap; NaN where it is undefined.
    """

    accuracy: float
    gaps: Mapping[str, float]


@dataclass(frozen=True)
class Decision:
    """What follows from an iteration.

    Attributes:
        stop: no further iteration.
        revert: the network of the iteration before is the result.
        figure: what decided to stop, so that its paired interval can be shown; None if it goes on.
        reason: a sentence with the figures.
        accuracy_drop: A_0 − A_k.
        gap_reduction: F_k − F_{k−1}; NaN if no attribute has a gap at both points.
        left_out: attributes whose gap is undefined at one of the two points, in neither mean.
    """

    stop: bool
    revert: bool
    figure: Figure | None
    reason: str
    accuracy_drop: float
    gap_reduction: float
    left_out: tuple[str, ...]


def channels_to_remove(count_now: int, *, share: float = 0.02) -> int:
    """How many of a layer's channels one iteration removes, max(1, round(share · count_now)) but never the last one.

    Halves round to even.

    Example:
        Of 512 channels 2 % are 10; of 16 it is 1; the only channel of a layer stays, and one of two at any share.
        >>> channels_to_remove(512), channels_to_remove(16), channels_to_remove(1), channels_to_remove(2, share=0.9)
        (10, 1, 0, 1)

    Raises:
        ConfigError: the share is not above 0 and below 1.
        ShapeError: there is no channel.
    """
    if count_now < 1:
        raise ShapeError(f"a layer of {count_now} channels cannot be pruned; give the channels it has now")
    if not 0 < share < 1:
        raise ConfigError(f"share is {share:g}: give more than 0 and less than 1, such as .02 for 2 %")
    return min(count_now - 1, max(1, round(share * count_now)))


def ranked_channels(
    scores: Mapping[str, Mapping[str, Tensor]], weights: Mapping[str, float], counts: Mapping[str, int]
) -> dict[str, tuple[int, ...]]:
    """The channels to remove: per layer those of the lowest γ_c = Σ_k w_k score_{k,c} (Wei & Chakraborti, Alg. 3).

    Args:
        scores: float (C,) of each attribute and layer; NaN where a channel cannot be scored.
        weights: w_k of each attribute, 0 or more.
        counts: how many to remove of each layer, below C.

    Returns:
        Channel numbers, lowest first, ties by number. A channel that one attribute cannot score is never among them, so
        there are fewer than asked for where fewer are scored.

    Raises:
        ConfigError: attributes of scores and weights differ, a layer has no scores, a layer would be emptied, or none
            of its channels is scored.
        ShapeError: the scores of a layer differ in length.
    """
    if not scores or set(scores) != set(weights):
        raise ConfigError(
            f"scores are of {_listed(scores)}, weights of {_listed(weights)}; give both for the same attributes"
        )
    return {layer: _lowest(layer, scores, weights, count) for layer, count in counts.items()}


def decide(
    schedule: PruningSchedule,
    iteration: int,
    *,
    first: ValidationFigures,
    before: ValidationFigures,
    now: ValidationFigures,
) -> Decision:
    """Whether to go on after an iteration (Wei & Chakraborti, Alg. 2, lines 22–26).

    Stops and reverts where A_0 − A_k > τ_acc, or F_k − F_{k−1} < τ_fair with F = 1 − the mean of the gaps over
    attributes; a difference of exactly τ goes on. Stops without reverting after the last iteration. An attribute whose
    gap is undefined now or before is in neither mean; if none is left no reduction can be shown, and it reverts.

    Args:
        schedule: its thresholds.
        iteration: k, from 1.
        first: of the network before pruning.
        before: of iteration k − 1; ``first`` if k is 1.
        now: of iteration k.

    Raises:
        ConfigError: the attributes before and now differ, or there is none.
    """
    if not now.gaps or set(now.gaps) != set(before.gaps):
        was, are = _listed(before.gaps), _listed(now.gaps)
        raise ConfigError(f"gaps before are of {was}, now of {are}; measure both for the same attributes")
    drop = first.accuracy - now.accuracy
    kept = [name for name in now.gaps if math.isfinite(now.gaps[name]) and math.isfinite(before.gaps[name])]
    left_out = tuple(name for name in now.gaps if name not in kept)
    gap_before, gap_now = (_mean([of.gaps[name] for name in kept]) for of in (before, now))
    reduction = gap_before - gap_now
    figure = _stopped_by(schedule, iteration, drop, reduction)
    said = {
        "accuracy": _said_of_accuracy(schedule, first, now),
        "gap": _said_of_gap(schedule, gap_before, gap_now),
        "iterations": f"iteration {iteration} of {schedule.iterations} is the last",
        None: f"accuracy changed by {-drop:+.4f} since the start, the mean gap by {-reduction:+.4f} in this iteration",
    }[figure]
    note = f"; undefined now or before, and left out: {', '.join(left_out)}" if left_out else ""
    revert = figure in {"accuracy", "gap"}
    return Decision(figure is not None, revert, figure, said + note, drop, reduction, left_out)


def _stopped_by(schedule: PruningSchedule, iteration: int, drop: float, reduction: float) -> Figure | None:
    """Comparisons are put so that NaN stops."""
    if not drop <= schedule.max_accuracy_drop + _ROUNDING:
        return "accuracy"
    if not reduction >= schedule.min_gap_reduction - _ROUNDING:
        return "gap"
    return "iterations" if iteration >= schedule.iterations else None


def _said_of_accuracy(schedule: PruningSchedule, first: ValidationFigures, now: ValidationFigures) -> str:
    most, drop = schedule.max_accuracy_drop, _figure(first.accuracy - now.accuracy)
    fallen = f"accuracy went from {_figure(first.accuracy)} before pruning to {_figure(now.accuracy)}"
    return f"{fallen}, a drop of {drop}; at most {most:g} is allowed"


def _said_of_gap(schedule: PruningSchedule, before: float, now: float) -> str:
    if math.isnan(now):
        return "no attribute's gap is defined both now and before, so no reduction can be shown"
    moved = f"the mean gap went from {_figure(before)} to {_figure(now)}"
    return f"{moved}; a reduction of at least {schedule.min_gap_reduction:g} per iteration is asked for"


def _lowest(
    layer: str, scores: Mapping[str, Mapping[str, Tensor]], weights: Mapping[str, float], count: int
) -> tuple[int, ...]:
    missing = [attribute for attribute, by_layer in scores.items() if layer not in by_layer]
    if missing:
        raise ConfigError(f"layer {layer!r} has no scores of {missing[0]!r}; score it, or prune another layer")
    lengths = {len(by_layer[layer]) for by_layer in scores.values()}
    if len(lengths) != 1:
        raise ShapeError(
            f"layer {layer!r} has scores of {sorted(lengths)} channels; score one network for all attributes"
        )
    if not 0 <= count < min(lengths):
        raise ConfigError(
            f"layer {layer!r} has {min(lengths)} channels, asked to remove {count}; at least one must stay"
        )
    if not count:
        return ()
    parts = [weights[attribute] * by_layer[layer].double().cpu() for attribute, by_layer in scores.items()]
    total = torch.stack(parts).sum(dim=0)
    scored = int(total.isfinite().sum())
    if not scored:
        raise ConfigError(
            f"layer {layer!r}: none of its {len(total)} channels can be scored, all may be dead; prune others"
        )
    order = torch.where(total.isfinite(), total, torch.inf).argsort(stable=True)
    return tuple(order[: min(count, scored)].tolist())


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.nan


def _figure(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.4f}"


def _listed(names: Mapping[str, object]) -> str:
    return ", ".join(names) or "no attribute"
