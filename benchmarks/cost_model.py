"""How well the time per candidate is predicted, and from what.

    python benchmarks/cost_model.py [--store STORE] [--architectures 12] [--px 64] [--rounds 3] [--steps 10]

Parts of the default space are timed as a search times them before slot 0 (for ten seconds, a sample of the space;
take more on a machine that others use) and the cost model is fitted to them. Then random candidates, others than that
sample, are trained in turns for some steps of 64 images with the modes of that plan, and the fastest round of each is
compared with what was predicted. Besides the cost model: multiply-adds alone, and the typical weights of a machine
whose parts were not timed. The level is the median ratio of the first three candidates, as in a search that has three
results; the first three are not judged. Agreement between two rounds is what no prediction can exceed. All times are
the process's own.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from made_store import BATCH, default_space, make_store
from rounds import arguments, start
from scipy.stats import kendalltau

from mindgap.core.seed import numpy_generator
from mindgap.data.image_store import Store
from mindgap.search.cost_model import CostModel, fit
from mindgap.search.measured import sample_architectures
from mindgap.space.architecture import Architecture
from mindgap.space.cost import count_cost
from mindgap.space.search_space import SearchSpace
from mindgap.train.memory import keep_freed_memory
from mindgap.train.precision import PrecisionPlan, plan_for_architectures
from mindgap.train.settings import TrainSettings
from mindgap.train.training_run import TrainingRun

KNOWN = 3  # candidates that set the level


def random_candidates(space: SearchSpace, *, count: int) -> list[Architecture]:
    """Architectures drawn at random, others than the plan's sample."""
    drawn = []
    for number in range(count):
        generator, episode = numpy_generator("cost model", number), space.start()
        while episode.decision is not None:
            episode.choose(int(generator.choice(episode.mask().nonzero()[0])))
        drawn.append(episode.candidate().architecture)
    return drawn


def training(architecture: Architecture, store: Store, plan: PrecisionPlan, *, steps: int) -> Callable[[], float]:
    """Trains so many steps each time it is called; gives milliseconds per image."""
    run = TrainingRun(
        architecture.build(seed=0),
        store,
        train_rows=store.rows("train")[: BATCH * steps],
        groups=store.groups(store.info.default_attribute),
        settings=TrainSettings(epochs=1000, batch_size=BATCH),
        architecture=architecture,
    )
    run.modes = plan.modes(architecture)
    epochs = iter(range(1000))

    def play() -> float:
        begun = time.process_time()
        run.train_epoch(next(epochs), None)
        return 1e3 * (time.process_time() - begun) / (BATCH * steps)

    return play


def judge(name: str, predicted: list[float], measured: list[float]) -> str:
    """One line on a prediction: its error with the level of the first candidates, and how it ranks."""
    level = statistics.median(m / p for p, m in zip(predicted[:KNOWN], measured[:KNOWN], strict=True))
    errors = sorted(abs(level * p / m - 1) for p, m in zip(predicted[KNOWN:], measured[KNOWN:], strict=True))
    raw = statistics.median(abs(p / m - 1) for p, m in zip(predicted, measured, strict=True))
    tau = kendalltau(predicted, measured).statistic
    return (
        f"{name:<34} median error {statistics.median(errors):.3f}, largest {errors[-1]:.3f} "
        f"(as predicted before the first candidate {raw:.3f}), τ {tau:.2f}"
    )


def main() -> None:
    parser = arguments(__doc__ or "", rounds=3)
    parser.add_argument("--store", type=Path, help="a prepared store; without one, made-up images")
    parser.add_argument("--architectures", type=int, default=12, help="random candidates")
    parser.add_argument("--px", type=int, default=64, help="side of made-up images")
    parser.add_argument("--steps", type=int, default=10, help="steps per round and candidate")
    parser.add_argument("--seconds", type=float, default=10.0, help="for timing parts")
    options = parser.parse_args()
    start(options.threads)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        made = None if options.store else make_store(Path(folder), n=BATCH * options.steps, px=options.px)
        store = made or Store.open(options.store)
        space = default_space(store.size_px)
        begun = time.process_time()
        plan = plan_for_architectures(sample_architectures(space), batch_size=BATCH, seconds=options.seconds)
        model = fit(plan, plan, images_per_epoch=1)
        print(f"{model.timed} of {len(plan.timings)} parts fitted, {time.process_time() - begun:.1f} s of CPU")
        architectures = random_candidates(space, count=options.architectures)
        plays = [training(architecture, store, plan, steps=options.steps) for architecture in architectures]
        rounds = [[play() for play in plays] for _ in range(1 + options.rounds)][1:]
    torch.set_num_threads(1)
    measured = [min(times) for times in zip(*rounds, strict=True)]
    macs = [float(count_cost(architecture).macs) for architecture in architectures]
    fitted = [1e3 * model.image_seconds(architecture) for architecture in architectures]
    print("candidate: M MACs, ms per image predicted, measured in each round")
    for number, (count, guess, *times) in enumerate(zip(macs, fitted, *rounds, strict=True)):
        print(f"  {number:>3} {count / 1e6:7.1f} {guess:7.2f}   {' '.join(f'{value:.2f}' for value in times)}")
    typical = CostModel(images_per_epoch=1)
    print(judge("cost model, timed parts", fitted, measured))
    print(judge("cost model, typical weights", [1e3 * typical.image_seconds(one) for one in architectures], measured))
    print(judge("multiply-adds alone", [count / 1e9 for count in macs], measured))
    print(judge("another round", rounds[0], rounds[-1]))


if __name__ == "__main__":
    main()
