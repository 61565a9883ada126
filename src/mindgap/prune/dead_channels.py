"""Channels that are the same for all images: they are reported, and not scored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from mindgap.core.errors import DataError
from mindgap.prune.activations import layer_outputs
from mindgap.prune.importance import Layers, ScoringBatch
from mindgap.prune.soft_nearest import is_constant


def dead_channels(network: nn.Module, layers: Layers, batches: Iterable[ScoringBatch]) -> dict[str, Tensor]:
    """Per layer bool (C,) on the network's device: channels whose map is the same for all images of all batches."""
    low: dict[str, Tensor] = {}
    high: dict[str, Tensor] = {}
    with torch.no_grad():
        for batch in batches:
            for name, maps in layer_outputs(network, layers, batch.images).maps.items():
                least, most = maps.flatten(2).aminmax(dim=0)
                low[name] = torch.minimum(low.get(name, least), least)
                high[name] = torch.maximum(high.get(name, most), most)
    return {name: is_constant(low[name], high[name]) for name in low}


def scores_of_living(scores: Mapping[str, Tensor], dead: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The scores as float64 (C,) on the CPU, NaN for dead channels."""
    return {name: score.double().masked_fill(dead[name], math.nan).cpu() for name, score in scores.items()}


def check_scores(scores: Mapping[str, Tensor]) -> None:
    """Checks that every layer has a channel that can be ranked.

    Raises:
        DataError: all channels of a layer are NaN, or one is infinite.
    """
    for name, score in scores.items():
        if bool(score.isnan().all()):
            raise DataError(
                f"none of the {len(score)} channels of layer {name!r} can be scored: each is the same for all images, "
                "or not a number; train the network first, or name another layer"
            )
        if bool(score.isinf().any()):
            channel = int(score.isinf().nonzero()[0, 0])
            raise DataError(
                f"channel {channel} of layer {name!r} has the score {float(score[channel])}; its values overflow, "
                "so train the network again with a lower learning rate"
            )
