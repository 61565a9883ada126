"""The audit of a store: what a prepared data set can and cannot answer, before any network is trained."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from mindgap.audit.dataset_audit import DatasetArrays, audit_dataset
from mindgap.audit.detectable_gap import ACCURACY
from mindgap.audit.tone_table import Tones
from mindgap.core.errors import DataError
from mindgap.core.files import write_text
from mindgap.core.notes import note
from mindgap.data.image_hashes import image_hashes
from mindgap.data.image_store import Store
from mindgap.data.split import SPLITS
from mindgap.data.store_attributes import StoreAttribute, store_attributes
from mindgap.data.table import column_of
from mindgap.report.example_sheet import ExampleSheet
from mindgap.report.store_page import render_store_page
from mindgap.workflows.audit_examples import examples_of, refuse_examples
from mindgap.workflows.audit_outputs import Outputs

log = logging.getLogger(__name__)


def audit_store(
    store: Path | str,
    *,
    json: Path | str | None = None,
    html: Path | str | None = None,
    attributes: str | Sequence[str] | None = None,
    accuracy: float = ACCURACY,
    icc: float | None = None,
    permutations: int = 1000,
    seed: int = 0,
    examples: int = 0,
) -> dict[str, Any]:
    """Audits a store and returns the record.

    Args:
        store: folder made by ``mindgap prepare``.
        json: file for the record.
        html: file for the page.
        attributes: those to look at, as ``sex,age:bands=0/30/60,sex*age``; all of the store's if None.
        accuracy: assumed accuracy, for the smallest gap that could show.
        icc: assumed correlation of being right within a cluster; None means .5.
        permutations: for the p of the case mix.
        seed: the same seed gives the same record.
        examples: so many images on the page beside their twins, never in the record; they are patients' images.

    Raises:
        CapacityError: a file cannot be written.
        ConfigError: an option is wrong, or a file would replace one of the store.
        DataError: the folder is no store, or is damaged.
        UnknownNameError: an attribute is not known.
    """
    outputs = Outputs.checked(json, html, inputs=(Path(store),))
    opened = Store.open(store)
    refuse_examples(examples, opened, page=outputs.html)
    grouped = store_attributes(opened, attributes)
    record = audit_dataset(_arrays(opened, grouped), accuracy=accuracy, icc=icc, permutations=permutations, seed=seed)
    record = {**record, "store": _store(opened, grouped), "seed": seed}
    sheet = _examples(opened, examples, seed=seed)
    outputs.write(record, page=lambda path: write_text(path, render_store_page(record, examples=sheet)))
    if sheet is not None:
        note(log, f"{outputs.html}: holds {len(sheet.panels)} images of the store; keep it as you keep the images")
    return record


def _examples(store: Store, number: int, *, seed: int) -> ExampleSheet | None:
    tones = _tones(store) if number else None
    return None if tones is None else examples_of(store, tones, number=number, seed=seed)


def _arrays(store: Store, grouped: Mapping[str, StoreAttribute]) -> DatasetArrays:
    _check(store)
    hashes = image_hashes(store.images)
    return DatasetArrays(
        ids=store.ids,
        classes=store.classes,
        labels=store.labels,
        splits=store.table["split"].to_numpy(dtype=object),
        clusters=store.clusters,
        cluster_names=store.cluster_names,
        groups={name: one.groups for name, one in grouped.items()},
        identical=hashes.identical,
        perceptual=hashes.perceptual,
        tones=_tones(store),
    )


def _check(store: Store) -> None:
    """Refuses a table that does not fit ``store.json``.

    Raises:
        DataError: a column is missing, or a split or label is none that the store has.
    """
    labels = [f"label_{name}" for name in store.classes] if store.task == "multi-label" else ["label"]
    missing = [name for name in ("id", "split", "cluster", *labels) if name not in store.table.columns]
    if missing:
        raise DataError(f"{store.path}: table.parquet has no column {missing[0]!r}; prepare the store again")
    split = column_of(store.table, "split")
    strange = ~split.isin(SPLITS).to_numpy()
    if strange.any():
        seen = str(split.to_numpy()[strange][0])
        raise DataError(f"{store.path}: table.parquet has a row in split {seen!r}, none of {', '.join(SPLITS)}")
    if store.task == "single-label" and (store.labels < 0).any():
        seen = str(column_of(store.table, "label").to_numpy()[store.labels < 0][0])
        raise DataError(f"{store.path}: table.parquet has label {seen!r}, no class of store.json; prepare it again")


def _tones(store: Store) -> Tones | None:
    """What ``mindgap tone`` measured; None before."""
    table = store.table
    if "ita_degrees" not in table.columns:
        return None
    degrees = cast("pd.Series", pd.to_numeric(column_of(table, "ita_degrees"), errors="coerce"))
    angles = degrees.to_numpy(dtype=np.float64, na_value=np.nan)
    is_cielab = (store.info.tone or {}).get("definition", "cielab") == "cielab"
    return Tones(angles, _words(table, "tone"), _words(table, "ita_flags"), is_cielab=is_cielab)


def _words(table: pd.DataFrame, name: str) -> np.ndarray | None:
    if name not in table.columns:
        return None
    cells = column_of(table, name).to_numpy(dtype=object, copy=True)
    cells[pd.isna(cells)] = None
    return cells


def _store(store: Store, grouped: Mapping[str, StoreAttribute]) -> dict[str, Any]:
    """What the store says of itself."""
    info = store.info
    return {
        "name": store.path.resolve().name,
        "size_px": info.size_px,
        "resize": info.resize,
        "upright": info.upright,
        "fingerprint": info.fingerprint,
        "split": info.split.get("shares"),
        "split_column": info.split.get("column"),
        "split_drawn": info.split.get("drawn"),
        "seed": info.seed,
        "default_attribute": info.default_attribute,
        "attributes": {name: one.spec for name, one in grouped.items()},
        "out_of_range": {name: one.out_of_range for name, one in grouped.items() if one.out_of_range},
        "dropped": info.dropped,
        "masks": info.masks,
        "tone": info.tone,
        "source": {key: info.source[key] for key in ("preset", "cluster", "rows") if key in info.source},
        "notes": list(info.notes),
    }
