"""What ``mindgap explain`` prints: focus over all images, and gaps between groups beside their noise floors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mindgap.cli.summary import gap, number, printable
from mindgap.report.explain_rows import coarse_maps, parts_of

Record = Mapping[str, Any]
_MOST_LABELS = 6


def explain_lines(record: Record) -> list[str]:
    """Lines on an explanation."""
    lines = [
        printable(
            f"{record['method']} of {record['layer']} for {record['target']}: {record['n']} images of the "
            f"{record['split']} split"
        )
    ]
    parts = parts_of(record)
    for label, part in list(parts.items())[:_MOST_LABELS]:
        lines += [("  " if label else "") + line for line in _part_lines(label, part)]
    if len(parts) > _MOST_LABELS:
        lines.append(f"and {len(parts) - _MOST_LABELS} labels more in the record and on the page")
    if coarse := coarse_maps(record):
        lines.append(coarse)
    if record["gallery"] is not None:
        n = len(record["gallery"]["examples"])
        lines.append(f"the folder and the page hold pictures of people: {n} images with their maps")
    return lines


def _part_lines(label: str, part: Record) -> list[str]:
    head = f"label {label}: " if label else ""
    focus = part["focus"]
    if focus["all"]["value"] is None:
        return [printable(f"{head}focus {number(focus['all'])}")]
    cases = ", ".join(f"{case} cases {number(focus[case])}" for case in ("right", "wrong"))
    lines = [printable(f"{head}focus, 1 if spread evenly: {number(focus['all'])}; {cases}")]
    for name, of in part["attributes"].items():
        groups = ", ".join(
            f"{group} {number(one['focus']['all'])} (n = {one['n']}{', small' if 'small' in one['flags'] else ''})"
            for group, one in of["groups"].items()
        )
        lines += [printable(f"  {name}: {groups}"), printable(f"  gap over {name}: {gap(of['gaps']['all'])}")]
    return lines
