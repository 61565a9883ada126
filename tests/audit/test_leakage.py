from __future__ import annotations

import numpy as np

from mindgap.audit.leakage import cluster_record, duplicate_record
from mindgap.core.groups import Groups

IDS = np.array([f"i{k}" for k in range(6)], dtype=object)
SPLITS = np.array(["train", "train", "validation", "test", "test", "train"], dtype=object)
LABELS = np.array([0, 1, 1, 1, 0, 0])


def hashes(*bits):
    """Six unlike hashes; of (row, source, flip), the row's is the source's with some bits flipped."""
    out = np.random.default_rng(0).integers(0, 2**63, (6, 2), dtype=np.uint64)
    for row, source, flip in bits:
        out[row] = out[source]
        out[row, 0] ^= np.uint64(flip)
    return out


def ties(identical, perceptual, clusters=None):
    clusters = np.arange(6) if clusters is None else np.array(clusters)
    return duplicate_record(
        np.array(identical), perceptual, splits=SPLITS, clusters=clusters, label_codes=LABELS, ids=IDS
    )


def spanned(clusters, names=None, groups=None):
    names = np.array([f"c{k}" for k in clusters], dtype=object) if names is None else names
    groups = {} if groups is None else {"sex": Groups("sex", ("f", "m"), np.array(groups))}
    return cluster_record(np.array(clusters), names, splits=SPLITS, label_codes=LABELS, groups=groups, ids=IDS)


def test_a_cluster_in_two_splits_is_named_with_its_images():
    record = spanned([0, 1, 0, 3, 3, 5])
    found = record["in_several_splits"]
    assert (found["clusters"], found["images"]) == (1, 2)
    assert found["examples"] == [{"cluster": "c0", "ids": ["i0", "i2"], "splits": ["train", "validation"]}]
    assert record["with_several_labels"]["clusters"] == 2
    assert record["sizes"] == {"1": 2, "2": 2}
    assert record["cluster_size"] == (1 + 1 + 4 + 4) / 6


def test_an_unknown_group_is_no_second_group():
    record = spanned([0, 0, 0, 1, 1, 1], groups=[0, -1, 0, 0, 1, -1])
    assert record["with_several_groups"]["sex"]["clusters"] == 1


def test_rows_without_a_cluster_have_no_name():
    record = spanned([0, 1, 2, 3, 4, 5], names=np.full(6, None, dtype=object))
    assert record["rows_with_a_cluster"] == 0
    assert record["in_several_splits"]["clusters"] == 0


def test_copies_and_near_duplicates_are_counted_across_splits_clusters_and_labels():
    perceptual = hashes((3, 0, 0), (5, 1, 0b111))
    record = ties([0, 1, 2, 0, 4, 5], perceptual, clusters=[0, 1, 2, 3, 4, 1])
    identical, near = record["identical"], record["near"]
    assert (identical["pairs"], identical["images"]) == (1, 2)
    assert identical["across_splits"]["examples"] == [{"ids": ["i0", "i3"], "splits": ["train", "test"], "bits": 0}]
    assert identical["across_labels"]["pairs"] == 1
    assert (near["pairs"], near["images"]) == (2, 4)
    assert near["across_splits"]["pairs"] == 1
    assert near["within_splits"]["pairs"] == 1
    assert near["across_clusters"]["pairs"] == 1
    assert near["across_labels"]["pairs"] == 2
    assert near["across_labels"]["examples"][1] == {"ids": ["i1", "i5"], "splits": ["train", "train"], "bits": 3}


def test_a_set_without_copies_has_none():
    record = ties([0, 1, 2, 3, 4, 5], hashes())
    assert record["identical"]["pairs"] == record["near"]["pairs"] == 0
    assert record["near"]["across_splits"]["examples"] == []
