"""Grad-CAM by hand, and against captum's."""

from __future__ import annotations

import pytest
import torch
from captum.attr import LayerAttribution, LayerGradCam

from mindgap.core.errors import ConfigError, ShapeError
from mindgap.explain.explainers.grad_cam import GradCam
from mindgap.explain.layer_maps import find_layer, layer_maps, maps_and_gradients
from mindgap.explain.resize import to_image_size
from mindgap.space.network import Network, resolve_network
from mindgap.testing.tiny_training import CLASSES, tiny_images, tiny_network

PX = 64


def network_of(name: str) -> Network:
    """A reference network whose logits depend on its input, as its batch norms do not begin at 0."""
    network = resolve_network(name, num_classes=CLASSES, input_px=PX).build(seed=3).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() == 1:
                parameter.copy_(0.5 + torch.rand(parameter.shape, generator=generator))
    return network


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(3, 3, PX, PX, generator=torch.Generator().manual_seed(1))


TARGETS = torch.tensor([0, 2, 1])


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", None),
        ("resnet18", "blocks.5"),
        ("resnet18", "blocks.4.body.second.norm"),
        ("mobilenet_v2", None),
        ("mobilenet_v2", "blocks.6"),
    ],
)
def test_it_equals_captums(name: str, layer: str | None, images: torch.Tensor) -> None:
    network = network_of(name)
    module = network.head if layer is None else find_layer(network, layer)
    theirs = LayerGradCam(network, module).attribute(images, TARGETS, relu_attributions=True)
    ours = GradCam(layer=layer).maps(network, images, TARGETS)
    assert ours.max() > 1e-3
    torch.testing.assert_close(ours[:, None], theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(
        to_image_size(ours, PX)[:, None], LayerAttribution.interpolate(theirs, (PX, PX), "bilinear")
    )


def test_by_hand_it_is_the_classifiers_weights_over_the_pixels() -> None:
    network = tiny_network().eval()
    with torch.no_grad():
        maps = network.feature_maps(tiny_images())
    targets = torch.arange(len(maps)) % CLASSES
    pixels = maps.shape[2] * maps.shape[3]
    by_hand = torch.einsum("nk,nkhw->nhw", network.classifier.weight.detach()[targets], maps) / pixels
    torch.testing.assert_close(GradCam().maps(network, tiny_images(), targets), by_hand.relu())


def test_a_map_of_one_row_becomes_larger_as_areas_do() -> None:
    resized = to_image_size(torch.tensor([[[0.0, 1.0]]]), 4)
    assert resized.tolist() == [[[0.0, 0.25, 0.75, 1.0]] * 4]
    assert to_image_size(resized, 4) is resized


@pytest.mark.parametrize(("shape", "size"), [((2, 2), 4), ((1, 0, 2), 4), ((1, 2, 2), 0)])
def test_what_is_no_map_is_not_resized(shape: tuple[int, ...], size: int) -> None:
    with pytest.raises(ShapeError, match=r"pass|ask for 1 px"):
        to_image_size(torch.zeros(shape), size)


class TestLayerMaps:
    def test_a_layers_maps_are_what_it_gives_before_anything_changes_them_in_place(self) -> None:
        network = tiny_network().eval()
        with torch.no_grad():
            stem = network.stem[0](tiny_images())
            normed = network.stem[1](stem.clone())
        torch.testing.assert_close(layer_maps(network, tiny_images(), layer="stem.norm"), normed)
        maps, _ = maps_and_gradients(network, tiny_images(), torch.zeros(12, dtype=torch.int64), layer="stem.norm")
        torch.testing.assert_close(maps, normed)
        assert normed.min() < 0

    @pytest.mark.parametrize(
        ("layer", "words"),
        [
            ("blocks.0.bdy", "no layer 'blocks.0.bdy'; did you mean 'blocks.0"),
            ("zzz", "no layer 'zzz'; known: stem, blocks, head, pool, hidden, dropout, classifier"),
            ("classifier", r"'classifier' gives \(12, 3\) and no maps"),
        ],
    )
    def test_a_layer_that_cannot_be_is_one_line(self, layer: str, words: str) -> None:
        network = tiny_network().eval()
        for explained in (
            lambda: layer_maps(network, tiny_images(), layer=layer),
            lambda: GradCam(layer=layer).maps(network, tiny_images(), torch.zeros(12, dtype=torch.int64)),
        ):
            with pytest.raises(ConfigError, match=words) as error:
                explained()
            assert "\n" not in str(error.value)
            assert len(str(error.value)) < 200
        assert not any(module._forward_hooks for module in network.modules())
