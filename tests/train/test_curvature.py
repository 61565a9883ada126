"""The diagonal of the Hessian: by hand, against torch's own Hessian, against one gradient per sample."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev

from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.block import BLOCKS
from mindgap.space.network import NETWORKS, resolve_network
from mindgap.testing.tiny_training import LABELS, tiny_images, tiny_network
from mindgap.train.curvature import hessian_diagonal, sample_losses
from mindgap.train.squared_gradients import prunable_weights, squared_gradients, squared_gradients_by_sample

KINDS = ("ggn", "fisher", "hutchinson")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=generator(seed))


def weights_only(network: nn.Module) -> dict[str, Tensor]:
    return {name: parameter.detach() for name, parameter in prunable_weights(network).items()}


def exact(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The diagonal of the Hessian of the mean loss, differentiated twice as a whole."""
    weights = weights_only(network)

    def loss(values):
        return sample_losses(functional_call(network, values, (images,)), labels).mean()

    blocks = jacrev(jacrev(loss))(weights)
    return {
        name: blocks[name][name].reshape(weight.numel(), -1).diagonal().view_as(weight).detach()
        for name, weight in weights.items()
    }


def by_loop(network: nn.Module, images: Tensor, labels: Tensor, *, kind: str) -> dict[str, Tensor]:
    """The definition: Σ_c p_c (∂ log p_c/∂θ)², or the square of the labels' own gradient, one sample after another."""
    weights = {name: dict(network.named_parameters())[name] for name in prunable_weights(network)}
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    for image, label in zip(images, labels, strict=True):
        logits = network(image[None])[0]
        if label.ndim == 1:
            chances = logits.sigmoid().detach()
            terms = [(chances[k] * (1 - chances[k]), logits[k]) for k in range(len(logits))]
        else:
            chances = logits.softmax(dim=0).detach()
            terms = [(chances[k], logits.log_softmax(dim=0)[k]) for k in range(len(logits))]
        if kind == "fisher":
            terms = [(1.0, sample_losses(logits[None], label[None])[0])]
        for factor, value in terms:
            slopes = torch.autograd.grad(value, list(weights.values()), retain_graph=True)
            for name, slope in zip(weights, slopes, strict=True):
                total[name] += factor * slope.square() / len(images)
    return total


def close(ones: dict[str, Tensor], others: dict[str, Tensor], *, rtol: float = 1e-4) -> None:
    assert ones.keys() == others.keys()
    for name, one in ones.items():
        scale = float(others[name].detach().abs().max())
        torch.testing.assert_close(one, others[name].detach(), rtol=rtol, atol=1e-5 * scale, msg=name)


class Convolutions(nn.Module):
    """Two convolutions, one of them grouped and used twice, with activations in place, and a linear layer."""

    def __init__(self, *, classes: int = 3) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
            self.again = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=2, bias=False)
            self.norm = nn.BatchNorm2d(4)
            self.classifier = nn.Linear(4, classes)
        self.act = nn.ReLU(inplace=True)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        maps = self.again(self.act(self.first(images)))
        return self.classifier(self.norm(self.act(self.again(self.act(maps)))).mean(dim=(2, 3)))


def test_two_samples_by_hand():
    """x = 1 and 3, weights 0: p = (½, ½), and p(1 − p)x² is ¼ and 9/4; so are (½)² and (3/2)²."""
    network = nn.Linear(1, 2, bias=False)
    nn.init.zeros_(network.weight)
    batches = [(torch.tensor([[1.0], [3.0]]), torch.tensor([0, 0]))]
    for kind in ("ggn", "fisher"):
        assert hessian_diagonal(network, batches, kind=kind)["weight"].flatten().tolist() == pytest.approx([1.25, 1.25])


def test_two_unequal_classes_by_hand():
    """Logits log 3 and 0: p = (¾, ¼); ggn 3/16 for both, fisher by label 1: (¾)² for both."""
    network = nn.Linear(1, 2, bias=False)
    network.weight.data = torch.tensor([[3.0], [1.0]]).log()
    batches = [(torch.tensor([[1.0]]), torch.tensor([1]))]
    assert hessian_diagonal(network, batches, kind="ggn")["weight"].flatten().tolist() == pytest.approx([3 / 16] * 2)
    assert hessian_diagonal(network, batches, kind="fisher")["weight"].flatten().tolist() == pytest.approx([9 / 16] * 2)


