"""Placement: where workers run. The ledger owns every trial; a placement only starts, watches and stops workers.

A new one is one file in ``placements`` with one decorator. It needs to keep nothing: workers that are lost with it are
found out by the ledger, and whatever they had in work goes on elsewhere.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import Field

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError
from mindgap.core.registry import Registry
from mindgap.search.lease import Lease

PLACEMENTS: Registry[type[AbstractPlacement[Any]]] = Registry("placements", package="mindgap.search.placements")
_SPELLING = re.compile(r"^(?P<name>[a-z_]+)(://(?P<address>\S+))?$")


class PlacementOptions(StrictModel):
    """Options of every placement, the table ``placement_options``.

    Attributes:
        gpus_per_worker: share of one GPU that a worker takes; several workers share one. None is no GPU where GPUs are
            handed out, and an even spread over those of this machine.
    """

    gpus_per_worker: float | None = Field(default=None, gt=0, le=1)


OptionsT = TypeVar("OptionsT", bound=PlacementOptions)


@dataclass(frozen=True)
class Assignment:
    """What every worker of a search is told.

    Attributes:
        run: folder of the search, as the driver sees it.
        study: address of the ledger, without a password; None is the file in ``run``.
        environment: what the worker's process needs besides its own, such as a password; never written anywhere.
    """

    run: Path
    study: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def arguments(self) -> list[str]:
        """Of ``python -m mindgap.search.worker``."""
        return [str(self.run), *(["--study", self.study] if self.study else [])]


@dataclass(frozen=True)
class WorkerEnd:
    """How a worker ended.

    Attributes:
        number: of the worker.
        status: exit status of its process; of a signal, its negative number.
        last_line: of its log.
        log: where to read more.
        process: its process; None if it is not known, and what it had in work is then found lost by the ledger.
    """

    number: int
    status: int
    last_line: str
    log: str
    process: Lease | None = None


class AbstractPlacement(ABC, Generic[OptionsT]):
    """Starts, watches and stops workers, numbered from 0.

    Attributes:
        Options: its options.
        address: what follows ``://``; None if nothing does.
        options: as given.
    """

    Options: ClassVar[type[PlacementOptions]] = PlacementOptions
    takes_address: ClassVar[bool] = False

    def __init__(self, options: OptionsT, *, address: str | None = None) -> None:
        self.options = options
        self.address = address

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def check(self, *, workers: int, on_one_host: bool) -> None:
        """Refuses what cannot work, before anything of a run is written.

        Args:
            workers: how many will be started.
            on_one_host: whether the ledger is a file, which only processes of this machine may open.

        Raises:
            MindgapError: something is missing or does not fit.
        """

    @abstractmethod
    def start(self, assignment: Assignment, numbers: Sequence[int]) -> None:
        """Starts workers under these numbers, none of which runs.

        Raises:
            MindgapError: it cannot.
        """

    @property
    @abstractmethod
    def running(self) -> frozenset[int]:
        """Numbers of the workers not known to have ended, those that wait for a place included."""

    @abstractmethod
    def ended(self) -> list[WorkerEnd]:
        """The workers that have ended since this was last asked; their numbers are free."""

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Returns after that time, or earlier when a worker ends."""

    @abstractmethod
    def drain(self) -> None:
        """Tells all workers to stop at the end of their epoch, and waits for them."""

    @abstractmethod
    def stop(self) -> list[WorkerEnd]:
        """Stops all workers at once; returns those that are now known to have ended."""

    def close(self) -> None:
        """Gives back what it holds apart from workers."""


def make_placement(spelled: str, options: Mapping[str, Any]) -> AbstractPlacement[Any]:
    """The placement of that spelling, ``NAME`` or ``NAME://ADDRESS``.

    Raises:
        ConfigError: the spelling or an option is wrong.
        UnknownNameError: there is no such placement.
    """
    found = _SPELLING.match(spelled)
    if found is None:
        raise ConfigError(f"placement is {spelled!r}; give local, ray, ray://auto, ray://HOST:PORT or slurm")
    kind, address = PLACEMENTS.get(found["name"]), found["address"]
    if address is not None and not kind.takes_address:
        raise ConfigError(f"placement is {spelled!r}; {found['name']} takes no address")
    return kind(parse(kind.Options, options, source="placement_options"), address=address)
