"""The made problems are those of the literature."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.metrics.pareto import non_dominated
from mindgap.testing.made_problems import PROBLEMS


@pytest.mark.parametrize("name", sorted(PROBLEMS))
def test_objectives_constraints_and_front_equal_pymoos(name: str) -> None:
    problems = pytest.importorskip("pymoo.problems")
    made, theirs = PROBLEMS[name](), problems.get_problem(name)
    np.testing.assert_array_equal(made.low, theirs.xl)
    np.testing.assert_array_equal(made.high, theirs.xu)
    points = np.random.default_rng(0).uniform(made.low, made.high, (500, len(made.low)))
    objectives, violations = made.judge(points)
    expected = theirs.evaluate(points, return_as_dictionary=True)
    np.testing.assert_allclose(objectives, expected["F"], rtol=1e-9)
    missed = np.asarray(expected.get("G", np.zeros((500, 1)))) > 1e-12
    np.testing.assert_array_equal(violations > 0, missed.any(axis=1))
    front = theirs.pareto_front()
    assert made.hypervolume(front) == pytest.approx(1, abs=0.015)
    assert non_dominated(made.front()[::100], maximize=(False, False)).all()
    assert made.hypervolume(made.front()) == 1


def test_hypervolumes_by_hand() -> None:
    # of ZDT2 the box from (0, 1) to (1.1, 1.1) is .11; under the front lie 1.1² − ∫ (1 − x²) dx = 1.21 − 2/3
    assert PROBLEMS["zdt2"]().hypervolume(np.array([[0.0, 1.0]])) == pytest.approx(0.11 / (1.21 - 2 / 3), abs=1e-3)