@pytest.mark.parametrize("labels", [torch.arange(6) % 4, torch.eye(6)[:, :4]], ids=["classes", "labels"])
def test_ggn_of_a_linear_model_is_its_hessian(labels):
    network, images = nn.Linear(5, 4), randn(6, 5)
    close(hessian_diagonal(network, [(images, labels)]), exact(network, images, labels))


def test_ggn_of_a_network_of_relus_is_its_hessian():
    network, images, labels = tiny_network().eval(), tiny_images()[:3], torch.tensor(LABELS[:3])
    start_anywhere(network)
    network.classifier.weight.data *= 50  # to be sure of its classes
    close(hessian_diagonal(network, [(images, labels)]), exact(network, images, labels))


@pytest.mark.parametrize("kind", ["ggn", "fisher"])
@pytest.mark.parametrize("labels", [torch.arange(5) % 3, (torch.eye(5)[:, :3] > 0).float()], ids=["classes", "labels"])
def test_a_convolutional_network_is_as_its_definition(kind, labels):
    network, images = Convolutions(), randn(5, 3, 9, 9)
    batches = [(images[:3], labels[:3]), (images[3:], labels[3:])]
    close(hessian_diagonal(network, batches, kind=kind), by_loop(network, images, labels, kind=kind))


def test_ggn_stays_right_where_a_class_is_certain():
    network, images = nn.Linear(2, 4), randn(3, 2)
    network.bias.data = torch.tensor([0.0, 200.0, -200.0, 190.0])
    labels = torch.zeros(3, dtype=torch.int64)
    found = hessian_diagonal(network, [(images, labels)])
    assert torch.isfinite(found["weight"]).all()
    close(found, by_loop(network, images, labels, kind="ggn"))


def test_hutchinson_converges_to_the_hessian_also_where_that_is_negative():
    network = nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3))
    network[0].weight.data, network[2].weight.data = randn(3, 4), 2 * randn(3, 3, seed=1)
    images, labels = randn(4, 4), torch.arange(4) % 3
    truth = torch.cat([part.flatten() for part in exact(network, images, labels).values()]).detach()

    def error(draws: int) -> float:
        batches = [(images, labels)]
        found = hessian_diagonal(network, batches, kind="hutchinson", draws=draws, generator=generator())
        return float((torch.cat([part.flatten() for part in found.values()]) - truth).norm() / truth.norm())

    few, many = error(20), error(2000)
    assert float(truth.min()) < 0
    assert many < 0.1
    assert many < few / 3


def test_hutchinson_goes_through_convolutions_towards_the_hessian():
    network, images, labels = Convolutions(), randn(4, 3, 5, 5), torch.arange(4) % 3
    truth = torch.cat([part.flatten() for part in exact(network, images, labels).values()]).detach()
    found = hessian_diagonal(network, [(images, labels)], kind="hutchinson", draws=800, generator=generator())
    both = torch.stack([truth, torch.cat([part.flatten() for part in found.values()])])
    assert float(torch.corrcoef(both)[0, 1]) > 0.6, "0 were it wrong; 0.96 after 10,000 draws"


@pytest.mark.parametrize("kind", KINDS)
def test_batches_weigh_by_their_size_and_none_is_zero(kind):
    network, images, labels = nn.Linear(1, 2, bias=False), randn(5, 1), torch.arange(5) % 2
    whole = hessian_diagonal(network, [(images, labels)], kind=kind, draws=2000, generator=generator())
    halves = hessian_diagonal(
        network, [(images[:4], labels[:4]), (images[4:], labels[4:])], kind=kind, draws=2000, generator=generator(1)
    )
    close(whole, halves, rtol=0.1)
    assert float(hessian_diagonal(network, [], kind=kind)["weight"].abs().sum()) == 0


