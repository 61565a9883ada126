"""What ties images together: clusters, copies and near-duplicates, and whether they lie in different splits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.record import Record
from mindgap.core.groups import Groups
from mindgap.data.duplicates import ClosePairs, NearDuplicates, method
from mindgap.metrics.counts import Integers

EXAMPLES = 20
_CROSSED = ("splits", "clusters", "labels")


def cluster_record(
    clusters: Integers,
    names: NDArray[np.object_],
    *,
    splits: NDArray[np.object_],
    label_codes: Integers,
    groups: Mapping[str, Groups],
    ids: NDArray[np.object_],
) -> Record:
    """How many clusters, how large, and which span several splits (a leak), labels or groups.

    Args:
        clusters: int64 (n,) cluster numbers; a row without one is a cluster of its own.
        names: object (n,), the cluster's name or None.
        splits: object (n,).
        label_codes: int64 (n,), a number per label or set of labels.
        groups: by attribute.
        ids: object (n,), names of the images.
    """
    sizes = np.unique(clusters, return_counts=True)[1]
    values, times = np.unique(sizes, return_counts=True)
    split_codes = np.unique(splits.astype(str), return_inverse=True)[1]

    def spanning(codes: Integers) -> Record:
        return _spanning(clusters, codes, names=names, splits=splits, ids=ids)

    return {
        "n": len(sizes),
        "rows_with_a_cluster": int((names != None).sum()),  # noqa: E711  (an array of objects)
        "sizes": {str(size): int(count) for size, count in zip(values.tolist(), times.tolist(), strict=True)},
        "cluster_size": float((sizes**2).sum() / sizes.sum()),
        "in_several_splits": spanning(split_codes.astype(np.int64)),
        "with_several_labels": spanning(label_codes),
        "with_several_groups": {name: spanning(one.ids) for name, one in groups.items()},
    }


def _spanning(
    clusters: Integers, codes: Integers, *, names: NDArray[np.object_], splits: NDArray[np.object_], ids: NDArray[Any]
) -> Record:
    """Clusters with more than one code; a code of -1 is unknown and counts for nothing."""
    known = codes >= 0
    pairs = np.unique(np.stack([clusters[known], codes[known]]), axis=1)
    owners, kinds = np.unique(pairs[0], return_counts=True)
    several = owners[kinds > 1]
    rows = np.isin(clusters, several)
    examples = []
    for cluster in several[:EXAMPLES].tolist():
        mine = np.flatnonzero(clusters == cluster)
        listed = mine[:EXAMPLES]
        name = names[mine[0]]
        examples.append(
            {
                "cluster": None if name is None else str(name),
                "ids": ids[listed].tolist(),
                "splits": splits[listed].tolist(),
            }
        )
    return {"clusters": len(several), "images": int(rows.sum()), "examples": examples}


def duplicate_record(
    identical: Integers,
    perceptual: NDArray[np.uint64],
    *,
    splits: NDArray[np.object_],
    clusters: Integers,
    label_codes: Integers,
    ids: NDArray[np.object_],
) -> Record:
    """Copies (the same stored bytes) and near-duplicates: all pairs, and those across splits, clusters and labels.

    A pair across splits is a leak; one across clusters is a tie that the cluster column does not know; one across
    labels is a label in doubt. ``within_splits`` are the rest of the pairs, which only count an image twice.

    Args:
        identical: int64 (n,), the same number for the same bytes.
        perceptual: uint64 (n, 2), hashes of the thumbnails.
        splits: object (n,).
        clusters: int64 (n,).
        label_codes: int64 (n,), a number per label or set of labels.
        ids: object (n,).
    """
    parts = {"splits": splits.astype(str), "clusters": clusters, "labels": label_codes}
    same = np.arange(int(identical.max(initial=-1)) + 1)
    copies = ClosePairs(identical, np.stack([same, same, np.zeros_like(same)], axis=1), 0)
    return {
        "method": f"identical: the same stored bytes; near: {method()}",
        "identical": _kinds(copies, parts, ids=ids, splits=splits),
        "near": _kinds(ClosePairs.of(perceptual), parts, ids=ids, splits=splits),
    }


def _kinds(pairs: ClosePairs, parts: Mapping[str, NDArray[Any]], *, ids: NDArray[Any], splits: NDArray[Any]) -> Record:
    total, images = pairs.all()
    found = {f"across_{name}": pairs.between(parts[name], examples=EXAMPLES) for name in _CROSSED}
    record: Record = {"pairs": total, "images": images, "crowded_buckets": pairs.crowded}
    record["within_splits"] = {"pairs": total - found["across_splits"].pairs}
    return record | {name: _across(one, ids=ids, splits=splits) for name, one in found.items()}


def _across(found: NearDuplicates, *, ids: NDArray[Any], splits: NDArray[Any]) -> Record:
    return {
        "pairs": found.pairs,
        "images": found.images,
        "examples": [
            {"ids": [ids[a], ids[b]], "splits": [splits[a], splits[b]], "bits": bits}
            for a, b, bits in found.examples.tolist()
        ],
    }
