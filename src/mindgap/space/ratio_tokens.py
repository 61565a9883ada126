"""Batch ratios as tokens: every sequence is feasible, all 0 is the natural mix, all 1 the uniform one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import groupby

from mindgap.core.errors import ConfigError, DataError

RATIO_STEPS = (Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(3, 4), Fraction(1))


def ratio_tiers(counts: Mapping[str, int]) -> tuple[tuple[str, ...], ...]:
    """Groups by size ascending, groups of one size together; a group without images is left out.

    Raises:
        DataError: a count is negative, or no group has an image.
    """
    if min(counts.values(), default=0) < 0:
        raise DataError(f"group counts must be 0 or more, got {dict(counts)}; count the training images again")
    present = sorted((name for name in counts if counts[name] > 0), key=lambda name: counts[name])
    if not present:
        raise DataError("no group has a training image; choose another attribute")
    return tuple(tuple(tied) for _, tied in groupby(present, key=lambda name: counts[name]))


def ratio_token_count(counts: Mapping[str, int]) -> int:
    """Number of ratio tokens: one less than the number of different group sizes (G − 1 without ties)."""
    return len(ratio_tiers(counts)) - 1


def ratios_from_tokens(tokens: Sequence[int], counts: Mapping[str, int]) -> dict[str, float]:
    """Batch shares o_g that a token sequence stands for, in the order of ``counts``; they sum to 1.

    Groups by size ascending, p natural shares, R_g = 1 − Σ_{h<g} o_h. Token t picks the fraction t/4 of the way from
    lowest = max(o_{g−1}, R_g·p_g/Σ_{h≥g} p_h) to highest = R_g/(groups left); the last group takes the rest. So the
    order constraint |D_g| ≤ |D_h| ⇒ o_g ≤ o_h (Sheng et al. 2024, §3.2 ②) always holds. Groups of one size share
    equally, by one token. The arithmetic is exact (fractions) until the end.

    Args:
        tokens: indices 0..4 into ``RATIO_STEPS``, ``ratio_token_count(counts)`` of them.
        counts: training images per group.

    Raises:
        ConfigError: the number of tokens does not fit, or a token is not in 0..4.
        DataError: no group has an image.

    Example:
        Two groups of 20 and 80: token 0 keeps .2, token 4 gives .5, token 2 lies half-way.
        >>> ratios_from_tokens([2], {"dark": 20, "light": 80})
        {'dark': 0.35, 'light': 0.65}
    """
    tiers = ratio_tiers(counts)
    if len(tokens) != len(tiers) - 1 or not all(0 <= token < len(RATIO_STEPS) for token in tokens):
        raise ConfigError(f"ratio tokens {list(tokens)} do not fit; give {len(tiers) - 1} numbers of 0..4")
    left_share, left_images = Fraction(1), sum(counts.values())
    left_groups = sum(len(tier) for tier in tiers)
    previous = Fraction(0)
    shares = dict.fromkeys(counts, Fraction(0))
    for tier, step in zip(tiers, [*(RATIO_STEPS[token] for token in tokens), RATIO_STEPS[-1]], strict=True):
        images = counts[tier[0]]
        lowest = max(previous, left_share * Fraction(images, left_images))
        highest = left_share / left_groups
        previous = lowest + step * (highest - lowest)
        shares.update(dict.fromkeys(tier, previous))
        left_share -= previous * len(tier)
        left_images -= images * len(tier)
        left_groups -= len(tier)
    return {name: float(share) for name, share in shares.items()}
