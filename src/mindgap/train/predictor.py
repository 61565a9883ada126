"""Predicting with the network of a run."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mindgap.core.errors import DataError, TrainingFailure
from mindgap.core.groups import Groups
from mindgap.core.notes import note
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.data.image_store import Store
from mindgap.space.network import Network
from mindgap.train.device import choose_device
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.inference import inference_modes
from mindgap.train.modes import Mode, types_of
from mindgap.train.precision import Precision
from mindgap.train.trained_model import TrainedModel

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class NetworkPredictor:
    """A trained network on a device.

    Attributes:
        model: whose network it is.
        network: on its device; the model's, or its form without groups.
        modes: how each of its parts is computed.
        groups: of the images, by which the network's mitigation predicts; None if by none.
    """

    model: TrainedModel
    network: Network
    modes: tuple[Mode, ...]
    groups: Groups | None = None

    @classmethod
    def of(
        cls,
        model: TrainedModel,
        *,
        precision: Precision | Literal["run"],
        device: str,
        store: Store | None = None,
    ) -> NetworkPredictor:
        """Puts the network on the device of that name.

        Args:
            model: of a finished run.
            precision: ``run`` computes as the run did, so that its figures are met again; see ``inference_modes`` for
                the others.
            device: ``cpu``, ``cuda`` or ``auto``.
            store: whose images are predicted, by their groups if the network takes some; None for images without.

        Raises:
            CapacityError: a GPU is asked for and there is none.
            DataError: what the run says on how it computed is damaged.
        """
        chosen = choose_device(device)
        groups = _groups_in(store, model)
        network = (model.without_groups() if groups is None else model.network).to(chosen)
        if precision == "run":
            return cls(model, network, model.modes, groups)
        modes = inference_modes(model.architecture, precision=precision, device=chosen)
        return cls(model, network, modes, groups)

    @property
    def facts(self) -> ClassifierFacts:
        """Which images the network takes, and what its outputs mean."""
        return self.model.facts

    @property
    def predicts_by(self) -> str | None:
        """The attribute whose groups it uses; None if it uses none."""
        return None if self.groups is None else self.groups.attribute

    @property
    def precision(self) -> str:
        """The types that the network's parts are computed in: ``float32``, ``bfloat16``, or both."""
        return types_of(self.modes)

    def probabilities(
        self, images: NDArray[np.uint8], rows: NDArray[np.int64], *, on_batch: Callable[[int], None] = lambda _: None
    ) -> NDArray[np.float64]:
        """Probabilities of some images.

        Args:
            images: uint8 (N, S, S, 3), RGB; may be a memory map.
            rows: int64 (n,), which of them.
            on_batch: told the number of images of every batch that is done.

        Returns:
            float64 (n, C), in the order of ``facts.classes``.

        Raises:
            DataError: a probability is NaN.
        """
        try:
            return predict_probabilities(
                self.network,
                torch.from_numpy(images),
                rows,
                architecture=self.model.architecture,
                task=self.facts.task,
                modes=self.modes,
                mitigation=None if self.groups is None or self.model.kept is None else self.model.kept.mitigation,
                groups=self.groups,
                on_batch=on_batch,
            )
        except TrainingFailure:
            raise DataError(f"{self.model.path}: its network predicts NaN; train it again") from None


def _groups_in(store: Store | None, model: TrainedModel) -> Groups | None:
    """The groups to predict a store's images by, None without any; says which images are predicted without."""
    if model.kept is None:
        return None
    wanted = model.kept.attribute
    if store is None:
        note(log, f"{model.path}: predicts by its form without groups of {wanted.name} ({model.kept.name})")
        return None
    groups = model.kept.groups_in(store)
    if groups is None or not groups.known.any():
        what = f"has no attribute {wanted.name!r}" if groups is None else f"has no image of {', '.join(wanted.groups)}"
        note(log, f"{store.path}: {what}; {model.path} predicts by its form without groups ({model.kept.name})")
        return None
    foreign = [name for name in store.groups(wanted.name).names if name not in wanted.groups]
    if foreign:
        note(
            log, f"{store.path}: not known to {model.path}, predicted as of unknown {wanted.name}: {', '.join(foreign)}"
        )
    return groups
