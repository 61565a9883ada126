"""The statements on a ledger's tables. A row is one attempt; each function here is part of a caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import Connection, DateTime, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

STUDIES = models.StudyModel.__table__
NOTES = models.StudyUserAttributeModel.__table__
TRIALS = models.TrialModel.__table__
ATTRIBUTES = models.TrialUserAttributeModel.__table__
VALUES = models.TrialValueModel.__table__
BEATS = models.TrialHeartbeatModel.__table__
_UPSERT = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class UtcNow(FunctionElement[Any]):
    """The database's own clock, so that the hosts' clocks need not agree."""

    type = DateTime()
    inherit_cache = True


@compiles(UtcNow, "postgresql")
def _utc_now_of_server(*_: object, **__: object) -> str:
    return "timezone('utc', clock_timestamp())"


@compiles(UtcNow, "sqlite")
def _utc_now_of_file(*_: object, **__: object) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


def find_study(connection: Connection, name: str) -> int:
    """Number of the search of that name.

    Raises:
        KeyError: there is none.
    """
    study = connection.execute(select(STUDIES.c.study_id).where(STUDIES.c.study_name == name)).scalar()
    if study is None:
        raise KeyError(name)
    return study


def lock_study(connection: Connection, study: int, *, queue: bool = True) -> bool:
    """Lets nobody else add a row until the transaction ends, so that rows have their numbers in order.

    SQLite's writing transactions exclude each other anyway.

    Args:
        connection: in a transaction that writes.
        study: number of the search.
        queue: on a server, wait for those who came before.

    Returns:
        Whether it is locked: not if somebody else has it and ``queue`` is false.
    """
    own = select(STUDIES.c.study_id).where(STUDIES.c.study_id == study)
    return connection.execute(own.with_for_update(skip_locked=not queue, key_share=True)).first() is not None


def add_row(
    connection: Connection, study: int, number: int, *, attributes: Mapping[str, Any], state: TrialState
) -> int:
    """Adds an attempt with its attributes and, while it runs, a heartbeat; the study must be locked."""
    ended = UtcNow() if state.is_finished() else None
    times = {"datetime_start": UtcNow(), "datetime_complete": ended}
    added = insert(TRIALS).values(number=number, study_id=study, state=state, **times).returning(TRIALS.c.trial_id)
    row = connection.execute(added).scalar_one()
    put_attributes(connection, row, attributes)
    if not state.is_finished():
        connection.execute(insert(BEATS).values(trial_id=row, heartbeat=UtcNow()))
    return row


def is_finished(connection: Connection, row: int) -> bool:
    """Whether an attempt has ended; it stays as it is until the transaction ends."""
    state = connection.execute(select(TRIALS.c.state).where(TRIALS.c.trial_id == row).with_for_update()).scalar_one()
    return state.is_finished()


def put_attributes(connection: Connection, row: int, attributes: Mapping[str, Any]) -> None:
    """Writes attributes of an attempt, over earlier ones of the same name."""
    statement = _UPSERT[connection.dialect.name](ATTRIBUTES)
    statement = statement.on_conflict_do_update(
        index_elements=[ATTRIBUTES.c.trial_id, ATTRIBUTES.c.key], set_={"value_json": statement.excluded.value_json}
    )
    rows = [{"trial_id": row, "key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
    connection.execute(statement, rows)


def attribute(connection: Connection, row: int, key: str) -> Any:
    """One attribute of an attempt; None without it."""
    found = connection.execute(
        select(ATTRIBUTES.c.value_json).where(ATTRIBUTES.c.trial_id == row, ATTRIBUTES.c.key == key)
    ).scalar()
    return None if found is None else json.loads(found)


def row_with(connection: Connection, study: int, key: str, value: object) -> int | None:
    """The attempt that has an attribute of this value; None if there is none. Reads all attempts."""
    query = select(ATTRIBUTES.c.trial_id).join(TRIALS, TRIALS.c.trial_id == ATTRIBUTES.c.trial_id)
    wanted = (TRIALS.c.study_id == study, ATTRIBUTES.c.key == key, ATTRIBUTES.c.value_json == json.dumps(value))
    return connection.execute(query.where(*wanted)).scalar()


def end_row(connection: Connection, row: int, state: TrialState, values: Collection[float] = ()) -> None:
    """Ends an attempt; ``values`` are the study's objectives."""
    if values:
        stored = [models.TrialValueModel.value_to_stored_repr(value) for value in values]
        rows = [
            {"trial_id": row, "objective": objective, "value": value, "value_type": kind}
            for objective, (value, kind) in enumerate(stored)
        ]
        connection.execute(insert(VALUES), rows)
    connection.execute(update(TRIALS).where(TRIALS.c.trial_id == row).values(state=state, datetime_complete=UtcNow()))


def beat(connection: Connection, row: int) -> None:
    """Renews an attempt's heartbeat."""
    connection.execute(update(BEATS).where(BEATS.c.trial_id == row).values(heartbeat=UtcNow()))


def beats(connection: Connection, rows: Collection[int]) -> dict[int, object]:
    """The heartbeats of attempts."""
    query = select(BEATS.c.trial_id, BEATS.c.heartbeat).where(BEATS.c.trial_id.in_(rows))
    return {found.trial_id: found.heartbeat for found in connection.execute(query)}


def put_note(connection: Connection, study: int, key: str, value: object) -> None:
    """Writes a fact about the whole search, over an earlier one of the same name."""
    statement = _UPSERT[connection.dialect.name](NOTES).values(study_id=study, key=key, value_json=json.dumps(value))
    statement = statement.on_conflict_do_update(
        index_elements=[NOTES.c.study_id, NOTES.c.key], set_={"value_json": statement.excluded.value_json}
    )
    connection.execute(statement)


def note(connection: Connection, study: int, key: str) -> Any:
    """One fact about the whole search; None without it."""
    found = select(NOTES.c.value_json).where(NOTES.c.study_id == study, NOTES.c.key == key)
    text = connection.execute(found).scalar()
    return None if text is None else json.loads(text)


def notes(connection: Connection, study: int, *, prefix: str = "") -> dict[str, Any]:
    """Facts about the whole search: all, or those whose names begin alike."""
    query = select(NOTES.c.key, NOTES.c.value_json).where(NOTES.c.study_id == study)
    if prefix:
        query = query.where(NOTES.c.key.startswith(prefix, autoescape=True))
    return {
        name: json.loads(text) for name, text in connection.execute(query.order_by(NOTES.c.study_user_attribute_id))
    }
