"""What a step of each mitigation costs beside plain training: every registered one, in one process.

    python benchmarks/mitigation_overhead.py [--rounds 5] [--steps 10] [--px 48] [--device cuda] [--methods a,b]
        [--json FILE]

A ResNet-18 of half the width on made-up images of 7 classes in 4 groups of unequal size, batches of 64, bf16 where a
plan finds it faster. A round is ``--steps`` steps of plain training and as many of the method, in turns; the figure is
the method's time over that of plain training in the same round, median and range over the rounds. Plain training is
itself among the methods: how far from 1 its figure lies is what this machine's other load does to all of them. What a
method does once, after the last epoch, is timed apart. A teacher is taken as given: its training costs a plain run
more.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    parser.add_argument("--steps", type=int, default=10, help="steps per round")
    parser.add_argument("--px", type=int, default=48, help="side of the images")
    parser.add_argument("--methods", help="of these, with commas [default: all]")
    parser.add_argument("--json", type=Path, help="a file for the figures")
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
        figures: dict[str, dict[str, Any]] = {}
        plain = Contestant("erm", store, groups, plan, device=options.device)
        for name in names:
            one = Contestant(name, store, groups, plan, device=options.device)
            playing = {"erm beside it": plain.seconds_of(now), name: one.seconds_of(now)}
            beside, own = take_turns(playing, rounds=options.rounds).values()
            show(f"{name}, a step:", in_ms({"erm beside it": beside, name: own}, steps=options.steps), unit="ms")
            figures[name] = overhead(own, beside, steps=options.steps)
            if type(one.run.mitigation).finish is not AbstractMitigation.finish:
                begin = now()
                one.run._finish()  # noqa: SLF001
                figures[name]["finish_seconds"] = now() - begin
    report(figures)
    if options.json is not None:
        chosen = {name: value for name, value in vars(options).items() if name != "json"}
        record = {"torch": torch.__version__, **chosen, "methods": figures}
        options.json.write_text(json.dumps(record, indent=1) + "\n")


def in_ms(seconds: dict[str, list[float]], *, steps: int) -> dict[str, list[float]]:
    """Milliseconds of one step, from the seconds of so many."""
    return {name: [1e3 * value / steps for value in values] for name, values in seconds.items()}


def overhead(own: list[float], plain: list[float], *, steps: int) -> dict[str, Any]:
    """A method's milliseconds per step in every round, those of plain training, and the ratio of the two."""
    each = [mine / beside for mine, beside in zip(own, plain, strict=True)]
    milliseconds = in_ms({"step_ms": own, "erm_step_ms": plain}, steps=steps)
    return {**milliseconds, "ratio": ratio(own, plain), "least": min(each), "most": max(each)}


def report(figures: dict[str, dict[str, Any]]) -> None:
    """Prints the ratios, and what is done once."""
    print("time of a step over that of erm: median, least and most of the rounds")
    for name, found in figures.items():
        over = f"  over {MOST}" if found["ratio"] > MOST else ""
        print(f"  {name:<18} {found['ratio']:.2f} ({found['least']:.2f} to {found['most']:.2f}){over}")
    for name, found in figures.items():
        if "finish_seconds" in found:
            print(f"{name}, after the last epoch, once: {found['finish_seconds']:.1f} s")


if __name__ == "__main__":
    main()
