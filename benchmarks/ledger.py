"""What the ledger costs: per trial, and with many recorded trials, on SQLite and on PostgreSQL.

    python benchmarks/ledger.py [--trials 1000 10000] [--rounds 5] [--searcher reinforce] [--rungs 1 5 20] [--page]

A step is all that a worker asks of the ledger and the searcher for one trial: look for dead workers, read, decide what
to do, tell outcomes, propose, claim, one heartbeat, one epoch, complete. SQLite and PostgreSQL take turns. The trials
before it are recorded at once, and with `--rungs` those that were promoted are completed at every rung, one by one;
`--page` also times the report page of such a search. PostgreSQL is started here, with its defaults but for
max_connections: every commit is flushed to disk.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rounds import show

from mindgap.report.document import write_report
from mindgap.search.agenda import Target, next_job, propose, rung_due
from mindgap.search.lease import Lease
from mindgap.search.ledger import RUNGS, Ledger, Wanted, create_ledger
from mindgap.search.reward import Reward
from mindgap.search.searcher import SEARCHERS, AbstractSearcher
from mindgap.search.searcher_snapshot import SearcherSnapshot
from mindgap.search.slot import Slot
from mindgap.space.search_space import SearchSpace
from mindgap.testing.made_ledger import fill_ledger
from mindgap.testing.postgres_server import PostgresServer

REWARD = Reward(alpha=0.2, beta=0.8, accuracy_floor=0.0, infeasible=-1.0)
SAFE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
DISTINCT = 500  # candidates; each is recorded many times


class Recorded:
    """Candidates of the default space with made-up results, as a search records them."""

    def __init__(self) -> None:
        counts = {"young": 900, "middle": 4000, "old": 2100}
        self.space = SearchSpace.load("default", num_classes=7, input_px=64, group_counts=counts)
        searcher = SEARCHERS.get("random")(self.space, seed=0)
        self._tokens = [searcher.ask(slot) for slot in range(DISTINCT)]
        self._described = [self._describe(tokens) for tokens in self._tokens]

    def _describe(self, tokens: tuple[int, ...]) -> dict[str, Any]:
        from mindgap.search.trial import describe_candidate

        return describe_candidate(self.space.decode(tokens))

    def tokens(self, slot: int) -> tuple[int, ...]:
        """The candidate of a slot."""
        return self._tokens[slot % DISTINCT]

    def result(self, slot: int) -> dict[str, Any]:
        """What training it found."""
        drawn = np.random.default_rng(slot)
        accuracy, unfairness = float(drawn.uniform(0.5, 0.8)), float(drawn.uniform(0.02, 0.3))
        groups = {name: accuracy + float(drawn.normal(0, 0.05)) for name in ("young", "middle", "old")}
        return {
            **self._described[slot % DISTINCT],
            "reason": None, "reward": REWARD(accuracy, unfairness), "accuracy": accuracy, "unfairness": unfairness,
            "groups": groups, "epochs": 4, "image_passes": 28_000, "seconds": 50.0,
        }  # fmt: skip


class Contestant:
    """A ledger with recorded trials, and a worker's look at it."""

    def __init__(self, url: str, recorded: Recorded, *, trials: int, searcher: str, rungs: Sequence[int]) -> None:
        self.recorded, self.trials = recorded, trials
        notes = {"target": Target(trials=10 * trials + 1000).model_dump(), RUNGS: {"epochs": list(rungs)}}
        create_ledger(url, notes | {"plan": {"padding": "x" * 100_000}})
        fill_ledger(url, trials, tokens=recorded.tokens, result=recorded.result)
        self.ledger = Ledger(url)
        while open_slots := [slot for slot in self.ledger.slots() if slot.state == "open"]:
            for slot in open_slots:
                self._train(_go_on(slot))
        self.ledger.close()
        begun = time.perf_counter()
        self.ledger = Ledger(url)
        self.slots = self.ledger.slots()
        self.read_s = time.perf_counter() - begun
        self.searcher: AbstractSearcher = SEARCHERS.get(searcher)(recorded.space, seed=0)
        with tempfile.TemporaryDirectory() as folder:
            first, self.replay_s = self._resume(self.searcher, Path(folder))
            again = SEARCHERS.get(searcher)(recorded.space, seed=0)
            second, self.snapshot_s = self._resume(again, Path(folder))
            if first != second:
                raise AssertionError(f"from the snapshot the candidate is {second}, replayed it is {first}")

    def _resume(self, searcher: AbstractSearcher, folder: Path) -> tuple[tuple[int, ...], tuple[float, float]]:
        """The next candidate; seconds and processor seconds until it is known, with the snapshot if there is one."""
        snapshot, past = SearcherSnapshot(folder, key="benchmark"), self.slots[: searcher.visible(self.trials)]
        begun, cpu = time.perf_counter(), time.process_time()
        snapshot.restore(searcher, past, reward=REWARD)
        tokens = propose(searcher, self.slots, len(self.slots), reward=REWARD)
        took = time.perf_counter() - begun, time.process_time() - cpu
        snapshot.keep(searcher, past, reward=REWARD)
        return tokens, took

    def step(self) -> tuple[float, float]:
        """One trial; milliseconds in all, and of the ledger alone."""
        begun = time.perf_counter()
        self.ledger.end_lost()
        slots, target = self.ledger.slots(), Target(**self.ledger.noted("target"))
        read = time.perf_counter()
        job = next_job(slots, self.searcher, target)
        if job.kind == "resume":
            wanted = _go_on(slots[job.slot])
        else:
            assert job.kind == "begin", job
            wanted = Wanted(job.slot, propose(self.searcher, slots, job.slot, reward=REWARD))
        proposed = time.perf_counter()
        self._train(wanted)
        ended = time.perf_counter()
        return 1000 * (ended - begun), 1000 * (ended - begun - (proposed - read))

    def _train(self, wanted: Wanted) -> None:
        claim = self.ledger.claim(wanted, lease=Lease.current())
        assert claim is not None
        self.ledger.beat(claim)
        self.ledger.epoch_done(claim, 1)
        result = self.recorded.result(wanted.slot)
        self.ledger.complete(claim, result=result, values=(result["accuracy"], result["unfairness"], result["macs"]))


