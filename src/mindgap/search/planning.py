"""From options to a plan: everything is resolved, checked and timed before the first candidate."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError
from mindgap.core.files import write_text
from mindgap.core.groups import Groups
from mindgap.data.batches import order_warning, parse_ratios
from mindgap.data.image_store import Store
from mindgap.search.agenda import Target
from mindgap.search.forecast import Forecast
from mindgap.search.measured import cost_model, latency_table, precision_plan, sample_architectures
from mindgap.search.options import SearchOptions
from mindgap.search.plan import RewardPlan, SearchPlan, judged_unfairness, load_space_for
from mindgap.search.preset import PRESETS, Preset
from mindgap.search.reward import default_accuracy_floor, excluded_groups, infeasible_reward, majority_rate
from mindgap.search.rung_options import plan_rungs
from mindgap.search.searcher import SEARCHERS
from mindgap.search.training_options import FoundOptions, check_training, training_options
from mindgap.search.warm_start import read_prior
from mindgap.space.architecture import Architecture
from mindgap.space.network import resolve_network
from mindgap.space.search_space import SearchSpace
from mindgap.space.space_settings import load_space
from mindgap.train.device import choose_device
from mindgap.train.loop import TrainSettings
from mindgap.train.loss import DEFAULT_LOSSES

DEFAULT_MITIGATION = "biasless"


@dataclass(frozen=True)
class Draft:
    """A plan before anything of the run is written.

    Attributes:
        plan: the plan.
        space_text: the search space's file, if it is one; the run keeps a copy, so that it stays whole.
        remarks: what the user should know before it begins, one line each.
        expected_trials: candidates that the budget of time is expected to allow, if there is one.
    """

    plan: SearchPlan
    space_text: str | None
    remarks: tuple[str, ...] = ()
    expected_trials: int | None = None

    def keep_space(self, run: Path) -> None:
        """Copies the search space's file into the run."""
        if self.space_text is not None:
            write_text(run / self.plan.space, self.space_text)


def make_draft(options: SearchOptions, store: Store, *, preset: str) -> Draft:
    """Resolves the options of a search for a store, checks them and times; writes nothing.

    Raises:
        MindgapError: an option does not fit the store, or a plug-in is not known.
    """
    chosen = PRESETS[preset]
    attribute = options.attribute or store.info.default_attribute
    validation = store.rows("validation")
    groups = store.groups(attribute).take(validation)
    excluded = _excluded(options, store, groups)
    _check_unfairness(options, store, groups, excluded)
    place = _space_place(options.space)
    folder = place.parent if isinstance(place, Path) else Path()
    of_training = store.groups(attribute).take(store.rows("train"))
    training = _training(options, chosen, store, of_training)
    found = _training_options(options, store, training, of_training)
    searcher = options.searcher or chosen.searcher
    searcher_settings = _searcher_settings(searcher, options, chosen)
    rungs = plan_rungs(options, chosen, training, batch=searcher_settings["batch"])
    if rungs.top:
        training = training.model_copy(update={"schedule": "trapezoid"})
    space_options: dict[str, Any] = {
        "space": place.name if isinstance(place, Path) else place,
        "mask_limits": chosen.limits == "masked",
        "ratios": _ratios(options.ratios, of_training),
        "network": _network(options.network, store),
    }
    opened: dict[str, Any] = space_options | {"training": found.options}
    space = load_space_for(store, attribute, run=folder, max_latency_ms=None, latency_table=None, **opened)
    precision, limit = precision_plan(space, training), options.max_latency_ms
    table = None if limit is None else latency_table(space)
    summary = load_space_for(
        store, attribute, run=folder, max_latency_ms=limit, latency_table=table, **opened
    ).describe()
    plan = SearchPlan(
        store=str(store.path.resolve()),
        fingerprint=store.fingerprint,
        attribute=attribute,
        preset=preset,
        seed=options.seed,
        searcher=searcher,
        searcher_settings=searcher_settings,
        rungs=rungs,
        space_summary=summary,
        max_latency_ms=limit,
        latency_table=table,
        training=training,
        training_options=found.options,
        unfairness=options.unfairness,
        excluded_groups=excluded,
        reward=_reward(options, chosen, store, groups=len(groups.names) - len(excluded)),
        precision_plan=precision,
        cost=cost_model(
            space, training, precision, rows=len(store.rows("train")), timed=options.budget_hours is not None
        ),
        **space_options,
    )
    remarks = list(found.left_out)
    if options.warm_start is not None:
        prior, said = read_prior(options.warm_start, plan, plan.open_space(store, run=folder))
        plan, remarks = plan.model_copy(update={"prior": prior}), [*remarks, *said]
    expected = None
    if options.budget_hours is not None:
        expected, said = _expected_trials(options, plan, space, hours=options.budget_hours)
        remarks.append(said)
    text = place.read_text(encoding="utf-8") if isinstance(place, Path) else None
    return Draft(plan, text, tuple(remarks), expected)


