"""Without half of its channels a network takes one image faster; how much faster depends on which half.

    python benchmarks/pruned_latency.py [NETWORK...] [--rounds 12] [--px 64] [--clock cpu]

Three contestants per network take turns: the whole one, one without half of the last stage's channels, and one without
half of the channels of every layer. Which channels go does not matter for time; here every other one. A round is the
median of ten passes of one image in float32, channels-last, in evaluation mode, as ``measure_latency_ms`` takes them.
Without a name they are the reference networks and one of several kinds of blocks, as a search finds it.
"""

from __future__ import annotations

import functools
import statistics

import torch
from rounds import arguments, clock, geometric_mean, ratio, show, start, take_turns

from mindgap.prune.coupling import map_channels
from mindgap.prune.layers import choose_layers, prunable_layers
from mindgap.prune.surgery import remove_channels
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.space.cost import count_cost
from mindgap.space.network import NETWORKS, Network, resolve_network
from mindgap.train.memory import channels_last

WHOLE, LAST, EVERY = "whole", "half of the last stage", "half of every layer"
CLASSES, PASSES = 7, 10
FOUND = (
    ("mb", 24, 1, 3, 64),
    ("db", 32, 2, 5, 96),
    ("rb", 32, 1, 3, 32),
    ("mb", 48, 1, 5, 96),
    ("db", 64, 2, 3, 96),
    ("cb", 96, 1, 3, 48),
    ("mb", 96, 1, 7, 96),
)


def found_network(px: int) -> Architecture:
    """Blocks of every kind that a search takes, within its limits."""
    blocks = tuple(
        BlockSpec(type=kind, out_channels=out, stride=stride, choices={"kernel": kernel, "hidden_channels": hidden})
        for kind, out, stride, kernel, hidden in FOUND
    )
    stem, head = Stem(channels=16), Head(width=256)
    return Architecture(name="as found", input_px=px, num_classes=CLASSES, stem=stem, blocks=blocks, head=head)


def contestants(architecture: Architecture) -> dict[str, tuple[Architecture, Network]]:
    """The network, and what is left of it."""
    network = architecture.build()
    players = {WHOLE: (architecture, network)}
    for name, layers in ((LAST, choose_layers(network)), (EVERY, prunable_layers(network))):
        counts = map_channels(network, layers, px=architecture.input_px)
        pruned = remove_channels(architecture, network, {layer: range(0, of, 2) for layer, of in counts.items()})
        players[name] = (pruned.architecture, pruned.network)
    return players


def round_ms(network: Network, image: torch.Tensor, *, tick: str) -> float:
    """Median milliseconds of a pass."""
    now, times = clock(tick), []
    with torch.inference_mode():
        for _ in range(PASSES):
            begin = now()
            network(image)
            times.append(now() - begin)
    return 1e3 * statistics.median(times)


def main() -> None:
    parser = arguments(__doc__ or "", rounds=12)
    parser.add_argument("networks", nargs="*", help="names of networks or architecture files")
    parser.add_argument("--px", type=int, default=64, help="side of the image")
    options = parser.parse_args()
    start(options.threads)
    named = options.networks or sorted(NETWORKS.names())
    architectures = [resolve_network(name, num_classes=CLASSES, input_px=options.px) for name in named]
    if not options.networks:
        architectures.append(found_network(options.px))
    image = torch.randn(1, 3, options.px, options.px).contiguous(memory_format=torch.channels_last)
    gains: dict[str, list[float]] = {LAST: [], EVERY: []}
    for architecture in architectures:
        players = contestants(architecture)
        turns = {
            name: functools.partial(round_ms, channels_last(network).eval(), image, tick=options.clock)
            for name, (_, network) in players.items()
        }
        figures = take_turns(turns, rounds=options.rounds)
        show(f"{architecture.name}, one image of {options.px} px", figures, unit=f"ms ({options.clock})")
        whole = count_cost(architecture)
        for name, values in gains.items():
            cost = count_cost(players[name][0])
            values.append(ratio(figures[WHOLE], figures[name]))
            left = f"{cost.params / whole.params:.2f} of the parameters, {cost.macs / whole.macs:.2f} of the MACs"
            print(f"  without {name}: {values[-1]:.2f} times as fast, {left}")
    for name, values in gains.items():
        print(f"without {name}, {len(values)} networks: {geometric_mean(values):.2f} times as fast (geometric mean)")


if __name__ == "__main__":
    main()
