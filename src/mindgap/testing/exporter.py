"""Conformance kit for exporters."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError
from mindgap.data.augment import normalize
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.export.agreement import agreement
from mindgap.export.exporter import EXPORTERS, AbstractExporter, export_checked, network_probabilities
from mindgap.export.image_classifier import ImageClassifier
from mindgap.testing.tiny_training import CLASSES, SIZE_PX, tiny_network

HALF = (0.5, 0.5, 0.5)


class ExporterConformance:
    """The contract of an exporter; inherit it and give a fixture ``name``."""

    IMAGES = 40

    @pytest.fixture
    def facts(self) -> ClassifierFacts:
        return ClassifierFacts(
            architecture="tiny",
            classes=("naevus", "mélanome ≥ 1 mm", '<script>"\\'),
            task="single-label",
            input_px=SIZE_PX,
            resize="squash",
            mean=HALF,
            std=HALF,
        )

    @pytest.fixture
    def classifier(self, facts: ClassifierFacts, images: NDArray[np.uint8]) -> ImageClassifier:
        network = tiny_network().eval()
        with torch.no_grad():  # so that images differ in their class
            network.classifier.weight.mul_(100)
            network.classifier.bias.sub_(network(normalize(torch.from_numpy(images), mean=HALF, std=HALF)).mean(dim=0))
        return ImageClassifier(network, facts)

    @pytest.fixture
    def images(self) -> NDArray[np.uint8]:
        """Images of different brightness, so that they differ more than noise does."""
        generator = np.random.default_rng(0)
        images = generator.integers(0, 256, (self.IMAGES, SIZE_PX, SIZE_PX, 3))
        return (images * generator.random((self.IMAGES, 1, 1, 3))).astype(np.uint8)

    @pytest.fixture
    def exporter(self, name: str) -> AbstractExporter:
        exporter = EXPORTERS.get(name)()
        exporter.check()
        return exporter

    @pytest.fixture
    def file(
        self,
        tmp_path: Path,
        exporter: AbstractExporter,
        classifier: ImageClassifier,
        facts: ClassifierFacts,
        images: NDArray[np.uint8],
    ) -> Path:
        """An exported file, alone in its folder."""
        path = tmp_path / "exported" / f"network{exporter.suffix}"
        export_checked(exporter, classifier, path, facts=facts, images=images)
        return path

    def test_says_in_one_line_what_it_is(self, name: str) -> None:
        assert EXPORTERS.describe()[name].endswith(".")
        assert EXPORTERS.get(name).suffix.startswith(".")

    def test_one_file_gives_the_networks_probabilities_of_any_number_of_images(
        self, exporter: AbstractExporter, classifier: ImageClassifier, file: Path, images: NDArray[np.uint8]
    ) -> None:
        assert [path.name for path in file.parent.iterdir()] == [file.name]
        ours, theirs = network_probabilities(classifier, images), exporter.run(file, images, np.arange(len(images)))
        assert theirs.shape == (len(images), CLASSES)
        assert theirs.dtype == np.float64
        assert len(set(ours.argmax(axis=1))) > 1
        np.testing.assert_allclose(theirs, ours, atol=1e-5)
        for rows in (np.array([3]), np.array([5, 0, 7])):
            np.testing.assert_allclose(exporter.run(file, images, rows), theirs[rows], atol=1e-6)

    def test_8_bit_integers_change_little_or_are_refused(
        self,
        exporter: AbstractExporter,
        file: Path,
        facts: ClassifierFacts,
        images: NDArray[np.uint8],
        tmp_path: Path,
    ) -> None:
        narrow, rows = tmp_path / "8_bits" / file.name, np.arange(len(images))
        narrow.parent.mkdir()
        quantize = functools.partial(exporter.quantize, file, narrow, [images[:20], images[20:]], facts=facts)
        if type(exporter).quantize is AbstractExporter.quantize:
            with pytest.raises(ConfigError, match="--int8"):
                quantize()
            return
        quantize()
        assert [path.name for path in narrow.parent.iterdir()] == [narrow.name]
        found = agreement(exporter.run(file, images, rows), exporter.run(narrow, images, rows), task="single-label")
        assert 0 < found.max_difference < 0.1
        assert found.flipped <= 0.1