def _expected_trials(
    options: SearchOptions, plan: SearchPlan, space: SearchSpace, *, hours: float
) -> tuple[int | None, str]:
    """Candidates that the budget is expected to allow, if the processor that trains them was timed, and a line."""
    if not plan.cost.timed:
        return None, f"how many candidates a budget of {hours:g} h allows is known once one is trained: see --status"
    expected = Forecast(plan).expected_trials(sample_architectures(space), hours=hours, workers=options.workers)
    said = f"a budget of {hours:g} h allows about {expected} candidates, if this machine has nothing else to do"
    return min(expected, options.trials or expected), said


def make_target(options: SearchOptions, *, spent_s: float, earlier: Target | None = None) -> Target:
    """When the search has done enough, given the time it has already spent and the target of the call before.

    A search that began nothing more because its time would not suffice stays so for the same budget.
    """
    trials = options.trials
    if trials is None and options.budget_hours is None:
        trials = PRESETS[options.preset].trials
    if options.budget_hours is None:
        return Target(trials=trials)
    return Target(
        trials=trials,
        deadline=time.time() + 3600 * options.budget_hours - spent_s,
        budget_hours=options.budget_hours,
        end=earlier.end if earlier is not None and earlier.budget_hours == options.budget_hours else None,
    )


def too_many_workers(workers: int, plan: SearchPlan) -> str | None:
    """One line if some workers can find nothing to do, B(lag + 1) candidates being open at most."""
    batch, lag = plan.searcher_settings["batch"], plan.searcher_settings["lag"]
    most = batch * (lag + 1)
    if workers <= most or plan.searcher == "random":
        return None
    return (
        f"{workers} workers, but candidates come in batches of {batch} with lag {lag}: at most {most} find work; begin "
        "a search with a larger batch in the table searcher_options of --config, or take fewer workers"
    )


def ratios_warning(options: SearchOptions, store: Store) -> str | None:
    """One line if the given ratios favour a smaller group over a larger one."""
    if options.ratios is None:
        return None
    groups = store.groups(options.attribute or store.info.default_attribute).take(store.rows("train"))
    shares = parse_ratios(options.ratios, groups.names, groups.counts())
    return order_warning(shares, groups.names, groups.counts())


def _excluded(options: SearchOptions, store: Store, groups: Groups) -> tuple[str, ...]:
    least, validation = options.reward.min_group, store.rows("validation")
    counts = {name: store.groups(name).take(validation).counts() for name in store.info.attributes}
    others = [name for name, sizes in counts.items() if (sizes >= least).sum() >= 2]
    return excluded_groups(groups, min_group=least, others=others)


