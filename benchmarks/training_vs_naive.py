"""P1: the training loop against the better naive loop, 128 px, batches of 64; target 3× (geometric mean).

    python benchmarks/training_vs_naive.py [--rounds 3] [--steps 6] [--choosing 2] [--threads 1]

The naive loop (``naive_loop.py``) is a DataLoader over JPEG files already of the right size, changes of the same kinds
and strengths made by Pillow and numpy, the same batches, float32 and a fused AdamW. Its settings (0, 1 or 2 workers;
NCHW or channels_last) first take turns for some rounds after a warm-up; the fastest of all and the fastest without
workers, by their medians, then take turns with ours in new rounds. They run with the system's allocator settings, and
the fastest once more with those that our loop sets.

Cores: our loop computes on ``--threads`` threads and on nothing else; the naive one on as many, plus one process per
worker on further cores. With every core training its own network, as a search does, it is the ratio without workers
that counts.

A round starts with no batch prefetched and ends with none left, so all of its batches are made in its time. Workers are
started in the warm-up and stay. With ``--clock cpu`` there are none, as this process does not see their time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from made_store import BATCH, Slices, make_store, network_of, write_jpegs
from naive_loop import JpegImages, NaiveLoop
from rounds import arguments, clock, geometric_mean, our_allocator, ratio, show, start, take_turns

from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture
from mindgap.train.precision import make_plan
from mindgap.train.settings import TrainSettings
from mindgap.train.training_run import TrainingRun

PX, IMAGES = 128, 4096
TARGET = 3.0
OURS, WITHOUT, BEST, SAME = "mindgap", "naive, best without workers", "naive, best of all", "naive, our allocator"


def ours(store: Store, architecture: Architecture, *, steps: int, now: Callable[[], float]) -> Callable[[], float]:
    """Images per second of our loop over a slice of batches."""
    run = TrainingRun(
        architecture.build(seed=0),
        store,
        train_rows=np.arange(store.n),
        groups=store.groups("sex"),
        settings=TrainSettings(epochs=1000, batch_size=BATCH, device="cpu"),
        architecture=architecture,
    )
    run.plan = Slices(store, steps=steps)
    our_allocator()
    run.modes = make_plan("auto", architecture, batch_size=BATCH).modes(architecture)
    print(f"  our modes: {', '.join(run.modes)}")

    def play() -> float:
        our_allocator()
        begin = now()
        run.train_epoch(len(run.history), None)
        return run.history[-1].images / (now() - begin)

    return play


def naive_loops(
    store: Store, paths: list[Path], architecture: Architecture, *, steps: int, now: Callable[[], float]
) -> dict[str, NaiveLoop]:
    """The naive loop in all its settings."""
    loops: dict[str, NaiveLoop] = {}
    for workers in (0,) if now is time.process_time else (0, 1, 2):
        for last in (False, True):
            data = JpegImages(paths, store.labels, architecture, last=last)
            name = f"{workers} workers, {'channels_last' if last else 'NCHW'}"
            loops[name] = NaiveLoop(data, Slices(store, steps=steps), architecture, workers=workers, now=now)
    return loops


def contestants(loops: dict[str, NaiveLoop], *, rounds: int) -> dict[str, Callable[[], float]]:
    """The naive loop without workers and in the fastest of all its settings, by the medians of some rounds."""
    rates = take_turns({name: loop.round for name, loop in loops.items()}, rounds=rounds)
    show("  settings of the naive loop", rates, unit="images/s")
    order = sorted(rates, key=lambda name: -statistics.median(rates[name]))
    best, without = order[0], next(name for name in order if name.startswith("0"))
    print(f"  best of all: {best}; best without workers: {without}")
    chosen = {WITHOUT: loops[without].round, BEST: loops[best].round, SAME: loops[best].round_with_our_allocator}
    if best == without:
        del chosen[BEST]
    return chosen


def main() -> None:
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--steps", type=int, default=6, help="steps per round")
    parser.add_argument("--choosing", type=int, default=2, help="rounds by which the naive loop's settings are chosen")
    options = parser.parse_args()
    start(options.threads)
    now = clock(options.clock)
    ratios: dict[str, list[float]] = {WITHOUT: [], BEST: [], SAME: []}
    with tempfile.TemporaryDirectory() as place:
        store = make_store(Path(place), n=IMAGES, px=PX)
        paths = write_jpegs(store, Path(place))
        for kind in ("cb", "mb", "rb"):
            architecture = network_of(kind, px=PX)
            print(f"{kind.upper()}, {PX} px, batches of {BATCH}")
            loops = naive_loops(store, paths, architecture, steps=options.steps, now=now)
            players = contestants(loops, rounds=options.choosing)
            players[OURS] = ours(store, architecture, steps=options.steps, now=now)
            figures = take_turns(players, rounds=options.rounds)
            show(f"{kind.upper()} rounds", figures, unit="images/s")
            for name, values in ratios.items():
                values.append(ratio(figures[OURS], figures.get(name, figures[WITHOUT])))
                print(f"  {values[-1]:.2f}× {name}")
    for name, values in ratios.items():
        mean = geometric_mean(values)
        print(f"P1 over {name}: {' / '.join(f'{value:.2f}' for value in values)}, geometric mean {mean:.2f}")
    print(f"P1: {geometric_mean(ratios[BEST]):.2f} (target {TARGET})")


if __name__ == "__main__":
    main()
