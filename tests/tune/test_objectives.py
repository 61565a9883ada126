"""The objectives of a swarm are the metrics of every head's predictions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, DataError, ShapeError
from mindgap.core.groups import Groups
from mindgap.metrics.counts import GroupCounts, count_rows
from mindgap.metrics.metric import METRICS
from mindgap.tune.cells import make_cells
from mindgap.tune.head import LinearHead
from mindgap.tune.objectives import make_objectives, objective, objective_names

NAMES = ("accuracy", "uei", "unfairness", "equalized_odds_abs_mean", "worst_group_accuracy", "underestimation")


def made(n, *, tasks, groups=3, unknown=True, seed=0):
    """Features that are logits, so that heads are easy to judge by hand, with labels and groups."""
    generator = np.random.default_rng(seed)
    features = torch.from_numpy(generator.standard_normal((n, 4)).astype(np.float32))
    labels = generator.integers(0, 2, (n, tasks)).astype(np.uint8)
    low = -1 if unknown else 0
    return features, labels, Groups("g", tuple("abcd")[:groups], generator.integers(low, groups, n))


def one_by_one(name, labels, predicted, groups, classes):
    """The metric on one head's predictions, by the definitions."""
    counts = count_rows(labels, predicted, groups.ids, groups=groups.names, classes=classes)
    metric = METRICS.get(name)()
    if name == "underestimation":
        return np.mean(np.abs(np.log((counts.selected[:, 1] + 0.5) / (counts.support[:, 1] + 0.5))))
    if name == "accuracy":
        known = groups.known
        return 1 - (labels == predicted)[known].mean()
    value = metric.value(counts, counts)
    return 1 - value if metric.direction == "larger" else value


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 3), st.integers(0, 99))
def test_every_heads_objectives_are_its_metrics(tasks, particles, groups, seed):
    features, labels, of = made(60, tasks=tasks, groups=groups, seed=seed)
    head = LinearHead(4, tasks)
    vectors = torch.from_numpy(np.random.default_rng(seed).standard_normal((particles, head.dim)).astype(np.float32))
    cells = make_cells(labels, of, classes=tuple("xyz")[:tasks])
    counts = cells.counts(head, vectors, features)
    for task in range(tasks):
        observed = cells.observed(task)
        for name in NAMES:
            values = objective(name, GroupCounts(counts[:, task], of.names, ("0", "1")), observed)
            for vector, value in zip(vectors, values, strict=True):
                line = vector.view(tasks, 5)[task]
                predicted = (features.double() @ line[:4].double() + line[4].double() > 0).long().numpy()
                expected = one_by_one(name, labels[:, task].astype(np.int64), predicted, of, ("0", "1"))
                np.testing.assert_allclose(value, expected, rtol=1e-12, equal_nan=True)


def test_a_single_label_tasks_counts_are_those_of_the_largest_logit():
    generator = np.random.default_rng(0)
    features, _, of = made(80, tasks=1)
    labels = generator.integers(0, 3, 80)
    head, vectors = LinearHead(4, 3), torch.randn(6, 15, generator=torch.Generator().manual_seed(0))
    cells = make_cells(labels, of, classes=("x", "y", "z"))
    counts = cells.counts(head, vectors, features)
    assert counts.shape == (6, 1, 3, 3, 3)
    for vector, found in zip(vectors, counts[:, 0], strict=True):
        lines = vector.view(3, 5)
        predicted = (features @ lines[:, :4].T + lines[:, 4]).argmax(dim=1).numpy()
        expected = count_rows(labels, predicted, of.ids, groups=of.names, classes=("x", "y", "z"))
        assert np.array_equal(found, expected.counts)
    assert np.array_equal(cells.observed().support, expected.support)


def test_uei_is_the_square_root_of_half_the_squared_differences_by_hand():
    counts = np.array([[[23.0, 2], [11, 14]], [[20, 5], [5, 20]]])  # docs/metrics/uei.md
    of = GroupCounts(counts, ("a", "b"), ("0", "1"))
    expected = math.sqrt(((math.sqrt(0.34) - 0.5) ** 2 + (math.sqrt(0.16) - 0.5) ** 2) / 2)
    assert objective("uei", of, of) == pytest.approx(expected)
    assert objective("underestimation", of, of) == pytest.approx(abs(math.log(16.5 / 25.5)) / 2)
    assert objective("accuracy", of, of) == pytest.approx(0.23)
    assert objective("worst_group_accuracy", of, of) == pytest.approx(1 - 37 / 50)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(0, 999))
