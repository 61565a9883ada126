"""Predicting with the network of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mindgap.core.errors import DataError, TrainingFailure
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.train.device import choose_device
from mindgap.train.evaluate import predict_probabilities
from mindgap.train.inference import inference_modes
from mindgap.train.modes import Mode, is_narrow
from mindgap.train.precision import Precision
from mindgap.train.trained_model import TrainedModel


@dataclass(frozen=True, eq=False)
class NetworkPredictor:
    """A trained network on a device.

    Attributes:
        model: whose network it is.
        modes: how each of its parts is computed.
    """

    model: TrainedModel
    modes: tuple[Mode, ...]

    @classmethod
    def of(cls, model: TrainedModel, *, precision: Precision | Literal["run"], device: str) -> NetworkPredictor:
        """Puts the network on the device of that name.

        Args:
            model: of a finished run.
            precision: ``run`` computes as the run did, so that its figures are met again; see ``inference_modes`` for
                the others.
            device: ``cpu``, ``cuda`` or ``auto``.

        Raises:
            CapacityError: a GPU is asked for and there is none.
            DataError: what the run says on how it computed is damaged.
        """
        chosen = choose_device(device)
        model.network.to(chosen)
        if precision == "run":
            return cls(model, model.modes)
        return cls(model, inference_modes(model.architecture, precision=precision, device=chosen))

    @property
    def facts(self) -> ClassifierFacts:
        """Which images the network takes, and what its outputs mean."""
        return self.model.facts

    @property
    def precision(self) -> str:
        """The types that the network's parts are computed in: ``float32``, ``bfloat16``, or both."""
        narrow = [is_narrow(mode) for mode in self.modes]
        return " and ".join([*["float32"] * (not all(narrow)), *["bfloat16"] * any(narrow)])

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
                self.model.network,
                torch.from_numpy(images),
                rows,
                architecture=self.model.architecture,
                task=self.facts.task,
                modes=self.modes,
                on_batch=on_batch,
            )
        except TrainingFailure:
            raise DataError(f"{self.model.path}: its network predicts NaN; train it again") from None
