from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.data.duplicates import MAX_BITS, NEIGHBOURS, ClosePairs, near_duplicates


def random_hashes(n, seed=0):
    return np.random.default_rng(seed).integers(0, 2**63, (n, 2), dtype=np.uint64)


def flipped(hashes, places):
    out = hashes.copy()
    for place in places:
        out[place // 64] ^= np.uint64(1) << np.uint64(place % 64)
    return out


def test_a_copy_in_another_split_is_found_and_one_in_the_same_is_not():
    hashes = random_hashes(100)
    hashes[50] = flipped(hashes[3], [1, 40, 100])
    hashes[60] = hashes[4]
    splits = np.array(["train"] * 50 + ["test"] * 10 + ["train"] * 40, dtype=object)
    found = near_duplicates(hashes, splits)
    assert (found.pairs, found.images, found.crowded) == (1, 2, 0)
    assert found.examples.tolist() == [[3, 50, 3]]
    record = found.record(np.array([f"i{row}" for row in range(100)], dtype=object), splits)
    assert record["examples"] == [{"ids": ["i3", "i50"], "splits": ["train", "test"], "bits": 3}]
    assert record["pairs_across_splits"] == 1


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(2, 40), st.integers(0, 99))
def test_up_to_seven_bits_every_pair_is_found(n, seed):
    rng = np.random.default_rng(seed)
    bases = random_hashes(4, seed)
    hashes = np.stack([flipped(bases[rng.integers(4)], rng.choice(128, 3, replace=False)) for _ in range(n)])
    splits = rng.choice(np.array(["train", "validation", "test"], dtype=object), n)
    pairs = {
        (a, b)
        for a, b in itertools.combinations(range(n), 2)
        if splits[a] != splits[b] and np.bitwise_count(hashes[a] ^ hashes[b]).sum() <= MAX_BITS
    }
    found = near_duplicates(hashes, splits)
    assert found.pairs == len(pairs)
    assert found.images == len({row for pair in pairs for row in pair})


def test_many_identical_images_are_counted_without_pairing_them():
    splits = np.array(["train"] * 30_000 + ["test"] * 10_000, dtype=object)
    found = near_duplicates(np.zeros((40_000, 2), dtype=np.uint64), splits)
    assert found.pairs == 30_000 * 10_000
    assert found.images == 40_000
    assert len(found.examples) == 1


def test_a_crowded_bucket_is_said_and_stays_linear():
    hashes = random_hashes(3 * NEIGHBOURS)
    hashes[:, 0] &= np.uint64(0xFFFFFFFFFFFF0000)
    found = near_duplicates(hashes, np.array(["train", "test", "train"] * NEIGHBOURS, dtype=object))
    assert found.crowded == 1
    assert found.pairs == 0


def test_one_image_has_no_duplicate():
    assert near_duplicates(random_hashes(1), np.array(["train"], dtype=object)).pairs == 0


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.integers(2, 40), st.integers(0, 99))
def test_all_pairs_are_those_between_and_within_parts(n, seed):
    rng = np.random.default_rng(seed)
    bases = random_hashes(4, seed)
    hashes = np.stack([flipped(bases[rng.integers(4)], rng.choice(128, 3, replace=False)) for _ in range(n)])
    near = {
        (a, b)
        for a, b in itertools.combinations(range(n), 2)
        if np.bitwise_count(hashes[a] ^ hashes[b]).sum() <= MAX_BITS
    }
    pairs = ClosePairs.of(hashes)
    assert pairs.all() == (len(near), len({row for pair in near for row in pair}))
    assert pairs.between(np.arange(n)).pairs == len(near)
    assert pairs.between(np.zeros(n)).pairs == 0
