"""Workers as processes of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from mindgap.core.errors import CapacityError
from mindgap.search.placement import PLACEMENTS, AbstractPlacement, Assignment, PlacementOptions, WorkerEnd
from mindgap.search.worker_process import WorkerProcess, start_worker

POLL_S = 0.1
VISIBLE = "CUDA_VISIBLE_DEVICES"


@PLACEMENTS.register("local")
class LocalPlacement(AbstractPlacement[PlacementOptions]):
    """Processes of this machine, one thread each; they end when the driver does."""

    def __init__(self, options: PlacementOptions, *, address: str | None = None) -> None:
        super().__init__(options, address=address)
        self._processes: dict[int, WorkerProcess] = {}
        self._gpus: tuple[str, ...] = ()
        self._share = 0.0

    def check(self, *, workers: int, on_one_host: bool) -> None:
        """Shares out this machine's GPUs.

        Raises:
            CapacityError: there are too few.
        """
        del on_one_host
        self._gpus = visible_gpus()
        asked = self.options.gpus_per_worker
        refuse_too_few(self._gpus, workers=workers, share=asked, remedy="take fewer workers or a smaller share")
        self._share = asked or len(self._gpus) / workers

    def start(self, assignment: Assignment, numbers: Sequence[int]) -> None:
        """Starts processes."""
        for number in numbers:
            own = {VISIBLE: gpu_of(number, self._share, self._gpus)} if self._gpus else {}
            self._processes[number] = start_worker(assignment, number, environment=own)

    @property
    def running(self) -> frozenset[int]:
        """Numbers of the processes that live."""
        return frozenset(number for number, worker in self._processes.items() if worker.is_alive)

    def ended(self) -> list[WorkerEnd]:
        """The processes that have ended."""
        gone = [number for number, worker in self._processes.items() if not worker.is_alive]
        return [self._processes.pop(number).end() for number in gone]

    def wait(self, seconds: float) -> None:
        """Looks at the processes every tenth of a second, which costs nothing."""
        until, before = time.monotonic() + seconds, self.running
        while time.monotonic() < until and self.running == before:
            time.sleep(POLL_S)

    def drain(self) -> None:
        """Sends SIGTERM and waits."""
        for worker in self._processes.values():
            worker.process.terminate()
        for worker in self._processes.values():
            worker.process.wait()

    def stop(self) -> list[WorkerEnd]:
        """Kills what still lives."""
        for worker in self._processes.values():
            if worker.is_alive:
                worker.process.kill()
        ends = [worker.end() for worker in self._processes.values()]
        self._processes.clear()
        return ends


def visible_gpus() -> tuple[str, ...]:
    """Names of the GPUs that workers may use, as ``CUDA_VISIBLE_DEVICES`` takes them."""
    listed = os.environ.get(VISIBLE)
    if listed is not None:
        return tuple(name.strip() for name in listed.split(",") if name.strip() not in {"", "-1"})
    import torch

    return tuple(str(number) for number in range(torch.cuda.device_count()))


def gpu_of(number: int, share: float, gpus: Sequence[str]) -> str:
    """The GPU of a worker: those with the lowest numbers share the first, until it is full.

    Example:
        >>> [gpu_of(number, 0.5, ["0", "1"]) for number in range(4)]
        ['0', '0', '1', '1']
    """
    return gpus[number // workers_per_gpu(share) % len(gpus)]


def refuse_too_few(gpus: Sequence[str], *, workers: int, share: float | None, remedy: str) -> None:
    """Checks that this machine has the GPUs that workers ask for.

    Args:
        gpus: from ``visible_gpus``.
        workers: that are to run at once.
        share: of a GPU that each takes; None asks for none.
        remedy: what the user may do.

    Raises:
        CapacityError: there are too few, or none.
    """
    if share is None or workers <= len(gpus) * workers_per_gpu(share):
        return
    if not gpus:
        raise CapacityError(f"gpus_per_worker is {share:g}, and this machine has no GPU that can be seen; leave it out")
    plural = "s" * (len(gpus) > 1)
    raise CapacityError(
        f"{workers} workers with gpus_per_worker {share:g} do not fit the {len(gpus)} GPU{plural} of this machine; "
        f"{remedy}"
    )


def workers_per_gpu(share: float) -> int:
    """How many workers with this share of a GPU fit on one."""
    return max(1, int(1 / share + 1e-9))
