"""Workers as jobs of SLURM, submitted as arrays through submitit.

A job goes on without its driver until nothing is left to do. One that SLURM stops, for its time or for another job,
parks its candidate first, and the driver submits another; the ledger says where the candidate goes on.
"""

from __future__ import annotations

import importlib.util
import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from mindgap.core.errors import CapacityError, ConfigError, MindgapError
from mindgap.core.files import read_json, write_json
from mindgap.search.placement import PLACEMENTS, AbstractPlacement, Assignment, PlacementOptions, WorkerEnd
from mindgap.search.placements.local import workers_per_gpu
from mindgap.search.worker_process import ONE_THREAD

POLL_S = 1.0
JOBS_FILE = "jobs.json"


class SlurmOptions(PlacementOptions):
    """Options of SLURM jobs.

    Attributes:
        cluster: ``slurm``, or ``local`` for the same jobs as processes of this machine, to try them out.
        minutes: time limit of a job; longer searches take several, one after the other.
        memory_gb: of a worker.
        cpus_per_worker: processors that a job asks for, per worker; a worker computes with one thread.
        partition: where jobs wait.
        account: who pays.
        qos: quality of service.
        constraint: features that nodes must have.
        setup: shell lines before the worker, such as ``module load python``.
        extra: more options of sbatch, by their long names.
    """

    cluster: Literal["slurm", "local"] = "slurm"
    minutes: int = Field(default=240, ge=1)
    memory_gb: float = Field(default=4.0, gt=0)
    cpus_per_worker: int = Field(default=1, ge=1)
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    setup: tuple[str, ...] = ()
    extra: dict[str, str | int | float | bool] = Field(default_factory=dict)


@dataclass(frozen=True)
class _Placed:
    """A job and the numbers of its workers, which share one GPU if there are several."""

    job: Any
    numbers: tuple[int, ...]


