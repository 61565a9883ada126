"""The file that a verb writes: refused before any work, so that nothing is lost and no work is in vain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mindgap.core.errors import ConfigError, RunError


def check_out_file(path: Path | str, *, suffixes: Sequence[str], force: bool, inputs: Sequence[Path] = ()) -> Path:
    """The path of a file to write.

    Args:
        path: where it is to be.
        suffixes: what its name may end in, the usual one first; either case.
        force: whether a file that is there may be replaced.
        inputs: files and folders that are read; what is there of them is never replaced.

    Raises:
        ConfigError: the name ends in something else.
        RunError: a folder is there, a file that may not be replaced, or one that is read.
    """
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        raise ConfigError(f"--out {file}: ends in {file.suffix!r}; give a name that ends in {' or '.join(suffixes)}")
    if file.is_dir():
        raise RunError(f"{file}: is a folder; name a file in it")
    if not file.exists():
        return file
    if not force:
        raise RunError(f"{file}: is there already; choose another --out, or --force to replace it")
    for source in inputs:
        if file.resolve().is_relative_to(source.resolve()):
            raise RunError(f"{file}: belongs to {source}, which is read, and is not replaced; choose another --out")
    return file
