"""The verb ``train``: one network, one loss, one mitigation, and its audit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from mindgap.core.config import parse
from mindgap.core.errors import ConfigError
from mindgap.core.files import no_new_parents_on_failure, read_json
from mindgap.core.run import Asked, RunFolder
from mindgap.data.image_store import Store
from mindgap.report.document import write_report
from mindgap.space.foreign_weights import ForeignWeights
from mindgap.space.network import resolve_network
from mindgap.train.settings import TrainSettings
from mindgap.workflows.train_job import TrainJob
from mindgap.workflows.train_once import train_folds, train_once

log = logging.getLogger(__name__)


def train(
    store: Store | Path | str,
    *,
    network: str | Path,
    out: Path | str,
    loss: str | None = None,
    mitigation: str = "erm",
    ratios: str = "natural",
    blend: bool | dict[str, Any] = False,
    attribute: str | None = None,
    epochs: int = 20,
    schedule: str = "onecycle",
    batch_size: int = 64,
    folds: int | None = None,
    seed: int = 0,
    force: bool = False,
    bootstrap: int = 2000,
    permutations: int = 1000,
    lr: float | None = None,
    precision: str = "auto",
    device: str = "auto",
    mitigation_options: dict[str, Any] | None = None,
    weights: Path | str | None = None,
    freeze: int = 0,
) -> dict[str, Any]:
    """Trains one network on a store and audits it on validation and test rows, or by cross-validation.

    The run folder holds ``architecture.json``, ``weights.safetensors``, ``log.jsonl``, ``predictions.parquet``,
    ``metrics.json`` and ``report.html``; the same call goes on where an earlier one was stopped.

    Args:
        store: the store or its folder.
        network: registered name, ``timm:NAME``, or ``architecture.json``.
        out: the run folder.
        loss: name of the loss; None is ``ce``, or ``bce`` for multi-label data.
        mitigation: name of the mitigation.
        ratios: ``natural``, ``uniform`` or ``female=.6,male=.4``.
        blend: replaces images by their twins of another tone, which a store has after ``mindgap tone``; a table sets
            its numbers, such as ``reading``.
        attribute: whose groups the mitigation and the ratios use; None is the store's default. All are audited.
            Several, as ``sex,age``, are for a mitigation that treats several at once; the ratios are of the first.
        epochs: passes over the training rows.
        schedule: ``onecycle`` or ``paper``.
        batch_size: images per batch.
        folds: cross-validation over all rows by that many cluster-disjoint folds: every row is predicted by a network
            that saw none of its fold; the figures are pooled and per fold. Each fold has a folder under ``folds``.
        seed: of weights, batches, augmentation, dropout, folds and resampling.
        force: replaces the run of this verb that is there.
        bootstrap: replicates of the intervals.
        permutations: of the noise floors.
        lr: peak learning rate; None is the schedule's own.
        precision: ``auto``, ``fp32`` or ``bf16``.
        device: ``auto``, ``cpu`` or ``cuda``.
        mitigation_options: options of the mitigation.
        weights: file of this network's weights to start from, a ``.safetensors`` or a ``.pt``/``.pth`` state dict by
            our, torchvision's or timm's names; nothing in it is executed. A classifier of other classes is drawn anew.
            Each fold starts from it.
        freeze: how many of the network's first parts, the stem and then its blocks, are not trained.

    Returns:
        The record of ``metrics.json``.

    Raises:
        MindgapError: a name, an option or the folder is wrong; one line says which.
        TrainingFailure: training diverged or ran out of memory.
    """
    store = store if isinstance(store, Store) else Store.open(store)
    first, *more = [name.strip() for name in (attribute or store.info.default_attribute).split(",")]
    settings = parse(
        TrainSettings,
        {
            "loss": loss,
            "mitigation": mitigation,
            "mitigation_options": mitigation_options or {},
            "ratios": ratios,
            "blend": blend,
            "epochs": epochs,
            "schedule": schedule,
            "batch_size": batch_size,
            "seed": seed,
            "lr": lr,
            "precision": precision,
            "device": device,
            "freeze": freeze,
        },
        source="train",
    )
    architecture = resolve_network(network, num_classes=len(store.classes), input_px=store.size_px)
    if folds is not None and folds < 2:
        raise ConfigError(f"folds={folds}: cross-validation needs 2 folds or more; leave it out to train once")
    given = None if weights is None else ForeignWeights.read(weights)
    job = TrainJob(
        store, architecture, settings, first, bootstrap, permutations, more_attributes=tuple(more), weights=given
    )
    return carry_out(job, out, network=network, folds=folds, force=force)


def carry_out(
    job: TrainJob, out: Path | str, *, network: str | Path, folds: int | None = None, force: bool = False
) -> dict[str, Any]:
    """Does a job in a run folder, or goes on with it.

    Args:
        job: what is trained.
        out: the run folder.
        network: what the job's network was asked for as.
        folds: of cross-validation; None trains once on the store's splits.
        force: replaces the run of this verb that is there.

    Returns:
        The record of ``metrics.json``.

    Raises:
        MindgapError: the job or the folder is wrong; one line says which.
        TrainingFailure: training diverged or ran out of memory.
    """
    store, given = job.store, job.weights
    parts = None if folds is None else job.fold_numbers(folds)
    inputs = (store.path,) if given is None else (store.path, given.path)
    options = _options(job, network=network, folds=folds)
    asked: Asked = {"verb": "train", "options": options, "force": force, "inputs": inputs}
    if RunFolder.check(out, **asked) != "finished":
        job.check(parts)
        for warning in job.warnings():
            log.warning("%s", warning)
    with no_new_parents_on_failure(Path(out)), RunFolder.hold(out, **asked) as run, run.gone_if_nothing_is_written():
        if run.state != "finished":
            run.record(fingerprint=store.fingerprint, store_summary=store.info.model_dump(mode="json"))
            if given is not None:
                run.record(weights={"path": str(given.path), "digest": given.digest, "drawn": list(job.start()[1])})
            details = train_once(job, run.path) if parts is None else train_folds(job, run.path, parts)
            run.record(**details)
            write_report(run.path)
            run.finish()
        return read_json(run.path / "metrics.json")


def _options(job: TrainJob, *, network: str | Path, folds: int | None) -> dict[str, Any]:
    """What ``config.toml`` says of a job; ``augment`` and ``freeze`` where they are not as usual."""
    store, settings, given, more = job.store, job.settings, job.weights, list(job.more_attributes)
    usual = {name for name in ("augment", "freeze") if not getattr(settings, name)}
    options: dict[str, Any] = {
        "store": str(store.path.resolve()),
        "fingerprint": store.fingerprint,
        "network": str(network),
        "attribute": job.attribute,
        "folds": folds,
        "bootstrap": job.bootstrap,
        "permutations": job.permutations,
    }
    options |= settings.model_dump(mode="json", exclude=usual) | ({"more_attributes": more} if more else {})
    if given is not None:
        options |= {"weights": str(given.path.resolve()), "weights_digest": given.digest}
    return options
