"""Rows held out to learn attribute weights by, and their batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, DataError, UnknownNameError
from mindgap.core.groups import Groups
from mindgap.data.augment import normalize
from mindgap.data.image_store import Store
from mindgap.prune.meta_rows import MetaBatches, split_meta_rows
from mindgap.prune.meta_weights import AttributeWeights, MetaOptions, learn_attribute_weights
from mindgap.prune.scoring_data import StoreScoringData
from mindgap.prune.soft_nearest import channel_snnl
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.tiny_training import SMALL
from mindgap.train.loss import make_loss

HALF = (0.5, 0.5, 0.5)


def made(ids: list[int], names: str = "abc", **options: Any) -> MetaBatches:
    """Meta rows of these groups; an image is of one value, its row's number, so that it can be told."""
    n = len(ids)
    values = torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 2, 2, 3).contiguous()
    groups = {"sex": Groups("sex", tuple(names), np.array(ids, dtype=np.int64))}
    labels = torch.arange(n) % 2
    settings = {"batch_size": 12, "batches": 5} | options
    device = torch.device("cpu")
    return MetaBatches(values, torch.arange(n), labels, groups, mean=HALF, std=HALF, device=device, **settings)


def rows_of(images: torch.Tensor) -> list[int]:
    return ((images[:, 0, 0, 0] * 0.5 + 0.5) * 255).round().long().tolist()


# The split.


@given(st.integers(0, 10**6), st.integers(40, 120), st.sampled_from([0.1, 0.2]))
def test_a_split_cuts_no_cluster_and_loses_no_row(seed: int, n: int, share: float) -> None:
    generator = np.random.default_rng(seed)
    clusters, labels = generator.integers(0, n // 2, n), generator.integers(0, 2, n)
    groups = [Groups(name, ("a", "b"), generator.integers(-1, 2, n)) for name in ("sex", "age")]
    rows = np.flatnonzero(generator.random(n) < 0.8)
    kept, meta = split_meta_rows(rows, labels, groups, clusters=clusters, share=share, seed=seed)
    assert sorted([*kept, *meta]) == rows.tolist()
    assert not set(clusters[kept]) & set(clusters[meta])
    assert (np.diff(kept) > 0).all()
    assert (np.diff(meta) > 0).all()
    assert set(labels[kept]) == set(labels[rows])


def test_a_tenth_of_a_stores_training_rows_is_held_out_in_the_stores_mix(tmp_path: Path) -> None:
    store = Store.open(write_tiny_store(tmp_path / "store", n=1000))
    sex = store.groups("sex")
    rows = store.rows("train")
    kept, meta = split_meta_rows(rows, store.labels, [sex], clusters=store.clusters)
    assert len(meta) == pytest.approx(0.1 * len(rows), abs=2)
    assert store.labels[meta].mean() == pytest.approx(store.labels[rows].mean(), abs=0.02)
    np.testing.assert_allclose(sex.take(meta).shares(), sex.take(rows).shares(), atol=0.03)
    again = split_meta_rows(rows, store.labels, [sex], clusters=store.clusters)
    assert np.array_equal(meta, again[1])
    assert np.array_equal(kept, again[0])
    other = split_meta_rows(rows, store.labels, [sex], clusters=store.clusters, seed=1)[1]
    assert not np.array_equal(meta, other)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    groups = [Groups("sex", ("a", "b"), np.arange(10) % 2)]
    with pytest.raises(ConfigError, match=r"share of meta rows is .*: give more than 0 and less than 1"):
        split_meta_rows(np.arange(10), np.arange(10) % 2, groups, clusters=np.arange(10), share=share)


def test_training_rows_of_one_cluster_are_refused() -> None:
    groups = [Groups("sex", ("a", "b"), np.arange(10) % 2)]
    with pytest.raises(DataError, match=r"holding out 0.1 of 10 training rows leaves no meta row"):
        split_meta_rows(np.arange(10), np.arange(10) % 2, groups, clusters=np.zeros(10, dtype=np.int64))


# The batches.


def test_a_batch_holds_every_group_alike_and_images_go_with_their_labels_and_groups() -> None:
    ids = [0] * 20 + [1] * 8 + [2] * 4 + [-1] * 3
    data = made(ids)
    batches = [*data.balanced("sex")]
    assert len(batches) == 5
    for batch in batches:
        assert batch.groups.bincount(minlength=3).tolist() == [4, 4, 4]
        rows = rows_of(batch.images)
        assert batch.groups.tolist() == [ids[row] for row in rows]
        assert batch.labels.tolist() == [row % 2 for row in rows]
        torch.testing.assert_close(batch.images, normalize(data.images[rows], mean=HALF, std=HALF))
    assert len({row for batch in batches for row in rows_of(batch.images)}) == 32


def test_a_group_of_one_image_is_in_no_batch() -> None:
    batches = [*made([0] * 5 + [1] * 5 + [2]).balanced("sex")]
    assert {tuple(batch.groups.bincount(minlength=3).tolist()) for batch in batches} == {(6, 6, 0)}


def test_the_same_batches_come_each_time_and_others_for_another_seed() -> None:
    data = made([0] * 20 + [1] * 20 + [2] * 20)
    drawn = [[rows_of(batch.images) for batch in one.balanced("sex")] for one in (data, data)]
    assert drawn[0] == drawn[1]
    other = made([0] * 20 + [1] * 20 + [2] * 20, seed=1)
    assert [rows_of(batch.images) for batch in other.balanced("sex")] != drawn[0]
    assert drawn[0][0] != drawn[0][1]


def test_rows_are_those_of_the_store() -> None:
    data = made([0] * 6 + [1] * 6)
    shifted = MetaBatches(
        images=data.images.flip(0),
        rows=11 - data.rows,
        labels=data.labels,
        groups=data.groups,
        mean=HALF,
        std=HALF,
        device=data.device,
        batch_size=12,
        batches=1,
    )
    assert torch.equal(next(shifted.balanced("sex")).images, next(data.balanced("sex")).images)
    assert data.group_names == {"sex": ("a", "b", "c")}


def test_an_attribute_that_is_not_there_or_has_too_few_images_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="no attribute 'sxe' to score channels by; did you mean 'sex'"):
        made([0, 0, 1, 1]).balanced("sxe")
    with pytest.raises(DataError, match=r"attribute 'sex': the meta rows have \[5, 1, 0\] images of its groups"):
        made([0] * 5 + [1]).balanced("sex")


