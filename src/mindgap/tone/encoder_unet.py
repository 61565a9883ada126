"""U-Nets on the encoders of segmentation-models-pytorch, which the extra ``segment`` brings."""

from __future__ import annotations

import importlib
from typing import Any

from torch import nn

from mindgap.core.errors import CapacityError, UnknownNameError, near_names
from mindgap.core.optional_packages import require_packages

PACKAGE = "segmentation_models_pytorch"


def encoder_unet(name: str, *, weights: str | None = None) -> nn.Module:
    """A U-Net with one output channel, whose way down is the named encoder.

    Args:
        name: of the encoder, such as ``resnet18``.
        weights: of the encoder, such as ``imagenet``, which the package downloads; without, it is drawn at random.

    Raises:
        CapacityError: the package is not installed, or the weights cannot be had.
        UnknownNameError: it has no such encoder.
    """
    require_packages([PACKAGE], extra="segment", purpose=f"the encoder {name!r} of a lesion U-Net")
    package: Any = importlib.import_module(PACKAGE)
    known = package.encoders.get_encoder_names()
    if name not in known:
        raise UnknownNameError(f"no encoder {name!r} in segmentation-models-pytorch; {near_names(name, known)}")
    try:
        return package.Unet(name, encoder_weights=weights, classes=1)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CapacityError(f"no weights {weights!r} for the encoder {name!r} ({reason}); leave them out") from None
