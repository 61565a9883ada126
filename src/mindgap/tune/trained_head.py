"""The head of a trained network: what of it is tuned, where the tuning starts, how far it reaches, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mindgap.core.errors import ConfigError, ShapeError, UnknownNameError
from mindgap.tune.head import AbstractHead, Floats, HiddenHead, LinearHead

Part = Literal["last", "all"]
HIDDEN_FORM = (nn.Linear, nn.ReLU, nn.Dropout, nn.Linear)
REACH = 1.0


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A trained head, or the part of it that is tuned.

    Attributes:
        head: its shape.
        vector: float64 (D,), its weights and biases.
        outputs: int64 (C,), the numbers of its outputs in the network's classifier.
        before: what comes between the cached features and its inputs and is not tuned; None if nothing.
    """

    head: AbstractHead
    vector: Floats
    outputs: NDArray[np.int64]
    before: nn.Module | None = None

    def inputs_of(self, features: Tensor) -> Tensor:
        """What the tuned part reads, float32 (n, F'), of the network's features (n, F); computed once."""
        if self.before is None:
            return features
        with torch.no_grad():
            return self.before(features)

    def spread(self, inputs: Tensor, *, reach: float = REACH) -> Floats:
        """How far, about, first points lie from the trained head in each dimension, float64 (D,).

        For a weight it is ``reach`` times the root mean square of the weights of its output (or hidden unit), so that a
        point's random offset of these is about as long as they are. A bias is in units of the logit: ``reach`` times
        the standard deviation over the rows of what is added to it. Where that is 0, it is the ``reach`` itself.

        Args:
            inputs: float32 (n, F'), of the rows that are tuned on.
            reach: 1 means offsets as large as the head itself.
        """
        lines: list[Tensor] = []
        seen = inputs
        for layer in _layers(self.head, torch.from_numpy(self.vector).to(inputs.device, torch.float32)):
            weights = layer[:, :-1]
            added = seen @ weights.T
            of_weights = weights.square().mean(dim=1, keepdim=True).sqrt().expand_as(weights)
            scales = torch.cat([of_weights, added.std(dim=0, correction=0)[:, None]], dim=1)
            lines.append(torch.where(scales > 0, scales, 1.0).reshape(-1))
            seen = (added + layer[:, -1]).relu()
        return reach * torch.cat(lines).cpu().numpy().astype(np.float64)

    def write(self, classifier: nn.Module, vector: Floats) -> None:
        """Puts a vector in the place of these outputs' weights and biases; the classifier's others stay as they are.

        Raises:
            ShapeError: the vector is not of this head, or has a number that is not finite.
        """
        if vector.shape != (self.head.dim,):
            raise ShapeError(f"the head's vector must be ({self.head.dim},), got shape {vector.shape}")
        if not np.isfinite(vector).all():
            raise ShapeError("the head's vector holds NaN or infinity; choose another point of the front")
        linears = [module for module in classifier.modules() if isinstance(module, nn.Linear)]
        layers = _layers(self.head, torch.from_numpy(vector))
        with torch.no_grad():
            for linear, layer in zip(reversed(linears), reversed(layers), strict=False):
                chosen = torch.from_numpy(self.outputs) if linear is linears[-1] else torch.arange(len(layer))
                chosen, given = chosen.to(linear.weight.device), layer.to(linear.weight)
                linear.weight[chosen] = given[:, :-1]
                linear.bias[chosen] = given[:, -1]


def trained_head(classifier: nn.Module, *, part: Part = "last", outputs: Sequence[int] | None = None) -> TrainedHead:
    """What is tuned of a network's classifier, a linear layer or FC → ReLU → dropout → FC.

    Args:
        classifier: of the trained network.
        part: ``last`` is its last layer, ``all`` all of it.
        outputs: numbers of the outputs that the head gives; None is all.

    Raises:
        ConfigError: the classifier has another form, or no biases.
        UnknownNameError: there is no such output.
    """
    layers = _linear_layers(classifier)
    last = _lines(layers[-1])
    for number in outputs or ():
        if not 0 <= number < len(last):
            raise UnknownNameError(f"no output {number}: the classifier has {len(last)}, numbered from 0")
    given = np.arange(len(last)) if outputs is None else np.asarray(outputs, dtype=np.int64)
    chosen = last[torch.from_numpy(given)]
    if part == "all" and len(layers) == 2:
        first = _lines(layers[0])
        head = HiddenHead(first.shape[1] - 1, len(given), hidden=len(first))
        return TrainedHead(head, torch.cat([first.reshape(-1), chosen.reshape(-1)]).numpy(), given)
    before = None
    if len(layers) == 2:
        before = nn.Sequential(layers[0], nn.ReLU())
    return TrainedHead(LinearHead(last.shape[1] - 1, len(given)), chosen.reshape(-1).numpy(), given, before)


def _linear_layers(classifier: nn.Module) -> list[nn.Linear]:
    parts = list(classifier) if isinstance(classifier, nn.Sequential) else [classifier]
    fits = len(parts) == 1 and isinstance(parts[0], nn.Linear)
    if len(parts) == len(HIDDEN_FORM):
        fits = all(isinstance(module, kind) for module, kind in zip(parts, HIDDEN_FORM, strict=True))
    if not fits:
        names = ", ".join(type(module).__name__ for module in parts)
        raise ConfigError(f"the classifier is {names}; heads are tuned of Linear, or of Linear, ReLU, Dropout, Linear")
    layers = [module for module in parts if isinstance(module, nn.Linear)]
    if any(layer.bias is None for layer in layers):
        raise ConfigError("the classifier has a layer without bias; heads are tuned of layers with one")
    return layers


def _lines(layer: nn.Linear) -> Tensor:
    """Weights with the bias last, float64 (outputs, inputs + 1), on the CPU."""
    return torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach().double().cpu()


def _layers(head: AbstractHead, vector: Tensor) -> list[Tensor]:
    """A vector's layers from first to last, each with the bias last, (outputs, inputs + 1)."""
    if isinstance(head, HiddenHead):
        first, second = head.layers(vector[None])
        return [first[0], second[0]]
    return [vector.view(head.outputs, head.inputs + 1)]
