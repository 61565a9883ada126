"""What a trial costs beyond its training: local processes and Ray, ledger on SQLite and on PostgreSQL.

    python benchmarks/placement_overhead.py [--rounds 3] [--trials 40] [--workers 1]

Every round runs one search per placement and ledger, in turns, and then trains the same candidates in a plain loop
without any engine, in a process of its own: building the network, its epochs with their checkpoints, evaluation and
files are in both. Candidates are tiny (16 px, two epochs) and drawn at random, so that no worker waits for another's
reward. Overhead per trial, from the ledger's own times: from the end of a worker's trial to the beginning of its next
(reading the ledger, proposing, claiming), and what the same candidate takes longer within its trial than in the plain
loop (fences, heartbeats, the result); medians over the candidates. The start of processes and of Ray is in the time of
the whole call. Target: under 150 ms per trial.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rounds import arguments, show
from sqlalchemy import create_engine, text

from mindgap.search.ledger import Claim, Ledger
from mindgap.search.ledger_address import LedgerAddress
from mindgap.search.ledger_place import ledger_url
from mindgap.search.plan import read_plan
from mindgap.search.worker_process import ONE_THREAD
from mindgap.testing.postgres_server import PostgresServer
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store

TIMES = """SELECT number, datetime_start, datetime_complete
    FROM trials JOIN studies ON trials.study_id = studies.study_id WHERE study_name = :name"""
KINDS = ("sum", "between", "within", "wall")


def train_plainly(run: Path) -> None:
    """Trains the candidates of a run again, one after the other, and prints the seconds of each by its slot."""
    from mindgap.search.trial import StoreCandidates

    ledger = Ledger(ledger_url(run))
    plan, slots = read_plan(ledger.notes()), ledger.slots()
    ledger.close()
    seconds = {}
    with tempfile.TemporaryDirectory() as made:
        (Path(made) / plan.space).write_text((run / plan.space).read_text())
        candidates = StoreCandidates(Path(made), plan)
        for slot in slots:
            begin = time.perf_counter()
            claim = Claim(0, slot.number, 1, slot.tokens)
            candidates.train(claim, epoch_done=lambda _: None, between=lambda: None)
            candidates.settle(claim)
            seconds[slot.number] = time.perf_counter() - begin
    print(json.dumps(seconds))


def overhead_ms(run: Path, plain: dict[int, float]) -> tuple[float, float]:
    """Milliseconds per trial: between a worker's trials, and within them beyond the plain loop."""
    address = LedgerAddress.parse(ledger_url(run))
    ledger, engine = Ledger(ledger_url(run)), create_engine(address.database)
    attempts = {a.number: a for slot in ledger.slots() for a in slot.attempts if a.result and a.lease}
    ledger.close()
    with engine.connect() as connection:
        rows = connection.execute(text(TIMES), {"name": address.study}).all()
    engine.dispose()
    by_worker = defaultdict(list)
    for number, begun, ended in rows:
        if number in attempts:
            attempt = attempts[number]
            by_worker[attempt.lease.pid].append((_seconds(begun), _seconds(ended), attempt.slot))
    between, within = [], []
    for each in by_worker.values():
        each.sort()
        for earlier, later in itertools.pairwise(each):  # a worker's first trial also warms it up
            between.append(1000 * (later[0] - earlier[1]))
            within.append(1000 * (later[1] - later[0] - plain[later[2]]))
    return statistics.median(between), statistics.median(within)


def _seconds(value: Any) -> float:
    """SQLite gives times as text, PostgreSQL as times."""
    return (datetime.fromisoformat(value) if isinstance(value, str) else value).timestamp()


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--plain", type=Path, help="only trains the candidates of this run in a plain loop")
    options = parser.parse_args()
    if options.plain is not None:
        train_plainly(options.plain)
        return
    from mindgap.workflows.search import search

    figures: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in KINDS}
    with tempfile.TemporaryDirectory() as made, PostgresServer.start() as server:
        folder = Path(made)
        store = write_tiny_store(folder / "store")
        config = write_tiny_config(folder, searcher="random", searcher_options={})
        kinds = [(placement, ledger) for placement in ("local", "ray") for ledger in ("SQLite", "PostgreSQL")]
        for turn in range(options.rounds):
            runs: dict[str, Path] = {}
            for placement, ledger in kinds[:: -1 if turn % 2 else 1]:
                name, run = f"{placement}, {ledger}", folder / f"{placement}-{ledger}-{turn}"
                study = None if ledger == "SQLite" else server.url("bench", study=run.name)
                begin = time.perf_counter()
                search(
                    store, out=run, config=config, rungs="none", trials=options.trials, workers=options.workers,
                    placement=placement, study=study,
                )  # fmt: skip
                figures["wall"][name].append(time.perf_counter() - begin)
                runs[name] = run
            command = [sys.executable, __file__, "--plain", str(runs["local, SQLite"])]
            shown = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True, check=True)
            plain = {int(slot): seconds for slot, seconds in json.loads(shown.stdout).items()}
            figures["wall"]["plain loop, training alone"].append(sum(plain.values()))
            for name, run in runs.items():
                between, within = overhead_ms(run, plain)
                for kind, value in (("between", between), ("within", within), ("sum", between + within)):
                    figures[kind][name].append(value)
    print(f"{options.trials} trials, {options.workers} workers, {options.rounds} rounds; target 150 ms per trial")
    show("overhead per trial", figures["sum"], unit="ms")
    show("  from the end of a trial to the beginning of the next", figures["between"], unit="ms")
    show("  within a trial, beyond the plain loop", figures["within"], unit="ms")
    show("the whole call, start of Ray, auditing and report included", figures["wall"], unit="s")


if __name__ == "__main__":
    main()
