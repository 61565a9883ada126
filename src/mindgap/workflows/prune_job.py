"""One pruning job: the network it begins with, how it scores, fine-tunes and judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import ConfigError, UnknownNameError, near_names
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed
from mindgap.data.image_store import Store
from mindgap.metrics.matched import AnyPredictions
from mindgap.prune.activations import layer_outputs
from mindgap.prune.importance import AbstractImportance, make_importance
from mindgap.prune.meta_rows import MetaBatches, split_meta_rows
from mindgap.prune.options import PruneOptions
from mindgap.prune.scoring_data import StoreScoringData
from mindgap.space.architecture import Architecture
from mindgap.space.cost import count_cost
from mindgap.space.network import Network
from mindgap.tone.blend import BlendSettings
from mindgap.train.device import choose_device
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.modes import Mode
from mindgap.train.schedule import SCHEDULES
from mindgap.train.settings import TrainSettings
from mindgap.train.store_predictions import to_predictions
from mindgap.train.trained_model import TrainedModel

Rows = NDArray[np.int64]
SLOWER = 0.1
"""Of the run's peak learning rate, with which its network is trained on."""


@dataclass(frozen=True, eq=False)
class PruneJob:
    """A trained network to prune.

    Attributes:
        model: of a finished run.
        store: that it was trained on.
        options: of the pruning.
    """

    model: TrainedModel
    store: Store
    options: PruneOptions

    @cached_property
    def attributes(self) -> tuple[str, ...]:
        """Whose gaps have to narrow.

        Raises:
            UnknownNameError: the store has no such attribute.
            ConfigError: one is named twice.
        """
        known = tuple(self.store.attributes)
        named = self.options.attributes or ()
        if len(set(named)) < len(named):
            raise ConfigError(f"attributes {', '.join(named)}: one is named twice; name each once")
        for name in named:
            if name not in known:
                raise UnknownNameError(f"{self.store.path}: no attribute {name!r}; {near_names(name, known)}")
        return self.options.attributes or known

    @cached_property
    def importance(self) -> AbstractImportance:
        """What ranks the channels."""
        return make_importance(self.options.method, self.options.method_options)

    @property
    def scored_attributes(self) -> tuple[str | None, ...]:
        """The attributes by which channels are scored, or None alone."""
        return self.attributes if self.importance.by_attribute else (None,)

    @property
    def learns_weights(self) -> bool:
        """Whether the attributes' weights are learned."""
        named = self.options.attribute_weights in (None, "learned") and self.options.method == "snnl"
        return named and len(self.attributes) > 1

    @cached_property
    def settings(self) -> TrainSettings:
        """Of fine-tuning: as the run was trained, but slower, unless it was fine-tuned itself, and by the options."""
        own, options = self.model.settings, self.options
        schedule = "paper" if own.schedule == "paper" else "onecycle"
        changes: dict[str, Any] = {
            "schedule": schedule,
            "decay_epochs": None,
            "epochs": options.epochs,
            "lr": options.lr or (1.0 if self.model.is_pruned else SLOWER) * (own.lr or SCHEDULES[own.schedule].lr),
            "batch_size": options.batch_size or own.batch_size,
            "precision": options.precision,
            "device": options.device,
        }
        if options.mitigation is not None and options.mitigation != own.mitigation:
            changes |= {"mitigation": options.mitigation, "mitigation_options": {}}
        return own.model_copy(update=changes)

    @property
    def counterpart_blend(self) -> BlendSettings | None:
        """What the run's counterpart with, or without, blended tones is trained with."""
        return BlendSettings() if self.model.settings.blend is None else None

    @cached_property
    def device(self) -> torch.device:
        """Where the network is scored and trained."""
        return choose_device(self.options.device)

    @cached_property
    def _scored_rows(self) -> tuple[Rows, Rows]:
        """Training rows to score by, and those held out of them on which weights are learned."""
        rows = self.store.rows("train")
        if not self.learns_weights:
            return rows, rows[:0]
        groups = [self.store.groups(name) for name in self.attributes]
        return split_meta_rows(rows, self.store.labels, groups, clusters=self.store.clusters, seed=self.options.seed)

    @cached_property
    def scoring(self) -> StoreScoringData:
        """The images by which channels are scored."""
        rows = self._scored_rows[0]
        return StoreScoringData(
            **self._data(rows, "scoring"), batches=self.options.scoring_batches, clusters=self.store.clusters[rows]
        )

    @cached_property
    def meta(self) -> MetaBatches:
        """The held-out images by which the attributes' weights are learned."""
        return MetaBatches(**self._data(self._scored_rows[1], "meta"), batches=self.options.scoring_batches)

    def _data(self, rows: Rows, purpose: str) -> dict[str, Any]:
        architecture, labels = self.model.architecture, torch.from_numpy(self.store.labels[rows])
        return {
            "images": self.store.image_tensor(),
            "rows": torch.from_numpy(rows),
            "labels": labels if labels.ndim == 1 else labels.float(),
            "groups": {name: self.store.groups(name).take(rows) for name in self.attributes},
            "mean": architecture.mean,
            "std": architecture.std,
            "device": self.device,
            "seed": derive_seed(self.options.seed, purpose),
        }

    def probabilities(
        self, network: Network, architecture: Architecture, rows: Rows, *, modes: Sequence[Mode] | None
    ) -> NDArray[np.float64]:
        """Probabilities (n, C) of some rows."""
        return predict_probabilities(
            network,
            self.store.image_tensor(),
            rows,
            architecture=architecture,
            task=self.store.task,
            modes=modes,
        )

    def accuracy(self, rows: Rows, probabilities: NDArray[np.float64]) -> float:
        """Share of rows (or of labels) that are right."""
        return accuracy(self.store, rows, probabilities)

    def predictions(self, rows: Rows, probabilities: NDArray[np.float64]) -> AnyPredictions:
        """With all that the store knows of the rows."""
        return to_predictions(self.store, rows, probabilities)

    def audit(self, predictions: AnyPredictions) -> dict[str, Any]:
        """The AUDIT."""
        options = self.options
        return audit_predictions(
            predictions, bootstrap=options.bootstrap, permutations=options.permutations, seed=options.seed
        )

    def cost(self, architecture: Architecture) -> dict[str, float | None]:
        """Parameters and multiply-adds; the milliseconds of one image are measured at the end, in turns."""
        cost = count_cost(architecture)
        return {"params": cost.params, "macs": cost.macs, "latency_ms": None}

    def groups(self) -> tuple[Groups, tuple[Groups, ...]]:
        """Of the attribute that drove the run, and of those its mitigation treats beside it."""
        more = self.model.options.get("more_attributes") or ()
        return self.store.groups(self.model.attribute), tuple(self.store.groups(str(name)) for name in more)

    def channel_counts(self, network: Network, layers: Mapping[str, nn.Module]) -> dict[str, int]:
        """Output channels of some layers of a network."""
        blank = torch.zeros(1, 3, self.store.size_px, self.store.size_px, device=next(network.parameters()).device)
        with torch.no_grad():
            return {name: maps.shape[1] for name, maps in layer_outputs(network, layers, blank).maps.items()}

    def fixed_weights(self) -> dict[str, float] | None:
        """The attributes' weights that were given, of mean 1, or ones; None where attributes have no say."""
        if not self.importance.by_attribute:
            return None
        given = self.options.attribute_weights
        if not isinstance(given, dict):
            return dict.fromkeys(self.attributes, 1.0)
        mean = sum(given.values()) / len(given)
        return {name: given[name] / mean for name in self.attributes}