def _go_on(slot: Slot) -> Wanted:
    return Wanted(slot.number, slot.tokens, attempt=slot.last.attempt + 1, rung=rung_due(slot))


def measure(
    recorded: Recorded, urls: dict[str, str], *, trials: int, rounds: int, searcher: str, rungs: Sequence[int]
) -> dict[str, float]:
    """Times a step on every database in turns, and prints all rounds; the medians of the whole step by database."""
    contestants = {
        name: Contestant(url, recorded, trials=trials, searcher=searcher, rungs=rungs) for name, url in urls.items()
    }
    whole: dict[str, list[float]] = {name: [] for name in contestants}
    ledger: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds + 1):
        for name, contestant in contestants.items():
            took, own = contestant.step()
            if number:
                whole[name].append(took)
                ledger[name].append(own)
    print(f"== {trials} recorded trials")
    for name, contestant in contestants.items():
        print(
            f"  {name:<12} open and first read {contestant.read_s:.2f} s, "
            f"{searcher} told {contestant.searcher.told} outcomes in {contestant.replay_s[0]:.2f} s "
            f"({contestant.replay_s[1]:.2f} s CPU); from its snapshot, if it has one, {contestant.snapshot_s[0]:.2f} s "
            f"({contestant.snapshot_s[1]:.2f} s CPU)"
        )
        contestant.ledger.close()
    show("ask + tell: one trial's step, all of it", whole, unit="ms")
    show("  of it the ledger's calls", ledger, unit="ms")
    return {name: statistics.median(values) for name, values in whole.items()}


def page(recorded: Recorded, trials: int) -> None:
    """Times the report page of a search of so many trials, from its search.json."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        write_run(run, recorded, trials)
        begun, cpu = time.perf_counter(), time.process_time()
        written = write_report(run)
        took, cpu = time.perf_counter() - begun, time.process_time() - cpu
        megabytes = [(run / name).stat().st_size / 2**20 for name in ("search.json", written.name)]
    print(
        f"report of {trials} trials: {took:.1f} s ({cpu:.1f} s CPU); "
        f"search.json {megabytes[0]:.1f} MB, page {megabytes[1]:.2f} MB"
    )


def write_run(run: Path, recorded: Recorded, trials: int) -> None:
    """The files of a finished search that its page is made from."""
    records = [record(recorded, slot) for slot in range(trials)]
    order = sorted(records, key=lambda trial: -trial["reward"])
    search = {
        "seed": 0, "attribute": "age", "preset": "fair", "searcher": "reinforce", "unfairness": "plain",
        "excluded_groups": [], "trials": records, "front": front(records), "top": [one["slot"] for one in order[:5]],
        "chosen": order[0]["slot"],
    }  # fmt: skip
    (run / "search.json").write_text(json.dumps(search, indent=1))
    (run / "config.toml").write_text('verb = "search"\n[options]\nstore = "store"\n')


def record(recorded: Recorded, slot: int) -> dict[str, Any]:
    """A trial of search.json."""
    own = {"slot": slot, "state": "complete", "attempts": 1, "attempt": 1, "tokens": list(recorded.tokens(slot))}
    return own | recorded.result(slot)


def front(records: Sequence[dict[str, Any]]) -> list[int]:
    """The slots that no other beats."""
    from mindgap.search.result import pareto_front

    return pareto_front(list(records), floor=0.0)


def whole_record(url: str) -> tuple[float, list[Slot]]:
    """Seconds to read everything for a report, architectures too."""
    begun = time.perf_counter()
    ledger = Ledger(url)
    slots = ledger.slots(whole=True)
    ledger.close()
    return time.perf_counter() - begun, slots


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--searcher", default="reinforce")
    parser.add_argument("--rungs", type=int, nargs="+", default=[4], help="epochs")
    parser.add_argument("--page", action="store_true", help="time the report page too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    recorded, medians = Recorded(), {}
    with PostgresServer.start(**SAFE) as server, tempfile.TemporaryDirectory() as folder:
        for trials in options.trials:
            urls = {
                "SQLite": f"sqlite:///{folder}/{trials}.db",
                "PostgreSQL": server.url("benchmark", study=f"of {trials}"),
            }
            how = {"rounds": options.rounds, "searcher": options.searcher, "rungs": options.rungs}
            medians[trials] = measure(recorded, urls, trials=trials, **how)
            for name, url in urls.items():
                took, slots = whole_record(url)
                print(f"  {name:<12} all {len(slots)} trials with their architectures, for a report: {took:.2f} s")
    first, last = options.trials[0], options.trials[-1]
    if last > first:
        for name in medians[first]:
            print(
                f"growth from {first} to {last} trials, {name}: {medians[last][name] / medians[first][name]:.2f} times"
            )
    if options.page:
        page(recorded, options.trials[-1])


if __name__ == "__main__":
    main()
