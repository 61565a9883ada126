"""FairPrune's saliency, summed over the filters that make a channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from mindgap.core.config import StrictModel
from mindgap.core.errors import ConfigError, DataError
from mindgap.core.groups import Groups
from mindgap.core.seed import derive_seed
from mindgap.prune.dead_channels import dead_channels, scores_of_living
from mindgap.prune.importance import IMPORTANCES, AbstractImportance, Layers, ScoringBatch, ScoringData
from mindgap.prune.producing import producing_convolutions
from mindgap.space.network import Network
from mindgap.train.curvature import Curvature, hessian_diagonal
from mindgap.train.group_standing import Standing, group_standing, rights_and_losses, weight_saliencies
from mindgap.train.squared_gradients import prunable_weights

_CURVED_BATCH = 16


class FairPruneOptions(StrictModel):
    """Options of FairPrune's channel scores.

    Attributes:
        beta: β, how much a channel's use to the privileged group counts towards its removal.
        curvature: the Hessian's diagonal: ``ggn``, ``fisher`` or ``hutchinson``.
        samples: images per group, no one twice, on which it is taken, at most.
        draws: random vectors per 16 images, for ``hutchinson``.
    """

    beta: float = Field(default=0.33, ge=0.1, le=0.9)
    curvature: Curvature = "ggn"
    samples: int = Field(default=256, ge=1)
    draws: int = Field(default=8, ge=1)


@IMPORTANCES.register("fairprune")
class FairPrune(AbstractImportance):
    """Removes first the channels that serve the worst-off group least and the best-off most (FairPrune).

    Wu et al. 2022 score a weight by ½θ²(H^unpriv − β H^priv), H the diagonal of the Hessian of a group's mean loss; a
    channel has the sum over its filters' weights, which is ours and neglects how weights act together. Which group is
    privileged is measured on the balanced batches: the one of the highest accuracy, ties by mean loss, and the one of
    the lowest is unprivileged. On images that the network was trained on the gaps may be those of learning by heart.
    """

    options_model: ClassVar[type[StrictModel]] = FairPruneOptions
    by_attribute: ClassVar[bool] = True

    @torch.inference_mode(mode=False)
    def score(self, network: Network, layers: Layers, data: ScoringData, *, attribute: str | None) -> dict[str, Tensor]:
        """The sum of the saliencies of each channel's filters.

        Raises:
            ConfigError: no attribute, or it cannot be told which convolutions make a layer's channels.
            DataError: no two groups can be told apart by their accuracy and loss.
            MindgapError: see the data's ``balanced``.
        """
        if attribute is None:
            raise ConfigError("fairprune scores channels by the groups of an attribute; name one")
        filters = {name: producing_convolutions(layer) for name, layer in layers.items()}
        standing = _measured(network, data, attribute)
        if standing.reason is not None:
            raise DataError(f"fairprune cannot score channels: {standing.reason}; take another importance or attribute")
        of_best, of_worst = (
            self._curvature(network, data, attribute, str(who)) for who in (standing.privileged, standing.unprivileged)
        )
        saliencies = weight_saliencies(prunable_weights(network), of_worst, of_best, beta=self.options.beta)
        names = {id(weight): name for name, weight in network.named_parameters()}
        scores = {
            layer: torch.cat([saliencies[names[id(conv.weight)]].flatten(1) for conv in convs], dim=1).sum(dim=1)
            for layer, convs in filters.items()
        }
        return scores_of_living(scores, dead_channels(network, layers, data.balanced(attribute)))

    def _curvature(self, network: Network, data: ScoringData, attribute: str, group: str) -> dict[str, Tensor]:
        device = next(network.parameters()).device
        return hessian_diagonal(
            network,
            _of_group(data, attribute, data.group_names[attribute].index(group), most=self.options.samples),
            kind=self.options.curvature,
            draws=self.options.draws,
            generator=torch.Generator(device).manual_seed(derive_seed("fairprune channels", attribute, group)),
        )


def _measured(network: Network, data: ScoringData, attribute: str) -> Standing:
    found, ids = [], []
    with torch.no_grad():
        for batch in _once(data, attribute):
            found.append(rights_and_losses(network(batch.images).float(), batch.labels))
            ids.append(batch.groups)
    right, losses = torch.cat(found, dim=1).cpu().numpy()
    groups = Groups(attribute, data.group_names[attribute], torch.cat(ids).cpu().numpy().astype(np.int64))
    return group_standing(right, losses, groups, where="scoring")


def _of_group(data: ScoringData, attribute: str, group: int, *, most: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images and labels of one group, in small batches."""
    left = most
    for batch in _once(data, attribute):
        places = (batch.groups == group).nonzero()[:left, 0]
        for some in places.split(_CURVED_BATCH) if len(places) else ():
            yield batch.images[some], batch.labels[some]
        left -= len(places)
        if left == 0:
            return


def _once(data: ScoringData, attribute: str) -> Iterator[ScoringBatch]:
    """The balanced batches without images that came before: a small group's are in every batch."""
    seen = np.empty(0, dtype=np.int64)
    for batch in data.balanced(attribute):
        rows, first = np.unique(batch.rows.cpu().numpy(), return_index=True)
        fresh = np.sort(first[~np.isin(rows, seen)])
        seen = np.union1d(seen, rows)
        if len(fresh):
            kept = torch.from_numpy(fresh).to(batch.rows.device)
            yield ScoringBatch(batch.images[kept], batch.labels[kept], batch.groups[kept], batch.rows[kept])
