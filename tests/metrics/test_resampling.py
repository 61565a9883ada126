"""Replicates of counts, ROC curves and reliability against the same rows written out, group by group."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.metrics.cluster_types import ClusteredRows, bootstrap_strata
from mindgap.metrics.resampling import Resampling
from mindgap.metrics.weights import draw_weights


def assert_is(sample, replicate, expected):
    """A replicate of a sample holds what the rows written out hold."""
    np.testing.assert_array_equal(sample.counts.counts[replicate], expected["counts"])
    np.testing.assert_allclose(sample.roc.auroc[replicate], expected["auroc"], atol=1e-9)
    np.testing.assert_allclose(sample.reliability.ece[replicate], expected["ece"], atol=1e-6)
    known = ~np.isnan(sample.roc.tpr[replicate][..., 0])
    np.testing.assert_allclose(sample.roc.tpr[replicate][known], expected["tpr"][known], atol=1e-6)


def times_of(resampling, weights, replicate):
    return weights[resampling.rows.clusters, replicate].astype(int)


@pytest.mark.parametrize("seed", range(4))
def test_weighted_replicates_are_those_of_repeated_rows(scored_sample, by_definition, seed):
    resampling = scored_sample(seed, n_clusters=60)
    weights = np.random.default_rng(seed).integers(0, 4, size=(resampling.rows.n_clusters, 5)).astype(np.float32)
    sample = resampling.weighted(weights)
    assert not np.isnan(sample.roc.tpr).any()
    for replicate in range(5):
        assert_is(sample, replicate, by_definition(resampling, times=times_of(resampling, weights, replicate)))


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(2, 4), st.sampled_from([1, 2, 50]))
@settings(max_examples=25, deadline=None)
def test_they_are_for_few_rows_with_lost_groups_and_classes(
    scored_sample, by_definition, seed, n_groups, n_classes, values
):
    resampling = scored_sample(seed, values=values, n_clusters=8, n_groups=n_groups, n_classes=n_classes, mixed=0.5)
    weights = np.random.default_rng(seed).integers(0, 3, size=(resampling.rows.n_clusters, 3)).astype(np.float32)
    weights[:, 2] = 0
    sample = resampling.weighted(weights)
    for replicate in range(3):
        assert_is(sample, replicate, by_definition(resampling, times=times_of(resampling, weights, replicate)))
    assert np.isnan(sample.roc.auroc[2]).all()


def test_curves_are_kept_only_where_every_group_with_rows_can_be_compared(scored_sample):
    labels, ids = np.array([0, 1, 2, 0, 1, 1, 0, 1, 2] * 5), np.array([0, 0, 0, 2, 2, 2, 2, 0, 0] * 5)
    rows = ClusteredRows.of(labels, labels, ids, np.arange(45), n_groups=3, n_classes=3)
    tpr = scored_sample(0, rows=rows).weighted(np.ones((45, 2), np.float32)).roc.tpr
    assert not np.isnan(tpr[:, [0, 2]][:, :, :2]).any()
    assert np.isnan(tpr[:, :, 2]).all()  # group 2 has no third class
    assert np.isnan(tpr[:, 1]).all()  # nobody is in group 1


def test_rows_of_unknown_group_are_left_out(scored_sample):
    whole = scored_sample(3)
    rows, rng = whole.rows, np.random.default_rng(3)
    ids = np.where(rng.random(len(rows.labels)) < 0.3, -1, rows.group_ids)
    kept = ids >= 0
    columns = (rows.labels, rows.predicted, ids, rows.clusters + 7)
    names = {"groups": whole.groups, "classes": whole.classes}
    some = Resampling.of(*columns, probabilities=whole.probabilities, **names)
    alone = Resampling.of(*(c[kept] for c in columns), probabilities=whole.probabilities[kept], **names)
    assert some.rows.n_clusters == len(np.unique(rows.clusters[kept]))
    first, second = (next(iter(r.bootstrap(replicates=5, generator=np.random.default_rng(0)))) for r in (some, alone))
    np.testing.assert_array_equal(first.roc.auroc, second.roc.auroc)
    np.testing.assert_array_equal(first.counts.counts, second.counts.counts)


@pytest.mark.parametrize("seed", range(5))
def test_the_reference_is_the_sample_itself(scored_sample, by_definition, seed):
    resampling = scored_sample(seed, n_clusters=80)
    observed, reference = resampling.observed, resampling.reference
    assert resampling.binned_note() is None
    np.testing.assert_array_equal(observed.counts.counts, by_definition(resampling)["counts"])
    np.testing.assert_allclose(observed.roc.auroc, reference.roc.auroc, atol=1e-12)
    np.testing.assert_allclose(observed.reliability.ece, by_definition(resampling)["ece"], atol=1e-12)
    assert np.abs(observed.roc.areas - reference.roc.areas).max() < 0.01


def test_areas_on_the_grid_come_nearer_to_the_exact_ones_with_more_rows(scored_sample):
    off = []
    for n_clusters in (60, 3000):
        made = [scored_sample(seed, n_clusters=n_clusters, values=500) for seed in range(6)]
        off.append(np.mean([np.abs(r.observed.roc.areas - r.reference.roc.areas).mean() for r in made]))
    assert off[0] > 2 * off[1]
    assert off[1] < 3e-4


def test_replicates_of_the_bootstrap_keep_the_clusters_of_every_set_of_groups(scored_sample, count):
    resampling = scored_sample(1, n_clusters=200, n_groups=2, mixed=0.5)
    rows = resampling.rows
    sets = [frozenset(rows.group_ids[rows.clusters == k].tolist()) for k in range(rows.n_clusters)]
    drawn = draw_weights(bootstrap_strata(rows), replicates=70, generator=np.random.default_rng(0))
    assert set(sets) == {frozenset({0}), frozenset({1}), frozenset({0, 1})}
    for kind in set(sets):
        assert np.all(drawn[[s == kind for s in sets]].sum(axis=0) == sets.count(kind))


@pytest.mark.parametrize("with_scores", [True, False])
def test_bootstrap_replicates_have_the_spread_of_drawing_clusters(scored_sample, with_scores):
    scored = scored_sample(5, n_clusters=120, max_size=3, n_groups=2, mixed=0)
    resampling = scored if with_scores else Resampling(scored.rows, scored.groups, scored.classes)
    chunks = list(resampling.bootstrap(replicates=4000, generator=np.random.default_rng(0)))
    accuracy = np.concatenate([chunk.counts.accuracy for chunk in chunks])
    assert len(accuracy) == 4000
    rows = resampling.rows
    for g in range(2):
        own = np.unique(rows.clusters[rows.group_ids == g])
        right, sizes = (
            np.array([weights[rows.clusters == k].sum() for k in own])
            for weights in ((rows.labels == rows.predicted).astype(float), np.ones(len(rows.labels)))
        )
        share = right.sum() / sizes.sum()
        linear = math.sqrt(((right - share * sizes) ** 2).sum()) / sizes.sum()
        assert accuracy[:, g].std() == pytest.approx(linear, rel=0.06)


def test_replicates_with_scores_and_without_are_the_same_distribution(scored_sample):
    scored = scored_sample(6, n_clusters=150, mixed=0.3)
    alone = Resampling(scored.rows, scored.groups, scored.classes)
    found = [
        np.concatenate([c.counts.counts for c in r.bootstrap(replicates=6000, generator=np.random.default_rng(1))])
        for r in (scored, alone)
    ]
    flat = [counts.reshape(len(counts), -1) for counts in found]
    scale = flat[1].std(axis=0)
    assert np.all(np.abs(flat[0].mean(0) - flat[1].mean(0)) <= 5 * scale * math.sqrt(2 / 6000) + 1e-9)
    np.testing.assert_allclose(flat[0].std(axis=0), scale, rtol=0.1, atol=0.02)


def test_the_jackknife_leaves_out_each_cluster_once(scored_sample, by_definition):
    resampling = scored_sample(2, n_clusters=12)
    samples = list(resampling.jackknife(blocks=1000))
    counts = np.concatenate([sample.counts.counts for sample in samples])
    assert len(counts) == 12
    auroc = np.concatenate([sample.roc.auroc for sample in samples])
    for k in range(12):
        expected = by_definition(resampling, times=(resampling.rows.clusters != k).astype(int))
        np.testing.assert_array_equal(counts[k], expected["counts"])
        np.testing.assert_allclose(auroc[k], expected["auroc"], atol=1e-9)


def test_the_jackknife_of_blocks_leaves_out_every_row_once(scored_sample):
    resampling = scored_sample(2, n_clusters=100)
    counts = np.concatenate([sample.counts.counts for sample in resampling.jackknife(blocks=7)])
    assert len(counts) == 7
    np.testing.assert_array_equal(counts.sum(axis=0), 6 * resampling.observed.counts.counts)


def many(n=60_000, n_groups=2, n_classes=2, seed=0):
    generator = np.random.default_rng(seed)
    labels, ids = generator.integers(n_classes, size=n), generator.integers(n_groups, size=n)
    logits = 1.5 * np.eye(n_classes)[labels] + generator.normal(size=(n, n_classes)) * (1 + 0.3 * (ids == 0))[:, None]
    odds = np.exp(logits)
    probabilities = odds / odds.sum(axis=1, keepdims=True)
    groups, classes = tuple(f"g{k}" for k in range(n_groups)), tuple(f"c{k}" for k in range(n_classes))
    return Resampling.of(
        labels, probabilities.argmax(axis=1), ids, np.arange(n) // 2,
        groups=groups, classes=classes, probabilities=probabilities,
    )  # fmt: skip


def test_binned_scores_agree_with_exact_ones_as_the_note_says(monkeypatch):
    binned = many()
    assert binned.levels.binned
    assert max(binned.levels.sizes) <= 1024
    note = binned.binned_note()
    assert note is not None
    assert note.startswith("scores were resampled on up to 1024 quantile bins")
    stated = [float(word.rstrip(".")) for word in note.split() if word[:1].isdigit()][1:]
    monkeypatch.setattr("mindgap.metrics.score_levels.EXACT_ROWS", 10**6)
    exact = many()
    assert exact.binned_note() is None
    weights = np.random.default_rng(0).poisson(1, size=(binned.rows.n_clusters, 3)).astype(np.float32)
    first, second = binned.weighted(weights), exact.weighted(weights)
    np.testing.assert_array_equal(first.counts.counts, second.counts.counts)
    np.testing.assert_array_equal(first.reliability.ece, second.reliability.ece)
    # on resamples binning changes about what it changes on the sample
    assert np.abs(first.roc.auroc - second.roc.auroc).max() < 5 * max(stated[0], 1e-6) < 1e-3
    assert np.abs(first.roc.areas - second.roc.areas).max() < 5 * stated[1] < 2e-3


def test_more_than_twenty_groups_are_compared_each_with_the_rest():
    resampling = many(n=6000, n_groups=22)
    assert resampling.against_rest
    observed, reference = resampling.observed.roc, resampling.reference.roc
    assert observed.pairs == tuple((g, 22 + g) for g in range(22))
    assert observed.areas.shape == reference.areas.shape == (22, 2)
    assert np.abs(observed.areas - reference.areas).max() < 0.01
    rows = resampling.rows
    two = Resampling.of(
        rows.labels, rows.predicted, (rows.group_ids != 4).astype(np.int64), rows.clusters,
        groups=("four", "rest"), classes=resampling.classes, probabilities=resampling.probabilities,
    )  # fmt: skip
    np.testing.assert_allclose(observed.areas[4], two.observed.roc.areas[0], atol=1e-12)
    weights = np.random.default_rng(0).integers(0, 3, size=(rows.n_clusters, 2)).astype(np.float32)
    np.testing.assert_allclose(
        resampling.weighted(weights).roc.areas[:, 4], two.weighted(weights).roc.areas[:, 0], atol=0.005
    )


@pytest.mark.parametrize("within", ["class", "all"])
def test_chunks_hold_all_replicates_and_the_same_seed_gives_the_same(scored_sample, within):
    resampling = scored_sample(0)

    def drawn(seed):
        rng = np.random.default_rng(seed)
        chunks = [*resampling.permutations(replicates=130, generator=rng, within=within)]
        return np.concatenate([chunk.roc.auroc for chunk in chunks])

    assert drawn(0).shape == (130, 3, 3)
    np.testing.assert_array_equal(drawn(0), drawn(0))
    assert not np.array_equal(drawn(0), drawn(1), equal_nan=True)


def test_no_replicates_are_no_chunks(scored_sample):
    resampling, generator = scored_sample(0), np.random.default_rng(0)
    assert list(resampling.bootstrap(replicates=0, generator=generator)) == []
    assert list(resampling.permutations(replicates=0, generator=generator)) == []
