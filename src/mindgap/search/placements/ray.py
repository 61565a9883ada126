"""Workers on a Ray cluster, which places them and says when one is gone; it owns no trial."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import socket
import threading
import time
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

from mindgap.core.errors import CapacityError, ConfigError, MindgapError
from mindgap.search.placement import PLACEMENTS, AbstractPlacement, Assignment, PlacementOptions, WorkerEnd
from mindgap.search.placements.local import refuse_too_few, visible_gpus
from mindgap.search.worker_process import WorkerProcess, start_worker

CLIENT = "ray://"
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS": "0"}  # nothing is sent anywhere
STORE_BYTES = 80 * 2**20  # of objects; nothing but records of a few hundred bytes goes through it
CONNECT_S = 10.0
log = logging.getLogger(__name__)


class HostedWorker:
    """The Ray actor: a worker process beside it, which ends when the actor or its driver does.

    The process is the same as on one machine, so its environment is set before its allocator and its threads begin.
    """

    def __init__(self, assignment: Assignment, number: int) -> None:
        self._assignment, self._number = assignment, number
        self._worker: WorkerProcess | None = None
        self._lock = threading.Lock()
        self._parked = False

    def run(self) -> WorkerEnd:
        """Runs the process to its end."""
        try:
            with self._lock:
                if self._parked:
                    return WorkerEnd(self._number, 0, "", "")
                self._worker = start_worker(self._assignment, self._number)
        except MindgapError as error:
            return WorkerEnd(self._number, 2, f"error: {error}", "")
        return self._worker.end()

    def park(self) -> None:
        """Asks the process to stop at the end of its epoch."""
        with self._lock:
            self._parked = True
            if self._worker is not None:
                self._worker.process.terminate()


@PLACEMENTS.register("ray")
class RayPlacement(AbstractPlacement[PlacementOptions]):
    """Actors of a Ray cluster: this machine's own for the time of the search, or one that is there."""

    takes_address: ClassVar[bool] = True

    def __init__(self, options: PlacementOptions, *, address: str | None = None) -> None:
        super().__init__(options, address=address)
        self._hosted: dict[Any, tuple[int, Any, str]] = {}
        self._workers = 1
        self._is_ours = False

    def check(self, *, workers: int, on_one_host: bool) -> None:
        """Refuses more than this machine has, and a file as the ledger of several machines.

        Raises:
            ConfigError: Ray is not installed, or the ledger has to be on a server.
            CapacityError: there are too few GPUs, or no cluster at the address.
        """
        if importlib.util.find_spec("ray") is None:
            raise ConfigError("placement ray needs Ray, which is not installed; pip install 'mindgap[cluster]'")
        if self.address not in {None, "auto"} and importlib.util.find_spec("grpc") is None:
            raise ConfigError(
                f"placement {CLIENT}{self.address} needs grpcio, which is not installed; pip install "
                "'mindgap[cluster]', or run the command on a machine of the cluster with ray://auto"
            )
        self._workers, asked = workers, self.options.gpus_per_worker
        if self.address is None:
            remedy = "take fewer workers, a smaller share, or a cluster, ray://HOST:PORT"
            refuse_too_few(visible_gpus(), workers=workers, share=asked, remedy=remedy)
        elif on_one_host:
            self._refuse_other_hosts()

    def start(self, assignment: Assignment, numbers: Sequence[int]) -> None:
        """Asks the cluster for actors; those it has no room for wait."""
        with _quiet():
            ray = self._connected()
            kind = ray.remote(HostedWorker).options(
                num_cpus=1, num_gpus=self.options.gpus_per_worker or 0, max_restarts=0, max_concurrency=2
            )
            for number in numbers:
                actor = kind.remote(assignment, number)
                log_file = str(assignment.run / "workers" / f"{number}.log")
                self._hosted[actor.run.remote()] = (number, actor, log_file)

    @property
    def running(self) -> frozenset[int]:
        """Numbers of the actors that live or wait for a place."""
        return frozenset(self._hosted[ref][0] for ref in self._sorted()[1])

    def ended(self) -> list[WorkerEnd]:
        """The actors whose process has ended, or that are gone themselves."""
        return [self._end_of(ref) for ref in self._sorted()[0]]

    def wait(self, seconds: float) -> None:
        """Waits for the next actor to end."""
        _, living = self._sorted()
        if not living:
            time.sleep(seconds)
            return
        import ray

        ray.wait(living, num_returns=1, timeout=seconds)

    def drain(self) -> None:
        """Parks what is in work, and waits."""
        _, living = self._sorted()
        if living:
            import ray

            for ref in living:
                self._hosted[ref][1].park.remote()
            ray.wait(living, num_returns=len(living), timeout=None)

    def stop(self) -> list[WorkerEnd]:
        """Kills the actors; their processes see it, give back what they have in work, and end."""
        if not self._hosted:
            return []
        import ray
        from ray.exceptions import RayError

        ends = self.ended()
        for _, actor, _ in self._hosted.values():
            with suppress(RayError):
                ray.kill(actor)
        self._hosted.clear()
        return ends

    def close(self) -> None:
        """Leaves the cluster; ends one that is this call's own."""
        if self._is_ours:
            import ray

            with _quiet():
                ray.shutdown()
            self._is_ours = False

    def _sorted(self) -> tuple[list[Any], list[Any]]:
        """Those that have ended, and the others."""
        if not self._hosted:
            return [], []
        import ray

        refs = list(self._hosted)
        return ray.wait(refs, num_returns=len(refs), timeout=0)

    def _end_of(self, ref: Any) -> WorkerEnd:
        import ray
        from ray.exceptions import RayError

        number, _, log_file = self._hosted.pop(ref)
        try:
            return ray.get(ref)
        except RayError as error:  # the ledger finds what it had in work
            reason = " ".join(str(error).split())[:300]
            return WorkerEnd(number, -signal.SIGKILL, f"its Ray worker is gone: {reason}", log_file)

    def _connected(self) -> Any:
        os.environ.update(QUIET)
        if self.address not in {None, "auto"}:
            show_token()
        import ray  # which reads the environment now

        if ray.is_initialized():
            return ray
        settings: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "namespace": "mindgap"}
        try:
            if self.address is None:
                own = {"num_cpus": self._workers, "include_dashboard": False, "object_store_memory": STORE_BYTES}
                ray.init(address="local", **own, **settings)
            else:
                _knock(os.environ.get("RAY_ADDRESS") if self.address == "auto" else self.address)
                ray.init(address="auto" if self.address == "auto" else CLIENT + self.address, **settings)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            place = "a cluster on this machine" if self.address is None else f"the cluster {CLIENT}{self.address}"
            raise CapacityError(
                f"{place}: Ray cannot be reached ({reason}); check the address, Ray's log and, if the cluster asks for "
                "one, the token in RAY_AUTH_TOKEN"
            ) from None
        self._is_ours = True
        return ray

    def _refuse_other_hosts(self) -> None:
        with _quiet():
            nodes = [node for node in self._connected().nodes() if node["Alive"]]
        others = [node["NodeManagerHostname"] for node in nodes if node["NodeManagerHostname"] != socket.gethostname()]
        if others:
            raise ConfigError(
                f"the cluster {CLIENT}{self.address} has other machines ({others[0]}), which cannot open the ledger's "
                "file; put the ledger on a server, --study postgresql+psycopg://HOST/DATABASE"
            )


def _knock(address: str | None) -> None:
    """Sees whether somebody listens at HOST:PORT; Ray itself would wait for minutes.

    Raises:
        OSError: nobody does.
    """
    host, colon, port = (address or "").removeprefix(CLIENT).rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()


def show_token() -> None:
    """Has Ray's client send the token that this user has; unlike Ray itself it does not unless it is told to."""
    named = any(os.environ.get(name) for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if named or (Path.home() / ".ray" / "auth_token").is_file():
        os.environ.setdefault("RAY_AUTH_MODE", "token")


@contextmanager
def _quiet() -> Generator[None]:
    """Ray warns of its own plans, which no user of a search can do anything about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
