"""Adds attempts to a ledger, one process at a time."""

from __future__ import annotations

import itertools
import random
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Connection

from mindgap.search import ledger_rows as rows
from mindgap.search.claim import Instead, Wanted
from mindgap.search.ledger_reader import LedgerReader
from mindgap.search.ledger_storage import LedgerDatabase
from mindgap.search.slot import Slot

LOCK_PAUSE_S = (0.002, 0.02)
MARK = "claim"  # attribute of a row: who added it, to be known again where the answer was lost


class AttemptAdder:
    """Adds attempts.

    Args:
        database: of the ledger.
        reader: of the search.
        see: reads what is new and gives all slots with their fates, which is what ``instead`` is shown.
    """

    def __init__(
        self, database: LedgerDatabase, reader: LedgerReader, *, see: Callable[[Connection], list[Slot]]
    ) -> None:
        self._database, self._reader, self._see = database, reader, see

    def add(
        self, wanted: Wanted, parts: Mapping[str, Any], state: TrialState, *, instead: Instead | None = None
    ) -> tuple[int, Wanted] | None:
        """Adds an attempt, and returns its row; None if there is one of that number and nothing to take instead.

        Args:
            wanted: the attempt.
            parts: further attributes of the row.
            state: of the row.
            instead: asked what to take in its place.

        Raises:
            CapacityError: the ledger cannot be written.
        """
        study, mark, tries = self._reader.study, uuid.uuid4().hex, itertools.count()

        def write(connection: Connection) -> tuple[int, Wanted] | None:
            again = next(tries) > 0
            if again or instead is not None:
                rows.lock_study(connection, study)
            elif not self._locked_before(connection, wanted):
                return None
            if again and (row := rows.row_with(connection, study, MARK, mark)) is not None:
                return row, self._wanted_of(connection, row)  # written, but that was not confirmed
            self._reader.read(connection)
            got = wanted
            if self._reader.has(wanted.slot, wanted.attempt):
                got = instead and instead(self._see(connection), lambda key: rows.note(connection, study, key))
            if got is None:
                return None
            own = {"slot": got.slot, "attempt": got.attempt, "rung": got.rung, "tokens": list(got.tokens), MARK: mark}
            return rows.add_row(connection, study, self._reader.rows, attributes=own | dict(parts), state=state), got

        return self._database.writing(write)

    def _locked_before(self, connection: Connection, wanted: Wanted) -> bool:
        """Tries until nobody else is adding anything; not if the attempt that is wanted is there before."""
        while not rows.lock_study(connection, self._reader.study, queue=False):
            self._reader.read(connection)
            if self._reader.has(wanted.slot, wanted.attempt):
                return False
            time.sleep(random.uniform(*LOCK_PAUSE_S))
        return True

    def _wanted_of(self, connection: Connection, row: int) -> Wanted:
        slot, tokens, attempt, rung = (
            rows.attribute(connection, row, key) for key in ("slot", "tokens", "attempt", "rung")
        )
        return Wanted(slot, tuple(tokens), attempt=attempt, rung=rung)
