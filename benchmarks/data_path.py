"""P4: steps per second with the whole data path against the same steps on one fixed tensor; target 85 %.

    python benchmarks/data_path.py [--rounds 5] [--steps 6] [--px 128] [--images 25000]

The store is far larger than a core's cache (1.1 GiB at 128 px), its file in the page cache, and every batch consists of
rows from all over it that no earlier round has read through this map, so each is also mapped in its round: what a first
epoch meets, and more than later ones do.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from made_store import BATCH, Slices, make_store, network_of
from rounds import arguments, clock, our_allocator, ratio, show, start, take_turns
from torch import Tensor

from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture
from mindgap.train.precision import make_plan
from mindgap.train.settings import TrainSettings
from mindgap.train.training_run import TrainingRun

TARGET = 0.85


class FixedTensorRun(TrainingRun):
    """The same loop on the first batch again and again, neither gathered nor augmented."""

    fixed: Tensor | None = None

    def batch_images(self, rows: Tensor, draws: Tensor) -> Tensor:
        """The first batch's images."""
        if self.fixed is None:
            self.fixed = super().batch_images(rows, draws)
        return self.fixed


def player(
    kind: type[TrainingRun], store: Store, architecture: Architecture, *, steps: int, now: Callable[[], float]
) -> Callable[[], float]:
    """Steps per second over a slice of batches."""
    run = kind(
        architecture.build(seed=0),
        store,
        train_rows=np.arange(store.n),
        groups=store.groups("sex"),
        settings=TrainSettings(epochs=1000, batch_size=BATCH, device="cpu"),
        architecture=architecture,
    )
    run.plan = Slices(store, steps=steps)
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
    parser.add_argument("--images", type=int, default=25_000, help="images in the store")
    options = parser.parse_args()
    start(options.threads)
    our_allocator()
    needed = (options.rounds + 1) * options.steps * BATCH
    if needed > options.images:
        parser.error(f"{needed} rows are needed, so that none comes twice; give more --images")
    shares: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        made = make_store(Path(place), n=options.images, px=options.px)
        print(f"store of {made.n} images, {made.images.nbytes / 2**30:.2f} GiB")
        for kind in ("cb", "mb", "rb"):
            architecture = network_of(kind, px=options.px)
            runs = {"data path": TrainingRun, "fixed tensor": FixedTensorRun}
            plays = {
                # Each opens the store, and so maps the file, anew.
                name: player(run, Store.open(made.path), architecture, steps=options.steps, now=clock(options.clock))
                for name, run in runs.items()
            }
            figures = take_turns(plays, rounds=options.rounds)
            shares[kind] = ratio(figures["data path"], figures["fixed tensor"])
            show(f"{kind.upper()}, {options.px} px: {shares[kind]:.3f}", figures, unit="steps/s")
    print(f"P4: {', '.join(f'{kind} {share:.3f}' for kind, share in shares.items())} (target {TARGET})")


if __name__ == "__main__":
    main()
