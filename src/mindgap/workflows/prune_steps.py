"""The iterations of a pruning, each in a folder of its own: choose, remove, fine-tune, judge, decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindgap.core.files import jsonable, read_json, write_json
from mindgap.core.progress import Progress
from mindgap.core.seed import derive_seed
from mindgap.metrics.predictions import write_predictions
from mindgap.prune.layers import choose_layers
from mindgap.prune.schedule import decide
from mindgap.prune.surgery import remove_channels
from mindgap.search.chosen import kept_probabilities
from mindgap.space.architecture import Architecture, load_network, save_network
from mindgap.space.network import Network
from mindgap.train.fine_tuning import FineTuned, fine_tune
from mindgap.train.modes import Mode
from mindgap.workflows.prune_choice import channel_choice
from mindgap.workflows.prune_job import PruneJob
from mindgap.workflows.prune_standing import gap_changes, validation_figures

RECORD, PREDICTIONS = "record.json", "predictions.parquet"


@dataclass(frozen=True, eq=False)
class Step:
    """A network of the pruning, and what is known of it.

    Attributes:
        architecture: as data.
        network: on the CPU.
        channels: of every pruned layer, which of the channels it had before pruning are left, by their numbers then.
        validation: float64 (n, C), probabilities of the validation rows.
        record: what ``prune.json`` says of it.
    """

    architecture: Architecture
    network: Network
    channels: Mapping[str, tuple[int, ...]]
    validation: NDArray[np.float64]
    record: dict[str, Any]

    @property
    def modes(self) -> tuple[Mode, ...]:
        """How its parts were computed."""
        return tuple(self.record["modes"])


def first_step(job: PruneJob, folder: Path) -> Step:
    """The network before pruning, as the run left it."""
    model, rows = job.model, job.store.rows("validation")
    layers = choose_layers(model.network, job.options.layers)
    counts = job.channel_counts(model.network, layers)
    if (folder / RECORD).is_file():
        record = read_json(folder / RECORD)
        chances = kept_probabilities(job.store, folder, "validation")
    else:
        chances = job.probabilities(model.network, model.architecture, rows, modes=model.modes)
        predictions = job.predictions(rows, chances)
        folder.mkdir(parents=True, exist_ok=True)
        write_predictions(folder / PREDICTIONS, predictions, split="validation")
        record = jsonable(
            {
                "iteration": 0,
                "removed": {},
                "channels": counts,
                "weights": None,
                "validation": job.audit(predictions),
                "cost": job.cost(model.architecture),
                "modes": list(model.modes),
            }
        )
        write_json(folder / RECORD, record)
    channels = {name: tuple(range(count)) for name, count in counts.items()}
    return Step(model.architecture, model.network, channels, chances, record)


def next_step(job: PruneJob, folder: Path, bar: Progress, *, first: Step, before: Step, iteration: int) -> Step:
    """One iteration, or what is left to do of it.

    Raises:
        MindgapError: the channels cannot be scored or removed, or fine-tuning failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    choice = channel_choice(job, folder, before.network, before.channels, iteration=iteration, bar=bar)
    left = {
        name: tuple(number for place, number in enumerate(numbers) if place not in set(choice["places"][name]))
        for name, numbers in before.channels.items()
    }
    if (folder / RECORD).is_file():
        architecture, network = load_network(folder)
        chances = kept_probabilities(job.store, folder, "validation")
        return Step(architecture, network.eval(), left, chances, read_json(folder / RECORD))
    bar.describe(f"iteration {iteration}: fine-tuning")
    pruned = remove_channels(before.architecture, before.network, choice["places"])
    tuned = tune(job, pruned.network, pruned.architecture, folder / "fine_tuning", iteration=iteration, bar=bar)
    rows = job.store.rows("validation")
    chances = job.probabilities(tuned.network, pruned.architecture, rows, modes=tuned.modes or None)
    network = tuned.network.to("cpu")
    save_network(folder, pruned.architecture, network)
    predictions = job.predictions(rows, chances)
    write_predictions(folder / PREDICTIONS, predictions, split="validation")
    audit = job.audit(predictions)
    record = {
        "iteration": iteration,
        **{name: choice[name] for name in ("removed", "dead", "weights", "weights_path")},
        "channels": {name: len(numbers) for name, numbers in left.items()},
        "validation": audit,
        "cost": job.cost(pruned.architecture),
        "training": training_record(tuned),
        "modes": list(tuned.modes),
        "decision": _decision(job, iteration, audit, chances, first=first, before=before),
    }
    write_json(folder / RECORD, jsonable(record))
    return Step(pruned.architecture, network, left, chances, read_json(folder / RECORD))


def _decision(
    job: PruneJob, iteration: int, audit: dict[str, Any], chances: NDArray[np.float64], *, first: Step, before: Step
) -> dict[str, Any]:
    """What follows from an iteration, with the paired changes of what decides."""
    audits = (audit, before.record["validation"], first.record["validation"])
    now, was, start = (validation_figures(of, job.attributes, job.options.gap) for of in audits)
    decision = decide(job.options, iteration, first=start, before=was, now=now)
    changes = gap_changes(job, first=first.validation, before=before.validation, now=chances)
    return {**vars(decision), "left_out": list(decision.left_out), "changes": changes}


def tune(
    job: PruneJob, network: Network, architecture: Architecture, folder: Path, *, iteration: int, bar: Progress
) -> FineTuned:
    """Fine-tunes a network of the job, watching the accuracy on the validation rows."""
    rows, (groups, more) = job.store.rows("validation"), job.groups()

    def watch(network: Network, modes: Sequence[Mode]) -> float:
        return job.accuracy(rows, job.probabilities(network, architecture, rows, modes=modes))

    return fine_tune(
        network,
        job.store,
        architecture=architecture,
        settings=job.settings.model_copy(update={"seed": derive_seed(job.options.seed, "fine-tuning", iteration)}),
        groups=groups,
        more_groups=more,
        watch=watch,
        patience=job.options.patience,
        folder=folder,
        on_epoch=lambda _: bar.advance(),
    )


def training_record(tuned: FineTuned) -> dict[str, Any]:
    """What a fine-tuning took and reached."""
    return {
        "epochs": len(tuned.epochs),
        "best_epoch": tuned.best_epoch,
        "validation_accuracy": list(tuned.figures),
        "image_passes": tuned.image_passes,
        "seconds": tuned.seconds,
    }
