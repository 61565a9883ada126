"""An ONNX file that `mindgap export` wrote, run by onnxruntime; works without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import DataError
from mindgap.core.optional_packages import require_packages
from mindgap.core.processors import thread_count
from mindgap.export.metadata import from_metadata, weights_type

INPUT, OUTPUT = "images", "probabilities"
_BATCH = 64
_ERRORS_ONLY = 3


class OnnxModel:
    """A classifier read from a file.

    Attributes:
        path: the file.
        facts: what its metadata say of it.
        predicts_by: the attribute whose groups it uses, which is none: a file takes images alone.
        precision: the type of most of its weights, ``float32`` or ``int8``; ``unknown`` where it does not say.
    """

    predicts_by: str | None = None

    def __init__(self, path: Path | str) -> None:
        """Opens the file.

        Raises:
            CapacityError: onnxruntime is not installed.
            DataError: the file is missing, damaged, or is not one that ``mindgap export`` wrote.
        """
        require_packages(["onnxruntime"], extra="export", purpose=f"{path}: predicting from an ONNX file")
        self.path = Path(path)
        self._session = open_session(self.path)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.facts = from_metadata(metadata, source=str(path))
        self.precision = weights_type(metadata)
        self._check_shape()

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
        parts = [np.empty((0, len(self.facts.classes)))]
        for start in range(0, len(rows), _BATCH):
            batch = images[rows[start : start + _BATCH]]
            parts.append(np.asarray(self._session.run([OUTPUT], {INPUT: batch})[0], dtype=np.float64))
            on_batch(len(batch))
        probabilities = np.concatenate(parts)
        if not np.isfinite(probabilities).all():
            raise DataError(f"{self.path}: predicts NaN; train its network again and export that")
        return probabilities

    def _check_shape(self) -> None:
        taken = [(value.name, value.type, list(value.shape[1:])) for value in self._session.get_inputs()]
        given = [(value.name, list(value.shape[1:])) for value in self._session.get_outputs()]
        px, classes = self.facts.input_px, len(self.facts.classes)
        if taken != [(INPUT, "tensor(uint8)", [px, px, 3])] or given != [(OUTPUT, [classes])]:
            raise DataError(
                f"{self.path}: takes {taken} and gives {given}, its metadata say {px} px and {classes} classes; "
                "the file was changed, export it again"
            )


def open_session(path: Path) -> Any:
    """A session of onnxruntime on the CPU.

    Raises:
        DataError: the file is missing or damaged.
    """
    import onnxruntime

    if not path.is_file():
        raise DataError(f"{path}: no such file; check the path")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.intra_op_num_threads = thread_count()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  (onnxruntime's errors have no common kind of their own)
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path}: cannot be run ({reason}); give an ONNX file that mindgap export wrote; of "
            "another model audit a table of its predictions"
        ) from None
