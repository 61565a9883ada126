"""Conformance kit for explainers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mindgap.core.errors import ConfigError, MindgapError, ShapeError
from mindgap.explain.explainer import EXPLAINERS, AbstractExplainer
from mindgap.space.network import NETWORKS, Network, resolve_network
from mindgap.testing.tiny_training import CLASSES, SIZE_PX, tiny_images, tiny_network

REFERENCE_PX = 32


class ExplainerConformance:
    """The contract of an explainer; inherit it and give a fixture ``name``."""

    TOLERANCE = 1e-4
    """Of a map's largest value: how far the maps of one image may differ with the images beside it."""

    @pytest.fixture
    def explainer(self, name: str) -> AbstractExplainer:
        return EXPLAINERS.get(name)()

    @pytest.fixture
    def network(self) -> Network:
        """Whose last maps and logits differ between images, and on which something speaks for every class."""
        return _spread(tiny_network()).eval()

    @pytest.fixture
    def images(self) -> Tensor:
        return tiny_images()

    @pytest.fixture
    def targets(self, images: Tensor) -> Tensor:
        return torch.arange(len(images)) % CLASSES

    def test_says_in_one_line_what_it_is(self, name: str) -> None:
        assert EXPLAINERS.describe()[name].endswith(".")

    def test_gives_one_finite_map_per_image_no_larger_than_it(
        self, explainer: AbstractExplainer, network: Network, images: Tensor, targets: Tensor
    ) -> None:
        maps = explainer.maps(network, images, targets)
        assert maps.dim() == 3
        assert len(maps) == len(images)
        assert 1 <= maps.shape[1] == maps.shape[2] <= SIZE_PX
        assert maps.dtype == torch.float32
        assert maps.isfinite().all()
        assert not maps.requires_grad
        assert (maps.flatten(1).amax(dim=1) - maps.flatten(1).amin(dim=1)).max() > 0

    def test_explains_the_class_that_is_asked_for(
        self, explainer: AbstractExplainer, network: Network, images: Tensor, targets: Tensor
    ) -> None:
        maps, others = (explainer.maps(network, images, of) for of in (targets, (targets + 1) % CLASSES))
        assert not torch.allclose(maps, others, rtol=0.01, atol=0)

    def test_an_images_map_does_not_depend_on_the_images_beside_it(
        self, explainer: AbstractExplainer, network: Network, images: Tensor, targets: Tensor
    ) -> None:
        together = explainer.maps(network, images, targets)
        alone = torch.cat([explainer.maps(network, images[row : row + 1], targets[row : row + 1]) for row in (0, 5)])
        atol = self.TOLERANCE * float(together.abs().max())
        torch.testing.assert_close(alone, together[[0, 5]], rtol=0, atol=atol)

    def test_leaves_the_network_and_the_images_as_they_were(
        self, explainer: AbstractExplainer, network: Network, images: Tensor, targets: Tensor
    ) -> None:
        network.stem.requires_grad_(requires_grad=False)
        network.classifier.weight.grad = torch.full_like(network.classifier.weight, 7)
        hook = network.blocks.register_forward_hook(_nothing)
        before, pixels, hooks = copy.deepcopy(_facts(network)), images.clone(), _hooks(network)
        explainer.maps(network, images, targets)
        assert torch.equal(images, pixels)
        assert not images.requires_grad
        after = _facts(network)
        assert before.keys() == after.keys()
        for key, value in before.items():
            same = torch.equal(value, after[key]) if isinstance(value, Tensor) else value == after[key]
            assert same, f"{key} has changed"
        assert _hooks(network) == hooks
        hook.remove()

    @pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, nullcontext])
    @pytest.mark.parametrize("frozen", ["frozen", "trained"])
    def test_works_where_gradients_are_switched_off(
        self,
        explainer: AbstractExplainer,
        network: Network,
        images: Tensor,
        targets: Tensor,
        mode: Callable[[], AbstractContextManager[object]],
        frozen: str,
    ) -> None:
        expected = explainer.maps(network, images, targets)
        network.requires_grad_(requires_grad=frozen == "trained")
        with mode():
            found = explainer.maps(network, images.clone(), targets.clone())
        torch.testing.assert_close(found, expected)

    @pytest.mark.parametrize("part", ["", "blocks"])
    def test_refuses_a_network_that_trains(
        self, explainer: AbstractExplainer, network: Network, images: Tensor, targets: Tensor, part: str
    ) -> None:
        network.get_submodule(part).train()
        with pytest.raises(ConfigError, match=r"network\.eval\(\)"):
            explainer.maps(network, images, targets)

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            (torch.full((12,), CLASSES), f"0..{CLASSES - 1}, got {CLASSES}..{CLASSES}"),
            (torch.full((12,), -1), "got -1..-1"),
            (torch.zeros(11, dtype=torch.int64), "one class per image"),
            (torch.zeros(12), "one class per image"),
        ],
    )
    def test_refuses_targets_that_are_no_classes(
        self, explainer: AbstractExplainer, network: Network, images: Tensor, wrong: Tensor, words: str
    ) -> None:
        with pytest.raises(ShapeError, match=words):
            explainer.maps(network, images, wrong)
        assert not _hooks(network)

    def test_refuses_what_is_no_image(
        self, explainer: AbstractExplainer, network: Network, images: Tensor, targets: Tensor
    ) -> None:
        for wrong in (images[0], images[:, :1], images[..., 1:], (images * 9).to(torch.uint8)):
            with pytest.raises(ShapeError, match="pass float32"):
                explainer.maps(network, wrong, targets)
        with pytest.raises(ShapeError, match=r"torch\.float64 and the network torch\.float32; pass images"):
            explainer.maps(network, images.double(), targets)

    def test_gives_float32_under_autocast_and_of_a_network_of_another_type(
        self, explainer: AbstractExplainer, network: Network, images: Tensor, targets: Tensor
    ) -> None:
        with torch.autocast(images.device.type, torch.bfloat16):
            assert explainer.maps(network, images, targets).dtype == torch.float32
        for kind in (torch.bfloat16, torch.float64):
            assert explainer.maps(network.to(kind), images.to(kind), targets).dtype == torch.float32

    def test_refuses_a_layer_that_is_not_there(
        self, name: str, network: Network, images: Tensor, targets: Tensor
    ) -> None:
        with pytest.raises(MindgapError, match="haed") as error:
            EXPLAINERS.get(name)(layer="haed").maps(network, images, targets)
        assert "\n" not in str(error.value)

    @pytest.mark.parametrize("reference", NETWORKS.names())
    def test_explains_every_reference_network(self, explainer: AbstractExplainer, reference: str) -> None:
        architecture = resolve_network(reference, num_classes=CLASSES, input_px=REFERENCE_PX)
        network = architecture.build(seed=0).eval()
        images = torch.randn(2, 3, REFERENCE_PX, REFERENCE_PX, generator=torch.Generator().manual_seed(0))
        maps = explainer.maps(network, images, torch.tensor([0, CLASSES - 1]))
        assert maps.isfinite().all()
        assert len(maps) == 2
        assert not _hooks(network)


def _spread(network: Network) -> Network:
    """Batch norms and a classifier that let differences between images through to the logits."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 1.0, 3.0, generator=generator)
            nn.init.uniform_(module.bias, 0.0, 1.0, generator=generator)
    nn.init.normal_(network.classifier.weight, generator=generator)
    return network


def _facts(network: Network) -> dict[str, Any]:
    """Everything of a network that an explainer might change."""
    return dict(_every_fact(network))


def _every_fact(network: Network) -> Iterator[tuple[str, Any]]:
    for name, tensor in network.state_dict().items():
        yield f"value of {name}", tensor.detach()
    for name, parameter in network.named_parameters():
        yield f"gradient of {name}", parameter.grad
        yield f"requires_grad of {name}", parameter.requires_grad
    for name, module in network.named_modules():
        yield f"training of {name}", module.training
        yield f"attributes of {name}", sorted(vars(module))


def _hooks(network: Network) -> int:
    """Number of hooks on modules and parameters."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    of_modules = sum(len(getattr(module, kind)) for module in network.modules() for kind in kinds)
    return of_modules + sum(len(parameter._backward_hooks or ()) for parameter in network.parameters())  # noqa: SLF001


def _nothing(*_: object) -> None:
    """A hook that somebody else has set."""
