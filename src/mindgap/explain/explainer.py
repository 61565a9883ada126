"""What an explainer is: one map per image of where the network looks for a class."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from mindgap.core.registry import Registry
from mindgap.space.network import Network


class AbstractExplainer(ABC):
    """One kind of map; a new one is one file with ``@EXPLAINERS.register("name")``.

    Attributes:
        layer: name of the module whose output (B, C, h, w) is explained; None is the network's last maps.
    """

    def __init__(self, *, layer: str | None = None) -> None:
        self.layer = layer

    @abstractmethod
    def maps(self, network: Network, images: Tensor, targets: Tensor) -> Tensor:
        """Where the network looks; the network and its gradients are left as they were.

        Args:
            network: in evaluation mode.
            images: float32 (n, 3, S, S), normalised, on the network's device.
            targets: int64 (n,), the class (or label) to explain of each image; it is explained by its logit.

        Returns:
            float32 (n, h, w), in the resolution that is the explainer's own, at most S × S; not scaled, and not
            negative where the method clips. ``to_image_size`` brings maps to S × S.

        Raises:
            ConfigError: the network is in training mode, has no such layer, or not the form that the method needs; for
                a method of gradients, it was made in inference mode.
            ShapeError: the images are not (n, 3, S, S) of the network's type, or a target is none of the classes.
        """


EXPLAINERS: Registry[type[AbstractExplainer]] = Registry("explainers", package="mindgap.explain.explainers")
