"""How well a rung ranks candidates as the last rung does: Kendall's τ, for accuracy and unfairness apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mindgap.core.seed import numpy_generator
from mindgap.search.rungs import RungPlan
from mindgap.search.slot import Slot

FEWEST = 5  # candidates; with fewer, an interval says nothing
RESAMPLES = 2000
_PAIRS_AT_ONCE = 4_000_000  # 32 MB
Figure = Literal["accuracy", "unfairness"]


def agreement(slots: Sequence[Slot], rungs: RungPlan) -> list[dict[str, Any]]:
    """Of every rung below the top, how far it ranks as the top does.

    The promoted candidates alone would tell too little: they were chosen for being alike at the lower rung. So each
    member of the control group counts 1/share times, for those it was drawn from.

    Returns:
        Per rung its ``epochs``, ``n`` candidates that reached both, ``n_control`` of them from the control group, and
        ``accuracy`` and ``unfairness``, each with ``tau``, the 95 % interval ``low``, ``high`` and ``reason``, why it
        is None.
    """
    both = [slot for slot in slots if rungs.top in slot.judged]
    share = rungs.promotion.control_share
    weights = np.array([1 / share if slot.is_control else 1.0 for slot in both])
    return [
        {
            "epochs": rungs.epochs[rung],
            "n": len(both),
            "n_control": sum(slot.is_control for slot in both),
            **{figure: _of_figure(both, rung, figure, weights, rungs) for figure in ("accuracy", "unfairness")},
        }
        for rung in range(rungs.top)
    ]


def _of_figure(
    slots: Sequence[Slot], rung: int, figure: Figure, weights: NDArray[np.float64], rungs: RungPlan
) -> dict[str, float | str | None]:
    if len(slots) < FEWEST:
        return {"tau": None, "low": None, "high": None, "reason": f"fewer than {FEWEST} candidates reached both rungs"}
    early, late = (np.array([slot.judged[which][figure] for slot in slots]) for which in (rung, rungs.top))
    tau, low, high = tau_interval(early, late, weights=weights, seed=rungs.seed)
    if math.isnan(tau):
        return {"tau": None, "low": None, "high": None, "reason": "all candidates are equal"}
    return {"tau": tau, "low": low, "high": high, "reason": None}


def weighted_tau(
    first: NDArray[np.float64], second: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Kendall's τ-b with a weight per item: a pair counts as the product of its items' weights.

    Equal weights give ``scipy.stats.kendalltau``.

    Args:
        first: (n,) figures.
        second: (n,) figures.
        weights: (..., n), not negative.

    Returns:
        (...,) in −1..1; NaN where all items of one side are tied.

    Example:
        >>> weighted_tau(np.array([1., 2., 3.]), np.array([1., 3., 2.]), np.ones(3))  # 2 pairs agree, 1 does not
        array(0.33333333)
    """
    upper = np.triu_indices(len(first), k=1)
    one, two = (np.sign(values[upper[0]] - values[upper[1]]) for values in (first, second))
    pairs = weights[..., upper[0]] * weights[..., upper[1]]
    agree, of_one, of_two = (pairs @ products for products in (one * two, one * one, two * two))
    scale = np.sqrt(of_one * of_two)
    return np.divide(agree, scale, out=np.full_like(scale, np.nan), where=scale > 0)


def tau_interval(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    *,
    weights: NDArray[np.float64] | None = None,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Kendall's τ-b and its 95 % percentile interval over resampled items.

    A pair of an item with itself, which only a resample has, is no pair.

    Args:
        first: (n,) figures.
        second: (n,) figures.
        weights: (n,), of the items; None counts all alike.
        seed: of the resamples.
    """
    size = len(first)
    own = np.ones(size) if weights is None else weights
    drawn = numpy_generator(seed, "tau").multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    at_once = max(1, _PAIRS_AT_ONCE // max(1, size * (size - 1) // 2))
    parts = [own * drawn[start : start + at_once] for start in range(0, RESAMPLES, at_once)]
    taus = np.concatenate([weighted_tau(first, second, part) for part in parts])
    finite = taus[np.isfinite(taus)]
    tau = float(weighted_tau(first, second, own))
    if not finite.size:
        return tau, math.nan, math.nan
    low, high = np.quantile(finite, [0.025, 0.975])
    return tau, float(low), float(high)
