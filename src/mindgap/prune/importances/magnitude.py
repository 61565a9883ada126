"""Magnitude of the weights that make a channel."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from mindgap.core.config import StrictModel
from mindgap.core.errors import ConfigError
from mindgap.prune.dead_channels import dead_channels, scores_of_living
from mindgap.prune.importance import IMPORTANCES, AbstractImportance, Layers, ScoringData
from mindgap.prune.producing import producing_convolutions, producing_norms
from mindgap.space.network import Network


class MagnitudeOptions(StrictModel):
    """Options of the magnitude.

    Attributes:
        of: ``l1`` the sum of the filter's absolute weights (Li et al. 2017), ``l2`` the root of the sum of their
            squares, ``scale`` the absolute scale of the channel's batch norm (Liu et al. 2017), which says more where
            training penalised it.
    """

    of: Literal["l1", "l2", "scale"] = "l1"


@IMPORTANCES.register("magnitude")
class Magnitude(AbstractImportance):
    """Removes first the channels whose filters have the smallest weights; it knows neither images nor groups.

    Where two convolutions make a channel, as in a residual block with a projection, their filters count as one. What an
    identity shortcut adds to the channel does not count.
    """

    options_model: ClassVar[type[StrictModel]] = MagnitudeOptions

    def score(
        self,
        network: Network,
        layers: Layers,
        data: ScoringData,
        *,
        attribute: str | None,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """The magnitude of each channel; the data tell only which are the same for all images.

        Raises:
            ConfigError: it cannot be told which convolutions make a layer's channels, or they have no batch norm.
        """
        with torch.no_grad():
            scores = {name: self._magnitude(name, layer) for name, layer in layers.items()}
        return scores_of_living(scores, dead_channels(network, layers, data.natural()))

    def _magnitude(self, name: str, layer: nn.Module) -> Tensor:
        if self.options.of == "scale":
            scales = [norm.weight.abs() for norm in producing_norms(layer) if isinstance(norm.weight, Tensor)]
            if not scales:
                raise ConfigError(f"layer {name!r} has no batch norm whose scale could be taken; use of=l1 or of=l2")
            return torch.stack(scales).sum(dim=0)
        filters = torch.cat([conv.weight.flatten(1) for conv in producing_convolutions(layer)], dim=1)
        return filters.norm(p=1 if self.options.of == "l1" else 2, dim=1)