def test_a_batch_has_room_for_two_images_of_however_many_groups() -> None:
    batches = [*made([0, 0, 1, 1, 2, 2], batch_size=5).balanced("sex")]
    assert {tuple(batch.groups.bincount().tolist()) for batch in batches} == {(2, 2, 2)}


def test_weights_are_learned_from_a_stores_training_rows(tmp_path: Path) -> None:
    store = Store.open(write_tiny_store(tmp_path / "store"))
    groups = [store.groups("sex"), Groups("half", ("first", "second"), np.arange(store.n) // 150)]
    kept, meta = split_meta_rows(store.rows("train"), store.labels, groups, clusters=store.clusters, share=0.2)

    def source(kind: type[StoreScoringData | MetaBatches], rows: np.ndarray) -> StoreScoringData | MetaBatches:
        return kind(
            images=store.image_tensor(),
            rows=torch.from_numpy(rows),
            labels=torch.from_numpy(store.labels[rows]),
            groups={attribute.attribute: attribute.take(rows) for attribute in groups},
            mean=HALF,
            std=HALF,
            device=torch.device("cpu"),
            batch_size=24,
            batches=2,
        )

    network = SMALL.build(seed=0)
    training, held_out = source(StoreScoringData, kept), source(MetaBatches, meta)

    def learned() -> AttributeWeights:
        return learn_attribute_weights(
            network,
            {"head": network.head},
            attributes=["sex", "half"],
            training=training,
            meta=held_out,
            snnl=channel_snnl,
            loss=make_loss(None, task="single-label"),
            options=MetaOptions(iterations=3),
        )

    found = learned()
    assert found.left_out == {"sex": (), "half": ()}
    assert (found.variances > 0).all()
    assert np.abs(found.path[-1] - 1.0).max() > 1e-4
    fresh = SMALL.build(seed=0).state_dict()
    assert all(torch.equal(value, fresh[name]) for name, value in network.state_dict().items())
    with torch.inference_mode():
        assert np.array_equal(learned().path, found.path)
