"""The audit of a data set: what its groups, clusters and copies let it answer, before any network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.audit.answerable import answerable_gaps
from mindgap.audit.class_mix import Association, class_mix_association, label_associations
from mindgap.audit.detectable import detectable_record
from mindgap.audit.detectable_gap import ACCURACY, ICC
from mindgap.audit.group_table import class_indicators, group_table, small_cells, small_groups
from mindgap.audit.leakage import cluster_record, duplicate_record
from mindgap.audit.record import Record
from mindgap.audit.tone_table import Tones, tone_record
from mindgap.core.errors import ConfigError, DataError, ShapeError
from mindgap.core.files import jsonable
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed, numpy_generator
from mindgap.data.split import SPLITS
from mindgap.metrics.counts import Integers

SCHEMA = 1
NO_TONE = "not measured; skin tones are known only after mindgap tone"


@dataclass(frozen=True, eq=False)
class DatasetArrays:
    """A data set as arrays of n rows.

    Attributes:
        ids: object (n,), names of the images.
        classes: the C class names, or the L label names.
        labels: int64 (n,) class numbers, or uint8 (n, L) of 0/1.
        splits: object (n,), ``train``, ``validation`` or ``test``.
        clusters: int64 (n,) cluster numbers; a row without one is a cluster of its own.
        cluster_names: object (n,), the cluster's name or None.
        groups: by attribute.
        identical: int64 (n,), the same number for images of the same bytes; None if not compared.
        perceptual: uint64 (n, 2), hashes of the thumbnails; None if not compared.
        tones: measured skin tones; None if not measured.
    """

    ids: NDArray[np.object_]
    classes: tuple[str, ...]
    labels: NDArray[Any]
    splits: NDArray[np.object_]
    clusters: Integers
    cluster_names: NDArray[np.object_]
    groups: Mapping[str, Groups]
    identical: Integers | None = None
    perceptual: NDArray[np.uint64] | None = None
    tones: Tones | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.ids), len(self.labels), len(self.splits), len(self.clusters), len(self.cluster_names)}
        lengths |= {len(one.ids) for one in self.groups.values()}
        if len(lengths) != 1:
            raise ShapeError(f"the columns of a data set must have the same length, got {sorted(lengths)}")

    @property
    def n(self) -> int:
        """Number of images."""
        return len(self.ids)

    @property
    def multi_label(self) -> bool:
        """Whether the labels are several yes-or-no ones."""
        return self.labels.ndim == 2

    @property
    def label_codes(self) -> Integers:
        """Int64 (n,): a number per class, or per set of labels."""
        if not self.multi_label:
            return self.labels.astype(np.int64)
        return np.unique(self.labels, axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def audit_dataset(
    data: DatasetArrays,
    *,
    accuracy: float = ACCURACY,
    icc: float | None = None,
    permutations: int = 1000,
    seed: int = 0,
) -> Record:
    """Audits a data set: who is in it, what ties its images together, and how small a gap it could show.

    Args:
        data: the set.
        accuracy: assumed accuracy of the groups that are not worse, in 0..1, exclusive.
        icc: assumed correlation of being right within a cluster, 0..1; None means .5.
        permutations: of the clusters, for the p of the case mix.
        seed: the same seed gives the same record.

    Returns:
        A record that JSON can hold; what is undefined is None with a reason.

    Raises:
        ConfigError: an assumption is out of range.
        DataError: there are no images.
    """
    if not 0 < accuracy < 1:
        raise ConfigError(f"accuracy={accuracy:g}: the accuracy assumed must lie between 0 and 1, as .8")
    correlation = ICC if icc is None else icc
    if not 0 <= correlation <= 1:
        raise ConfigError(f"icc={correlation:g}: the correlation within a cluster must lie in 0..1, as .5")
    if not data.n:
        raise DataError("audit: the data set has no images; give at least one")
    judged = next(name for name in (*reversed(SPLITS), None) if name is None or (data.splits == name).any())
    if judged is None:
        raise DataError(f"audit: no row is in a split of {', '.join(SPLITS)}; prepare the set again")
    record = {
        "schema": SCHEMA,
        "kind": "dataset",
        "task": "multi-label" if data.multi_label else "single-label",
        "n": data.n,
        "classes": list(data.classes),
        "judged_on": judged,
        "splits": _splits(data),
        "attributes": {
            name: _attribute(
                data, one, judged=judged, accuracy=accuracy, icc=correlation, permutations=permutations, seed=seed
            )
            for name, one in data.groups.items()
        },
        "clusters": cluster_record(
            data.clusters,
            data.cluster_names,
            splits=data.splits,
            label_codes=data.label_codes,
            groups=data.groups,
            ids=data.ids,
        ),
        "duplicates": _duplicates(data),
        "tone": None if data.tones is None else _tone(data, data.tones),
        "tone_reason": None if data.tones is not None else NO_TONE,
    }
    return jsonable(record)


def _tone(data: DatasetArrays, tones: Tones) -> Record:
    members = class_indicators(data.labels, len(data.classes))
    classes = {name: members[:, k] for k, name in enumerate(data.classes)}
    return tone_record(tones, data.splits, split_names=SPLITS, classes=classes)


def _splits(data: DatasetArrays) -> Record:
    indicators = class_indicators(data.labels, len(data.classes))
    found: Record = {}
    for split in SPLITS:
        mine = data.splits == split
        found[split] = {
            "n": int(mine.sum()),
            "clusters": len(np.unique(data.clusters[mine])),
            "classes": dict(zip(data.classes, indicators[mine].sum(axis=0).tolist(), strict=True)),
        }
    return found


def _attribute(
    data: DatasetArrays, groups: Groups, *, judged: str, accuracy: float, icc: float, permutations: int, seed: int
) -> Record:
    indicators = class_indicators(data.labels, len(data.classes))

    def table(rows: NDArray[np.intp]) -> Record:
        return group_table(
            indicators[rows], groups.take(rows), data.clusters[rows], classes=data.classes, multi_label=data.multi_label
        )

    every = np.arange(data.n)
    splits: Record = {}
    for split in SPLITS:
        rows = np.flatnonzero(data.splits == split)
        counted = table(rows)
        splits[split] = {
            "n": int(groups.take(rows).known.sum()),
            "unknown": int((~groups.take(rows).known).sum()),
            "groups": counted,
            "small_groups": small_groups(counted),
            "small_cells": small_cells(counted),
        }
    rows = np.flatnonzero(data.splits == judged)
    return {
        "n": int(groups.known.sum()),
        "unknown": int((~groups.known).sum()),
        "groups": table(every),
        "splits": splits,
        "case_mix": _case_mix(data, groups, permutations=permutations, seed=seed),
        "answerable": _answerable(data, groups.take(rows), rows),
        "detectable": {"split": judged}
        | detectable_record(
            np.zeros(len(rows), dtype=np.int64) if data.multi_label else data.labels[rows].astype(np.int64),
            groups.take(rows),
            data.clusters[rows],
            accuracy=accuracy,
            icc=icc,
            seed=derive_seed(seed, "detectable", groups.attribute),
        ),
    }


def _case_mix(data: DatasetArrays, groups: Groups, *, permutations: int, seed: int) -> Record:
    """Cramér's V of the classes; of several labels one each."""
    rest: Record = {
        "generator": numpy_generator(seed, "case mix", groups.attribute),
        "permutations": permutations,
    }
    if not data.multi_label:
        return _association(class_mix_association(data.labels.astype(np.int64), groups.ids, data.clusters, **rest))
    found = label_associations(data.labels, groups.ids, data.clusters, **rest)
    return {"labels": {name: _association(one) for name, one in zip(data.classes, found, strict=True)}}


def _association(found: Association) -> Record:
    return {
        "cramers_v": found.v,
        "cramers_v_plain": found.plain_v,
        "p_value": found.p_value,
        "n": found.n,
        "clusters": found.clusters,
        "permutations": found.permutations,
        "reason": found.reason,
    }


def _answerable(data: DatasetArrays, groups: Groups, rows: Sequence[int] | NDArray[np.intp]) -> Record:
    if not data.multi_label:
        return answerable_gaps(data.labels[rows].astype(np.int64), groups, classes=data.classes)
    return {
        "labels": {
            name: answerable_gaps(data.labels[rows, k].astype(np.int64), groups, classes=("0", "1"))
            for k, name in enumerate(data.classes)
        }
    }


def _duplicates(data: DatasetArrays) -> Record | None:
    if data.identical is None or data.perceptual is None:
        return None
    return duplicate_record(
        data.identical,
        data.perceptual,
        splits=data.splits,
        clusters=data.clusters,
        label_codes=data.label_codes,
        ids=data.ids,
    )
