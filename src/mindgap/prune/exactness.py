"""Whether a removal computes what silence does, tried on two images of noise."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from mindgap.core.errors import ConfigError
from mindgap.prune.coupling import Coupled, traceable
from mindgap.prune.masking import silenced
from mindgap.space.network import Network


def remove_exactly(coupled: Coupled, *, px: int, layers: Iterable[str]) -> Network:
    """Removes what is coupled, where the logits of two images become what they are with these channels silent.

    What a network computes across channels without a module of its own for it, as a softmax over them or a norm of the
    weights, has no place in the graph by which channels are coupled. It shows in the logits: they may differ by the
    square root of the type's precision times their largest magnitude (float32: 3.5e-4), far above rounding.

    Args:
        coupled: its network is what loses the channels.
        px: side of an image that the network takes.
        layers: whose channels go, for an error.

    Raises:
        ConfigError: the logits differ, or are not finite.
    """
    expected = _logits(coupled, px=px)
    network = coupled.remove()
    given = _logits(Coupled(network, {}), px=px)
    scale, apart = float(expected.abs().amax()), float((given - expected).abs().amax())
    named = ", ".join(layers)
    if not bool(given.isfinite().all() & expected.isfinite().all()):
        raise ConfigError(
            f"the logits of an image of noise are not finite, so a removal from {named} cannot be checked; "
            "prune a network that was trained to its end"
        )
    if apart > scale * torch.finfo(expected.dtype).eps ** 0.5:
        raise ConfigError(
            f"without channels of {named} the logits are up to {apart:.2g} (of {scale:.2g}) from those with the "
            "channels silent: something in the network works across channels or gives silent ones a value; "
            "name other layers"
        )
    return network


def _logits(coupled: Coupled, *, px: int) -> Tensor:
    """Of two images of noise, always the same, with what is coupled silent; on a GPU not in TensorFloat-32."""
    network, library = coupled.network, torch.backends.cudnn
    drawn = torch.randn(2, 3, px, px, generator=torch.Generator().manual_seed(0))
    whole = library.flags(enabled=library.enabled, deterministic=True, allow_tf32=False)
    with whole, traceable(network), torch.no_grad(), silenced(network, coupled.outputs):
        return network(drawn.to(network.classifier.weight))
