"""The ledger of a search: every attempt at every candidate, in a relational database.

Its tables are Optuna's, so that Optuna's tools can show them; with ``ledger_storage``, ``ledger_rows`` and
``ledger_reader`` the only module that knows. A row (an Optuna trial) is one attempt at one slot. A worker claims an
attempt by adding its row, in a transaction that nobody else can add one in, and writes to it only while it has not
ended. So a claim or a result is one atomic write, and nothing has to be released or cleaned up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Connection

from mindgap.core.errors import CapacityError
from mindgap.core.files import jsonable
from mindgap.search import ledger_rows as rows
from mindgap.search.claim import Claim, Instead, LostLeaseError, Wanted
from mindgap.search.decider import Decider
from mindgap.search.lease import Lease, SilenceWatch
from mindgap.search.ledger_adder import AttemptAdder
from mindgap.search.ledger_address import LedgerAddress
from mindgap.search.ledger_reader import LedgerReader, result_attributes
from mindgap.search.ledger_retry import PATIENCE_S
from mindgap.search.ledger_storage import LedgerDatabase, create_ledger, find_search
from mindgap.search.rungs import RungPlan
from mindgap.search.slot import Ending, Slot

RUNGS = "rungs"  # note: how candidates are promoted
CLOSING = "closing "  # begins notes of where brackets end before they are full
GRACE = "grace_s"  # note: after so long a silence a worker is given up
GRACE_S = 60.0
BEATS_PER_GRACE = 4
LOOK_S = 5.0  # heartbeats of other hosts are read no more often

__all__ = ["CLOSING", "GRACE", "RUNGS", "Claim", "Ledger", "LostLeaseError", "Wanted", "create_ledger"]


class Ledger:
    """All attempts of one search. Safe to use from several threads and processes at once.

    While a database server is away, reading and writing wait for it; ``CapacityError`` comes when it stays away.

    Args:
        url: of the database, ``sqlite:///run/ledger.db`` or ``postgresql+psycopg://host/database?study=name``.
        read_only: writes nothing, so that a search can be looked at by who may only read it.
        grace_s: silence after which a worker is given up; None is what the search has noted, or a minute.
        patience_s: how long the database may be away.

    Raises:
        RunError: there is no ledger, which ``create_ledger`` makes, or it lies on a network file system.
        ConfigError: the address is of no kind of ledger.
    """

    def __init__(
        self, url: str, *, read_only: bool = False, grace_s: float | None = None, patience_s: float = PATIENCE_S
    ) -> None:
        self._lock = threading.RLock()
        self._decide: Decider | None = None
        self._watch = SilenceWatch(grace_s or GRACE_S)  # of no use yet, but a server that is away asks for it
        address = LedgerAddress.parse(url)
        self._database = LedgerDatabase(address, read_only=read_only, patience_s=patience_s, on_trouble=self._forget)
        self._study = find_search(self._database)
        self._reader = LedgerReader(self._study)
        self._adder = AttemptAdder(self._database, self._reader, see=self._see)
        self.grace_s = float(grace_s or self.noted(GRACE) or GRACE_S)
        self.heartbeat_s = self.grace_s / BEATS_PER_GRACE
        self._watch = SilenceWatch(self.grace_s)
        self._looked = -self.grace_s

    def note(self, key: str, value: object) -> None:
        """Writes a fact about the whole search, replacing an earlier one of that name.

        Raises:
            CapacityError: the ledger cannot be written.
        """
        plain = jsonable(value)
        self._database.writing(lambda connection: rows.put_note(connection, self._study, key, plain))

    def notes(self) -> dict[str, Any]:
        """All facts about the whole search."""
        return self._database.reading(lambda connection: rows.notes(connection, self._study))

    def noted(self, key: str) -> Any:
        """One fact about the whole search; None without it."""
        return self._database.reading(lambda connection: rows.note(connection, self._study, key))

    def slots(self, *, whole: bool = False) -> list[Slot]:
        """Everything that is known, slot by slot.

        Args:
            whole: the results with their architectures too, which takes longer; they are only needed for a report.
        """
        with self._lock:
            return self._database.reading(lambda connection: self._see(connection, whole=whole))

    def close_bracket(self, slot: int) -> None:
        """Notes that no slot from this number on joins the bracket before it, whose decisions then need not wait.

        Raises:
            CapacityError: the ledger cannot be written.
        """
        self.note(f"{CLOSING}{slot}", slot)  # a note of its own: nobody who closes another at the same time undoes it

    def claim(self, wanted: Wanted, *, lease: Lease, instead: Instead | None = None) -> Claim | None:
        """Takes an attempt at a slot, to train it to a rung; None if another worker was first.

        ``instead`` is then asked what to take in its place, while nobody else can add anything: hundreds who want the
        next slot queue and get one each, where otherwise all but one would look again. It should not take long. Without
        it nobody queues who could only find that another was first.

        Raises:
            CapacityError: the ledger cannot be written.
        """
        with self._lock:
            added = self._adder.add(wanted, {"lease": lease.model_dump()}, TrialState.RUNNING, instead=instead)
        if added is None:
            return None
        row, got = added
        return Claim(row, got.slot, got.attempt, got.tokens, rung=got.rung, first=self._first_of_rung(got))

    def reject(self, slot: int, tokens: tuple[int, ...], *, result: Mapping[str, Any]) -> None:
        """Records a candidate that is not trained; ``result`` says why. Does nothing if another was first.

        Raises:
            CapacityError: the ledger cannot be written.
        """
        with self._lock:
            self._adder.add(Wanted(slot, tokens), result_attributes(result, "rejected"), TrialState.FAIL)

    def beat(self, claim: Claim) -> None:
        """Tells others that this worker is alive; a beat that is missed is made up by the next."""
        try:
            self._database.writing(lambda connection: rows.beat(connection, claim.row), patience_s=0)
        except CapacityError:
            self._forget()

    def epoch_done(self, claim: Claim, epoch: int, *, of_teacher: bool = False) -> None:
        """Records that an epoch is done, of it or of its teacher; this is the fence that stops a worker left for dead.

        Raises:
            LostLeaseError: the attempt was given to another.
            CapacityError: the ledger cannot be written.
        """

        def write(connection: Connection) -> bool:
            if rows.is_finished(connection, claim.row):
                return False
            rows.put_attributes(connection, claim.row, {"teacher_epoch" if of_teacher else "epoch": epoch})
            return True

        if not self._database.writing(write):
            raise LostLeaseError(f"slot {claim.slot}, attempt {claim.attempt}")

    def complete(self, claim: Claim, *, result: Mapping[str, Any], values: tuple[float, float, float]) -> None:
        """Records what training found; ``values`` are accuracy, unfairness and multiply-accumulates.

        Raises:
            LostLeaseError: the attempt was given to another.
            CapacityError: the ledger cannot be written.
        """
        self._finish(claim, TrialState.COMPLETE, result_attributes(result, "complete"), values)

    def fail(self, claim: Claim, *, result: Mapping[str, Any]) -> None:
        """Records that the candidate cannot be trained; ``result`` says why.

        Raises:
            LostLeaseError: the attempt was given to another.
            CapacityError: the ledger cannot be written.
        """
        self._finish(claim, TrialState.FAIL, result_attributes(result, "failed"))

    def end(self, row: int, ending: Ending, *, detail: str = "", patience_s: float | None = None) -> None:
        """Ends an attempt without a result, so that another may go on; does nothing if it has ended.

        It waits no longer than ``patience_s`` for a database that is away; None is the ledger's own patience.

        Raises:
            CapacityError: the ledger cannot be written; the attempt is found lost when its process is gone.
        """

        def write(connection: Connection) -> None:
            if not rows.is_finished(connection, row):
                rows.put_attributes(connection, row, {"ending": [ending, detail]})
                rows.end_row(connection, row, TrialState.FAIL)

        self._database.writing(write, patience_s=patience_s)

    def end_lost(self) -> None:
        """Ends the attempts of workers that are dead on this host, and of those silent elsewhere or stopped here.

        Silence says nothing of a process that this host can see to run: after a night's sleep of the machine all
        heartbeats are old. One that has ended is left, for the grace, to its driver, who can tell a crash from a kill.
        A host of the same name that was booted another time may be another, unless the ledger is this machine's file.
        """
        running = self._running()
        watched = {row for row, lease in running.items() if not self._tells(lease) or lease.is_held()}
        silent = self._silent(watched)
        for row, lease in running.items():
            if row in silent and lease.is_stopped():  # which is not the candidate's fault
                self.end(row, "parked", detail="the worker was stopped")
            elif row in silent:
                self.end(row, "lost", detail="the worker fell silent")
            elif row not in watched and lease.is_dead():
                self.end(row, "lost", detail="the worker's process is gone")

    def end_of_process(self, process: Lease, ending: Ending, *, detail: str) -> None:
        """Ends what a process, known to be dead, was working on."""
        for row, lease in self._running().items():
            if lease.is_same(process):
                self.end(row, ending, detail=detail)

    def close(self) -> None:
        """Gives back the connections."""
        self._database.close()

    def _see(self, connection: Connection, *, whole: bool = False) -> list[Slot]:
        self._reader.read(connection)
        slots = self._reader.whole(connection) if whole else self._reader.slots()
        closings = rows.notes(connection, self._study, prefix=CLOSING).values()
        return self._decider(connection)(slots, list(closings))

    def _running(self) -> dict[int, Lease]:
        with self._lock:
            self._database.reading(self._reader.read)
            return self._reader.running()

    def _tells(self, lease: Lease) -> bool:
        """Whether this host can tell if a worker lives."""
        return lease.can_be_seen() or (lease.is_here() and self._database.address.file is not None)

    def _silent(self, away: set[int]) -> set[int]:
        now = time.monotonic()
        if not away:
            self._watch.forget()
        if not away or now - self._looked < min(LOOK_S, self.heartbeat_s):
            return set()
        self._looked = now
        return self._watch.silent(self._database.reading(lambda connection: rows.beats(connection, away)))

    def _forget(self) -> None:
        self._watch.forget()

    def _decider(self, connection: Connection) -> Decider:
        if self._decide is None:
            rungs = rows.note(connection, self._study, RUNGS)
            self._decide = Decider(RungPlan.model_validate(rungs or {"epochs": [1]}))
        return self._decide

    def _first_of_rung(self, got: Wanted) -> int:
        with self._lock:
            known = next((known for known in self._reader.slots() if known.number == got.slot), None)
        tried = [] if known is None else [tried.attempt for tried in known.attempts if tried.rung == got.rung]
        return min([*tried, got.attempt])

    def _finish(
        self, claim: Claim, state: TrialState, parts: Mapping[str, Any], values: tuple[float, ...] = ()
    ) -> None:
        def write(connection: Connection) -> bool:
            if rows.is_finished(connection, claim.row):  # written, but not confirmed, if it is the same
                return rows.attribute(connection, claim.row, "result") == parts["result"]
            rows.put_attributes(connection, claim.row, parts)
            rows.end_row(connection, claim.row, state, values)
            return True

        if not self._database.writing(write):
            raise LostLeaseError(f"slot {claim.slot}, attempt {claim.attempt}")
