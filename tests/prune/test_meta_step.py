"""The gradient of the variance of group losses by the attributes' weights, and what computing it leaves alone."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.func import functional_call

from mindgap.core.errors import ConfigError, DataError
from mindgap.prune.importance import ScoringBatch
from mindgap.prune.meta_step import MetaStep, group_variance, meta_step
from mindgap.prune.soft_nearest import channel_snnl
from mindgap.space.network import Network
from mindgap.testing.tiny_training import CLASSES, SIZE_PX, tiny_network

IMAGES = 24
GROUPS = (2, 3, 4)
WEIGHTS = (0.5, 1.5, 1.0)
loss = functools.partial(F.cross_entropy, reduction="none")


def some_network(*, seed: int = 0) -> Network:
    """A small network whose batch norms and classifier are not those of the start, in training mode."""
    network = tiny_network(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in [*network.parameters(), *network.buffers()]:
            if value.ndim == 1 or value is network.classifier.weight:
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    return network.train()


def layers_of(network: Network) -> dict[str, nn.Module]:
    return {"blocks.0": network.blocks[0], "head": network.head}


def batches(*, seed: int, count: int = 3) -> list[ScoringBatch]:
    """One batch of noise for each attribute, its images the same length in all groups but for a few of none."""
    generator = torch.Generator().manual_seed(seed)
    made = []
    for groups in GROUPS[:count]:
        images = torch.randn(IMAGES, 3, SIZE_PX, SIZE_PX, generator=generator)
        labels = torch.randint(0, CLASSES, (IMAGES,), generator=generator)
        numbers = torch.arange(IMAGES) % groups
        numbers[-2:] = -1
        made.append(ScoringBatch(images, labels, numbers, torch.arange(IMAGES)))
    return made


def wide(made: list[ScoringBatch]) -> list[ScoringBatch]:
    return [replace(batch, images=batch.images.double()) for batch in made]


def step_of(network: Network, *, step: float = 0.1, count: int = 3, to: torch.dtype = torch.float32) -> MetaStep:
    training, meta = batches(seed=1, count=count), batches(seed=2, count=count)
    if to == torch.float64:
        training, meta = wide(training), wide(meta)
    return meta_step(
        network,
        layers_of(network),
        WEIGHTS[:count],
        training=training,
        meta=meta,
        groups=GROUPS[:count],
        snnl=channel_snnl,
        loss=loss,
        step=step,
    )


def plain_meta_loss(network: Network, weights: Tensor, *, step: float) -> Tensor:
    """L_meta as a graph of the weights through the step: the definition, by differentiating a gradient."""
    network = network.double().eval()
    start = {name: value.detach().requires_grad_() for name, value in network.named_parameters() if value.requires_grad}
    sums = torch.zeros((), dtype=torch.float64)
    for weight, batch in zip(weights, wide(batches(seed=1)), strict=True):
        block = network_call(network.blocks, start, "blocks.", network_call(network.stem, start, "stem.", batch.images))
        head = network_call(network.head, start, "head.", block)
        sums = sums + weight * torch.cat([channel_snnl(maps, batch.groups) for maps in (block, head)]).nanmean()
    slopes = torch.autograd.grad(sums, list(start.values()), create_graph=True, materialize_grads=True)
    moved = {name: value + step * slope for (name, value), slope in zip(start.items(), slopes, strict=True)}
    total = torch.zeros((), dtype=torch.float64)
    for batch, count in zip(wide(batches(seed=2)), GROUPS, strict=True):
        losses = loss(functional_call(network, moved, (batch.images,)), batch.labels)
        means = torch.stack([losses[batch.groups == group].mean() for group in range(count)])
        total = total + means.var(correction=0)
    return total


def network_call(module: nn.Module, values: dict[str, Tensor], prefix: str, images: Tensor) -> Tensor:
    own = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    return functional_call(module, own, (images,))


# The gradient.


@pytest.mark.parametrize("step", [0.1, -0.1])
def test_the_gradient_is_that_of_differentiating_twice(step: float) -> None:
    network = some_network().double()
    weights = torch.tensor(WEIGHTS, dtype=torch.float64, requires_grad=True)
    value = plain_meta_loss(some_network(), weights, step=step)
    (expected,) = torch.autograd.grad(value, weights)
    found = step_of(network, step=step, to=torch.float64)
    torch.testing.assert_close(found.gradient, expected, rtol=1e-10, atol=0.0)
    torch.testing.assert_close(found.variances.sum(), value.detach(), rtol=1e-10, atol=0.0)


def test_the_gradient_is_that_of_finite_differences() -> None:
    weights = torch.tensor(WEIGHTS, dtype=torch.float64)
    ends = [
        [float(plain_meta_loss(some_network(), weights + sign * h, step=0.1).detach()) for sign in (1, -1)]
        for h in 1e-5 * torch.eye(3, dtype=torch.float64)
    ]
    slopes = [(up - down) / 2e-5 for up, down in ends]
    found = step_of(some_network().double(), to=torch.float64)
    np.testing.assert_allclose(found.gradient.numpy(), slopes, rtol=1e-5)


def test_in_single_precision_it_is_the_same_to_a_part_in_a_thousand() -> None:
    exact = step_of(some_network().double(), to=torch.float64).gradient
    torch.testing.assert_close(step_of(some_network()).gradient, exact, rtol=1e-3, atol=1e-9)


def test_a_frozen_part_is_not_stepped() -> None:
    network = some_network().double()
    network.stem.requires_grad_(requires_grad=False)
    free = step_of(some_network().double(), to=torch.float64)
    found = step_of(network, to=torch.float64)
    assert not torch.allclose(found.gradient, free.gradient, rtol=1e-3)
    weights = torch.tensor(WEIGHTS, dtype=torch.float64, requires_grad=True)
    (expected,) = torch.autograd.grad(plain_meta_loss(network, weights, step=0.1), weights)
    torch.testing.assert_close(found.gradient, expected, rtol=1e-10, atol=0.0)


# What it leaves alone.


def snapshot(network: Network) -> list[object]:
    """All that a use of the network could change: values bit by bit, slopes, flags, storage and hooks."""
    values = [*network.parameters(), *network.buffers()]
    return [
        [(value.numpy().tobytes(), value.data_ptr()) for value in (value.detach() for value in values)],
        [None if value.grad is None else value.grad.numpy().tobytes() for value in network.parameters()],
        [value.requires_grad for value in network.parameters()],
        [(module.training, len(module._forward_hooks)) for module in network.modules()],
    ]


def test_the_network_is_left_bit_for_bit() -> None:
    network = some_network()
    network.blocks.eval()
    network.classifier.bias.requires_grad_(requires_grad=False)
    network.stem[0].weight.grad = torch.ones_like(network.stem[0].weight)
    before = snapshot(network)
    step_of(network)
    assert snapshot(network) == before
    with torch.no_grad():
        network.stem[0].weight[0, 0, 0, 0] += 1e-6
    assert snapshot(network) != before


def test_it_is_left_so_after_a_failure_too() -> None:
    network = some_network()
    before = snapshot(network)

    def failing(maps: Tensor, groups: Tensor) -> Tensor:
        raise DataError("no")

    with pytest.raises(DataError, match="no"):
        meta_step(
            network,
            layers_of(network),
            [1.0],
            training=batches(seed=1, count=1),
            meta=batches(seed=2, count=1),
            groups=[2],
            snnl=failing,
            loss=loss,
            step=0.1,
        )
    assert snapshot(network) == before


def test_it_does_not_depend_on_training_mode_or_on_a_surrounding_no_grad() -> None:
    network = some_network()
    expected = step_of(network)
    network.eval()
    with torch.no_grad():
        found = step_of(network)
    assert torch.equal(found.gradient, expected.gradient)


def test_it_works_within_inference_mode() -> None:
    network, training, meta = some_network(), batches(seed=1, count=1), batches(seed=2, count=1)
    with torch.inference_mode():
        found = meta_step(
            network,
            layers_of(network),
            [1.0],
            training=training,
            meta=meta,
            groups=[2],
            snnl=channel_snnl,
            loss=loss,
            step=0.1,
        )
    assert found.gradient.isfinite().all()


# What counts.


def test_dead_channels_are_in_no_mean() -> None:
    network = some_network().double()
    with torch.no_grad():
        network.head.norm.weight[:3] = 0.0
    expected = step_of(network, to=torch.float64)

    def zeros_for_dead(maps: Tensor, groups: Tensor) -> Tensor:
        return channel_snnl(maps, groups).nan_to_num(0.0)

    counted = meta_step(
        network,
        layers_of(network),
        WEIGHTS,
        training=wide(batches(seed=1)),
        meta=wide(batches(seed=2)),
        groups=GROUPS,
        snnl=zeros_for_dead,
        loss=loss,
        step=0.1 * 12 / 9,
    )
    # 9 of 12 channels live, so a mean over all of them is 9/12 of the mean over those that live.
    torch.testing.assert_close(expected.variances, counted.variances, rtol=1e-9, atol=0.0)
    torch.testing.assert_close(expected.gradient, counted.gradient, rtol=1e-9, atol=0.0)


def test_a_channel_that_collapsed_counts_no_more_than_a_dead_one() -> None:
    dead, collapsed = some_network(), some_network()
    for network, weight in ((dead, 0.0), (collapsed, 1e-20)):
        with torch.no_grad():
            network.head.norm.weight[0] = weight
            network.head.norm.bias[0] = 0.0
            network.head.norm.running_mean[0] = 0.0
    ours, expected = step_of(collapsed), step_of(dead)
    torch.testing.assert_close(ours.gradient, expected.gradient)
    torch.testing.assert_close(ours.variances, expected.variances)


def test_slopes_that_are_not_finite_are_refused_as_such() -> None:
    network = some_network()

    def steep(maps: Tensor, groups: Tensor) -> Tensor:
        return (maps - maps.detach()).mean(dim=(0, 2, 3)).sqrt()  # whose slope at 0 is infinite

    with pytest.raises(DataError, match="groups apart are not finite; its values overflow, so train") as raised:
        meta_step(
            network,
            {"head": network.head},
            [1.0],
            training=batches(seed=1, count=1),
            meta=batches(seed=2, count=1),
            groups=[2],
            snnl=steep,
            loss=loss,
            step=0.1,
        )
    assert "\n" not in str(raised.value)


def test_layers_of_which_every_channel_is_dead_are_refused() -> None:
    network = some_network()
    with torch.no_grad():
        network.head.norm.weight.zero_()
    with pytest.raises(DataError, match="no channel of head tells any two images apart; choose other layers"):
        meta_step(
            network,
            {"head": network.head},
            [1.0],
            training=batches(seed=1, count=1),
            meta=batches(seed=2, count=1),
            groups=[2],
            snnl=channel_snnl,
            loss=loss,
            step=0.1,
        )


def test_layers_before_which_all_is_frozen_are_refused() -> None:
    network = some_network()
    network.requires_grad_(requires_grad=False)
    network.classifier.requires_grad_()
    with pytest.raises(ConfigError, match=r"no parameter before blocks.0, head is trained; unfreeze some"):
        step_of(network)


def test_the_variance_of_group_losses_by_hand() -> None:
    losses = torch.tensor([1.0, 3.0, 4.0, 4.0, 9.0, 50.0])
    variance, sizes = group_variance(losses, torch.tensor([0, 0, 1, 1, 2, -1]), count=4)
    assert float(variance) == 1.0
    assert sizes.tolist() == [2, 2, 1, 0]


def test_the_variance_of_one_group_is_undefined() -> None:
    variance, sizes = group_variance(torch.ones(3), torch.tensor([0, 0, 1]), count=2)
    assert variance.isnan()
    assert sizes.tolist() == [2, 1]


def test_a_layer_that_is_not_of_the_network_is_refused() -> None:
    network = some_network()
    with pytest.raises(ConfigError, match="layer 'conv9' is not called when the network is"):
        meta_step(
            network,
            {"conv9": nn.Conv2d(3, 3, 1)},
            [1.0],
            training=batches(seed=1, count=1),
            meta=batches(seed=2, count=1),
            groups=[2],
            snnl=channel_snnl,
            loss=loss,
            step=0.1,
        )
