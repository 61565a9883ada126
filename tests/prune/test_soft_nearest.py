"""The soft nearest neighbour loss of a channel, against hand-computed cases and a double loop."""

from __future__ import annotations

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mindgap.core.errors import ConfigError, DataError, ShapeError
from mindgap.prune import soft_nearest
from mindgap.prune.soft_nearest import channel_snnl

DISTANCES = ("squared", "cosine")


def double_loop(maps: Tensor, groups: Tensor, *, feature: str, distance: str, temperature: float | str) -> Tensor:
    """Equation 16 as it is written, one pair of images at a time, in float64."""
    known = [i for i in range(len(maps)) if groups[i] >= 0]
    scores = []
    for channel in maps.double().flatten(2).transpose(0, 1):
        features = channel.mean(dim=1, keepdim=True) if feature == "mean" else channel

        def between(i: int, j: int, features: Tensor = features) -> float:
            one, other = features[i], features[j]
            if distance == "squared":
                return float((one - other).square().sum())
            lengths = float(one.norm() * other.norm())
            return 1.0 - float(one @ other) / lengths if lengths else 1.0

        apart = {(i, j): between(i, j) for i in known for j in known if i != j}
        t = sum(apart.values()) / len(apart) if temperature == "auto" else temperature
        losses = []
        for i in known:
            near = {j: math.exp(-apart[i, j] / t) for j in known if j != i}
            same = [value for j, value in near.items() if groups[j] == groups[i]]
            if same:
                losses.append(-math.log(sum(same) / sum(near.values())))
        scores.append(sum(losses) / len(losses))
    return torch.tensor(scores, dtype=torch.float64)


def test_two_pairs_by_hand() -> None:
    maps = torch.tensor([[0.0], [0.0], [1.0], [1.0]])
    score = channel_snnl(maps, torch.tensor([0, 0, 1, 1]), temperature=1.0)
    assert score.tolist() == pytest.approx([math.log(1 + 2 / math.e)])
    assert score.dtype == torch.float32


def test_the_temperature_is_by_default_the_mean_distance() -> None:
    maps = torch.tensor([[0.0], [0.0], [1.0], [1.0]])  # 8 of 12 ordered pairs are at distance 1: T = 2/3
    score = channel_snnl(maps, torch.tensor([0, 0, 1, 1]))
    assert score.tolist() == pytest.approx([math.log(1 + 2 * math.exp(-1.5))])


@pytest.mark.parametrize(
    ("feature", "distance", "shift"),
    [
        ("map", "squared", 0.0),
        ("map", "squared", 100.0),
        ("map", "cosine", 0.0),
        ("map", "cosine", 100.0),
        ("mean", "squared", 0.0),
        ("mean", "squared", 100.0),
        ("mean", "cosine", 0.0),
    ],
)
@pytest.mark.parametrize("temperature", ["auto", 2.5])
def test_equals_a_double_loop(feature: str, distance: str, temperature: float | str, shift: float) -> None:
    maps = torch.randn(14, 4, 3, 2, generator=torch.Generator().manual_seed(0)) + shift
    if not shift:
        maps[2, 1] = 0.0  # as a ReLU may leave it
    groups = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, -1, -1])
    ours = channel_snnl(maps, groups, feature=feature, distance=distance, temperature=temperature)
    loop = double_loop(maps, groups, feature=feature, distance=distance, temperature=temperature)
    torch.testing.assert_close(ours.double(), loop, rtol=1e-6, atol=1e-6)


