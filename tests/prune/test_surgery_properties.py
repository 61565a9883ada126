"""Whatever is removed of whatever network: it computes what the masked one does, and its description builds it."""

from __future__ import annotations

import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mindgap.prune.coupling import map_channels
from mindgap.prune.layers import prunable_layers
from mindgap.prune.masking import masked
from mindgap.prune.surgery import remove_channels
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.cost import count_cost
from mindgap.testing.awake_network import awake_network

PX = 12
FEW = st.integers(1, 5)


@st.composite
def blocks(draw, in_channels):
    kind = draw(st.sampled_from(["mb", "db", "rb", "cb", "bottleneck", "skip"]))
    if kind == "skip":
        return BlockSpec(type=kind, out_channels=in_channels)
    choices = {"kernel": draw(st.sampled_from([1, 3]))}
    middle = draw(st.sampled_from(["hidden_channels", "expand", None]))
    if middle is not None:
        choices[middle] = draw(FEW)
    widths = FEW if kind != "bottleneck" or middle is not None else st.integers(4, 12)
    return BlockSpec(
        type=kind,
        out_channels=draw(st.one_of(st.just(in_channels), widths) if kind != "bottleneck" else widths),
        stride=2 if kind == "db" else draw(st.sampled_from([1, 1, 2])),
        choices=choices,
    )


@st.composite
def architectures(draw):
    channels = draw(FEW)
    stem = Stem(kind=draw(st.sampled_from(["3x3", "7x7+pool"])), channels=channels)
    specs = []
    for _ in range(draw(st.integers(0, 3))):
        specs.append(draw(blocks(channels)))
        channels = specs[-1].out_channels
    head = Head(width=draw(st.one_of(st.none(), FEW)))
    return Architecture(name="drawn", input_px=PX, num_classes=2, stem=stem, blocks=tuple(specs), head=head)


def draw_channels(draw, network):
    """Some channels of some layers; one place stays in all, so that what goes together never goes as a whole."""
    layers = draw(st.lists(st.sampled_from(sorted(prunable_layers(network))), min_size=1, max_size=3, unique=True))
    last_stays = draw(st.booleans())
    wanted = {}
    for name, count in map_channels(network, layers, px=PX).items():
        free = list(range(count))[:-1] if last_stays else list(range(count))[1:]
        wanted[name] = draw(st.lists(st.sampled_from(free), unique=True)) if free else []
    return wanted


@given(st.data(), architectures())
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_any_channels_of_any_network_are_removed_as_if_they_were_silent(data, architecture):
    network = awake_network(architecture).double()
    images = torch.randn(2, 3, PX, PX, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for _ in range(2):
        wanted = draw_channels(data.draw, network)
        pruned = remove_channels(architecture, network, wanted)
        with torch.no_grad(), masked(network, wanted, px=PX):
            torch.testing.assert_close(pruned.network(images), network(images), rtol=1e-9, atol=1e-9)
        with torch.device("meta"):
            built = Architecture.from_json(pruned.architecture.to_json()).build().state_dict()
        shapes = {name: tensor.shape for name, tensor in pruned.network.state_dict().items()}
        assert {name: tensor.shape for name, tensor in built.items()} == shapes
        assert all(0 not in shape for shape in shapes.values())
        before, after = count_cost(architecture), count_cost(pruned.architecture)
        assert after.params == sum(of.numel() for of in pruned.network.parameters())
        assert (after.params < before.params) == bool(pruned.removed) == any(wanted.values())
        architecture, network = pruned.architecture, pruned.network
