"""Class activation maps, of networks that end in an average and one linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mindgap.core.errors import ConfigError
from mindgap.explain.explainer import EXPLAINERS, AbstractExplainer
from mindgap.explain.layer_maps import LAST_MAPS, check_targets, layer_maps
from mindgap.space.network import Network


@EXPLAINERS.register("cam")
class Cam(AbstractExplainer):
    """The last maps weighted by the classifier, for networks of an average and one linear layer.

    Wei & Chakraborti, eq. 17 (Zhou et al. 2016): L^c(x, y) = Σ_k w_k^c f_k(x, y), not clipped. Its mean over the map,
    plus the class's bias, is the logit, so it says what every place adds to the logit. Clipped at 0 it is Grad-CAM of
    the last maps times the number of pixels of a map: there ∂y^c/∂f_k(x, y) = w_k^c/Z.

    Example:
        Two 1 × 1 maps of 2 and 3 that the classifier weighs by 1 and -1 give -1 for that class.
    """

    def maps(self, network: Network, images: Tensor, targets: Tensor) -> Tensor:
        """Float32 (n, h, w), of either sign, of the last maps' resolution."""
        if self.layer not in {None, LAST_MAPS}:
            raise ConfigError(
                f"cam explains the last maps, not layer {self.layer!r}; leave the layer out, or use grad-cam"
            )
        weights = _classifier(network).weight.detach().float()
        maps = layer_maps(network, images).float()
        check_targets(targets, n=len(maps), classes=len(weights))
        with torch.autocast(maps.device.type, enabled=False):
            return torch.einsum("nk,nkhw->nhw", weights[targets], maps)


def _classifier(network: Network) -> nn.Linear:
    """The linear layer of a network that has the form.

    Raises:
        ConfigError: it has another.
    """
    pool, classifier = network.pool, network.classifier
    averages = isinstance(pool, nn.AdaptiveAvgPool2d) and pool.output_size in {1, (1, 1)}
    form = None
    if not averages or not isinstance(classifier, nn.Linear):
        form = f"this network ends in {type(pool).__name__} and {type(classifier).__name__}"
    elif not isinstance(network.hidden, nn.Identity):
        form = "this network has a hidden layer between them"
    elif type(network).forward is not Network.forward or type(network).features is not Network.features:
        form = f"{type(network).__name__} has a forward of its own"
    if form is not None:
        raise ConfigError(f"cam needs an average over each map and one linear layer after it; {form}: use grad-cam")
    return classifier
