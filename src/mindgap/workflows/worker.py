"""The verb ``worker``: joins a search by hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mindgap.data.store_cache import is_address
from mindgap.search.ledger_address import LedgerAddress
from mindgap.search.ledger_place import ledger_url
from mindgap.search.status import ledger_status
from mindgap.search.worker import work


def worker(*, study: str, store: Path | str | None = None, artifacts: Path | str | None = None) -> dict[str, Any]:
    """Works on a search, with one thread, until nothing is left to do; Ctrl-C parks the candidate after its epoch.

    Candidates are the same whoever trains them. The search's own ``mindgap search`` command writes the results.

    Args:
        study: the search's ledger, ``postgresql+psycopg://HOST/DATABASE?study=NAME`` or ``sqlite:///RUN/ledger.db``, or
            the search's folder.
        store: path or address of the images, if not that with which the search began.
        artifacts: path of the search's folder on this machine, or, where it is not seen, an address for candidates'
            files, ``s3://BUCKET/PREFIX`` or ``file:///FOLDER``; None is what the search was given.

    Returns:
        The search's progress, as ``status`` gives it.

    Raises:
        ConfigError: the study is no address of a ledger.
        RunError: there is no such search, or the store is another.
        KeyboardInterrupt: Ctrl-C, once the candidate is parked; the same call goes on with it.
    """
    url = study if is_address(study) else ledger_url(Path(study))
    run = None if is_address(study) else Path(study)
    file = LedgerAddress.parse(url).file
    if file is not None:
        run = file.parent
    if artifacts is not None and not is_address(artifacts):
        run, artifacts = Path(os.path.abspath(artifacts)), None
    own_store, files = (None if value is None else str(value) for value in (store, artifacts))
    work(run, url=url, store=own_store, artifacts=files)
    return ledger_status(url, run=run)