def _check_unfairness(options: SearchOptions, store: Store, groups: Groups, excluded: tuple[str, ...]) -> None:
    """Whether U is defined depends on labels and groups alone, so it is known before any training."""
    labels = store.labels[store.rows("validation")]
    _, reason = judged_unfairness(labels, labels, groups, kind=options.unfairness, exclude=excluded)
    if reason is not None:
        raise ConfigError(
            f"unfairness {options.unfairness!r} of {groups.attribute!r} is undefined on the validation images "
            f"({reason}); take --unfairness plain or another attribute"
        )


def _device(options: SearchOptions) -> object:
    """Where all candidates train: results are the same on every machine only with the same kind of device."""
    asked = options.training.get(
        "device", "cpu" if options.placement_options.get("gpus_per_worker") is None else "cuda"
    )
    if asked == "auto":
        return choose_device("auto").type
    if asked == "cuda" and options.placement == "local":
        choose_device("cuda")  # refuses it where there is none
    return asked


def _training(options: SearchOptions, preset: Preset, store: Store, groups: Groups) -> TrainSettings:
    for name in ("epochs", "seed", "ratios", "mitigation"):
        if name in options.training:
            raise ConfigError(f"training.{name} is {options.training[name]!r}; a search sets it with {name} itself")
    values = (
        preset.training.model_dump()
        | options.training
        | {"device": _device(options), "mitigation": options.mitigation or DEFAULT_MITIGATION}
    )
    if options.epochs is not None:
        values["epochs"] = options.epochs
    settings = parse(TrainSettings, values, source="training")
    check_training(settings, store, groups)
    # By name, so that every trial's record can say it.
    return settings.model_copy(update={"loss": settings.loss or DEFAULT_LOSSES[store.task]})


def _training_options(options: SearchOptions, store: Store, training: TrainSettings, groups: Groups) -> FoundOptions:
    """What the space decides about training; a mitigation that is named is not searched."""
    _, settings = load_space(options.space)
    table, fixed = settings.training, options.mitigation is not None
    if (table.loss or table.plugins) and not fixed and training.mitigation_options:
        raise ConfigError(
            f"mitigation options {training.mitigation_options} are given and space {options.space!r} decides about the "
            "loss; name the one mitigation with --mitigation, or leave them out"
        )
    return training_options(table, store, base=training, groups=groups, fixed_loss=fixed)


def _searcher_settings(searcher: str, options: SearchOptions, preset: Preset) -> dict[str, Any]:
    kind = SEARCHERS.get(searcher)
    lag = {} if preset.lag is None else {"lag": preset.lag}
    return parse(kind.Settings, lag | options.searcher_options, source="searcher_options").model_dump()


def _reward(options: SearchOptions, preset: Preset, store: Store, *, groups: int) -> RewardPlan:
    given = options.reward
    beta = preset.beta if given.beta is None else given.beta
    floor, majority = given.accuracy_floor, majority_rate(store.labels[store.rows("validation")])
    if floor is None:
        floor = default_accuracy_floor(majority)
    infeasible = infeasible_reward(beta, groups)
    return RewardPlan(
        alpha=preset.alpha if given.alpha is None else given.alpha,
        beta=beta,
        accuracy_floor=floor,
        lower_floor=min(floor, majority),
        infeasible=infeasible,
        rejected=infeasible if preset.rejected_reward is None else preset.rejected_reward,
    )


def _space_place(space: str) -> Path | str:
    """The file of a search space, or its name."""
    path = Path(space)
    if path.suffix != ".toml":
        return space
    if not path.is_file():
        raise ConfigError(f"{space}: no such search space file; check the path or take a name such as default")
    return path


def _ratios(text: str | None, groups: Groups) -> str | dict[str, float] | None:
    if text is None or text in {"natural", "uniform"}:
        return text
    shares = parse_ratios(text, groups.names, groups.counts())
    return dict(zip(groups.names, shares.tolist(), strict=True))


def _network(name: str | None, store: Store) -> Architecture | None:
    if name is None:
        return None
    return resolve_network(name, num_classes=len(store.classes), input_px=store.size_px)
