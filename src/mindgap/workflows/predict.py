"""The verb ``predict``: a predictions table of a store or a folder of images, by a run or an ONNX file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mindgap.core.config import StrictModel, parse
from mindgap.core.errors import ConfigError, DataError, UnknownNameError, near_names
from mindgap.core.files import no_new_parents_on_failure
from mindgap.core.out_file import check_out_file
from mindgap.core.processors import available_cores
from mindgap.core.progress import progress
from mindgap.data.classifier_facts import ClassifierFacts, refuse_other_store
from mindgap.data.decoder import DecoderDied
from mindgap.data.folder_images import decode_folder, find_images, folder_state
from mindgap.data.image_store import Store
from mindgap.data.split import SPLITS
from mindgap.export.onnx_model import OnnxModel
from mindgap.metrics.predictions import write_predictions
from mindgap.metrics.predictions_table import write_unlabelled
from mindgap.train.store_predictions import to_predictions
from mindgap.workflows.partial_folder import partial_folder, removed_by_a_mistake

ALL = "all"
SUFFIXES = (".csv", ".parquet", ".pq")
Images = NDArray[np.uint8]
Rows = NDArray[np.int64]


class Predictor(Protocol):
    """What predicts: the network of a run, or an ONNX file."""

    @property
    def facts(self) -> ClassifierFacts:
        """Which images it takes, and what its outputs mean."""
        ...

    @property
    def precision(self) -> str:
        """The type it computes in."""
        ...

    @property
    def predicts_by(self) -> str | None:
        """The attribute whose groups it uses; None if it uses none."""
        ...

    def probabilities(self, images: Images, rows: Rows, *, on_batch: Callable[[int], None]) -> NDArray[np.float64]:
        """Float64 (n, C) of n rows of uint8 (N, S, S, 3)."""
        ...


class _Options(StrictModel):
    precision: Literal["run", "auto", "fp32", "bf16"]
    device: Literal["auto", "cpu", "cuda"]


def predict(
    model: Path | str,
    images: Path | str,
    *,
    out: Path | str,
    split: str | None = None,
    precision: str = "run",
    device: str = "auto",
    workers: int | None = None,
    without_groups: bool = False,
    force: bool = False,
) -> dict[str, Any]:
    """Writes the predictions table of a store's split or of a folder of images.

    From a store it has labels, attributes, clusters and splits; from a folder ``id`` and probabilities alone, the ids
    being the file names without suffix, or the whole paths of files that share one. Images are made
    square by the rule and to the size of the training images. Files that cannot be decoded are skipped and listed.

    Args:
        model: a finished run of ``train`` or ``search``, or a file that ``export`` wrote.
        images: a store, or a folder of images; sub-folders are searched.
        out: the file, ``.csv`` or ``.parquet``.
        split: of a store, ``train``, ``validation``, ``test`` or ``all``; None is ``test``.
        precision: of a run's network, ``run``, as the run computed its own predictions, ``fp32``, ``bf16``, or
            ``auto``, the faster of the two.
        device: of a run's network, ``cpu``, ``cuda``, or ``auto``, a GPU if there is one.
        workers: decoding processes; None means all cores.
        without_groups: of a run whose mitigation predicts by each image's group, uses its form that needs none, as is
            done for a folder and where the store does not know the groups. Exported files are that form.
        force: replaces a file that is there.

    Returns:
        ``file``, ``n``, ``classes``, ``task``, ``source`` (``store`` or ``folder``), ``split``, ``attributes``,
        ``precision``, ``predicts_by`` (the attribute whose groups were used, or None) and ``skipped``: file → reason.

    Raises:
        MindgapError: the model, the images, an option or the disk is wrong; no file is left.
    """
    options = parse(_Options, {"precision": precision, "device": device}, source="predict")
    if workers is not None and workers < 1:
        raise ConfigError(f"workers={workers}: need at least 1, or leave it out for all cores")
    source = Path(images)
    is_store = _checked_source(source, split)
    target = check_out_file(out, suffixes=SUFFIXES, force=force, inputs=(Path(model), source))
    store = Store.open(source) if is_store else None
    predictor = open_predictor(Path(model), options, store=None if without_groups else store)
    with no_new_parents_on_failure(target):
        if store is not None:
            record = _predict_store(predictor, store, split or "test", target)
        else:
            record = _predict_folder(predictor, source, target, workers=workers or available_cores())
    facts = predictor.facts
    return record | {
        "file": str(target),
        "classes": list(facts.classes),
        "task": facts.task,
        "precision": predictor.precision,
        "predicts_by": predictor.predicts_by,
    }


def _checked_source(source: Path, split: str | None) -> bool:
    """Whether the images are a store's; refuses a split that is none of theirs."""
    known, is_store = (*SPLITS, ALL), (source / "store.json").is_file()
    if split is not None and split not in known:
        raise UnknownNameError(f"no split {split!r}; {near_names(split, known)}")
    if split is not None and not is_store and source.is_dir():
        raise ConfigError(f"--split {split}: {source} has no splits, as it is no store (no store.json); leave it out")
    return is_store


