"""Presets: which reward, how long candidates train, and how closely the paper is followed."""

from __future__ import annotations

from typing import Literal

from mindgap.core.config import StrictModel
from mindgap.core.errors import ConfigError, near_names
from mindgap.train.settings import TrainSettings


class Preset(StrictModel):
    """One way to search.

    Attributes:
        alpha: weight of the accuracy in eq. 2.
        beta: weight of the unfairness in eq. 2.
        training: how a candidate is trained.
        rungs: how far candidates are trained at first, ``auto`` or ``none`` (all are trained to the end).
        searcher: the search algorithm, when none is given: the one that finds most hypervolume of those compared, and
            the paper's own for the paper.
        trials: candidates to train when neither a number nor a budget is given.
        lag: batches by which the searcher looks back; None is the searcher's own.
        limits: whether a choice that breaks a limit is masked, or the candidate is rejected untrained.
        rejected_reward: reward of a rejected candidate; None is that of an infeasible one.
    """

    alpha: float
    beta: float
    training: TrainSettings
    rungs: Literal["auto", "none"] = "auto"
    searcher: str = "nsga2"
    trials: int = 100
    lag: int | None = None
    limits: Literal["masked", "rejected"] = "masked"
    rejected_reward: float | None = None


PRESETS = {
    "fair": Preset(alpha=0.2, beta=0.8, training=TrainSettings(epochs=20)),
    "acc": Preset(alpha=0.8, beta=0.2, training=TrainSettings(epochs=20)),
    "quick": Preset(alpha=0.2, beta=0.8, training=TrainSettings(epochs=6), trials=16),
    "paper": Preset(
        alpha=0.2,
        beta=0.8,
        training=TrainSettings.paper(),
        rungs="none",
        searcher="reinforce",
        lag=0,
        limits="rejected",
        rejected_reward=-1.0,
    ),
}


def preset_names(text: str) -> tuple[str, ...]:
    """Reads ``fair`` or ``fair,acc``.

    Raises:
        ConfigError: a preset is not known, or named twice.
    """
    names = tuple(name.strip() for name in text.split(","))
    for name in names:
        if name not in PRESETS:
            raise ConfigError(f"no preset {name!r}; {near_names(name, PRESETS)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"presets {text!r} name one twice; name each once")
    return names
