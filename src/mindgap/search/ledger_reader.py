"""Reads a ledger's rows; what cannot change any more is read once."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Connection, or_, select

from mindgap.core.files import jsonable
from mindgap.search.lease import Lease
from mindgap.search.ledger_rows import ATTRIBUTES, TRIALS
from mindgap.search.slot import Attempt, Slot, collect

LARGE = frozenset({"architecture"})  # of a result: kept as attributes of their own, which only a report reads
_CHANGING = frozenset({"epoch", "teacher_epoch", "result", "ending"})


class LedgerReader:
    """All attempts of a search, as far as they were read.

    A finished attempt never changes, and rows appear in the order of their ids, because whoever adds one holds the
    study's lock. So each look reads the new rows and those that were running at the last.
    """

    def __init__(self, study: int) -> None:
        self.study = study
        self.rows = 0
        self._last_row = -1
        self._running: dict[int, dict[str, Any]] = {}
        self._tries: dict[int, dict[int, Attempt]] = {}
        self._slots: dict[int, Slot] = {}
        self._listed: list[Slot] = []

    def slots(self) -> list[Slot]:
        """Everything that was read, slot by slot."""
        return list(self._listed)

    def running(self) -> dict[int, Lease]:
        """The rows that had not ended, with their workers."""
        return {row: Lease(**known["lease"]) for row, known in self._running.items()}

    def has(self, slot: int, attempt: int) -> bool:
        """Whether there is such an attempt."""
        return any(tried.attempt == attempt for tried in self._tries.get(slot, {}).values())

    def read(self, connection: Connection) -> None:
        """Takes in what is new."""
        query = select(
            TRIALS.c.trial_id, TRIALS.c.number, TRIALS.c.state, TRIALS.c.datetime_start, TRIALS.c.datetime_complete
        ).where(TRIALS.c.study_id == self.study)
        new = TRIALS.c.trial_id > self._last_row
        listed = connection.execute(
            query.where(or_(new, TRIALS.c.trial_id.in_(list(self._running))) if self._running else new)
        ).all()
        if not listed:
            return
        last = max(row for row, *_ in listed)
        known = self._changed(connection) | self._new(connection, last)
        changed = {self._take(*row, known.get(row[0])) for row in listed} - {None}
        self._last_row = max(last, self._last_row)
        self._list({slot for slot in changed if slot is not None})

    def whole(self, connection: Connection) -> list[Slot]:
        """Everything that was read, with the large parts of the results too."""
        parts: dict[int, dict[str, Any]] = {}
        for found in connection.execute(self._attributes().where(ATTRIBUTES.c.key.in_(LARGE))):
            parts.setdefault(found.trial_id, {})[found.key] = json.loads(found.value_json)
        tries = {slot: _with(tries, parts) for slot, tries in self._tries.items()}
        return collect(attempt for attempts in tries.values() for attempt in attempts)

    def _new(self, connection: Connection, last: int) -> dict[int, dict[str, Any]]:
        if last <= self._last_row:
            return {}
        known: dict[int, dict[str, Any]] = {}
        query = self._attributes().where(ATTRIBUTES.c.trial_id > self._last_row, ATTRIBUTES.c.trial_id <= last)
        for found in connection.execute(query.where(ATTRIBUTES.c.key.not_in(LARGE))):
            known.setdefault(found.trial_id, {})[found.key] = json.loads(found.value_json)
        return known

    def _changed(self, connection: Connection) -> dict[int, dict[str, Any]]:
        if not self._running:
            return {}
        known = {row: dict(attributes) for row, attributes in self._running.items()}
        query = select(ATTRIBUTES.c.trial_id, ATTRIBUTES.c.key, ATTRIBUTES.c.value_json)
        query = query.where(ATTRIBUTES.c.trial_id.in_(list(known)), ATTRIBUTES.c.key.in_(_CHANGING))
        for found in connection.execute(query):
            known[found.trial_id][found.key] = json.loads(found.value_json)
        return known

    def _attributes(self) -> Any:
        query = select(ATTRIBUTES.c.trial_id, ATTRIBUTES.c.key, ATTRIBUTES.c.value_json)
        return query.join(TRIALS, TRIALS.c.trial_id == ATTRIBUTES.c.trial_id).where(TRIALS.c.study_id == self.study)

    def _take(
        self, row: int, number: int, state: TrialState, start: datetime, end: datetime | None,
        attributes: dict[str, Any] | None,
    ) -> int | None:  # fmt: skip
        """Takes in a row, and returns its slot; None of a row that is not ours, or as it was."""
        self.rows = max(self.rows, number + 1)
        if attributes is None or "slot" not in attributes:
            return None
        if state.is_finished():
            self._running.pop(row, None)
        elif self._running.get(row) == attributes:
            return None
        else:
            self._running[row] = attributes
        slot = attributes["slot"]
        seconds = None if end is None else max(0.0, (end - start).total_seconds())
        self._tries.setdefault(slot, {})[row] = _attempt(number, attributes, state.is_finished(), seconds)
        return slot

    def _list(self, changed: Collection[int]) -> None:
        for slot in changed:
            (self._slots[slot],) = collect(self._tries[slot].values())
        self._listed = [self._slots[slot] for slot in sorted(self._slots)]


def _attempt(number: int, attributes: Mapping[str, Any], finished: bool, seconds: float | None) -> Attempt:  # noqa: FBT001
    result = attributes.get("result") if finished else None
    ending, detail = attributes.get("ending", ("lost", "the worker fell silent"))
    lease = attributes.get("lease")
    return Attempt(
        number=number,
        slot=attributes["slot"],
        attempt=attributes["attempt"],
        tokens=tuple(attributes["tokens"]),
        rung=attributes.get("rung", 0),
        finished=finished,
        lease=Lease(**lease) if lease else None,
        epoch=attributes.get("epoch", 0),
        teacher_epoch=attributes.get("teacher_epoch", 0),
        ending=ending if finished and result is None else None,
        detail=detail if finished and result is None else "",
        result=result,
        seconds=seconds,
    )


def _with(tries: Mapping[int, Attempt], parts: Mapping[int, Mapping[str, Any]]) -> list[Attempt]:
    """Attempts with the large parts of their results."""
    return [
        replace(attempt, result={**parts[row], **attempt.result})
        if row in parts and attempt.result is not None
        else attempt
        for row, attempt in tries.items()
    ]


def result_attributes(result: Mapping[str, Any], state: str) -> dict[str, Any]:
    """A result as attributes: what every worker reads, and what only a report does."""
    plain = jsonable({**result, "state": state})
    return {"result": {key: value for key, value in plain.items() if key not in LARGE}} | {
        key: plain[key] for key in LARGE if key in plain
    }
