"""What a trial costs beyond its training: local processes and Ray, ledger on SQLite and on PostgreSQL.

    python benchmarks/placement_overhead.py [--rounds 3] [--trials 40] [--workers 2]

Every round runs one search per placement and ledger, in turns. Candidates are tiny (16 px, two epochs) and drawn at
random, so that no worker waits for another's reward. Per trial, from the ledger's own times: from the end of a worker's
trial to the beginning of its next (reading the ledger, proposing, claiming), and the trial itself less its epochs
(building the network, the fence of each epoch, checkpoints, evaluation, the files, the result). The start of processes
and of Ray is shown apart, once per search. Target: under 150 ms per trial.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from rounds import arguments, show
from sqlalchemy import create_engine, text

from mindgap.search.ledger import Ledger
from mindgap.search.ledger_address import LedgerAddress
from mindgap.search.ledger_place import ledger_url
from mindgap.testing.postgres_server import PostgresServer
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.search import search

TIMES = """SELECT number, datetime_start, datetime_complete
    FROM trials JOIN studies ON trials.study_id = studies.study_id WHERE study_name = :name"""
KINDS = ("sum", "between", "within", "wall")


def overhead_ms(run: Path) -> tuple[float, float]:
    """Milliseconds per trial: between a worker's trials, and within them beside their epochs."""
    address = LedgerAddress.parse(ledger_url(run))
    ledger, engine = Ledger(ledger_url(run)), create_engine(address.database)
    attempts = {a.number: a for slot in ledger.slots() for a in slot.attempts if a.result and a.lease}
    ledger.close()
    with engine.connect() as connection:
        rows = connection.execute(text(TIMES), {"name": address.study}).all()
    engine.dispose()
    by_worker, within = defaultdict(list), []
    for number, begun, ended in rows:
        if number in attempts:
            begin, end = _seconds(begun), _seconds(ended)
            by_worker[attempts[number].lease.pid].append((begin, end))
            within.append(1000 * (end - begin - attempts[number].result["seconds"]))
    pairs = [pair for each in by_worker.values() for pair in zip(sorted(each), sorted(each)[1:], strict=False)]
    between = [1000 * (later[0] - earlier[1]) for earlier, later in pairs]
    return statistics.mean(between), statistics.mean(within)


def _seconds(value: object) -> float:
    """SQLite gives times as text, PostgreSQL as times."""
    from datetime import datetime

    return (datetime.fromisoformat(value) if isinstance(value, str) else value).timestamp()


def main() -> None:
    parser = arguments(__doc__, rounds=3)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    figures: dict[str, dict[str, list[float]]] = {
        name: defaultdict(list) for name in ("sum", "between", "within", "wall")
    }
    with tempfile.TemporaryDirectory() as made, PostgresServer.start() as server:
        folder = Path(made)
        store, config = (
            write_tiny_store(folder / "store"),
            write_tiny_config(folder, searcher="random", searcher_options={}),
        )
        kinds = [(placement, ledger) for placement in ("local", "ray") for ledger in ("SQLite", "PostgreSQL")]
        for turn in range(options.rounds):
            for placement, ledger in kinds[:: -1 if turn % 2 else 1]:
                name, run = f"{placement}, {ledger}", folder / f"{placement}-{ledger}-{turn}"
                study = None if ledger == "SQLite" else server.url("bench", study=run.name)
                begin = time.perf_counter()
                search(
                    store, out=run, config=config, rungs="none", trials=options.trials, workers=options.workers,
                    placement=placement, study=study,
                )  # fmt: skip
                figures["wall"][name].append(time.perf_counter() - begin)
                between, within = overhead_ms(run)
                for kind, value in (("between", between), ("within", within), ("sum", between + within)):
                    figures[kind][name].append(value)
    print(
        f"{options.trials} trials, {options.workers} workers, {options.rounds} rounds in turns; target 150 ms per trial"
    )
    show("overhead per trial, in all", figures["sum"], unit="ms")
    show("  from the end of a trial to the beginning of the next", figures["between"], unit="ms")
    show("  within a trial, beside its epochs", figures["within"], unit="ms")
    show("the whole call, start of Ray, auditing and report included", figures["wall"], unit="s")


if __name__ == "__main__":
    main()
