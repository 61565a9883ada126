"""Every registered explainer keeps the contract."""

from __future__ import annotations

import pytest
import torch

from mindgap.explain.explainer import EXPLAINERS
from mindgap.space.network import resolve_network
from mindgap.testing import ExplainerConformance


@pytest.mark.parametrize("name", EXPLAINERS.names())
class TestRegisteredExplainers(ExplainerConformance):
    pass


def test_the_three_of_the_paper_are_there() -> None:
    assert {"cam", "grad-cam", "guided-grad-cam"} <= set(EXPLAINERS.names())


@pytest.mark.parametrize("name", EXPLAINERS.names())
def test_another_packages_network_with_activations_as_functions_is_explained(name: str, fake_timm) -> None:
    network = resolve_network("timm:mini", num_classes=2, input_px=16).build().eval()
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    maps = EXPLAINERS.get(name)().maps(network, images, torch.tensor([0, 1, 0]))
    assert maps.isfinite().all()
    assert maps.abs().amax() > 0
