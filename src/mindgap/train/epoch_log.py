"""``log.jsonl``: one line per epoch."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mindgap.core.errors import DataError
from mindgap.core.files import jsonable, write_text
from mindgap.train.training_run import EpochRecord


class EpochLog:
    """The epochs of a run, kept in a file that is whole at any time; an epoch trained again replaces its line."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: dict[tuple[int, int], dict[str, Any]] = {}
        for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
            try:
                line = json.loads(text)
                self._lines[line.get("fold", 0), line["epoch"]] = line
            except (ValueError, KeyError, AttributeError):
                raise DataError(f"{path}: {text[:40]!r} is no line of an epoch; remove the file to go on") from None

    def add(self, record: EpochRecord, *, fold: int | None = None) -> None:
        """Adds one epoch; its ``extra`` figures stand beside the others."""
        line = asdict(record)
        line |= line.pop("extra")
        if fold is not None:
            line = {"fold": fold} | line
        self._lines[fold or 0, record.epoch] = line
        write_text(self._path, "".join(json.dumps(jsonable(line)) + "\n" for line in self._lines.values()))
