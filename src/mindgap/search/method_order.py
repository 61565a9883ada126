"""The order of a comparison's runs: tuning trial by trial, then every seed with the options that were chosen."""

from __future__ import annotations

from collections.abc import Sequence

from mindgap.core.seed import derive_seed, numpy_generator
from mindgap.search.method_choice import Choice, Point, selection_rule
from mindgap.search.method_plan import STEPS, MethodPlan, MethodRun, quantile
from mindgap.search.optuna_study import asked, memory_study, suggest_step, tpe_sampler, tried_steps
from mindgap.search.searcher import AbstractOrder, Outcome

TPE_STARTUP = 4
"""Trials of a method, its defaults among them, before TPE draws; those before are the random tuner's."""


class MethodOrder(AbstractOrder):
    """What each slot of a comparison trains, as a function of the seed and of earlier outcomes.

    Trial 0 of every method has the defaults. In a later trial of the random tuner all methods have the same learning
    rate, and options of their own drawn within their ranges. TPE learns from the same method's earlier trials. The
    reward of an outcome is the validation accuracy of its worst group.
    """

    def __init__(self, plan: MethodPlan) -> None:
        super().__init__(seed=plan.seed)
        self.plan = plan
        self.rule = selection_rule(plan.select)
        self.outcomes: list[Outcome] = []

    def visible(self, slot: int) -> int:
        """All tuning runs for a slot after them; for one of them those of earlier trials if the tuner learns."""
        plan = self.plan
        if slot >= plan.tuning_slots:
            return plan.tuning_slots
        return 0 if plan.tuner == "random" else slot // len(plan.methods) * len(plan.methods)

    def points(self, method: int) -> list[Point]:
        """The tuning runs of a method that were trained to the end, of those that were told."""
        return [
            Point(MethodRun.of(known.tokens).trial, known.accuracy, known.unfairness, known.reward)
            for known in self.outcomes
            if MethodRun.of(known.tokens).method == method
            and known.accuracy is not None
            and known.unfairness is not None
        ]

    def choice(self, method: int) -> Choice | None:
        """The tuning run whose options a method is judged with; None if none was trained to the end.

        Without tuning runs it is the defaults.
        """
        if not self.plan.trials:
            return Choice(0, "the defaults: nothing was tuned")
        points = self.points(method)
        return self.rule.choose(points, self.points(0)) if points else None

    def _propose(self, slot: int) -> tuple[int, ...]:
        plan, count = self.plan, len(self.plan.methods)
        if slot < plan.tuning_slots:
            trial, method = divmod(slot, count)
            return MethodRun(method, trial, -1, self._quantiles(method, trial)).tokens
        seed, method = divmod(slot - plan.tuning_slots, count)
        choice = self.choice(method)
        if choice is None:
            return MethodRun(method, -1, seed).tokens
        tried = [run for run in (MethodRun.of(known.tokens) for known in self.outcomes) if run.method == method]
        chosen = next((run.quantiles for run in tried if run.trial == choice.trial), ())
        return MethodRun(method, choice.trial, seed, chosen).tokens

    def _learn(self, outcome: Outcome) -> None:
        if outcome.slot < self.plan.tuning_slots:
            self.outcomes.append(outcome)

    def _quantiles(self, method: int, trial: int) -> tuple[int, ...]:
        if trial == 0:
            return ()
        names = ("lr", *self.plan.tuned[self.plan.methods[method]])
        if self.plan.tuner == "tpe" and trial >= TPE_STARTUP:
            return self._learnt(method, trial, names)
        shared = numpy_generator(self.seed, "tuning", trial, "lr").random()
        own = [
            numpy_generator(self.seed, "tuning", trial, self.plan.methods[method], name).random() for name in names[1:]
        ]
        return tuple(quantile(draw) for draw in (shared, *own))

    def _learnt(self, method: int, trial: int, names: Sequence[str]) -> tuple[int, ...]:
        score = {point.trial: self.rule.score(point) for point in self.points(method)}
        tried = [run for run in (MethodRun.of(known.tokens) for known in self.outcomes) if run.method == method]
        study = memory_study(
            "reward",
            [
                tried_steps(dict(zip(names, run.quantiles, strict=True)), score.get(run.trial, -1.0), steps=STEPS)
                for run in tried
                if run.quantiles  # where the defaults lie within the ranges is not known
            ],
        )
        sampler = tpe_sampler(
            seed=derive_seed(self.seed, "tpe", trial, self.plan.methods[method]), startup=1, joint=True
        )
        with asked(study, sampler) as drawn:
            return tuple(suggest_step(drawn, name, steps=STEPS) for name in names)
