"""What a search may decide about training: a space's table, as far as the store and the installed plug-ins allow it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError
from mindgap.core.groups import Groups
from mindgap.data.augment import AugmentSettings
from mindgap.data.image_store import TWINS_FILE, Store
from mindgap.space.training_tokens import (
    AUGMENT_KIND,
    BLEND_KIND,
    LOSS_KIND,
    LossChoice,
    TrainingOption,
    TrainingTable,
)
from mindgap.train.batch_ratios import batch_plan
from mindgap.train.blending import check_blend, has_twin_bands
from mindgap.train.loss import LOSSES, make_loss
from mindgap.train.mitigation import MITIGATIONS, TrainingFacts, make_mitigation
from mindgap.train.settings import TrainSettings

if TYPE_CHECKING:
    from mindgap.search.plan import SearchPlan


@dataclass(frozen=True)
class FoundOptions:
    """Options by kind of token, and a line for everything of the table that does not apply to the store."""

    options: dict[str, tuple[TrainingOption, ...]]
    left_out: tuple[str, ...] = ()


def training_options(
    table: TrainingTable, store: Store, *, base: TrainSettings, groups: Groups, fixed_loss: bool = False
) -> FoundOptions:
    """The options of the training tokens for a store, each tried on it.

    Args:
        table: what the space's file says.
        store: of the images.
        base: the search's own settings, which an option changes; a blend that is asked for here is not searched.
        groups: of the training rows.
        fixed_loss: leaves the loss to ``base``.

    Raises:
        ConfigError: an option cannot be used, or no option of a kind applies to the store.
        UnknownNameError: a loss or a mitigation is not known.
    """
    left_out: list[str] = []
    options = {
        LOSS_KIND: () if fixed_loss else _losses(table, store, left_out),
        AUGMENT_KIND: _strengths(table, store, base),
        BLEND_KIND: () if base.blend is not None else _blends(table, store, left_out),
    }
    found = {kind: offered for kind, offered in options.items() if offered}
    for kind, offered in found.items():
        for option in offered:
            _try(kind, option, store, base=base, groups=groups)
    return FoundOptions(found, tuple(left_out))


def with_changes(base: TrainSettings, changes: Mapping[str, Any]) -> TrainSettings:
    """The settings with some of them changed, checked like any other.

    Raises:
        ConfigError: a change does not fit.
    """
    return parse(TrainSettings, base.model_dump() | dict(changes), source="training")


def candidate_settings(
    plan: SearchPlan, *, training: Mapping[str, Any], ratios: Mapping[str, float] | None, seed: int, rung: int
) -> TrainSettings:
    """How a candidate is trained on a rung.

    Args:
        plan: of the search.
        training: what the candidate's own tokens decide.
        ratios: likewise of the batches, where the plan fixes none.
        seed: the candidate's.
        rung: from 0.
    """
    shares = plan.ratios if isinstance(plan.ratios, str) else dict(ratios) if ratios else "natural"
    return with_changes(plan.training, {**training, "seed": seed, "ratios": shares, **plan.rungs.training(rung)})


def _losses(table: TrainingTable, store: Store, left_out: list[str]) -> tuple[TrainingOption, ...]:
    """Losses of the store's task; raises if the table names some and none is of it."""
    named = {choice.mitigation for choice in table.loss}
    own = [name for name in MITIGATIONS.names() if table.plugins and MITIGATIONS.get(name).searchable]
    choices = [*table.loss, *(LossChoice(name=name, mitigation=name) for name in own if name not in named)]
    fitting = []
    for choice in choices:
        task = store.task if choice.loss is None else LOSSES.get(choice.loss).task
        if task == store.task:
            fitting.append(_loss_option(choice))
        else:
            left_out.append(f"loss {choice.name!r} is left out: it is for {task} data, this store is {store.task}")
    if choices and not fitting:
        raise ConfigError(f"none of the space's losses is for {store.task} data; name one that is, or none at all")
    return tuple(fitting)


def _loss_option(choice: LossChoice) -> TrainingOption:
    given = choice.model_dump(exclude={"name"})
    return TrainingOption(name=choice.name, changes={name: v for name, v in given.items() if v is not None})


def _strengths(table: TrainingTable, store: Store, base: TrainSettings) -> tuple[TrainingOption, ...]:
    own = base.augment or AugmentSettings.for_images(upright=store.info.upright)
    return tuple(
        TrainingOption(name=strength, changes={"augment": own.scaled(strength).model_dump()})
        for strength in table.augment
    )


def _blends(table: TrainingTable, store: Store, left_out: list[str]) -> tuple[TrainingOption, ...]:
    options = {blend: TrainingOption(name=blend, changes={"blend": True} if blend else {}) for blend in table.blend}
    if True in options and store.twins is None:
        if len(options) == 1:
            raise ConfigError(f"the space blends tones, and {store.path} has no {TWINS_FILE}; take a store with twins")
        left_out.append(f"blending of tones is left out: the store has no {TWINS_FILE}")
        del options[True]
    elif True in options and len(options) > 1 and not has_twin_bands(store):
        left_out.append("blending of tones is left out: the store's tones are named in another way than its twins'")
        del options[True]
    return tuple(options.values())


def _try(kind: str, option: TrainingOption, store: Store, *, base: TrainSettings, groups: Groups) -> None:
    """What a worker would refuse at its first candidate is refused before there is a run."""
    try:
        check_training(with_changes(base, option.changes), store, groups)
    except ConfigError as error:
        raise ConfigError(f"option {option.name!r} of the space's {kind}: {error}") from None


def check_training(settings: TrainSettings, store: Store, groups: Groups) -> None:
    """Makes the loss, the mitigation and the batches of the settings; ``groups`` are those of the training rows.

    Raises:
        ConfigError: one of them does not fit the store, the mitigation cannot be used in a search, or parts are frozen.
        UnknownNameError: a loss or a mitigation is not known.
    """
    if not MITIGATIONS.get(settings.mitigation).predicts_by_network_alone():
        raise ConfigError(
            f"mitigation {settings.mitigation!r} predicts in its own way, which a search does not carry over; "
            "take biasless, maxgroup or erm"
        )
    if settings.freeze:
        raise ConfigError(
            f"training.freeze is {settings.freeze}: a search trains all parts of its candidates; leave it out"
        )
    loss = make_loss(settings.loss, task=store.task, label_smoothing=settings.label_smoothing)
    facts = TrainingFacts(groups.names, groups.counts(), num_classes=len(store.classes), loss=loss)
    check_blend(settings.blend, store)
    batch_plan(groups, make_mitigation(settings.mitigation, facts, settings.mitigation_options), settings)
