"""Skin tones of a data set in tables: by class and split, what the flags mean, and the twins before and after."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mindgap.audit.tone_table import band_rank
from mindgap.report.estimate import count, decimal, percent
from mindgap.tone.bands import CUT_OFFS
from mindgap.tone.flags import TONE_FLAGS

Record = Mapping[str, Any]
_HEATS = 8
_POINTS = ("q25", "median", "q75", "p90")


@dataclass(frozen=True)
class Cell:
    """A share with its count; ``heat`` is 1 to 8 by the share, 0 for none."""

    share: str
    n: int
    heat: int = 0


@dataclass(frozen=True)
class ToneRow:
    """Images of one class or split by tone band."""

    name: str
    n: int
    bands: tuple[Cell, ...]
    unknown: Cell
    reasons: str
    total: bool = False


def tone_tables(record: Record) -> dict[str, Any]:
    """What the template of the skin tones needs beside their histogram.

    Args:
        record: of a data set's audit, ``tone`` among its keys.
    """
    tone, asked = record["tone"], _asked(record)
    if tone is None:
        return {}
    columns = tone_columns(record)
    return {
        "tone_columns": columns,
        "tone_rows": _rows(tone, columns) if tone["bands"] is not None else {},
        "tone_flags": _flags(tone, record["n"]),
        "twin_columns": list((asked.get("bands") or {}).get("before") or {}),
        "twin_rows": _twin_rows(asked.get("bands") or {}),
        "twin_spreads": _spreads(asked),
        "asked": asked,
    }


def cut_offs_of(record: Record) -> str:
    """Name of the cut-offs by which the store's tones are called."""
    named = str(_asked(record).get("cut_offs"))
    return named if named in CUT_OFFS else "wei"


def tone_columns(record: Record) -> list[str]:
    """All bands of the store's cut-offs, an empty one too, from light to dark; other names are as found."""
    found = list(record["tone"]["bands"] or {})
    known = [name for name, _ in CUT_OFFS[cut_offs_of(record)]]
    return known if set(found) <= set(known) else sorted(found, key=band_rank)


def _asked(record: Record) -> Record:
    return (record.get("store") or {}).get("tone") or {}


def _rows(tone: Record, columns: Sequence[str]) -> dict[str, list[ToneRow]]:
    """By what the rows are; all images stand first, and classes as the largest first."""
    overall = _row("all images", tone["overall"], columns, total=True)
    classes = sorted(tone["by_class"].items(), key=lambda item: -item[1]["n"])
    splits = [overall, *(_row(name, one, columns) for name, one in tone["by_split"].items())]
    found = {"Split": splits, "Class": [_row(name, one, columns) for name, one in classes]}
    return {kind: rows for kind, rows in found.items() if rows}


def _row(name: str, one: Record, columns: Sequence[str], *, total: bool = False) -> ToneRow:
    return ToneRow(
        name,
        one["n"],
        tuple(_cell(one["bands"].get(band, 0), one["known"]) for band in columns),
        _cell(one["unknown"], one["n"]),
        ", ".join(f"{flag} {count(n)}" for flag, n in _falling(one["unknown_flags"])),
        total,
    )


def _cell(n: int, of: int) -> Cell:
    share = n / of if of else None
    return Cell(percent(share), n, math.ceil(_HEATS * share) if share else 0)


def _falling(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _flags(tone: Record, total: int) -> list[dict[str, Any]]:
    unknown = (tone["overall"] or {}).get("unknown_flags", {})
    return [
        {
            "name": flag,
            "n": n,
            "share": percent(n / total),
            "unknown": unknown.get(flag, 0),
            "means": TONE_FLAGS.get(flag, "not one of mindgap tone's flags"),
        }
        for flag, n in _falling(tone["flags"])
    ]


def _twin_rows(bands: Record) -> list[dict[str, Any]]:
    """Table 2 of Wei & Chakraborti: images per band before, and with every image's twin in its place, if known."""
    found = {"before": bands.get("before") or {}, "with the twins": bands.get("after") or {}}
    return [
        {"name": name, "n": sum(counts.values()), "bands": [_cell(n, sum(counts.values())) for n in counts.values()]}
        for name, counts in found.items()
        if sum(counts.values())
    ]


def _spreads(asked: Record) -> list[dict[str, Any]]:
    named = {
        "error_degrees": ("|achieved − target|, degrees", 1),
        "delta_e": ("Shift of the skin, ΔE in CIELAB", 1),
    }
    found = [(label, digits, asked.get(key) or {}) for key, (label, digits) in named.items()]
    return [
        {"name": label, "n": one["n"], "points": [decimal(one.get(point), digits) for point in _POINTS]}
        for label, digits, one in found
        if one.get("n")
    ]
