"""On a set with a planted underestimation the problem shows it, and a search finds heads without it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError, DataError
from mindgap.core.groups import Groups
from mindgap.metrics.metric import METRICS
from mindgap.metrics.pareto import non_dominated
from mindgap.testing.planted_underestimation import planted_underestimation
from mindgap.tune.cells import make_cells
from mindgap.tune.choice import choose_by_rule
from mindgap.tune.objectives import make_objectives
from mindgap.tune.problem import DynamicObjectives, LabelsObjectives, TaskObjectives, make_problem
from mindgap.tune.subspace import random_subspace
from mindgap.tune.thresholds import threshold_front
from mindgap.tune.trained_head import trained_head
from mindgap.tune.weighting import DynamicWeighting


def parts(planted, label=None, **options):
    classifier = nn.Linear(planted.features.shape[1], planted.labels.shape[1])
    with torch.no_grad():
        classifier.weight.copy_(torch.from_numpy(planted.weight))
        classifier.bias.copy_(torch.from_numpy(planted.bias))
    cells = make_cells(planted.labels, planted.groups, classes=tuple("xyzuvw")[: planted.labels.shape[1]])
    trained = trained_head(classifier, outputs=None if label is None else [label])
    cells = cells if label is None else cells.task(label)
    return make_problem(trained, torch.from_numpy(planted.features), cells, **options), trained


@pytest.fixture(scope="module")
def planted():
    return planted_underestimation(4000, features=12, seed=1)


def test_the_planted_score_is_there():
    planted = planted_underestimation(100_000, score=0.6, seed=0)
    problem, _ = parts(planted)
    counts = problem.counts(problem.start[None])
    for label in range(2):
        observed = problem.cells.observed(label)
        scores = METRICS.get("underestimation")().rates(observed.replicates(counts[0, label]))[:, 1]
        np.testing.assert_allclose(scores, [1.0, 0.6], atol=0.02)
    assert planted.score == 0.6


def test_random_heads_lower_the_underestimation_of_the_planted_set(planted):
    problem, _ = parts(planted, label=0)
    judge = TaskObjectives(problem, make_objectives())
    generator = np.random.default_rng(0)
    offsets = generator.standard_normal((3000, problem.head.dim)) * generator.random((3000, 1))
    points = np.vstack([problem.start, problem.start + problem.spread * offsets])
    values = judge(points)
    front = np.flatnonzero(non_dominated(values, [False, False]))
    chosen = front[choose_by_rule(1 - values[front, 0], values[front, 1], trained_accuracy=1 - values[0, 0]).index]
    assert values[0, 1] > 0.05
    assert values[chosen, 1] < values[0, 1] / 4
    assert values[chosen, 0] <= values[0, 0] + 0.05
    thresholds = threshold_front(
        planted.features[:, 0] + planted.bias[0], planted.labels[:, 0], planted.groups, make_objectives()
    )
    assert values[chosen, 1] < thresholds.objectives[:, 1].min()  # they cannot tell the groups apart


def test_points_of_a_subspace_are_judged_as_the_heads_they_are(planted):
    _, trained = parts(planted)
    spread = trained.spread(torch.from_numpy(planted.features[planted.groups.known]))
    subspace = random_subspace(trained.vector, spread, dim=5, seed=3)
    problem, _ = parts(planted, directions=5, seed=3)
    plain, _ = parts(planted)
    z = np.random.default_rng(0).standard_normal((7, 5))
    assert np.array_equal(problem.counts(z), plain.counts(subspace.expand(z)))
    assert np.array_equal(problem.heads(problem.start[None])[0], trained.vector)
    assert problem.spread.shape == problem.start.shape == (5,)


def test_a_label_alone_is_judged_as_among_others(planted):
    together, _ = parts(planted)
    alone, _ = parts(planted, label=1)
    figures = together.figures(("accuracy", "uei"), together.start[None])
    assert np.array_equal(alone.figures(("accuracy", "uei"), alone.start[None])[:, 0], figures[:, 1])


def test_swarms_of_labels_together_are_judged_as_each_alone(planted):
    problem, _ = parts(planted)
    together = LabelsObjectives(problem, make_objectives())
    starts, spreads = together.split(problem.start), together.split(problem.spread)
    points = [
        start + spread * np.random.default_rng(3).standard_normal((8, 13))
        for start, spread in zip(starts, spreads, strict=True)
    ]
    found = together(points)
    for label in range(2):
        alone, trained = parts(planted, label=label)
        assert np.array_equal(starts[label], trained.vector)
        np.testing.assert_allclose(spreads[label], alone.spread)
        np.testing.assert_allclose(found[label], TaskObjectives(alone, make_objectives())(points[label]), atol=1e-3)


def test_labels_are_not_judged_together_in_a_subspace(planted):
    with pytest.raises(ConfigError, match="outside a subspace"):
        LabelsObjectives(parts(planted, directions=4)[0], make_objectives())


def test_a_small_head_has_no_more_directions_than_numbers(planted):
    problem, trained = parts(planted, label=0, directions=64)
    assert problem.spread.shape == (trained.head.dim,) == (13,)


@pytest.mark.parametrize("weights", ["own", "base"])
def test_dynamic_objectives_are_the_weighted_sums_of_the_labels_figures(planted, weights):
    problem, _ = parts(planted)
    points = problem.start + problem.spread * np.random.default_rng(0).standard_normal((6, problem.head.dim))
    figures = problem.figures(("accuracy", "uei"), points)
    base = problem.figures(("accuracy", "uei"), problem.start[None])[0]
    weighting = DynamicWeighting() if weights == "own" else DynamicWeighting(1 - base[:, 0], base[:, 1])
    found = DynamicObjectives(problem, weights=weights)(points)
    np.testing.assert_allclose(found, weighting.of(1 - figures[..., 0], figures[..., 1]))


def test_many_points_are_judged_in_parts_as_at_once(planted, monkeypatch):
    problem, _ = parts(planted)
    points = problem.start + np.random.default_rng(0).standard_normal((9, problem.head.dim))
    whole = problem.counts(points)
    monkeypatch.setattr("mindgap.tune.problem.CHUNK_FLOATS", 2 * problem.head.dim)
    assert np.array_equal(problem.counts(points), whole)


def test_features_that_are_all_the_same_are_refused():
    planted = planted_underestimation(50)
    planted.features[:] = 1
    with pytest.raises(DataError, match="all 45 rows to tune on have the same features"):
        parts(planted)


def test_rows_without_a_group_are_refused():
    planted = planted_underestimation(50)
    cells = make_cells(planted.labels, Groups("g", ("a",), np.full(50, -1)), classes=("x", "y"))
    with pytest.raises(DataError, match="no row to tune on has a known group"):
        make_problem(trained_head(nn.Linear(32, 2)), torch.from_numpy(planted.features), cells)


def test_a_vector_that_is_not_finite_is_no_candidate(planted):
    problem, _ = parts(planted, label=0)
    points = np.stack([problem.start, np.where(np.arange(13) == 3, np.nan, problem.start), problem.start])
    values = TaskObjectives(problem, make_objectives())(points)
    assert np.isnan(values[1]).all()
    np.testing.assert_array_equal(values[0], values[2])
