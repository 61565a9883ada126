"""Contestants timed in turns in one process, every round shown."""

from __future__ import annotations

import argparse
import ctypes
import math
import statistics
import time
from collections.abc import Callable, Iterable

import torch

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -2, -3, -4


def arguments(description: str, *, rounds: int) -> argparse.ArgumentParser:
    """The options that all benchmarks take."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds of each contestant")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: on a machine that others use")
    return parser


def clock(name: str) -> Callable[[], float]:
    """The clock of that name, in seconds; ``cpu`` is this process's own time."""
    return time.perf_counter if name == "wall" else time.process_time


def take_turns(contestants: dict[str, Callable[[], float]], *, rounds: int) -> dict[str, list[float]]:
    """Calls the contestants in turns; each gives its figure for one round. One warm-up round is not counted.

    Every other round goes backwards, so that none always follows the same one.
    """
    for play in contestants.values():
        play()
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(rounds):
        for name in list(contestants)[:: -1 if number % 2 else 1]:
            figures[name].append(contestants[name]())
    return figures


def show(title: str, figures: dict[str, list[float]], *, unit: str) -> None:
    """Prints every round and the median."""
    print(title)
    for name, values in figures.items():
        listed = " ".join(f"{value:.4g}" for value in values)
        print(f"  {name:<34} {listed}  median {statistics.median(values):.4g} {unit}")


def ratio(upper: list[float], lower: list[float]) -> float:
    """Median over the rounds of upper/lower, taken round by round, as neighbours in time share the machine's load."""
    return statistics.median(above / below for above, below in zip(upper, lower, strict=True))


def geometric_mean(values: Iterable[float]) -> float:
    """The geometric mean; NaN of nothing."""
    logarithms = [math.log(value) for value in values]
    return math.exp(statistics.fmean(logarithms)) if logarithms else math.nan


def stock_allocator() -> None:
    """Sets glibc's allocator to what a process that frees large tensors arrives at by itself."""
    mallopt = ctypes.CDLL(None).mallopt
    settings = {_M_MMAP_MAX: 65536, _M_MMAP_THRESHOLD: 32 * 2**20, _M_TRIM_THRESHOLD: 64 * 2**20, _M_TOP_PAD: 0}
    for name, value in settings.items():
        mallopt(name, value)


def our_allocator() -> None:
    """Sets it to what training sets it to."""
    from mindgap.train.memory import keep_freed_memory

    keep_freed_memory.cache_clear()
    keep_freed_memory()


def start(threads: int) -> None:
    """One line on where this runs."""
    torch.set_num_threads(threads)
    print(f"torch {torch.__version__}, {threads} thread(s), {torch.backends.cpu.get_cpu_capability()}")
