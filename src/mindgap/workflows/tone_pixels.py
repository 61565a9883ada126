"""What ``mindgap tone`` does with the pixels of a store, a few images at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mindgap.data.image_builder import allocate
from mindgap.tone.measure import Definition, ToneMeasure, measure_tone
from mindgap.tone.neutral import NeutralGains, neutral_gains
from mindgap.tone.normalize import Edge, shift_skin
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

    def flagged(self, **where: NDArray[np.bool_]) -> ToneColumns:
        """The same with another flag, by name, on some images."""
        words = self.flags
        for name, which in where.items():
            words = np.array(
                [",".join(filter(None, (word, name))) if on else word for word, on in zip(words, which, strict=True)],
                dtype=object,
            )
        return replace(self, flags=words)

    def columns(self) -> dict[str, Any]:
        """The columns of a store's table."""
        return {
            "ita_degrees": self.ita_degrees,
            "ita_iqr_degrees": self.ita_iqr_degrees,
            "ita_pixels": self.ita_pixels,
            "ita_flags": self.flags,
        }


@dataclass(frozen=True, eq=False)
class ToneInput:
    """What tones are measured on.

    Attributes:
        images: uint8 (N, S, S, 3).
        lesions: uint8 (N, S, S), 0 or 255.
        gains: float64 (N, 3), of the light's correction; None without one.
    """

    images: NDArray[np.uint8]
    lesions: NDArray[np.uint8]
    gains: Floats | None = None

    def batches(self) -> Iterator[ToneBatch]:
        """All images, some at a time, in order."""
        for start in range(0, len(self.images), BATCH):
            rows = slice(start, min(start + BATCH, len(self.images)))
            images = image_batch(self.images[rows])
            masks = torch.from_numpy(self.lesions[rows] > 127)
            yield ToneBatch(rows, images, masks, None if self.gains is None else torch.from_numpy(self.gains[rows]))


@dataclass(frozen=True, eq=False)
class ToneBatch:
    """Rows, uint8 images (B, 3, S, S), bool lesions (B, S, S), and gains (B, 3) or None."""

    rows: slice
    images: Tensor
    lesions: Tensor
    gains: Tensor | None


def image_batch(images: NDArray[np.uint8]) -> Tensor:
    """uint8 (B, 3, S, S) of (B, S, S, 3)."""
    return torch.from_numpy(np.ascontiguousarray(images.transpose(0, 3, 1, 2)))


def measure_anchors(seen: ToneInput) -> NeutralGains:
    """The gains that the neutral pixels of each image ask for."""
    parts = [
        neutral_gains(batch.images, batch.lesions, find_skin(batch.images, batch.lesions)) for batch in seen.batches()
    ]
    return NeutralGains(np.concatenate([part.gains for part in parts]), np.concatenate([part.known for part in parts]))


def measure_store(seen: ToneInput, *, definition: Definition = "cielab") -> ToneColumns:
    """Measures every image; one without a mask is measured as all skin."""
    return _joined([
        measure_tone(batch.images, batch.lesions, definition=definition, gains=batch.gains) for batch in seen.batches()
    ])  # fmt: skip


def write_twins(
    path: Path, seen: ToneInput, *, shift: Shift, lightness: Floats, edge: Edge
) -> tuple[ToneColumns, Floats]:
    """Writes ``twins.bin``, and measures the twins on the skin of their images; and which share of each mask differs.

    Args:
        path: the file.
        seen: the images.
        shift: of each.
        lightness: float64 (N,), median L* of the skin.
        edge: see ``shift_skin``.

    Raises:
        CapacityError: the disk is full or cannot be written.
    """
    twins = new_map(path, seen.images.shape)
    changed, found = np.full(len(seen.images), np.nan), []
    for batch in seen.batches():
        finding = find_skin(batch.images, batch.lesions, gains=batch.gains)
        part = Shift(shift.lightness[batch.rows], shift.yellowness[batch.rows], shift.possible[batch.rows])
        others = finding.others_on(lightness[batch.rows] + part.lightness)
        made = shift_skin(
            batch.images, lesions=batch.lesions, others=others, shift=part, lab=finding.lab, gains=batch.gains,
            edge=edge,
        )  # fmt: skip
        differs = (made != batch.images).any(dim=1) & batch.lesions
        pixels = batch.lesions.sum(dim=(1, 2)).double()
        changed[batch.rows] = (differs.sum(dim=(1, 2)) / torch.where(pixels > 0, pixels, torch.nan)).numpy()
        twins[batch.rows] = made.permute(0, 2, 3, 1).numpy()
        found.append(measure_tone(made, batch.lesions, gains=batch.gains, skin=finding.skin))
    twins.flush()
    return _joined(found), changed


def _joined(parts: Sequence[ToneMeasure]) -> ToneColumns:
    names = [field.name for field in fields(ToneColumns) if field.name != "flags"]
    words = [",".join(flags) for part in parts for flags in part.flags]
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return ToneColumns(**columns, flags=np.array(words, dtype=object))


def new_map(path: Path, shape: tuple[int, ...]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """A file of bytes to fill, whose space is there.

    Raises:
        CapacityError: there is none, or it cannot be written.
    """
    path.unlink(missing_ok=True)  # of an earlier call it may be a link to another store's
    allocate(path, math.prod(shape))
    return np.memmap(path, dtype=np.uint8, mode="r+", shape=shape)
