"""How often clusters are drawn: numbers of draws, their spread, and many clusters against few."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.metrics.weights import MANY_CLUSTERS, _draw_few, _draw_many, draw_weights


@pytest.mark.parametrize("sizes", [[1], [3, 500, 1], [MANY_CLUSTERS + 1, 7], [20_000]])
def test_every_stratum_is_drawn_as_often_as_it_has_clusters(sizes):
    strata = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    weights = draw_weights(strata, replicates=9, generator=np.random.default_rng(1))
    assert weights.dtype == np.int16
    for stratum, size in enumerate(sizes):
        assert np.all(weights[strata == stratum].sum(axis=0) == size)


@pytest.mark.parametrize("draw", [_draw_few, _draw_many])
def test_numbers_are_multinomial(draw):
    size, replicates = 5000, 400
    weights = draw(size, replicates, np.random.default_rng(2)).astype(float)
    # 5,000 draws among 5,000: chance of 0, 1, 2, 3 draws is that of a binomial, about Poisson's
    for times, chance in enumerate([0.367843, 0.367916, 0.183958, 0.061307]):
        share = (weights == times).mean()
        assert share == pytest.approx(chance, abs=5 * np.sqrt(chance / size / replicates))
    # what a statistic of all clusters varies by: Σ(v − mean)²
    values = np.linspace(-1, 1, size) ** 3
    assert (values @ weights).std() == pytest.approx(np.sqrt((values**2).sum()), rel=5 / np.sqrt(2 * replicates))
    assert (values @ weights).mean() == pytest.approx(0, abs=5 * np.sqrt((values**2).sum() / replicates))


def test_the_same_seed_draws_the_same():
    strata = np.zeros(6000, dtype=np.int64)
    first, second = (draw_weights(strata, replicates=3, generator=np.random.default_rng(0)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
