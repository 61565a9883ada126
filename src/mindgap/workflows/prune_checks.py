"""What a pruning refuses before anything is written."""

from __future__ import annotations

from collections.abc import Mapping

from mindgap.audit.comparison import refuse_unknown_gap
from mindgap.core.errors import ConfigError, DataError, RunError
from mindgap.prune.layers import choose_layers
from mindgap.prune.surgery import remove_channels
from mindgap.space.foreign_weights import ForeignWeights
from mindgap.train.blending import check_blend
from mindgap.train.device import choose_device
from mindgap.train.mitigation import MITIGATIONS, AbstractMitigation
from mindgap.workflows.prune_job import PruneJob


def check_pruning(job: PruneJob) -> None:
    """Refuses unknown names and impossible options.

    Raises:
        MindgapError: the run, its store, a layer, an attribute, the gap, a weight, the mitigation or the device is
            wrong.
    """
    model, store, options = job.model, job.store, job.options
    if model.kept is not None:
        raise RunError(
            f"{model.path}: its mitigation predicts by each image's group, and its network is not used alone; "
            "prune a run of another mitigation"
        )
    for split in ("train", "validation"):
        if not len(store.rows(split)):
            raise DataError(f"{store.path}: has no {split} images, which pruning needs; prepare it with some")
    choose_device(options.device)
    _check_layers(job)
    _check_mitigation(job.settings.mitigation)
    refuse_unknown_gap(options.gap, store.classes if store.task == "single-label" else ("0", "1"))
    _check_weights(job)
    for attribute in job.scored_attributes:
        if attribute is not None:
            next(iter(job.scoring.balanced(attribute)))
            if job.learns_weights:
                next(iter(job.meta.balanced(attribute)))
    if options.rows:
        _check_rows(job)


def _check_layers(job: PruneJob) -> None:
    layers = choose_layers(job.model.network, job.options.layers)
    counts = job.channel_counts(job.model.network, layers)
    _refuse_coupled(job, counts)


def _refuse_coupled(job: PruneJob, counts: Mapping[str, int]) -> None:
    """Refuses layers that lose channels together, which each iteration would prune twice."""
    model = job.model
    for name in counts if len(counts) > 1 else ():
        pruned = remove_channels(model.architecture, model.network, {name: (0,)})
        left = job.channel_counts(pruned.network, choose_layers(pruned.network, counts))
        if others := [other for other in counts if other != name and left[other] < counts[other]]:
            raise ConfigError(
                f"layers {name!r} and {others[0]!r} lose channels together, as those of one residual stage do; "
                "name one of them"
            )


def _check_mitigation(name: str) -> None:
    """Refuses what fine-tuning cannot do: a teacher, predictions by groups, work after the last epoch."""
    kind = MITIGATIONS.get(name)
    why = None
    if kind.needs_teacher:
        why = "needs a teacher, which fine-tuning has none of"
    elif not kind.predicts_by_network_alone():
        why = "predicts by each image's group"
    elif kind.finish is not AbstractMitigation.finish:
        why = "works after the last epoch, and fine-tuning takes the best one"
    if why is not None:
        raise ConfigError(f"mitigation {name!r} {why}; give --mitigation erm, or another that acts in every step")


def _check_weights(job: PruneJob) -> None:
    given, method = job.options.attribute_weights, job.options.method
    if given is None:
        return
    if not job.importance.by_attribute:
        raise ConfigError(f"method {method!r} knows no attributes; leave --attribute-weights out")
    if given == "learned" and method != "snnl":
        raise ConfigError(f"weights are learned for the method snnl alone, got {method!r}; give equal, or numbers")
    if isinstance(given, dict) and set(given) != set(job.attributes):
        raise ConfigError(
            f"attribute weights are of {', '.join(given)}, the attributes are {', '.join(job.attributes)}; give "
            "one for each"
        )


def _check_rows(job: PruneJob) -> None:
    """Refuses a counterpart that could not be trained."""
    model = job.model
    if model.is_pruned:
        raise RunError(
            f"{model.path}: is a pruned run, whose counterpart with blended tones is not known; make the rows of the "
            "run it was pruned from"
        )
    if job.store.twins is not None:
        check_blend(job.settings.model_copy(update={"blend": job.counterpart_blend}).blend, job.store)
        if weights := model.options.get("weights"):
            ForeignWeights.read(weights)
