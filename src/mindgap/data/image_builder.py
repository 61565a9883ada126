"""Building the image map of a store: space first, then rows by many processes, then the gaps of dropped rows."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import queue
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import CapacityError
from mindgap.core.files import write_text
from mindgap.core.progress import Progress, progress
from mindgap.data.decode import Geometry
from mindgap.data.decode_worker import (
    DONE,
    FAULTS,
    MASK_DONE,
    MASK_EMPTY,
    MASK_FAULTY,
    NO_MASK,
    PROGRESS,
    Canvas,
    Chunk,
)
from mindgap.data.decoder import Decoder, DecoderDied

CHUNK_ROWS = 64
_IN_PROCESS_ROWS = 256
"""Fewer rows than this are decoded here: starting processes would take longer."""


@dataclass(frozen=True)
class Sources:
    """The files of a store's rows, in order: absolute paths of images, and of masks (None where a row has none)."""

    images: Sequence[str]
    masks: Sequence[str | None] | None = None


@dataclass(frozen=True)
class Built:
    """What became of each row.

    Attributes:
        faults: object (n,), None or the reason code.
        digests: uint64 (n,) of the stored pixels.
        hashes: uint64 (n, 2), perceptual hashes.
        mask_status: uint8 (n,), ``NO_MASK`` and so on of the decoder.
    """

    faults: NDArray[np.object_]
    digests: NDArray[np.uint64]
    hashes: NDArray[np.uint64]
    mask_status: NDArray[np.uint8]

    @property
    def masked(self) -> NDArray[np.bool_]:
        """Bool (n,): the row has a mask that could be read, be it empty."""
        return (self.mask_status == MASK_DONE) | (self.mask_status == MASK_EMPTY)

    def mask_counts(self) -> dict[str, int]:
        """Rows with a mask, none, or an unreadable one; ``empty`` are those of the first with no pixel at this size."""
        counts = np.bincount(self.mask_status, minlength=4).tolist()
        return {
            "n": counts[MASK_DONE] + counts[MASK_EMPTY],
            "missing": counts[NO_MASK],
            "unreadable": counts[MASK_FAULTY],
            "empty": counts[MASK_EMPTY],
        }

    def take(self, rows: NDArray[np.int64]) -> Built:
        """The same for some rows."""
        return Built(self.faults[rows], self.digests[rows], self.hashes[rows], self.mask_status[rows])


def build_images(folder: Path, sources: Sources, *, geometry: Geometry, workers: int) -> Built:
    """Fills ``images.bin``, ``masks.bin`` and ``progress.bin`` in the folder; rows already whole are kept.

    Every row that an earlier, killed build of the same files left is checked against its digest, so a torn one is
    decoded anew; if the list of files has changed, all are.

    Raises:
        CapacityError: the disk is full or cannot be written.
        DecoderDied: a decoding process died, and again when it was started anew.
    """
    rows = len(sources.images)
    size = geometry.size_px
    _forget_other_files(folder, sources, geometry)
    allocate(folder / "images.bin", rows * size * size * 3)
    allocate(folder / "progress.bin", rows * PROGRESS.itemsize)
    if sources.masks is not None:
        allocate(folder / "masks.bin", rows * size * size)
    with progress(rows, "decoding images") as bar:
        if workers == 1 or rows < _IN_PROCESS_ROWS:
            canvas = Canvas(folder, rows=rows, geometry=geometry, masks=sources.masks is not None)
            for chunk in _chunks(sources):
                canvas.fill(chunk)
                bar.advance(len(chunk.images))
        else:
            _fill_by_processes(folder, sources, geometry=geometry, workers=workers, bar=bar)
    return _read_progress(folder, rows)


def keep_rows(folder: Path, rows: NDArray[np.int64], *, size_px: int, masks: bool) -> None:
    """Moves the rows to the front, in place and in order, and cuts the files after them.

    Killed half-way, moved rows no longer match their digests, so the next build decodes them anew.
    """
    _compact(folder / "images.bin", rows, row_bytes=size_px * size_px * 3)
    if masks:
        _compact(folder / "masks.bin", rows, row_bytes=size_px * size_px)


