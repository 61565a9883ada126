"""P4: steps per second with the whole data path against the same steps on one fixed tensor; target 85 %.

python benchmarks/data_path.py [--rounds 5] [--steps 6] [--px 128]
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from made_store import make_store, network_of
from rounds import arguments, clock, our_allocator, ratio, show, start, take_turns
from torch import Tensor

from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture
from mindgap.train.precision import make_plan
from mindgap.train.settings import TrainSettings
from mindgap.train.training_run import TrainingRun

BATCH = 64
TARGET = 0.85


class FixedTensorRun(TrainingRun):
    """The same loop on the first batch again and again, neither gathered nor augmented."""

    fixed: Tensor | None = None

    def batch_images(self, positions: Tensor) -> Tensor:
        """The first batch's images."""
        if self.fixed is None:
            self.fixed = super().batch_images(positions)
        return self.fixed


def player(
    kind: type[TrainingRun], store: Store, architecture: Architecture, *, steps: int, now: Callable[[], float]
) -> Callable[[], float]:
    """Steps per second of one epoch of that many steps."""
    run = kind(
        architecture.build(seed=0),
        store,
        train_rows=np.arange(steps * BATCH),
        groups=store.groups("sex"),
        settings=TrainSettings(epochs=1000, batch_size=BATCH, device="cpu"),
        architecture=architecture,
    )
    run.modes = make_plan("auto", architecture, batch_size=BATCH).modes(architecture)

    def play() -> float:
        begin = now()
        run.train_epoch(len(run.history), None)
        return steps / (now() - begin)

    return play


def main() -> None:
    parser = arguments(__doc__ or "", rounds=5)
    parser.add_argument("--steps", type=int, default=6, help="steps per round")
    parser.add_argument("--px", type=int, default=128, help="side of the images")
    options = parser.parse_args()
    start(options.threads)
    our_allocator()
    shares: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        store = make_store(Path(place), n=options.steps * BATCH, px=options.px)
        for kind in ("cb", "mb", "rb"):
            architecture = network_of(kind, px=options.px)
            runs = {"data path": TrainingRun, "fixed tensor": FixedTensorRun}
            plays = {
                name: player(run, store, architecture, steps=options.steps, now=clock(options.clock))
                for name, run in runs.items()
            }
            figures = take_turns(plays, rounds=options.rounds)
            shares[kind] = ratio(figures["data path"], figures["fixed tensor"])
            show(f"{kind.upper()}, {options.px} px: {shares[kind]:.3f}", figures, unit="steps/s")
    print(f"P4: {', '.join(f'{kind} {share:.3f}' for kind, share in shares.items())} (target {TARGET})")


if __name__ == "__main__":
    main()
