"""What is timed before slot 0 and then never again, so that no candidate depends on the machine's load.

A search keeps what was timed in its ledger. Searches with the same question on the same machine also share it through a
cache file, so that the same seed finds the same candidates in all of them.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import torch
from pydantic import ValidationError

from mindgap.core.config import StrictModel
from mindgap.core.errors import CapacityError
from mindgap.core.files import write_text
from mindgap.core.seed import numpy_generator
from mindgap.space.architecture import Architecture
from mindgap.space.latency_measurement import measure_latency_table
from mindgap.space.latency_table import BlockLatencyTable
from mindgap.space.search_space import SearchSpace
from mindgap.train.device import choose_device
from mindgap.train.loop import TrainSettings
from mindgap.train.precision import PrecisionPlan, make_plan, plan_for_architectures

SAMPLE = 48
WAY = 2  # of timing; raise it when a timing means something else than before, so that remembered ones are not taken
ModelT = TypeVar("ModelT", bound=StrictModel)


def precision_plan(space: SearchSpace, training: TrainSettings) -> PrecisionPlan:
    """How each part of a candidate is computed: timed on a sample of the space, or as the settings fix it."""
    sample = sample_architectures(space)
    if training.precision != "auto" or training.device != "cpu":
        device = choose_device(training.device)
        return make_plan(training.precision, sample[0], batch_size=training.batch_size, device=device)
    question = "\n".join([str(training.batch_size), *(architecture.to_json() for architecture in sample)])
    return _remembered(
        "precision",
        question,
        PrecisionPlan,
        measure=lambda: plan_for_architectures(sample, batch_size=training.batch_size),
    )


def latency_table(space: SearchSpace) -> BlockLatencyTable:
    """Milliseconds of every part of the space for one image."""
    fixed = "" if space.fixed_network is None else space.fixed_network.to_json()
    question = f"{space.describe()}\n{space.input_px}\n{space.num_classes}\n{fixed}"
    return _remembered("latency", question, BlockLatencyTable, measure=lambda: measure_latency_table(space))


def sample_architectures(space: SearchSpace) -> list[Architecture]:
    """Architectures drawn at random from a space, the same ones every time."""
    sample = []
    for number in range(SAMPLE):
        generator, episode = numpy_generator("sample", number), space.start()
        while episode.decision is not None:
            valid = episode.mask().nonzero()[0]
            episode.choose(int(generator.choice(valid)))
        sample.append(episode.candidate().architecture)
    return sample


@contextmanager
def one_thread() -> Generator[None]:
    """Computes with one thread, as workers do, while the block lasts."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/mindgap``, or ``~/.cache/mindgap``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mindgap"


def _remembered(kind: str, question: str, model: type[ModelT], *, measure: Callable[[], ModelT]) -> ModelT:
    machine = f"{platform.node()} {platform.machine()} {torch.__version__} {torch.backends.cpu.get_cpu_capability()}"
    machine += f" mindgap {version('mindgap')}, way {WAY}"
    digest = hashlib.blake2b(f"{machine}\n{question}".encode(), digest_size=12).hexdigest()
    path = cache_folder() / f"{kind}-{digest}.json"
    with suppress(OSError, ValidationError):
        return model.model_validate_json(path.read_text(encoding="utf-8"))
    with one_thread():
        measured = measure()
    with suppress(CapacityError):  # searches work without a cache
        write_text(path, measured.model_dump_json())
    return measured
