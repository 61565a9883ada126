"""The verb ``export``: a run's network as a file that other programs run, checked against the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mindgap.audit.model_audit import checked_options
from mindgap.core.errors import ConfigError, DataError
from mindgap.core.files import atomic_path, jsonable, no_new_parents_on_failure
from mindgap.core.out_file import check_out_file
from mindgap.core.progress import Progress, progress
from mindgap.data.classifier_facts import ClassifierFacts
from mindgap.data.image_store import Store
from mindgap.export.agreement import Agreement, Probabilities
from mindgap.export.compared_images import ComparedImages, images_to_compare
from mindgap.export.exporter import EXPORTERS, AbstractExporter, export_checked
from mindgap.export.image_classifier import ImageClassifier
from mindgap.export.int8 import calibration_batches, compare_int8, refuse_without_images
from mindgap.export.left_out import groups_left_out_by
from mindgap.export.recorded import compare_recorded
from mindgap.train.trained_model import TrainedModel, read_trained_model, weights_sha256
from mindgap.workflows.audit_outputs import Outputs, PathLike


def export(
    run: Path | str,
    *,
    out: Path | str,
    format: str = "onnx",  # noqa: A002
    int8: bool = False,
    json: PathLike | None = None,
    bootstrap: int = 2000,
    permutations: int = 1000,
    force: bool = False,
) -> dict[str, Any]:
    """Writes the network of a run as a file that needs nothing beside it.

    The file takes uint8 RGB images (n, S, S, 3) and gives probabilities (n, C): normalisation and softmax are in it.
    Classes, size, resize rule and origin are in its metadata. It is run on images of the run's store, or on random ones
    where the store is gone, and kept only if it agrees with the network. Of a mitigation that predicts by each image's
    group it is the form that needs none; what that costs is in the run's ``metrics.json``.

    Args:
        run: a finished run of ``train`` or ``search``.
        out: the file.
        format: name of the exporter.
        int8: 8-bit integers, calibrated on training images; what that changes is measured on the validation images.
        json: file for the record; one that is there is replaced.
        bootstrap: replicates of the intervals.
        permutations: of the noise floors of ``int8``.
        force: replaces a file that is there.

    Returns:
        ``file``, ``format``, ``bytes``, ``facts``, ``attribute``, ``without_groups`` (the mitigation whose group-free
        form it is, or None), ``agreement`` of the float32 file with the network
        (``images``, ``n``, ``max_difference``, ``flipped``), ``recorded``, what the file predicts otherwise than the
        run's ``predictions.parquet`` (see ``compare_recorded``), and ``int8``: None, or its agreement with the float32
        file, an AUDIT of each, the paired ``change`` of accuracy and U, and the groups ``left_out`` of U by attribute.

    Raises:
        MindgapError: the run, an option or the place is wrong, a package is missing, or the file does not agree.
    """
    exporter = EXPORTERS.get(format)()
    exporter.check()
    checked_options(bootstrap, permutations)
    target = check_out_file(out, suffixes=(exporter.suffix,), force=force, inputs=(Path(run),))
    model = read_trained_model(run)
    outputs = _outputs(json, target, model)
    store = _store(model, needed=int8)
    job = _Job(exporter, model, exported_facts(model), target, bootstrap, permutations)
    with no_new_parents_on_failure(target), progress(4 if int8 else 1, "exporting") as bar:
        found = job.in_int8(store, bar) if int8 and store is not None else job.in_float32(store, bar)
    record = jsonable({
        **found,
        "file": str(target),
        "format": format,
        "bytes": target.stat().st_size,
        "facts": job.facts.model_dump(mode="json"),
        "attribute": model.attribute,
        "without_groups": None if model.kept is None else model.kept.name,
    })  # fmt: skip
    outputs.write(record)
    return record


def exported_facts(model: TrainedModel) -> ClassifierFacts:
    """What a file says of a run's network, with the data and the weights that it is from."""
    origin = {"store_fingerprint": model.info.fingerprint, "weights_sha256": weights_sha256(model.path)}
    return model.facts.model_copy(update=origin)


def _outputs(json: PathLike | None, target: Path, model: TrainedModel) -> Outputs:
    store = model.options.get("store")
    inputs = (model.path, *([Path(store)] if isinstance(store, str) else []))
    outputs = Outputs.checked(json, None, inputs=inputs)
    if outputs.json == target.resolve():
        raise ConfigError(f"--out and --json are both {target}; give two names")
    return outputs


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


@dataclass(frozen=True, eq=False)
class _Job:
    """What to export, to where, and with how many resamples."""

    exporter: AbstractExporter
    model: TrainedModel
    facts: ClassifierFacts
    target: Path
    bootstrap: int
    permutations: int

    def in_float32(self, store: Store | None, bar: Progress) -> dict[str, Any]:
        """Writes the file; the record's ``agreement``, ``recorded`` and ``int8``, which is None."""
        compared, found, chances = self._checked(store, self.target)
        recorded = compare_recorded(self.model, store, compared.rows, chances, replicates=self.bootstrap)
        bar.advance()
        return {"agreement": {"images": compared.kind} | found.to_record(), "recorded": recorded, "int8": None}

    def in_int8(self, store: Store, bar: Progress) -> dict[str, Any]:
        """Writes the file in 8-bit integers; the same entries of the record."""
        exporter, model, rows = self.exporter, self.model, store.rows("validation")
        resamples = {"bootstrap": self.bootstrap, "permutations": self.permutations}
        told = groups_left_out_by(model.path)
        with TemporaryDirectory(prefix="mindgap-") as folder, atomic_path(self.target) as temporary:
            wide = Path(folder) / f"float32{exporter.suffix}"
            compared, found, _ = self._checked(store, wide)
            bar.advance()
            bar.describe("quantising")
            exporter.quantize(wide, temporary, calibration_batches(store), facts=self.facts)
            bar.advance()
            bar.describe("predicting validation images")
            chances = [exporter.run(path, store.images, rows) for path in (wide, temporary)]
            bar.advance()
            bar.describe("auditing")
            recorded = compare_recorded(model, store, rows, chances[1], replicates=self.bootstrap)
            changed = compare_int8(store, *chances, told=told, **resamples)
            bar.advance()
        return {"agreement": {"images": compared.kind} | found.to_record(), "recorded": recorded, "int8": changed}

    def _checked(self, store: Store | None, path: Path) -> tuple[ComparedImages, Agreement, Probabilities]:
        compared = images_to_compare(store, size_px=self.facts.input_px)
        classifier = ImageClassifier(self.model.without_groups(), self.facts)
        found, chances = export_checked(self.exporter, classifier, path, facts=self.facts, images=compared.images)
        return compared, found, chances
