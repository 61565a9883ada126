"""Networks whose parts run in modes."""

from __future__ import annotations

import pytest
import torch

from mindgap.train.modes import in_modes
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


def test_mended_gradients_are_those_of_the_stock_network(architecture):
    network, images = architecture.build(), torch.randn(4, 3, 16, 16)
    gradients = []
    for mode in ("fp32", "fp32-mended"):
        network.zero_grad()
        with in_modes(network, (mode,) * 5):
            torch.manual_seed(0)
            network(images).square().sum().backward()
        gradients.append([parameter.grad.clone() for parameter in network.parameters()])
    for mended, stock in zip(*gradients, strict=True):
        torch.testing.assert_close(mended, stock, rtol=1e-3, atol=1e-4)