def test_many_channels_and_few_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.randn(16, 11, 4, 4, generator=torch.Generator().manual_seed(0))
    groups = torch.arange(16) % 3
    whole = channel_snnl(maps, groups)
    monkeypatch.setitem(soft_nearest._CHUNK_VALUES, "cpu", 16 * 16 * 4)
    torch.testing.assert_close(channel_snnl(maps, groups), whole)


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("temperature", [2.0, "auto"])
def test_its_derivatives_are_right_twice(distance: str, temperature: float | str) -> None:
    maps = torch.randn(7, 3, 2, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    groups = torch.tensor([0, 0, 0, 1, 1, 2, -1])
    fixed = _auto(maps, groups, distance) if temperature == "auto" else torch.full((3,), temperature)

    def score(maps: Tensor) -> Tensor:
        parts = [
            channel_snnl(maps[:, c : c + 1], groups, distance=distance, temperature=float(fixed[c])) for c in range(3)
        ]
        return torch.cat(parts)

    maps.requires_grad_()
    assert torch.autograd.gradcheck(score, maps)
    assert torch.autograd.gradgradcheck(score, maps)
    (of_ours,) = torch.autograd.grad(channel_snnl(maps, groups, distance=distance, temperature=temperature).sum(), maps)
    (of_fixed,) = torch.autograd.grad(score(maps).sum(), maps)
    torch.testing.assert_close(of_ours, of_fixed)


def _auto(maps: Tensor, groups: Tensor, distance: str) -> Tensor:
    """Mean distance over the pairs, per channel: a constant, as far as derivatives are concerned."""
    features = maps[groups >= 0].flatten(2).transpose(0, 1)
    if distance == "cosine":
        features = features / features.norm(dim=2, keepdim=True) / math.sqrt(2)
    apart = torch.cdist(features, features).square()
    return apart.sum(dim=(1, 2)) / (apart.shape[1] * (apart.shape[1] - 1))


@pytest.mark.parametrize("distance", DISTANCES)
def test_a_channel_that_is_the_same_for_all_images_is_not_scored(distance: str) -> None:
    maps = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    maps[:, 1] = 0.1
    maps.requires_grad_()
    scores = channel_snnl(maps, torch.arange(8) % 2, distance=distance)
    assert scores.isnan().tolist() == [False, True, False]
    scores.nansum().backward()
    assert maps.grad is not None
    assert maps.grad.isfinite().all()
    assert (maps.grad[:, 1] == 0).all()
    assert (maps.grad[:, 0] != 0).any()


def test_the_cosine_of_positive_means_tells_nothing_apart() -> None:
    maps = torch.rand(8, 2, 3, 3, generator=torch.Generator().manual_seed(0)) + 0.1
    assert channel_snnl(maps, torch.arange(8) % 2, feature="mean", distance="cosine").isnan().all()


@given(seed=st.integers(0, 1000), scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_neither_order_nor_names_of_groups_nor_scale_nor_shift_matter(seed: int, scale: float, shift: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    maps = torch.randn(10, 3, 2, 2, generator=generator, dtype=torch.float64)
    groups = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3, -1])
    order, names = torch.randperm(10, generator=generator), torch.randperm(4, generator=generator)
    renamed = torch.where(groups >= 0, names[groups.clamp_min(0)], -1)
    scores = channel_snnl(maps, groups)
    torch.testing.assert_close(channel_snnl(maps[order], groups[order]), scores)
    torch.testing.assert_close(channel_snnl(maps * scale + shift, renamed), scores)
    assert (scores >= 0).all()


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize("scale", [1e-30, 1e-23, 1e-20, 1e19, 1e30])
def test_in_single_precision_scale_matters_as_little(scale: float, distance: str) -> None:
    """Squares of such numbers are 0 or infinite in float32."""
    groups = torch.arange(12) % 2
    maps = torch.randn(12, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    maps[:, 0] += 3.0 * groups[:, None, None]  # the group
    expected = channel_snnl(maps, groups, distance=distance)
    scaled = (maps * scale).requires_grad_()
    torch.testing.assert_close(channel_snnl(scaled, groups, distance=distance), expected)
    (slope,) = torch.autograd.grad(channel_snnl(scaled, groups, distance=distance).sum(), scaled)
    (plain,) = torch.autograd.grad(channel_snnl(maps.requires_grad_(), groups, distance=distance).sum(), maps)
    torch.testing.assert_close(slope * scale, plain, rtol=1e-4, atol=1e-6)


def test_with_a_fixed_temperature_tiny_maps_lie_at_chance_and_huge_ones_have_one_neighbour() -> None:
    maps = torch.tensor([[0.0], [1.0], [10.0], [11.0]])
    pairs, strangers = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 1, 0, 1])
    assert channel_snnl(1e-25 * maps, pairs, temperature=1.0).tolist() == pytest.approx([math.log(3)])
    assert channel_snnl(1e25 * maps, pairs, temperature=1.0).tolist() == [0.0]
    far = channel_snnl(1e25 * maps, strangers, temperature=1.0)
    assert far.isfinite().all()
    assert far > 1e6


@pytest.mark.parametrize("distance", DISTANCES)
def test_autocast_does_not_coarsen_it(distance: str) -> None:
    maps = torch.randn(14, 4, 3, 2, generator=torch.Generator().manual_seed(0)) + 1.0
    groups = torch.arange(14) % 3
    expected = channel_snnl(maps, groups, distance=distance)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(channel_snnl(maps, groups, distance=distance), expected)


def test_a_channel_that_is_the_group_is_the_lowest_and_a_random_one_lies_at_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = torch.arange(120) % 4
    maps = torch.randn(120, 200, generator=generator)
    maps[:, 17] = groups + 0.05 * torch.randn(120, generator=generator)
    scores = channel_snnl(maps, groups)
    assert scores.argmin() == 17
    assert scores.median() == pytest.approx(math.log(119 / 29), abs=0.02)


@pytest.mark.parametrize(
    ("maps", "groups", "error", "words"),
    [
        (torch.zeros(4, 2, 3), [0, 0, 1, 1], ShapeError, r"got \(4, 2, 3\)"),
        (torch.zeros(4, 2), [0, 0, 1], ShapeError, r"got \(3,\) for 4 images"),
        (torch.zeros(4, 2), [0, 0, 0, -1], DataError, r"3 images of known group holds 1 groups, of \[3\] images"),
        (torch.zeros(3, 2), [0, 1, 2], DataError, r"3 groups, of \[1, 1, 1\] images"),
        (torch.zeros(2, 2), [-1, -1], DataError, r"0 images of known group holds 0 groups"),
    ],
)
def test_batches_without_neighbours_are_refused(maps: Tensor, groups: list[int], error: type, words: str) -> None:
    with pytest.raises(error, match=words) as raised:
        channel_snnl(maps, torch.tensor(groups))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.nan, math.inf, 1e-60, 1e300])
def test_a_temperature_that_is_none_is_refused(temperature: float) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"temperature is {temperature}; use a number above 0, from")):
        channel_snnl(torch.zeros(4, 2), torch.tensor([0, 0, 1, 1]), temperature=temperature)
