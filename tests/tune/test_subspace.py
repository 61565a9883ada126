"""A subspace holds the trained head, and heads as far around it as the whole space does."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import ConfigError
from mindgap.tune.subspace import random_subspace

START, SPREAD = np.linspace(-1, 1, 300), np.linspace(0.5, 2, 300)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_its_directions_are_orthonormal_and_its_origin_the_trained_head(kind):
    found = random_subspace(START, SPREAD, dim=7, kind=kind, seed=3)
    assert np.array_equal(found.expand(np.zeros((1, 7)))[0], START)
    rows = (found.expand(np.eye(7)) - START) / SPREAD
    np.testing.assert_allclose(rows @ rows.T, np.eye(7), atol=1e-6)
    assert (np.count_nonzero(rows, axis=0) == (7 if kind == "dense" else 1)).all()


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_points_are_combined_linearly(kind):
    found = random_subspace(START, SPREAD, dim=5, kind=kind)
    z = np.random.default_rng(0).standard_normal((4, 5))
    rows = found.expand(np.eye(5)) - START
    np.testing.assert_allclose(found.expand(z), START + z @ rows, atol=1e-5)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_offsets_are_as_long_as_in_the_whole_space(kind):
    found = random_subspace(START, SPREAD, kind=kind)
    z = np.random.default_rng(0).standard_normal((400, 64)) * found.z_spread
    squares = (((found.expand(z) - START) / SPREAD) ** 2).sum(axis=1)
    assert squares.mean() == pytest.approx(300, rel=0.05)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_seed_alone_decides_the_directions(kind):
    z = np.ones((1, 8))
    one, same, other = (random_subspace(START, SPREAD, dim=8, kind=kind, seed=seed).expand(z) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.allclose(one, other)


def test_few_weights_have_all_their_dimensions():
    found = random_subspace(START[:3], SPREAD[:3], dim=3)
    rows = (found.expand(np.eye(3)) - START[:3]) / SPREAD[:3]
    assert np.linalg.matrix_rank(rows) == 3


@pytest.mark.parametrize(("size", "dim"), [(300, 65), (300, 0), (3, 4)])
def test_too_many_directions_are_refused(size, dim):
    with pytest.raises(ConfigError, match=f"subspace={dim}: need 1 to {min(64, size)}"):
        random_subspace(START[:size], SPREAD[:size], dim=dim)
