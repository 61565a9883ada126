"""One training job: what a network is trained on and how it is judged, for one run or one fold."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.groups import Groups
from mindgap.core.notes import note
from mindgap.core.progress import Progress
from mindgap.core.seed import derive_seed
from mindgap.data.batches import order_warning
from mindgap.data.image_store import Store
from mindgap.data.split import cluster_folds
from mindgap.metrics.unfairness import unfairness
from mindgap.space.architecture import Architecture, save_network
from mindgap.space.cost import count_cost, measure_latency_ms
from mindgap.space.foreign_weights import ForeignWeights
from mindgap.space.network import Network
from mindgap.train.batch_ratios import batch_plan, batch_ratios
from mindgap.train.blending import blend_doubts, check_blend
from mindgap.train.device import choose_device
from mindgap.train.epoch_log import EpochLog
from mindgap.train.evaluate import accuracy, predict_probabilities
from mindgap.train.freezing import check_freeze
from mindgap.train.kept_mitigation import keep_mitigation
from mindgap.train.loop import EpochRecord, TrainingRun, TrainResult, TrainSettings, train_network
from mindgap.train.loss import make_loss
from mindgap.train.mitigation import (
    AbstractMitigation,
    AttributeFacts,
    TrainingFacts,
    make_mitigation,
    refuse_several_attributes,
)
from mindgap.train.own_figure import figure_records
from mindgap.train.store_predictions import to_predictions

log = logging.getLogger(__name__)

Rows = NDArray[np.int64]
Records = list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class TrainJob:
    """A network to train on a store.

    Attributes:
        store: the data.
        architecture: the network.
        settings: how it is trained.
        attribute: whose groups mitigation and batches use.
        more_attributes: further ones that the mitigation treats at once.
        bootstrap: replicates of the audit's intervals.
        permutations: of the audit's noise floors.
        weights: what the network, and that of every fold, starts from; None draws it.
    """

    store: Store
    architecture: Architecture
    settings: TrainSettings
    attribute: str
    bootstrap: int
    permutations: int
    more_attributes: tuple[str, ...] = ()
    weights: ForeignWeights | None = None

    @property
    def groups(self) -> Groups:
        """Groups of the attribute over all rows."""
        return self.store.groups(self.attribute)

    @property
    def more_groups(self) -> tuple[Groups, ...]:
        """Groups of the further attributes over all rows."""
        return tuple(self.store.groups(name) for name in self.more_attributes)

    def start(self) -> tuple[Network, tuple[str, ...]]:
        """The network before training, and which of its tensors are drawn although weights were given.

        Raises:
            DataError: the weights are those of another network.
        """
        network = self.architecture.build(seed=derive_seed(self.settings.seed, "weights"))
        return network, () if self.weights is None else self.weights.load_into(network)

    def fold_numbers(self, folds: int) -> Rows:
        """int64 (N,): the fold of every row, 0..folds-1, without a cluster in two.

        Raises:
            ConfigError: there are fewer clusters than folds.
        """
        store = self.store
        everything = [store.groups(name) for name in store.attributes]
        return cluster_folds(store.labels, everything, clusters=store.clusters, k=folds, seed=self.settings.seed)

    def check(self, folds: Rows | None = None) -> None:
        """Refuses unknown names and impossible options before anything is written.

        Args:
            folds: the fold of every row, if the job is done by folds.

        Raises:
            MindgapError: the attribute, loss, mitigation, device, weights, frozen parts, batch size or a ratio does not
                fit.
        """
        settings, store, groups = self.settings, self.store, self.groups.take(self.store.rows("train"))
        choose_device(settings.device)
        check_blend(settings.blend, store)
        for line in blend_doubts(settings.blend, store, store.rows("train")):
            note(log, line)
        check_freeze(settings.freeze, self.architecture)
        for line in self.doubts_of_start():
            note(log, line)
        loss = make_loss(settings.loss, task=store.task, label_smoothing=settings.label_smoothing)
        refuse_several_attributes(settings.mitigation, (self.attribute, *self.more_attributes))
        more = tuple(AttributeFacts(of.attribute, of.names, of.counts()) for of in self.more_groups)
        facts = TrainingFacts(
            groups.names, groups.counts(), num_classes=len(store.classes), loss=loss, more_attributes=more
        )
        mitigation = make_mitigation(settings.mitigation, facts, settings.mitigation_options)
        held_out = [] if folds is None else [np.flatnonzero(folds == fold) for fold in range(int(folds.max()) + 1)]
        for own in [groups, *(self.groups.take(np.setdiff1d(np.arange(store.n), rows)) for rows in held_out)]:
            batch_plan(own, mitigation, settings)

    def doubts_of_start(self) -> list[str]:
        """What a user should know of the network before training, one line each.

        Raises:
            DataError: the weights are those of another network.
        """
        network, drawn = self.start()
        frozen = self.settings.freeze
        doubts = []
        if drawn and self.weights is not None:
            tensors, classes = network.state_dict(), len(self.store.classes)
            shapes = ", ".join(f"{name} {tuple(tensors[name].shape)}" for name in drawn)
            doubts.append(f"{self.weights.path}: has no classifier for these {classes} classes; drawn: {shapes}")
        if frozen and self.weights is None:
            doubts.append(f"freeze={frozen}: these parts stay as they are drawn; --weights starts them from a file")
        return doubts

    def warnings(self) -> list[str]:
        """What a user should know before training starts, one line each."""
        groups = self.groups.take(self.store.rows("train"))
        ratios = batch_ratios(self.settings.ratios, groups)
        warning = None if ratios is None else order_warning(ratios, groups.names, groups.counts())
        n, size = len(self.store.rows("train")), self.settings.batch_size
        crowded = f"an epoch is one batch of {size}, which holds the {n} training images more than once"
        return [*filter(None, [warning, crowded if size > 2 * n else None])]

    def fit(
        self,
        folder: Path,
        log: EpochLog,
        bar: Progress,
        *,
        train_rows: Rows,
        watched_rows: Rows,
        fold: int | None = None,
    ) -> TrainResult:
        """Trains on some rows, or goes on with it, and logs each epoch with its accuracy on the watched rows."""
        network, _ = self.start()

        def on_epoch(record: EpochRecord, run: TrainingRun) -> Mapping[str, float | None]:
            extra = self._watch(run, watched_rows)
            log.add(replace(record, extra={**record.extra, **extra}), fold=fold)
            bar.advance()
            return extra

        return train_network(
            network,
            self.store,
            train_rows=train_rows,
            groups=self.groups,
            settings=self.settings,
            architecture=self.architecture,
            checkpoint_dir=folder / "checkpoint",
            on_epoch=on_epoch,
            may_look=fold is None,
            more_groups=self.more_groups,
        )

    def _watch(self, run: TrainingRun, rows: Rows) -> dict[str, float | None]:
        if not len(rows):
            return {}
        store, chances = self.store, self.probabilities(run, rows)
        figures: dict[str, float | None] = {"validation_accuracy": accuracy(store, rows, chances)}
        if store.task == "single-label":
            gap, _ = unfairness(store.labels[rows].astype(np.int64), chances.argmax(axis=1), self.groups.take(rows))
            figures["validation_unfairness"] = gap
        return figures

    def probabilities(self, result: TrainResult | TrainingRun, rows: Rows) -> NDArray[np.float64]:
        """Probabilities of some rows by a network, as its mitigation predicts them and in the modes of its training."""
        return predict_probabilities(
            result.network,
            self.store.image_tensor(),
            rows,
            architecture=self.architecture,
            task=self.store.task,
            modes=result.modes,
            mitigation=result.mitigation,
            groups=self.groups,
        )

    def probabilities_without_groups(self, result: TrainResult, rows: Rows) -> NDArray[np.float64] | None:
        """Probabilities of some rows by the form that takes no image's group; None if the network is used alone."""
        if result.mitigation.predicts_by_network_alone():
            return None
        return predict_probabilities(
            result.mitigation.without_groups(result.network),
            self.store.image_tensor(),
            rows,
            architecture=self.architecture,
            task=self.store.task,
            modes=result.modes,
        )

    def save(self, folder: Path, result: TrainResult) -> None:
        """Writes the network, and what of the mitigation it cannot be used without."""
        keep_mitigation(
            folder,
            result.mitigation,
            result.network,
            architecture=self.architecture,
            name=self.settings.mitigation,
            attributes=(self.attribute, *self.more_attributes),
        )
        save_network(folder, self.architecture, result.network)

    def audit(self, rows: Rows, probabilities: NDArray[np.float64]) -> dict[str, Any] | None:
        """The AUDIT of some rows; None if there are none."""
        if not len(rows):
            return None
        return audit_predictions(
            to_predictions(self.store, rows, probabilities),
            bootstrap=self.bootstrap,
            permutations=self.permutations,
            seed=self.settings.seed,
        )

    def cost(self) -> dict[str, float]:
        """Parameters, multiply-adds and the milliseconds of one image."""
        cost, network = count_cost(self.architecture), self.architecture.build()
        latency = measure_latency_ms(network, self.architecture.input_px)
        return {"params": cost.params, "macs": cost.macs, "latency_ms": latency}

    def training(
        self, *, image_passes: int, seconds: float, figures: Records, mitigation: AbstractMitigation | None = None
    ) -> dict[str, Any]:
        """What training took, with what, and what the mitigation measured itself, which may have chosen the batches."""
        settings, groups = self.settings, self.groups.take(self.store.rows("train"))
        wished = None if mitigation is None else mitigation.batches(groups).ratios
        ratios = batch_ratios(settings.ratios, groups) if wished is None else wished
        return {
            "image_passes": image_passes,
            "seconds": seconds,
            "epochs": settings.epochs,
            "ratios": None if ratios is None else dict(zip(groups.names, ratios.tolist(), strict=True)),
            "mitigation": settings.mitigation,
            "attribute": self.attribute,
            "more_attributes": list(self.more_attributes),
            "warnings": self.warnings(),
            "mitigation_figures": figures,
        }


def mitigation_figures(result: TrainResult) -> Records:
    """What the mitigation of a training measured itself, as the run's record has it."""
    return figure_records(result.mitigation.own_figures())


def remove_checkpoint(folder: Path) -> None:
    """Removes what only an unfinished run needs."""
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
