"""The verb ``search``: batch composition, fair loss and architecture searched together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mindgap.audit.model_audit import audit_predictions
from mindgap.core.errors import RunError
from mindgap.core.files import read_json, write_json
from mindgap.core.progress import Progress, progress
from mindgap.core.run import RunFolder
from mindgap.data.image_store import Store
from mindgap.report.document import write_report
from mindgap.search.agenda import Target, is_done
from mindgap.search.chosen import adopt, evaluate_chosen, training_record, trial_folder, validation_predictions
from mindgap.search.driver import Driver, announced
from mindgap.search.ledger import RUNGS, Ledger, create_ledger
from mindgap.search.local_disk import refuse_network_disk
from mindgap.search.options import CHANGEABLE, KEYWORDS, SearchOptions, merge_options
from mindgap.search.plan import SearchPlan, read_plan
from mindgap.search.planning import Draft, make_draft, make_target, ratios_warning, too_many_workers
from mindgap.search.preset import preset_names
from mindgap.search.result import search_record
from mindgap.search.slot import Slot
from mindgap.search.status import search_status, why_none
from mindgap.search.trial import remove_checkpoints
from mindgap.search.worker import LEDGER_FILE, ledger_url

__all__ = ["search", "status"]

PathLike = str | Path
log = logging.getLogger(__name__)


def search(
    store: PathLike,
    *,
    out: PathLike,
    config: PathLike | None = None,
    attribute: str | None = None,
    preset: str | None = None,
    searcher: str | None = None,
    space: str | None = None,
    unfairness: str | None = None,
    min_group: int | None = None,
    epochs: int | None = None,
    trials: int | None = None,
    budget_hours: float | None = None,
    workers: int | None = None,
    placement: str | None = None,
    rungs: str | None = None,
    asynchronous: bool | None = None,
    seed: int | None = None,
    ratios: str | None = None,
    mitigation: str | None = None,
    mitigation_options: dict[str, Any] | None = None,
    network: str | None = None,
    warm_start: PathLike | None = None,
    max_latency_ms: float | None = None,
    force: bool = False,
    bootstrap: int | None = None,
    permutations: int | None = None,
) -> dict[str, Any]:
    """Searches, and returns the contents of the run's ``search.json``.

    Stopped or killed at any moment, the same call goes on: no candidate is lost, and the candidates are those of an
    undisturbed search with the same seed, whatever the number of workers. A finished search goes on when ``trials``
    is raised. Several presets run one after the other in sub-folders of ``out`` named after them; ``presets`` of the
    record then holds each one's own record, and a budget is shared equally.

    Args:
        store: folder written by ``prepare``.
        out: folder of the run.
        config: TOML file with these options and the tables ``reward``, ``searcher_options`` and ``training``; an
            option given here goes before the file's. None is always the file's or the default of ``SearchOptions``.
        attribute: sensitive attribute; None is the store's first.
        preset: ``fair``, ``acc``, ``paper``, ``quick``, or several with commas.
        searcher: name of the search algorithm.
        space: search space, ``default``, ``full`` (which decides about loss and augmentation too) or a TOML file.
        unfairness: which U the reward takes, ``plain`` or ``standardized``.
        min_group: smaller groups, in validation images, are left out of the reward.
        epochs: of a candidate that is trained to the end; None is the preset's.
        trials: candidates to train; a rejected one does not count, but at most four slots per trial are used.
        budget_hours: hours of searching, earlier calls included; no candidate but the first is begun that is predicted
            to end later.
        workers: processes of one thread each.
        placement: where workers run, ``local``.
        rungs: epochs that candidates are trained to before the best are chosen to go on, such as ``1,4,16``; ``auto``
            is a sixteenth, a quarter and all of ``epochs``, ``none`` trains all to the end.
        asynchronous: candidates go on as soon as they are among the best so far; not reproducible.
        seed: of everything.
        ratios: fixes the batch composition, ``natural``, ``uniform`` or a share per group.
        mitigation: in-training mitigation of every candidate, ``erm`` is plain; None is ``biasless``, or what the space
            decides.
        mitigation_options: its options; each goes before the file's of that name.
        network: fixes the network, by name or ``architecture.json``.
        warm_start: run folder or ledger of an earlier search in the same space on the same store; the searcher knows
            its candidates from the start. They are copied, so that the earlier search may be deleted.
        max_latency_ms: slower candidates are rejected untrained.
        force: replaces the search that is there.
        bootstrap: replicates of the audits' intervals.
        permutations: permutations of the audits' noise floors.

    Raises:
        MindgapError: an option, the store or the folder is wrong, or no candidate could be trained.
        KeyboardInterrupt: Ctrl-C; what was in work is kept, and the same call goes on.
    """
    given = locals() | {"warm_start": None if warm_start is None else str(warm_start)}
    options = merge_options(config, {name: given[name] for name in KEYWORDS if name in given})
    opened, folder, names = Store.open(store), Path(out), preset_names(options.preset)
    refuse_network_disk(folder)
    warning = ratios_warning(options, opened)
    if warning is not None:
        log.warning("%s", warning)
    if len(names) > 1:
        return _search_several(opened, folder, options, names, force=force)
    draft = _draft(opened, folder, options, force=force)
    return _search_one(opened, folder, options, draft, force=force)


def status(run: PathLike) -> dict[str, Any]:
    """Progress, rate and time left of a search that runs, was stopped, or is finished.

    Raises:
        RunError: the folder holds no search that has begun.
    """
    folder = Path(run)
    several = sorted(ledger.parent for ledger in folder.glob(f"*/{LEDGER_FILE}"))
    if several and not (folder / LEDGER_FILE).exists():
        return {one.name: search_status(one) for one in several}
    return search_status(folder)


def _search_several(
    store: Store, folder: Path, options: SearchOptions, names: Sequence[str], *, force: bool
) -> dict[str, Any]:
    asked = _asked(store, options, force=force)
    RunFolder.check(folder, **asked)
    shared = None if options.budget_hours is None else options.budget_hours / len(names)
    parts = {name: options.model_copy(update={"preset": name, "budget_hours": shared}) for name in names}
    drafts = {name: _draft(store, folder / name, part, anew=force) for name, part in parts.items()}
    with RunFolder.hold(folder, **asked) as run:
        records = {name: _search_one(store, folder / name, part, drafts[name]) for name, part in parts.items()}
        record = {"seed": options.seed, "excluded_groups": [], "trials": [], "front": [], "top": [], "chosen": None}
        record["presets"] = records
        write_json(folder / "search.json", record)
        run.finish(fingerprint=store.fingerprint)
    return record


def _draft(
    store: Store, folder: Path, options: SearchOptions, *, force: bool = False, anew: bool = False
) -> Draft | None:
    """The plan of a search that has none yet: made before its folder, so that a refused call leaves nothing.

    ``anew`` says that what is in the folder will be gone.
    """
    if not anew:
        RunFolder.check(folder, **_asked(store, options, force=force))
    if not force and not anew and _has_plan(folder):
        return None
    with progress(None, "timing blocks"):
        draft = make_draft(options, store, preset=options.preset)
    for remark in draft.remarks:
        log.warning("%s", remark)
    return draft


def _has_plan(folder: Path) -> bool:
    return (folder / LEDGER_FILE).exists()


def _search_one(
    store: Store, folder: Path, options: SearchOptions, draft: Draft | None, *, force: bool = False
) -> dict[str, Any]:
    with RunFolder.hold(folder, **_asked(store, options, force=force)) as run:
        _begin(run, store, options, draft)
        ledger = Ledger(ledger_url(folder))
        try:
            with announced(ledger):
                return _run(run, ledger, store, options)
        finally:
            ledger.close()


def _begin(run: RunFolder, store: Store, options: SearchOptions, draft: Draft | None) -> None:
    """Makes the ledger of a new search, with its plan and target in it; both are there before any worker can look."""
    if _has_plan(run.path):
        return
    draft = draft or make_draft(options, store, preset=options.preset)
    draft.keep_space(run.path)
    run.record(fingerprint=store.fingerprint, store_summary=store.info.model_dump(mode="json"))
    target = make_target(options, spent_s=0.0)
    notes = {
        "plan": draft.plan.model_dump(mode="json"),
        "target": target.model_dump(),
        RUNGS: draft.plan.rungs.model_dump(mode="json"),
        "expected_trials": draft.expected_trials,
    }
    create_ledger(ledger_url(run.path), notes)


def _run(run: RunFolder, ledger: Ledger, store: Store, options: SearchOptions) -> dict[str, Any]:
    notes = ledger.notes()
    plan = read_plan(notes)
    target = make_target(options, spent_s=notes.get("spent_s", 0.0), earlier=Target(**notes["target"]))
    ledger.note("target", target.model_dump())
    if run.state == "finished":
        record, slots = read_json(run.path / "search.json"), ledger.slots()
        if is_done(slots, target) and len(record["trials"]) == len(slots):
            return record
        run.reopen()
    if too_many_workers(options.workers, plan):
        log.warning("%s", too_many_workers(options.workers, plan))
    with progress(target.trials, "searching") as bar:
        Driver(run.path, ledger, workers=options.workers, on_change=_tidy_and_show(run.path, bar)).work()
    for slot in ledger.slots():  # of those given up, and of those whose worker was killed before it tidied up
        remove_checkpoints(run.path / "trials" / str(slot.number))
    record = search_record(ledger.slots(), plan, space=plan.open_space(store, run=run.path))
    write_json(run.path / "search.json", record)
    if record["chosen"] is None:
        raise RunError(f"{run.path}: {why_none(len(record['trials']), budget_hours=options.budget_hours)}")
    _finish(run, record, plan=plan, store=store, options=options)
    return record


def _finish(run: RunFolder, record: dict[str, Any], *, plan: SearchPlan, store: Store, options: SearchOptions) -> None:
    by_slot = {trial["slot"]: trial for trial in record["trials"]}
    chosen = by_slot[record["chosen"]]
    with progress(len(record["front"]) + 2, "auditing") as bar:

        def audit(predictions: Any) -> dict[str, Any]:
            found = audit_predictions(
                predictions, bootstrap=options.bootstrap, permutations=options.permutations, seed=options.seed
            )
            bar.advance()
            return found

        for slot in record["front"]:
            folder = trial_folder(run.path, by_slot[slot])
            write_json(folder / "metrics.json", {"validation": audit(validation_predictions(store, folder))})
        adopt(run.path, chosen)
        test_reads = _count_test_read(run) if len(store.rows("test")) else 0
        evaluation = evaluate_chosen(run.path, chosen, plan=plan, store=store)
        metrics = {
            "validation": audit(evaluation.validation),
            "test": None if evaluation.test is None else audit(evaluation.test),
            "cost": evaluation.cost,
            "training": training_record(chosen),
            "test_reads": test_reads,
        }
    write_json(run.path / "metrics.json", metrics)
    write_report(run.path)
    run.finish(modes=evaluation.modes)


def _count_test_read(run: RunFolder) -> int:
    """How often this search has met the test split, this time included; it is counted before it happens."""
    earlier = read_json(run.path / "provenance.json").get("test_reads", int((run.path / "metrics.json").exists()))
    run.record(test_reads=earlier + 1)
    return earlier + 1


def _asked(store: Store, options: SearchOptions, *, force: bool) -> dict[str, Any]:
    """What ``RunFolder`` is asked for."""
    own = {"store": str(store.path.resolve()), "fingerprint": store.fingerprint}
    return {
        "verb": "search",
        "options": own | options.model_dump(mode="json"),
        "force": force,
        "changeable": CHANGEABLE,
        "inputs": (store.path,),
    }


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
