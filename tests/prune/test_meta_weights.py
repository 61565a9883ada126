"""Weights of attributes, learned by what removing their encoding does to the losses of groups."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError, DataError
from mindgap.prune.importance import ScoringBatch
from mindgap.prune.meta_step import group_variance, meta_step
from mindgap.prune.meta_weights import AttributeWeights, MetaOptions, learn_attribute_weights, normalised
from mindgap.prune.soft_nearest import channel_snnl

loss = functools.partial(F.cross_entropy, reduction="none")
BATCH, BATCHES, PX = 64, 4, 2
ITERATIONS = 5
SEEDS = range(30)


@dataclass(frozen=True)
class Planted:
    """Images whose first plane tells the class, the second the groups of ``shown``, the third those of ``idle``.

    A fourth plane is noise, and nothing tells the groups of ``absent``. A batch holds all combinations alike.
    """

    images: tuple[Tensor, ...]
    labels: Tensor
    columns: Mapping[str, Tensor]
    group_names: Mapping[str, tuple[str, ...]]

    def balanced(self, attribute: str) -> Iterator[ScoringBatch]:
        for images in self.images:
            yield ScoringBatch(images, self.labels, self.columns[attribute], torch.arange(BATCH))


def planted(*, seed: int, count: int = BATCHES) -> Planted:
    generator = torch.Generator().manual_seed(seed)
    bits = [torch.arange(BATCH) // place % 2 for place in (1, 2, 4, 8)]
    signal = torch.stack([2.0 * bit - 1.0 for bit in bits[:3]] + [torch.zeros(BATCH)], dim=1)[:, :, None, None]
    images = tuple(signal + torch.randn(BATCH, 4, PX, PX, generator=generator) for _ in range(count))
    columns = dict(zip(("shown", "idle", "absent"), bits[1:], strict=True))
    return Planted(images, bits[0], columns, dict.fromkeys(columns, ("a", "b")))


class PlantedNetwork(nn.Module):
    """Four channels, each mostly one plane of the image; the classifier reads the class and, wrongly, ``shown``.

    Where the groups of ``shown`` differ, so do the logits of one class: their losses differ on images of equal class.
    """

    def __init__(self, *, seed: int, shortcut: float = 1.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        mixing = torch.eye(4) + 0.1 * torch.randn(4, 4, generator=generator)
        self.maps = nn.Conv2d(4, 4, 1, bias=False)
        self.classifier = nn.Linear(4, 2)
        with torch.no_grad():
            self.maps.weight.copy_(mixing[:, :, None, None])
            self.classifier.weight.copy_(torch.tensor([[0.0] * 4, [1.5, shortcut, 0.0, 0.0]]))
            self.classifier.bias.copy_(torch.tensor([0.0, 1.0]))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.maps(images).mean(dim=(2, 3)))


def learned(
    network: PlantedNetwork, *, seed: int = 0, attributes: tuple[str, ...] = ("shown", "idle"), **options: object
) -> AttributeWeights:
    return learn_attribute_weights(
        network,
        {"maps": network.maps},
        attributes=attributes,
        training=planted(seed=2 * seed),
        meta=planted(seed=2 * seed + 1),
        snnl=channel_snnl,
        loss=loss,
        options=parse(MetaOptions, {"iterations": ITERATIONS} | options),
    )


def variance(network: nn.Module, attribute: str, *, seed: int) -> float:
    """Variance of the attribute's group losses over 16 fresh batches."""
    data = planted(seed=seed, count=16)
    every = [*data.balanced(attribute)]
    with torch.no_grad():
        losses = torch.cat([loss(network(batch.images), batch.labels) for batch in every])
    return float(group_variance(losses, torch.cat([batch.groups for batch in every]), count=2)[0])


# Where weights go.


def test_in_the_planted_case_one_attribute_has_the_gap_and_removing_its_channel_closes_it() -> None:
    for seed in SEEDS:
        network = PlantedNetwork(seed=seed)
        shown, idle = (variance(network, name, seed=1000 + seed) for name in ("shown", "idle"))
        with torch.no_grad():
            network.maps.weight[1] = 0.0
        assert shown > idle
        assert variance(network, "shown", seed=1000 + seed) < 0.5 * shown


