"""The models of a comparison, one or several seeds each, brought onto the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mindgap.core.errors import ConfigError, DataError
from mindgap.metrics.matched import AnyPredictions, matched, with_classes
from mindgap.metrics.predictions import MultiLabelPredictions, Predictions


@dataclass(frozen=True, eq=False)
class Model:
    """One model, or several seeds of one.

    Attributes:
        name: what the record calls it.
        sources: the files its predictions come from, one per seed.
        seeds: their seeds; None where none is known.
        predictions: their predictions.
    """

    name: str
    sources: tuple[str, ...]
    seeds: tuple[int | None, ...]
    predictions: tuple[AnyPredictions, ...]


@dataclass(frozen=True, eq=False)
class MatchedModels:
    """Models whose predictions are of the same rows in the same order."""

    models: tuple[Model, ...]

    @property
    def several_labels(self) -> bool:
        """Whether the task has several labels."""
        return isinstance(self.models[0].predictions[0], MultiLabelPredictions)

    def by_label(self) -> dict[str, tuple[SingleLabelModel, ...]]:
        """The models on every label; a task without labels has one, under the empty name."""
        first = self.models[0].predictions[0]
        names = first.label_names if isinstance(first, MultiLabelPredictions) else ("",)
        return {label: tuple(_of_label(model, label) for model in self.models) for label in names}


@dataclass(frozen=True, eq=False)
class SingleLabelModel:
    """A model's predictions of one label, one per seed."""

    name: str
    seeds: tuple[int | None, ...]
    predictions: tuple[Predictions, ...]


def matched_models(models: Sequence[Model]) -> MatchedModels:
    """Brings all predictions into the first's order of rows and classes.

    Without the probabilities of one model the scores of none are compared.

    Raises:
        ConfigError: names are not all different.
        DataError: rows, labels, classes, groups or clusters are not the same.
    """
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise ConfigError(f"models must have different names, got {', '.join(names)}; rename one")
    if not models[0].predictions[0].n:
        raise DataError(f"{models[0].sources[0]}: has no rows; give at least one prediction")
    models = _with_common_classes(models)
    first, source = models[0].predictions[0], models[0].sources[0]
    ordered = [
        replace(
            model,
            predictions=tuple(
                one if one is first else matched(first, one, names=(source, name))
                for one, name in zip(model.predictions, model.sources, strict=True)
            ),
        )
        for model in models
    ]
    return MatchedModels(tuple(ordered))


def paired_seeds(first: Model | SingleLabelModel, other: Model | SingleLabelModel) -> list[tuple[int, int]]:
    """Which seeds are compared with each other, by number: those that both have, else in order as far as both go.

    A seed in common pairs nothing but random numbers; it makes the choice of pairs nobody's.
    """
    places = {seed: place for place, seed in enumerate(other.seeds) if seed is not None}
    both = [(place, places[seed]) for place, seed in enumerate(first.seeds) if seed in places]
    return both or [(k, k) for k in range(min(len(first.seeds), len(other.seeds)))]


def _of_label(model: Model, label: str) -> SingleLabelModel:
    parts = tuple(one.by_label[label] if isinstance(one, MultiLabelPredictions) else one for one in model.predictions)
    return SingleLabelModel(model.name, model.seeds, parts)


def _with_common_classes(models: Sequence[Model]) -> list[Model]:
    """Where some model has no probabilities: without those of the others, and with the classes of all."""
    every = [one for model in models for one in model.predictions]
    single = [one for one in every if isinstance(one, Predictions)]
    if len(single) < len(every) or all(one.probabilities is not None for one in single):
        return list(models)
    classes = next((one.classes for one in single if one.probabilities is not None), ())
    classes = (*classes, *(dict.fromkeys(name for one in single for name in one.classes if name not in classes)))
    return [
        replace(
            model,
            predictions=tuple(
                with_classes(replace(one, probabilities=None), classes)
                for one in model.predictions
                if isinstance(one, Predictions)
            ),
        )
        for model in models
    ]
