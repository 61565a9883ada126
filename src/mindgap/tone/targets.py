"""Which typology angle each image's skin is shifted to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError, near_names
from mindgap.core.seed import numpy_generator

RANGES_DEGREES: Mapping[str, tuple[float, float]] = {
    "I": (55, 75), "II": (41, 55), "III": (28, 41), "IV": (10, 28), "V": (-30, 10), "VI": (-60, -30),
}  # fmt: skip
"""Angles that stand for a tone band; the open ends of I and VI are closed where skin is still seen."""
FLATTEN = "flatten"
_NUMBER = r"[+-]?\d+(?:\.\d+)?"


def draw_targets(
    target: str, ids: Sequence[str], *, seed: int, shares: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """The target angle of every image; that of one image depends on its id and the seed alone.

    Args:
        target: a tone band, ``IV``, whose range is drawn from; a range, ``10/28``; an angle, ``20``; or ``flatten``,
            which draws the band first, the more often the rarer it is.
        ids: of the images.
        seed: of the draws.
        shares: of the tone bands among the images, for ``flatten``.

    Returns:
        float64 (n,), degrees.

    Raises:
        ConfigError: the target cannot be read, or every band has its share already.
    """
    draws = np.array([numpy_generator(seed, "tone target", name).random(2) for name in ids]).reshape(-1, 2)
    if target == FLATTEN:
        names, weights = missing_shares(shares or {})
        picked = np.searchsorted(np.cumsum(weights), draws[:, 0], side="right").clip(max=len(names) - 1)
        low, high = np.array([RANGES_DEGREES[name] for name in names])[picked].T
    else:
        low, high = _range(target)
    return low + (high - low) * draws[:, 1]


def missing_shares(shares: Mapping[str, float]) -> tuple[list[str], NDArray[np.float64]]:
    """The tone bands that have less than a sixth of the images, and how much each lacks, as weights that sum to 1.

    Raises:
        ConfigError: no band has less.
    """
    lacking = {name: max(0.0, 1 / len(RANGES_DEGREES) - shares.get(name, 0.0)) for name in RANGES_DEGREES}
    whole = sum(lacking.values())
    if whole < 1e-9:
        raise ConfigError("every tone band has a sixth of the images already; name a target such as IV")
    names = [name for name, lack in lacking.items() if lack > 0]
    return names, np.array([lacking[name] for name in names]) / whole


def _range(target: str) -> tuple[float, float]:
    if target in RANGES_DEGREES:
        return RANGES_DEGREES[target]
    found = re.fullmatch(rf"({_NUMBER})(?:/({_NUMBER}))?", target)
    if found is None:
        known = near_names(target, [*RANGES_DEGREES, FLATTEN])
        raise ConfigError(f"target is {target!r}; {known}, or degrees such as 20 or 10/28")
    low, high = float(found[1]), float(found[2] or found[1])
    if not -90 < low <= high < 90:
        raise ConfigError(f"target is {target!r}; give degrees between -90 and 90, the lower first")
    return low, high
