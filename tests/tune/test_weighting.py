"""Dynamic weighting is eqs. 7 and 8."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.core.errors import ShapeError
from mindgap.tune.weighting import DynamicWeighting, make_weighting

A, U = np.array([[0.9, 0.8]]), np.array([[0.15, 0.05]])


def test_the_sums_by_hand():
    found = DynamicWeighting().of(A, U)
    np.testing.assert_allclose(found, [[-(0.9 / 0.2 + 0.8 / 0.1), 0.15 / 0.95 + 0.05 / 0.85]])


def test_base_weights_are_those_of_the_trained_head():
    base = make_weighting("base", np.array([0.5, 0.6]), np.array([0.05, 0.15]))
    np.testing.assert_allclose(base.of(A, U), [[-(0.9 / 0.1 + 0.8 / 0.2), 0.15 / 0.55 + 0.05 / 0.65]])


def test_own_weights_of_the_trained_head_are_the_base_weights():
    own, base = make_weighting("own", A[0], U[0]), make_weighting("base", A[0], U[0])
    np.testing.assert_array_equal(own.of(A, U), base.of(A, U))


def test_a_label_without_underestimation_stays_finite():
    found = DynamicWeighting().of(np.ones((1, 2)), np.zeros((1, 2)))
    np.testing.assert_allclose(found, [[-40.0, 0.0]])


def test_heads_are_weighed_apart():
    both = DynamicWeighting().of(np.vstack([A, A / 2]), np.vstack([U, U * 2]))
    np.testing.assert_array_equal(both[:1], DynamicWeighting().of(A, U))
    np.testing.assert_array_equal(both[1:], DynamicWeighting().of(A / 2, U * 2))


def test_another_number_of_labels_is_refused():
    base = make_weighting("base", np.ones(3), np.zeros(3))
    with pytest.raises(ShapeError, match=r"the weights are of \(3,\)"):
        base.of(A, U)
    with pytest.raises(ShapeError):
        DynamicWeighting().of(A, U[:, :1])
