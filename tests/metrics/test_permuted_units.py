"""Group labels permuted unit by unit: what moves, what stays, and the replicates that come of it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.permuted_units import PermutedUnits, shuffle_many
from mindgap.metrics.resampling import Resampling

REPLICATES = 40


def permuted_ids(rows, within, *, replicates=REPLICATES, seed=0):
    """The group of every row in each replicate, (r, n)."""
    units = PermutedUnits.of(rows, within=within)
    return units.draw(replicates=replicates, generator=np.random.default_rng(seed))[units.of_row].T.astype(np.int64)


def members_of(rows):
    """The rows of every cluster, by class."""
    found = [np.flatnonzero(rows.clusters == k) for k in range(rows.n_clusters)]
    return [own[np.argsort(rows.labels[own], kind="stable")] for own in found]


def is_simple(rows, own):
    return len({*rows.labels[own]}) == 1 and len({*rows.group_ids[own]}) == 1


@pytest.mark.parametrize("within", ["class", "all"])
@pytest.mark.parametrize("seed", range(3))
def test_replicates_are_the_rows_counted_with_their_new_groups(scored_sample, by_definition, seed, within):
    resampling = scored_sample(seed, n_clusters=60, mixed=0.4)
    draws = permuted_ids(resampling.rows, within, replicates=4, seed=seed)
    chunks = resampling.permutations(replicates=4, generator=np.random.default_rng(seed), within=within)
    sample = next(iter(chunks))
    for replicate, ids in enumerate(draws):
        expected = by_definition(resampling, group_ids=ids)
        np.testing.assert_array_equal(sample.counts.counts[replicate], expected["counts"])
        np.testing.assert_allclose(sample.roc.auroc[replicate], expected["auroc"], atol=1e-9)
        np.testing.assert_allclose(sample.roc.tpr[replicate], expected["tpr"], atol=1e-6)


def test_they_are_where_many_groups_are_compared_with_the_rest(scored_sample, by_definition, monkeypatch):
    monkeypatch.setattr("mindgap.metrics.score_levels.BINS_OF_MANY_GROUPS", 10_000)
    resampling = scored_sample(0, n_clusters=400, n_groups=21, n_classes=2, max_size=2, values=5)
    ids = permuted_ids(resampling.rows, "class", replicates=2)
    sample = next(iter(resampling.permutations(replicates=2, generator=np.random.default_rng(0))))
    rest = np.where(ids[0] == 3, 0, 1)
    expected = by_definition(resampling, group_ids=rest)
    np.testing.assert_allclose(sample.roc.tpr[0, [3, 21 + 3]], expected["tpr"][:2], atol=1e-6)
    np.testing.assert_allclose(sample.roc.auroc[0, 3], expected["auroc"][0], atol=1e-9)


@pytest.mark.parametrize("within", ["class", "all"])
def test_a_cluster_of_one_class_and_group_moves_as_a_whole(clustered_sample, within):
    rows = clustered_sample(0, n_clusters=80)
    for ids in permuted_ids(rows, within):
        for own in members_of(rows):
            assert not is_simple(rows, own) or len({*ids[own]}) == 1


def test_within_classes_every_class_keeps_its_clusters_of_every_group(clustered_sample):
    rows = clustered_sample(1, n_clusters=80, mixed=0.4)
    own_rows = members_of(rows)

    def held(ids):
        """The patterns of groups in every stratum, as often as they occur."""
        simple = Counter((rows.labels[m[0]], ids[m[0]]) for m in own_rows if is_simple(rows, m))
        mixed = Counter((*rows.labels[m], "|", *ids[m]) for m in own_rows if not is_simple(rows, m))
        return simple, mixed

    draws = permuted_ids(rows, "class")
    assert any(not np.array_equal(ids, rows.group_ids) for ids in draws)
    assert all(held(ids) == held(rows.group_ids) for ids in draws)


def test_over_all_classes_the_number_of_clusters_of_every_group_is_all_that_stays(clustered_sample):
    rows = clustered_sample(2, n_clusters=80, mixed=0)
    first = np.array([own[0] for own in members_of(rows)])
    draws = permuted_ids(rows, "all")
    assert all(Counter(ids[first].tolist()) == Counter(rows.group_ids[first].tolist()) for ids in draws)
    by_class = {tuple(np.bincount(rows.labels[first] * 3 + ids[first], minlength=9)) for ids in draws}
    assert len(by_class) > REPLICATES / 2


def test_every_assignment_is_as_likely_as_another():
    zeros = np.zeros(4, dtype=np.int64)
    rows = ClusteredRows.of(zeros, zeros, np.array([0, 1, 1, 2]), np.arange(4), n_groups=3, n_classes=1)
    found = Counter(map(tuple, permuted_ids(rows, "class", replicates=6000).tolist()))
    assert len(found) == 12
    assert max(found.values()) < 500 + 5 * np.sqrt(500)
    assert min(found.values()) > 500 - 5 * np.sqrt(500)


def test_what_cannot_move_stays():
    # class 1 has one group, and cluster 2 is the only one of its classes
    labels, ids = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 1, 2, 2, 2, 0])
    rows = ClusteredRows.of(labels, labels, ids, np.array([0, 1, 3, 4, 2, 2]), n_groups=3, n_classes=2)
    draws = permuted_ids(rows, "class")
    assert np.all(draws[:, 2:] == ids[2:])
    assert {tuple(row) for row in draws[:, :2].tolist()} == {(0, 1), (1, 0)}


def test_permuting_with_scores_and_without_is_the_same_distribution(scored_sample):
    scored = scored_sample(4, n_clusters=120, mixed=0.3)
    found = []
    for within in ("class", "all"):
        for scores in (True, False):
            generator = np.random.default_rng(9)
            chunks = scored.permutations(replicates=4000, generator=generator, within=within, scores=scores)
            found.append(np.concatenate([c.counts.counts for c in chunks]).reshape(4000, -1))
    for one, other in (found[:2], found[2:]):
        scale = other.std(axis=0)
        assert np.all(np.abs(one.mean(0) - other.mean(0)) <= 5 * scale * np.sqrt(2 / 4000) + 1e-9)
        np.testing.assert_allclose(one.std(axis=0), scale, rtol=0.1, atol=0.02)


def test_rows_of_one_group_alone_can_be_permuted(scored_sample):
    one = scored_sample(0, n_groups=1)
    assert isinstance(one, Resampling)
    sample = next(iter(one.permutations(replicates=3, generator=np.random.default_rng(0))))
    np.testing.assert_array_equal(sample.counts.counts, np.stack([one.observed.counts.counts] * 3))


def test_many_units_are_shuffled_as_few_are():
    numbers = [4000, 900, 95, 5]
    patterns = np.repeat(np.arange(4, dtype=np.int16), numbers)
    drawn = shuffle_many(patterns, 400, np.random.default_rng(0))
    assert np.all(np.stack([np.bincount(row) for row in drawn]) == numbers)
    # every place holds each kind as often as any other place: 400 draws of a chance, over 5,000 places
    for kind, number in enumerate(numbers):
        chance = number / 5000
        held = (drawn == kind).sum(axis=0)
        assert held.mean() == pytest.approx(400 * chance)
        assert held.var() == pytest.approx(400 * chance * (1 - chance), rel=0.12)
    # and places do not depend on each other: the first thousand hold hypergeometric numbers
    first = (drawn[:, :1000] == 1).sum(axis=1)
    assert first.mean() == pytest.approx(180, abs=5 * np.sqrt(180 * 0.82 * 0.8 / 400))
    assert first.var() == pytest.approx(180 * 0.82 * 4000 / 4999, rel=0.35)


def test_rows_of_many_clusters_are_permuted_within_their_class():
    generator = np.random.default_rng(0)
    labels, ids = generator.integers(2, size=12_000), generator.integers(3, size=12_000)
    rows = ClusteredRows.of(labels, labels, ids, np.arange(12_000), n_groups=3, n_classes=2)
    for drawn in permuted_ids(rows, "class", replicates=3):
        assert np.all(np.bincount(labels * 3 + drawn) == np.bincount(labels * 3 + ids))
        assert 0.3 < (drawn == ids).mean() < 0.37
