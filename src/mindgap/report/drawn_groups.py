"""Which groups of an attribute a figure draws: a page of two hundred curves would show none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mindgap.core.groups import Groups
from mindgap.report.estimate import count
from mindgap.report.standing import Standing

MOST_DRAWN = 6


def group_sizes(groups: Groups, part: Mapping[str, Any]) -> dict[str, int]:
    """Images per group, in the order in which the AUDIT of the attribute has them.

    Args:
        groups: the groups of the rows.
        part: ``audit["attributes"][name]``.
    """
    sizes = dict(zip(groups.names, groups.counts().tolist(), strict=True))
    return {name: sizes[name] for name in part.get("groups", {}) if name in sizes} | sizes


def drawn_groups(
    sizes: Mapping[str, int], *, wanted: Iterable[str | None] = (), most: int = MOST_DRAWN
) -> tuple[str, ...]:
    """The groups to draw, in the order of ``sizes``: those wanted, then the largest; a group without rows never.

    Args:
        sizes: images per group.
        wanted: groups that must not be missing, the most wanted first; None and unknown names are passed over.
        most: how many to draw.

    Example:
        >>> drawn_groups({"a": 9, "b": 1, "c": 7, "d": 8}, wanted=["b"], most=3)
        ('a', 'b', 'd')
    """
    there = [name for name, n in sizes.items() if n]
    by_size = sorted(there, key=lambda name: -sizes[name])
    first = [name for name in wanted if name is not None and name in there]
    chosen = set(list(dict.fromkeys([*first, *by_size]))[:most])
    return tuple(name for name in there if name in chosen)


def lowest_group(part: Mapping[str, Any]) -> str | None:
    """The group of lowest accuracy among those large enough to say so; None where no group has an accuracy."""
    ordered = Standing.of(part).ordered
    return ordered[0].name if ordered else None


def not_drawn(sizes: Mapping[str, int], drawn: Iterable[str]) -> str:
    """How many groups are not drawn, in words; empty if all with images are."""
    left = sum(1 for n in sizes.values() if n) - len(set(drawn))
    if left <= 0:
        return ""
    return (
        f"{count(left)} more group{'s are' if left > 1 else ' is'} not drawn; the tables have "
        f"{'them' if left > 1 else 'it'}."
    )
