"""What a search promises whatever dies: checked on its folder and ledger, against a search that nobody disturbed."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, select

from mindgap.core.files import read_json
from mindgap.search.ledger_address import LedgerAddress
from mindgap.search.ledger_place import ledger_url
from mindgap.search.ledger_rows import ATTRIBUTES, TRIALS, find_study
from mindgap.testing.chaos import read_slots
from mindgap.train.checkpoint import CHECKPOINT_FILE

SAME = ("tokens", "state", "architecture", "ratios", "reward", "accuracy", "unfairness", "macs", "epochs")
WEIGHTS_FILE = "weights.safetensors"
LEFTOVERS = (".*.tmp", ".*.new", ".*.tmp-*", CHECKPOINT_FILE)


def broken_promises(run: Path, undisturbed: Path) -> list[str]:
    """What differs from a search with the same seed that nobody disturbed, or is left behind; empty if all is well."""
    return [
        *_unaccounted(run),
        *_completed_twice(run),
        *_differences(_found(run), _found(undisturbed), "found"),
        *_differences(weight_hashes(run), weight_hashes(undisturbed), "weights"),
        *_odd_logs(run),
        *(f"{path} was left behind" for pattern in LEFTOVERS for path in run.rglob(pattern)),
    ]


def weight_hashes(run: Path) -> dict[int, str]:
    """SHA-256 of each candidate's trained weights, by slot."""
    return {
        slot: hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest() for slot, folder in _folders(run).items()
    }


def completed_rows(url: str) -> Counter[tuple[int, int]]:
    """How many rows of a ledger hold the result of a slot's training to a rung, by slot and rung."""
    address = LedgerAddress.parse(url)
    engine = create_engine(address.database)
    rows: dict[int, dict[str, Any]] = {}
    try:
        with engine.connect() as connection:
            query = select(ATTRIBUTES.c.trial_id, ATTRIBUTES.c.key, ATTRIBUTES.c.value_json).join(
                TRIALS, TRIALS.c.trial_id == ATTRIBUTES.c.trial_id
            )
            for row in connection.execute(query.where(TRIALS.c.study_id == find_study(connection, address.study))):
                rows.setdefault(row.trial_id, {})[row.key] = json.loads(row.value_json)
    finally:
        engine.dispose()
    return Counter(
        (row["slot"], row.get("rung", 0)) for row in rows.values() if row.get("result", {}).get("state") == "complete"
    )


def _unaccounted(run: Path) -> list[str]:
    slots = read_slots(run)
    recorded = [trial["slot"] for trial in read_json(run / "search.json")["trials"]]
    odd = [f"slot {slot.number} is {slot.state}" for slot in slots if not slot.settled]
    if recorded != list(range(len(slots))):
        odd.append(f"search.json has slots {recorded}, the ledger {len(slots)}")
    return odd


def _completed_twice(run: Path) -> list[str]:
    counts = completed_rows(ledger_url(run))
    return [f"slot {slot} was trained to rung {rung} {n} times" for (slot, rung), n in counts.items() if n > 1]


def _found(run: Path) -> dict[int, Any]:
    return {trial["slot"]: {name: trial[name] for name in SAME} for trial in read_json(run / "search.json")["trials"]}


def _folders(run: Path) -> dict[int, Path]:
    """The folder of the attempt that trained each candidate to its end."""
    return {
        slot.number: run / "trials" / str(slot.number) / str(tried.attempt)
        for slot in read_slots(run)
        for tried in slot.attempts
        if tried.result is not None and tried.result["state"] == "complete"
    }


def _odd_logs(run: Path) -> list[str]:
    """Each epoch is logged once, in order."""
    odd = []
    for slot in read_slots(run):
        folder = _folders(run).get(slot.number)
        if folder is not None:
            epochs = [json.loads(line)["epoch"] for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]
            if epochs != list(range(1, slot.result["epochs"] + 1)):
                odd.append(f"{folder}: its log has the epochs {epochs}")
    return odd


def _differences(mine: Mapping[int, Any], theirs: Mapping[int, Any], what: str) -> list[str]:
    return [
        f"slot {slot}: {what} {mine.get(slot)!r}, undisturbed {theirs.get(slot)!r}"
        for slot in sorted({*mine, *theirs})
        if mine.get(slot) != theirs.get(slot)
    ]
