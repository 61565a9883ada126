"""Holm's step-down adjustment of p-values that were looked at together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def holm(p_values: Mapping[Any, float | None]) -> dict[Any, float | None]:
    """P-values adjusted so that the chance of any false alarm among them is at most the level (Holm 1979).

    The smallest of m is multiplied by m, the next by m − 1, and so on, none below the one before. Undefined values stay
    out and are not counted.

    Example:
        >>> holm({"sex": 0.01, "age": 0.04, "tone": None})
        {'sex': 0.02, 'age': 0.04, 'tone': None}
    """
    known = sorted((p, i, key) for i, (key, p) in enumerate(p_values.items()) if p is not None)
    adjusted: dict[Any, float | None] = dict.fromkeys(p_values)
    highest = 0.0
    for rank, (p, _, key) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[key] = highest
    return adjusted
