"""Which point of every front is used, and how good it is on each part of the data."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

from torch import nn

from mindgap.space.architecture import Architecture
from mindgap.space.network import Network
from mindgap.tune.choice import Choice, choose_by_rule, pick
from mindgap.tune.head import Floats, HiddenHead, stacked
from mindgap.tune.objectives import larger_is_better
from mindgap.tune.tuned_network import hidden_classifier, with_classifier
from mindgap.workflows.tune_job import Part, TuneJob, Unit


@dataclass(frozen=True, eq=False)
class Chosen:
    """A front, and the point of it that is used.

    Attributes:
        unit: whose front it is.
        heads: float64 (K, D).
        choice: its number, and why.
        tuned_on, held_back: figures (K, T, M) of all points on the rows tuned on, and on those chosen on.
    """

    unit: Unit
    heads: Floats
    choice: Choice
    tuned_on: Floats
    held_back: Floats

    @property
    def head(self) -> Floats:
        """Float64 (D,), the one that is used."""
        return self.heads[self.choice.index]

    def trained_point(self, job: TuneJob) -> int:
        """The number of the trained head, which is among them even if another beats it."""
        return int((self.heads == job.head(self.unit.outputs).vector).all(axis=1).argmax())


def choose(job: TuneJob, unit: Unit, heads: Floats, parts: tuple[Part, Part], *, picks: Mapping[str, int]) -> Chosen:
    """The point that the user named, or else the one that the rule takes on the rows to choose on.

    Of a head for several labels accuracy and gap are means over its labels.
    """
    tuned, held = (job.figures(part, unit.outputs, heads) for part in parts)
    if unit.name in picks:
        return Chosen(unit, heads, pick(picks[unit.name], size=len(heads)), tuned, held)
    trained = job.figures(parts[1], unit.outputs, job.head(unit.outputs).vector[None])
    names = job.figure_names
    accuracy, gap = names.index("accuracy"), names.index(job.gap)
    means = held.mean(axis=1)
    choice = choose_by_rule(
        means[:, accuracy],
        -means[:, gap] if larger_is_better(job.gap) else means[:, gap],
        trained_accuracy=float(trained.mean(axis=1)[0, accuracy]),
        tolerance=job.options.tolerance,
    )
    return Chosen(unit, heads, choice, tuned, held)


def network_with(job: TuneJob, chosen: list[Chosen]) -> tuple[Architecture, Network]:
    """A copy of the run's network with the chosen heads in the place of the trained ones, and its architecture.

    Heads that were tuned with their hidden layers keep units of their own; outputs that were not tuned keep the
    trained ones.
    """
    return with_classifier(job.model.architecture, job.model.network, _classifier(job, chosen))


def _classifier(job: TuneJob, chosen: list[Chosen]) -> nn.Module:
    heads = [(job.head(one.unit.outputs), one.head) for one in chosen]
    blocks = [(own.head, head, own.outputs.tolist()) for own, head in heads if isinstance(own.head, HiddenHead)]
    if blocks:
        tuned = {number for _, _, outputs in blocks for number in outputs}
        rest = tuple(number for number in range(len(job.store.classes)) if number not in tuned)
        if rest and isinstance(kept := (others := job.head(rest)).head, HiddenHead):
            blocks.append((kept, others.vector, list(rest)))
        return hidden_classifier(*stacked(blocks))
    classifier = deepcopy(job.classifier).to("cpu")
    for own, head in heads:
        own.write(classifier, head)
    return classifier


def points(job: TuneJob, figures: Floats) -> list[dict[str, float]]:
    """Figures (K, M) by their names, one record per point."""
    return [dict(zip(job.figure_names, map(float, row), strict=True)) for row in figures]