def allocate(path: Path, size: int) -> None:
    """Makes a file of that size whose blocks exist on the disk, so that writing through a map cannot fail later.

    Raises:
        CapacityError: there is no space or no permission.
    """
    try:
        with path.open("r+b" if path.exists() else "w+b") as file:
            file.truncate(size)
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
            raise CapacityError(
                f"{path.parent}: no space for {path.name} of {size / 2**20:.1f} MiB ({error.strerror}); "
                "free space, or choose another --out; smaller images need less"
            ) from None
        raise CapacityError(f"{path}: cannot write ({error.strerror}); choose another --out") from None


def _forget_other_files(folder: Path, sources: Sources, geometry: Geometry) -> None:
    """Removes the progress of an earlier build whose rows meant other files."""
    listed = json.dumps([asdict(geometry), list(sources.images), list(sources.masks or ())])
    digest = hashlib.sha256(listed.encode()).hexdigest()
    mark = folder / "files.sha256"
    if not mark.exists() or mark.read_text(encoding="utf-8") != digest:
        (folder / "progress.bin").unlink(missing_ok=True)
        write_text(mark, digest)


def _chunks(sources: Sources) -> list[Chunk]:
    starts = range(0, len(sources.images), CHUNK_ROWS)
    masks = sources.masks
    return [
        Chunk(
            start,
            list(sources.images[start : start + CHUNK_ROWS]),
            None if masks is None else list(masks[start : start + CHUNK_ROWS]),
        )
        for start in starts
    ]


def _fill_by_processes(folder: Path, sources: Sources, *, geometry: Geometry, workers: int, bar: Progress) -> None:
    head = {
        "folder": str(folder.resolve()),
        "rows": len(sources.images),
        "geometry": asdict(geometry),
        "masks": sources.masks is not None,
    }
    waiting: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
    answers: queue.SimpleQueue[int | DecoderDied] = queue.SimpleQueue()
    chunks = _chunks(sources)
    for chunk in chunks:
        waiting.put(chunk)
    with ExitStack() as stack:
        for _ in range(min(workers, len(chunks))):
            decoder = stack.enter_context(Decoder(json.dumps(head) + "\n"))
            waiting.put(None)
            threading.Thread(target=_feed, args=(decoder, waiting, answers), daemon=True).start()
        for _ in chunks:
            answer = answers.get()
            if isinstance(answer, DecoderDied):
                raise answer
            bar.advance(answer)


def _feed(
    decoder: Decoder, waiting: queue.SimpleQueue[Chunk | None], answers: queue.SimpleQueue[int | DecoderDied]
) -> None:
    while (chunk := waiting.get()) is not None:
        try:
            answers.put(decoder.fill(chunk))
        except DecoderDied as died:
            answers.put(died)
            return


def _read_progress(folder: Path, rows: int) -> Built:
    done = np.fromfile(folder / "progress.bin", dtype=PROGRESS, count=rows)
    faults = np.full(rows, None, dtype=object)
    for reason, status in FAULTS.items():
        faults[done["status"] == status] = reason
    faults[(done["status"] != DONE) & (faults == None)] = "unreadable"  # noqa: E711  (elementwise)
    return Built(faults, done["digest"], done["hash"], done["mask"])


def _compact(path: Path, rows: NDArray[np.int64], *, row_bytes: int) -> None:
    file = np.memmap(path, dtype=np.uint8, mode="r+")
    pixels = file.reshape(-1, row_bytes)
    first = int(np.argmax(np.append(rows != np.arange(len(rows)), True)))
    for start in range(first, len(rows), CHUNK_ROWS):
        moved = rows[start : start + CHUNK_ROWS]
        pixels[start : start + len(moved)] = pixels[moved]
    file.flush()
    del pixels, file
    os.truncate(path, len(rows) * row_bytes)
