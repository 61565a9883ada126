"""Training a job once on the store's splits, or by folds."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mindgap.core.files import atomic_path, jsonable, read_json, write_json, write_text
from mindgap.core.progress import Progress, progress
from mindgap.metrics.predictions import write_predictions
from mindgap.space.architecture import ARCHITECTURE_FILE
from mindgap.train.epoch_log import EpochLog
from mindgap.train.store_predictions import to_predictions
from mindgap.workflows.train_job import Rows, TrainJob, mitigation_figures, remove_checkpoint

_CHANCES, _ALONE = "probabilities.npy", "probabilities_without_groups.npy"
_SUMMARISED = ("unfairness", "unfairness_standardized", "accuracy_difference", "worst_group_accuracy")


def train_once(job: TrainJob, folder: Path) -> dict[str, Any]:
    """Trains on the train rows, audits validation and test, and writes the run's files; what provenance should say."""
    store = job.store
    parts = {split: store.rows(split) for split in ("validation", "test")}
    with progress(job.settings.epochs, f"training {job.architecture.name}") as bar:
        result = job.fit(
            folder,
            EpochLog(folder / "log.jsonl"),
            bar,
            train_rows=store.rows("train"),
            watched_rows=parts["validation"],
        )
    job.save(folder, result)
    rows = np.concatenate(list(parts.values()))
    chances = job.probabilities(result, rows)
    splits = np.repeat(list(parts), [len(part) for part in parts.values()])
    write_predictions(folder / "predictions.parquet", to_predictions(store, rows, chances), split=splits.tolist())
    audits = {split: job.audit(part, chances[splits == split]) for split, part in parts.items()}
    training = job.training(
        image_passes=result.image_passes,
        seconds=result.seconds,
        figures=mitigation_figures(result),
        mitigation=result.mitigation,
    )
    metrics = audits | {"cost": job.cost(), "training": training}
    if (alone := job.probabilities_without_groups(result, rows)) is not None:
        metrics["without_groups"] = {split: job.audit(part, alone[splits == split]) for split, part in parts.items()}
    write_json(folder / "metrics.json", jsonable(metrics))
    remove_checkpoint(folder)
    return {"modes": list(result.modes)}


def train_folds(job: TrainJob, folder: Path, number: Rows) -> dict[str, Any]:
    """Cross-validates over all rows and writes the run's files; folds that are finished are kept.

    Args:
        job: what is trained.
        folder: the run's.
        number: int64 (N,), the fold of every row.
    """
    store, folds = job.store, int(number.max()) + 1
    log, records, chances = EpochLog(folder / "log.jsonl"), [], np.zeros((store.n, len(store.classes)))
    alone = np.full_like(chances, math.nan)
    with progress(folds * job.settings.epochs, f"{folds} folds of {job.architecture.name}") as bar:
        for fold in range(folds):
            bar.describe(f"fold {fold + 1} of {folds}")
            held_out = np.flatnonzero(number == fold)
            record = _fold(job, folder / "folds" / str(fold), log, bar, held_out=held_out, fold=fold + 1)
            chances[held_out] = np.load(folder / "folds" / str(fold) / _CHANCES)
            if (without := folder / "folds" / str(fold) / _ALONE).is_file():
                alone[held_out] = np.load(without)
            records.append(record)
    write_text(folder / ARCHITECTURE_FILE, job.architecture.to_json())
    rows = np.arange(store.n)
    write_predictions(folder / "predictions.parquet", to_predictions(store, rows, chances), split="test")
    audits = [record["test"] for record in records]
    training = job.training(
        image_passes=sum(record["training"]["image_passes"] for record in records),
        seconds=sum(record["training"]["seconds"] for record in records),
        figures=[figure | {"fold": fold} for fold, record in enumerate(records, 1) for figure in _figures(record)],
    ) | {"ratios": records[0]["training"].get("ratios")}
    metrics = {"validation": None, "test": job.audit(rows, chances), "cost": job.cost(), "training": training}
    if not np.isnan(alone).any():
        metrics["without_groups"] = {"validation": None, "test": job.audit(rows, alone)}
    metrics["folds"] = {"k": folds, "summary": fold_summary(audits), "audits": audits}
    write_json(folder / "metrics.json", jsonable(metrics))
    return {"folds": folds, "modes": [record["training"].get("modes") for record in records]}


def _fold(job: TrainJob, folder: Path, log: EpochLog, bar: Progress, *, held_out: Rows, fold: int) -> dict[str, Any]:
    """Trains without one fold and audits it; a fold whose ``metrics.json`` stands is not trained again."""
    if (folder / "metrics.json").exists():
        bar.advance(job.settings.epochs)
        return read_json(folder / "metrics.json")
    train_rows = np.setdiff1d(np.arange(job.store.n), held_out)
    result = job.fit(folder, log, bar, train_rows=train_rows, watched_rows=held_out, fold=fold)
    chances, alone = job.probabilities(result, held_out), job.probabilities_without_groups(result, held_out)
    job.save(folder, result)
    write_predictions(folder / "predictions.parquet", to_predictions(job.store, held_out, chances), split="test")
    for name, found in ((_CHANCES, chances), (_ALONE, alone)):
        if found is not None:
            with atomic_path(folder / name) as temporary, temporary.open("wb") as file:
                np.save(file, found)
    training = job.training(
        image_passes=result.image_passes,
        seconds=result.seconds,
        figures=mitigation_figures(result),
        mitigation=result.mitigation,
    ) | {"modes": list(result.modes)}
    record = jsonable({"test": job.audit(held_out, chances), "training": training})
    write_json(folder / "metrics.json", record)
    remove_checkpoint(folder)
    return record


def _figures(record: dict[str, Any]) -> list[dict[str, Any]]:
    """What a fold's mitigation measured itself; nothing in one of an earlier version."""
    return record["training"].get("mitigation_figures", [])


def fold_summary(audits: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and standard deviation over the folds of the accuracy and of each attribute's main gaps.

    The standard deviation (n − 1) says how folds differ; it is no interval of the pooled figure, as folds share most of
    their training rows.
    """
    summary: dict[str, Any] = {
        name: _spread([audit["overall"].get(name) for audit in audits]) for name in audits[0]["overall"]
    }
    if "labels" not in audits[0]:
        return summary | {"attributes": _gap_summary(audits)}
    labels = {label: _gap_summary([audit["labels"][label] for audit in audits]) for label in audits[0]["labels"]}
    return summary | {"labels": labels}


def _gap_summary(audits: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        attribute: {
            gap: _spread([audit["attributes"].get(attribute, {}).get("gaps", {}).get(gap) for audit in audits])
            for gap in _SUMMARISED
        }
        for attribute in sorted({name for audit in audits for name in audit["attributes"]})
    }


def _spread(records: list[dict[str, Any] | None]) -> dict[str, float | int | None]:
    values = [record["value"] for record in records if record is not None and record.get("value") is not None]
    if not values:
        return {"mean": None, "sd": None, "folds": 0}
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return jsonable({"mean": float(np.mean(values)), "sd": sd, "folds": len(values)})
