from __future__ import annotations

import math

import numpy as np
import pytest

from mindgap.audit.detectable_gap import Sample, detectable_difference
from mindgap.audit.detectable_unfairness import UnfairnessSimulation
from mindgap.metrics.cluster_types import ClusteredRows
from mindgap.metrics.counts import GroupCounts, count_rows
from mindgap.metrics.definitions.unfairness import Unfairness
from mindgap.metrics.noise_floor import noise_floor, permuted_counts

ACCURACY, ICC = 0.8, 0.5
GROUPS = ("a", "b", "c")


def a_set():
    """280 images: groups of 150, 90 and 40 with different classes, clusters of one to three images."""
    group_ids, labels, clusters, cluster = [], [], [], 0
    for group, (size, share) in enumerate([(150, 0.8), (90, 0.5), (40, 0.4)]):
        left = size
        while left:
            images = min(left, cluster % 3 + 1)
            group_ids += [group] * images
            labels += [int((left * 7919) % 100 >= share * 100)] * images
            clusters += [cluster] * images
            left, cluster = left - images, cluster + 1
    return np.array(labels), np.array(group_ids), np.array(clusters)


def simulation(labels, group_ids, clusters, accuracy=ACCURACY, icc=ICC):
    return UnfairnessSimulation.of(labels, group_ids, clusters, accuracy=accuracy, icc=icc, seed=0)


def rejections(labels, group_ids, clusters, *, worse, delta, samples):
    """How often our own permutation test of U calls the gap beyond chance, on made-up predictions."""
    generator = np.random.default_rng(5)
    rates = np.where(group_ids == worse, ACCURACY - delta, ACCURACY)
    first = np.unique(clusters, return_index=True)[1]
    metric, found = Unfairness(), 0
    for _ in range(samples):
        together = (generator.random(len(first)) < ICC)[clusters]
        right = np.where(together, generator.random(len(first))[clusters], generator.random(len(labels))) < rates
        predicted = np.where(right, labels, 1 - labels)
        observed = count_rows(labels, predicted, group_ids, groups=GROUPS, classes=("0", "1"))
        rows = ClusteredRows.of(labels, predicted, group_ids, clusters, n_groups=3, n_classes=2)
        permuted = np.concatenate(
            [
                metric.value(GroupCounts(counts, GROUPS, ("0", "1")), observed)
                for counts in permuted_counts(rows, replicates=199, generator=generator)
            ]
        )
        p_value = noise_floor(float(metric.value(observed, observed)), permuted, direction="smaller")[2]
        found += p_value <= 0.05
    return found / samples


@pytest.mark.parametrize("worse", [0, 2])
def test_our_own_permutation_test_finds_the_smallest_gap_in_four_of_five_samples(worse):
    labels, group_ids, clusters = a_set()
    found = simulation(labels, group_ids, clusters).detectable(worse)
    power = rejections(labels, group_ids, clusters, worse=worse, delta=found.worse_by, samples=400)
    assert 0.74 < power < 0.87  # four standard errors of 400 samples are .08


def test_the_chance_of_a_false_alarm_stays_at_its_level():
    labels, group_ids, clusters = a_set()
    assert rejections(labels, group_ids, clusters, worse=0, delta=0.0, samples=300) < 0.1


def test_between_two_groups_it_agrees_with_the_two_proportions_formula():
    group_ids = np.repeat([0, 1], [300, 400])
    found = simulation(np.zeros(700, dtype=np.int64), group_ids, np.arange(700)).detectable(0)
    assert found.worse_by == pytest.approx(detectable_difference(ACCURACY, 300, 400), abs=0.008)
    assert found.true == pytest.approx(found.worse_by)
    assert found.expected > found.noise_p95


def test_with_pairs_that_are_always_alike_half_the_images_count():
    group_ids, clusters = np.repeat([0, 1], [300, 400]), np.arange(700) // 2
    found = simulation(np.zeros(700, dtype=np.int64), group_ids, clusters, icc=1.0).detectable(0)
    n = [Sample.of(clusters[group_ids == g]).effective_n(1.0) for g in (0, 1)]
    assert n == [150, 200]
    assert found.worse_by == pytest.approx(detectable_difference(ACCURACY, *n), abs=0.012)


def test_six_equal_groups_of_very_different_sizes_have_the_known_chance_gap():
    sizes = [7000, 2900, 72, 24, 5, 5]
    group_ids = np.repeat(np.arange(6), sizes)
    mean, p95 = simulation(np.zeros(sum(sizes), dtype=np.int64), group_ids, np.arange(sum(sizes))).chance()
    assert mean == pytest.approx(0.375, abs=0.01)
    assert p95 > mean


def test_a_class_mix_that_goes_with_the_group_hides_its_gap():
    group_ids = np.repeat([0, 1], [200, 200])
    mixed = simulation(np.tile([0, 1], 200), group_ids, np.arange(400)).detectable(0)
    apart = simulation(group_ids.copy(), group_ids, np.arange(400)).detectable(0)
    assert mixed.worse_by < 0.15
    assert math.isnan(apart.worse_by)  # exchanged within a class, such groups cannot change places at all


def test_true_u_is_the_sum_of_deviations_of_the_population():
    labels, group_ids, clusters = a_set()
    found = simulation(labels, group_ids, clusters).detectable(2)
    accuracies = np.array([ACCURACY, ACCURACY, ACCURACY - found.worse_by])
    overall = accuracies @ np.array([150, 90, 40]) / 280
    assert found.true == pytest.approx(np.abs(accuracies - overall).sum())


def test_the_same_seed_gives_the_same_answer():
    labels, group_ids, clusters = a_set()
    assert simulation(labels, group_ids, clusters).detectable(1) == simulation(labels, group_ids, clusters).detectable(
        1
    )
