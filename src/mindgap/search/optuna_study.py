"""Optuna's samplers as pure functions: a study in memory, made anew from what a searcher was told.

With ``tpe``, ``nsga2`` and ``method_order``, which use it, the only place where Optuna's samplers are touched. What a
sampler draws depends on its own seed and on the finished trials of its study. So every candidate is asked for with a
new sampler whose seed belongs to the slot, and the trial that asking leaves in the study is failed at once: samplers
pass over failed trials.
"""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from mindgap.search.objectives import MAXIMIZE, figures, violation
from mindgap.search.searcher import Outcome
from mindgap.search.token_walk import Place

Objective = Literal["reward", "front"]
DIRECTIONS = {"reward": ("maximize",), "front": tuple("maximize" if more else "minimize" for more in MAXIMIZE)}
FIRST_GENERATION = {NSGAIISampler._get_generation_key(): 0}  # noqa: SLF001  (Optuna has no public name for it)
SEEDS = 2**32


def memory_study(objective: Objective, trials: Iterable[FrozenTrial] = ()) -> Study:
    """A study in memory: of the reward, or of accuracy, U and multiply-accumulates."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(directions=DIRECTIONS[objective], sampler=optuna.samplers.RandomSampler(seed=0))
    study.add_trials(trials)
    return study


def finished_trial(
    outcome: Outcome, objective: Objective, *, choices: Mapping[Place, int], kinds: Mapping[str, int]
) -> FrozenTrial:
    """An outcome as a finished trial, of the first generation.

    Every candidate has a reward. One without figures, or below the accuracy floor, breaks a constraint in ``front``.
    """
    parameters: dict[str, Any] = {
        "params": {parameter(place): choice for place, choice in choices.items()},
        "distributions": {parameter(place): _distribution(kinds[place[0]]) for place in choices},
    }
    if objective == "reward":
        return create_trial(value=outcome.reward, **parameters)
    constraints = {"infeasible": violation(outcome)}
    attributes = dict(FIRST_GENERATION)
    return create_trial(values=figures(outcome), constraints=constraints, system_attrs=attributes, **parameters)


def parameter(place: Place) -> str:
    """Name of a decision's parameter, such as ``kernel@3``."""
    return f"{place[0]}@{place[1]}"


def suggest(trial: Trial, place: Place, options: int) -> int:
    """The sampler's choice among the options of a decision; Optuna wants the same ones whatever is masked."""
    return int(trial.suggest_categorical(parameter(place), range(options)))


def tried_steps(taken: Mapping[str, int], score: float, *, steps: int) -> FrozenTrial:
    """A point of named whole numbers in 0..steps and what it reached, as a finished trial."""
    distributions: dict[str, BaseDistribution] = dict.fromkeys(taken, IntDistribution(0, steps))
    return create_trial(value=score, params=dict(taken), distributions=distributions)


def suggest_step(trial: Trial, name: str, *, steps: int) -> int:
    """The sampler's choice of a whole number in 0..steps."""
    return trial.suggest_int(name, 0, steps)


@contextmanager
def asked(study: Study, sampler: BaseSampler) -> Generator[Trial]:
    """A new trial of the study, drawn by that sampler; it is failed in the end and leaves no trace."""
    study.sampler = sampler
    trial = study.ask()
    try:
        yield trial
    finally:
        study.tell(trial, state=TrialState.FAIL)


def tpe_sampler(*, seed: int, startup: int, joint: bool) -> TPESampler:
    """Optuna's TPE; ``joint`` models the places that occur together together, else each place is modelled by itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(
            seed=seed % SEEDS, n_startup_trials=startup, multivariate=joint, group=joint, constant_liar=False
        )


def nsga2_sampler(*, seed: int, population: int, mutation: float) -> NSGAIISampler:
    """Optuna's NSGA-II: uniform crossover of two parents, each the winner of a tournament, then mutation by gene."""
    return NSGAIISampler(seed=seed % SEEDS, population_size=population, mutation_prob=mutation)


def elite(outcomes: Sequence[Outcome], size: int) -> list[Outcome]:
    """NSGA-II's survivors: the best ``size`` by non-dominated rank, those of the last rank by crowding distance."""
    study = memory_study("front", (finished_trial(outcome, "front", choices={}, kinds={}) for outcome in outcomes))
    survivors = nsga2_sampler(seed=0, population=size, mutation=0).select_parent(study, 1)
    return [outcomes[trial.number] for trial in survivors]


def _distribution(options: int) -> CategoricalDistribution:
    return CategoricalDistribution(tuple(range(options)))
