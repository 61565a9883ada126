"""Guided Grad-CAM: Grad-CAM's region with the detail of the image."""

from __future__ import annotations

from torch import Tensor

from mindgap.explain.explainer import EXPLAINERS, AbstractExplainer
from mindgap.explain.explainers.grad_cam import GradCam
from mindgap.explain.guided_gradient import guided_gradient
from mindgap.explain.resize import to_image_size
from mindgap.space.network import Network


@EXPLAINERS.register("guided-grad-cam")
class GuidedGradCam(AbstractExplainer):
    """Grad-CAM brought to the image's size, times the guided gradient of every pixel.

    Wei & Chakraborti, eq. 20: L^c_Grad-CAM ⊙ L^c_guided, where Grad-CAM is enlarged bilinearly before the product. Of
    the three colour channels the largest magnitude counts (Simonyan et al. 2014): a pixel whose darkening speaks for
    the class matters as much as one whose brightening does, and a lesion is darker than skin. The sign is given up.
    """

    def maps(self, network: Network, images: Tensor, targets: Tensor) -> Tensor:
        """Float32 (n, S, S) ≥ 0, of the image's resolution."""
        coarse = GradCam(layer=self.layer).maps(network, images, targets)
        return to_image_size(coarse, images.shape[-1]) * guided_gradient(network, images, targets).abs().amax(dim=1)