def test_frozen_weights_have_theirs():
    network, free, batches = Convolutions(), Convolutions(), [(randn(2, 3, 7, 7), torch.tensor([0, 1]))]
    network.requires_grad_(requires_grad=False)
    for kind in KINDS:
        found = [hessian_diagonal(each, batches, kind=kind, generator=generator()) for each in (network, free)]
        close(*found)
        assert not any(value.requires_grad for value in found[1].values())
    assert not any(parameter.requires_grad for parameter in network.parameters())


class Standardised(nn.Conv2d):
    """A convolution whose weights are shifted to the mean 0 before use: its gradient is not that of what is used."""

    def forward(self, images: Tensor) -> Tensor:
        return self._conv_forward(images, self.weight - self.weight.mean(), self.bias)


@pytest.mark.parametrize(
    "layer",
    [
        Standardised(3, 4, 3),
        nn.Conv2d(3, 4, 3, padding="same"),
        nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"),
        nn.Sequential(nn.Flatten(1, 2), nn.Conv1d(15, 4, 3), nn.Unflatten(2, (3, 1))),
    ],
    ids=["standardised", "same", "reflect", "1d"],
)
def test_layers_of_another_kind_are_as_the_definition(layer):
    network = nn.Sequential(layer, nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)).eval()
    images, labels = randn(3, 3, 5, 5), torch.tensor([0, 1, 2])
    close(hessian_diagonal(network, [(images, labels)]), by_loop(network, images, labels, kind="ggn"))


def test_a_network_that_splits_its_images_is_as_the_definition():
    class Halves(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)

        def forward(self, images: Tensor) -> Tensor:
            return self.layer(images.view(-1, 2)).relu().view(len(images), 2, 3).sum(dim=1)

    network, images, labels = Halves(), randn(4, 4), torch.arange(4) % 3
    close(hessian_diagonal(network, [(images, labels)]), by_loop(network, images, labels, kind="ggn"))


def test_a_weight_that_two_layers_share_is_counted_once():
    network = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
    network[2].weight = network[0].weight
    images, labels = randn(4, 3), torch.arange(4) % 3
    found = hessian_diagonal(network, [(images, labels)])
    assert list(found) == ["0.weight"]
    close(found, by_loop(network, images, labels, kind="ggn"))


def test_which_weights_there_are():
    assert list(prunable_weights(Convolutions())) == ["first.weight", "again.weight", "classifier.weight"]


def start_anywhere(network: nn.Module) -> None:
    """Draws what training would have changed: scales that start at 0 hide a whole branch."""
    draw = generator()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.data.uniform_(0.5, 1.5, generator=draw)
            module.running_mean.normal_(0.0, 0.1, generator=draw)
            module.running_var.uniform_(0.5, 1.5, generator=draw)


def both_ways(architecture: Architecture, *, samples: int = 2) -> None:
    network = architecture.build(seed=1).eval()
    start_anywhere(network)
    images = randn(samples, 3, architecture.input_px, architecture.input_px)
    directions = randn(samples, 1, architecture.num_classes)
    close(
        squared_gradients(network, images, directions),
        squared_gradients_by_sample(network, images, directions),
        rtol=1e-3,
    )


@pytest.mark.parametrize(
    ("block", "stride"),
    [(name, stride) for name in BLOCKS.names() for stride in (1, 2) if (name, stride) != ("skip", 2)],
)
def test_every_block_has_the_gradients_of_single_samples(block, stride):
    choices = {"kernel": 3, "hidden_channels": 8} if block != "skip" else {}
    spec = BlockSpec(type=block, out_channels=4 if block == "skip" else 8, stride=stride, choices=choices)
    both_ways(
        Architecture(
            name="tiny",
            input_px=12,
            num_classes=3,
            stem=Stem(channels=4),
            blocks=(spec,),
            head=Head(width=8),
            dropout=0.5,
        )
    )


@pytest.mark.parametrize("name", NETWORKS.names())
def test_every_reference_network_has_the_gradients_of_single_samples(name):
    both_ways(resolve_network(name, num_classes=2, input_px=16), samples=1)
