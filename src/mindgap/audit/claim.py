"""What a paper claims of two networks, held against what was measured: shown, not shown, or undecidable here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mindgap.audit.comparison_verdict import LEVEL, NO_P, TOO_FEW
from mindgap.core.errors import ConfigError

SHOWN, NOT_SHOWN, UNDECIDABLE = "shown", "not shown", "undecidable at this n"
Direction = Literal["smaller", "larger"]
_SIGN: dict[Direction, float] = {"smaller": -1.0, "larger": 1.0}


@dataclass(frozen=True)
class Judged:
    """A verdict and why.

    Attributes:
        verdict: ``shown``, ``not shown`` or ``undecidable at this n``.
        why: what of the interval it rests on.
    """

    verdict: str
    why: str


def check_claim(direction: Direction, *, published: float | None, margin: float | None) -> None:
    """Refuses a claim that contradicts itself; see ``judge_claim``.

    Raises:
        ConfigError: the published size has the other direction, or the margin is not above 0.
    """
    if margin is not None and margin <= 0:
        raise ConfigError(f"margin={margin}: give the largest loss, above 0")
    if margin is None and published is not None and _SIGN[direction] * published <= 0:
        raise ConfigError(f"published={published}: a change to a {direction} figure is claimed; mend the sign")


def judge_gap(
    p_values: Sequence[float | None], *, permutations: int, level: float = LEVEL, together: int = 1
) -> Judged:
    """Holds a gap, once per seed, against the claim that it is more than chance.

    *Shown* where the permutation p of every seed is at most the level, *not shown* where none is, else *undecidable*:
    then it depends on the training. So it is where there are too few permutations for so small a p. The p-values are
    adjusted for so many that are judged ``together``.
    """
    if (1 + permutations) * level < together:
        adjusted = f" after adjustment for {together}" if together > 1 else ""
        return Judged(UNDECIDABLE, f"{permutations} permutations cannot give a p of {level} or less{adjusted}")
    known = [p for p in p_values if p is not None]
    if len(known) < len(p_values) or not known:
        return Judged(UNDECIDABLE, "it is undefined, or has no noise floor")
    beyond = sum(p <= level for p in known)
    if beyond == len(known):
        return Judged(SHOWN, "beyond chance in every seed" if len(known) > 1 else "beyond chance")
    verdict = UNDECIDABLE if beyond else NOT_SHOWN
    return Judged(verdict, f"beyond chance in {beyond} of {len(known)} seeds")


def judge_claim(
    difference: Mapping[str, Any],
    *,
    direction: Direction,
    published: float | None,
    margin: float | None = None,
    by_seed: Sequence[float | None] = (),
    permutations: int = 0,
) -> Judged:
    """Holds a difference with its interval against a claim.

    A claim of a change is *shown* where the whole interval lies on the claimed side of 0. It is *not shown* where the
    whole interval lies on the other side, or where it ends before the published size of the change: then so large a
    change is ruled out. An interval that has both 0 and the published size in it cannot tell them apart:
    *undecidable*. Without a published size only the other side is "not shown". What the interval would show is
    *undecidable* where the swap test, its p adjusted for what is judged together, does not find it beyond chance too.

    A claim of no loss, with a margin, is *shown* where the whole interval is better than a loss of the margin, *not
    shown* where all of it is worse, else *undecidable*.

    The interval is about the images and knows nothing of training again. So what it would show is *undecidable* where
    the difference of one seed does not lie on the claimed side of 0, or of the margin.

    Args:
        difference: ``value``, ``low``, ``high`` and ``reason`` of the claimed figure, other less baseline; of one that
            was tested ``p_value`` and ``p_holm`` too, None without swaps.
        direction: of the change that is claimed, or, with a margin, the direction that is better.
        published: the published difference, signed as ``difference``; None where none is published.
        margin: largest loss, above 0, of a claim of no loss; None for a claim of a change.
        by_seed: the same difference of every seed, None where it is undefined.
        permutations: swaps behind the p-values.

    Raises:
        ConfigError: the published size has the other direction, or the margin is not above 0.

    Example:
        An accuracy difference that fell by .02 [-.05, .01] where .05 was published: undecidable; by .02 [-.03, -.01]:
        shown; by .01 [-.02, .01]: not shown, as -.05 lies outside.
    """
    check_claim(direction, published=published, margin=margin)
    sign = _SIGN[direction]
    low, high = difference.get("low"), difference.get("high")
    if low is None or high is None:
        return Judged(UNDECIDABLE, str(difference.get("reason") or "it has no interval"))
    least, most = sorted((sign * float(low), sign * float(high)))  # of the change in the claimed direction
    if margin is not None:
        found = _no_loss(least, most, margin)
    else:
        found = _tested(_change(least, most, None if published is None else sign * published), difference, permutations)
    known = [sign * one for one in by_seed if one is not None]
    against = sum(one <= -(margin or 0.0) for one in known)
    if found.verdict == SHOWN and against:
        return Judged(UNDECIDABLE, f"{found.why}, but {against} of {len(known)} seeds do not")
    return found


def _change(least: float, most: float, size: float | None) -> Judged:
    if least > 0:
        return Judged(SHOWN, "the whole interval lies on the claimed side of 0")
    if most < 0:
        return Judged(NOT_SHOWN, "the whole interval lies on the other side of 0")
    if size is None:
        return Judged(UNDECIDABLE, "the interval has 0 in it")
    if most < size:
        return Judged(NOT_SHOWN, "the interval has 0 in it and ends before the published size")
    return Judged(UNDECIDABLE, "the interval has both 0 and the published size in it")


def _tested(found: Judged, difference: Mapping[str, Any], permutations: int) -> Judged:
    """What the interval shows, if the swap test does too."""
    if found.verdict != SHOWN or "p_holm" not in difference:
        return found
    p = difference["p_holm"]
    if p is not None and p <= LEVEL:
        return found
    if p is None:
        return Judged(UNDECIDABLE, f"{found.why}, but {NO_P}")
    reached = difference["p_value"] * (1 + permutations) > 1 + 1e-9
    doubt = f"p = {p:.3f} (swap test, adjusted)" if reached else TOO_FEW
    return Judged(UNDECIDABLE, f"{found.why}, but {doubt}")


def _no_loss(least: float, most: float, margin: float) -> Judged:
    if least > -margin:
        return Judged(SHOWN, f"the whole interval is better than a loss of {margin:.3f}")
    if most < -margin:
        return Judged(NOT_SHOWN, f"the whole interval is worse than a loss of {margin:.3f}")
    return Judged(UNDECIDABLE, f"the interval has a loss of {margin:.3f} in it")
