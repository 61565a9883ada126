"""How far a skin's lightness and yellowness have to move to be of another tone (Wei & Chakraborti, eqs 2 to 6)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mindgap.core.config import StrictModel

LEAST_YELLOW = 2.0  # b*; below, the angle says nothing of the tone
SKIN_YELLOW = 10.0  # b* that a search does not go below where the skin had as much; the palest and darkest skin has it
LIGHTNESS = (5.0, 95.0)  # L*; beyond, a screen shows black or white
DEGREES = 180 / np.pi
FIRST_DAMPING = 1.0
Array = NDArray[np.float64]


class ShiftSettings(StrictModel):
    """How the new colour is found.

    Attributes:
        keep_lightness: λ_L of eq. 4, degrees² per unit² of L*.
        keep_yellowness: λ_b of eq. 4, likewise of b*.
        rate: η of eqs 5 and 6.
        steps: 1 is the paper's single step of gradient descent, which from its start can only go back towards the
            original; more are of Levenberg-Marquardt, of which each lowers eq. 4 or is not made. Those keep a b* of 10
            where the skin has it: the minimum for a dark target is else a grey of L* 50, whose angle says nothing.
    """

    keep_lightness: float = Field(default=0.1, ge=0)
    keep_yellowness: float = Field(default=0.1, ge=0)
    rate: float = Field(default=0.1, gt=0)
    steps: int = Field(default=1, ge=0)


@dataclass(frozen=True, eq=False)
class Shift:
    """By how much the skin of n images moves.

    Attributes:
        lightness: float64 (n,), ΔL*; 0 where there is no way.
        yellowness: float64 (n,), Δb*; likewise.
        possible: bool (n,), whether there is a way.
    """

    lightness: Array
    yellowness: Array
    possible: NDArray[np.bool_]

    @property
    def distance(self) -> Array:
        """float64 (n,), ΔE*ab of the shift."""
        return np.hypot(self.lightness, self.yellowness)


def angle_degrees(lightness: Array, yellowness: Array) -> Array:
    """Individual typology angle, atan2(L* − 50, b*)."""
    return np.degrees(np.arctan2(lightness - 50, yellowness))


def find_shift(lightness: Array, yellowness: Array, target: Array, *, settings: ShiftSettings | None = None) -> Shift:
    """The shift of each image's skin to its target angle.

    Two colours have the angle exactly, one of the old b* (eq. 2) and one of the old L* (eq. 3). The nearer one that a
    screen can show is where the steps on eq. 4 begin. A b* below 2 is taken as 2 in eq. 2.

    Args:
        lightness: (n,), median L* of the skin; NaN if it is not known.
        yellowness: (n,), median b* of the skin.
        target: (n,), degrees in −90..90.
        settings: of the search.

    Returns:
        Of n images; impossible where no such colour is within 5 ≤ L* ≤ 95 and b* ≥ 2, or the skin is not known.
    """
    chosen = settings or ShiftSettings()
    old = np.stack([lightness, yellowness])
    start, possible = _start(old, target)
    if chosen.steps == 1:
        new = _inside(start - chosen.rate * _gradient(start, old, target, chosen))
    elif chosen.steps == 0:
        new = start
    else:
        new = _minimise(start, old, target, chosen)
    moved = np.where(possible, new - old, 0.0)
    return Shift(moved[0], moved[1], possible)


def _start(old: Array, target: Array) -> tuple[Array, NDArray[np.bool_]]:
    slope = np.tan(target / DEGREES)
    yellow = np.maximum(old[1], LEAST_YELLOW)
    same_yellow = np.stack([yellow * slope + 50, yellow])
    with np.errstate(all="ignore"):
        same_light = np.stack([old[0], (old[0] - 50) / slope])
    both = np.stack([same_yellow, same_light])
    shown = (both[:, 0] >= LIGHTNESS[0]) & (both[:, 0] <= LIGHTNESS[1]) & (both[:, 1] >= LEAST_YELLOW)
    shown &= np.isfinite(both).all(axis=1) & np.isfinite(old).all(axis=0)
    distance = np.where(shown, np.hypot(*np.moveaxis(both - old, 1, 0)), np.inf)
    nearest = distance.argmin(axis=0)
    return np.take_along_axis(both, nearest[None, None], axis=0)[0], np.asarray(shown.any(axis=0))


def _inside(colours: Array, least_yellow: Array | float = LEAST_YELLOW) -> Array:
    return np.stack([colours[0].clip(*LIGHTNESS), np.maximum(colours[1], least_yellow)])


def _minimise(start: Array, old: Array, target: Array, settings: ShiftSettings) -> Array:
    """Levenberg-Marquardt on eq. 4, each image with a damping of its own; at the bound of b*, L* moves alone."""
    least = np.clip(np.nan_to_num(old[1]), LEAST_YELLOW, SKIN_YELLOW)
    new, damping = _inside(start, least), np.full(start.shape[1], FIRST_DAMPING)
    reached = _loss(new, old, target, settings)
    for _ in range(settings.steps):
        free = new - _step(new, old, target, settings, damping=damping)
        bound = np.stack([new[0], least])
        held = bound - _lightness_step(bound, old, target, settings, damping=damping)
        tried = _inside(np.where(free[1] < least, held, free), least)
        found = _loss(tried, old, target, settings)
        better = found < reached
        new, reached = np.where(better, tried, new), np.where(better, found, reached)
        damping = np.where(better, damping / 5, damping * 5)
    return new


def _keep(settings: ShiftSettings) -> Array:
    return np.array([[settings.keep_lightness], [settings.keep_yellowness]])


def _loss(new: Array, old: Array, target: Array, settings: ShiftSettings) -> Array:
    return (angle_degrees(*new) - target) ** 2 + (_keep(settings) * (new - old) ** 2).sum(axis=0)


def _slopes(new: Array) -> Array:
    """Derivatives of the angle, in degrees, by L* and b*."""
    above, yellow = new[0] - 50, new[1]
    return DEGREES * np.stack([yellow, -above]) / (above**2 + yellow**2)


def _gradient(new: Array, old: Array, target: Array, settings: ShiftSettings) -> Array:
    return 2 * ((angle_degrees(*new) - target) * _slopes(new) + _keep(settings) * (new - old))


def _step(new: Array, old: Array, target: Array, settings: ShiftSettings, *, damping: Array) -> Array:
    """Solves (JᵀJ + μ I) δ = Jᵀr, two equations per image."""
    slopes, keep = _slopes(new), _keep(settings)
    first, second = _gradient(new, old, target, settings) / 2
    a, d = slopes[0] ** 2 + keep[0] + damping, slopes[1] ** 2 + keep[1] + damping
    b = slopes[0] * slopes[1]
    return np.stack([d * first - b * second, a * second - b * first]) / (a * d - b**2)


def _lightness_step(new: Array, old: Array, target: Array, settings: ShiftSettings, *, damping: Array) -> Array:
    """The step of L* alone, along the bound of b*."""
    first = _gradient(new, old, target, settings)[0] / 2
    return np.stack([first / (_slopes(new)[0] ** 2 + settings.keep_lightness + damping), np.zeros_like(first)])
