"""The verb ``prepare``: from a folder of images and a table to a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mindgap.core.errors import ConfigError, DataError
from mindgap.core.files import no_new_parents_on_failure, read_json
from mindgap.core.processors import available_cores
from mindgap.core.replacement import end_killed_replacement, put_in_place
from mindgap.core.run import RunFolder
from mindgap.data.attribute import Grouped
from mindgap.data.column_names import with_names
from mindgap.data.dataset import DATASETS
from mindgap.data.decoder import DecoderDied
from mindgap.data.duplicates import near_duplicates
from mindgap.data.given_split import GivenSplit, given_split
from mindgap.data.image_builder import Built, Sources, build_images, keep_rows
from mindgap.data.image_files import ImageFiles
from mindgap.data.manifest import Manifest, Rows, apply_words, check_rows, minus_one_labels, set_aside
from mindgap.data.request import PathLike, PrepareRequest, resolve_request
from mindgap.data.split import cluster_disjoint_split, cluster_numbers
from mindgap.data.store_writer import (
    Labels,
    attribute_info,
    read_attributes,
    read_labels,
    refuse_ragged_clusters,
    split_info,
    store_table,
    write_store,
)
from mindgap.data.table import column_of
from mindgap.workflows.partial_folder import is_finished_store, partial_folder, removed_by_a_mistake


def prepare(
    *,
    images: PathLike,
    metadata: PathLike | Sequence[PathLike] | None,
    out: PathLike,
    attributes: str | Sequence[str],
    preset: str | None = None,
    id: str | None = None,
    label: str | None = None,
    labels: str | Sequence[str] | None = None,
    cluster: str | None = None,
    masks: PathLike | None = None,
    size: int = 64,
    resize: str = "squash",
    constancy: str = "none",
    split: str | Sequence[float] = (0.7, 0.15, 0.15),
    split_column: str | None = None,
    seed: int = 0,
    max_dropped: float = 0.5,
    upright: bool | None = None,
    force: bool = False,
    workers: int | None = None,
) -> dict[str, Any]:
    """Builds a store from images and a table, and returns the contents of its ``store.json``.

    The store is built in a hidden folder beside ``out``, ``.NAME.partial``, and renamed at the end, so ``out`` is whole
    or not there. Killed half-way, the same call goes on where it stopped, and with ``force`` begins anew; a whole store
    that could not be put in its place is put there by the same call. On a finished store it returns at once.

    Args:
        images: folder of images; sub-folders are searched.
        metadata: CSV tables, or their paths with commas between; None where the preset reads file names.
        out: folder of the store.
        attributes: sensitive attributes, as ``sex,age:bands=0/30/60/120,sex*age``.
        preset: name of a data set preset; ``folder`` if None.
        id: column of image names.
        label: column of the class.
        labels: columns of 0/1, true/false or -1/1 labels, for a multi-label task.
        cluster: column of what must stay in one split.
        masks: folder of lesion masks named like the images.
        size: side of the stored images in pixels.
        resize: ``squash``, ``crop`` or ``pad``.
        constancy: of the images' colours: ``none``, or ``shades_of_grey``, after which no skin tone can be measured.
        split: shares of train, validation and test.
        split_column: column that gives the split instead: train, validation (or val, valid, dev) and test, or 0, 1 and
            2. Where none is validation, it is drawn from the training rows, in the ratio of ``split``.
        seed: of the split.
        max_dropped: largest share of rows that may be dropped.
        upright: the images have an up and a down, as faces do: training mirrors them, but does not turn them. None
            takes the preset's word.
        force: replaces the store that is there.
        workers: decoding processes; None means all cores.

    Raises:
        MindgapError: an option, a table, an image folder or the disk is wrong; no store is left behind, but a whole
            one that could not be put in its place stays in the hidden folder.
    """
    request = resolve_request(
        images=images,
        metadata=metadata,
        masks=masks,
        preset=preset,
        columns={"id": id, "label": label, "cluster": cluster, "split": split_column},
        labels=labels,
        attributes=attributes,
        size=size,
        resize=resize,
        constancy=constancy,
        split=split,
        seed=seed,
        max_dropped=max_dropped,
        upright=upright,
    )
    if workers is not None and workers < 1:
        raise ConfigError(f"workers={workers}: need at least 1, or leave it out for all cores")
    target, options = Path(out).resolve(), request.options()  # a link to the folder stays one
    end_killed_replacement(target)
    if is_finished_store(target, verb="prepare", options=options, force=force):
        return read_json(target / "store.json")
    grows = partial_folder(target, verb="prepare", options=options, replace=force, keep=["finished"])
    with no_new_parents_on_failure(target), grows as run:
        with removed_by_a_mistake(run, but=DecoderDied):
            record = _finished_store(run, request, workers=workers or available_cores())
        put_in_place(run.path, target, replace=force)
    return record


def _finished_store(run: RunFolder, request: PrepareRequest, *, workers: int) -> dict[str, Any]:
    """Builds the store in its hidden folder, unless an earlier call did and could not put it in place."""
    if run.state == "finished":
        record = read_json(run.path / "store.json")
    else:
        record = _build(run.path, request, workers=workers)
        run.finish(fingerprint=record["fingerprint"])
    for scrap in ("progress.bin", "files.sha256"):
        (run.path / scrap).unlink(missing_ok=True)
    return record


def _build(folder: Path, request: PrepareRequest, *, workers: int) -> dict[str, Any]:
    """Builds the whole store in its hidden folder."""
    request, table, notes = _read(request)
    manifest = request.manifest
    rows, sources = _find_files(check_rows(table, manifest), request)
    _check_labels_and_groups(rows, request)
    built = build_images(folder, sources, geometry=request.geometry, workers=workers)
    rows, built = _without_faults(rows, built, request, folder)
    labels = read_labels(rows.table, manifest)
    attributes = read_attributes(rows.table, request.specs)
    split = _split(rows.table, request, labels, attributes)
    splits, given = split.parts, {"column": manifest.split, "drawn": ["validation"] if split.drawn else []}
    stored = store_table(
        rows.table,
        manifest,
        labels=labels,
        attributes=attributes,
        specs=request.specs,
        splits=splits,
        masked=built.masked if request.masks else None,
    )
    record = {
        "size_px": request.geometry.size_px,
        "resize": request.geometry.resize,
        "constancy": request.geometry.constancy,
        "upright": request.upright,
        "task": labels.task,
        "classes": labels.names,
        "attributes": {spec.name: attribute_info(spec, attributes[spec.name], splits) for spec in request.specs},
        "default_attribute": request.specs[0].name,
        "split": split_info(labels, splits, shares=request.shares, given=given if manifest.split else None),
        "seed": request.seed,
        "duplicates": near_duplicates(built.hashes, splits).record(stored["id"].to_numpy(dtype=object), splits),
        "source": _source(request, rows),
        "masks": built.mask_counts() if request.masks else None,
        "notes": [*notes, *split.notes],
    }
    return write_store(folder, stored, rows=rows, digests=built.digests, record=record)


def _read(request: PrepareRequest) -> tuple[PrepareRequest, pd.DataFrame, list[str]]:
    manifest, notes = request.manifest, []
    table = DATASETS.get(request.preset)().table(request.images, request.metadata, key=manifest.id)
    if manifest.cluster and not request.asked_cluster and manifest.cluster not in table.columns:
        notes.append(f"no column {manifest.cluster!r}: every image is a cluster of its own")
        manifest = replace(manifest, cluster=None)
    columns = [factor.column for spec in request.specs for factor in spec.factors]
    renamed = with_names(table, [*manifest.labels, *columns])
    if manifest.cluster and manifest.cluster not in renamed.columns and manifest.cluster in table.columns:
        # it is an attribute too
        manifest = replace(manifest, cluster=manifest.cluster.strip())
    table = apply_words(renamed, manifest)
    if signed := minus_one_labels(table, manifest):
        notes.append(f"labels written -1 and 1, with -1 read as 0: {', '.join(signed)}")
    return replace(request, manifest=manifest), table, notes


def _find_files(rows: Rows, request: PrepareRequest) -> tuple[Rows, Sources]:
    """Finds each row's image; a row without one, or with one that an earlier row has, is set aside."""
    manifest = request.manifest
    files = ImageFiles(request.images)
    names = rows.table[manifest.id].tolist()
    found = pd.Series([files.find(name) for name in names], dtype="object")
    reasons = pd.Series(None, index=found.index, dtype="object")
    reasons[found.duplicated() & found.notna()] = "duplicate_id"
    reasons[found.isna()] = "missing_file"
    images = [str(request.images / path) for path in found[reasons.isna()]]
    rows = _set_aside(rows, manifest, reasons)
    _refuse_dropped(rows, request)
    if request.masks is None:
        return rows, Sources(images)
    mask_files, folder = ImageFiles(request.masks, option="--masks"), request.masks
    masks = [mask_files.find(name, endings=manifest.mask_endings) for name in rows.table[manifest.id]]
    return rows, Sources(images, [None if mask is None else str(folder / mask) for mask in masks])


