"""Batch generation method: batches with a chosen share of every group.

Sheng et al. 2024, §3.2 ②. A batch of size BS holds about o_g·BS images of group g (the paper's o_g·|D_g| is a slip),
and over a run the share of group g among all drawn images is exactly o_g.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.errors import ConfigError, ShapeError, near_names
from mindgap.core.seed import numpy_generator

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def parse_ratios(text: str, names: tuple[str, ...], counts: IntArray) -> FloatArray:
    """Reads ``natural``, ``uniform`` or ``female=.6,male=.4`` as one share per group.

    Args:
        text: the option's value.
        names: group names, in the order of their numbers.
        counts: int64 (G,), training images per group.

    Returns:
        float64 (G,), not negative, sum 1; a group without an image has 0.

    Raises:
        ConfigError: a group is unknown, missing or empty, a share is not a number in 0..1, or the sum is not 1.
    """
    if text == "natural":
        return counts / counts.sum()
    if text == "uniform":
        present = (counts > 0).astype(np.float64)
        return present / present.sum()
    return _checked_ratios(_shares_by_name(text, names), names, counts, said=repr(text))


def ratios_from_mapping(shares: Mapping[str, float], names: tuple[str, ...], counts: IntArray) -> FloatArray:
    """The shares of a mapping as an array; see ``parse_ratios``, whose text cannot hold every group name.

    Raises:
        ConfigError: a group is unknown, missing or empty, a share is not in 0..1, or the sum is not 1.
    """
    said = str(dict(shares))
    for name, share in shares.items():
        if name not in names:
            raise ConfigError(f"ratios {said}: no group {name!r}; {near_names(name, names)}")
        if not 0.0 <= share <= 1.0:
            raise ConfigError(f"ratios {said}: {share!r} is no share in 0..1; write .6 for 60 percent")
    return _checked_ratios(shares, names, counts, said=said)


def _checked_ratios(shares: Mapping[str, float], names: tuple[str, ...], counts: IntArray, *, said: str) -> FloatArray:
    missing = [name for name in names if name not in shares]
    if missing:
        raise ConfigError(f"ratios {said} leave out group {missing[0]!r}; name every group: {', '.join(names)}")
    ratios = np.array([shares[name] for name in names], dtype=np.float64)
    if abs(ratios.sum() - 1.0) > 1e-6:
        raise ConfigError(f"ratios {said} sum to {ratios.sum():g}; give shares that sum to 1")
    for name, ratio, count in zip(names, ratios, counts, strict=True):
        if ratio > 0 and count == 0:
            raise ConfigError(f"ratios give {ratio:g} to group {name!r}, which has no training image; give it 0")
    return ratios / ratios.sum()


def order_warning(ratios: FloatArray, names: tuple[str, ...], counts: IntArray) -> str | None:
    """One line if a smaller group gets a larger share than a larger group (BN §3.2: |D_g| ≤ |D_h| ⇒ o_g ≤ o_h)."""
    for small, large in itertools.permutations(np.argsort(counts, kind="stable"), 2):
        if counts[small] < counts[large] and ratios[small] > ratios[large] + 1e-9:
            return (
                f"ratios give the smaller group {names[small]!r} a share of {ratios[small]:g} and the larger "
                f"{names[large]!r} {ratios[large]:g}; images of the smaller group will repeat more often"
            )
    return None


class BatchPlan:
    """Index batches with exact long-run shares, the same for the same arguments.

    At step t the quota of group g is o_g·BS·t. Its integer part is due, the rest of the batch goes to the largest
    remainders; what is too much (a group already ahead, or held up by ``min_per_group``) is taken from the largest
    group. Within a group images come without replacement until all were used, then in a new order. Images without the
    attribute are a stratum of their own at their natural share. An epoch is ⌈n/BS⌉ batches; quotas run across epochs.

    Attributes:
        shares: float64 (G+1,), long-run share of each group among all images, the last one for unknown.
        steps_per_epoch: batches per epoch.
    """

    def __init__(
        self,
        group_ids: IntArray,
        ratios: FloatArray | None,
        *,
        batch_size: int,
        seed: int,
        min_per_group: int = 0,
    ) -> None:
        """Plans batches over the training rows.

        Args:
            group_ids: int64 (n,), the group of each training row, -1 where unknown.
            ratios: float64 (G,), share of each group among the known; None is exactly natural.
            batch_size: images per batch.
            seed: what the orders depend on.
            min_per_group: least images of every group with a share in every batch.

        Raises:
            ShapeError: no row, or a group number without a ratio.
            ConfigError: the batch size or the minimum is not possible.
        """
        self._members = _strata(group_ids, ratios)
        sizes = np.array([len(rows) for rows in self._members])
        self.shares = _long_run_shares(sizes, ratios)
        self._minimum = np.where(self.shares > 0, min_per_group, 0)
        self._minimum[-1] = 0
        if batch_size < max(1, int(self._minimum.sum())):
            images = "1 image" if min_per_group == 1 else f"{min_per_group} images"
            raise ConfigError(
                f"batch size {batch_size} cannot hold {images} of each of {int((self._minimum > 0).sum())} groups; "
                f"raise it to {max(1, int(self._minimum.sum()))} or join groups"
            )
        self._batch_size, self._seed = batch_size, seed
        self._largest_first = [*np.argsort(-sizes[:-1], kind="stable"), len(sizes) - 1]
        self.steps_per_epoch = math.ceil(len(group_ids) / batch_size)
        self._rewind()

    def epoch(self, epoch: int) -> IntArray:
        """The batches of one epoch.

        Epochs may be asked for in any order; in rising order each costs only its own steps.

        Args:
            epoch: number of the epoch, from 0.

        Returns:
            int64 (steps_per_epoch, batch_size), positions into the training rows.
        """
        if epoch * self.steps_per_epoch < self._step:
            self._rewind()
        while self._step < epoch * self.steps_per_epoch:
            self._take_counts()
        first = self._drawn.copy()
        counts = np.stack([self._take_counts() for _ in range(self.steps_per_epoch)])
        return self._batches(counts, first)

    def state_dict(self) -> dict[str, Any]:
        """The position after the last epoch given, as plain numbers."""
        return {"step": self._step, "drawn": self._drawn.tolist()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues after the epoch at which the state was taken.

        Raises:
            ShapeError: the state belongs to a plan with other groups.
        """
        drawn = np.array(state["drawn"], dtype=np.int64)
        if drawn.shape != self._drawn.shape:
            raise ShapeError(f"batch state holds {len(drawn)} strata, this plan has {len(self._drawn)}; start anew")
        self._step, self._drawn = int(state["step"]), drawn

    def _rewind(self) -> None:
        self._step = 0
        self._drawn = np.zeros(len(self.shares), dtype=np.int64)

    def _take_counts(self) -> IntArray:
        self._step += 1
        counts = self._next_counts()
        self._drawn += counts
        return counts

    def _next_counts(self) -> IntArray:
        """int64 (G+1,), images of each stratum in the batch of the current step."""
        quota = self.shares * (self._batch_size * self._step)
        whole = np.floor(quota + 1e-9)
        remainder = np.where(self.shares > 0, np.round(quota - whole, 9), -1.0)
        missing = self._batch_size * self._step - int(whole.sum())
        whole[np.argsort(-remainder, kind="stable")[:missing]] += 1
        counts = np.maximum(whole.astype(np.int64) - self._drawn, self._minimum)
        for stratum in self._largest_first:
            excess = int(counts.sum()) - self._batch_size
            if excess <= 0:
                break
            counts[stratum] -= min(excess, int(counts[stratum] - self._minimum[stratum]))
        return counts

    def _batches(self, counts: IntArray, first: IntArray) -> IntArray:
        """Fills int64 (steps, G+1) counts from each stratum's stream, which stands at ``first``."""
        steps, batch_size = len(counts), self._batch_size
        batches = np.empty((steps, batch_size), dtype=np.int64)
        ends = counts.cumsum(axis=1)
        column = np.arange(batch_size)
        for stratum, rows in enumerate(self._members):
            place = (column < ends[:, stratum, None]) & (column >= (ends - counts)[:, stratum, None])
            if place.any():
                begin = int(first[stratum])
                batches[place] = rows[self._stream(stratum, begin, begin + int(place.sum()))]
        return batches

    def _stream(self, stratum: int, begin: int, end: int) -> IntArray:
        """Positions begin..end of a stratum's endless row of permutations."""
        size = len(self._members[stratum])
        passes = range(begin // size, (end - 1) // size + 1)
        row = np.concatenate([self._order(stratum, number) for number in passes])
        return row[begin - passes[0] * size : end - passes[0] * size]

    def _order(self, stratum: int, number: int) -> IntArray:
        generator = numpy_generator(self._seed, "batches", stratum, number)
        return generator.permutation(len(self._members[stratum])).astype(np.int64)


def _strata(group_ids: IntArray, ratios: FloatArray | None) -> list[IntArray]:
    """Rows of every group, and last the rows whose group is unknown."""
    if group_ids.ndim != 1 or group_ids.size == 0:
        raise ShapeError(f"group ids must be one number per training row, got shape {group_ids.shape}")
    groups = int(group_ids.max()) + 1 if ratios is None else len(ratios)
    if group_ids.min() < -1 or group_ids.max() >= groups:
        low, high = group_ids.min(), group_ids.max()
        raise ShapeError(f"group ids must lie in -1..{groups - 1}, got {low}..{high}; give one ratio per group")
    return [np.flatnonzero(group_ids == group) for group in [*range(groups), -1]]


def _long_run_shares(sizes: IntArray, ratios: FloatArray | None) -> FloatArray:
    natural = sizes / sizes.sum()
    if ratios is None:
        return natural
    if not np.isfinite(ratios).all() or (ratios < 0).any() or abs(ratios.sum() - 1.0) > 1e-6:
        raise ConfigError(f"group ratios must not be negative and sum to 1, got {ratios.tolist()}")
    if (ratios[sizes[:-1] == 0] > 0).any():
        raise ConfigError(f"group ratios {ratios.tolist()} ask for a group without a training row; give it 0")
    if sizes[:-1].sum() == 0:
        return natural
    return np.append(ratios / ratios.sum() * (1.0 - natural[-1]), natural[-1])


def _shares_by_name(text: str, names: tuple[str, ...]) -> dict[str, float]:
    """Reads ``GROUP=SHARE,…``; a group is found by its name, which may hold commas and equals signs."""
    shares: dict[str, float] = {}
    longest_first = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    start = re.compile(rf"\s*({longest_first})\s*=")
    left, comma = text, ","
    while comma:
        found = start.match(left)
        if found is None or found[1] in shares:
            raise ConfigError(
                f"ratios {text!r}: {left.partition(',')[0].strip()!r} is no 'GROUP=SHARE' with a new group of "
                f"{', '.join(names)}; or say natural or uniform"
            )
        number, comma, left = left[found.end() :].partition(",")
        shares[found[1]] = _share(number.strip(), text)
    return shares


def _share(number: str, text: str) -> float:
    try:
        share = float(number)
    except ValueError:
        share = math.nan
    if not 0.0 <= share <= 1.0:
        raise ConfigError(f"ratios {text!r}: {number!r} is no share in 0..1; write .6 for 60 percent")
    return share
