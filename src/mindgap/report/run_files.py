"""The files of a run folder, read once and without trust: what is missing stays missing, and the page says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from mindgap.core.config import read_toml
from mindgap.core.errors import DataError, RunError
from mindgap.core.files import read_json

Record = dict[str, Any]


@dataclass(frozen=True)
class RunFiles:
    """Everything a page is made of.

    Attributes:
        path: the run folder.
        verb: ``train``, ``search``, ``prune`` or ``tune``.
        options: the resolved options of ``config.toml``.
        provenance: versions, seed, hardware, data fingerprint.
        metrics: ``validation`` and ``test`` AUDITs, cost, training; empty if the run got no further.
        search: ``search.json``; empty for a train run.
        prune: ``prune.json``; empty for another run.
        tune: ``tune.json``; likewise.
        architecture: ``architecture.json``; empty if missing.
        log: the lines of ``log.jsonl``.
        store: a summary of the store, from provenance or the store's own ``store.json``; empty if neither is there.
        trials: per slot the validation AUDIT of a candidate, where the run kept it.
    """

    path: Path
    verb: Literal["train", "search", "prune", "tune"]
    options: Record
    provenance: Record
    metrics: Record = field(default_factory=dict)
    search: Record = field(default_factory=dict)
    prune: Record = field(default_factory=dict)
    tune: Record = field(default_factory=dict)
    architecture: Record = field(default_factory=dict)
    log: tuple[Record, ...] = ()
    store: Record = field(default_factory=dict)
    trials: dict[int, Record] = field(default_factory=dict)

    @property
    def chosen(self) -> Record:
        """The chosen trial of a search; empty if there is none."""
        slot = self.search.get("chosen")
        return next((trial for trial in self.search.get("trials", []) if trial.get("slot") == slot), {})

    @property
    def audit(self) -> tuple[str, Record]:
        """The split the page speaks of, and its AUDIT: test if it was evaluated, else validation, else nothing."""
        for split in ("test", "validation"):
            if self.metrics.get(split):
                return split, self.metrics[split]
        return "test", {}

    @property
    def test_reads(self) -> int:
        """How often this run has met the test split; one given more trials, or stopped there, meets it again."""
        return int(self.metrics.get("test_reads", 1)) if self.metrics.get("test") else 0


def read_run(path: Path | str) -> RunFiles:
    """Reads a run of train, search, prune or tune.

    Raises:
        RunError: the folder holds no run, or nothing a page could show yet.
        DataError: a file is damaged.
    """
    folder = Path(path)
    if not (folder / "config.toml").is_file():
        raise RunError(f"{folder}: holds no mindgap run (no config.toml); give the folder named by --out")
    config = read_toml(folder / "config.toml")
    verb = config.get("verb")
    if verb not in {"train", "search", "prune", "tune"}:
        raise RunError(f"{folder}: a run of {verb!r} has no page; give a run of train, search, prune or tune")
    metrics, search = _optional(folder / "metrics.json"), _optional(folder / "search.json")
    if "presets" in search:
        raise RunError(f"{folder}: holds a run per preset ({', '.join(search['presets'])}); name one of its folders")
    if not metrics and not search:
        raise RunError(f"{folder}: has neither metrics.json nor search.json yet; run mindgap {verb} to its end first")
    provenance = _optional(folder / "provenance.json")
    options = config.get("options", {})
    return RunFiles(
        path=folder,
        verb=verb,
        options=options,
        provenance=provenance,
        metrics=metrics,
        search=search,
        prune=_optional(folder / "prune.json"),
        tune=_optional(folder / "tune.json"),
        architecture=_optional(folder / "architecture.json"),
        log=read_lines(folder / "log.jsonl"),
        store=_store(provenance, options),
        trials=_trials(folder / "trials", search),
    )


def read_lines(path: Path) -> tuple[Record, ...]:
    """The records of a JSON-lines file; a last line cut short by a kill is left out."""
    if not path.is_file():
        return ()
    records: list[Record] = []
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            if number == len(lines):
                break
            raise DataError(f"{path}: line {number} is not JSON; the file is damaged, run again") from None
        if isinstance(record, dict):
            records.append(record)
    return tuple(records)


def _optional(path: Path) -> Record:
    if not path.is_file():
        return {}
    record = read_json(path)
    return record if isinstance(record, dict) else {}


def _store(provenance: Mapping[str, Any], options: Mapping[str, Any]) -> Record:
    summary = provenance.get("store_summary")
    if isinstance(summary, dict):
        return summary
    place = options.get("store")
    return _optional(Path(place) / "store.json") if isinstance(place, str) and place else {}


def _trials(folder: Path, search: Mapping[str, Any]) -> dict[int, Record]:
    """Validation AUDITs under ``trials/<slot>/`` or ``trials/<slot>/<attempt>/``; the last attempt counts."""
    audits: dict[int, Record] = {}
    for trial in search.get("trials", []):
        slot = trial.get("slot")
        attempts = sorted((folder / str(slot)).glob("*/metrics.json"), key=lambda path: (len(path.parent.name), path))
        found = attempts + list((folder / str(slot)).glob("metrics.json"))
        if found:
            record = _optional(found[-1])
            audits[slot] = record.get("validation", record)
    return audits
