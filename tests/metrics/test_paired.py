"""Models on the same resamples, and swaps between two: by hand, by their properties, and against McNemar's test."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from mindgap.metrics.metric import METRICS
from mindgap.metrics.paired import SwappedRows, paired_bootstrap, ranks_within, swaps, two_sided_p
from mindgap.metrics.resampling import Resampling


def resampling(right, *, scores=None, clusters=None, groups=None, labels=None):
    right = np.asarray(right, dtype=bool)
    labels = np.zeros(len(right), dtype=np.int64) if labels is None else labels
    groups = np.zeros(len(right), dtype=np.int64) if groups is None else groups
    return Resampling.of(
        labels,
        np.where(right, labels, 1 - labels),
        groups,
        np.arange(len(right)) if clusters is None else clusters,
        groups=tuple(f"g{k}" for k in range(int(groups.max()) + 1)),
        classes=("a", "b"),
        probabilities=scores,
    )


def as_scores(chance):
    return np.stack([1 - chance, chance], axis=1)


def test_ranks_are_shares_of_their_group_and_ties_share_the_mean():
    ranked = ranks_within(np.array([[0.1], [5.0], [0.4], [0.4], [3.0]]), np.array([0, 1, 0, 0, 1]))
    np.testing.assert_allclose(ranked[:, 0], [1 / 3, 1, 5 / 6, 5 / 6, 1 / 2])


def test_p_counts_swaps_as_large_in_either_direction_and_the_sample_itself():
    assert two_sided_p(0.2, np.array([0.2, -0.3, 0.1, 0.0])) == pytest.approx(3 / 5)
    assert two_sided_p(0.0, np.array([0.1, -0.1])) == 1
    assert two_sided_p(0.2, np.array([np.nan, 0.0])) == pytest.approx(2 / 3)
    assert np.isnan(two_sided_p(np.nan, np.array([0.1])))
    assert np.isnan(two_sided_p(0.1, np.empty(0)))


def test_the_same_clusters_are_drawn_for_all_models():
    right = np.random.default_rng(0).random(60) < 0.7
    clusters = np.arange(60) // 3
    models = [
        resampling(right, clusters=clusters),
        resampling(right, clusters=clusters),
        resampling(~right, clusters=clusters),
    ]
    chunks = list(paired_bootstrap(models, replicates=100, generator=np.random.default_rng(1)))
    first, same, opposite = (np.concatenate([chunk[k].counts.accuracy for chunk in chunks]) for k in range(3))
    np.testing.assert_array_equal(first, same)
    np.testing.assert_allclose(first, 1 - opposite)
    assert len(first) == 100
    assert np.ptp(first) > 0


def test_made_up_clusters_of_a_group_without_errors_are_the_same_for_all_models():
    models = [resampling([True] * 30), resampling([True] * 30)]
    (chunk,) = paired_bootstrap(models, replicates=50, generator=np.random.default_rng(0))
    assert chunk[0].counts.accuracy.min() < 1
    np.testing.assert_array_equal(chunk[0].counts.accuracy, chunk[1].counts.accuracy)


def test_and_whatever_another_group_needs_in_one_model_alone():
    groups = np.repeat([0, 1], 30)
    perfect, errs = np.ones(60, dtype=bool), np.arange(60) % 3 != 0
    models = [resampling(perfect, groups=groups), resampling(errs | (groups == 1), groups=groups)]
    (chunk,) = paired_bootstrap(models, replicates=50, generator=np.random.default_rng(0))
    first, second = (one.counts.accuracy[:, 1] for one in chunk)
    assert first.min() < 1
    np.testing.assert_array_equal(first, second)


def test_a_swap_moves_whole_clusters_and_keeps_what_both_models_say_together():
    clusters = np.array([0, 0, 1, 1, 2])
    pair = SwappedRows.between(
        resampling([1, 1, 0, 0, 1], clusters=clusters), resampling([0, 0, 0, 1, 0], clusters=clusters)
    )
    assert pair.n_clusters == 3
    first, second = pair.swapped(np.array([[True, False], [False, False], [False, True]]))
    np.testing.assert_allclose(first.counts.accuracy[:, 0], [1 / 5, 2 / 5])
    np.testing.assert_allclose(second.counts.accuracy[:, 0], [3 / 5, 2 / 5])
    apart = pair.apart()
    np.testing.assert_allclose([one.counts.accuracy[0] for one in apart], [3 / 5, 1 / 5])


def test_scores_on_another_scale_are_the_same_ranks():
    generator = np.random.default_rng(0)
    labels, groups = generator.integers(2, size=80), generator.integers(2, size=80)
    chance = generator.random(80)
    first = resampling(chance < 0.5, scores=as_scores(chance), labels=labels, groups=groups)
    second = resampling(chance < 0.5, scores=as_scores(chance**3), labels=labels, groups=groups)
    pair = SwappedRows.between(first, second)
    for one, other in swaps([pair], replicates=20, generator=generator).__next__():
        np.testing.assert_allclose(one.roc.auroc, np.broadcast_to(first.observed.roc.auroc, one.roc.auroc.shape))
        np.testing.assert_allclose(one.roc.auroc, other.roc.auroc)


def test_calibration_is_swapped_on_the_probabilities_themselves():
    chance = np.random.default_rng(0).uniform(0.5, 1, size=40)
    first, second = (resampling([True] * 40, scores=as_scores(1 - one)) for one in (chance, np.full(40, 0.99)))
    apart = SwappedRows.between(first, second).apart()
    for one, model in zip(apart, (first, second), strict=True):
        np.testing.assert_allclose(one.reliability.ece, model.observed.reliability.ece, rtol=1e-5)


@pytest.mark.parametrize(("only_first", "only_second"), [(12, 4), (30, 28), (3, 9)])
def test_without_clusters_the_swap_test_of_accuracy_is_mcnemars_exact_test(only_first, only_second):
    n = 200
    first, second = np.ones(n, dtype=bool), np.ones(n, dtype=bool)
    second[:only_first] = False
    first[only_first : only_first + only_second] = False
    pair = SwappedRows.between(resampling(first), resampling(second))
    drawn = np.concatenate(
        [
            b.counts.accuracy[:, 0] - a.counts.accuracy[:, 0]
            for ((a, b),) in swaps([pair], replicates=20_000, generator=np.random.default_rng(0))
        ]
    )
    expected = stats.binomtest(only_first, only_first + only_second).pvalue
    assert two_sided_p((only_second - only_first) / n, drawn) == pytest.approx(expected, abs=0.01)


def swap_p(first, second, metric, *, swaps_drawn, generator):
    pair = SwappedRows.between(first, second)
    observed = [getattr(one, metric.statistic) for one in pair.apart()]

    def difference(samples):
        a, b = (metric.value(getattr(one, metric.statistic), own) for one, own in zip(samples, observed, strict=True))
        return b - a

    drawn = [difference(samples) for (samples,) in swaps([pair], replicates=swaps_drawn, generator=generator)]
    return two_sided_p(float(difference(pair.apart())), np.concatenate(drawn))


def two_alike(generator, *, n, cluster_of, groups=3):
    """Two models that are as good in each of three groups, with errors shared between models and within clusters."""
    ids, clusters = np.arange(n) // cluster_of % groups, np.arange(n) // cluster_of
    rates = np.array([0.85, 0.75, 0.65])[ids]
    models = []
    own = generator.normal(size=(clusters[-1] + 1,))[clusters]
    shared = generator.normal(size=n)
    for _ in range(2):
        luck = np.sqrt(0.4) * own + np.sqrt(0.3) * shared + np.sqrt(0.3) * generator.normal(size=n)
        chance = stats.norm.cdf(luck)
        models.append(resampling(chance < rates, clusters=clusters, groups=ids))
    return models


def false_alarms(name, *, trials, cluster_of, n=450, swaps_drawn=199):
    metric = METRICS.get(name)()
    low = 0
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        first, second = two_alike(generator, n=n, cluster_of=cluster_of)
        low += swap_p(first, second, metric, swaps_drawn=swaps_drawn, generator=generator) <= 0.05
    return low / trials


@pytest.mark.parametrize("cluster_of", [1, 3])
def test_models_that_are_alike_are_seldom_told_apart(cluster_of):
    assert false_alarms("unfairness", trials=150, cluster_of=cluster_of, swaps_drawn=99) <= 0.09


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unfairness", "accuracy_difference", "worst_group_accuracy", "accuracy_ratio"])
@pytest.mark.parametrize("cluster_of", [1, 3])
def test_the_swap_test_keeps_its_level(name, cluster_of):
    # with few rows many swaps tie with the sample, and a tie counts against a difference
    assert 0.03 <= false_alarms(name, trials=1000, cluster_of=cluster_of, n=1800) <= 0.07
