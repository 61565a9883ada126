"""What mitigations measured themselves while they worked: of one run, and of the methods of a comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.report.estimate import count, decimal
from mindgap.report.page import Section
from mindgap.report.run_files import RunFiles

Record = Mapping[str, Any]


@dataclass(frozen=True)
class OwnFigureRow:
    """One figure that a mitigation took itself.

    Attributes:
        whose: which run it is of: the fold, or the method and its seed; empty where there is one run.
        name: what was measured, and of which group or attribute.
        value: a share, or that it is not defined.
        chance: what guessing reaches; empty where there is no such level.
        n: how many of what it is a share of.
        reason: what is to be said of it; empty if nothing is.
    """

    whose: str
    name: str
    value: str
    chance: str
    n: str
    reason: str

    @classmethod
    def read(cls, record: Record, *, whose: str = "") -> OwnFigureRow:
        """Reads a figure as ``metrics.json`` and ``compare.json`` have it."""
        return cls(
            whose=whose,
            name=record["name"] + (f": {record['of']}" if record["of"] else ""),
            value="not defined" if record["value"] is None else decimal(record["value"]),
            chance="" if record["chance"] is None else decimal(record["chance"]),
            n=f"{count(record['n'])} {record['unit']}",
            reason=record["reason"] or "",
        )


def mitigation_sections(run: RunFiles) -> list[Section]:
    """The table of a run's own figures of its mitigation; nothing where it took none."""
    training = run.metrics.get("training") or {}
    rows = [
        OwnFigureRow.read(figure, whose=f"fold {figure['fold']}" if "fold" in figure else "")
        for figure in training.get("mitigation_figures") or []
    ]
    return _sections(rows, head="Fold", title="What the mitigation did")


def methods_mitigation_sections(record: Record) -> list[Section]:
    """The same of every method and seed of a comparison that were trained to the end."""
    rows = [
        OwnFigureRow.read(figure, whose=f"{name}, seed {run['seed']}")
        for name, method in record["methods"].items()
        for run in method["runs"]
        for figure in run.get("mitigation_figures") or []
    ]
    return _sections(rows, head="Method and seed", title="What the methods did")


def _sections(rows: list[OwnFigureRow], *, head: str, title: str) -> list[Section]:
    content = {"own_figures": rows, "whose": head if any(row.whose for row in rows) else ""}
    return [Section("own_figures", title, title, content)] if rows else []
