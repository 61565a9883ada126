from __future__ import annotations

import csv
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mindgap.core.errors import RunError
from mindgap.data.decode import Geometry, decode_image
from mindgap.data.image_store import Store
from mindgap.workflows.prepare import prepare

ROWS = 60


@pytest.fixture
def source(tmp_path):
    """Images and a table: two classes, sex, ages 0 to 59, clusters of two."""
    (tmp_path / "images").mkdir()
    for row in range(ROWS):
        pixels = np.random.default_rng(row).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / f"im{row}.png")
    write(tmp_path / "table.csv", columns())
    return tmp_path


def columns(**more):
    plain = {
        "image_id": [f"im{row}" for row in range(ROWS)],
        "dx": ["mel" if row % 3 else "nv" for row in range(ROWS)],
        "sex": ["" if row == 7 else "fm"[row % 2] for row in range(ROWS)],
        "age": [str(row) for row in range(ROWS)],
        "lesion": ["" if row > 55 else f"L{row // 2}" for row in range(ROWS)],
    }
    return plain | more


def write(path, table):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))


def build(source, **options):
    plain = {
        "images": source / "images",
        "metadata": source / "table.csv",
        "out": source / "store",
        "id": "image_id",
        "label": "dx",
        "attributes": "sex,age:bands=0/30/60,sex*age",
        "cluster": "lesion",
        "size": 8,
        "workers": 1,
    }
    return prepare(**plain | options)


def test_a_header_with_outer_blanks_goes_by_its_name_without_them(source):
    plain = build(source)
    headers = {"sex": "sex ", "age": " age"}
    write(source / "table.csv", {headers.get(name, name): cells for name, cells in columns().items()})
    record = build(source, out=source / "blank")
    assert record["attributes"] == plain["attributes"]
    assert record["fingerprint"] == plain["fingerprint"]
    pd.testing.assert_frame_equal(Store.open(source / "blank").table, Store.open(source / "store").table)


def test_label_columns_with_outer_blanks_go_by_their_names_too(source):
    write(source / "table.csv", columns(**{"wet ": ["0", "1"] * 30, "red": ["1", "0", "0"] * 20}))
    assert build(source, label=None, labels="wet,red")["classes"] == ["wet", "red"]


def test_outer_blanks_of_a_value_stay_where_no_other_is_like_it(source):
    write(source / "table.csv", columns(sex=["f ", "m"] * 30, dx=[" mel", "nv", "nv"] * 20))
    record = build(source, attributes="sex")
    assert [group["name"] for group in record["attributes"]["sex"]["groups"]] == ["f ", "m"]
    assert record["classes"] == [" mel", "nv"]


def test_a_store_holds_what_the_contract_says(source):
    record = build(source)
    store = Store.open(source / "store")
    assert sorted(path.name for path in store.path.iterdir()) == [
        "config.toml", "dropped.csv", "images.bin", "provenance.json", "store.json", "table.parquet",
    ]  # fmt: skip
    assert record == json.loads((store.path / "store.json").read_text(encoding="utf-8"))
    assert (store.n, store.size_px, store.task, store.classes) == (ROWS, 8, "single-label", ("mel", "nv"))
    assert store.attributes == ("sex", "age", "sex*age")
    assert list(store.table.columns) == [
        "id", "label", "split", "cluster", "sex", "age", "sex*age", "meta_age",
    ]  # fmt: skip
    assert store.table["age"].tolist()[29:31] == ["0-30", "30-60"]
    assert store.table["sex*age"].tolist()[0] == "f*0-30"
    assert pd.isna(store.table["sex"][7])
    assert store.groups("sex").ids[7] == store.groups("sex*age").ids[7] == -1
    assert record["attributes"]["sex"]["unknown"] == 1
    assert record["default_attribute"] == "sex"
    assert (store.path / "dropped.csv").read_text(encoding="utf-8") == "id,reason\n"
    for row in (0, 59):
        image = source / "images" / f"im{row}.png"
        assert np.array_equal(store.images[row], decode_image(str(image), Geometry(8, "squash")))


