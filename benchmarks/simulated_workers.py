"""Many simulated workers on one PostgreSQL: how many trials an hour the ledger bears, and where they wait.

    python benchmarks/simulated_workers.py [--workers 32] [--trials 1000] [--sleep 0.5] [--rungs 1 5 20]

Each worker is a process that runs the worker's own loop on the real ledger; a trial sleeps instead of training, and
torch is not imported. The processes are forked from one that has the imports, so that hundreds fit into the memory of a
small machine. They claim to be on as many hosts as there are groups of eight, so that heartbeats and not process tables
tell who lives. Meanwhile the server is asked five times a second what its connections wait for. At the end the ledger
is checked: every slot was trained once to each of its rungs, no row twice, no number missing.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import psycopg

from mindgap.search.agenda import Target
from mindgap.search.lease import Lease
from mindgap.search.ledger import RUNGS, Claim, Ledger, create_ledger
from mindgap.search.reward import Reward
from mindgap.search.searchers.random import RandomSearcher
from mindgap.search.worker_loop import Trained, Worker
from mindgap.testing.postgres_server import USER, PostgresServer
from mindgap.testing.token_game import SmallSpace, TokenGame

SPACE = SmallSpace(positions=10)
REWARD = Reward(alpha=0.2, beta=0.8, accuracy_floor=0.0, infeasible=-1.0)
EPOCHS = 2
WORKERS_PER_HOST = 8
SAFE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
PADDING = "x" * 2000  # a described architecture is about as long


@dataclass
class Sleeper:
    """Candidates that take their time and learn nothing."""

    sleep_s: float
    reward: Reward = REWARD
    game: TokenGame = field(default_factory=lambda: TokenGame(SPACE, seed=5))

    def rejection(self, tokens: tuple[int, ...]) -> Mapping[str, Any] | None:  # noqa: ARG002  (nothing is)
        """Nothing is rejected."""
        return None

    def train(self, claim: Claim, *, epoch_done: Callable[[int], None], between: Callable[[], None]) -> Trained:
        """Sleeps, in epochs."""
        for epoch in range(1, EPOCHS + 1):
            between()
            time.sleep(self.sleep_s / EPOCHS * random.uniform(0.5, 1.5))
            epoch_done(epoch)
        accuracy = 0.5 + 0.1 * self.game.reward(claim.slot, claim.tokens)
        record = {"reward": accuracy, "accuracy": accuracy, "unfairness": 0.1, "macs": 10**6, "worker": os.getpid()}
        return Trained({**record, "architecture": {"padding": PADDING}}, (accuracy, 0.1, 1e6))

    def keep_error(self, claim: Claim, text: str) -> None:
        """Shows a crash; the check at the end finds its slot."""
        print(f"slot {claim.slot}: {text}", file=sys.stderr)

    def settle(self, claim: Claim) -> None:
        """Nothing to tidy up."""


def work(url: str, number: int, *, sleep_s: float, seed: int) -> None:
    """One worker's process."""
    host = f"simulated-{number // WORKERS_PER_HOST}"
    mine = Lease.current().model_copy(update={"host": host})
    Lease.current = classmethod(lambda _: mine)  # pyright: ignore[reportAttributeAccessIssue]
    ledger = Ledger(url)
    Worker(ledger, RandomSearcher(SPACE, seed=seed), Sleeper(sleep_s)).run()
    ledger.close()


def start(url: str, workers: int, *, sleep_s: float) -> list[int]:
    """Forks the workers; they end when the search is done."""
    gc.collect()
    gc.freeze()
    children = []
    for number in range(workers):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                work(url, number, sleep_s=sleep_s, seed=0)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    return children


@dataclass
class Samples:
    """What connections were seen to do."""

    looks: int = 0
    most_connections: int = 0
    waits: Counter[str] = field(default_factory=Counter)
    most_waiting_for_locks: int = 0

    def take(self, rows: list[tuple[str | None, str | None, str | None]]) -> None:
        """Takes in one look at ``pg_stat_activity``."""
        self.looks += 1
        self.most_connections = max(self.most_connections, len(rows))
        busy = [f"{kind}:{event}" for state, kind, event in rows if state != "idle" and kind and kind != "Client"]
        self.waits.update(busy)
        self.waits["running"] += sum(state == "active" and not kind for state, kind, _ in rows)
        self.most_waiting_for_locks = max(self.most_waiting_for_locks, sum(wait.startswith("Lock:") for wait in busy))