def _check_labels_and_groups(rows: Rows, request: PrepareRequest) -> None:
    """Refuses now what would be refused after decoding everything."""
    refuse_ragged_clusters(rows.table, request.manifest)
    labels = read_labels(rows.table, request.manifest)
    attributes = read_attributes(rows.table, request.specs)
    if request.manifest.split:
        _split(rows.table, request, labels, attributes)


def _split(
    table: pd.DataFrame, request: PrepareRequest, labels: Labels, attributes: Mapping[str, Grouped]
) -> GivenSplit:
    """The split of every row, drawn or as a column gives it."""
    manifest, groups = request.manifest, [grouped.groups for grouped in attributes.values()]
    clusters = _clusters(table, manifest)
    if manifest.split:
        return given_split(
            column_of(table, manifest.split), labels=labels.values, classes=labels.names, groups=groups,
            clusters=clusters, shares=request.shares, seed=request.seed,
        )  # fmt: skip
    numbers = cluster_numbers(clusters)
    parts = cluster_disjoint_split(labels.values, groups, clusters=numbers, shares=request.shares, seed=request.seed)
    return GivenSplit(parts)


def _without_faults(rows: Rows, built: Built, request: PrepareRequest, folder: Path) -> tuple[Rows, Built]:
    """Sets aside the rows whose image could not be decoded, and closes their gaps in the map."""
    rows = _set_aside(rows, request.manifest, pd.Series(built.faults, dtype="object"))
    _refuse_dropped(rows, request)
    kept = np.flatnonzero(pd.isna(built.faults))
    keep_rows(folder, kept, size_px=request.geometry.size_px, masks=request.masks is not None)
    return rows, built.take(kept)