def test_uei_is_zero_for_the_right_shares_and_at_most_one(seed):
    features, labels, of = made(40, tasks=1, groups=2, seed=seed)
    cells = make_cells(labels, of, classes=("x",))
    head = LinearHead(4, 1)
    vectors = torch.randn(3, 5, generator=torch.Generator().manual_seed(seed))
    observed = cells.observed()
    assert objective("uei", observed, observed) == 0
    values = objective("uei", GroupCounts(cells.counts(head, vectors, features)[:, 0], of.names, ("0", "1")), observed)
    assert ((values >= 0) & (values <= 1)).all()


def test_rows_of_unknown_group_are_in_no_count():
    features, labels, of = made(50, tasks=1)
    known = np.flatnonzero(of.known)
    head, vectors = LinearHead(4, 1), torch.randn(2, 5, generator=torch.Generator().manual_seed(0))
    whole = make_cells(labels, of, classes=("x",)).counts(head, vectors, features)
    part = make_cells(labels[known], of.take(known), classes=("x",)).counts(head, vectors, features[known])
    assert np.array_equal(whole, part)
    assert 0 < whole[0].sum() == len(known) < 50


def test_an_objective_without_rows_of_a_group_is_nan_with_a_reason():
    labels = np.array([[1], [0], [1], [0]], dtype=np.uint8)
    empty = make_cells(labels, Groups("g", ("a", "b"), np.zeros(4, dtype=np.int64)), classes=("x",)).observed()
    objectives = make_objectives(["accuracy", "uei"])
    assert objectives.reasons(empty) == {"uei": "group 'b' has no rows"}
    with pytest.raises(DataError, match=r"label x: uei is undefined \(group 'b' has no rows\)"):
        objectives.check(empty, what="label x")


def test_a_group_without_positives_has_no_score():
    labels = np.array([[1], [0], [0], [0]], dtype=np.uint8)
    of = Groups("g", ("a", "b"), np.array([0, 0, 1, 1]))
    observed = make_cells(labels, of, classes=("x",)).observed()
    names = ["underestimation", "equalized_odds_abs_mean", "accuracy"]
    reasons = make_objectives(names).reasons(observed)
    assert reasons == {
        "underestimation": "group 'b': no positives",
        "equalized_odds_abs_mean": "no class has positives and negatives in every group",
    }
    assert np.isnan(objective("underestimation", observed, observed))


def test_any_pair_or_triple_has_a_column_each():
    features, labels, of = made(60, tasks=1, groups=2)
    cells = make_cells(labels, of, classes=("x",))
    counts = GroupCounts(cells.counts(LinearHead(4, 1), torch.randn(5, 5), features)[:, 0], of.names, ("0", "1"))
    for names in (["accuracy", "uei"], ["uei", "unfairness", "worst_group_accuracy"]):
        assert make_objectives(names).of(counts, cells.observed()).shape == (5, len(names))


def test_all_objectives_are_defined_on_good_rows_and_best_without_errors():
    _, labels, of = made(200, tasks=1, groups=2)
    observed = make_cells(labels, of, classes=("x",)).observed()
    assert set(NAMES) < set(objective_names())
    assert not {"abroca", "auroc_difference", "ece", "macro_auroc", "worst_group_auroc"} & set(objective_names())
    mixed = {"selection_rate_difference", "selection_rate_ratio", "unfairness_case_mix", "unfairness_within_class"}
    plain = set(objective_names()) - mixed
    for name in plain:
        assert objective(name, observed, observed) == pytest.approx(0, abs=1e-12), name


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["accuracy"], "need two or three"),
        (["accuracy", "accuracy"], "need two or three"),
        (["accuracy", "uie"], "did you mean 'uei'"),
        (["accuracy", "abroca"], "'abroca' is none"),
    ],
)
def test_other_objectives_are_refused(names, told):
    with pytest.raises(ConfigError, match=told):
        make_objectives(names)


def test_labels_that_do_not_fit_are_refused():
    features, labels, of = made(50, tasks=2)
    with pytest.raises(ShapeError, match="one column per label"):
        make_cells(labels, of, classes=("x",))
    cells = make_cells(labels, of, classes=("x", "y"))
    with pytest.raises(ShapeError, match="need 2 for 50"):
        cells.counts(LinearHead(4, 1), torch.zeros(1, 5), features)
