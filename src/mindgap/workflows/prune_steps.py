"""The iterations of a pruning, each in a folder of its own: score, remove, fine-tune, judge, decide."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mindgap.core.files import jsonable, read_json, write_json
from mindgap.core.progress import Progress
from mindgap.core.seed import derive_seed
from mindgap.metrics.predictions import write_predictions
from mindgap.prune.dead_channels import check_scores
from mindgap.prune.layers import choose_layers
from mindgap.prune.meta_weights import MetaOptions, learn_attribute_weights
from mindgap.prune.schedule import channels_to_remove, decide, ranked_channels
from mindgap.prune.soft_nearest import channel_snnl
from mindgap.prune.surgery import remove_channels
from mindgap.search.chosen import kept_probabilities
from mindgap.space.architecture import Architecture, load_network, save_network
from mindgap.space.network import Network
from mindgap.train.fine_tuning import FineTuned, fine_tune
from mindgap.train.loss import make_loss
from mindgap.train.modes import Mode
from mindgap.workflows.prune_job import PruneJob
from mindgap.workflows.prune_standing import gap_changes, validation_figures

RECORD, CHOICE, PREDICTIONS = "record.json", "choice.json", "predictions.parquet"
NO_ATTRIBUTE = ""


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
    choice = _choice(job, folder, before, iteration=iteration, bar=bar)
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
    now, was, start = (validation_figures(of, job.attributes, job.options.gap) for of in _audits(audit, before, first))
    decision = decide(job.options, iteration, first=start, before=was, now=now)
    record = {
        "iteration": iteration,
        "removed": choice["removed"],
        "dead": choice["dead"],
        "channels": {name: len(numbers) for name, numbers in left.items()},
        "weights": choice["weights"],
        "weights_path": choice["weights_path"],
        "validation": audit,
        "cost": job.cost(pruned.architecture),
        "training": training_record(tuned),
        "modes": list(tuned.modes),
        "decision": {
            "stop": decision.stop,
            "revert": decision.revert,
            "figure": decision.figure,
            "reason": decision.reason,
            "accuracy_drop": decision.accuracy_drop,
            "gap_reduction": decision.gap_reduction,
            "left_out": list(decision.left_out),
            "changes": gap_changes(job, first=first.validation, before=before.validation, now=chances),
        },
    }
    write_json(folder / RECORD, jsonable(record))
    return Step(pruned.architecture, network, left, chances, read_json(folder / RECORD))


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


def _audits(audit: dict[str, Any], before: Step, first: Step) -> tuple[dict[str, Any], ...]:
    return audit, before.record["validation"], first.record["validation"]


def _choice(job: PruneJob, folder: Path, before: Step, *, iteration: int, bar: Progress) -> dict[str, Any]:
    """Which channels go, by their place among those that are left and by their number before pruning."""
    if (folder / CHOICE).is_file():
        return read_json(folder / CHOICE)
    network = before.network.to(job.device).eval()
    layers = choose_layers(network, job.options.layers)
    bar.describe(f"iteration {iteration}: scoring channels")
    scores = {
        attribute or NO_ATTRIBUTE: job.importance.score(network, layers, job.scoring, attribute=attribute)
        for attribute in job.scored_attributes
    }
    counts = {name: channels_to_remove(len(of), share=job.options.share) for name, of in before.channels.items()}
    for by_layer in scores.values():
        check_scores({name: by_layer[name] for name, count in counts.items() if count})
    path = _learned(job, network, bar, iteration=iteration) if job.learns_weights else None
    weights = job.fixed_weights() if path is None else dict(zip(job.attributes, path[-1], strict=True))
    used = weights if weights is not None else {NO_ATTRIBUTE: 1.0}
    places = ranked_channels(scores, used, counts)
    total = {
        name: torch.stack([used[key] * by_layer[name] for key, by_layer in scores.items()]).sum(dim=0)
        for name in layers
    }
    network.to("cpu")
    choice = {
        "places": {name: list(of) for name, of in places.items()},
        "removed": {name: [before.channels[name][place] for place in of] for name, of in places.items()},
        "scores": {name: [_or_none(float(total[name][place])) for place in of] for name, of in places.items()},
        "dead": {
            name: [before.channels[name][k] for k in torch.isnan(of).nonzero()[:, 0].tolist()]
            for name, of in total.items()
        },
        "weights": weights,
        "weights_path": path,
    }
    write_json(folder / CHOICE, jsonable(choice))
    return choice


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _learned(job: PruneJob, network: Network, bar: Progress, *, iteration: int) -> list[list[float]]:
    steps = job.options.weight_steps

    def say(done: int) -> None:
        bar.describe(f"iteration {iteration}: learning the attributes' weights, {done + 1} of {steps} steps done")

    bar.describe(f"iteration {iteration}: learning the attributes' weights")
    found = learn_attribute_weights(
        network,
        choose_layers(network, job.options.layers),
        attributes=job.attributes,
        training=job.scoring,
        meta=job.meta,
        snnl=partial(channel_snnl, **job.importance.options.model_dump()),
        options=MetaOptions(iterations=steps),
        loss=make_loss(job.settings.loss, task=job.store.task, label_smoothing=job.settings.label_smoothing),
        on_iteration=say,
    )
    return found.path.tolist()
