"""One search in one folder: begun or gone on with, until its target is reached."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mindgap.core.errors import RunError
from mindgap.core.files import read_json, write_json
from mindgap.core.notes import note
from mindgap.core.progress import Progress, progress
from mindgap.core.run import RunFolder
from mindgap.data.image_store import Store
from mindgap.search.agenda import Target, is_done
from mindgap.search.artifacts import open_artifacts
from mindgap.search.attempt_folders import remove_checkpoints, remove_unfinished
from mindgap.search.driver import Driver, announced
from mindgap.search.ledger import GRACE, RUNGS, Ledger, create_ledger
from mindgap.search.ledger_place import (
    ARTIFACTS,
    LEDGER_ID,
    LEDGER_MADE,
    RUN_FOLDER,
    SPACE_TEXT,
    has_ledger,
    ledger_id,
    ledger_url,
    named,
    with_password,
)
from mindgap.search.options import CHANGEABLE, SearchOptions
from mindgap.search.placement import AbstractPlacement, Assignment
from mindgap.search.plan import read_plan
from mindgap.search.planning import Draft, make_draft, make_target, too_many_workers
from mindgap.search.result import search_record
from mindgap.search.slot import Slot
from mindgap.search.status import why_none
from mindgap.workflows.search_results import write_results

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchCall:
    """What a call of ``search`` works with.

    Attributes:
        store: the images.
        place: where workers find them, a path or an address.
        options: of the search; the address of its ledger has no password.
        placement: where workers run.
        environment: what workers need besides their own, the password of the ledger.
        force: replaces the search that is there.
    """

    store: Store
    place: str
    options: SearchOptions
    placement: AbstractPlacement[Any]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    force: bool = False

    def of_preset(self, name: str, *, budget_hours: float | None) -> SearchCall:
        """The call for one of several presets, in a folder of its own."""
        study = self.options.study
        update = {"budget_hours": budget_hours, "study": None if study is None else named(study, name)}
        return replace(self, options=self.options.of_preset(name).model_copy(update=update), force=False)

    def asked(self) -> dict[str, Any]:
        """What ``RunFolder`` is asked for."""
        own = {"store": self.place, "fingerprint": self.store.fingerprint}
        return {
            "verb": "search",
            "options": own | self.options.model_dump(mode="json"),
            "force": self.force,
            "changeable": CHANGEABLE,
            "inputs": (self.store.path,),
        }

    def address(self, run: Path) -> str:
        """Of the ledger, with its password."""
        study = self.options.study
        return ledger_url(run) if study is None else with_password(study, self.environment)

    def draft(self, folder: Path, *, anew: bool = False) -> Draft | None:
        """The plan of a search that has none yet: made before its folder, so that a refused call leaves nothing.

        ``anew`` says that what is in the folder will be gone.
        """
        if not anew:
            RunFolder.check(folder, **self.asked())
        if not self.force and not anew and has_ledger(folder):
            return None
        return self._made_draft()

    def _made_draft(self) -> Draft:
        with progress(None, "timing blocks"):
            draft = make_draft(self.options, self.store, preset=self.options.preset)
        for remark in draft.remarks:
            note(log, remark)
        return replace(draft, plan=draft.plan.model_copy(update={"store": self.place}))

    def work(self, folder: Path, draft: Draft | None) -> dict[str, Any]:
        """Searches until the target is reached; returns the run's record."""
        with RunFolder.hold(folder, **self.asked()) as run:
            self._begin(run, draft)
            ledger = Ledger(self.address(folder), grace_s=self.options.grace_s)
            try:
                if ledger.notes().get(LEDGER_ID) != ledger_id(folder):
                    raise RunError(
                        f"{self.options.study}: holds another search of that name; give another, ?study=NAME, "
                        "and another --out"
                    )
                with announced(ledger):
                    return self._run(run, ledger)
            finally:
                ledger.close()

    def _begin(self, run: RunFolder, draft: Draft | None) -> None:
        """Makes the ledger of a new search, with plan and target in it; both are there before any worker can look."""
        if has_ledger(run.path):
            return
        draft = draft or self._made_draft()
        draft.keep_space(run.path)
        store = self.store
        run.record(fingerprint=store.fingerprint, store_summary=store.info.model_dump(mode="json"))
        notes: dict[str, Any] = {
            "plan": draft.plan.model_dump(mode="json"),
            "target": make_target(self.options, spent_s=0.0).model_dump(),
            RUNGS: draft.plan.rungs.model_dump(mode="json"),
            "expected_trials": draft.expected_trials,
        }
        if draft.space_text is not None:
            notes[SPACE_TEXT] = draft.space_text
        if self.options.artifacts is not None:
            notes[ARTIFACTS] = self.options.artifacts
        if self.options.study is None:
            create_ledger(self.address(run.path), notes)
            return
        own = ledger_id(run.path) or uuid.uuid4().hex
        run.record(**{LEDGER_ID: own})  # before it is made: killed in between, the next call knows it for its own
        create_ledger(self.address(run.path), notes | {LEDGER_ID: own, RUN_FOLDER: str(run.path.resolve())})
        run.record(**{LEDGER_MADE: True})

    def _run(self, run: RunFolder, ledger: Ledger) -> dict[str, Any]:
        options, notes = self.options, ledger.notes()
        plan = read_plan(notes)
        target = make_target(options, spent_s=notes.get("spent_s", 0.0), earlier=Target(**notes["target"]))
        ledger.note("target", target.model_dump())
        ledger.note(GRACE, options.grace_s)
        if run.state == "finished":
            record, slots = read_json(run.path / "search.json"), ledger.slots()
            if is_done(slots, target) and len(record["trials"]) == len(slots):
                return record
            run.reopen()
        if too_many_workers(options.workers, plan):
            log.warning("%s", too_many_workers(options.workers, plan))
        assignment = Assignment(run.path.resolve(), options.study, self.environment)
        with progress(target.trials, "searching") as bar:
            on_change = _tidy_and_show(run.path, bar)
            Driver(ledger, assignment, self.placement, workers=options.workers, on_change=on_change).work()
        artifacts = open_artifacts(ledger.notes().get(ARTIFACTS), run=run.path)
        for slot in ledger.slots():  # of those given up, and of those whose worker was killed before it tidied up
            folder = run.path / "trials" / str(slot.number)
            remove_checkpoints(folder)
            for attempt in slot.attempts if slot.trained else ():
                artifacts.tidy(folder / str(attempt.attempt))
                if slot.state == "failed":  # the user will want to see why
                    artifacts.fetch(folder / str(attempt.attempt))
        remove_unfinished(run.path)
        record = search_record(ledger.slots(whole=True), plan, space=plan.open_space(self.store, run=run.path))
        write_json(run.path / "search.json", record)
        if record["chosen"] is None:
            raise RunError(f"{run.path}: {why_none(len(record['trials']), budget_hours=options.budget_hours)}")
        write_results(run, record, plan=plan, store=self.store, options=options, artifacts=artifacts)
        return record


def _tidy_and_show(run: Path, bar: Progress) -> Callable[[list[Slot]], None]:
    """Removes the checkpoints of candidates that are trained no further, and moves the bar."""
    shown, tidied = 0, set[int]()

    def show(slots: list[Slot]) -> None:
        nonlocal shown
        for slot in slots:
            if slot.settled and slot.number not in tidied:
                remove_checkpoints(run / "trials" / str(slot.number))
                tidied.add(slot.number)
        done = sum(slot.settled and slot.trained for slot in slots)
        bar.advance(done - shown)
        shown = done
        rewards = [slot.result["reward"] for slot in slots if slot.state == "complete"]
        if rewards:
            bar.describe(f"searching, best reward {max(rewards):.3f}")

    return show
