"""Networks of timm, without their pool and classifier, as the front of ours."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mindgap.core.errors import CapacityError, ConfigError, UnknownNameError
from mindgap.core.optional_packages import require_packages
from mindgap.space.architecture import IMAGENET_MEAN, IMAGENET_STD, Architecture, Backbone, Head
from mindgap.space.layers import Cost, shrunk
from mindgap.space.narrowing import narrow

TIMM_PREFIX = "timm:"
_STRIDES = tuple(2**power for power in range(8))


def backbone_architecture(name: str, *, num_classes: int, input_px: int) -> Architecture:
    """The network of that name in timm, with our pool and classifier, normalised as timm's own weights expect.

    Nothing is downloaded.

    Raises:
        CapacityError: timm is not installed, or cannot be imported.
        UnknownNameError: timm has no network of the name.
        ConfigError: it gives no maps of such an image, as vision transformers do.
    """
    facts = _facts(name, input_px)
    return Architecture(
        name=TIMM_PREFIX + name,
        input_px=input_px,
        num_classes=num_classes,
        mean=facts.mean,
        std=facts.std,
        stem=Backbone(name=name, channels=facts.channels, stride=_stride(input_px, facts.map_px)),
        blocks=(),
        head=Head(width=None),
    )


def build_backbone(name: str, *, narrowed: Mapping[str, tuple[int, ...]] | None = None) -> nn.Module:
    """(B, 3, H, W) to the last maps, (B, F, h, w); weights are drawn as timm draws them, from torch's generator.

    Args:
        name: of timm.
        narrowed: see ``Backbone``.

    Raises:
        CapacityError: timm is not installed, or cannot be imported.
        UnknownNameError: timm has no network of the name.
        ConfigError: timm cannot build it without its pool, or not so narrow.
    """
    timm = _timm()
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=1, cutoff=0.6)
        meant = f"did you mean {TIMM_PREFIX + near[0]!r}? " if near else ""
        raise UnknownNameError(f"timm has no network {name!r}; {meant}timm.list_models() names them")
    device = torch.empty(0).device
    # Some of timm's networks compute numbers as tensors while they are built, which the meta device does not keep.
    unseen = torch.random.fork_rng(devices=[]) if device.type == "meta" else nullcontext()
    with torch.device("cpu"), unseen:
        try:
            model = timm.create_model(name, pretrained=False, num_classes=0, global_pool="")
        except Exception as error:  # noqa: BLE001  (another package's code may fail in any way)
            raise ConfigError(f"{TIMM_PREFIX}{name}: timm cannot build it without its pool ({_line(error)})") from None
    if narrowed:
        narrow(model, narrowed, source=TIMM_PREFIX + name)
    return model.to(device)


def backbone_cost(backbone: Backbone, px: int) -> Cost:
    """Cost of a backbone on an image of px × px, counted operator by operator.

    Raises:
        MindgapError: see ``backbone_architecture``.
    """
    return _facts(backbone.name, px, tuple(sorted(backbone.narrowed.items()))).cost


@dataclass(frozen=True)
class _Facts:
    """What is seen of a backbone on an image of some size."""

    channels: int
    map_px: int
    cost: Cost
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@lru_cache(maxsize=256)
def _facts(name: str, px: int, narrowed: tuple[tuple[str, tuple[int, ...]], ...] = ()) -> _Facts:
    with torch.device("meta"):
        model = build_backbone(name, narrowed=dict(narrowed)).eval()
        try:
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                maps = model(torch.empty(1, 3, px, px))
        except Exception as error:  # noqa: BLE001  (another package's code may fail in any way)
            raise ConfigError(f"{TIMM_PREFIX}{name}: takes no images of {px} px ({_line(error)})") from None
    shape = tuple(maps.shape) if isinstance(maps, Tensor) else ()
    if len(shape) != 4 or shape[2] != shape[3]:
        raise ConfigError(
            f"{TIMM_PREFIX}{name}: gives {shape or type(maps).__name__} for an image of {px} px and no maps "
            "(1, F, h, h); take a convolutional network"
        )
    params = sum(parameter.numel() for parameter in model.parameters())
    configuration: Mapping[str, Any] = getattr(model, "pretrained_cfg", None) or {}
    return _Facts(
        channels=shape[1],
        map_px=shape[2],
        cost=Cost(params, counter.get_total_flops() // 2),
        mean=_three(configuration.get("mean"), IMAGENET_MEAN),
        std=_three(configuration.get("std"), IMAGENET_STD),
    )


def _three(values: Any, otherwise: tuple[float, float, float]) -> tuple[float, float, float]:
    """A value per colour channel."""
    if not isinstance(values, (tuple, list)) or len(values) != 3:
        return otherwise
    red, green, blue = map(float, values)
    return red, green, blue


def _stride(px: int, map_px: int) -> int:
    """The power of two that shrinks one side to the other, or the one that comes nearest."""
    return min(_STRIDES, key=lambda stride: abs(shrunk(px, stride) - map_px))


def _timm() -> ModuleType:
    require_packages(["timm"], extra="backbones", purpose=f"a network named {TIMM_PREFIX}…")
    try:
        return importlib.import_module("timm")
    except (ImportError, RuntimeError, AttributeError) as error:  # as when its torchvision does not fit this torch
        raise CapacityError(
            f"timm cannot be imported here ({_line(error)}); install a torchvision that fits this torch"
        ) from None


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
