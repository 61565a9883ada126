"""What may be tuned of a mitigation, and how a number in 0..1 becomes a value of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

TunedValue = float | int | str | bool


@dataclass(frozen=True)
class Range:
    """Numbers from ``low`` to ``high``, both over 0 if ``log``, which then takes equal ratios as equally likely."""

    low: float
    high: float
    log: bool = True

    def value(self, at: float) -> float:
        """The value at a quantile in 0..1; three significant digits, as nobody can tell more apart.

        Example:
            ``Range(0.01, 1.0).value(0.5)`` is 0.1, and 0.505 without ``log``.
        """
        if self.log:
            low, high = math.log(self.low), math.log(self.high)
            return float(f"{math.exp(low + at * (high - low)):.3g}")
        return float(f"{self.low + at * (self.high - self.low):.3g}")


@dataclass(frozen=True)
class OneOf:
    """One of some values, equally likely."""

    values: tuple[TunedValue, ...]

    def value(self, at: float) -> TunedValue:
        """The value at a quantile in 0..1."""
        return self.values[min(int(at * len(self.values)), len(self.values) - 1)]


TuningRange = Range | OneOf
TuningRanges = Mapping[str, TuningRange]
