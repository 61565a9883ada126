"""The file that a verb writes: refused before any work, so that nothing is lost and no work is in vain."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mindgap.core.errors import CapacityError, ConfigError, RunError

_OF_A_FOLDER = frozenset({
    "store.json", "table.parquet", "images.bin", "masks.bin", "twins.bin", "dropped.csv", "config.toml",
    "provenance.json", "metrics.json", "search.json", "compare.json", "prune.json", "tune.json", "predictions.parquet",
    "architecture.json", "mitigation.json", "weights.safetensors", "lesion_unet.safetensors", "log.jsonl", "ledger.db",
    "report.html",
})  # fmt: skip
"""Files of a store or a run, which a verb that reads it may not replace."""


def check_out_file(path: Path | str, *, suffixes: Sequence[str], force: bool, inputs: Sequence[Path] = ()) -> Path:
    """The path of a file to write.

    Args:
        path: where it is to be.
        suffixes: what its name may end in, the usual one first; either case.
        force: whether a file that is there may be replaced.
        inputs: files and folders that are read; see ``refuse_input``.

    Raises:
        ConfigError: the name ends in something else, or is that of a folder or an input.
        CapacityError: it cannot be written there.
        RunError: a file is there that may not be replaced.
    """
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        raise ConfigError(f"--out {file}: ends in {file.suffix!r}; give a name that ends in {' or '.join(suffixes)}")
    refuse_input(file, inputs, option="--out")
    refuse_unwritable(file, option="--out")
    if file.exists() and not force:
        raise RunError(f"{file}: is there already; choose another --out, or --force to replace it")
    return file


def refuse_input(path: Path, inputs: Sequence[Path], *, option: str) -> None:
    """Refuses to replace what is read: a file, or a file that a store or a run has in its folder.

    A file that a store or run needs is not replaced in any folder of one. Other files in such a folder are the user's,
    such as what a verb wrote there before.

    Raises:
        ConfigError: the path, or what it links to, is one of them.
    """
    place = path.resolve()
    for given in (one.resolve() for one in inputs):
        same = place == given or (place.exists() and given.exists() and place.samefile(given))
        if (same and not given.is_dir()) or (given.is_dir() and place.parent == given and place.name in _OF_A_FOLDER):
            raise ConfigError(f"{option} {path}: that file is an input and would be lost; choose another name")
    if place.name in _OF_A_FOLDER and place.is_file() and (place.parent / "provenance.json").is_file():
        raise ConfigError(f"{option} {path}: that file belongs to the store or run in its folder; choose another name")


def refuse_unwritable(path: Path, *, option: str) -> None:
    """Refuses a place where no file can be written.

    Raises:
        ConfigError: it is a folder or no ordinary file.
        CapacityError: the folder that it is to be in is none, or there is no permission to write into it.
    """
    if path.is_dir():
        raise ConfigError(f"{option} {path}: is a folder; give the name of a file")
    if path.exists() and not path.is_file():
        raise ConfigError(f"{option} {path}: is no ordinary file; give the name of one")
    above = next(folder for folder in path.absolute().parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise CapacityError(f"{path}: cannot write into {above}; choose another place for {option}")