def watch(server: PostgresServer, children: list[int], *, trials: int) -> tuple[Samples, list[float]]:
    """Samples the server until all workers have ended; also when each tenth of the trials was done."""
    samples, tenths, alive = Samples(), [0.0], set(children)
    begun = time.perf_counter()
    query = "SELECT state, wait_event_type, wait_event FROM pg_stat_activity WHERE application_name = 'mindgap'"
    done = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
    place = f"host=127.0.0.1 port={server.port} user={USER} dbname=simulated"
    with psycopg.connect(place, autocommit=True) as connection:
        while alive:
            samples.take(connection.execute(query).fetchall())
            if samples.looks % 10 == 0:
                (count,) = connection.execute(done).fetchone() or (0,)
                while count >= len(tenths) * trials / 10:
                    tenths.append(time.perf_counter() - begun)
            alive -= {child for child in alive if _ended(child)}
            time.sleep(0.2)
    return samples, tenths


def _ended(child: int) -> bool:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended and status:
        sys.exit(f"worker {child} ended with status {status}")
    return bool(ended)


def check(url: str, trials: int) -> dict[str, Any]:
    """What became of the search; raises if a trial was lost or done twice."""
    ledger = Ledger(url)
    begun = time.perf_counter()
    slots = ledger.slots()
    read_s = time.perf_counter() - begun
    numbers = sorted(attempt.number for slot in slots for attempt in slot.attempts)
    ledger.close()
    assert [slot.number for slot in slots] == list(range(trials)), "a slot is missing or there are more than asked for"
    assert all(slot.state in {"complete", "pruned"} for slot in slots), "a slot is not settled"
    trained = [[attempt.rung for attempt in slot.attempts if attempt.result is not None] for slot in slots]
    assert all(rungs == list(range(slot.fate.aim + 1)) for rungs, slot in zip(trained, slots, strict=True)), "twice"
    assert numbers == list(range(len(numbers))), "a row's number is missing or there twice"
    searcher = RandomSearcher(SPACE, seed=0)
    assert all(slot.tokens == searcher.ask(slot.number) for slot in slots), "a slot has another candidate than alone"
    share = Counter(found["worker"] for slot in slots for found in slot.judged.values())
    return {
        "attempts": len(numbers), "without_a_result": len(numbers) - sum(map(len, trained)),
        "reached": [sum(rung in rungs for rungs in trained) for rung in range(max(map(len, trained)))],
        "first_read_s": round(read_s, 2), "least_of_a_worker": min(share.values()),
        "workers_with_one": len(share),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--sleep", type=float, default=0.5, help="seconds of a trial, on average")
    parser.add_argument("--rungs", type=int, nargs="+", default=[EPOCHS], help="epochs; each takes as long to reach")
    options = parser.parse_args()
    assert "torch" not in sys.modules
    with PostgresServer.start(max_connections=2 * options.workers + 20, **SAFE) as server:
        url = server.url("simulated", study="simulated")
        create_ledger(url, {"target": Target(trials=options.trials).model_dump(), RUNGS: {"epochs": options.rungs}})
        begun = time.perf_counter()
        children = start(url, options.workers, sleep_s=options.sleep)
        samples, tenths = watch(server, children, trials=options.trials)
        took = time.perf_counter() - begun
        found = check(url, options.trials)
    done = found["attempts"]
    rate, busy_ms = done / took, 1000 * took * options.workers / done
    cpu = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{options.workers} workers, {options.trials} trials, {done} attempts of {options.sleep} s: {took:.1f} s, ",
        end="",
    )
    print(f"{rate:.1f} attempts/s; a worker was busy {busy_ms:.0f} ms per attempt")
    cpu_ms = 1000 * (cpu.ru_utime + cpu.ru_stime) / done
    print(f"  processor time of the workers and the server: {cpu_ms:.0f} ms per attempt")
    print(f"  attempts/s, for each {options.trials // 10}:", " ".join(
        f"{options.trials / 10 / (b - a):.1f}" if b > a else "-" for a, b in pairwise(tenths)
    ))  # fmt: skip
    print(f"  looks at the server: {samples.looks}; most connections {samples.most_connections}; ", end="")
    print(f"most waiting for a lock at once {samples.most_waiting_for_locks}")
    per_look = {name: round(count / samples.looks, 2) for name, count in samples.waits.most_common(8)}
    print(f"  connections per look, by what they wait for: {json.dumps(per_look)}")
    print(f"  checked: {json.dumps(found)}")


if __name__ == "__main__":
    main()