@PLACEMENTS.register("slurm")
class SlurmPlacement(AbstractPlacement[SlurmOptions]):
    """Jobs of SLURM, as arrays; they go on without the driver."""

    Options: ClassVar[type[PlacementOptions]] = SlurmOptions

    def __init__(self, options: SlurmOptions, *, address: str | None = None) -> None:
        super().__init__(options, address=address)
        self._placed: list[_Placed] = []
        self._folder: Path | None = None

    def check(self, *, workers: int, on_one_host: bool) -> None:
        """Refuses what SLURM cannot do.

        Raises:
            ConfigError: submitit or SLURM is missing, or the ledger has to be on a server.
        """
        del workers
        if importlib.util.find_spec("submitit") is None:
            raise ConfigError("placement slurm needs submitit, which is not installed; pip install 'mindgap[slurm]'")
        if self.options.cluster == "local":
            return
        if on_one_host:
            raise ConfigError(
                "placement slurm runs on other machines, which cannot open the ledger's file; put the ledger on a "
                "server, --study postgresql+psycopg://HOST/DATABASE"
            )
        missing = [name for name in ("sbatch", "srun") if shutil.which(name) is None]
        if missing:
            raise ConfigError(f"placement slurm needs {missing[0]}, which is not on the path; run it where SLURM is")

    def start(self, assignment: Assignment, numbers: Sequence[int]) -> None:
        """Submits jobs, those of one size as an array; jobs of an earlier driver that still run count."""
        if self._folder is None:
            self._folder = assignment.run / "workers" / "slurm"
            self._adopt()
        taken = self.running
        per_job = 1 if self.options.gpus_per_worker is None else workers_per_gpu(self.options.gpus_per_worker)
        free = sorted(number for number in numbers if number not in taken)
        groups = [tuple(free[at : at + per_job]) for at in range(0, len(free), per_job)]
        for size, alike in itertools.groupby(groups, key=len):
            self._submit(assignment, list(alike), folder=self._folder, size=size)
        self._remember()

    @property
    def running(self) -> frozenset[int]:
        """Numbers of the workers whose jobs wait or run."""
        return frozenset(number for placed in self._placed if not placed.job.done() for number in placed.numbers)

    def ended(self) -> list[WorkerEnd]:
        """The workers whose jobs have ended."""
        over = [placed for placed in self._placed if placed.job.done()]
        self._placed = [placed for placed in self._placed if placed not in over]
        return [end for placed in over for end in _ends(placed)]

    def wait(self, seconds: float) -> None:
        """Looks every second whether a job has written its result; submitit asks SLURM itself more rarely."""
        until, before = time.monotonic() + seconds, self.running
        while time.monotonic() < until and self.running == before:
            time.sleep(POLL_S)

    def drain(self) -> None:
        """Takes back the jobs that wait, has the others park, and waits."""
        if self.options.cluster == "slurm":
            self._scancel("--state=PENDING")
            self._scancel("--signal=TERM")
        else:
            for placed in self._placed:
                placed.job._process.send_signal(signal.SIGTERM)  # noqa: SLF001  (submitit's own cancel is Ctrl-C)
        while not all(placed.job.done(force_check=True) for placed in self._placed):
            time.sleep(POLL_S)

    def stop(self) -> list[WorkerEnd]:
        """Cancels all jobs."""
        ends = self.ended()
        if self.options.cluster == "slurm":
            self._scancel()
        else:
            for placed in self._placed:
                placed.job.cancel()
        self._placed.clear()
        if self._folder is not None:
            self._remember()
        self._folder = None
        return ends

    def _submit(self, assignment: Assignment, groups: list[tuple[int, ...]], *, folder: Path, size: int) -> None:
        import submitit
        from submitit.core.utils import FailedJobError

        quiet = replace(assignment, environment={})  # what is submitted is written to files
        try:
            with _environment(ONE_THREAD | dict(assignment.environment)):
                executor = submitit.AutoExecutor(folder=folder, cluster=self.options.cluster)
                executor.update_parameters(**self._parameters(size))
                jobs = executor.map_array(run_job, [quiet] * len(groups), [group[0] for group in groups])
        except (subprocess.CalledProcessError, FailedJobError, OSError) as error:
            reason = " ".join(str(error).split())[:300]
            raise CapacityError(f"SLURM does not take the jobs ({reason}); see placement_options") from None
        self._placed += [_Placed(job, numbers) for job, numbers in zip(jobs, groups, strict=True)]

    def _parameters(self, size: int) -> dict[str, Any]:
        """What submitit is told of a job with so many workers."""
        options = self.options
        shared: dict[str, Any] = {
            "name": "mindgap",
            "timeout_min": options.minutes,
            "mem_gb": options.memory_gb * size,
            "cpus_per_task": options.cpus_per_worker,
            "tasks_per_node": size,
            "gpus_per_node": int(options.gpus_per_worker is not None),
            "slurm_array_parallelism": 1000,
            "slurm_signal_delay_s": 120,
        }
        if options.cluster == "local":
            return {key: value for key, value in shared.items() if not key.startswith("slurm_")}
        exports = [f"export {name}={value}" for name, value in ONE_THREAD.items()]
        own = {name: getattr(options, name) for name in ("partition", "account", "qos", "constraint")}
        shared |= {f"slurm_{name}": value for name, value in own.items() if value is not None}
        return shared | {
            "slurm_setup": [*exports, *options.setup],
            "slurm_additional_parameters": dict(options.extra),
        }

    def _scancel(self, *options: str) -> None:
        ids = [placed.job.job_id for placed in self._placed if not placed.job.done()]
        if ids:
            subprocess.run(["scancel", *options, *ids], check=False, capture_output=True)

    def _remember(self) -> None:
        if self._folder is not None:
            write_json(self._folder / JOBS_FILE, {placed.job.job_id: placed.numbers for placed in self._placed})

    def _adopt(self) -> None:
        """Takes over the jobs of a driver that was killed."""
        if self._folder is None or self.options.cluster == "local" or not (self._folder / JOBS_FILE).exists():
            return
        import submitit

        for job_id, numbers in read_json(self._folder / JOBS_FILE).items():
            job = submitit.SlurmJob(self._folder, job_id, tasks=list(range(len(numbers))))
            if not job.done(force_check=True):
                self._placed.append(_Placed(job, tuple(numbers)))


def run_job(assignment: Assignment, first: int) -> tuple[int, str]:
    """What a job runs: the worker's loop, in the process that SLURM's signals reach.

    Returns:
        Exit status, and the line that explains it.
    """
    del first
    from mindgap.search.worker import work

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    try:
        work(assignment.run, url=assignment.study)
    except MindgapError as error:
        return 2, f"error: {error}"
    return 0, ""


def _ends(placed: _Placed) -> list[WorkerEnd]:
    from submitit.core.utils import FailedJobError, UncompletedJobError

    log_file = str(placed.job.paths.stdout)
    try:
        results = placed.job.results()
    except (FailedJobError, UncompletedJobError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        results = [(1, lines[-1].strip() if lines else "its job ended without a result")] * len(placed.numbers)
    return [
        WorkerEnd(number, status, line, log_file)
        for number, (status, line) in zip(placed.numbers, results, strict=True)
    ]


@contextmanager
def _environment(values: dict[str, str]) -> Generator[None]:
    """Adds to this process's environment while the block lasts; jobs begin with it."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
