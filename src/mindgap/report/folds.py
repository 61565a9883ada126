"""Cross-validation: how the folds' figures spread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindgap.report.estimate import decimal
from mindgap.report.groups import metric_label
from mindgap.report.measures import measure_of


@dataclass(frozen=True)
class FoldRow:
    """Mean and sample standard deviation of one figure over the folds where it is defined."""

    name: str
    over: str
    mean: str
    sd: str
    folds: int


def fold_table(record: Mapping[str, Any]) -> dict[str, Any]:
    """What the template needs: the number of folds and a row per figure.

    Args:
        record: ``metrics["folds"]``: ``k`` and ``summary``.
    """
    summary = record.get("summary") or {}
    rows = [_row(metric_label(name), "all", spread) for name, spread in summary.items() if _is_spread(spread)]
    rows += _gap_rows("", summary.get("attributes") or {})
    for label, attributes in (summary.get("labels") or {}).items():
        rows += _gap_rows(f"{label}, ", attributes)
    return {"fold_count": record.get("k"), "fold_rows": rows}


def _gap_rows(prefix: str, attributes: Mapping[str, Any]) -> list[FoldRow]:
    return [
        _row(measure_of(gap).label, f"{prefix}{attribute}", spread)
        for attribute, gaps in attributes.items()
        for gap, spread in gaps.items()
        if _is_spread(spread)
    ]


def _is_spread(value: object) -> bool:
    return isinstance(value, Mapping) and "mean" in value


def _row(name: str, over: str, spread: Mapping[str, Any]) -> FoldRow:
    mean = "not defined in any fold" if spread.get("mean") is None else decimal(spread["mean"])
    return FoldRow(name, over, mean, decimal(spread.get("sd")), int(spread.get("folds") or 0))
