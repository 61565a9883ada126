"""Where a worker has its files: in the search's folder if it sees that, else for a while on its own disk."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgap.core.cache import cache_folder
from mindgap.core.errors import CapacityError, ConfigError, RunError
from mindgap.core.replacement import CONFIG
from mindgap.search.ledger_place import ARTIFACTS, LEDGER_ID, RUN_FOLDER, ledger_id

if TYPE_CHECKING:
    from mindgap.search.ledger import Ledger


def agreed_artifacts(ledger: Ledger, given: str | None) -> str | None:
    """The address of the search's artifacts; the first worker that is given one decides where it has none yet.

    Raises:
        ConfigError: the search has another.
    """
    noted = ledger.notes().get(ARTIFACTS)
    if given is None or given == noted:
        return noted
    if noted is not None:
        raise ConfigError(f"artifacts is {given!r}, the search has its files in {noted!r}; give that, or leave it out")
    ledger.note(ARTIFACTS, given)
    return given


@contextmanager
def working_folder(run: Path | None, notes: Mapping[str, Any], *, elsewhere: bool) -> Generator[Path]:
    """The folder of the search, or, where it is not seen, one that is removed after the block.

    Args:
        run: where the search's folder should be; None is where the driver has it.
        notes: of the ledger.
        elsewhere: whether candidates' files are sent to an address, so that the folder need not be seen.

    Raises:
        RunError: the folder is not here, and files are sent nowhere.
        CapacityError: the folder of its own cannot be made.
    """
    place = run or (Path(notes[RUN_FOLDER]) if RUN_FOLDER in notes else None)
    if place is not None and (place / CONFIG).is_file() and ledger_id(place) == notes.get(LEDGER_ID):
        yield place
        return
    if not elsewhere:
        raise RunError(
            f"{place}: the folder of the search is not on this machine; give --artifacts its path here, "
            "or an address such as s3://BUCKET/PREFIX"
        )
    try:
        (cache_folder() / "runs").mkdir(parents=True, exist_ok=True)
        made = tempfile.TemporaryDirectory(dir=cache_folder() / "runs")
    except OSError as error:
        raise CapacityError(f"{cache_folder()}: cannot write ({error.strerror}); set XDG_CACHE_HOME") from None
    with made as folder:
        yield Path(folder)


def is_shared(folder: Path) -> bool:
    """Whether a worker's folder is the search's, and not one of its own."""
    return (folder / CONFIG).is_file()
