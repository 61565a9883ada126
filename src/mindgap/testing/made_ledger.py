"""A ledger filled at once, for benchmarks: as a long search would have left it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from optuna.storages._rdb import models
from optuna.trial import TrialState
from sqlalchemy import create_engine, insert

from mindgap.search.lease import Lease
from mindgap.search.ledger_address import LedgerAddress
from mindgap.search.ledger_rows import ATTRIBUTES, TRIALS, VALUES, find_study

_CHUNK = 2000


def fill_ledger(
    url: str, trials: int, *, tokens: Callable[[int], Sequence[int]], result: Callable[[int], Mapping[str, Any]]
) -> None:
    """Adds finished attempts, one per slot from 0, to a ledger that has none, in bulk.

    Args:
        url: of the ledger.
        trials: how many.
        tokens: of a slot.
        result: of a slot, with ``accuracy``, ``unfairness``, ``macs`` and ``reward``.
    """
    address = LedgerAddress.parse(url)
    engine = create_engine(address.database)
    lease, begun = Lease.current().model_dump(), datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    with engine.connect() as connection:
        study = find_study(connection, address.study)
    for start in range(0, trials, _CHUNK):
        slots = range(start, min(start + _CHUNK, trials))
        with engine.begin() as connection:
            times = {slot: begun + timedelta(minutes=slot) for slot in slots}
            rows = [
                {
                    "number": slot, "study_id": study, "state": TrialState.COMPLETE,
                    "datetime_start": times[slot], "datetime_complete": times[slot] + timedelta(seconds=50),
                }
                for slot in slots
            ]  # fmt: skip
            added = insert(TRIALS).returning(TRIALS.c.trial_id, sort_by_parameter_order=True)
            ids = list(connection.execute(added, rows).scalars())
            attributes, values = [], []
            for row, slot in zip(ids, slots, strict=True):
                found = dict(result(slot)) | {"state": "complete"}
                own = {"slot": slot, "attempt": 1, "rung": 0, "tokens": list(tokens(slot)), "lease": lease, "epoch": 4}
                own |= {"architecture": found.pop("architecture", {}), "result": found}
                attributes += [{"trial_id": row, "key": key, "value_json": json.dumps(it)} for key, it in own.items()]
                figures = (found["accuracy"], found["unfairness"], found["macs"])
                values += [
                    {
                        "trial_id": row,
                        "objective": i,
                        "value": it,
                        "value_type": models.TrialValueModel.TrialValueType.FINITE,
                    }
                    for i, it in enumerate(figures)
                ]
            connection.execute(insert(ATTRIBUTES), attributes)
            connection.execute(insert(VALUES), values)
    engine.dispose()
