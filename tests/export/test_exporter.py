"""Every registered exporter keeps the contract, and what does not agree is not kept."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mindgap.core.errors import ConfigError, DataError
from mindgap.export.exporter import EXPORTERS, AbstractExporter, export_checked, network_probabilities
from mindgap.testing import ExporterConformance


@pytest.mark.parametrize("name", EXPORTERS.names())
class TestRegisteredExporters(ExporterConformance):
    pass


class Recorder(AbstractExporter):
    """Writes nothing of use, and answers with the network's probabilities, some of them moved."""

    suffix = ".bin"

    def __init__(self, moved: float) -> None:
        self.moved = moved

    def export(self, classifier, example, path, *, facts):
        self.classifier = classifier
        assert example.shape == (2, 16, 16, 3)
        assert example.dtype == torch.uint8
        path.write_bytes(b"network")

    def run(self, path, images, rows):
        assert path.read_bytes() == b"network"
        probabilities = network_probabilities(self.classifier, images[rows])
        probabilities[0] += [self.moved, -self.moved, 0]
        return probabilities


class TestAgreementCheck(ExporterConformance):
    """Uses the kit's classifier and images; its tests are those of an exporter that has no 8-bit files."""

    @pytest.fixture
    def name(self):
        return "onnx"

    @pytest.fixture
    def exporter(self):
        return Recorder(0.0)

    def test_a_file_that_agrees_is_kept(self, classifier, facts, images, tmp_path):
        found, theirs = export_checked(Recorder(5e-4), classifier, tmp_path / "a.bin", facts=facts, images=images)
        assert theirs.shape == (found.n, 3)
        assert found.n == len(images)
        assert found.max_difference == pytest.approx(5e-4)
        assert (tmp_path / "a.bin").read_bytes() == b"network"

    def test_a_file_that_differs_is_refused_and_nothing_is_left(self, classifier, facts, images, tmp_path):
        (tmp_path / "a.bin").write_text("earlier")
        with pytest.raises(DataError, match=r"a\.bin: the exported file and the network differ by 0\.002") as caught:
            export_checked(Recorder(2e-3), classifier, tmp_path / "a.bin", facts=facts, images=images)
        assert "\n" not in str(caught.value)
        assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
        assert (tmp_path / "a.bin").read_text() == "earlier"

    def test_an_exporter_without_8_bit_files_says_so(self, exporter, facts, tmp_path):
        with pytest.raises(ConfigError, match=r"--int8: files of the format \.bin are written in float32 only"):
            exporter.quantize(tmp_path / "a", tmp_path / "b", [], facts=facts)


def test_the_classifier_normalises_and_gives_probabilities(multi_facts, network):
    """From pixels to sigmoids: the same as doing it by hand."""
    from mindgap.export.image_classifier import ImageClassifier

    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    mean, std = torch.tensor(multi_facts.mean), torch.tensor(multi_facts.std)
    scaled = ((torch.from_numpy(images) / 255 - mean) / std).permute(0, 3, 1, 2)
    with torch.no_grad():
        by_hand = network.eval()(scaled).sigmoid().double().numpy()
    np.testing.assert_allclose(network_probabilities(ImageClassifier(network, multi_facts), images), by_hand, atol=1e-6)
