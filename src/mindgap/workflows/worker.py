"""The verb ``worker``: joins a search by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mindgap.core.errors import ConfigError
from mindgap.search.ledger_place import LEDGER_FILE
from mindgap.search.status import search_status
from mindgap.search.worker import work

SQLITE = "sqlite:///"


def worker(*, study: str, store: Path | str | None = None, artifacts: Path | str | None = None) -> dict[str, Any]:
    """Works on a search, with one thread, until nothing is left to do; Ctrl-C parks the candidate after its epoch.

    Candidates are the same whoever trains them. The search's own ``mindgap search`` command writes the results.

    Args:
        study: the search's ledger, such as ``sqlite:///runs/ham/ledger.db``, or its run folder.
        store: where the images are, if not where the search began.
        artifacts: folder of the search, for the candidates' files; None is the folder of the ledger.

    Returns:
        The search's progress, as ``status`` gives it.

    Raises:
        ConfigError: the study is not a run folder or the ledger of one.
        RunError: there is no such search, or the store is another.
        KeyboardInterrupt: Ctrl-C, once the candidate is parked; the same call goes on with it.
    """
    url = study if "://" in study else f"{SQLITE}{Path(study) / LEDGER_FILE}"
    if not url.startswith(SQLITE):
        raise ConfigError(f"study is {study!r}; give the run folder of a search, or sqlite:///RUN/{LEDGER_FILE}")
    run = Path(url.removeprefix(SQLITE)).parent if artifacts is None else Path(artifacts)
    work(run, url=url, store=None if store is None else Path(store))
    return search_status(run)
