"""The ledger of a search: every attempt at every candidate, in a relational database.

With ``ledger_storage`` the only module that touches Optuna. A row (an Optuna trial) is one attempt at one slot. A
worker claims an attempt by adding its row: rows are numbered by the database, and of several rows for the same slot and
attempt the first counts. So a claim is one atomic write, and nothing has to be locked, released or cleaned up.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from mindgap.core.errors import RunError
from mindgap.core.files import jsonable
from mindgap.search.lease import Lease
from mindgap.search.ledger_address import LedgerAddress
from mindgap.search.ledger_storage import HEARTBEAT_S, create_ledger, open_storage, writing
from mindgap.search.local_disk import refuse_network_disk
from mindgap.search.rungs import Decider, RungPlan
from mindgap.search.slot import Attempt, Ending, Slot, collect

RUNGS = "rungs"  # note: how candidates are promoted
CLOSING = "closing "  # begins notes of where brackets end before they are full

__all__ = ["CLOSING", "HEARTBEAT_S", "RUNGS", "Claim", "Ledger", "LostLeaseError", "create_ledger"]


class LostLeaseError(Exception):
    """The attempt is no longer this worker's: it was given to another while this one was silent."""


@dataclass(frozen=True)
class Claim:
    """An attempt that this process owns.

    Attributes:
        row: of the database.
        slot: number of the candidate.
        attempt: number of the try.
        tokens: the candidate.
        rung: the rung it is to be trained to, from 0.
        first: number of the first try for this rung; earlier ones left what a lower rung found.
    """

    row: int
    slot: int
    attempt: int
    tokens: tuple[int, ...]
    rung: int = 0
    first: int = 1


