"""What an exporter is: it writes a network as a file of one format, and can run that file to check it."""

# ruff: noqa: ARG002, B027  (a method that does nothing still names what it is given)

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import ConfigError, DataError
from mindgap.core.files import atomic_path
from mindgap.core.registry import Registry
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.export.agreement import Agreement, agreement
from mindgap.export.image_classifier import ImageClassifier

TOLERANCE = 1e-3
"""Largest difference of a probability between the network and a float32 file of it; in practice it is about 1e-6."""

Images = NDArray[np.uint8]


class AbstractExporter(ABC):
    """One file format; a new one is one file with ``@EXPORTERS.register("name")``.

    Attributes:
        suffix: what a file's name ends in, such as ``.onnx``.
    """

    suffix: ClassVar[str]

    def check(self) -> None:
        """Refuses if something that the format needs is not installed.

        Raises:
            CapacityError: a package is missing.
        """

    @abstractmethod
    def export(self, classifier: ImageClassifier, example: Tensor, path: Path, *, facts: ClassifierFacts) -> None:
        """Writes the classifier to a path, with the facts in it if the format can hold them.

        Args:
            classifier: (B, S, S, 3) uint8 images to (B, C) probabilities, in evaluation mode on the CPU.
            example: such images, (2, S, S, 3); the file must take any number of them.
            path: of the file; nothing is there.
            facts: of the classifier.
        """

    @abstractmethod
    def run(self, path: Path, images: Images, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probabilities of some images by a file, as other programs would run it.

        Args:
            path: of the file.
            images: uint8 (N, S, S, 3), RGB; may be a memory map.
            rows: int64 (n,), which of them.

        Returns:
            float64 (n, C).
        """

    def quantize(self, source: Path, path: Path, images: Sequence[Images], *, facts: ClassifierFacts) -> None:
        """Writes a file in 8-bit integers, by static quantisation of one that ``export`` wrote.

        Args:
            source: the float32 file.
            path: of the new file; nothing is there.
            images: batches of calibration images, uint8 (b, S, S, 3).
            facts: of the classifier.

        Raises:
            ConfigError: the format has none.
        """
        raise ConfigError(f"--int8: files of the format {self.suffix} are written in float32 only; leave --int8 out")


EXPORTERS: Registry[type[AbstractExporter]] = Registry("exporters", package="mindgap.export.exporters")


def export_checked(
    exporter: AbstractExporter, classifier: ImageClassifier, path: Path, *, facts: ClassifierFacts, images: Images
) -> tuple[Agreement, NDArray[np.float64]]:
    """Exports a classifier, runs the file on images, and keeps it only if it agrees with the classifier.

    Args:
        exporter: of the format.
        classifier: what to export.
        path: of the file; it is replaced as a whole or not at all.
        facts: of the classifier.
        images: uint8 (n, S, S, 3), n > 0.

    Returns:
        How far they agree, and the file's probabilities, float64 (n, C).

    Raises:
        DataError: a probability differs by more than ``TOLERANCE``; nothing is written.
    """
    with atomic_path(path) as temporary:
        exporter.export(classifier, torch.from_numpy(images[:1]).repeat(2, 1, 1, 1), temporary, facts=facts)
        theirs = exporter.run(temporary, images, np.arange(len(images)))
        found = agreement(network_probabilities(classifier, images), theirs, task=facts.task)
        if found.max_difference > TOLERANCE:
            raise DataError(
                f"{path}: the exported file and the network differ by {found.max_difference:.2g} in a probability and "
                f"predict {found.flipped:.1%} of {found.n} images otherwise; over {TOLERANCE:g} no file is left: "
                "export with another version of the packages"
            )
    return found, theirs


def network_probabilities(classifier: ImageClassifier, images: Images, *, batch_size: int = 64) -> NDArray[np.float64]:
    """Float64 (n, C) by the network itself, in float32."""
    with torch.inference_mode():
        parts = [classifier(chunk) for chunk in torch.from_numpy(images).split(batch_size)]
    return torch.cat(parts).double().numpy()