def test_weights_move_to_the_attribute_of_unequal_losses_and_with_the_papers_sign_away() -> None:
    wins = {"ascent": 0, "literal": 0}
    for inner in wins:
        for seed in SEEDS:
            weights = learned(PlantedNetwork(seed=seed), seed=seed, inner=inner).weights
            wins[inner] += weights["shown"] > weights["idle"]
    print(f"the attribute of the larger variance has the larger weight in {wins} of {len(SEEDS)} seeds")  # noqa: T201
    assert wins["ascent"] >= 27
    assert wins["literal"] <= 3


def test_of_three_attributes_the_one_of_unequal_losses_gains_most() -> None:
    wins = 0
    for seed in range(10):
        found = learned(PlantedNetwork(seed=seed), seed=seed, attributes=("absent", "shown", "idle"))
        wins += max(found.weights, key=found.weights.__getitem__) == "shown"
        assert found.path.shape == (ITERATIONS + 1, 3)
        np.testing.assert_allclose(found.path.mean(axis=1), 1.0)
        assert (found.path >= 0).all()
    assert wins >= 8


def test_one_attribute_keeps_weight_1() -> None:
    found = learned(PlantedNetwork(seed=0), attributes=("idle",))
    assert found.weights == {"idle": 1.0}
    assert found.path.tolist() == [[1.0]]
    assert found.meta_losses.tolist() == []


def test_equal_losses_in_all_groups_leave_the_weights_at_1() -> None:
    """A classifier that says the same of every image has nothing that any weight could even out."""
    network = PlantedNetwork(seed=0)
    with torch.no_grad():
        network.classifier.weight.zero_()
    found = learned(network)
    np.testing.assert_allclose(found.path, 1.0, atol=1e-6)
    np.testing.assert_allclose(found.variances, 0.0, atol=1e-20)


def test_the_record_holds_the_weights_path_and_the_variances_that_were_summed() -> None:
    found = learned(PlantedNetwork(seed=3), seed=3)
    assert found.path.dtype == found.variances.dtype == np.float64
    assert found.path[0].tolist() == [1.0, 1.0]
    assert found.path.shape == (ITERATIONS + 1, 2)
    assert found.variances.shape == (ITERATIONS, 2)
    assert list(found.weights.values()) == found.path[-1].tolist()
    np.testing.assert_array_equal(found.meta_losses, found.variances[:, 0] + found.variances[:, 1])
    assert found.left_out == {"shown": (), "idle": ()}


def test_the_first_step_is_adams_rescaled_to_mean_1() -> None:
    """Adam's first step is lr·g/(|g| + 1e-8) for each weight, whatever the size of its slope."""
    network = PlantedNetwork(seed=3)
    first = meta_step(
        network,
        {"maps": network.maps},
        [1.0, 1.0],
        training=[next(planted(seed=6).balanced(name)) for name in ("shown", "idle")],
        meta=[next(planted(seed=7).balanced(name)) for name in ("shown", "idle")],
        groups=[2, 2],
        snnl=channel_snnl,
        loss=loss,
        step=0.1,
    )
    moved = 1.0 - 0.2 * first.gradient / (first.gradient.abs() + 1e-8)
    found = learned(network, seed=3, iterations=1, lr=0.2)
    np.testing.assert_allclose(found.path[1], moved / moved.mean(), rtol=1e-9)
    np.testing.assert_allclose(found.variances[0], first.variances)


def test_the_same_network_and_data_give_the_same_weights() -> None:
    assert np.array_equal(learned(PlantedNetwork(seed=1)).path, learned(PlantedNetwork(seed=1)).path)


def test_the_network_is_left_as_it_was() -> None:
    network = PlantedNetwork(seed=0)
    network.classifier.bias.requires_grad_(requires_grad=False)
    network.maps.weight.grad = torch.ones_like(network.maps.weight)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    learned(network)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.maps.weight.grad.eq(1.0).all()
    assert [value.grad is None for value in network.parameters()] == [False, True, True]
    assert [value.requires_grad for value in network.parameters()] == [True, True, False]
    assert all(module.training for module in network.modules())


