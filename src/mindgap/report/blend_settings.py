"""How a run blended: its settings in words, and which candidates of a search did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError
from mindgap.report.estimate import count, decimal, listed, percent
from mindgap.report.run_files import RunFiles
from mindgap.tone.blend import BlendSettings

Record = Mapping[str, Any]
_LISTED = 20


def blend_of(run: RunFiles) -> BlendSettings | None:
    """The settings of the run's network, of a search its chosen one; None if it did not blend or did not say how."""
    return _read(_asked(run.chosen, run.options) if run.verb == "search" else run.options.get("blend"))


def blends(trial: Record, options: Record) -> bool:
    """Whether a candidate of a search was trained on a blend, by its own choice or the search's options."""
    asked = _asked(trial, options)
    return asked is True or isinstance(asked, Mapping)


def blended_sentence(trials: Sequence[Record], options: Record) -> str:
    """Which candidates were trained on a blend; nothing where none was."""
    slots = [str(trial["slot"]) for trial in trials if blends(trial, options)]
    if not slots:
        return ""
    if len(slots) == len(trials):
        return "Every candidate was to be trained on images blended with their twins of another tone."
    return (
        f"{count(len(slots))} of {count(len(trials))} candidates were to be trained on images blended with their twins "
        f"of another tone, as the searcher decided: slot{'' if len(slots) == 1 else 's'} {listed(slots, most=_LISTED)}."
    )


def setting_rows(settings: BlendSettings | None, store: Record, *, looks: bool) -> list[tuple[str, str]]:
    """Label and text of what the blend was told, and of the twins that the store had for it.

    Args:
        settings: of the run; None if not recorded.
        store: its summary.
        looks: whether validation images could be looked at, which they are not in cross-validation.
    """
    if settings is None:
        return [("Settings", "not recorded"), ("Twins", _twins(store.get("tone")))]
    share = percent(settings.share)
    of_looks = [
        ("Looked again, K", _every(settings.every)),
        ("Looked at, D", "images of the validation split, by the tone of their own skin; never of the test split"),
        ("Badly told apart, τ", f"macro AUROC (each class against the rest) below {decimal(settings.least_auc, 2)}"),
        ("Then raised, Δ", _raise(settings)),
        ("Too few to say", f"a band of under {count(settings.least_n)} validation images is left as it is"),
    ]
    return [
        ("Which are replaced", _reading(settings.reading, share)),
        ("Aimed at, P_target", f"{share} of the training images in every tone band"),
        *(of_looks if looks else []),
        ("Twins", _twins(store.get("tone"))),
    ]


def acts_through(settings: BlendSettings) -> str:
    """Which images a raise acts through, in a sentence."""
    if settings.reading == "original":
        return "A raise acts through the images of the band, as far as they have a twin."
    return (
        f"A raise acts only through images of bands with more than {percent(settings.share)}, and of these only "
        "through those whose twin is of the raised band: where there are few, next to nothing changes."
    )


def _asked(trial: Record, options: Record) -> object:
    common = (options.get("training") or {}).get("blend")
    return (trial.get("training") or {}).get("blend", common)


def _read(asked: object) -> BlendSettings | None:
    if asked is True:
        return BlendSettings()
    if not isinstance(asked, Mapping):
        return None
    try:
        return parse(BlendSettings, asked, source="blend")
    except ConfigError:  # of another version
        return None


def _reading(reading: str, share: str) -> str:
    if reading == "original":
        return (
            f"images of bands that have less than {share}, each with probability ({share} − share) / {share}: eq. 13 "
            "of Wei & Chakraborti to the letter (reading “original”), which takes from bands that are rare already"
        )
    return (
        f"images of bands that have more than {share} whose twin is of a band that has less (or of one that is told "
        f"badly, see below), each with probability 1 − {share} / share "
        "(reading “flatten”); images of rarer bands are left as they are. What comes in their place is of the bands "
        "that the twins were made of"
    )


def _every(epochs: int) -> str:
    return "after every epoch" if epochs == 1 else f"after every {count(epochs)} epochs"


def _raise(settings: BlendSettings) -> str:
    what = "images of the band are replaced" if settings.reading == "original" else "twins of the band are taken"
    by, most = decimal(100 * settings.step, 1), percent(settings.most, 0)
    return (
        f"{what} with a probability higher by {by} points, up to {most}; "
        "what was above that stays, and nothing is lowered again (eq. 14)"
    )


def _twins(tone: object) -> str:
    if not isinstance(tone, Mapping) or tone.get("twins") is None:
        return "not recorded"
    target = f", for the target {tone['target']}" if tone.get("target") else ""
    return (
        f"{count(tone['twins'])} images of the store have one{target}; {count(tone.get('no_twin'))} have none and are "
        "never replaced, nor are those whose twin has no tone that is known"
    )
