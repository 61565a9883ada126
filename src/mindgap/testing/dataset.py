"""The contract of a data set preset."""

from __future__ import annotations

import csv
import inspect
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mindgap.data.attribute import parse_attributes
from mindgap.data.dataset import DATASETS
from mindgap.data.image_store import Store
from mindgap.data.manifest import Manifest
from mindgap.workflows.prepare import prepare

ROWS = 24


def write_source(folder: Path, manifest: Manifest) -> Path:
    """Writes images and a CSV table with the source's column names and returns the table."""
    (folder / "images").mkdir(parents=True)
    for row in range(ROWS):
        pixels = np.random.default_rng(row).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"image_{row}.png")
    source = {new: old for old, new in manifest.renames.items()}
    columns = {source.get(name, name): cells for name, cells in _columns(manifest).items()}
    table = folder / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return table


def _columns(manifest: Manifest) -> dict[str, list[str]]:
    columns = {attribute: [f"{row % 2 + 1}" for row in range(ROWS)] for attribute in manifest.attributes or ("group",)}
    columns |= {label: [f"{row // 2 % 2}" for row in range(ROWS)] for label in manifest.labels}
    classes = manifest.classes or ("a", "b")
    if manifest.one_hot:
        columns |= {word: [f"{float(word == classes[row % 2])}" for row in range(ROWS)] for word in manifest.one_hot}
    elif not manifest.labels:
        columns[manifest.label or "label"] = [classes[row % 2] for row in range(ROWS)]
    if manifest.cluster:
        columns[manifest.cluster] = [f"c{row // 2}" for row in range(ROWS)]
    return {manifest.id or "id": [f"image_{row}" for row in range(ROWS)]} | columns


class DatasetConformance:
    """Inherit it and give the fixture ``name``, the registered name of the preset."""

    @pytest.fixture
    def manifest(self, name: str) -> Manifest:
        """The preset's manifest."""
        return DATASETS.get(name)().manifest()

    def test_it_says_in_one_line_what_it_is(self, name: str) -> None:
        first = (inspect.getdoc(DATASETS.get(name)) or "").partition("\n")[0]
        assert first.endswith((".", ":"))

    def test_it_names_one_kind_of_label(self, manifest: Manifest) -> None:
        assert not (manifest.label and manifest.labels)
        assert not manifest.one_hot or manifest.label
        assert len(set(manifest.labels)) == len(manifest.labels)
        assert manifest.classes is None or len(set(manifest.classes)) == len(manifest.classes) >= 2

    def test_its_attributes_can_be_asked_for(self, manifest: Manifest) -> None:
        if manifest.attributes:
            assert tuple(spec.name for spec in parse_attributes(manifest.attributes)) == manifest.attributes

    def test_renamed_columns_have_names_of_their_own(self, manifest: Manifest) -> None:
        assert len(set(manifest.renames.values())) == len(manifest.renames)
        assert not set(manifest.renames) & set(manifest.renames.values())

    def test_a_table_in_its_own_words_becomes_a_store(self, manifest: Manifest, name: str, tmp_path: Path) -> None:
        table = write_source(tmp_path, manifest)
        attributes = manifest.attributes or ("group",)
        record = prepare(
            images=tmp_path / "images",
            metadata=table,
            out=tmp_path / "store",
            preset=name,
            attributes=attributes,
            id=None if manifest.id else "id",
            label=None if manifest.label or manifest.labels else "label",
            size=8,
            workers=1,
        )
        assert record["dropped"] == {}
        assert record["n"] == ROWS
        store = Store.open(tmp_path / "store")
        assert store.attributes == tuple(attributes)
        assert store.labels.shape == ((ROWS, len(manifest.labels)) if manifest.labels else (ROWS,))
        assert len(np.unique(store.clusters)) == (ROWS // 2 if manifest.cluster else ROWS)
