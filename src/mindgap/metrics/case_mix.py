"""The split of a group's distance from the overall accuracy into its case mix and the rest.

A_g − A = [Σ_c P(c|g) A_c − A] + [Σ_c P(c|g) (A_gc − A_c)], A_c being the accuracy of class c over all groups: what the
group's classes alone would make of it, and how the group differs from others of the same class (indirect
standardisation). A class that a group lacks has weight 0 there, so nothing is left out.
"""

from __future__ import annotations

import numpy as np

from mindgap.metrics.counts import Floats, GroupCounts, divide


def case_mix_deviations(counts: GroupCounts) -> Floats:
    """Σ_c P(c|g) A_c − A, float64 (..., G); NaN for an empty group.

    With A_c of .9 and .6, a group of which 5/6 are of the first class is expected at .85; if A is .75, that is .1.
    """
    return _expected_accuracy(counts) - counts.overall_accuracy[..., None]


def within_class_deviations(counts: GroupCounts) -> Floats:
    """Σ_c P(c|g) (A_gc − A_c), which is A_g − Σ_c P(c|g) A_c, float64 (..., G); NaN for an empty group."""
    return counts.accuracy - _expected_accuracy(counts)


def _expected_accuracy(counts: GroupCounts) -> Floats:
    """Σ_c P(c|g) A_c, float64 (..., G)."""
    by_class = np.nan_to_num(divide(counts.hits.sum(axis=-2), counts.support.sum(axis=-2)))
    shares = divide(counts.support, counts.sizes[..., None])
    return (shares * by_class[..., None, :]).sum(axis=-1)
