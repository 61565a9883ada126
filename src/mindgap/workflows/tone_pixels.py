"""What ``mindgap tone`` does with the pixels of a store, a few images at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.core.errors import CapacityError
from mindgap.data.image_store import Store
from mindgap.tone.classical_mask import classical_masks
from mindgap.tone.measure import Definition, ToneMeasure, measure_tone
from mindgap.tone.normalize import shift_skin
from mindgap.tone.shift import Shift
from mindgap.tone.skin import find_skin

BATCH = 64
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ToneColumns:
    """Tones of all images; see ``ToneMeasure``. ``flags`` are joined by commas."""

    ita_degrees: Floats
    ita_iqr_degrees: Floats
    ita_pixels: NDArray[np.int64]
    lightness: Floats
    yellowness: Floats
    flags: NDArray[np.object_]

    def columns(self) -> dict[str, Any]:
        """The columns of a store's table."""
        return {
            "ita_degrees": self.ita_degrees,
            "ita_iqr_degrees": self.ita_iqr_degrees,
            "ita_pixels": self.ita_pixels,
            "ita_flags": self.flags,
        }


@dataclass(frozen=True, eq=False)
class FoundMasks:
    """uint8 (N, S, S), 0 or 255, and which images have one, bool (N,)."""

    masks: NDArray[np.uint8]
    has_mask: NDArray[np.bool_]


def write_masks(path: Path, store: Store) -> FoundMasks:
    """Writes ``masks.bin`` by the classical fallback.

    Raises:
        CapacityError: the disk is full or cannot be written.
    """
    masks = _new_map(path, (store.n, store.size_px, store.size_px))
    has_mask = np.zeros(store.n, dtype=np.bool_)
    for rows, images, _ in _batches(store, None):
        found = classical_masks(images)
        masks[rows] = 255 * found.masks.numpy().astype(np.uint8)
        has_mask[rows] = [not flags for flags in found.flags]
    masks.flush()
    return FoundMasks(masks, has_mask)


def measure_store(
    store: Store, lesions: NDArray[np.uint8] | None, *, has_mask: NDArray[np.bool_], definition: Definition = "cielab"
) -> ToneColumns:
    """Measures every image; one without a mask is measured as all skin and flagged ``no_mask``."""
    found = [measure_tone(images, masks, definition=definition) for _, images, masks in _batches(store, lesions)]
    return _joined(found, has_mask)


def write_twins(path: Path, store: Store, lesions: NDArray[np.uint8] | None, *, shift: Shift) -> ToneColumns:
    """Writes ``twins.bin``, and measures the twins.

    Raises:
        CapacityError: the disk is full or cannot be written.
    """
    twins = _new_map(path, (store.n, store.size_px, store.size_px, 3))
    for rows, images, masks in _batches(store, lesions):
        finding = find_skin(images, masks)
        part = Shift(shift.lightness[rows], shift.yellowness[rows], shift.possible[rows])
        made = shift_skin(images, lesions=masks, others=finding.others, shift=part, lab=finding.lab)
        twins[rows] = made.permute(0, 2, 3, 1).numpy()
    twins.flush()
    found = [measure_tone(images, masks) for _, images, masks in _batches(store, lesions, pixels=twins)]
    return _joined(found, np.ones(store.n, dtype=np.bool_))


def _joined(parts: Sequence[ToneMeasure], has_mask: NDArray[np.bool_]) -> ToneColumns:
    names = [field.name for field in fields(ToneColumns) if field.name != "flags"]
    flags = [flags for part in parts for flags in part.flags]
    words = [",".join([*own, *["no_mask"] * (not known)]) for own, known in zip(flags, has_mask, strict=True)]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return ToneColumns(**columns, flags=np.array(words, dtype=object))


def _batches(
    store: Store, lesions: NDArray[np.uint8] | None, *, pixels: NDArray[np.uint8] | None = None
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Rows, uint8 images (B, 3, S, S) and bool masks (B, S, S)."""
    whole = store.images if pixels is None else pixels
    for start in range(0, store.n, BATCH):
        rows = slice(start, min(start + BATCH, store.n))
        images = torch.from_numpy(np.ascontiguousarray(whole[rows].transpose(0, 3, 1, 2)))
        if lesions is None:
            masks = torch.zeros((len(images), *images.shape[2:]), dtype=torch.bool)
        else:
            masks = torch.from_numpy(lesions[rows] > 127)
        yield rows, images, masks


def _new_map(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    try:
        return np.memmap(path, dtype=np.uint8, mode="w+", shape=shape)
    except OSError as error:
        raise CapacityError(f"{path}: cannot write ({error.strerror}); free space or choose another folder") from error
