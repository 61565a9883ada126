"""Reference networks: published sizes and other libraries' logits."""

from __future__ import annotations

import pytest
import torch

from mindgap.core.errors import DataError, UnknownNameError
from mindgap.space.cost import count_cost
from mindgap.space.foreign_weights import map_weights
from mindgap.space.network import NETWORKS, resolve_network
from mindgap.testing import NetworkConformance

PARAMETERS = {
    "mobilenet_v2": 3_504_872,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "mnasnet": 4_383_312,
}
TIMM_NAMES = {
    "mobilenet_v2": "mobilenetv2_100",
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "mnasnet": "mnasnet_100",
}


class TestEveryNetwork(NetworkConformance):
    @pytest.fixture(params=NETWORKS.names())
    def name(self, request):
        return request.param


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_at_1000_classes_are_the_published_ones(name):
    architecture = resolve_network(name, num_classes=1000, input_px=224)
    assert count_cost(architecture).params == PARAMETERS[name]
    assert sum(parameter.numel() for parameter in architecture.build().parameters()) == PARAMETERS[name]


def test_multiply_adds_at_224_px_are_the_published_ones():
    published = {"mobilenet_v2": 0.301e9, "resnet18": 1.814e9, "resnet34": 3.664e9, "resnet50": 4.089e9}
    for name, macs in published.items():
        cost = count_cost(resolve_network(name, num_classes=1000, input_px=224))
        assert cost.macs == pytest.approx(macs, rel=2e-3)


@pytest.mark.parametrize("name", PARAMETERS)
def test_logits_equal_timms_with_mapped_weights(name):
    try:
        import timm
    except (ImportError, RuntimeError) as error:  # its torchvision may not fit this torch
        pytest.skip(f"timm does not import here: {error}")
    theirs = timm.create_model(TIMM_NAMES[name], num_classes=11).eval()
    generator = torch.Generator().manual_seed(0)
    for tensor in theirs.state_dict().values():  # running averages and scales away from 0 and 1
        if tensor.is_floating_point() and tensor.dim() == 1:
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    ours = resolve_network(name, num_classes=11, input_px=96).build().eval()
    ours.load_state_dict(map_weights(ours, theirs.state_dict()))
    images = torch.randn(2, 3, 96, 96, generator=generator)
    with torch.inference_mode():
        torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


def test_an_architecture_file_is_taken_over_for_the_task(tmp_path):
    source = resolve_network("mnasnet", num_classes=3, input_px=32)
    path = tmp_path / "architecture.json"
    path.write_text(source.to_json(), encoding="utf-8")
    assert resolve_network(path, num_classes=9, input_px=64) == source.for_task(num_classes=9, input_px=64)
    assert resolve_network(tmp_path, num_classes=3, input_px=32) == source


def test_an_unknown_network_names_the_near_one():
    with pytest.raises(UnknownNameError, match="did you mean 'resnet18'"):
        resolve_network("resnet81", num_classes=2, input_px=64)
    with pytest.raises(DataError, match="cannot read"):
        resolve_network("nowhere.json", num_classes=2, input_px=64)
