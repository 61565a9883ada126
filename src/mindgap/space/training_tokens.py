"""What a space may decide about training, beside the batches: its file's table, and the options that come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from mindgap.core.config import StrictModel
from mindgap.space.architecture import Choice

LOSS_KIND = "loss"
AUGMENT_KIND = "augment"
BLEND_KIND = "blend"


class LossChoice(StrictModel):
    """One way to weigh errors.

    Attributes:
        name: what records call it.
        mitigation: in-training mitigation; ``erm`` is plain.
        mitigation_options: its options.
        loss: name of the loss; None is the search's own, which is the task's (ce, bce) unless told otherwise.
        label_smoothing: share of the target spread over all classes; None is the search's own.
    """

    name: str
    mitigation: str = "erm"
    mitigation_options: dict[str, Any] = Field(default_factory=dict)
    loss: str | None = None
    label_smoothing: float | None = Field(default=None, ge=0, lt=1)


class TrainingTable(StrictModel):
    """The table ``training`` of a space's file; what it leaves out is not searched.

    Attributes:
        loss: losses to choose from.
        plugins: also take every registered mitigation that declares itself searchable and is named by no loss.
        augment: strengths of the augmentation to choose from, as factors of the search's own; 0 changes no image.
        blend: whether to train on images blended with their twins of another tone; true needs a store with twins.
    """

    loss: tuple[LossChoice, ...] = ()
    plugins: bool = False
    augment: tuple[Annotated[float, Field(ge=0, le=4)], ...] = ()
    blend: tuple[bool, ...] = ()

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for kind, names in ((LOSS_KIND, [c.name for c in self.loss]), (AUGMENT_KIND, self.augment)):
            if len(set(names)) < len(names):
                raise ValueError(f"{kind} offers one option twice; name each once")
        if len(set(self.blend)) < len(self.blend):
            raise ValueError("blend offers one option twice; name each once")
        return self

    @property
    def is_empty(self) -> bool:
        """Whether nothing of training is decided."""
        return not (self.loss or self.plugins or self.augment or self.blend)


class TrainingOption(StrictModel):
    """One option of a training token.

    Attributes:
        name: what the option is called in records.
        changes: what it changes of the training settings, by their names.
    """

    name: Choice
    changes: dict[str, Any]


TrainingOptions = Mapping[str, Sequence[TrainingOption]]


def open_kinds(options: TrainingOptions) -> tuple[str, ...]:
    """The kinds that are asked for: those with a choice between two options or more."""
    return tuple(kind for kind, offered in options.items() if len(offered) > 1)


def chosen_options(options: TrainingOptions, tokens: Sequence[int]) -> dict[str, TrainingOption]:
    """The option taken of every kind, one token per open kind in their order; a sole option needs no token.

    Example:
        Of two losses and one strength, the tokens (1,) take the second loss and the strength.
    """
    answers = iter(tokens)
    return {kind: offered[next(answers) if len(offered) > 1 else 0] for kind, offered in options.items() if offered}
