"""Finished runs of a comparison of methods in one small text file, from which the comparison goes on elsewhere.

The first line is the plan, every other one a run: its slot, what the ledger says of it, and, of a run that is judged
on the test images, its probabilities of them in half precision. Nothing of the images themselves is in it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kept_predictions import packed, unpacked_test

from mindgap.core.errors import RunError
from mindgap.core.files import write_text
from mindgap.core.run import RunFolder
from mindgap.data.image_store import Store
from mindgap.metrics.predictions import write_predictions
from mindgap.search.artifacts import PREDICTIONS_FILE
from mindgap.search.chosen import kept_probabilities
from mindgap.search.lease import Lease
from mindgap.search.ledger import Ledger, Wanted
from mindgap.search.ledger_place import ledger_url
from mindgap.search.method_plan import METHODS, MethodPlan, MethodRun, read_method_plan
from mindgap.search.slot import Slot
from mindgap.space.cost import count_cost
from mindgap.train.store_predictions import to_predictions
from mindgap.workflows.compare_methods import MethodsCall


@dataclass(frozen=True, kw_only=True)
class KeptCall(MethodsCall):
    """A comparison that begins with the runs that are kept.

    Attributes:
        kept: file of them.
    """

    kept: Path

    def _begin(self, run: RunFolder, plan: MethodPlan | None) -> None:
        if plan is None or not self.kept.is_file():
            super()._begin(run, plan)
            return
        first, *lines = (json.loads(line) for line in self.kept.read_text(encoding="utf-8").splitlines())
        own = {"store": plan.store}
        before = MethodPlan.model_validate(first["plan"] | own)
        same = {"precision_plan": before.precision_plan}  # measured: it may differ between machines
        if plan.model_copy(update=same) != before:
            raise RunError(f"{self.kept}: its runs are of other methods or options; delete it, or ask for the same")
        super()._begin(run, before)
        ledger = Ledger(ledger_url(run.path))
        try:
            for line in lines:
                _restore(ledger, run.path, line, store=self.store)
        finally:
            ledger.close()


def save_runs(run: Path, place: Path, *, store: Store) -> int:
    """Writes the finished runs up to the first that is not; how many they are."""
    ledger = Ledger(ledger_url(run), read_only=True)
    try:
        notes, slots = ledger.notes(), ledger.slots(whole=True)
    finally:
        ledger.close()
    plan = read_method_plan(notes)
    lines: list[dict[str, Any]] = [{"plan": plan.model_dump(mode="json") | {"store": ""}}]
    for number, slot in enumerate(slots):
        if slot.number != number or slot.state not in {"complete", "failed"} or not slot.result:
            break
        lines.append(_line(run, slot, store))
    write_text(place, "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    return len(lines) - 1


def _line(run: Path, slot: Slot, store: Store) -> dict[str, Any]:
    line: dict[str, Any] = {"slot": slot.number, "tokens": slot.tokens, "result": dict(slot.result)}
    if slot.state == "complete" and MethodRun.of(slot.tokens).seed >= 0:
        folder = run / "trials" / str(slot.number) / str(slot.last.attempt)
        line["test"] = packed(kept_probabilities(store, folder, "test"), store)
    return line


def _restore(ledger: Ledger, run: Path, line: dict[str, Any], *, store: Store) -> None:
    claim = ledger.claim(Wanted(line["slot"], tuple(line["tokens"])), lease=Lease.current())
    assert claim is not None, "nobody else works on it yet"
    if "test" in line:
        folder = run / "trials" / str(claim.slot) / str(claim.attempt)
        folder.mkdir(parents=True)
        rows = store.rows("test")
        predictions = to_predictions(store, rows, unpacked_test(line["test"], store))
        write_predictions(folder / PREDICTIONS_FILE, predictions, split=["test"] * len(rows))
    result = {name: of for name, of in line["result"].items() if name != "state"}
    if line["result"]["state"] == "failed":
        ledger.fail(claim, result=result)
        return
    macs = count_cost(read_method_plan({METHODS: ledger.noted(METHODS)}).architecture).macs
    ledger.complete(claim, result=result, values=(result["accuracy"], result["unfairness"], float(macs)))
