"""From an architecture to a network with drawn weights."""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import nn

from mindgap.core.errors import ConfigError
from mindgap.space.architecture import AnyStem, Architecture, Backbone, BlockSpec, Head
from mindgap.space.block import BLOCKS
from mindgap.space.layers import conv_unit
from mindgap.space.network import Network
from mindgap.space.timm_backbone import build_backbone

CLASSIFIER_STD = 0.01


def build_network(architecture: Architecture, *, seed: int = 0) -> Network:
    """Builds the network; weights depend on the architecture and the seed alone. A backbone draws its own.

    Raises:
        ConfigError: a block's choices do not fit.
        UnknownNameError: a block's type is not registered.
        CapacityError: the package of a backbone is not installed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        network = _assemble(architecture)
        own = [network.blocks, network.head, network.classifier]
        for part in own if isinstance(architecture.stem, Backbone) else [network]:
            initialise(part)
    return network


def initialise(network: nn.Module) -> None:
    """Draws all weights from torch's current generator, as the reference networks do.

    Convolutions: normal with variance 2/fan_out, the fan-out of a grouped convolution divided by its groups (He et al.
    2015; timm). Batch norms: scale 1, shift 0. Linear layers: normal with standard deviation 0.01, bias 0. Then each
    module's own ``after_initialisation()``.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * math.prod(module.kernel_size) // module.groups
            nn.init.normal_(module.weight, 0.0, math.sqrt(2.0 / fan_out))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0.0, CLASSIFIER_STD)
        if isinstance(module, (nn.Conv2d, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)
    for module in network.modules():
        own = getattr(module, "after_initialisation", None)
        if callable(own):
            own()


def build_stem(stem: AnyStem) -> nn.Module:
    """(B, 3, H, W) to (B, channels, H/2, W/2), or a quarter with the pool; a backbone has a stride of its own."""
    if isinstance(stem, Backbone):
        return build_backbone(stem.name, narrowed=stem.narrowed)
    if stem.kind == "3x3":
        return conv_unit(3, stem.channels, kernel=3, stride=2, act=stem.activation)
    unit = conv_unit(3, stem.channels, kernel=7, stride=2, act=stem.activation)
    unit.add_module("pool", nn.MaxPool2d(3, stride=2, padding=1))
    return unit


def build_block(spec: BlockSpec, in_channels: int) -> nn.Module:
    """One block of C1 = ``in_channels``."""
    block = BLOCKS.get(spec.type)()
    block.check(**spec.choices)
    return block.build(in_channels, spec.out_channels, spec.stride, **spec.choices)


def build_head(head: Head, in_channels: int) -> nn.Module:
    """The head's 1×1 convolution unit, or the identity."""
    return nn.Identity() if head.width is None else conv_unit(in_channels, head.width, kernel=1, act=head.activation)


def _assemble(architecture: Architecture) -> Network:
    channels = architecture.stem.channels
    blocks = OrderedDict[str, nn.Module]()
    for position, spec in enumerate(architecture.blocks):
        try:
            blocks[str(position)] = build_block(spec, channels)
        except ConfigError as error:
            raise ConfigError(f"{architecture.name}, block {position} ({spec.type}): {error}") from None
        channels = spec.out_channels
    return Network(
        stem=build_stem(architecture.stem),
        blocks=nn.Sequential(blocks),
        head=build_head(architecture.head, channels),
        dropout=architecture.dropout,
        features=architecture.head.width or channels,
        num_classes=architecture.num_classes,
        hidden=architecture.head.hidden,
    )