def test_every_iteration_is_told() -> None:
    told: list[int] = []
    network = PlantedNetwork(seed=0)
    data = planted(seed=0)
    learn_attribute_weights(
        network,
        {"maps": network.maps},
        attributes=["shown", "idle"],
        training=data,
        meta=data,
        snnl=channel_snnl,
        loss=loss,
        options=MetaOptions(iterations=BATCHES + 1),
        on_iteration=told.append,
    )
    assert told == [0, 1, 2, 3, 4]


# Projection.


def test_weights_below_0_are_cut_and_the_rest_has_mean_1() -> None:
    assert normalised(torch.tensor([3.0, 1.0, -1.0]).double()).tolist() == [2.25, 0.75, 0.0]


def test_weights_of_which_none_is_above_0_become_ones() -> None:
    assert normalised(torch.tensor([-1.0, 0.0]).double()).tolist() == [1.0, 1.0]


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=5))
def test_projected_weights_are_not_negative_have_mean_1_and_stay_where_they_are(values: list[float]) -> None:
    once = normalised(torch.tensor(values, dtype=torch.float64))
    assert (once >= 0).all()
    assert float(once.mean()) == pytest.approx(1.0)
    torch.testing.assert_close(normalised(once), once)


# What is refused, and said.


def test_a_group_short_of_images_in_the_meta_batches_is_named() -> None:
    data = planted(seed=0)
    three = data.columns["shown"].clone()
    three[0] = 2
    meta = Planted(
        data.images, data.labels, {**data.columns, "shown": three}, {**data.group_names, "shown": tuple("abc")}
    )
    network = PlantedNetwork(seed=0)
    found = learn_attribute_weights(
        network,
        {"maps": network.maps},
        attributes=["shown", "idle"],
        training=data,
        meta=meta,
        snnl=channel_snnl,
        loss=loss,
        options=MetaOptions(iterations=2),
    )
    assert found.left_out == {"shown": ("c",), "idle": ()}
    assert np.isfinite(found.variances).all()


def test_an_attribute_of_one_group_in_a_meta_batch_is_refused() -> None:
    data = planted(seed=0)
    meta = Planted(data.images, data.labels, {**data.columns, "idle": torch.zeros(BATCH).long()}, data.group_names)
    network = PlantedNetwork(seed=0)
    with pytest.raises(DataError, match=r"attribute 'idle': a meta batch has \[64, 0\] images of its groups"):
        learn_attribute_weights(
            network,
            {"maps": network.maps},
            attributes=["shown", "idle"],
            training=data,
            meta=meta,
            snnl=channel_snnl,
            loss=loss,
        )


def test_no_attribute_and_no_batch_are_refused() -> None:
    with pytest.raises(ConfigError, match="no attribute is named"):
        learned(PlantedNetwork(seed=0), attributes=())
    network, empty = PlantedNetwork(seed=0), planted(seed=0, count=0)
    with pytest.raises(DataError, match="attribute 'shown': there is no batch to learn its weight by"):
        learn_attribute_weights(
            network,
            {"maps": network.maps},
            attributes=["shown", "idle"],
            training=empty,
            meta=empty,
            snnl=channel_snnl,
            loss=loss,
        )


def test_a_step_after_which_losses_are_not_finite_is_refused() -> None:
    network, data = PlantedNetwork(seed=0), planted(seed=0)

    def endless(logits: Tensor, labels: Tensor) -> Tensor:
        return loss(logits, labels) / 0.0

    with pytest.raises(ConfigError, match=r"inner_step is 0.1: group losses are not finite after it; give less"):
        learn_attribute_weights(
            network,
            {"maps": network.maps},
            attributes=["shown", "idle"],
            training=data,
            meta=data,
            snnl=channel_snnl,
            loss=endless,
        )


@pytest.mark.parametrize(
    ("key", "value"), [("iterations", 0), ("inner_step", 0.0), ("inner_step", 1e39), ("lr", 0.0), ("inner", "plus")]
)
def test_options_outside_their_bounds_are_refused(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=key):
        parse(MetaOptions, {key: value})
