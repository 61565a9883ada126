"""A figure as a run's JSON holds it (value, interval, n, floor), and how a page writes it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """One figure with its evidence; the V and the G of an AUDIT.

    Attributes:
        value: the figure, None where it is not defined.
        low, high: its 95 % interval.
        n: how many samples it rests on.
        reason: why the value is missing.
        noise_mean, noise_p95: mean and adverse 95 % point of the noise floor; None for a figure that is no gap.
        p_value: one-sided, from the same permutations.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    reason: str | None = None
    noise_mean: float | None = None
    noise_p95: float | None = None
    p_value: float | None = None

    @classmethod
    def read(cls, record: object) -> Estimate:
        """Reads a V or G of an AUDIT; anything else is an undefined figure that says it was not recorded."""
        if not isinstance(record, Mapping):
            return cls(value=None, reason="not recorded in this run")
        numbers = {key: _finite(record.get(key)) for key in _NUMBERS}
        n = _finite(record.get("n"))
        reason = record.get("reason")
        if numbers["value"] is None and not reason:
            reason = "no reason was recorded"
        return cls(n=None if n is None else int(n), reason=None if reason is None else str(reason), **numbers)

    @property
    def has_interval(self) -> bool:
        """Whether both ends of the interval are known."""
        return self.low is not None and self.high is not None

    @property
    def has_floor(self) -> bool:
        """Whether a noise floor stands beside the value."""
        return self.noise_p95 is not None


_NUMBERS = ("value", "low", "high", "noise_mean", "noise_p95", "p_value")


def _finite(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return float(value)


def decimal(value: float | None, digits: int = 3) -> str:
    """A number with a real minus sign; a dash where there is none.

    Example:
        >>> decimal(-0.0421)
        '−0.042'
    """
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def signed(value: float | None, digits: int = 3) -> str:
    """A difference with its sign; 0 has none.

    Example:
        >>> signed(0.0421)
        '+0.042'
    """
    text = decimal(value, digits)
    return f"+{text}" if value is not None and value > 0 and float(text) != 0 else text


def percent(value: float | None, digits: int = 1) -> str:
    """A share in 0..1 as per cent, with a narrow no-break space before the sign."""
    return "–" if value is None else f"{decimal(100 * value, digits)}\u202f%"


def count(value: float | None) -> str:
    """A whole number with thousands apart."""
    return "–" if value is None else f"{round(value):,}".replace(",", "\u202f")


def amount(value: float | None) -> str:
    """A large count in short: 1.23 M, 45.6 k.

    Example: 3,504,872 is written as 3.50 M, with a narrow no-break space.
    """
    if value is None:
        return "–"
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}\u202f{sign}" if abs(value) >= 100 * size else f"{value / size:.2f}\u202f{sign}"
    return count(value)


def p_text(value: float | None) -> str:
    """A p-value to three digits, never zero."""
    if value is None:
        return "–"
    return "<\u202f0.001" if value < 0.001 else f"{value:.3f}"


def p_equals(value: float | None) -> str:
    """The same in a sentence: ``p = 0.012``, or ``p < 0.001``."""
    return f"p = {p_text(value)}".replace("= <", "<")


def interval(estimate: Estimate, *, unit: str = "decimal") -> str:
    """The 95 % interval in words: ``0.051 to 0.214``."""
    if not estimate.has_interval:
        why = (estimate.reason or "").removeprefix("no interval: ")
        return f"no interval: {why}" if why else "no interval recorded"
    if unit == "percent":
        return f"{decimal(100 * _some(estimate.low), 1)} to {percent(estimate.high)}"
    return f"{decimal(estimate.low)} to {decimal(estimate.high)}"


def sentence(estimate: Estimate, *, unit: str = "decimal") -> str:
    """Value, interval and n in one phrase, or why there is none.

    Example: an accuracy of 0.5 from 0.4 to 0.6 is written ``0.500 (95 % interval 0.400 to 0.600, n = 80)``.
    """
    if estimate.value is None:
        return f"not defined: {estimate.reason}"
    value = percent(estimate.value) if unit == "percent" else decimal(estimate.value)
    spread = f"95\u202f% interval {interval(estimate, unit=unit)}"
    spread = spread if estimate.has_interval else interval(estimate)
    return f"{value} ({spread}, {size(estimate.n)})"


def size(n: int | None) -> str:
    """``n = 1 234``, kept on one line."""
    return "n not recorded" if n is None else f"n\u00a0=\u00a0{count(n)}"


def listed(names: Iterable[str], *, most: int = 12, last: str = "and") -> str:
    """Names with commas and a last "and"; of very many the first, and how many more.

    Example:
        >>> listed(["a", "b", "c"]), listed("abcd", most=2)
        ('a, b and c', 'a, b and 2 more')
    """
    known = list(names)
    if len(known) > most + 1:
        known = [*known[:most], f"{count(len(known) - most)} more"]
    return f" {last} ".join(filter(None, [", ".join(known[:-1]), *known[-1:]]))


def named(names: Iterable[str], *, most: int = 12) -> str:
    """Names of classes or groups, listed; one that holds a comma in quotes, so that it is not read as two.

    Example:
        >>> named(["melanoma, invasive", "nevus"])
        '“melanoma, invasive” and nevus'
    """
    return listed([f"“{name}”" if "," in name else name for name in names], most=most)


def _some(value: float | None) -> float:
    return math.nan if value is None else value
