"""All image files of a folder, decoded as those of a store are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import DataError
from mindgap.data.decode import Geometry
from mindgap.data.image_builder import Sources, build_images
from mindgap.data.image_files import SUFFIXES, ImageFiles


@dataclass(frozen=True, eq=False)
class FolderImages:
    """Decoded images.

    Attributes:
        images: uint8 (N, S, S, 3), RGB, a memory map; rows that could not be decoded hold nothing of use.
        rows: int64 (n,), those that could be.
        ids: names of these n, as a table for ``prepare`` would name them.
        faults: file below the folder → reason, of the others.
    """

    images: NDArray[np.uint8]
    rows: NDArray[np.int64]
    ids: tuple[str, ...]
    faults: dict[str, str]


def find_images(folder: Path) -> ImageFiles:
    """The image files below a folder.

    Raises:
        DataError: there is no such folder, or no image file in it.
    """
    files = ImageFiles(folder, option="IMAGES")
    if not files.paths():
        raise DataError(f"{folder}: holds no image file ({', '.join(SUFFIXES)}); check the path")
    return files


def folder_state(files: ImageFiles) -> str:
    """A digest of the files' paths, sizes and times, by which an unfinished decoding is gone on with or not."""
    digest = hashlib.sha256()
    for path in files.paths():
        try:
            state = (files.folder / path).stat()
            seen = f"{state.st_size}\0{state.st_mtime_ns}"
        except OSError:  # gone since, or a link to nowhere: decoding says so
            seen = "missing"
        digest.update(f"{path}\0{seen}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def decode_folder(files: ImageFiles, place: Path, *, geometry: Geometry, workers: int) -> FolderImages:
    """Decodes the files into a memory map at a place, in parallel; rows that an earlier call decoded are kept.

    Raises:
        DataError: none of them could be decoded.
        CapacityError: the disk is full or cannot be written.
        DecoderDied: a decoding process died, and again when it was started anew.
    """
    paths = files.paths()
    sources = Sources([str(files.folder.resolve() / path) for path in paths])
    faults = build_images(place, sources, geometry=geometry, workers=workers).faults
    rows = np.flatnonzero(faults == None).astype(np.int64)  # noqa: E711  (elementwise)
    if not len(rows):
        raise DataError(
            f"{files.folder}: none of {len(paths)} files can be decoded; the first is {paths[0]}: {faults[0]}"
        )
    shape = (len(paths), geometry.size_px, geometry.size_px, 3)
    return FolderImages(
        images=np.memmap(place / "images.bin", dtype=np.uint8, mode="c", shape=shape),
        rows=rows,
        ids=image_ids(files, [paths[row] for row in rows]),
        faults={path: fault for path, fault in zip(paths, faults, strict=True) if fault is not None},
    )


def image_ids(files: ImageFiles, paths: Sequence[str]) -> tuple[str, ...]:
    """The names of files; bytes that are no UTF-8 are written out in hexadecimal, since no table could hold them."""
    return tuple(files.name(path).encode(errors="surrogateescape").decode(errors="backslashreplace") for path in paths)
