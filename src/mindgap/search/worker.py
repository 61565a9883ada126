"""A worker process: ``python -m mindgap.search.worker RUN``, started by the driver or by hand."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindgap.core.errors import MindgapError
from mindgap.core.files import write_text
from mindgap.search.ledger_place import SPACE_TEXT, ledger_url
from mindgap.search.worker_files import agreed_artifacts, is_shared, working_folder

if TYPE_CHECKING:
    from mindgap.search.ledger import Ledger
    from mindgap.search.method_plan import MethodPlan
    from mindgap.search.plan import SearchPlan
    from mindgap.search.worker_loop import Worker

log = logging.getLogger(__name__)
GIVE_BACK_S = 5.0


def work(
    run: Path | None,
    *,
    url: str | None = None,
    store: str | None = None,
    artifacts: str | None = None,
    with_driver: bool = False,
) -> None:
    """Works on a search in this process, with one thread, until nothing is left to do.

    SIGTERM and Ctrl-C park the candidate at the end of its epoch.

    Args:
        run: folder of the search; None is where its driver has it.
        url: of the ledger; None is the run folder's own.
        store: path or address of the images, if not that with which the search began.
        artifacts: address of candidates' files, for a machine that does not see the run's folder; None is the search's.
        with_driver: stops at once when standard input closes, which is how a driver's death is seen.

    Raises:
        MindgapError: there is no such search, its store is not there, or neither its folder nor another place for
            candidates' files can be reached.
        KeyboardInterrupt: Ctrl-C, once the candidate is parked; not with a driver, which takes care of it.
    """
    from mindgap.search.ledger import Ledger
    from mindgap.search.method_plan import METHODS, read_method_plan
    from mindgap.search.plan import read_plan
    from mindgap.train.device import reproducible
    from mindgap.train.remembered import one_thread

    ledger = Ledger(url or ledger_url(run or Path()))
    try:
        notes = ledger.notes()
        plan = read_method_plan(notes) if METHODS in notes else read_plan(notes)
        files = agreed_artifacts(ledger, artifacts)
        if store is not None:
            plan = plan.model_copy(update={"store": store})
        with working_folder(run, notes, elsewhere=files is not None) as folder:
            worker = _make_worker(ledger, notes, plan, folder, files)
            if with_driver:
                threading.Thread(target=_stop_without_driver, args=(worker,), daemon=True).start()
            with one_thread(), reproducible(plan.training.device), _stopping(worker, ignore_ctrl_c=with_driver):
                worker.run()
    finally:
        ledger.close()


def _make_worker(
    ledger: Ledger, notes: Mapping[str, Any], plan: SearchPlan | MethodPlan, folder: Path, files: str | None
) -> Worker:
    """The worker of a plan, with its files in the folder and candidates' files at an address, if there is one."""
    from mindgap.search.artifacts import open_artifacts
    from mindgap.search.forecast import Forecast
    from mindgap.search.method_order import MethodOrder
    from mindgap.search.method_plan import MethodPlan
    from mindgap.search.method_runs import MethodRuns
    from mindgap.search.searcher_snapshot import make_snapshot
    from mindgap.search.trial import StoreCandidates
    from mindgap.search.worker_loop import Worker

    artifacts = open_artifacts(files, run=folder)
    if isinstance(plan, MethodPlan):
        return Worker(ledger, MethodOrder(plan), MethodRuns(folder, plan, artifacts=artifacts))
    if SPACE_TEXT in notes and not (folder / plan.space).exists():
        write_text(folder / plan.space, notes[SPACE_TEXT])
    candidates = StoreCandidates(folder, plan, artifacts=artifacts)
    searcher, fits = plan.make_searcher(candidates.space), Forecast(plan, candidates.space).fits
    snapshot = make_snapshot(plan, folder) if is_shared(folder) else None
    return Worker(ledger, searcher, candidates, fits=fits, snapshot=snapshot)


def main(arguments: Sequence[str] | None = None) -> int:
    """The process's entry point; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m mindgap.search.worker", description="Works on a search.")
    parser.add_argument("run", type=Path, help="folder of the search")
    parser.add_argument("--study", help="address of the ledger; the folder's own if it is not given")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        work(options.run, url=options.study, with_driver=True)
    except MindgapError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    return 0


@contextmanager
def _stopping(worker: Worker, *, ignore_ctrl_c: bool) -> Generator[None]:
    """While the block lasts SIGTERM parks the worker, and SIGUSR2, by which SLURM tells that a job's time is nearly up.

    So does Ctrl-C, unless the driver takes care of it.

    Ctrl-C is raised again after the block, for whoever called to see that the work was not ended.
    """
    came: set[int] = set()

    def stop(number: int, _: object) -> None:
        came.add(number)
        worker.stop.set()

    ctrl_c = signal.SIG_IGN if ignore_ctrl_c else stop
    wanted = {signal.SIGTERM: stop, signal.SIGUSR2: stop, signal.SIGINT: ctrl_c}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if signal.SIGINT in came:
        raise KeyboardInterrupt


def _stop_without_driver(worker: Worker) -> None:
    """Waits until the driver's end of the pipe is closed, gives back the candidate and ends the process.

    It reads the bare descriptor: a thread inside ``sys.stdin`` aborts the interpreter when that ends first.
    """
    while os.read(0, 1):
        pass
    try:
        if worker.current is not None:
            log.warning("the driver is gone: slot %d is given back", worker.current.slot)
            worker.ledger.end(worker.current.row, "parked", detail="the driver was gone", patience_s=GIVE_BACK_S)
    finally:  # what cannot be given back is found lost
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
