"""Built networks in which every batch norm and every shortcut does something, as after a training."""

from __future__ import annotations

import torch
from torch import nn

from mindgap.space.architecture import Architecture
from mindgap.space.network import Network


def awake_network(architecture: Architecture, *, seed: int = 0) -> Network:
    """The network in evaluation mode, with drawn scales, shifts and running statistics, and logits of about 1."""
    network = architecture.build(seed=seed)
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, 0.5, 0.5, generator=generator)
            nn.init.normal_(module.running_mean, 0.0, 0.1, generator=generator)
            nn.init.uniform_(module.running_var, 0.5, 1.5, generator=generator)
    px = architecture.input_px
    with torch.no_grad():
        features = network.eval().features(torch.randn(1, 3, px, px, generator=generator))
        nn.init.normal_(network.classifier.weight, 0.0, 1.0 / (float(features.norm()) or 1.0), generator=generator)
    return network
