"""First-order change of the loss when a channel is removed."""

from __future__ import annotations

import torch
from torch import Tensor

from mindgap.prune.activations import layer_outputs
from mindgap.prune.dead_channels import dead_channels, scores_of_living
from mindgap.prune.importance import IMPORTANCES, AbstractImportance, Layers, ScoringData
from mindgap.space.network import Network
from mindgap.train.curvature import sample_losses


@IMPORTANCES.register("taylor")
class Taylor(AbstractImportance):
    """Removes first the channels whose removal changes the loss least, to first order (Taylor); it knows no groups.

    Molchanov et al. 2017, eq. 8, as a gate on the channel (Molchanov et al. 2019, eq. 8): of an image with loss ℓ and a
    channel's map a, setting the map to zero changes ℓ by about −Σ_hw a·∂ℓ/∂a; the score is the mean over images of its
    absolute value. The 2017 paper divides by the map's size, which changes no order within a layer. ℓ is the
    cross-entropy of the labels, whatever the network was trained with.
    """

    @torch.inference_mode(mode=False)
    def score(
        self,
        network: Network,
        layers: Layers,
        data: ScoringData,
        *,
        attribute: str | None,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """The mean over images of |Σ_hw a·∂ℓ/∂a|.

        It works where gradients are switched off, for networks that were not themselves made in torch's inference mode.

        Raises:
            ConfigError: a layer has no maps.
        """
        total, count = dict.fromkeys(layers, torch.zeros(())), 0
        for batch in data.natural():
            with torch.enable_grad():  # through the images, so that frozen weights do not matter
                images = batch.images.detach().clone().requires_grad_()
                logits, maps = layer_outputs(network, layers, images)
                loss = sample_losses(logits.float(), batch.labels).sum()
            slopes = torch.autograd.grad(loss, list(maps.values()), materialize_grads=True)
            for (name, values), slope in zip(maps.items(), slopes, strict=True):
                changes = (values.detach() * slope).sum(dim=(2, 3)).abs()
                total[name] = total[name].to(changes.device) + changes.double().sum(dim=0)
            count += len(images)
        scores = {name: value / count for name, value in total.items()}
        return scores_of_living(scores, dead_channels(network, layers, data.natural()))