class Ledger:
    """All attempts of one search. Safe to use from several threads and processes at once.

    Args:
        url: of the database, such as ``sqlite:///run/ledger.db``.
        read_only: writes nothing, so that a search can be looked at by who may only read it.

    Raises:
        RunError: there is no ledger, which ``create_ledger`` makes.
    """

    def __init__(self, url: str, *, read_only: bool = False) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        address = LedgerAddress.parse(url)
        if address.file is not None:
            if not address.file.is_file():
                raise RunError(f"{address.file}: there is no ledger; give the folder of a search that has begun")
            if not read_only:
                refuse_network_disk(address.file.parent)
        self._decide: Decider | None = None
        try:
            self._storage = open_storage(address, read_only=read_only)
            try:
                self._study = optuna.load_study(storage=self._storage, study_name=address.study)
            except BaseException:
                self.close()
                raise
        except (KeyError, optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
            raise RunError(f"{address.shown}: {_why_not_open(error, address)}") from None

    def note(self, key: str, value: object) -> None:
        """Writes a fact about the whole search, replacing an earlier one of that name.

        Raises:
            CapacityError: the ledger cannot be written.
        """
        with writing():
            self._study.set_user_attr(key, jsonable(value))

    def notes(self) -> dict[str, Any]:
        """All facts about the whole search."""
        return dict(self._study.user_attrs)

    def slots(self) -> list[Slot]:
        """Everything that is known, slot by slot."""
        trials = self._study.get_trials(deepcopy=False)
        slots = collect(_attempt(trial) for trial in trials if "slot" in trial.user_attrs)
        notes = self.notes()
        if self._decide is None:
            self._decide = Decider(RungPlan.model_validate(notes.get(RUNGS, {"epochs": [1]})))
        return self._decide(slots, [value for key, value in notes.items() if key.startswith(CLOSING)])

    def close_bracket(self, slot: int) -> None:
        """Notes that no slot from this number on joins the bracket before it, whose decisions then need not wait.

        Raises:
            CapacityError: the ledger cannot be written.
        """
        self.note(f"{CLOSING}{slot}", slot)  # a note of its own: nobody who closes another at the same time undoes it

    def claim(self, slot: int, tokens: tuple[int, ...], *, attempt: int, lease: Lease, rung: int = 0) -> Claim | None:
        """Takes an attempt at a slot, to train it to a rung; None if another worker was first.

        Raises:
            CapacityError: the ledger cannot be written.
        """
        attributes = {"slot": slot, "attempt": attempt, "rung": rung, "tokens": list(tokens)}
        row = self._add(TrialState.RUNNING, attributes | {"lease": lease.model_dump()})
        with writing():
            self._storage.record_heartbeat(row)
        number = self._storage.get_trial(row).number
        mine = next(s for s in self.slots() if s.number == slot).attempts
        if any(other.attempt == attempt and other.number == number for other in mine):
            first = next((other.attempt for other in mine if other.rung == rung), attempt)
            return Claim(row, slot, attempt, tokens, rung, first)
        with writing():
            self._storage.set_trial_state_values(row, TrialState.FAIL)
        return None

    def reject(self, slot: int, tokens: tuple[int, ...], *, result: Mapping[str, Any]) -> None:
        """Records a candidate that is not trained; ``result`` says why.

        Raises:
            CapacityError: the ledger cannot be written.
        """
        attributes = {"slot": slot, "attempt": 1, "tokens": list(tokens)}
        self._add(TrialState.FAIL, attributes | {"result": jsonable({**result, "state": "rejected"})})

    def beat(self, claim: Claim) -> None:
        """Tells others that this worker is alive; a beat that is missed is made up by the next."""
        with suppress(optuna.exceptions.StorageInternalError):
            self._storage.record_heartbeat(claim.row)

    def epoch_done(self, claim: Claim, epoch: int) -> None:
        """Records that an epoch is done; this is the fence that stops a worker left for dead.

        Raises:
            LostLeaseError: the attempt was given to another.
        """
        self._write(claim, "epoch", epoch)

    def complete(self, claim: Claim, *, result: Mapping[str, Any], values: tuple[float, float, float]) -> None:
        """Records what training found; ``values`` are accuracy, unfairness and multiply-accumulates.

        Raises:
            LostLeaseError: the attempt was given to another.
        """
        self._write(claim, "result", jsonable({**result, "state": "complete"}))
        self._close(claim, TrialState.COMPLETE, values)

    def fail(self, claim: Claim, *, result: Mapping[str, Any]) -> None:
        """Records that the candidate cannot be trained; ``result`` says why.

        Raises:
            LostLeaseError: the attempt was given to another.
        """
        self._write(claim, "result", jsonable({**result, "state": "failed"}))
        self._close(claim, TrialState.FAIL)

    def end(self, row: int, ending: Ending, *, detail: str = "") -> None:
        """Ends an attempt without a result, so that another may go on; does nothing if it has ended.

        Raises:
            CapacityError: the ledger cannot be written; the attempt is found lost when its process is gone.
        """
        with suppress(optuna.exceptions.UpdateFinishedTrialError), writing():
            self._storage.set_trial_user_attr(row, "ending", [ending, detail])
            self._storage.set_trial_state_values(row, TrialState.FAIL)

    def end_lost(self) -> None:
        """Ends the attempts of workers that are dead on this host, or silent elsewhere.

        Silence says nothing of a process that this host can see to live: after a night's sleep of the machine all
        heartbeats are old.
        """
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        leases = {trial._trial_id: Lease(**trial.user_attrs["lease"]) for trial in running}  # noqa: SLF001
        if not leases:
            return
        away = {row for row, lease in leases.items() if not lease.is_here()}
        silent = away.intersection(self._storage._get_stale_trial_ids(self._study._study_id)) if away else set()  # noqa: SLF001
        for row, lease in leases.items():
            if row in silent:
                self.end(row, "lost", detail="the worker fell silent")
            elif row not in away and lease.is_dead():
                self.end(row, "lost", detail="the worker's process is gone")

    def end_of_process(self, process: Lease, ending: Ending, *, detail: str) -> None:
        """Ends what a process, known to be dead, was working on; it is known by its host, boot and number."""
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            lease = trial.user_attrs.get("lease")
            if lease and (lease["host"], lease["boot"], lease["pid"]) == (process.host, process.boot, process.pid):
                self.end(trial._trial_id, ending, detail=detail)  # noqa: SLF001

    def close(self) -> None:
        """Gives back the connections."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def _add(self, state: TrialState, attributes: dict[str, Any]) -> int:
        now = datetime.now()
        finished = now if state.is_finished() else None
        template = FrozenTrial(
            number=-1, trial_id=-1, state=state, value=None, datetime_start=now, datetime_complete=finished,
            params={}, distributions={}, user_attrs=attributes, system_attrs={}, intermediate_values={},
        )  # fmt: skip
        with writing():
            return self._storage.create_new_trial(self._study._study_id, template_trial=template)  # noqa: SLF001

    def _write(self, claim: Claim, key: str, value: object) -> None:
        with _fenced(claim):
            self._storage.set_trial_user_attr(claim.row, key, value)

    def _close(self, claim: Claim, state: TrialState, values: tuple[float, ...] | None = None) -> None:
        with _fenced(claim):
            self._storage.set_trial_state_values(claim.row, state, values)


def _why_not_open(error: Exception, address: LedgerAddress) -> str:
    """Why a ledger cannot be opened, and what to do."""
    cause = error.__cause__ or error
    if address.file is None and isinstance(cause, OperationalError):
        reason = str(cause.orig).partition("\n")[0]
        return f"the server cannot be reached ({reason}); check the address and try again"
    if isinstance(error, KeyError) and address.file is None:
        return f"holds no search named {address.study!r}; check the name, study=NAME, or try again in a moment"
    return "holds no search, or none yet; check the path or try again in a moment"


@contextmanager
def _fenced(claim: Claim) -> Generator[None]:
    try:
        with writing():
            yield
    except optuna.exceptions.UpdateFinishedTrialError as error:
        raise LostLeaseError(f"slot {claim.slot}, attempt {claim.attempt}") from error


def _attempt(trial: FrozenTrial) -> Attempt:
    attributes = trial.user_attrs
    finished = trial.state.is_finished()
    result = attributes.get("result") if finished else None
    ending, detail = attributes.get("ending", ("lost", "the worker fell silent"))
    lease = attributes.get("lease")
    start, end = trial.datetime_start, trial.datetime_complete
    return Attempt(
        number=trial.number,
        slot=attributes["slot"],
        attempt=attributes["attempt"],
        tokens=tuple(attributes["tokens"]),
        rung=attributes.get("rung", 0),
        finished=finished,
        lease=Lease(**lease) if lease else None,
        epoch=attributes.get("epoch", 0),
        ending=ending if finished and result is None else None,
        detail=detail if finished and result is None else "",
        result=result,
        seconds=(end - start).total_seconds() if start and end else None,
    )
