"""Fills rows of an unfinished store; run as ``python -m mindgap.data.decode_worker FOLDER`` by the builder.

A process of its own, fed through its standard input, needs nothing from the caller's ``__main__`` module and ends when
the caller dies, even by ``kill -9``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindgap.data.decode import (
    Geometry,
    ImageFault,
    decode_image,
    decode_mask,
    perceptual_hashes,
    quiet_decoder,
    row_digest,
    thumbnail,
)

PROGRESS = np.dtype([("status", "u1"), ("mask", "u1"), ("digest", "<u8"), ("hash", "<u8", (2,))])
TO_DO, DONE = 0, 1
FAULTS = {"missing_file": 2, "unreadable": 3, "too_large": 4, "under_16_bits": 5}
NO_MASK, MASK_DONE, MASK_FAULTY, MASK_EMPTY = 0, 1, 2, 3


@dataclass(frozen=True)
class Chunk:
    """Rows to fill: the first row's number, and absolute paths of the images and (None where there is none) masks."""

    start: int
    images: list[str]
    masks: list[str | None] | None

    def to_line(self) -> str:
        """The chunk as one line of JSON."""
        return json.dumps(asdict(self)) + "\n"


class Canvas:
    """The memory maps of an unfinished store of n rows: images, masks (or None) and progress."""

    def __init__(self, folder: Path, *, rows: int, geometry: Geometry, masks: bool) -> None:
        size = geometry.size_px
        self.geometry = geometry
        self.images = np.memmap(folder / "images.bin", dtype=np.uint8, mode="r+", shape=(rows, size, size, 3))
        self.masks = (
            np.memmap(folder / "masks.bin", dtype=np.uint8, mode="r+", shape=(rows, size, size)) if masks else None
        )
        self.progress = np.memmap(folder / "progress.bin", dtype=PROGRESS, mode="r+", shape=(rows,))

    def fill(self, chunk: Chunk) -> None:
        """Decodes the rows of a chunk that are not already whole."""
        filled: list[int] = []
        with quiet_decoder():
            for offset, path in enumerate(chunk.images):
                row = chunk.start + offset
                if not self._is_whole(row) and self._fill_row(row, path, chunk.masks[offset] if chunk.masks else None):
                    filled.append(row)
        if filled:
            thumbnails = np.stack([thumbnail(self.images[row]) for row in filled])
            self.progress["hash"][filled] = perceptual_hashes(thumbnails)
            self.progress["status"][filled] = DONE

    def _is_whole(self, row: int) -> bool:
        done = self.progress[row]
        return bool(done["status"] == DONE) and int(done["digest"]) == self._digest(row)

    def _digest(self, row: int) -> int:
        return row_digest(self.images[row], None if self.masks is None else self.masks[row])

    def _fill_row(self, row: int, path: str, mask: str | None) -> bool:
        """Decodes a row; False, with the reason in the progress, if that cannot be."""
        self.progress[row]["status"] = TO_DO
        try:
            image = decode_image(path, self.geometry)
        except ImageFault as fault:
            self.progress[row]["status"] = FAULTS[str(fault)]
            return False
        self.images[row] = image
        self.progress[row]["mask"] = self._fill_mask(row, mask)
        self.progress[row]["digest"] = self._digest(row)
        return True

    def _fill_mask(self, row: int, path: str | None) -> int:
        if self.masks is None:
            return NO_MASK
        pixels: NDArray[np.uint8] | int = 0
        status = NO_MASK
        if path is not None:
            try:
                pixels = decode_mask(path, self.geometry)
                status = MASK_DONE if pixels.any() else MASK_EMPTY
            except ImageFault:
                status = MASK_FAULTY
        self.masks[row] = pixels
        return status


def main() -> None:
    """Reads the canvas, then chunks, one JSON line each, and answers each with a line, until its caller is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):
        _serve()


def _serve() -> None:
    first = sys.stdin.readline()
    if not first.endswith("\n"):
        return
    head = json.loads(first)
    canvas = Canvas(Path(head["folder"]), rows=head["rows"], geometry=Geometry(**head["geometry"]), masks=head["masks"])
    for line in sys.stdin:
        if not line.endswith("\n"):
            return
        chunk = Chunk(**json.loads(line))
        canvas.fill(chunk)
        os.write(sys.stdout.fileno(), f"{len(chunk.images)}\n".encode())  # unbuffered: nothing is left to fail at exit


if __name__ == "__main__":
    main()
