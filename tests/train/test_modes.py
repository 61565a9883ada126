"""Networks whose parts run in modes."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mindgap.space.layers import Residual
from mindgap.train.fused_modules import fused_forwards
from mindgap.train.modes import MODES, in_modes
from mindgap.train.precision import BF16, FP32


def test_a_network_in_its_modes_gives_nearly_the_same_and_is_left_as_it_was(architecture):
    network, images = architecture.build().eval(), torch.randn(4, 3, 16, 16)
    plain = network(images)
    for modes in (BF16.modes(architecture), FP32.modes(architecture), ("bf16", "fp32-mended", "bf16", "fp32", "bf16")):
        with in_modes(network, modes):
            torch.testing.assert_close(network(images).float(), plain, rtol=0.05, atol=0.01)
            assert network.features(images).dtype == (torch.float32 if modes[-1] == "fp32" else torch.bfloat16)
    assert torch.equal(network(images), plain)
    assert all("forward" not in module.__dict__ for module in network.modules())
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


def test_modes_are_undone_after_an_error(architecture):
    network = architecture.build()
    with pytest.raises(ZeroDivisionError), in_modes(network, BF16.modes(architecture)):
        raise ZeroDivisionError
    assert all("forward" not in module.__dict__ for module in network.modules())


def after_a_step(network, mode, images):
    """Gradients and buffers after a forward and backward pass of a copy."""
    network = copy.deepcopy(network).train()
    with in_modes(network, (mode,) * 5):
        torch.manual_seed(0)
        network(images).square().sum().backward()
    return [parameter.grad for parameter in network.parameters()] + list(network.buffers())


@pytest.mark.parametrize("mode", ["fp32-mended", "fp32-fused", "fp32-mended-fused"])
def test_mended_and_fused_networks_have_the_gradients_and_statistics_of_stock_ones(architecture, mode):
    network, images = architecture.build(), torch.randn(4, 3, 16, 16)
    for module in network.modules():  # no residual block as it begins, at scale 0
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    for changed, stock in zip(after_a_step(network, mode, images), after_a_step(network, "fp32", images), strict=True):
        torch.testing.assert_close(changed, stock, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_evaluates_as_its_type_does(architecture, mode):
    network, images = architecture.build().eval(), torch.randn(4, 3, 16, 16)
    with in_modes(network, (mode[:4],) * 5):
        plain = network(images)
    with in_modes(network, (mode,) * 5):
        assert torch.equal(network(images), plain)


def test_every_batch_norm_of_a_network_is_fused(architecture):
    network = architecture.build()
    parts = [network.stem, *network.blocks, network.head]
    replaced = [module for part in parts for module, _ in fused_forwards(part)]
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    residuals = [module for module in network.modules() if isinstance(module, Residual)]
    assert len(residuals) == 2
    assert sum(isinstance(module, nn.BatchNorm2d) for module in replaced) == len(norms) - len(residuals)
    assert all(residual in replaced for residual in residuals)


def test_what_a_hook_has_to_see_is_not_fused_away(architecture):
    network, seen = architecture.build(), []
    residual = next(module for module in network.modules() if isinstance(module, Residual))
    norm, act = residual.body[-1][-1], residual.body[0].act
    for module in (norm, act):
        module.register_forward_hook(lambda _, __, output: seen.append(output))
    with in_modes(network, ("fp32-fused",) * 5):
        network(torch.randn(4, 3, 16, 16))
    assert len(seen) == 2
    assert seen[0].min() >= 0 > seen[1].min(), "the activation's output, then the norm's before the sum"
