"""Which channels an iteration of a pruning removes: their scores, the attributes' weights, the lowest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mindgap.core.files import jsonable, read_json, write_json
from mindgap.core.progress import Progress
from mindgap.prune.dead_channels import check_scores
from mindgap.prune.layers import choose_layers
from mindgap.prune.meta_weights import MetaOptions, learn_attribute_weights
from mindgap.prune.schedule import channels_to_remove, ranked_channels
from mindgap.prune.soft_nearest import channel_snnl
from mindgap.space.network import Network
from mindgap.train.loss import make_loss
from mindgap.workflows.prune_job import PruneJob

CHOICE = "choice.json"
NO_ATTRIBUTE = ""

Numbers = Mapping[str, tuple[int, ...]]
"""Per layer the channels that are left, by their numbers before pruning."""


def channel_choice(
    job: PruneJob, folder: Path, network: Network, left: Numbers, *, iteration: int, bar: Progress
) -> dict[str, Any]:
    """Chooses channels and keeps the choice in the folder, where it is read again.

    Returns:
        Per layer ``places`` among the channels that are left and ``removed``, their numbers before pruning; their
        ``scores``; ``dead``, those that could not be scored; ``weights`` and ``weights_path`` of the attributes.

    Raises:
        MindgapError: the channels cannot be scored.
    """
    if (folder / CHOICE).is_file():
        return read_json(folder / CHOICE)
    network = network.to(job.device).eval()
    bar.describe(f"iteration {iteration}: scoring channels")
    counts = {name: channels_to_remove(len(of), share=job.options.share) for name, of in left.items()}
    scores = _scores(job, network, counts)
    path = learned_path(job, network, bar, iteration=iteration) if job.learns_weights else None
    weights = job.fixed_weights() if path is None else dict(zip(job.attributes, path[-1], strict=True))
    used = weights if weights is not None else {NO_ATTRIBUTE: 1.0}
    places = ranked_channels(scores, used, counts)
    network.to("cpu")
    choice = _described(places, _weighed(scores, used), left) | {"weights": weights, "weights_path": path}
    write_json(folder / CHOICE, jsonable(choice))
    return choice


def _scores(job: PruneJob, network: Network, counts: Mapping[str, int]) -> dict[str, dict[str, Tensor]]:
    """The scores of every attribute and layer; those of layers that lose none need not be known."""
    layers = choose_layers(network, job.options.layers)
    scores = {
        attribute or NO_ATTRIBUTE: job.importance.score(network, layers, job.scoring, attribute=attribute)
        for attribute in job.scored_attributes
    }
    for by_layer in scores.values():
        check_scores({name: by_layer[name] for name, count in counts.items() if count})
    return scores


def _weighed(scores: Mapping[str, Mapping[str, Tensor]], weights: Mapping[str, float]) -> dict[str, Tensor]:
    """γ_c of every layer."""
    layers = next(iter(scores.values()))
    return {
        layer: torch.stack([weights[key] * by_layer[layer] for key, by_layer in scores.items()]).sum(dim=0)
        for layer in layers
    }


def _described(places: Numbers, total: Mapping[str, Tensor], left: Numbers) -> dict[str, Any]:
    return {
        "places": {name: list(of) for name, of in places.items()},
        "removed": {name: [left[name][place] for place in of] for name, of in places.items()},
        "scores": {name: [_or_none(float(total[name][place])) for place in of] for name, of in places.items()},
        "dead": {name: [left[name][k] for k in of.isnan().nonzero()[:, 0].tolist()] for name, of in total.items()},
    }


def _or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def learned_path(job: PruneJob, network: Network, bar: Progress, *, iteration: int) -> list[list[float]]:
    """The attributes' weights after every step of learning them, the first all 1; every step is told to the bar."""
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
