"""Every registered explainer keeps the contract."""

from __future__ import annotations

import pytest
import torch

from mindgap.core.errors import ConfigError
from mindgap.explain.explainer import EXPLAINERS
from mindgap.space.network import resolve_network
from mindgap.testing import ExplainerConformance


@pytest.mark.parametrize("name", EXPLAINERS.names())
class TestRegisteredExplainers(ExplainerConformance):
    pass


def test_the_three_of_the_paper_are_there() -> None:
    assert {"cam", "grad-cam", "guided-grad-cam"} <= set(EXPLAINERS.names())


@pytest.mark.parametrize("name", ["grad-cam", "guided-grad-cam"])
def test_networks_made_in_inference_mode_have_no_gradients(name: str) -> None:
    with torch.inference_mode():
        network = resolve_network("resnet18", num_classes=2, input_px=32).build().eval()
    images, targets = torch.zeros(2, 3, 32, 32), torch.tensor([0, 1])
    assert EXPLAINERS.get("cam")().maps(network, images, targets).shape == (2, 1, 1)
    with pytest.raises(ConfigError, match=r"stem\.conv\.weight was made in inference mode .* or use cam"):
        EXPLAINERS.get(name)().maps(network, images, targets)


@pytest.mark.parametrize("name", EXPLAINERS.names())
def test_another_packages_network_with_activations_as_functions_is_explained(name: str, fake_timm) -> None:
    network = resolve_network("timm:mini", num_classes=2, input_px=16).build().eval()
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    maps = EXPLAINERS.get(name)().maps(network, images, torch.tensor([0, 1, 0]))
    assert maps.isfinite().all()
    assert maps.abs().amax() > 0
