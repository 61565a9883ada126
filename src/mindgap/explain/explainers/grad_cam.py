"""Gradient-weighted class activation maps."""

from __future__ import annotations

from torch import Tensor

from mindgap.explain.explainer import EXPLAINERS, AbstractExplainer
from mindgap.explain.layer_maps import maps_and_gradients
from mindgap.space.network import Network


@EXPLAINERS.register("grad-cam")
class GradCam(AbstractExplainer):
    """Maps of any layer, weighted by the mean gradient of the class's logit and clipped at 0.

    Wei & Chakraborti, eqs 18 and 19 (Selvaraju et al. 2017): L^c = ReLU(Σ_k α_k^c A^k), where
    α_k^c = (1/Z) Σ_ij ∂y^c/∂A^k_ij, Z is the number of pixels of a map and y^c the logit before softmax or sigmoid.

    Example:
        Two 1 × 1 maps of 2 and 3 that a linear classifier weighs by 1 and -1 give ReLU(2 - 3) = 0 for that class.
    """

    def maps(self, network: Network, images: Tensor, targets: Tensor) -> Tensor:
        """Float32 (n, h, w) ≥ 0, of the layer's resolution; 0 everywhere where nothing speaks for the class."""
        maps, gradients = maps_and_gradients(network, images, targets, layer=self.layer)
        weights = gradients.float().mean(dim=(2, 3), keepdim=True)
        return (weights * maps.float()).sum(dim=1).relu()
