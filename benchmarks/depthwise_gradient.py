"""P3: the mended weight gradient of 5×5 and 7×7 depthwise convolutions against stock bfloat16; target 10×.

    python benchmarks/depthwise_gradient.py [--rounds 5] [--batch 64] [--met 16] [--px 64]

Stock is torch's own gradient of what training hands it, channels_last bfloat16, with the allocator settings of our
training. The mended way starts from the same tensors, takes all its memory anew in every call, and ends with the
gradient in bfloat16. Before every call 64 MB are swept, as other layers do in training, so that no way finds a core's
cache as the one before it left it. The target is the geometric mean over a grid of shapes.

What an expert might do without any of this is timed as well: stock on tensors converted to NCHW, or to float32, the
conversion counted; the ratio over the fastest of the three stands beside the first. After the grid come shapes drawn as
random candidates of the default space have them, each as often as it occurs: their geometric mean, and the time of all
of them together, which the large ones decide.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from made_store import default_space
from rounds import arguments, clock, geometric_mean, our_allocator, ratio, show, start, take_turns
from torch import nn

from mindgap.search.measured import sample_architectures
from mindgap.train.depthwise import is_depthwise, weight_gradient

TARGET = 10.0
STOCK, MENDED = "stock", "mended"
_SWEPT_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Shape:
    """A depthwise convolution on a square map."""

    kernel: int
    stride: int
    channels: int
    px: int

    def __str__(self) -> str:
        return f"k{self.kernel}, stride {self.stride}, {self.channels} channels, {self.px} px"


GRID = [
    Shape(kernel, stride, channels, px)
    for channels, px in ((96, 64), (48, 32), (96, 32), (192, 16), (96, 8))
    for kernel in (5, 7)
    for stride in (1, 2)
]


def met_shapes(px: int) -> list[Shape]:
    """Every depthwise convolution with a wide kernel in a sample of the default space, as often as it occurs."""
    met: list[Shape] = []

    def note(module: nn.Conv2d, inputs: tuple[torch.Tensor]) -> None:
        met.append(Shape(module.kernel_size[0], module.stride[0], module.in_channels, inputs[0].shape[-1]))

    for architecture in sample_architectures(default_space(px)):
        network = architecture.build(seed=0).eval()
        for module in network.modules():
            if is_depthwise(module) and module.kernel_size[0] > 3:
                module.register_forward_pre_hook(note)
        with torch.no_grad():
            network(torch.zeros(1, 3, px, px))
    return met


def contestants(shape: Shape, *, batch: int, now: Callable[[], float]) -> dict[str, Callable[[], float]]:
    """Milliseconds of each way on the same tensors."""
    channels, kernel, stride = shape.channels, shape.kernel, shape.stride
    images = torch.randn(batch, channels, shape.px, shape.px).bfloat16().contiguous(memory_format=torch.channels_last)
    weight = torch.randn(channels, 1, kernel, kernel).bfloat16()
    gradient = torch.randn_like(torch.conv2d(images, weight, None, stride, kernel // 2, 1, channels))
    geometry = ([stride] * 2, [kernel // 2] * 2, [1, 1], False, [0, 0], channels, [False, True, False])
    other_layers = torch.zeros(_SWEPT_BYTES // 4)
    backward = torch.ops.aten.convolution_backward.default

    def stock() -> object:
        return backward(gradient, images, weight, None, *geometry)

    def planes() -> object:
        return backward(gradient.contiguous(), images.contiguous(), weight, None, *geometry)

    def wide() -> object:
        return backward(gradient.float(), images.float(), weight.float(), None, *geometry)[1].bfloat16()

    def mended() -> object:
        return weight_gradient(gradient, images, kernel=kernel, stride=stride).bfloat16()

    def timed(way: Callable[[], object]) -> float:
        other_layers.add_(1)
        begin = now()
        way()
        return 1000 * (now() - begin)

    ways = {STOCK: stock, "stock by way of NCHW": planes, "stock by way of float32": wide, MENDED: mended}
    return {name: functools.partial(timed, way) for name, way in ways.items()}


def measure(shapes: Iterable[Shape], *, batch: int, rounds: int, now: Callable[[], float]) -> str:
    """Times the shapes; one line on all of them."""
    gains: list[float] = []
    others: list[float] = []
    total, total_mended = 0.0, 0.0
    for shape in shapes:
        figures = take_turns(contestants(shape, batch=batch, now=now), rounds=rounds)
        medians = {name: statistics.median(values) for name, values in figures.items()}
        fastest = min((name for name in medians if name != MENDED), key=lambda name: medians[name])
        gains.append(ratio(figures[STOCK], figures[MENDED]))
        others.append(ratio(figures[fastest], figures[MENDED]))
        total, total_mended = total + medians[STOCK], total_mended + medians[MENDED]
        show(f"{shape}: {gains[-1]:.1f}× stock, {others[-1]:.1f}× the fastest other way", figures, unit="ms")
    spread = f"smallest {min(gains):.1f}, largest {max(gains):.1f}; time of all together {total / total_mended:.1f}×"
    other = f"over the fastest other way: geometric mean {geometric_mean(others):.1f}, smallest {min(others):.1f}"
    return f"geometric mean {geometric_mean(gains):.1f}, {spread}; {other}"


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--batch", type=int, default=64, help="images per batch")
    parser.add_argument("--met", type=int, default=16, help="shapes drawn from the default space")
    parser.add_argument("--px", type=int, default=64, help="side of the images there")
    options = parser.parse_args()
    start(options.threads)
    our_allocator()
    measured = functools.partial(measure, batch=options.batch, rounds=options.rounds, now=clock(options.clock))
    grid = measured(GRID)
    met = met_shapes(options.px)
    print(f"{options.met} of the {len(met)} that a sample of the default space has at {options.px} px")
    numbers = np.random.default_rng(0).choice(len(met), options.met, replace=False)
    print(f"as a search meets them: {measured(met[number] for number in numbers)}")
    print(f"P3: {grid} (target {TARGET:g})")


if __name__ == "__main__":
    main()
