"""The smallest gap of one group that lifts U beyond its noise floor with 80 % power, by simulation.

Of one attribute, one group h has the accuracy A − δ in every class and all others have A; then, over the rows,
U = Σ_g |A_g − Ā| = δ(1 − w_h) + (G − 1) δ w_h, w_h being its share (Sheng et al. 2024, eq. 1). The number of right
images of a group is drawn with its real clusters: with probability ICC a cluster is right or wrong as a whole, else
each of its images by itself, which makes the correlation of two images of a cluster the ICC. The floor is that of the
audit: groups exchanged within each class, so class c has the accuracy r_c = A − δ n_hc/n_c, and group g, keeping its
classes, the mean μ_g = Σ_c (n_gc/n_g) r_c. Its draws are those at A, with their deviations scaled by
sqrt(μ_g(1 − μ_g) / (A(1 − A))): one set of draws serves every δ. The power is the share of draws of U beyond the
floor's 95 % point; δ is found by bisection on draws with one seed.

Assumed: A is the same in every class; clusters of one size behave alike in all groups; a cluster's images in different
groups are drawn apart. Holm's adjustment over several attributes asks for more than is said here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mindgap.audit.detectable_gap import POWER
from mindgap.core.seed import derive_seed
from mindgap.metrics.counts import Floats, Integers

REPLICATES = 4000
_MOST_CELLS = 120_000
_FEWEST = 1000
_HALVINGS = 11


@dataclass(frozen=True)
class DetectableUnfairness:
    """What U would show if one group alone were worse.

    Attributes:
        worse_by: δ, how much lower its accuracy must be; NaN if not even a group that is always wrong would show.
        true: U of the population at that δ.
        expected: mean of the observed U at that δ, which chance makes larger.
        noise_p95: the floor's 95 % point there.
    """

    worse_by: float
    true: float
    expected: float
    noise_p95: float


@dataclass(frozen=True, eq=False)
class UnfairnessSimulation:
    """Draws of the group accuracies of one attribute.

    Attributes:
        support: int64 (G, C), images of each group and class, every group with images.
        cluster_sizes: for every group, the sizes of its clusters and how many have that size, int64 (2, S).
        accuracy: A in 0..1, exclusive.
        icc: correlation of two images of a cluster, in 0..1.
        seed: of all draws.
    """

    support: Integers
    cluster_sizes: tuple[Integers, ...]
    accuracy: float
    icc: float
    seed: int

    @staticmethod
    def of(
        labels: Integers, group_ids: Integers, clusters: Integers, *, accuracy: float, icc: float, seed: int
    ) -> UnfairnessSimulation:
        """The simulation over rows of known group, int64 (n,) each; groups are 0..G-1, all with images."""
        groups, classes = int(group_ids.max()) + 1, int(labels.max()) + 1
        support = np.bincount(group_ids * classes + labels, minlength=groups * classes).reshape(groups, classes)
        sizes = tuple(
            np.stack(np.unique(np.unique(clusters[group_ids == g], return_counts=True)[1], return_counts=True))
            for g in range(groups)
        )
        return UnfairnessSimulation(support.astype(np.int64), sizes, accuracy, icc, seed)

    @property
    def sizes(self) -> Integers:
        """Int64 (G,): images of each group."""
        return self.support.sum(axis=1)

    @property
    def replicates(self) -> int:
        """How many draws: fewer for very many groups."""
        return int(min(REPLICATES, max(_FEWEST, _MOST_CELLS // len(self.support))))

    def chance(self) -> tuple[float, float]:
        """Mean and 95 % point of U if all groups have the accuracy A: what chance alone gives."""
        floor = self._unfairness(self._accuracies("floor"))
        return float(floor.mean()), float(np.quantile(floor, 0.95))

    def detectable(self, group: int) -> DetectableUnfairness:
        """The smallest δ of a group that lifts U beyond the floor with 80 % power."""
        floor, real = self._accuracies("floor"), self._accuracies("real")
        low, high = 0.0, self.accuracy
        at_high = self._power(group, high, floor, real)
        if at_high[0] < POWER:
            return DetectableUnfairness(math.nan, math.nan, math.nan, math.nan)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            at_middle = self._power(group, middle, floor, real)
            if at_middle[0] >= POWER:
                high, at_high = middle, at_middle
            else:
                low = middle
        share = float(self.sizes[group] / self.sizes.sum())
        true = high * (1 - share) + (len(self.support) - 1) * high * share
        return DetectableUnfairness(high, true, at_high[1], at_high[2])

    def _power(self, group: int, delta: float, floor: Floats, real: Floats) -> tuple[float, float, float]:
        """Power, mean U and the floor's 95 % point at a δ, from the draws (R, G) at A."""
        edge = float(np.quantile(self._unfairness(self._floor_at(group, delta, floor)), 0.95))
        changed = real.copy()
        changed[:, group] = self._draw(group, self.accuracy - delta, "real")
        found = self._unfairness(changed)
        return float((found > edge + 1e-12).mean()), float(found.mean()), edge

    def _floor_at(self, group: int, delta: float, floor: Floats) -> Floats:
        """The floor's draws, float64 (R, G), if the group is worse by δ."""
        class_sizes = self.support.sum(axis=0)
        rates = self.accuracy - delta * self.support[group] / np.maximum(class_sizes, 1)
        means = self.support @ rates / self.sizes
        scale = np.sqrt(means * (1 - means) / (self.accuracy * (1 - self.accuracy)))
        return means + (floor - self.accuracy) * scale

    def _unfairness(self, accuracies: Floats) -> Floats:
        """U, float64 (R,), of accuracies (R, G)."""
        overall = accuracies @ (self.sizes / self.sizes.sum())
        return np.abs(accuracies - overall[:, None]).sum(axis=1)

    def _accuracies(self, what: str) -> Floats:
        """Draws of every group's accuracy at A, float64 (R, G)."""
        return np.stack([self._draw(g, self.accuracy, what) for g in range(len(self.support))], axis=1)

    def _draw(self, group: int, rate: float, what: str) -> Floats:
        """Draws of one group's accuracy, float64 (R,), the same for the same seed, group and purpose."""
        generator = np.random.default_rng(derive_seed(self.seed, what, group))
        hits = np.zeros(self.replicates, dtype=np.int64)
        for size, count in self.cluster_sizes[group].T.tolist():
            whole = generator.binomial(count, self.icc, size=self.replicates) if size > 1 else 0
            hits += size * generator.binomial(whole, rate, size=self.replicates)
            hits += generator.binomial(size * (count - whole), rate, size=self.replicates)
        return hits / int(self.sizes[group])
