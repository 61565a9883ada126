"""Batches by which channels are scored: what they hold, that they come again, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mindgap.core.errors import ConfigError, DataError, MindgapError, ShapeError, UnknownNameError
from mindgap.core.groups import Groups
from mindgap.data.augment import normalize
from mindgap.prune.importance import ScoringData
from mindgap.prune.scoring_data import StoreScoringData
from mindgap.testing.made_scoring import made_scoring_data


def numbered(groups: list[int], *, names: str = "ab", batch_size: int = 32, batches: int = 5) -> StoreScoringData:
    """Images of one pixel whose colour is their row's number, in reverse order in the store."""
    n = len(groups)
    return StoreScoringData(
        images=torch.arange(n, dtype=torch.uint8)[:, None, None, None].expand(n, 1, 1, 3).contiguous(),
        rows=torch.arange(n).flip(0),
        labels=torch.arange(n),
        groups={"sex": Groups("sex", tuple(names), np.array(groups))},
        mean=(0.0, 0.0, 0.0),
        std=(1 / 255, 1 / 255, 1 / 255),
        device=torch.device("cpu"),
        batch_size=batch_size,
        batches=batches,
    )


@given(small=st.integers(8, 40), large=st.integers(8, 90), batch_size=st.integers(16, 70), batches=st.integers(1, 9))
def test_balanced_batches_hold_groups_alike_and_no_image_twice(
    small: int, large: int, batch_size: int, batches: int
) -> None:
    data = numbered([0] * small + [1] * large + [-1] * 3, batch_size=batch_size, batches=batches)
    found = list(data.balanced("sex"))
    each = min(batch_size // 2, small, large)
    assert len(found) == batches
    for batch in found:
        assert batch.groups.bincount().tolist() == [each, each]
        assert len(batch.labels.unique()) == 2 * each
        assert torch.equal(batch.images[:, 0, 0, 0].round().long(), len(data.rows) - 1 - batch.labels)
        assert torch.equal(torch.from_numpy(data.groups["sex"].ids)[batch.labels], batch.groups)


def test_a_group_is_used_up_before_it_comes_again() -> None:
    data = numbered([0] * 16 + [1] * 64, batch_size=32, batches=4)
    of_large = torch.cat([batch.labels[batch.groups == 1] for batch in data.balanced("sex")])
    assert sorted(of_large.tolist()) == list(range(16, 80))


def test_a_batch_has_room_for_eight_images_of_however_many_groups() -> None:
    found = list(numbered([0, 1, 2] * 10, names="abc", batch_size=23).balanced("sex"))
    assert {tuple(batch.groups.bincount().tolist()) for batch in found} == {(8, 8, 8)}


def test_rows_tell_images() -> None:
    data = numbered([0] * 9 + [1] * 20)
    for batch in (*data.balanced("sex"), *data.natural()):
        assert torch.equal(batch.images[:, 0, 0, 0].round().long(), batch.rows)


@given(seed=st.integers(0, 1000), patients=st.integers(4, 40), batch_size=st.integers(16, 70))
def test_no_batch_holds_two_images_of_a_patient_where_groups_have_eight(
    seed: int, patients: int, batch_size: int
) -> None:
    generator = np.random.default_rng(seed)
    clusters = np.concatenate([np.arange(2 * patients), generator.integers(0, 2 * patients, 60)])
    data = replace(numbered([*(clusters % 2)], batch_size=batch_size), clusters=clusters, seed=seed)
    for batch in data.balanced("sex"):
        drawn = clusters[batch.labels.numpy()]
        if patients >= 8:
            assert batch.groups.bincount().tolist() == [min(batch_size // 2, patients)] * 2
            assert len(set(drawn)) == len(drawn)
        else:
            assert len(batch.labels.unique()) == len(drawn) >= 16


def test_patients_are_used_up_before_one_comes_again_by_images_that_are_drawn_anew() -> None:
    clusters = np.arange(160) % 32
    data = replace(numbered([*(clusters % 2)], batch_size=16, batches=20), clusters=clusters)
    found = [batch.labels.numpy() for batch in data.balanced("sex")]
    for first in range(0, 20, 2):
        assert sorted(clusters[np.concatenate(found[first : first + 2])]) == list(range(32))
    assert len(set(np.concatenate(found))) > 100


def test_images_that_are_each_a_cluster_are_drawn_as_without_clusters() -> None:
    data = numbered([0] * 40 + [1] * 20)
    for one, other in zip(data.balanced("sex"), replace(data, clusters=np.arange(60)).balanced("sex"), strict=True):
        assert torch.equal(one.labels, other.labels)


def test_natural_batches_hold_all_images_once_before_any_comes_again() -> None:
    data = numbered([0] * 50 + [1] * 4 + [-1] * 10, batch_size=32, batches=2)
    found = list(data.natural("sex"))
    assert sorted(torch.cat([batch.labels for batch in found]).tolist()) == list(range(64))
    assert sorted(torch.cat([batch.groups for batch in found]).tolist()) == [-1] * 10 + [0] * 50 + [1] * 4
    assert all((batch.groups == -1).all() for batch in data.natural())
    fewer = list(numbered([0] * 10, batch_size=32, batches=3).natural())
    assert [sorted(batch.labels.tolist()) for batch in fewer] == [list(range(10))] * 3


def test_the_same_batches_come_each_time_and_other_seeds_give_others() -> None:
    data = made_scoring_data()
    for ask in (StoreScoringData.natural, StoreScoringData.balanced):
        one, same, other = (list(ask(which, "sex")) for which in (data, data, replace(data, seed=1)))
        assert all(torch.equal(a.images, b.images) for a, b in zip(one, same, strict=True))
        assert not all(torch.equal(a.labels, b.labels) for a, b in zip(one, other, strict=True))


def test_images_are_normalised_and_labels_kept() -> None:
    data = made_scoring_data()
    labels = torch.stack([data.labels, 1 - data.labels], dim=1).float()
    (batch, *_) = replace(data, labels=labels, rows=data.rows.flip(0)).natural()
    assert (batch.images.dtype, batch.images.shape) == (torch.float32, (48, 3, 16, 16))
    assert batch.labels.shape == (48, 2)
    every = normalize(data.images, mean=data.mean, std=data.std)
    gaps = (every[:, None] - batch.images[None, :3]).flatten(2).abs().amax(dim=2)
    assert gaps.amin(dim=0).tolist() == [0, 0, 0]


def test_it_is_what_importances_ask_for() -> None:
    data: ScoringData = made_scoring_data()
    assert data.group_names == {"sex": ("a", "b", "c")}


@pytest.mark.parametrize(
    ("groups", "names", "words"),
    [
        ([0] * 40, "a", "attribute 'sex' has one group, 'a'; channels"),
        ([-1] * 40, "", "attribute 'sex' has no group; channels"),
        ([0] * 40 + [1] * 7, "ab", "group 'b' of 'sex' has 7 images to score channels by, fewer than 8"),
        ([0] * 40, "ab", "group 'b' of 'sex' has 0 images"),
    ],
)
def test_an_attribute_that_balanced_batches_cannot_hold_is_refused_at_once(
    groups: list[int], names: str, words: str
) -> None:
    with pytest.raises(DataError, match=words) as raised:
        numbered(groups, names=names).balanced("sex")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("ask", ["balanced", "natural"])
def test_an_unknown_attribute_is_refused(ask: str) -> None:
    with pytest.raises(UnknownNameError, match="no attribute 'sax' to score channels by; did you mean 'sex'"):
        getattr(made_scoring_data(), ask)("sax")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"batch_size": 0}, ConfigError, "batch size to score channels is 0; use 1 or more"),
        ({"batches": -1}, ConfigError, "number of batches to score channels is -1"),
        ({"rows": torch.arange(0)}, DataError, "no images to score channels by"),
        ({"clusters": np.zeros(3)}, ShapeError, "clusters are of 3 images, and 120 are to be scored by"),
        ({"labels": torch.zeros(3)}, ShapeError, "labels are of 3 images, and 120 are to be scored by"),
        ({"rows": torch.arange(5), "labels": torch.zeros(5)}, ShapeError, "groups of sex are of 120 images, and 5"),
    ],
)
def test_parts_that_do_not_fit_are_refused(change: dict, error: type[MindgapError], words: str) -> None:
    with pytest.raises(error, match=words):
        replace(made_scoring_data(), **change)
