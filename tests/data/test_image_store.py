from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mindgap.core.errors import DataError, UnknownNameError
from mindgap.data.image_store import Store
from mindgap.workflows.prepare import prepare


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    (folder / "images").mkdir()
    lines = ["id,dx,sex"]
    for row in range(20):
        Image.new("RGB", (8, 8), (10 * row, 0, 255)).save(folder / "images" / f"{row}.png")
        lines.append(f"{row},{'ab'[row % 2]},{'fm'[row // 2 % 2]}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    prepare(
        images=folder / "images",
        metadata=folder / "table.csv",
        out=folder / "store",
        id="id",
        label="dx",
        attributes="sex",
        size=8,
        workers=1,
    )
    return folder / "store"


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "store")


def test_the_tensor_shares_the_map(finished):
    store = Store.open(finished)
    tensor = store.image_tensor()
    assert tensor.shape == (20, 8, 8, 3)
    assert tensor.data_ptr() == store.images.ctypes.data
    assert tensor[3, 0, 0].tolist() == [30, 0, 255]


def test_what_is_changed_in_memory_stays_there(finished):
    store = Store.open(finished)
    store.images[0] = 77
    assert Store.open(finished).images[0].tolist() != store.images[0].tolist()


def test_a_store_is_pickled_as_its_path(finished):
    store = Store.open(finished)
    assert store.images.any()
    text = pickle.dumps(store)
    assert len(text) < 1000
    assert pickle.loads(text).fingerprint == store.fingerprint  # noqa: S301


def test_many_processes_open_it_at_once(finished):
    script = f"from mindgap.data.image_store import Store; print(int(Store.open({str(finished)!r}).images.sum()))"
    processes = [subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) for _ in range(3)]
    sums = {process.communicate()[0] for process in processes}
    assert sums == {f"{int(Store.open(finished).images.sum(dtype=np.int64))}\n".encode()}


def test_opening_a_store_imports_no_torch(finished):
    script = (
        f"import sys; from mindgap.data.image_store import Store; s = Store.open({str(finished)!r}); s.labels;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_decoder_imports_neither_torch_nor_pandas():
    script = "import sys, mindgap.data.decode_worker; assert not {'torch', 'pandas', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_unknown_attributes_and_splits_are_refused_with_the_known_ones(finished):
    store = Store.open(finished)
    with pytest.raises(UnknownNameError, match="no attribute 'tone'; it exists only after `mindgap tone`; known: sex"):
        store.groups("tone")
    with pytest.raises(UnknownNameError, match="did you mean 'train'"):
        store.rows("trains")


def edit(store, **changes):
    record = json.loads((store / "store.json").read_text(encoding="utf-8"))
    (store / "store.json").write_text(json.dumps(record | changes), encoding="utf-8")


def refusal(store):
    with pytest.raises(DataError) as error:
        Store.open(store)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_no_store_is_refused(copy, tmp_path):
    assert "make one with mindgap prepare" in refusal(tmp_path / "none")
    edit(copy, version=99)
    assert "version 99" in refusal(copy)


def test_a_damaged_store_is_refused(copy):
    with (copy / "images.bin").open("r+b") as file:
        file.truncate(100)
    assert "has 100 bytes, store.json says 3840" in refusal(copy)
    (copy / "images.bin").unlink()
    assert "has 0 bytes" in refusal(copy)


def test_a_record_with_unknown_or_missing_entries_is_refused(copy):
    edit(copy, colour="blue")
    assert "unknown key 'colour'" in refusal(copy)
    (copy / "store.json").write_text("[]", encoding="utf-8")
    assert "version None" in refusal(copy)


def test_a_table_of_another_length_is_refused(copy):
    store = Store.open(copy)
    store.table.iloc[:5].to_parquet(copy / "table.parquet")
    with pytest.raises(DataError, match="the table has 5 rows"):
        _ = Store.open(copy).table
    (copy / "table.parquet").write_bytes(b"x")
    with pytest.raises(DataError, match="cannot read"):
        _ = Store.open(copy).table
