"""The most that convolutions reach on a device, and how many operations a training step needs."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F  # noqa: N812

from mindgap.space.architecture import Architecture
from mindgap.space.cost import count_cost, stem_cost

_SHAPES = ((64, 32), (128, 16), (256, 16), (512, 16), (256, 32))  # channels and side of square maps
_PER_MAC = 2
_PASSES = 3  # forward, gradient of the images, gradient of the weights


def step_operations(architecture: Architecture) -> int:
    """Additions and multiplications of one image's forward and backward pass through convolutions and classifier.

    The stem's images need no gradient. Batch norm, activations and the optimiser count 0.
    """
    stem = stem_cost(architecture.stem, architecture.input_px).macs
    return _PER_MAC * (_PASSES * count_cost(architecture).macs - stem)


def best_convolution(device: torch.device, *, batch: int = 64, now: Callable[[], float]) -> Callable[[], float]:
    """Operations per second of the 3×3 bfloat16 convolution that reached most of some shapes in a first round."""
    contestants = [_convolution(device, batch, channels, px, now) for channels, px in _SHAPES]
    for play in contestants:
        play()
    return max((play() for play in contestants), key=lambda found: found[0])[1]


def _convolution(
    device: torch.device, batch: int, channels: int, px: int, now: Callable[[], float]
) -> Callable[[], tuple[float, Callable[[], float]]]:
    images = torch.randn(batch, channels, px, px, device=device, dtype=torch.bfloat16)
    images = images.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, channels, 3, 3, device=device, dtype=torch.bfloat16)
    weight = weight.contiguous(memory_format=torch.channels_last)
    operations = _PER_MAC * batch * channels**2 * 9 * px**2

    def play(repeats: int = 3) -> float:
        wait_for(device)
        begin = now()
        with torch.no_grad():
            for _ in range(repeats):
                F.conv2d(images, weight, padding=1)
        wait_for(device)
        return repeats * operations / (now() - begin)

    return lambda: (play(), play)


def wait_for(device: torch.device) -> None:
    """Waits until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def clock_of(device: torch.device, now: Callable[[], float] = time.perf_counter) -> Callable[[], float]:
    """A clock that waits for the device first."""

    def read() -> float:
        wait_for(device)
        return now()

    return read
