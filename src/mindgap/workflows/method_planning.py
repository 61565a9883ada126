"""What a comparison of methods is asked, checked and made into a plan before anything of the run is written."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from mindgap.audit.comparison import refuse_unknown_gap
from mindgap.audit.comparison_verdict import LEVEL
from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError, DataError
from mindgap.core.notes import note
from mindgap.data.image_store import Store
from mindgap.metrics.predictions import MultiLabelPredictions
from mindgap.search.method_choice import selection_rule
from mindgap.search.method_order import TPE_STARTUP
from mindgap.search.method_plan import STEPS, MethodPlan, MethodRun, TunerName
from mindgap.search.method_runs import JUDGED_SPLITS
from mindgap.search.reward import excluded_groups
from mindgap.space.network import resolve_network
from mindgap.train.device import choose_device
from mindgap.train.mitigation import MITIGATIONS
from mindgap.train.precision import FP32, make_plan
from mindgap.train.remembered import one_thread
from mindgap.train.settings import TrainSettings
from mindgap.train.store_predictions import to_predictions
from mindgap.workflows.train_job import TrainJob

log = logging.getLogger(__name__)

BASELINE = "erm"
ANALYSIS = frozenset({"bootstrap", "permutations"})
"""May be asked anew of runs that are trained; the gap may not, which the test images would then have chosen."""
CHANGEABLE = frozenset({"workers", "placement", "placement_options"}) | ANALYSIS


class MethodsOptions(StrictModel):
    """All options of a comparison of methods but the store and the folder.

    Attributes:
        methods: names of mitigations, the baseline first.
        network: name or ``architecture.json``.
        attribute: whose groups methods and selection use; None is the store's first.
        seeds: runs of each method that are compared.
        trials: tuning runs of each method; 0 takes the defaults.
        tuner: how options are drawn.
        select: the rule that chooses them.
        epochs, batch_size, schedule, precision, device: of every run, as of ``train``.
        workers: processes of one thread each.
        placement: where they run.
        placement_options: of the placement.
        seed: of everything.
        gap: the gap that verdicts are about.
        min_group: images under which a group is left out, of the selection on validation and of gaps on test.
        bootstrap: resamples behind the intervals.
        permutations: behind noise floors and p-values.
    """

    methods: tuple[str, ...]
    network: str
    attribute: str | None = None
    seeds: int = Field(default=5, ge=1)
    trials: int = Field(default=4, ge=0)
    tuner: TunerName = "random"
    select: str = "worst_group_accuracy"
    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=64, ge=2)
    schedule: str = "onecycle"
    precision: str = "auto"
    device: str = "auto"
    workers: int = Field(default=1, ge=1)
    placement: str = "local"
    placement_options: dict[str, Any] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)
    gap: str = "unfairness"
    min_group: int = Field(default=30, ge=1)
    bootstrap: int = Field(default=2000, ge=0)
    permutations: int = Field(default=1000, ge=0)

    @property
    def training(self) -> dict[str, Any]:
        """The options that every run is trained with."""
        names = ("epochs", "batch_size", "schedule", "precision", "device")
        return {name: getattr(self, name) for name in names}


def ordered_methods(names: Sequence[str]) -> tuple[str, ...]:
    """The methods with the baseline first, which is added where it is missing.

    Raises:
        ConfigError: a name is there twice, or nothing is to be compared with the baseline.
        UnknownNameError: no mitigation has the name.
    """
    for name in names:
        MITIGATIONS.get(name)
        if list(names).count(name) > 1:
            raise ConfigError(f"methods names {name!r} twice; name each method once")
    others = tuple(name for name in names if name != BASELINE)
    if not others:
        raise ConfigError(
            f"methods is {','.join(names) or 'empty'}: give one or more besides {BASELINE!r}, which all are compared "
            "with; see `mindgap list mitigations`"
        )
    return (BASELINE, *others)


def make_method_plan(options: MethodsOptions, store: Store) -> MethodPlan:
    """Resolves and checks everything, and times the network's parts; the plan is what workers read.

    Raises:
        MindgapError: an option is wrong, or a method cannot be used on the store.
    """
    attribute = options.attribute or store.info.default_attribute
    if "," in attribute:
        raise ConfigError(
            f"attribute is {attribute!r}: methods are compared on one attribute; give one, or an intersection such as "
            f"{attribute.replace(',', '*')!r} if the store has it (all are audited)"
        )
    selection_rule(options.select)
    if options.tuner == "tpe" and options.trials <= TPE_STARTUP:
        raise ConfigError(
            f"tuner is 'tpe', which learns from {TPE_STARTUP} runs of a method, and trials is {options.trials}; give "
            f"{TPE_STARTUP + 1} or more, or take random"
        )
    _check_test_rows(options, store)
    others = [name for name in store.attributes if name != attribute]
    excluded, _ = (
        excluded_groups(
            store.groups(attribute).take(store.rows(split)), min_group=options.min_group, others=others, split=split
        )
        for split in JUDGED_SPLITS
    )
    needed = permutations_needed(options, store)
    if 0 < options.permutations < needed:
        note(
            log,
            f"with permutations={options.permutations} no verdict can be shown of so many methods and attributes; give "
            f"{needed} or more, now or when all is trained",
        )
    architecture = resolve_network(options.network, num_classes=len(store.classes), input_px=store.size_px)
    training = parse(TrainSettings, options.training, source="compare")
    training = training.model_copy(update={"device": choose_device(training.device).type})
    plan = MethodPlan(
        store=str(store.path.resolve()),
        fingerprint=store.fingerprint,
        attribute=attribute,
        seed=options.seed,
        methods=options.methods,
        tuned={name: dict(MITIGATIONS.get(name).tuned) for name in options.methods},
        trials=options.trials,
        seeds=options.seeds,
        tuner=options.tuner,
        select=options.select,
        architecture=architecture,
        training=training,
        min_group=options.min_group,
        excluded_groups=excluded,
        precision_plan=FP32,
    )
    for number in range(len(plan.methods)):
        _check_method(plan, number, store)
    for name in excluded:
        note(log, f"{attribute}: group {name!r} has under {options.min_group} validation images and selects nothing")
    with one_thread():
        timed = make_plan(training.precision, architecture, batch_size=training.batch_size, device=training.device)
    return plan.model_copy(update={"precision_plan": timed})


def permutations_needed(options: MethodsOptions, store: Store) -> int:
    """The least permutations with which a difference can be shown, if all that is compared is adjusted for (Holm)."""
    labels = len(store.classes) if store.task == "multi-label" else 1
    family = (len(options.methods) - 1) * len(store.attributes) * labels
    return math.ceil(family / LEVEL) - 1


def _check_test_rows(options: MethodsOptions, store: Store) -> None:
    rows = store.rows("test")
    if not len(rows):
        raise DataError(
            f"{store.path}: has no test images, on which methods are compared; prepare it again with a test share, "
            "such as --split .7,.15,.15, or a --split-column with test rows"
        )
    even = to_predictions(store, rows, np.full((len(rows), len(store.classes)), 1 / len(store.classes)))
    first = next(iter(even.by_label.values())) if isinstance(even, MultiLabelPredictions) else even
    refuse_unknown_gap(options.gap, first.classes)


def _check_method(plan: MethodPlan, number: int, store: Store) -> None:
    """Refuses a method whose options, batches or attribute do not fit, at its defaults and both ends of its ranges."""
    name = plan.methods[number]
    width = 1 + len(plan.tuned[name])
    for quantiles in ((), (0,) * width, (STEPS,) * width):
        settings = plan.settings(MethodRun(number, 0, 0, quantiles))
        try:
            TrainJob(store, plan.architecture, settings, plan.attribute, 0, 0).check()
        except ConfigError as error:
            raise ConfigError(f"method {name!r}: {error}") from None
