"""The verb ``prune``: channels that tell groups apart are removed, as far as validation allows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from mindgap.core.config import named, parse
from mindgap.core.files import jsonable, read_json, write_json
from mindgap.core.progress import progress
from mindgap.core.run import Asked, RunFolder
from mindgap.prune.options import PruneOptions
from mindgap.report.document import write_report
from mindgap.train.memory import keep_freed_memory
from mindgap.train.trained_model import read_trained_model, weights_digest
from mindgap.workflows.prune_checks import check_pruning
from mindgap.workflows.prune_job import PruneJob
from mindgap.workflows.prune_results import write_results
from mindgap.workflows.prune_rows import table_rows
from mindgap.workflows.prune_steps import first_step, next_step


def prune(
    run: Path | str,
    *,
    out: Path | str,
    method: str = "snnl",
    attributes: str | Sequence[str] | None = None,
    layers: str | Sequence[str] | None = None,
    attribute_weights: str | Mapping[str, float] | None = None,
    weight_steps: int = 100,
    method_options: Mapping[str, Any] | None = None,
    gap: str = "equalized_odds_abs_mean",
    share: float = 0.02,
    iterations: int = 3,
    max_accuracy_drop: float = 0.03,
    min_gap_reduction: float = 0.005,
    epochs: int = 5,
    patience: int = 2,
    lr: float | None = None,
    batch_size: int | None = None,
    mitigation: str | None = None,
    control: bool = True,
    rows: bool = False,
    scoring_batches: int = 20,
    seed: int = 0,
    bootstrap: int = 2000,
    permutations: int = 1000,
    precision: str = "auto",
    device: str = "auto",
    force: bool = False,
) -> dict[str, Any]:
    """Removes channels of a trained network in iterations, with fine-tuning after each (Wei & Chakraborti, Alg. 2).

    An iteration scores the channels of the layers on training images, removes those of the lowest scores, trains the
    network on and judges it on the validation split. One that costs too much accuracy or narrows the gap too little is
    taken back, and ends it. The test split is read once, at the end, for the network before, the network after, and a
    control that was fine-tuned alike without a removal.

    ``out`` is a run like any other: its network is smaller, and loads, predicts and exports by itself. Stopped at any
    moment, the same call goes on.

    Args:
        run: a finished run of ``train``, ``search`` or ``prune``, whose store is where it was.
        out: the run folder.
        method: importance that ranks channels, such as ``snnl``, ``fairprune``, ``magnitude``, ``taylor``.
        attributes: ``sex,age``, whose groups count; None is all of the store.
        layers: ``head,blocks.5``, whose channels are removed; None is the last convolutional stage.
        attribute_weights: ``learned`` on a tenth of the training images (the default of ``snnl``), ``equal``, or a
            number for every attribute.
        weight_steps: steps of learning them; two attributes take some 3 seconds of a core per step at 48 px.
        method_options: options of the importance.
        gap: the gap that has to narrow, the mean over attributes.
        share: of the channels that a layer still has, removed per iteration.
        iterations: at most so many.
        max_accuracy_drop: on validation, since the beginning; above it an iteration is taken back. 1 allows any.
        min_gap_reduction: on validation, since the iteration before; below it an iteration is taken back. -1 allows
            any change.
        epochs: of fine-tuning after every removal, at most; the best on validation is kept.
        patience: epochs without a better validation accuracy after which it ends.
        lr: its peak learning rate; None is a tenth of the run's.
        batch_size: its batch size; None is the run's.
        mitigation: in fine-tuning; None is the run's.
        control: whether the unpruned network is fine-tuned alike, for comparison.
        rows: whether the four rows of the paper's table are made: the run, it with blended tones, pruned, and both.
            What is missing is trained and pruned in ``rows`` below ``out``; a store without twins has two rows.
        scoring_batches: of up to 128 images each (8 of every group if those are more), that channels are scored by.
        seed: of draws and of fine-tuning.
        bootstrap: replicates of the intervals.
        permutations: of the noise floors.
        precision: of fine-tuning, ``auto``, ``fp32`` or ``bf16``.
        device: ``auto``, ``cpu`` or ``cuda``.
        force: replaces the run of this verb that is there.

    Returns:
        The record of ``prune.json``.

    Raises:
        MindgapError: the run, a name, an option or the folder is wrong; one line says which.
        TrainingFailure: fine-tuning diverged or ran out of memory.
    """
    keep_freed_memory()
    options = parse(
        PruneOptions,
        {
            "method": method, "method_options": dict(method_options or {}), "attributes": named(attributes),
            "layers": named(layers), "attribute_weights": attribute_weights, "weight_steps": weight_steps, "gap": gap,
            "share": share,
            "iterations": iterations, "max_accuracy_drop": max_accuracy_drop, "min_gap_reduction": min_gap_reduction,
            "epochs": epochs, "patience": patience, "lr": lr, "batch_size": batch_size, "mitigation": mitigation,
            "control": control, "rows": rows, "scoring_batches": scoring_batches, "seed": seed, "bootstrap": bootstrap,
            "permutations": permutations, "precision": precision, "device": device,
        },
        source="prune",
    )  # fmt: skip
    model = read_trained_model(run)
    job = PruneJob(model, model.open_store(), options)
    asked: Asked = {"verb": "prune", "options": _asked(job), "force": force, "inputs": (Path(run), job.store.path)}
    if RunFolder.check(out, **asked) != "finished":
        check_pruning(job)
    with RunFolder.hold(out, **asked) as folder:
        if folder.state != "finished":
            _work(job, folder)
        return read_json(folder.path / "prune.json")


def _work(job: PruneJob, folder: RunFolder) -> None:
    folder.record(fingerprint=job.store.fingerprint, store_summary=job.store.info.model_dump(mode="json"))
    total = job.options.epochs * job.options.iterations * (2 if job.options.control else 1)
    with progress(total, f"pruning {job.model.architecture.name}") as bar:
        steps = [first_step(job, folder.path / "iterations" / "0")]
        for iteration in range(1, job.options.iterations + 1):
            place = folder.path / "iterations" / str(iteration)
            steps.append(next_step(job, place, bar, first=steps[0], before=steps[-1], iteration=iteration))
            if steps[-1].record["decision"]["stop"]:
                break
        details = write_results(job, folder.path, steps, bar)
    if job.options.rows:
        record = read_json(folder.path / "prune.json")
        record["table"] = jsonable(table_rows(job, folder.path, partial(_prune_alike, job)))
        write_json(folder.path / "prune.json", record)
    folder.record(**details)
    write_report(folder.path)
    folder.finish()


def _prune_alike(job: PruneJob, run: Path, out: Path) -> None:
    options: dict[str, Any] = {**job.options.model_dump(), "rows": False, "attributes": job.attributes}
    prune(run, out=out, **options)


def _asked(job: PruneJob) -> dict[str, Any]:
    model, store = job.model, job.store
    more = model.options.get("more_attributes")
    return {
        "run": str(model.path.resolve()),
        "weights_digest": weights_digest(model.path),
        "store": str(store.path.resolve()),
        "fingerprint": store.fingerprint,
        "attribute": model.attribute,
        **({"more_attributes": more} if more else {}),
        **job.options.model_dump(mode="json"),
        "attributes": list(job.attributes),
    }
