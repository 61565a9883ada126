"""A run, its exported file, and its test images as files."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from PIL import Image

from mindgap.core.files import read_json, write_json
from mindgap.data.image_store import Store
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.workflows.export import export
from mindgap.workflows.train import train

N = 120
HOSTILE = ("<script>alert(1)</script>", 'a,"b"\n=1+1 ∑')


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("export")


@pytest.fixture(scope="session")
def classes():
    """Names that no file, page or table may take for anything else."""
    return HOSTILE


def make_run(store, out, **options):
    blocks = (
        BlockSpec(type="mb", out_channels=8, choices={"kernel": 3, "hidden_channels": 16}),
        BlockSpec(type="rb", out_channels=8, choices={"kernel": 3, "hidden_channels": 8}),
    )
    architecture = Architecture(
        name="tiny", input_px=SIZE_PX, num_classes=2, stem=Stem(channels=8), blocks=blocks, head=Head(width=16)
    )
    path = out.with_suffix(".json")
    path.write_text(architecture.to_json())
    defaults = {"epochs": 3, "batch_size": 16, "bootstrap": 20, "permutations": 20, "precision": "fp32"}
    train(store, network=path, out=out, **defaults | options)
    return out


@pytest.fixture(scope="session")
def store(folder):
    """A tiny store whose classes have these names."""
    path = write_tiny_store(folder / "store", n=N)
    table = pd.read_parquet(path / "table.parquet")
    table["label"] = table["label"].map(dict(zip(("dark", "red"), HOSTILE, strict=True)))
    table.to_parquet(path / "table.parquet")
    write_json(path / "store.json", read_json(path / "store.json") | {"classes": list(HOSTILE)})
    return path


@pytest.fixture(scope="session")
def multi_label_store(folder):
    return write_tiny_store(folder / "multi", n=N, multi_label=True)


@pytest.fixture(scope="session")
def multi_label_run(folder, multi_label_store):
    return make_run(multi_label_store, folder / "multi-run", epochs=1)


@pytest.fixture(scope="session")
def run(folder, store):
    return make_run(store, folder / "run")


@pytest.fixture(scope="session")
def narrow_run(folder, store):
    """A run in bfloat16."""
    return make_run(store, folder / "narrow-run", epochs=1, precision="bf16")


@pytest.fixture(scope="session")
def exported(folder, run):
    """An exported file and its record."""
    return folder / "float.onnx", export(run, out=folder / "float.onnx")


@pytest.fixture(scope="session")
def images(folder, store):
    """The store's test images as files, one of them in a sub-folder, and two that are none."""
    place = folder / "images"
    (place / "deep").mkdir(parents=True)
    opened = Store.open(store)
    for number, row in enumerate(opened.rows("test")):
        below = "deep" if number == 0 else "."
        Image.fromarray(opened.images[row]).save(place / below / f"{opened.ids[row]}.png")
    (place / "broken.jpg").write_bytes(b"\xff\xd8 no more")
    (place / "truncated.png").write_bytes((place / f"{opened.ids[opened.rows('test')[1]]}.png").read_bytes()[:60])
    return place


@pytest.fixture
def copy_of(tmp_path):
    """Copies a run, with other options in its ``config.toml``."""

    def copy(run, **options):
        copied = tmp_path / "copied"
        shutil.copytree(run, copied)
        config = (copied / "config.toml").read_text()
        for key, value in options.items():
            line = next(line for line in config.splitlines() if line.startswith(f"{key} ="))
            config = config.replace(line, f"{key} = {json.dumps(value)}")
        (copied / "config.toml").write_text(config)
        return copied

    return copy
