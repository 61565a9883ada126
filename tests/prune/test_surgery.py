"""Removed channels are gone with all that hangs on them, and nothing else is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.prune.layers import choose_layers, prunable_layers
from mindgap.prune.masking import masked
from mindgap.prune.surgery import remove_channels
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem, load_network, save_network
from mindgap.space.cost import count_cost
from mindgap.space.network import resolve_network
from mindgap.testing.awake_network import awake_network
from mindgap.train.group_norm import with_group_norms
from mindgap.train.modes import in_modes

PX = 16


def small(*blocks, width=8, channels=6, stem="3x3"):
    return Architecture(
        name="small",
        input_px=PX,
        num_classes=3,
        stem=Stem(kind=stem, channels=channels),
        blocks=blocks,
        head=Head(width=width),
    )


def block(kind, out_channels=6, stride=1, **choices):
    return BlockSpec(type=kind, out_channels=out_channels, stride=stride, choices=choices)


def images(px=PX, n=3):
    return torch.randn(n, 3, px, px, generator=torch.Generator().manual_seed(0))


def agrees(architecture, network, channels, *, atol=1e-5):
    """Removes the channels, and compares with the network in which they are silent."""
    pruned = remove_channels(architecture, network, channels)
    seen = images(architecture.input_px)
    with torch.no_grad():
        with masked(network, channels, px=architecture.input_px):
            expected = network(seen)
        given, plain = pruned.network(seen), network(seen)
    torch.testing.assert_close(given, expected, rtol=0, atol=atol)
    assert not torch.allclose(given, plain, rtol=0, atol=10 * atol)
    with torch.device("meta"):
        built = pruned.architecture.build().state_dict()
    assert {name: of.shape for name, of in built.items()} == {
        name: of.shape for name, of in pruned.network.state_dict().items()
    }
    assert Architecture.from_json(pruned.architecture.to_json()) == pruned.architecture
    params = sum(of.numel() for of in pruned.network.parameters())
    assert params == count_cost(pruned.architecture).params < count_cost(architecture).params
    return pruned


def test_a_heads_channels_go_with_their_norms_and_the_classifiers_inputs_and_nothing_else():
    architecture = small(block("cb"))
    network = awake_network(architecture)
    pruned = agrees(architecture, network, {"head": [0, 5]})
    kept, own = [1, 2, 3, 4, 6, 7], network.state_dict()
    for name, tensor in pruned.network.state_dict().items():
        whole = own[name]
        if name.startswith("head.") and whole.dim():
            whole = whole[kept]
        if name == "classifier.weight":
            whole = whole[:, kept]
        assert torch.equal(tensor, whole), name
    assert pruned.architecture == architecture.model_copy(update={"head": Head(width=6)})
    assert pruned.removed == {"head": (0, 5)}


def test_a_removed_channels_shift_acts_no_longer():
    architecture = small()
    network = awake_network(architecture)
    nn.init.zeros_(network.head.norm.weight)
    network.head.norm.bias.data = torch.tensor([5.0, 0.5, 0, 0, 0, 0, 0, 0])
    pruned = remove_channels(architecture, network, {"head": [0]}).network
    by_hand = 0.5 * network.classifier.weight[:, 1] + network.classifier.bias
    torch.testing.assert_close(pruned(images())[0], by_hand)


def test_a_residual_stage_loses_the_same_channels_everywhere():
    architecture = small(block("rb", 8, 2), block("rb", 8), block("cb", 5))
    pruned = agrees(architecture, awake_network(architecture), {"blocks.1": [2, 3]})
    assert pruned.removed == dict.fromkeys(
        ("blocks.0.body.second", "blocks.0.shortcut", "blocks.1.body.second"), (2, 3)
    )
    assert [spec.out_channels for spec in pruned.architecture.blocks] == [6, 6, 5]
    assert [spec.choices for spec in pruned.architecture.blocks] == [
        {"hidden_channels": 8},
        {"hidden_channels": 8},
        {},
    ]
    assert pruned.network.blocks[2].first.conv.in_channels == 6


@pytest.mark.parametrize(
    ("spec", "layer", "gone"),
    [
        (block("mb", hidden_channels=9), "blocks.0.body.expand", "body.expand body.depthwise"),
        (block("mb", hidden_channels=9), "blocks.0.body.depthwise", "body.expand body.depthwise"),
        (block("mb", 7, expand=2), "blocks.0.expand", "expand depthwise"),
        (block("mb", 7), "stem", "stem depthwise"),
        (block("mb", 6), "stem", "stem body.depthwise body.project"),
        (block("db", 7, 2, hidden_channels=9), "blocks.0.depthwise", "expand depthwise"),
        (block("db", 7, 2, hidden_channels=9), "blocks.0", "project"),
        (block("rb", 6), "blocks.0.body.first", "body.first"),
        (block("rb", 6), "blocks.0", "stem body.second"),
        (block("rb", 9), "blocks.0", "body.second shortcut"),
        (block("rb", 9), "blocks.0.shortcut", "body.second shortcut"),
        (block("cb", 9), "blocks.0.first", "first"),
        (block("cb", 9), "blocks.0", "second"),
        (block("bottleneck", 12), "blocks.0.body.reduce", "body.reduce"),
        (block("bottleneck", 12, hidden_channels=5), "blocks.0.body.spatial", "body.spatial"),
        (block("bottleneck", 12, 2), "blocks.0", "body.restore shortcut"),
        (block("bottleneck", 6, hidden_channels=4), "blocks.0.body", "stem body.restore"),
        (block("skip"), "stem", "stem"),
    ],
)
@pytest.mark.parametrize("stem", ["3x3", "7x7+pool"])
def test_every_block_loses_its_channels_as_if_they_were_silent(spec, layer, gone, stem):
    architecture = small(spec, stem=stem)
    pruned = agrees(architecture, awake_network(architecture), {layer: [1, 2]})
    assert pruned.removed == {name if name == "stem" else f"blocks.0.{name}": (1, 2) for name in gone.split()}


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18"])
def test_reference_networks_lose_half_of_the_last_stage(name):
    architecture = resolve_network(name, num_classes=7, input_px=32)
    network = awake_network(architecture)
    (last,) = choose_layers(network)
    width = network.classifier.in_features
    pruned = agrees(architecture, network, {last: range(0, width, 2)})
    assert pruned.network.classifier.in_features == width // 2


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "resnet34", "resnet50", "mnasnet"])
def test_reference_networks_lose_a_third_of_every_layer(name):
    architecture = resolve_network(name, num_classes=7, input_px=32)
    network = awake_network(architecture)
    units = {of: layer.conv.out_channels for of, layer in prunable_layers(network).items() if hasattr(layer, "conv")}
    everything = agrees(architecture, network, {of: range(0, count, 3) for of, count in units.items()})
    assert len(everything.removed) == sum(isinstance(module, nn.Conv2d) for module in network.modules())
    assert count_cost(everything.architecture).params < 0.6 * count_cost(architecture).params


def test_widths_that_become_alike_keep_the_shortcut_that_was_there():
    mb, rb, bottleneck = block("mb", 8, hidden_channels=4), block("rb", 8), block("bottleneck", 8)
    for spec, said in ((mb, "none"), (rb, "projection"), (bottleneck, "projection")):
        architecture = small(spec)
        once = agrees(architecture, awake_network(architecture), {"blocks.0": [0, 7]})
        assert once.architecture.blocks[0].out_channels == once.architecture.stem.channels == 6
        assert once.architecture.blocks[0].choices["shortcut"] == said
        again = agrees(once.architecture, once.network, {"blocks.0": [0]})
        assert "shortcut" not in again.architecture.blocks[0].choices


def test_widths_of_a_bottleneck_that_differ_are_said_and_forgotten_when_they_meet_again():
    architecture = small(block("bottleneck", 16))
    once = agrees(architecture, awake_network(architecture), {"blocks.0.body.spatial": [0]})
    assert once.architecture.blocks[0].choices == {"hidden_channels": 4, "spatial_channels": 3}
    again = agrees(once.architecture, once.network, {"blocks.0.body.reduce": [3]})
    assert again.architecture.blocks[0].choices == {"hidden_channels": 3}


def test_a_bottleneck_too_narrow_for_its_rule_says_its_width():
    architecture = small(block("bottleneck", 4))
    pruned = agrees(architecture, awake_network(architecture), {"blocks.0": [1]})
    assert pruned.architecture.blocks[0] == block("bottleneck", 3, hidden_channels=1)


def test_a_pruned_network_is_pruned_again_and_again_until_one_channel_is_left():
    architecture = small(block("mb", hidden_channels=4), width=None)
    network, params = awake_network(architecture), []
    for _ in range(3):
        pruned = agrees(architecture, network, {"blocks.0": [0], "blocks.0.body.expand": [1]})
        architecture, network = pruned.architecture, pruned.network
        params.append(count_cost(architecture).params)
    assert params == sorted(params, reverse=True)
    assert network.blocks[0].body.depthwise.conv.groups == 1
    with pytest.raises(ConfigError, match=r"blocks\.0\.body\.expand would lose all of its 1 channels; remove fewer"):
        remove_channels(architecture, network, {"blocks.0.body.expand": [0]})


def test_it_is_saved_and_loaded_without_a_history(tmp_path):
    architecture = small(block("mb", 8, hidden_channels=9), block("rb", 9))
    pruned = remove_channels(
        architecture, awake_network(architecture), {"blocks.0": [0, 1], "blocks.1.body.first": [3]}
    )
    save_network(tmp_path, pruned.architecture, pruned.network)
    again, network = load_network(tmp_path)
    assert again == pruned.architecture
    with torch.no_grad():
        assert torch.equal(network.eval()(images()), pruned.network(images()))


@pytest.mark.parametrize("channels", [{}, {"head": []}])
def test_nothing_to_remove_gives_an_equal_network_of_its_own(channels):
    architecture = small(block("rb"))
    network = awake_network(architecture)
    pruned = remove_channels(architecture, network, channels)
    assert (pruned.architecture, pruned.removed) == (architecture, {})
    pairs = zip(pruned.network.state_dict().values(), network.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) and one.data_ptr() != other.data_ptr() for one, other in pairs if one.dim())


def test_the_network_stays_as_it_was_and_the_pruned_one_is_in_its_state():
    architecture = small(block("mb", hidden_channels=9), block("rb"))
    network = awake_network(architecture).double().train()
    network.blocks[0].eval().requires_grad_(False)
    network(images().double()).sum().backward()
    seen = []
    network.head.register_forward_hook(lambda *_: seen.append(1))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    grads = {name: of.grad for name, of in network.named_parameters()}
    modes = [module.training for module in network.modules()]
    with torch.no_grad():
        pruned = remove_channels(architecture, network, {"head": [0], "blocks.0.body.expand": [1]}).network
    assert not seen
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert all(of.grad is grads[name] for name, of in network.named_parameters())
    assert len(network.head._forward_hooks) == 1
    assert not pruned.head._forward_hooks
    assert (
        [module.training for module in network.modules()] == modes == [module.training for module in pruned.modules()]
    )
    learns = {name: of.requires_grad for name, of in network.named_parameters()}
    assert learns == {name: of.requires_grad for name, of in pruned.named_parameters()}
    assert {of.dtype for of in pruned.parameters()} == {torch.float64}
    assert all(of.grad is None for of in pruned.parameters())


def test_the_global_random_state_stays_as_it_was():
    architecture = small(block("mb", hidden_channels=9))
    network = awake_network(architecture)
    before = torch.get_rng_state()
    remove_channels(architecture, network, {"head": [0]})
    with masked(network, {"blocks.0": [1]}, px=PX):
        network(images())
    assert torch.equal(torch.get_rng_state(), before)


def test_gradients_flow_in_every_parameter_of_a_pruned_network():
    architecture = small(block("mb", hidden_channels=9), block("bottleneck", 8), block("db", 9, 2, hidden_channels=5))
    network = awake_network(architecture)
    pruned = remove_channels(architecture, network, {"blocks.0.body.expand": [0], "blocks.1": [2], "stem": [1]}).network
    pruned.train()(images()).square().sum().backward()
    assert all(of.grad is not None and bool(of.grad.isfinite().all()) for of in pruned.parameters())
    assert all(bool(of.grad.any()) for name, of in pruned.named_parameters() if name.endswith("conv.weight"))


@pytest.mark.parametrize("mode", ["bf16-mended", "fp32-fused"])
def test_a_network_in_other_modes_is_pruned_as_it_is_by_itself(mode):
    architecture = small(block("mb", hidden_channels=9), block("rb"))
    network = awake_network(architecture)
    expected = remove_channels(architecture, network, {"head": [0], "blocks.0.body.expand": [1]}).network(images())
    with in_modes(network, [mode] * 4), torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        forwards = [module.__dict__.get("forward") for module in network.modules()]
        pruned = remove_channels(architecture, network, {"head": [0], "blocks.0.body.expand": [1]}).network
        assert [module.__dict__.get("forward") for module in network.modules()] == forwards
    assert torch.equal(pruned(images()), expected)


def test_a_network_in_another_form_than_its_architecture_is_refused():
    architecture = small(block("rb"))
    network = awake_network(architecture)
    with pytest.raises(ConfigError, match=r"head\.conv\.weight is \(8, 6, 1, 1\) in the network and \(9, 6, 1, 1\)"):
        remove_channels(small(block("rb"), width=9), network, {"head": [0]})
    with_group_norms(network, groups=2, unknown_as=0)
    with pytest.raises(ConfigError, match="it was trained in another form; prune a network that was not"):
        remove_channels(architecture, network, {"head": [0]})
