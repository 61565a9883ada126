"""P2: the mode that a plan gives a part of a network is never slower than float32 channels_last.

    python benchmarks/block_precision.py [--rounds 5] [--batch 64] [--px 64] [--parts 24]

The plan is made as a search makes it: once, on the same sample of the default space, in the same ten seconds. Then the
chosen mode and float32 take turns in new rounds on whole batches, for parts that the plan timed and for parts that it
did not, which it gives the mode of the timed part most like them. Both kinds are drawn from what random candidates of
the space are made of, each shape at most once. Where float32 itself was chosen there is nothing to compare: these parts
are listed apart and no mean counts them. All times are the process's own.
"""

from __future__ import annotations

import torch
from made_store import default_space
from rounds import arguments, geometric_mean, ratio, show, start, take_turns

from mindgap.core.seed import numpy_generator
from mindgap.search.measured import sample_architectures
from mindgap.space.architecture import Architecture, BlockSpec
from mindgap.space.search_space import SearchSpace
from mindgap.train.memory import channels_last
from mindgap.train.modes import Mode
from mindgap.train.precision import Part, PrecisionPlan, network_parts, pass_seconds, plan_for_architectures

NOISE = 0.95  # rounds of a loaded machine differ by more than this
CANDIDATES = 200


def random_candidates(space: SearchSpace) -> list[Architecture]:
    """Architectures drawn at random, others than the plan's sample."""
    drawn = []
    for number in range(CANDIDATES):
        generator, episode = numpy_generator("held out", number), space.start()
        while episode.decision is not None:
            episode.choose(int(generator.choice(episode.mask().nonzero()[0])))
        drawn.append(episode.candidate().architecture)
    return drawn


def drawn_parts(space: SearchSpace, plan: PrecisionPlan, *, count: int) -> dict[str, list[Part]]:
    """Parts with weights that the plan timed, and others, in the order in which random candidates have them."""
    timed = {timing.part.model_dump_json() for timing in plan.timings}
    met = (part for architecture in random_candidates(space) for part in network_parts(architecture))
    unique = {part.model_dump_json(): part for part in met}
    usable = {key: part for key, part in unique.items() if any(True for _ in part.build().parameters())}
    return {
        "timed": [part for key, part in usable.items() if key in timed][:count],
        "held out": [part for key, part in usable.items() if key not in timed][:count],
    }


def title(part: Part) -> str:
    """A part in one line."""
    if not isinstance(part.spec, BlockSpec):
        sizes = " ".join(f"{name} {value}" for name, value in part.spec)
        return f"{part.kind} {part.in_channels} channels {part.px} px {sizes}"
    choices = " ".join(f"{name} {value}" for name, value in part.spec.choices.items())
    channels = f"{part.in_channels}→{part.spec.out_channels}"
    return f"{part.spec.type} {channels} channels stride {part.spec.stride} {part.px} px {choices}"


def gain(part: Part, mode: Mode, *, batch: int, rounds: int) -> float:
    """Float32's time over the mode's."""
    module = channels_last(part.build()).train()
    images = torch.randn(batch, part.in_channels, part.px, part.px).contiguous(memory_format=torch.channels_last)

    def milliseconds(chosen: Mode) -> float:
        return 1000 * pass_seconds(module, images, chosen, input_gradient=part.kind != "stem")

    figures = take_turns({"fp32": lambda: milliseconds("fp32"), mode: lambda: milliseconds(mode)}, rounds=rounds)
    gained = ratio(figures["fp32"], figures[mode])
    show(f"{title(part)}: {gained:.2f}", figures, unit="ms")
    return gained


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--batch", type=int, default=64, help="images per batch")
    parser.add_argument("--px", type=int, default=64, help="side of the images")
    parser.add_argument("--parts", type=int, default=24, help="parts of either kind")
    options = parser.parse_args()
    start(options.threads)
    space = default_space(options.px)
    plan = plan_for_architectures(sample_architectures(space), batch_size=options.batch)
    print(f"the plan timed {len(plan.timings)} parts")
    lines: list[str] = []
    for kind, parts in drawn_parts(space, plan, count=options.parts).items():
        modes = [(part, plan.mode(part)) for part in parts]
        kept = [title(part) for part, mode in modes if mode == "fp32"]
        print(f"{kind}: fp32 chosen for {len(kept)} of {len(parts)}:", *kept, sep="\n  ")
        gained = [
            (part, gain(part, mode, batch=options.batch, rounds=options.rounds))
            for part, mode in modes
            if mode != "fp32"
        ]
        gains = [value for _, value in gained]
        slower = [f"{title(part)} ({value:.2f})" for part, value in gained if value < NOISE]
        lines.append(
            f"P2, {kind}: {len(gains)} parts not in fp32, ratios {min(gains, default=1):.2f} to "
            f"{max(gains, default=1):.2f}, geometric mean {geometric_mean(gains):.2f}; "
            f"below {NOISE}: {', '.join(slower) or 'none'}; fp32 chosen for {len(kept)} more"
        )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
