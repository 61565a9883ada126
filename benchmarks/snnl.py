"""Soft nearest neighbours of all channels of a layer at once; target 60 s for 2,048 channels on two cores.

    python benchmarks/snnl.py [--rounds 5] [--threads 1] [--channels 2048] [--batches 20] [--attributes 3]

The contestants score one batch of 128 images for one attribute, maps of 7×7 that are already there: the network's
forward pass is not in the figures. The loop takes one channel at a time, with the distances of all pairs of images by
``torch.cdist`` or as one matrix product, both given what can be made once for all channels: pairs within groups, and
the maps in the order in which the loop reads them. That all agree is checked. The ratio is over the faster loop, round
by round. Last, ours scores all batches of all attributes, which the target is about.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import torch
from rounds import arguments, clock, ratio, show, start, take_turns
from torch import Tensor

from mindgap.prune.soft_nearest import channel_snnl

TARGET_S = 60.0
IMAGES, PX, GROUPS = 128, 7, 6
OURS = "all channels at once"


def by_product(features: Tensor) -> Tensor:
    """Squared distances (n, n) of features (n, D), as one matrix product."""
    centred = features - features.mean(dim=0)
    norms = centred.square().sum(dim=1)
    return torch.addmm(norms[:, None] + norms, centred, centred.T, alpha=-2.0).clamp_(min=0.0)


def by_cdist(features: Tensor) -> Tensor:
    """The same by torch's own function, which takes a matrix product itself for so many images."""
    return torch.cdist(features, features).square_()


def looped(maps: Tensor, groups: Tensor, distances: Callable[[Tensor], Tensor]) -> Tensor:
    """The scores, one channel at a time."""
    n = len(groups)
    itself = torch.eye(n, dtype=torch.bool)
    stranger = (groups[:, None] != groups) | itself
    scores = []
    for channel in maps.flatten(2).transpose(0, 1).contiguous():
        apart = distances(channel)
        likeness = apart.div_(-apart.sum() / (n * (n - 1)))
        among = likeness.masked_fill_(itself, -math.inf).logsumexp(dim=1)
        scores.append((among - likeness.masked_fill_(stranger, -math.inf).logsumexp(dim=1)).mean())
    return torch.stack(scores)


def contestants(maps: Tensor, groups: Tensor, *, now: Callable[[], float]) -> dict[str, Callable[[], float]]:
    """Seconds of each way on the same batch."""

    def timed(way: Callable[[], Tensor]) -> Callable[[], float]:
        def play() -> float:
            begin = now()
            way()
            return now() - begin

        return play

    def product() -> Tensor:
        return looped(maps, groups, by_product)

    def cdist() -> Tensor:
        return looped(maps, groups, by_cdist)

    def ours() -> Tensor:
        return channel_snnl(maps, groups)

    ways = {"loop over channels, matrix product": product, "loop over channels, cdist": cdist, OURS: ours}
    reference = ours()
    for way in ways.values():
        torch.testing.assert_close(way(), reference, rtol=1e-4, atol=1e-5)
    return {name: timed(way) for name, way in ways.items()}


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--channels", type=int, default=2048, help="channels of the layer")
    parser.add_argument("--batches", type=int, default=20, help="batches per attribute, for the whole")
    parser.add_argument("--attributes", type=int, default=3, help="attributes, for the whole")
    options = parser.parse_args()
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(IMAGES, options.channels, PX, PX, generator=generator).relu_()
    groups = torch.arange(IMAGES) % GROUPS
    now = clock(options.clock)
    with torch.inference_mode():
        start(options.threads)
        figures = take_turns(contestants(maps, groups, now=now), rounds=options.rounds)
        show(f"{options.channels} channels, one batch of {IMAGES}, maps of {PX}×{PX}", figures, unit="s")
        loop = min((name for name in figures if name != OURS), key=lambda name: statistics.median(figures[name]))
        begin, began = time.perf_counter(), time.process_time()
        for _ in range(options.batches * options.attributes):
            channel_snnl(maps, groups)
        wall, cpu = time.perf_counter() - begin, time.process_time() - began
        print(
            f"{ratio(figures[loop], figures[OURS]):.2f}× the {loop}; {options.attributes} attributes × "
            f"{options.batches} batches in {wall:.1f} s on the clock, {cpu:.1f} s of the processor "
            f"(target {TARGET_S:g} s on two cores)"
        )


if __name__ == "__main__":
    main()
