"""Which labels have enough rows of every group for a figure of underestimation to mean anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mindgap.core.groups import Groups

MIN_ROWS = 20


def refused_labels(
    labels: Mapping[str, NDArray[np.uint8]],
    groups: Mapping[str, Groups],
    *,
    names: Sequence[str],
    min_rows: int = MIN_ROWS,
) -> dict[str, str]:
    """The labels that cannot be tuned, with the reason.

    A label needs as many positives and negatives in every group of every part: with fewer, one row more or less
    decides what the group's predicted share is.

    Args:
        labels: uint8 (n, L) of every part, such as ``validation`` and ``test``.
        groups: of the same parts.
        names: of the L labels.
        min_rows: the least number of positives and of negatives.

    Returns:
        Reason by label name, such as ``validation: 3 positives in group 'b', needs 20``; the others can be tuned.
    """
    refused: dict[str, str] = {}
    for part, given in labels.items():
        of = groups[part]
        known = of.known
        size = len(of.names)
        rows = np.bincount(of.ids[known], minlength=size)
        member = np.eye(size)[of.ids[known]]
        positives = (member.T @ given[known]).astype(np.int64)
        for column, name in enumerate(names):
            reason = _lack(positives[:, column], rows, of.names, min_rows)
            if reason is not None:
                refused.setdefault(name, f"{part}: {reason}, needs {min_rows}")
    return refused


def _lack(positives: NDArray[np.int64], rows: NDArray[np.int64], names: Sequence[str], min_rows: int) -> str | None:
    for kind, counts in (("positives", positives), ("negatives", rows - positives)):
        least = int(counts.argmin())
        if counts[least] < min_rows:
            return f"{int(counts[least])} {kind} in group {names[least]!r}"
    return None