def open_predictor(model: Path, options: _Options, *, store: Store | None) -> Predictor:
    """The predictor of a run folder or an ONNX file; torch is needed for a run alone.

    Args:
        model: the folder or file.
        options: of a run's network.
        store: whose images' groups a run's network may use; None if it may use none.

    Raises:
        MindgapError: it is neither, or cannot be used.
    """
    if not model.exists():
        raise DataError(f"{model}: no such run or file; give a run folder or an ONNX file")
    if model.is_file():
        return OnnxModel(model)
    from mindgap.train.predictor import NetworkPredictor
    from mindgap.train.trained_model import read_trained_model

    return NetworkPredictor.of(
        read_trained_model(model), precision=options.precision, device=options.device, store=store
    )


def _predict_store(predictor: Predictor, store: Store, split: str, target: Path) -> dict[str, Any]:
    refuse_other_store(predictor.facts, store)
    rows = np.arange(store.n) if split == ALL else store.rows(split)
    if not len(rows):
        raise DataError(f"{store.path}: has no image in the split {split!r}; choose another, or all")
    order = [predictor.facts.classes.index(name) for name in store.classes]
    chances = _probabilities(predictor, store.images, rows)[:, order]
    splits = store.table["split"].to_numpy(dtype=object)[rows]
    write_predictions(target, to_predictions(store, rows, chances), split=splits.tolist())
    return {"source": "store", "n": len(rows), "split": split, "attributes": list(store.attributes), "skipped": {}}


def _predict_folder(predictor: Predictor, source: Path, target: Path, *, workers: int) -> dict[str, Any]:
    """Decodes into a hidden folder beside the table, which the same call goes on with if it is killed."""
    files, geometry = find_images(source), predictor.facts.geometry
    options = {"images": str(source.resolve()), "size": geometry.size_px, "resize": geometry.resize}
    options |= {} if geometry.constancy == "none" else {"constancy": geometry.constancy}
    options["state"] = folder_state(files)
    with partial_folder(target.resolve(), verb="predict", options=options, replace=True) as run:
        with removed_by_a_mistake(run, but=DecoderDied):
            found = decode_folder(files, run.path, geometry=geometry, workers=workers)
            chances = _probabilities(predictor, found.images, found.rows)
            write_unlabelled(target, found.ids, chances, classes=predictor.facts.classes)
        shutil.rmtree(run.path, ignore_errors=True)
    return {"source": "folder", "n": len(found.rows), "split": None, "attributes": [], "skipped": found.faults}


def _probabilities(predictor: Predictor, images: Images, rows: Rows) -> NDArray[np.float64]:
    with progress(len(rows), "predicting") as bar:
        return predictor.probabilities(images, rows, on_batch=bar.advance)
