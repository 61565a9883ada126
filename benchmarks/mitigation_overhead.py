"""What a step of each mitigation costs beside plain training: every registered one, in turns, in one process.

    python benchmarks/mitigation_overhead.py [--rounds 5] [--steps 15] [--px 48] [--device cuda] [--methods a,b]

A ResNet-18 of half the width on made-up images of 7 classes in 4 groups of unequal size, batches of 64, bf16 where a
plan finds it faster. A round is ``--steps`` steps of each method; the figure is its time over that of ``erm`` in the
same round, median and range over the rounds. What a method does once, after the last epoch, is timed apart. A teacher
is taken as given: its training costs a plain run more.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from conv_peak import clock_of
from made_store import BATCH, CLASSES, make_store
from rounds import arguments, clock, our_allocator, ratio, show, start, take_turns

from mindgap.core.groups import Groups
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, Stem
from mindgap.space.network import resolve_network
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation
from mindgap.train.precision import PrecisionPlan, make_plan
from mindgap.train.settings import TrainSettings
from mindgap.train.training_run import TrainingRun

SHARES = (0.55, 0.25, 0.15, 0.05)
MOST = 2.5


def half_width(px: int) -> Architecture:
    """ResNet-18 with half of its channels, and a stem of stride 2 for small images."""
    whole = resolve_network("resnet18", num_classes=len(CLASSES), input_px=px)
    blocks = tuple(block.model_copy(update={"out_channels": block.out_channels // 2}) for block in whole.blocks)
    stem = Stem(kind="3x3", channels=32, activation="relu")
    return whole.model_copy(update={"name": "resnet18_half", "stem": stem, "blocks": blocks})


class Contestant:
    """A run of one method that goes on from round to round."""

    def __init__(self, name: str, store: Store, groups: Groups, plan: PrecisionPlan, *, device: str) -> None:
        architecture = half_width(store.size_px)
        self.run = TrainingRun(
            architecture.build(seed=0),
            store,
            train_rows=np.arange(store.n),
            groups=groups,
            settings=TrainSettings(
                epochs=100_000, batch_size=BATCH, mitigation=name, device="cuda" if device == "cuda" else "cpu"
            ),
            architecture=architecture,
        )
        self.run.modes = plan.modes(architecture)
        if self.run.mitigation.needs_teacher:
            teacher = architecture.build(seed=1).to(self.run.device).eval()
            self.run.mitigation.take_teacher(teacher.requires_grad_(requires_grad=False))

    def seconds_of(self, now: Callable[[], float]) -> Callable[[], float]:
        """Times the next epoch, which is a round."""

        def play() -> float:
            begin = now()
            self.run.train_epoch(len(self.run.history), None)
            return now() - begin

        return play


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--steps", type=int, default=15, help="steps per round")
    parser.add_argument("--px", type=int, default=48, help="side of the images")
    parser.add_argument("--methods", help="of these, with commas [default: all]")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    start(options.threads)
    our_allocator()
    now = clock_of(torch.device(options.device), clock(options.clock))
    names = options.methods.split(",") if options.methods else MITIGATIONS.names()
    with tempfile.TemporaryDirectory() as place:
        store = make_store(Path(place), n=BATCH * options.steps, px=options.px)
        drawn = np.random.default_rng(0).choice(len(SHARES), size=store.n, p=SHARES)
        groups = Groups("made", tuple("abcd"), drawn.astype(np.int64))
        plan = make_plan("auto", half_width(options.px), batch_size=BATCH, device=options.device)
        contestants = {
            name: Contestant(name, store, groups, plan, device=options.device)
            for name in dict.fromkeys(["erm", *names])
        }
        playing = {name: one.seconds_of(now) for name, one in contestants.items()}
        seconds = take_turns(playing, rounds=options.rounds)
        show(f"half-width ResNet-18, {options.px} px, {options.steps} steps", seconds, unit="s")
        print("time of a step over that of erm: median, least and most of the rounds")
        for name, values in seconds.items():
            each = [mine / plain for mine, plain in zip(values, seconds["erm"], strict=True)]
            over = f"  over {MOST}" if statistics.median(each) > MOST else ""
            print(f"  {name:<18} {ratio(values, seconds['erm']):.2f} ({min(each):.2f} to {max(each):.2f}){over}")
        for name, one in contestants.items():
            if type(one.run.mitigation).finish is not AbstractMitigation.finish:
                begin = now()
                one.run._finish()  # noqa: SLF001
                print(f"{name}, after the last epoch, once: {now() - begin:.1f} s")


if __name__ == "__main__":
    main()
