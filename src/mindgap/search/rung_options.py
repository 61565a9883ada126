"""From the options of a search to its rungs."""

from __future__ import annotations

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError
from mindgap.search.options import SearchOptions
from mindgap.search.preset import Preset
from mindgap.search.rungs import RungPlan, default_rungs
from mindgap.train.settings import TrainSettings


def plan_rungs(options: SearchOptions, preset: Preset, training: TrainSettings, *, batch: int) -> RungPlan:
    """The rungs that the options ask for: the preset's, none, or those that are named.

    Raises:
        ConfigError: they do not rise to the number of epochs, or the schedule cannot be gone on from.
    """
    asked = preset.rungs if options.rungs is None else options.rungs
    factor = options.promotion.factor
    epochs = {"auto": default_rungs(training.epochs, factor), "none": (training.epochs,)}.get(asked)
    if epochs is None:
        epochs = _named_rungs(asked, last=training.epochs)
    chosen = "schedule" in options.training or training.schedule != TrainSettings().schedule
    if len(epochs) > 1 and chosen and training.schedule != "trapezoid":
        raise ConfigError(
            f"the schedule is {training.schedule!r}, which no longer training can go on from; "
            "take training.schedule trapezoid, or rungs none"
        )
    promotion = options.promotion
    values = {"epochs": epochs, "seed": options.seed, "bracket": promotion.bracket or batch, "promotion": promotion}
    return parse(RungPlan, values, source="rungs")


def _named_rungs(text: str, *, last: int) -> tuple[int, ...]:
    try:
        rungs = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"rungs is {text!r}; give auto, none, or epochs such as 1,4,16") from None
    if rungs[-1] != last or sorted({*rungs}) != list(rungs) or rungs[0] < 1:
        raise ConfigError(
            f"rungs {text!r} must rise from 1 or more to the {last} epochs of the training; end them with {last}, or "
            "give --epochs the last of them"
        )
    return rungs