def _set_aside(rows: Rows, manifest: Manifest, reasons: pd.Series) -> Rows:
    more = set_aside(rows.table, manifest, reasons)
    return Rows(more.table, pd.concat([rows.dropped, more.dropped], ignore_index=True))


def _refuse_dropped(rows: Rows, request: PrepareRequest) -> None:
    reasons = rows.dropped["reason"].value_counts()
    listed = ", ".join(f"{reason} {count}" for reason, count in reasons.items())
    first = f"first: {rows.dropped['id'].iloc[0]!r}" if len(rows.dropped) else "the table has no row"
    where = _places([str(reason) for reason in reasons.index], request)
    if not len(rows.table):
        raise DataError(f"no row left of {rows.total} ({listed or 'none read'}; {first}); check {where}")
    if len(rows.dropped) > request.max_dropped * rows.total:
        raise DataError(
            f"{len(rows.dropped)} of {rows.total} rows dropped ({listed}; {first}), more than "
            f"--max-dropped {request.max_dropped:g}; check {where}, or raise it"
        )


def _places(reasons: Sequence[str], request: PrepareRequest) -> str:
    """Where to look for the cause of dropped rows; all places where there is no reason."""
    of_label = "--labels" if request.manifest.labels else "--label"
    by_reason = {
        "missing_file": ("--images", "--id"),
        "unreadable": ("the files",),
        "too_large": ("the files",),
        "under_16_bits": ("the 16-bit files, which must use all bits",),
        "unknown_label": (of_label,),
        "no_split": ("--split-column",),
        "duplicate_id": ("--id",),
    }
    found = dict.fromkeys(place for reason in reasons for place in by_reason[reason])
    *most, last = found or ("--images", "--id", of_label)
    return f"{', '.join(most)} and {last}" if most else last


def _clusters(table: pd.DataFrame, manifest: Manifest) -> pd.Series:
    return column_of(table, manifest.cluster) if manifest.cluster else pd.Series([None] * len(table), dtype="object")


def _source(request: PrepareRequest, rows: Rows) -> dict[str, Any]:
    options = request.options()
    kept = ("images", "metadata", "metadata_sha256", "masks", "preset", "id", "label", "labels", "cluster")
    return {name: options[name] for name in kept} | {"rows": rows.total}