def test_clusters_splits_and_labels_come_back(source):
    build(source)
    store = Store.open(source / "store")
    assert store.labels.tolist() == [int(row % 3 == 0) for row in range(ROWS)]
    assert store.clusters[:4].tolist() == [0, 0, 1, 1]
    assert len(set(store.clusters[56:].tolist())) == 4
    assert store.cluster_names[0] == "L0"
    assert store.cluster_names[59] is None
    rows = [store.rows(split) for split in ("train", "validation", "test")]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(ROWS))
    assert [len(part) for part in rows] == list(store.info.split["counts"].values())
    assert np.abs(np.array([len(part) for part in rows]) - (42, 9, 9)).max() <= 2
    assert store.table.groupby("cluster")["split"].nunique().max() == 1


def test_faulty_rows_go_to_dropped_csv_with_a_reason(source):
    (source / "images" / "im1.png").unlink()
    (source / "images" / "im2.png").write_bytes(b"not an image")
    whole = (source / "images" / "im3.png").read_bytes()
    (source / "images" / "im3.png").write_bytes(whole[: len(whole) // 2])
    Image.new("1", (10_000, 9_000)).save(source / "images" / "im4.png")
    table = columns()
    table["dx"][5] = ""
    table["image_id"][6] = "im0"
    table["image_id"][8] = "im9.png"
    write(source / "table.csv", table)
    record = build(source)
    dropped = pd.read_csv(source / "store" / "dropped.csv")
    assert dict(zip(dropped["id"], dropped["reason"], strict=True)) == {
        "im1": "missing_file",
        "im2": "unreadable",
        "im3": "unreadable",
        "im4": "too_large",
        "im5": "unknown_label",
        "im0": "duplicate_id",
        "im9": "duplicate_id",
    }
    assert record["dropped"] == {
        "duplicate_id": 2, "missing_file": 1, "too_large": 1, "unknown_label": 1, "unreadable": 2,
    }  # fmt: skip
    store = Store.open(source / "store")
    assert store.n == record["n"] == ROWS - 7
    for row, name in enumerate(store.ids):
        image = source / "images" / f"{name.removesuffix('.png')}.png"
        assert np.array_equal(store.images[row], decode_image(str(image), Geometry(8, "squash")))


def test_text_is_verbatim_in_generic_tables(source):
    table = columns(sex=["NA" if row % 2 else "unknown" for row in range(ROWS)])
    table["dx"] = ["1.0" if row % 3 else "1" for row in range(ROWS)]
    write(source / "table.csv", table)
    build(source, attributes="sex")
    store = Store.open(source / "store")
    assert store.classes == ("1", "1.0")
    assert store.groups("sex").names == ("NA", "unknown")
    assert store.groups("sex").known.all()


def test_quantile_bands_are_groups(source):
    build(source, attributes="age:quantiles=3")
    assert Store.open(source / "store").groups("age").counts().tolist() == [20, 20, 20]


def test_multi_label_tables_make_multi_label_stores(source):
    write(
        source / "table.csv",
        columns(a=[str(row % 2) for row in range(ROWS)], b=[f"{row % 3 // 2}.0" for row in range(ROWS)]),
    )
    record = build(source, label=None, labels="a,b", attributes="sex")
    store = Store.open(source / "store")
    assert (store.task, store.classes) == ("multi-label", ("a", "b"))
    assert store.labels.dtype == np.uint8
    assert store.labels[:4].tolist() == [[0, 0], [1, 0], [0, 1], [1, 0]]
    assert {"label_a", "label_b"} <= set(store.table.columns)
    assert record["split"]["classes"]["b"]["train"] == 14


def test_labels_may_be_written_in_three_ways_and_a_read_minus_one_is_told(source):
    write(
        source / "table.csv",
        columns(
            a=[str(row % 2) for row in range(ROWS)],
            b=[str(2 * (row % 3 // 2) - 1) for row in range(ROWS)],
            c=[str(row % 5 == 0).lower() for row in range(ROWS)],
        ),
    )
    record = build(source, label=None, labels="a,b,c", attributes="sex")
    rows = np.arange(ROWS)
    wanted = np.stack([rows % 2, rows % 3 // 2, rows % 5 == 0], axis=1)
    assert Store.open(source / "store").labels.tolist() == wanted.astype(int).tolist()
    assert record["notes"] == ["labels written -1 and 1, with -1 read as 0: b"]


def test_masks_lie_beside_the_images(source):
    (source / "masks").mkdir()
    for row in range(50):
        mask = np.zeros((12, 16), dtype=np.uint8)
        mask[:, : 8 if row % 2 else 16] = 255
        Image.fromarray(mask).save(source / "masks" / f"im{row}_segmentation.png")
    (source / "images" / "im0.png").unlink()
    record = build(source, masks=source / "masks")
    store = Store.open(source / "store")
    assert record["masks"] == {"n": 49, "missing": 10, "unreadable": 0, "empty": 0}
    assert store.masks.shape == (59, 8, 8)
    assert (store.masks[0] == 255).mean() == 0.5
    assert (store.masks[1] == 255).all()
    assert store.table["has_mask"].tolist() == [True] * 49 + [False] * 10
    assert store.masks[49:].max() == 0


def test_a_group_of_one_image_stays_in_train_flagged(source):
    table = columns()
    table["sex"][20] = "x"
    write(source / "table.csv", table)
    groups = build(source, attributes="sex")["attributes"]["sex"]["groups"]
    single = next(group for group in groups if group["name"] == "x")
    assert single == {
        "name": "x", "n": 1, "train": 1, "validation": 0, "test": 0,
        "flags": ["single_image", "not_in_validation", "not_in_test"],
    }  # fmt: skip


def test_a_copy_of_an_image_in_another_split_is_reported(source):
    first = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((64, 64))
    for row in range(0, ROWS, 2):
        first.save(source / "images" / f"im{row}.png")
    record = build(source, size=32)
    store = Store.open(source / "store")
    splits = store.table["split"].to_numpy()[::2]
    pairs = sum(int(a != b) for i, a in enumerate(splits) for b in splits[:i])
    assert record["duplicates"]["pairs_across_splits"] == pairs > 0


def test_the_fingerprint_follows_pixels_labels_and_seed(source):
    first = build(source)["fingerprint"]
    assert build(source, out=source / "again")["fingerprint"] == first
    assert build(source, out=source / "seed", seed=1)["fingerprint"] != first
    Image.new("RGB", (12, 16)).save(source / "images" / "im5.png")
    assert build(source, out=source / "pixel")["fingerprint"] != first


def test_workers_do_not_change_the_store(source):
    one, two = build(source, out=source / "one", workers=1), build(source, out=source / "two", workers=2)
    assert one == two


def test_the_same_options_again_return_the_finished_store(source):
    first = build(source)
    stamp = (source / "store" / "images.bin").stat().st_mtime_ns
    assert build(source, workers=2) == first
    assert (source / "store" / "images.bin").stat().st_mtime_ns == stamp


@pytest.mark.parametrize("changed", [{"size": 16}, {"seed": 3}, {"attributes": "sex"}, {"resize": "pad"}])
def test_other_options_are_refused_and_force_replaces(source, changed):
    build(source)
    with pytest.raises(RunError, match="--force"):
        build(source, **changed)
    build(source, **changed, force=True)
    assert [path.name for path in source.iterdir() if path.name.startswith(".")] == []
    assert build(source, **changed)["size_px"] == changed.get("size", 8)


def test_a_changed_table_is_another_option(source):
    build(source)
    write(source / "table.csv", columns(dx=["a" if row % 2 else "b" for row in range(ROWS)]))
    with pytest.raises(RunError, match="metadata_sha256"):
        build(source)


def test_images_in_sub_folders_and_several_tables(source):
    for row in range(0, ROWS, 2):
        below = source / "images" / "part_2"
        below.mkdir(exist_ok=True)
        (source / "images" / f"im{row}.png").rename(below / f"im{row}.png")
    table = columns()
    ages = {"image_id": table["image_id"], "years": table.pop("age")}
    write(source / "table.csv", table)
    write(source / "ages.csv", ages)
    record = build(source, metadata=f"{source / 'table.csv'},{source / 'ages.csv'}", attributes="years:bands=0/30/60")
    assert record["dropped"] == {}
    assert [group["n"] for group in record["attributes"]["years"]["groups"]] == [30, 30]
