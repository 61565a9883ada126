"""The verb ``export``: a run's network as a file that other programs run, checked against the network."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mindgap.core.errors import DataError
from mindgap.core.files import atomic_path, no_new_parents_on_failure
from mindgap.core.out_file import check_out_file
from mindgap.core.progress import Progress, progress
from mindgap.data.image_store import Store
from mindgap.export.compared_images import images_to_compare
from mindgap.export.exporter import EXPORTERS, AbstractExporter, export_checked
from mindgap.export.image_classifier import ImageClassifier
from mindgap.export.int8 import calibration_batches, compare_int8, refuse_without_images
from mindgap.train.trained_model import TrainedModel, read_trained_model


def export(
    run: Path | str,
    *,
    out: Path | str,
    format: str = "onnx",  # noqa: A002
    int8: bool = False,
    bootstrap: int = 2000,
    permutations: int = 1000,
    force: bool = False,
) -> dict[str, Any]:
    """Writes the network of a run as a file that needs nothing beside it.

    The file takes uint8 RGB images (n, S, S, 3) and gives probabilities (n, C): normalisation and softmax are in it.
    Classes, size and resize rule are in its metadata. It is run on images of the run's store, or on random ones where
    the store is gone, and kept only if it agrees with the network. Of a mitigation that predicts by each image's group
    it is the form that needs none; what that costs is in the run's ``metrics.json``.

    Args:
        run: a finished run of ``train`` or ``search``.
        out: the file.
        format: name of the exporter.
        int8: 8-bit integers, calibrated on training images; what that changes is measured on the validation images.
        bootstrap: replicates of the intervals of these audits.
        permutations: of their noise floors.
        force: replaces a file that is there.

    Returns:
        ``file``, ``format``, ``bytes``, ``facts``, ``attribute``, ``without_groups`` (the mitigation whose group-free
        form it is, or None), ``agreement`` of the float32 file with the network
        (``images``, ``n``, ``max_difference``, ``flipped``), and ``int8``: None, or its agreement with the float32
        file, an AUDIT of each, and the paired ``change`` of accuracy and U.

    Raises:
        MindgapError: the run, an option or the place is wrong, a package is missing, or the file does not agree.
    """
    exporter = EXPORTERS.get(format)()
    exporter.check()
    target = check_out_file(out, suffixes=(exporter.suffix,), force=force, inputs=(Path(run),))
    model = read_trained_model(run)
    store = _store(model, needed=int8)
    with no_new_parents_on_failure(target), progress(4 if int8 else 1, "exporting") as bar:
        if int8 and store is not None:
            record = _export_int8(exporter, model, store, target, bar, bootstrap=bootstrap, permutations=permutations)
        else:
            record = {"agreement": _export(exporter, model, store, target), "int8": None}
            bar.advance()
    return record | {
        "file": str(target),
        "format": format,
        "bytes": target.stat().st_size,
        "facts": model.facts.model_dump(mode="json"),
        "attribute": model.attribute,
        "without_groups": None if model.kept is None else model.kept.name,
    }


def _store(model: TrainedModel, *, needed: bool) -> Store | None:
    try:
        store = model.open_store()
    except DataError:
        if needed:
            raise
        return None
    if needed:
        refuse_without_images(store)
    return store


def _export(exporter: AbstractExporter, model: TrainedModel, store: Store | None, path: Path) -> dict[str, Any]:
    kind, images = images_to_compare(store, size_px=model.facts.input_px)
    classifier = ImageClassifier(model.without_groups(), model.facts)
    found = export_checked(exporter, classifier, path, facts=model.facts, images=images)
    return {"images": kind} | found.to_record()


def _export_int8(
    exporter: AbstractExporter,
    model: TrainedModel,
    store: Store,
    target: Path,
    bar: Progress,
    *,
    bootstrap: int,
    permutations: int,
) -> dict[str, Any]:
    rows = store.rows("validation")
    with TemporaryDirectory(prefix="mindgap-") as folder, atomic_path(target) as temporary:
        wide = Path(folder) / f"float32{exporter.suffix}"
        agreement = _export(exporter, model, store, wide)
        bar.advance()
        bar.describe("quantising")
        exporter.quantize(wide, temporary, calibration_batches(store), facts=model.facts)
        bar.advance()
        bar.describe("predicting validation images")
        chances = [exporter.run(path, store.images, rows) for path in (wide, temporary)]
        bar.advance()
        bar.describe("auditing")
        compared = compare_int8(store, *chances, bootstrap=bootstrap, permutations=permutations)
        bar.advance()
    return {"agreement": agreement, "int8": compared}
