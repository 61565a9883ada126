"""``report``: the pages of runs, written again from the runs' files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mindgap.core.errors import ConfigError
from mindgap.core.files import read_json
from mindgap.report.document import PAGE, write_report
from mindgap.report.explain_page import EXPLAIN_RECORD, write_explain_page
from mindgap.report.methods_page import write_methods_page
from mindgap.report.reproduced_page import REPRODUCED_RECORD, write_reproduced_page

__all__ = ["report", "write_report"]


def report(runs: Iterable[Path | str]) -> list[Path]:
    """Writes ``report.html`` into each run folder, and ``model_card.md`` where the run has a network.

    Args:
        runs: folders written by ``train``, ``search``, ``prune``, ``tune``, ``explain``, ``reproduce``, or ``compare``
            on a store; one with several presets has a page per preset.

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
    return [_write(folder) for run in folders for folder in _with_presets(run)]


def _write(run: Path) -> Path:
    """The page of one run; those of methods compared, of an explanation and of a table made anew have own records."""
    if (run / EXPLAIN_RECORD).is_file():
        return write_explain_page(run)
    if (run / REPRODUCED_RECORD).is_file():
        return write_reproduced_page(run, read_json(run / REPRODUCED_RECORD))
    record = run / "compare.json"
    return write_methods_page(run / PAGE, read_json(record)) if record.is_file() else write_report(run)


def _with_presets(run: Path) -> list[Path]:
    """The folder itself, or those of its presets when one search ran several."""
    record = run / "search.json"
    presets = read_json(record).get("presets") if record.is_file() else None
    return [run / name for name in presets] if presets else [run]
