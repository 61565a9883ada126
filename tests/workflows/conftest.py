"""Predictions tables that are audited."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mindgap.data.image_store import Store
from mindgap.workflows.prepare import prepare
from mindgap.workflows.synth import synth
from mindgap.workflows.tone import tone


def _made(n=240, seed=0):
    """Columns of a table in which group ``b`` is predicted worse."""
    generator = np.random.default_rng(seed)
    labels, b = generator.integers(3, size=n), generator.random(n) < 0.4
    right = generator.random(n) < np.where(b, 0.6, 0.9)
    predicted = np.where(right, labels, (labels + 1) % 3)
    classes = np.array(["nv", "mel", "bcc"])
    columns = {"id": [f"i{k}" for k in range(n)], "label": classes[labels]}
    columns |= {f"prob_{name}": np.where(predicted == k, 0.8, 0.1) for k, name in enumerate(classes)}
    age = generator.integers(0, 100, size=n).astype(str)
    age[:5] = ["", "-1", "130", "old", "60"][:n]
    return columns | {"sex": np.where(b, "b", "a"), "age": age, "patient": [f"p{k // 2}" for k in range(n)]}


@pytest.fixture(scope="session")
def made():
    """Makes the columns of a table."""
    return _made


@pytest.fixture
def table(tmp_path):
    """Writes columns as a file and gives its path."""

    def write(columns=None, name="predictions.csv", **changes):
        frame = pd.DataFrame({k: v for k, v in ((columns or _made()) | changes).items() if v is not None})
        frame.to_csv(tmp_path / name, index=False) if name.endswith("csv") else frame.to_parquet(tmp_path / name)
        return tmp_path / name

    return write


TONE_N, TONE_SIZE = 160, 48


@pytest.fixture(scope="session")
def place(tmp_path_factory) -> Path:
    """A folder with a synthetic set, its store with masks, and one without."""
    folder = tmp_path_factory.mktemp("tone")
    synth(folder / "set", n=TONE_N, size=TONE_SIZE, dark_share=0.4, seed=1)
    asked = {
        "images": folder / "set" / "images", "metadata": folder / "set" / "metadata.csv", "id": "image_id",
        "label": "label", "attributes": "sex", "cluster": "lesion_id", "size": TONE_SIZE,
    }  # fmt: skip
    prepare(**asked, masks=folder / "set" / "masks", out=folder / "store")
    prepare(**asked, out=folder / "unmasked")
    return folder


@pytest.fixture(scope="session")
def toned(place) -> Store:
    tone(place / "store", out=place / "toned")
    return Store.open(place / "toned")
