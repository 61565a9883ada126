"""Finding the file of an image id in a folder, which is listed once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from mindgap.core.errors import DataError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")


class ImageFiles:
    """The image files below a folder, found by relative path, by file name, or by the name without its suffix.

    Of files of the same name the one nearest to the top counts; of ``a.jpg`` and ``a.png`` beside each other, the JPEG.

    Raises:
        DataError: the folder is not there or cannot be listed.
    """

    def __init__(self, folder: Path, *, option: str = "--images") -> None:
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; check {option}")
        self.folder = folder
        self._paths: list[str] = []
        self._by_name: dict[str, list[str]] = {}
        for path in _image_paths(folder, option):
            self._paths.append(path)
            name = path.rpartition("/")[2]
            stem = name.rpartition(".")[0]
            for key in {path, path.rpartition(".")[0], name, stem}:
                self._by_name.setdefault(key, []).append(path)

    def paths(self) -> tuple[str, ...]:
        """Every image file, relative to the folder, sorted."""
        return tuple(sorted(self._paths))

    def name(self, path: str) -> str:
        """The id of the file at a path of ``paths``; no two files share one, and ``find`` takes it.

        That is the name without folder and suffix, such as ``b`` for ``x/b.jpg``. Where another file goes by it too,
        each of them has its whole path: the first must not pass for the others in a table that lists the bare name.
        """
        stem = path.rpartition("/")[2].rpartition(".")[0]
        return stem if stem and len(self._by_name[stem]) == 1 else path

    def find(self, name: str, *, endings: Iterable[str] = ("",)) -> str | None:
        """Path of the image of that name, relative to the folder; None if there is none.

        Args:
            name: id of the image, with or without sub-folder and suffix.
            endings: what may follow the name before the suffix, tried in turn.

        Raises:
            DataError: files of that name lie in several folders and none is nearer to the top.
        """
        stem, _, suffix = name.rpartition(".")
        bare = stem if f".{suffix.lower()}" in SUFFIXES else name
        for ending in endings:
            for key in (f"{name}{ending}", f"{bare}{ending}"):
                if paths := self._by_name.get(key):
                    return self._best(key, paths)
        return None

    def _best(self, name: str, paths: list[str]) -> str:
        if len(paths) == 1 or name in paths:
            return name if name in paths else paths[0]
        depth = min(path.count("/") for path in paths)
        near = [path for path in paths if path.count("/") == depth]
        if len({path.rpartition("/")[0] for path in near}) > 1:
            first, second = sorted(near)[:2]
            raise DataError(
                f"{self.folder}: the image {name!r} is there twice, {first!r} and {second!r}; "
                "write the folder into the id column or remove one"
            )
        return min(near, key=lambda path: (SUFFIXES.index(PurePosixPath(path).suffix.lower()), path))


def _image_paths(folder: Path, option: str) -> Iterable[str]:
    def refuse(error: OSError) -> None:
        raise DataError(f"{error.filename}: cannot list the folder ({error.strerror}); check {option}")

    for root, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        folders.sort()
        below = Path(root).relative_to(folder).as_posix()
        prefix = "" if below == "." else f"{below}/"
        yield from (prefix + name for name in names if f".{name.rpartition('.')[2].lower()}" in SUFFIXES)
