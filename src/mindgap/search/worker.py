"""A worker process: ``python -m mindgap.search.worker RUN``, started by the driver or by hand."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mindgap.core.errors import MindgapError
from mindgap.search.ledger_place import ledger_url

if TYPE_CHECKING:
    from mindgap.search.worker_loop import Worker

log = logging.getLogger(__name__)


def work(run: Path, *, url: str | None = None, store: Path | None = None, with_driver: bool = False) -> None:
    """Works on a search in this process, with one thread, until nothing is left to do.

    SIGTERM and Ctrl-C park the candidate at the end of its epoch.

    Args:
        run: folder of the search, for the candidates' files.
        url: of the ledger; None is the run folder's own.
        store: where the images are, if not where the search began.
        with_driver: stops at once when standard input closes, which is how a driver's death is seen.

    Raises:
        MindgapError: there is no such search, or its store is not there.
        KeyboardInterrupt: Ctrl-C, once the candidate is parked; not with a driver, which takes care of it.
    """
    from mindgap.search.ledger import Ledger
    from mindgap.search.plan import read_plan
    from mindgap.search.trial import StoreCandidates
    from mindgap.search.worker_loop import Worker
    from mindgap.train.remembered import one_thread

    ledger = Ledger(url or ledger_url(run))
    try:
        plan = read_plan(ledger.notes())
        if store is not None:
            plan = plan.model_copy(update={"store": str(store)})
        candidates = StoreCandidates(run, plan)
        worker = Worker(ledger, plan.make_searcher(candidates.space), candidates)
        if with_driver:
            threading.Thread(target=_stop_without_driver, args=(worker,), daemon=True).start()
        with one_thread(), _stopping(worker, ignore_ctrl_c=with_driver):
            worker.run()
    finally:
        ledger.close()


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
    if worker.current is not None:
        log.warning("the driver is gone: slot %d is given back", worker.current.slot)
        worker.ledger.end(worker.current.row, "parked", detail="the driver was gone")
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
