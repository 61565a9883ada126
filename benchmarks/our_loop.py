"""Our training loop over slices of a store, in this process or in several that start each round together."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from conv_peak import clock_of
from made_store import Slices, network_of
from rounds import our_allocator

from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture
from mindgap.train.precision import make_plan
from mindgap.train.settings import TrainSettings
from mindgap.train.training_run import TrainingRun


class OurLoop:
    """One training run whose rounds go on where the last one ended."""

    def __init__(
        self,
        store: Store,
        architecture: Architecture,
        *,
        steps: int,
        device: str = "cpu",
        kind: type[TrainingRun] = TrainingRun,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        our_allocator()
        slices = Slices(store, steps=steps)
        batch = slices.epoch(0).shape[1]
        self.run = kind(
            architecture.build(seed=0),
            store,
            train_rows=np.arange(store.n),
            groups=store.groups("sex"),
            settings=TrainSettings(epochs=100_000, batch_size=batch, device="cuda" if device == "cuda" else "cpu"),
            architecture=architecture,
        )
        self.run.plan = slices
        self.run.modes = make_plan("auto", architecture, batch_size=batch, device=device).modes(architecture)
        self.now = clock_of(torch.device(device), now)

    def round(self) -> float:
        """Images per second over a slice of batches."""
        begin = self.now()
        self.run.train_epoch(len(self.run.history), None)
        return self.run.history[-1].images / (self.now() - begin)


class Together:
    """Processes that each train one network of a kind; a round is timed from its start to the last one's end."""

    def __init__(
        self, count: int, store: Path, kind: str, *, steps: int, device: str, threads: int, graphed: bool = False
    ) -> None:
        context = get_context("spawn")
        self._processes, self._pipes = [], []
        for _ in range(count):
            ours, theirs = context.Pipe()
            options = (theirs, store, kind, steps, device, threads, graphed)
            process = context.Process(target=_serve, args=options, daemon=True)
            process.start()
            self._processes.append(process)
            self._pipes.append(ours)
        self._answers()  # each says when it is ready

    def round(self) -> float:
        """Images per second of all together."""
        begin = time.perf_counter()
        for pipe in self._pipes:
            pipe.send("round")
        return sum(self._answers()) / (time.perf_counter() - begin)

    def close(self) -> None:
        """Ends the processes."""
        for pipe in self._pipes:
            pipe.send("end")
        for process in self._processes:
            process.join()

    def _answers(self) -> list[int]:
        return [pipe.recv() for pipe in self._pipes]


def _serve(pipe: object, store: Path, kind: str, steps: int, device: str, threads: int, graphed: bool) -> None:  # noqa: FBT001
    from gpu_graph import GraphedRun

    torch.set_num_threads(threads)
    opened = Store.open(store)
    architecture = network_of(kind, px=opened.info.size_px)
    run = GraphedRun if graphed else TrainingRun
    loop = OurLoop(opened, architecture, steps=steps, device=device, kind=run)
    loop.round()
    pipe.send(0)
    while pipe.recv() == "round":
        loop.round()
        pipe.send(loop.run.history[-1].images)
