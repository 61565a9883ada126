"""``report``: the pages of runs, written again from the runs' files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mindgap.core.errors import ConfigError
from mindgap.report.document import write_report

__all__ = ["report", "write_report"]


def report(runs: Iterable[Path | str]) -> list[Path]:
    """Writes ``report.html`` into each run folder.

    Args:
        runs: folders written by ``train`` or ``search``.

    Returns:
        The pages, in the order of the runs.

    Raises:
        ConfigError: no run was given.
        RunError: a folder holds no run that a page could show.
        DataError: a file of a run is damaged.
    """
    folders = [Path(runs)] if isinstance(runs, (str, Path)) else [Path(run) for run in runs]
    if not folders:
        raise ConfigError("report got no run; name at least one folder written by train or search")
    return [write_report(folder) for folder in folders]
