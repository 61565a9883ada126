"""Images whose red is the group and whose green is the class, and a network whose channels are the colours."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from mindgap.core.groups import Groups
from mindgap.core.seed import numpy_generator
from mindgap.prune.scoring_data import StoreScoringData
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.network import Network

SIZE_PX = 16
RED, GREEN, BLUE, DEAD = range(4)


def made_scoring_data(
    n: int = 120,
    *,
    shares: tuple[float, ...] = (0.6, 0.3, 0.1),
    unknown: float = 0.1,
    batch_size: int = 48,
    batches: int = 3,
    seed: int = 0,
) -> StoreScoringData:
    """Images of noise, n of them; red is brighter with the group's number, green with the class, blue with nothing.

    Groups a, b, c, … of ``sex`` have these shares, exactly, at random rows; of some images none is known, though red
    shows it. Classes are drawn independently of groups.
    """
    generator = numpy_generator(seed, "made scoring data")
    ids = np.repeat(np.arange(len(shares)), np.round(np.array(shares) * n).astype(int))
    generator.shuffle(ids)
    labels = generator.integers(0, 2, n)
    images = generator.integers(0, 80, (n, SIZE_PX, SIZE_PX, 3))
    images[..., RED] += (150 * ids // max(1, len(shares) - 1))[:, None, None]
    images[..., GREEN] += (150 * labels)[:, None, None]
    images[..., BLUE] += generator.integers(0, 150, n)[:, None, None]
    known = np.where(generator.random(n) < unknown, -1, ids)
    return StoreScoringData(
        images=torch.from_numpy(images.astype(np.uint8)),
        rows=torch.arange(n),
        labels=torch.from_numpy(labels),
        groups={"sex": Groups("sex", tuple("abcdefghijklmnop"[: len(shares)]), known)},
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        device=torch.device("cpu"),
        batch_size=batch_size,
        batches=batches,
        seed=seed,
    )


def coloured_network(*, channels: int = 8) -> Network:
    """A stem whose first channels are the colours, its fourth dead and the others mixtures; then a block and a head."""
    network = Architecture(
        name="coloured",
        input_px=SIZE_PX,
        num_classes=2,
        stem=Stem(channels=channels, activation="relu"),
        blocks=(BlockSpec(type="rb", out_channels=6, choices={"kernel": 3, "hidden_channels": 4}),),
        head=Head(width=5),
    ).build(seed=1)
    with torch.no_grad():
        filters = network.get_parameter("stem.conv.weight")
        filters[:4] = 0.0
        filters[[RED, GREEN, BLUE], [RED, GREEN, BLUE]] = 1 / 9
        for norm in network.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.bias.fill_(1.0)  # above 0, which a ReLU lets pass
                norm.weight.clamp_(min=0.05)  # in a residual block the last starts at 0
    return network.eval()
