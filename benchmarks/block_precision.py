"""P2: the mode chosen for a block is never slower than float32 channels_last.

    python benchmarks/block_precision.py [--rounds 5] [--batch 64]

All times are the process's own. Each block is timed once, as training does; then its chosen mode and float32 take turns
in new rounds. Where float32 itself was chosen the ratio is 1 and nothing is timed again.
"""

from __future__ import annotations

import torch
from rounds import arguments, ratio, show, start, take_turns

from mindgap.space.architecture import BlockSpec
from mindgap.train.memory import channels_last
from mindgap.train.modes import Mode
from mindgap.train.precision import Part, measure_plan, pass_seconds

NOISE = 0.95  # rounds of a loaded machine differ by more than this


def blocks() -> list[Part]:
    """Every kind of block at a large and a small map."""
    parts: list[Part] = []
    for px, channels in ((32, 24), (8, 64)):
        for kind, kernels, stride in (("mb", (3, 5, 7), 1), ("db", (3, 5, 7), 2), ("rb", (3, 5), 1), ("cb", (3, 5), 1)):
            for kernel in kernels:
                spec = BlockSpec(
                    type=kind,
                    out_channels=channels,
                    stride=stride,
                    choices={"kernel": kernel, "hidden_channels": 2 * channels},
                )
                parts.append(Part(kind="block", spec=spec, in_channels=channels, px=px))
    return parts


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--batch", type=int, default=64, help="images per batch")
    options = parser.parse_args()
    start(options.threads)
    ratios: dict[str, float] = {}
    for part in blocks():
        spec = part.spec
        assert isinstance(spec, BlockSpec)
        name = f"{spec.type} k{spec.choices['kernel']} {part.in_channels} channels {part.px} px"
        chosen = measure_plan([part], batch_size=options.batch).mode(part)
        ratios[name] = 1.0
        if chosen != "fp32":
            module = channels_last(part.build()).train()
            images = torch.randn(options.batch, part.in_channels, part.px, part.px)
            images = images.contiguous(memory_format=torch.channels_last)

            def milliseconds(mode: Mode, module: torch.nn.Module = module, images: torch.Tensor = images) -> float:
                return 1000 * pass_seconds(module, images, mode, input_gradient=True)

            contestants = {
                "fp32": lambda time=milliseconds: time("fp32"),
                chosen: lambda time=milliseconds, mode=chosen: time(mode),
            }
            figures = take_turns(contestants, rounds=options.rounds)
            show(name, figures, unit="ms")
            ratios[name] = ratio(figures["fp32"], figures[chosen])
        print(f"  {name}: {chosen}, {ratios[name]:.2f}× float32")
    slower = [name for name, value in ratios.items() if value < NOISE]
    least = min(ratios.values())
    print(f"P2: smallest ratio {least:.2f} over {len(ratios)} blocks; slower: {', '.join(slower) or 'none'}")


if __name__ == "__main__":
    main()
