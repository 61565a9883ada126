"""ONNX, written by torch's exporter and run by onnxruntime."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.optional_packages import require_packages
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.export.exporter import EXPORTERS, AbstractExporter, Images
from mindgap.export.image_classifier import ImageClassifier
from mindgap.export.metadata import to_metadata
from mindgap.export.onnx_model import INPUT, OUTPUT, OnnxModel

OPSET = 18
QUANTIZED = ("Conv", "Relu", "Clip", "Add", "MaxPool")
"""Operations in 8 bits: nearly all of the work. The classifier and the softmax stay in float32, and cost nothing."""

_REMARKS = ("metadata_props", "doc_string")


@EXPORTERS.register("onnx")
class OnnxExporter(AbstractExporter):
    """ONNX: uint8 ``images`` (n, S, S, 3) to ``probabilities`` (n, C), with classes, size and resize rule as metadata.

    Any runtime of opset 18 runs it. Operations in 8 bits, where asked for, are convolutions and what is between them.
    """

    suffix = ".onnx"

    def check(self) -> None:
        """Refuses without onnx, onnxruntime and onnxscript."""
        require_packages(["onnx", "onnxruntime", "onnxscript"], extra="export", purpose="export to ONNX")

    def export(self, classifier: ImageClassifier, example: Tensor, path: Path, *, facts: ClassifierFacts) -> None:
        """Writes the file with a free batch axis."""
        with _quiet():
            torch.onnx.export(
                classifier,
                (example,),
                str(path),
                dynamo=True,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={"images": {0: torch.export.Dim("n")}},
                external_data=False,
                verbose=False,
            )
        _write_metadata(path, to_metadata(facts, weights="float32"))

    def run(self, path: Path, images: Images, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probabilities by onnxruntime."""
        return OnnxModel(path).probabilities(images, rows)

    def quantize(self, source: Path, path: Path, images: Sequence[Images], *, facts: ClassifierFacts) -> None:
        """8-bit weights, one scale per channel, and activations between the extremes of the calibration images.

        Weights have 7 bits, so that no sum saturates on a processor without 8-bit dot products: what is measured on one
        processor holds for another.
        """
        prepared = path.with_name(path.name + ".prepared")
        try:
            with _quiet():
                from onnxruntime import quantization
                from onnxruntime.quantization.shape_inference import quant_pre_process

                quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
                quantization.quantize_static(
                    str(prepared),
                    str(path),
                    _reader(quantization.CalibrationDataReader, images),
                    quant_format=quantization.QuantFormat.QDQ,
                    op_types_to_quantize=list(QUANTIZED),
                    per_channel=True,
                    reduce_range=True,
                    activation_type=quantization.QuantType.QUInt8,
                    weight_type=quantization.QuantType.QInt8,
                )
        finally:
            prepared.unlink(missing_ok=True)
        _write_metadata(path, to_metadata(facts, weights="int8"))


def _reader(kind: type[Any], batches: Sequence[Images]) -> Any:
    class Reader(kind):
        """Gives one batch after the other, then None."""

        def __init__(self) -> None:
            self._left = iter(batches)

        def get_next(self) -> dict[str, Images] | None:
            batch = next(self._left, None)
            return None if batch is None else {INPUT: batch}

    return Reader()


def _write_metadata(path: Path, metadata: dict[str, str]) -> None:
    import onnx

    model = onnx.load(str(path))
    _strip(model)
    model.producer_name = "mindgap"
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, str(path))


def _strip(message: Any) -> None:
    """Clears the remarks of a part of a model and of all parts in it: stack traces with paths and lines of source."""
    for field, value in message.ListFields():
        if field.name in _REMARKS:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in value if isinstance(value, Iterable) else (value,):
                _strip(part)


@contextmanager
def _quiet() -> Generator[None]:
    """Keeps the exporter's and the quantiser's remarks on themselves from the user: the file is checked instead."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
