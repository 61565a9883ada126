"""The exception tree.

MindgapError            a user's mistake: one line, exit code 2
├── ConfigError         an option or a configuration file
├── DataError           an input table, image, mask or weights file
├── ShapeError          an array whose shape or range does not fit
├── UnknownNameError    a plug-in, attribute or column that is not there
├── RunError            a run folder that holds something else
└── CapacityError       the machine: disk, memory, permissions
TrainingFailure         a training run that ended without a usable network
└── OutOfMemoryFailure  one that may do better when the machine is less busy
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


class MindgapError(Exception):
    """A mistake the user can mend; its text is one line: what is wrong, the value seen, what to do."""


class ConfigError(MindgapError):
    """An option or a configuration file is wrong."""


class DataError(MindgapError):
    """An input table, image, mask or weights file is wrong."""


class ShapeError(MindgapError):
    """An array's shape, dtype or range does not fit its use."""


class UnknownNameError(MindgapError):
    """A plug-in, attribute, column or file name is not known."""


class RunError(MindgapError):
    """A run folder holds something else than what was asked for."""


class CapacityError(MindgapError):
    """The machine cannot do it: no space, no permission, no memory."""


class TrainingFailure(Exception):  # noqa: N818  (a training run fails; the program does not)
    """A training run ended without a usable network; a search records it as a failed trial.

    Attributes:
        reason: one line in words, such as ``loss is nan at epoch 3``.
        history: records of its whole epochs, the one that failed included.
        spent: what that took, a teacher included, where it is known: ``epochs``, ``image_passes`` and ``seconds``.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.history: Sequence[Any] = ()
        self.spent: Mapping[str, float] = {}


class OutOfMemoryFailure(TrainingFailure):
    """Memory ran out; what else the machine does may be the cause, so a search tries the candidate once more."""

    def __init__(self, batch_size: int) -> None:
        super().__init__(f"out of memory with batches of {batch_size}; use smaller batches")


def near_names(name: str, known: Iterable[str], *, listed: Sequence[str] | None = None) -> str:
    """Says which of the known names were probably meant, as the tail of an error line.

    Args:
        name: what was given.
        known: what could have been.
        listed: the names to list in their order, where all would be too many.

    Example:
        >>> near_names("resnet81", ["resnet18", "mnasnet"])
        "did you mean 'resnet18'? known: mnasnet, resnet18"
    """
    names = sorted({*known})
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    shown = ", ".join(names if listed is None else listed) or "none"
    return f"did you mean {near[0]!r}? known: {shown}" if near else f"known: {shown}"
