"""The copy of a network that predicts fast."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mindgap.space.block import BLOCKS
from mindgap.space.network import resolve_network
from mindgap.train.inference import InferenceNetwork, fold_batch_norms, inference_modes
from mindgap.train.precision import BF16, FP32


def lived(network):
    """A network whose batch norms have scales, shifts and statistics of their own."""
    generator = torch.Generator().manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.weight.data, module.running_var):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
            for tensor in (module.bias.data, module.running_mean):
                tensor.copy_(torch.randn(tensor.shape, generator=generator) / 4)
    return network.eval()


def batch(px):
    return torch.randn(3, 3, px, px, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "mnasnet"])
def test_a_folded_network_gives_the_same_logits_without_a_batch_norm(name):
    network = lived(resolve_network(name, num_classes=5, input_px=32).build(seed=0))
    folded = fold_batch_norms(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    with torch.inference_mode():
        expected, found = network(batch(32)), folded(batch(32))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))


def test_folding_by_hand():
    """A 1x1 convolution of weight 3, mean 1, variance 4, scale 2, shift 5: 2(3x − 1)/2 + 5 = 3x + 4."""
    conv, norm = nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1, eps=0.0)
    with torch.no_grad():
        for tensor, value in ((conv.weight, 3), (norm.running_mean, 1), (norm.running_var, 4), (norm.weight, 2)):
            tensor.fill_(value)
        norm.bias.fill_(5)
    folded = fold_batch_norms(nn.Sequential(conv, norm))
    assert folded[0].weight.item() == pytest.approx(3)
    assert folded[0].bias.item() == pytest.approx(4)


def test_a_batch_norm_elsewhere_stays():
    network = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.ReLU(), nn.BatchNorm2d(3))
    assert sum(isinstance(module, nn.BatchNorm2d) for module in fold_batch_norms(network).modules()) == 2


@pytest.mark.parametrize(("plan", "tolerance"), [(FP32, 1e-4), (BF16, 0.05)])
def test_the_copy_agrees_in_both_types_and_leaves_the_network_as_it_was(architecture, plan, tolerance):
    network = lived(architecture.build(seed=3))
    before = copy.deepcopy(network.state_dict())
    with torch.inference_mode():
        expected = network(batch(16))
        found = InferenceNetwork(network, plan.modes(architecture))(batch(16))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0, atol=tolerance * float(expected.abs().max()))
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())


def test_a_block_of_unknown_modules_runs_in_bfloat16_with_its_own_weights(architecture, monkeypatch):
    """Such a block may compute with its weights itself, in the type it made them in."""

    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(8))

        def forward(self, images):
            assert self.weight.dtype == torch.float32
            return (images * self.weight[:, None, None]).to(images.dtype)

    network = architecture.build(seed=3).eval()
    expected = InferenceNetwork(network, BF16.modes(architecture))
    network.blocks[0].add_module("scaled", Scaled())
    with torch.inference_mode():
        found = InferenceNetwork(network, BF16.modes(architecture))(batch(16))
        torch.testing.assert_close(found, expected(batch(16)), rtol=0, atol=0.02)


def test_every_block_of_ours_is_known(architecture):
    from mindgap.train import inference

    for name in BLOCKS.names():
        block = BLOCKS.get(name)()
        if not block.__module__.startswith("mindgap."):
            continue
        built = block.build(8, 8, 1)
        assert {type(module) for module in built.modules()} <= inference._PLAIN, name


def test_the_choice_of_the_type_is_timed_once(architecture, monkeypatch):
    before = torch.random.get_rng_state()
    first = inference_modes(architecture)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert set(first) in ({"fp32"}, {"bf16"})
    assert len(first) == len(architecture.blocks) + 2

    def again(_):
        raise AssertionError("timed a second time")

    monkeypatch.setattr("mindgap.train.inference._timed", again)
    assert inference_modes(architecture) == first
    assert set(inference_modes(architecture, precision="fp32")) == {"fp32"}
    assert set(inference_modes(architecture, precision="bf16")) == {"bf16"}
