"""The verb ``compare`` on a store: methods trained with the same budget, chosen by one rule, compared on test."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mindgap.core.config import parse
from mindgap.core.files import read_json
from mindgap.core.notes import note
from mindgap.core.progress import Progress, progress
from mindgap.core.run import Asked, RunFolder
from mindgap.data.image_store import Store
from mindgap.search.agenda import Target
from mindgap.search.attempt_folders import remove_checkpoints, remove_unfinished
from mindgap.search.driver import Driver, announced
from mindgap.search.ledger import Ledger, create_ledger
from mindgap.search.ledger_place import has_ledger, ledger_url
from mindgap.search.local_disk import refuse_network_disk
from mindgap.search.method_plan import METHODS, MethodPlan, MethodRun, read_method_plan
from mindgap.search.placement import AbstractPlacement, Assignment, make_placement
from mindgap.search.slot import Slot
from mindgap.workflows.method_planning import (
    ANALYSIS,
    BASELINE,
    CHANGEABLE,
    MethodsOptions,
    make_method_plan,
    ordered_methods,
)
from mindgap.workflows.method_results import RECORD, write_method_results

log = logging.getLogger(__name__)


def compare_methods(
    store: Store | Path | str,
    *,
    methods: Sequence[str] | str,
    network: str | Path,
    out: Path | str,
    force: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """Trains methods on a store with the same tuning budget, and compares them on the test split, which is read once.

    Stopped or killed at any moment, the same call goes on, and finds what an undisturbed one would.

    Args:
        store: the store or its folder.
        methods: names of mitigations; the baseline ``erm`` is added where it is missing.
        network: registered name, or ``architecture.json``.
        out: the run folder.
        force: replaces the comparison that is there.
        **options: of ``MethodsOptions``; None is its default.

    Returns:
        The record of ``compare.json``.

    Raises:
        MindgapError: a name, an option, the store or the folder is wrong.
        KeyboardInterrupt: Ctrl-C; what was in work is kept, and the same call goes on.
    """
    store = store if isinstance(store, Store) else Store.open(store)
    named = [name.strip() for name in methods.split(",") if name.strip()] if isinstance(methods, str) else [*methods]
    given = {name: value for name, value in options.items() if value is not None}
    asked = parse(
        MethodsOptions, {**given, "methods": ordered_methods(named), "network": str(network)}, source="compare"
    )
    if BASELINE not in named:
        note(log, f"{BASELINE} is added: it is the baseline of every comparison")
    refuse_network_disk(Path(out))
    with make_placement(asked.placement, asked.placement_options) as placement:
        placement.check(workers=asked.workers, on_one_host=True)
        return MethodsCall(store, asked, placement, force=force).work(Path(out))


@dataclass(frozen=True)
class MethodsCall:
    """What a call works with.

    Attributes:
        store: the images.
        options: of the comparison.
        placement: where workers run.
        force: replaces the comparison that is there.
    """

    store: Store
    options: MethodsOptions
    placement: AbstractPlacement[Any]
    force: bool = False

    def work(self, folder: Path) -> dict[str, Any]:
        """Trains what is not trained yet, and writes the run's record and page."""
        own = {"store": str(self.store.path.resolve()), "fingerprint": self.store.fingerprint}
        asked: Asked = {
            "verb": "compare",
            "options": own | self.options.model_dump(mode="json"),
            "force": self.force,
            "changeable": CHANGEABLE,
            "inputs": (self.store.path,),
        }
        state = RunFolder.check(folder, **asked)
        plan = None if state != "new" and has_ledger(folder) else make_method_plan(self.options, self.store)
        with RunFolder.hold(folder, **asked) as run:
            if run.state == "finished":
                record = read_json(run.path / RECORD)
                if all(record["options"][name] == getattr(self.options, name) for name in ANALYSIS):
                    return record
                run.reopen()
            self._begin(run, plan)
            ledger = Ledger(ledger_url(folder))
            try:
                with announced(ledger):
                    return self._run(run, ledger)
            finally:
                ledger.close()

    def _begin(self, run: RunFolder, plan: MethodPlan | None) -> None:
        """Makes the ledger with the plan and the number of runs in it, before any worker can look."""
        if has_ledger(run.path):
            return
        plan = plan or make_method_plan(self.options, self.store)
        store = self.store
        run.record(fingerprint=store.fingerprint, store_summary=store.info.model_dump(mode="json"))
        notes = {METHODS: plan.model_dump(mode="json"), "target": Target(trials=plan.slots).model_dump()}
        create_ledger(ledger_url(run.path), notes)

    def _run(self, run: RunFolder, ledger: Ledger) -> dict[str, Any]:
        plan = read_method_plan(ledger.notes())
        with progress(plan.slots, "training methods") as bar:
            on_change = _tidy_and_show(run.path, plan, bar)
            assignment = Assignment(run.path.resolve())
            Driver(ledger, assignment, self.placement, workers=self.options.workers, on_change=on_change).work()
        slots = ledger.slots()
        for slot in slots:  # of those given up, and of those whose worker was killed before it tidied up
            remove_checkpoints(run.path / "trials" / str(slot.number))
        remove_unfinished(run.path)
        record = write_method_results(run.path, slots, plan=plan, store=self.store, options=self.options)
        run.finish()
        return record


def _tidy_and_show(run: Path, plan: MethodPlan, bar: Progress) -> Callable[[list[Slot]], None]:
    """Removes the checkpoints of runs that are settled, and moves the bar."""
    shown = set[int]()

    def show(slots: list[Slot]) -> None:
        for slot in slots:
            if slot.settled and slot.number not in shown:
                remove_checkpoints(run / "trials" / str(slot.number))
                shown.add(slot.number)
                bar.advance(1)
        if slots:
            last = MethodRun.of(slots[-1].tokens)
            bar.describe(f"{'tuning' if last.seed < 0 else 'training'} {plan.methods[last.method]}")

    return show
