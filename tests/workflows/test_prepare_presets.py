"""The presets on real tables, with small images made for some of the rows."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mindgap.core.errors import UnknownNameError
from mindgap.data.datasets.celeba import LABELS
from mindgap.data.image_store import Store
from mindgap.workflows.prepare import prepare


def images_for(folder, names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(len(name)).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    return folder


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def build(tmp_path, **options):
    plain = {"images": tmp_path / "images", "out": tmp_path / "store", "size": 8, "workers": 1, "max_dropped": 1.0}
    record = prepare(**plain | options)
    return record, Store.open(tmp_path / "store")


def spread(table, step):
    return table.iloc[::step].reset_index(drop=True)


def test_isic2019_joins_one_hot_labels_with_metadata(shared_data, tmp_path):
    labels = shared_data / "labels"
    truth = pd.read_csv(labels / "ISIC_2019_Training_GroundTruth.csv")
    some = spread(truth, 40)
    images_for(tmp_path / "images", [f"{name}.jpg" for name in some["image"]])
    tables = [labels / "ISIC_2019_Training_GroundTruth.csv", labels / "ISIC_2019_Training_Metadata.csv"]
    record, store = build(tmp_path, metadata=tables, preset="isic2019", attributes="sex,age:bands=0/30/60/120,site")
    assert record["dropped"] == {"missing_file": len(truth) - len(some)}
    hot = some.set_index("image").drop(columns="UNK").idxmax(axis=1)
    assert store.table["label"].tolist() == hot[store.ids].tolist()
    assert store.groups("sex").names == ("female", "male")
    assert record["attributes"]["age"]["unknown"] > 0
    meta = pd.read_csv(labels / "ISIC_2019_Training_Metadata.csv").set_index("image")
    lesions = meta.loc[store.ids, "lesion_id"]
    assert [name is None for name in store.cluster_names] == lesions.isna().tolist()


def test_pad_ufes_20_reads_the_original_column_names(shared_data, tmp_path):
    path = shared_data / "labels" / "PAD-UFES-20_metadata.csv"
    table = pd.read_csv(path, dtype=str)
    images_for(tmp_path / "images", spread(table, 4)["img_id"])
    record, store = build(
        tmp_path, metadata=path, preset="pad_ufes_20", attributes="fitzpatrick,sex,age:bands=0/40/60/100"
    )
    assert store.classes == ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")
    assert set(store.groups("fitzpatrick").names) <= set("123456")
    assert store.groups("sex").names == ("female", "male")
    mine = table.set_index("img_id").loc[store.ids]
    assert store.cluster_names.tolist() == mine["patient_id"].tolist()
    assert record["attributes"]["fitzpatrick"]["unknown"] == int(mine["fitspatrick"].isna().sum())


def test_pad_ufes_20_reads_the_prepared_folder_with_masks(shared_data, tmp_path):
    folder = shared_data / "pad_ufes_20"
    record, store = build(
        tmp_path,
        images=folder / "images",
        metadata=folder / "metadata.csv",
        masks=folder / "masks",
        preset="pad_ufes_20",
        attributes="fitzpatrick,sex",
        max_dropped=0.0,
    )
    # no file is empty; at 8 px lesions of under 4 % of the image are
    assert (store.n, record["masks"]) == (655, {"n": 628, "missing": 27, "unreadable": 0, "empty": 70})
    groups = {group["name"]: group for group in record["attributes"]["fitzpatrick"]["groups"]}
    assert groups["6"]["train"] == groups["6"]["n"] == 1
    assert "single_image" in groups["6"]["flags"]
    assert store.table.groupby("cluster")["split"].nunique().max() == 1


def test_fitzpatrick17k_takes_minus_one_for_missing(shared_data, tmp_path):
    path = shared_data / "labels" / "fitzpatrick17k.csv"
    table = pd.read_csv(path, dtype=str)
    images_for(tmp_path / "images", [f"{name}.jpg" for name in spread(table, 40)["md5hash"]])
    record, store = build(tmp_path, metadata=path, preset="fitzpatrick17k", attributes="fitzpatrick")
    assert store.classes == ("benign", "malignant", "non-neoplastic")
    assert store.groups("fitzpatrick").names == tuple("123456")
    mine = table.set_index("md5hash").loc[store.ids]
    assert record["attributes"]["fitzpatrick"]["unknown"] == int((mine["fitzpatrick_scale"] == "-1").sum()) > 0
    record, store = build(
        tmp_path,
        metadata=path,
        preset="fitzpatrick17k",
        attributes="fitzpatrick",
        label="nine_partition_label",
        force=True,
    )
    assert len(store.classes) == 9


def test_fairface_stacks_its_two_tables(tmp_path):
    head = ["file", "age", "gender", "race", "service_test"]
    ages, races = ["0-2", "more than 70"], ["Black", "White", "Latino_Hispanic"]
    rows = {
        part: [
            [f"{part}/{n}.jpg", ages[n % 2], ["Male", "Female"][n // 2 % 2], races[n % 3], "True"] for n in range(1, 13)
        ]
        for part in ("train", "val")
    }
    images_for(tmp_path / "images", [row[0] for part in rows.values() for row in part])
    tables = [write(tmp_path / f"fairface_label_{part}.csv", [head, *rows[part]]) for part in rows]
    record, store = build(tmp_path, metadata=tables, preset="fairface", attributes="race,age")
    assert (store.n, record["dropped"]) == (24, {})
    assert store.classes == ("Female", "Male")
    assert store.groups("race").names == tuple(sorted(races))
    assert store.ids[0] == "train/1.jpg"
    assert store.groups("age").names == ("0-2", "more than 70")


CELEBA = ["5_o_Clock_Shadow", "Male", "Smiling", "Young"]


def celeba_rows():
    return [[f"{n:06d}.jpg", *(str(2 * (n // (k + 1) % 2) - 1) for k in range(4))] for n in range(1, 25)]


@pytest.mark.parametrize("kind", ["csv", "txt"])
def test_celeba_is_multi_label_with_gender_and_identities(tmp_path, kind):
    rows = celeba_rows()
    images_for(tmp_path / "images", [row[0] for row in rows])
    labels, identity = tmp_path / f"list_attr_celeba.{kind}", tmp_path / "identity_CelebA.txt"
    if kind == "csv":
        write(labels, [["image_id", *CELEBA], *rows])
    else:
        lines = ["24", " ".join(CELEBA), *("  ".join(row) for row in rows)]
        labels.write_text("\n".join(lines) + "\n", encoding="utf-8")
    identity.write_text("".join(f"{row[0]} {n // 3}\n" for n, row in enumerate(rows)), encoding="utf-8")
    record, store = build(
        tmp_path,
        metadata=[labels, identity],
        preset="celeba",
        attributes="gender,Young",
        labels="5_o_Clock_Shadow,Smiling",
    )
    assert (store.task, store.classes) == ("multi-label", ("5_o_Clock_Shadow", "Smiling"))
    assert store.labels[:, 1].tolist() == [int(row[3] == "1") for row in rows]
    assert store.table["gender"].tolist() == ["male" if row[2] == "1" else "female" for row in rows]
    assert len(np.unique(store.clusters)) == 8
    assert record["notes"] == []


def test_the_published_partition_of_celeba_is_kept_where_it_is_named(tmp_path):
    rows = celeba_rows()
    images_for(tmp_path / "images", [row[0] for row in rows])
    write(tmp_path / "a.csv", [["image_id", *CELEBA], *rows])
    parts = [0] * 16 + [1] * 4 + [2] * 4
    lines = [f"{row[0]} {part}\n" for row, part in zip(rows, parts, strict=True)]
    (tmp_path / "list_eval_partition.txt").write_text("".join(lines), encoding="utf-8")
    tables = [tmp_path / "a.csv", tmp_path / "list_eval_partition.txt"]
    options = {"preset": "celeba", "attributes": "gender", "labels": "Smiling", "split_column": "partition"}
    record, store = build(tmp_path, metadata=tables, **options)
    assert "column 'partition' is read as 0 train, 1 validation, 2 test" in record["notes"]
    assert store.table["split"].tolist() == ["train"] * 16 + ["validation"] * 4 + ["test"] * 4


def test_celeba_without_identities_says_so(tmp_path):
    rows = celeba_rows()
    images_for(tmp_path / "images", [row[0] for row in rows])
    write(tmp_path / "a.csv", [["image_id", *CELEBA], *rows])
    record, store = build(
        tmp_path, metadata=tmp_path / "a.csv", preset="celeba", attributes="gender", labels=["Smiling", "Young"]
    )
    assert record["notes"] == ["no column 'identity': every image is a cluster of its own"]
    assert len(np.unique(store.clusters)) == 24


def test_celeba_as_published_has_39_labels_and_keeps_the_given_partition_aside(tmp_path):
    names = [*LABELS[:20], "Male", *LABELS[20:]]
    generator = np.random.default_rng(0)
    signs = np.concatenate([generator.choice([-1, 1], (30, 40)), np.ones((1, 40), int), -np.ones((1, 40), int)])
    files = [f"{n:06d}.jpg" for n in range(1, 33)]
    images_for(tmp_path / "images", files)
    rows = [f"{file} " + " ".join(f"{sign:2d}" for sign in row) for file, row in zip(files, signs, strict=True)]
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(["32", " ".join(names), *rows]), encoding="utf-8")
    partition = "\n".join(f"{file} {n % 3}" for n, file in enumerate(files))
    (tmp_path / "list_eval_partition.txt").write_text(partition, encoding="utf-8")
    tables = [tmp_path / "list_attr_celeba.txt", tmp_path / "list_eval_partition.txt"]
    record, store = build(tmp_path, metadata=tables, preset="celeba", attributes="gender")
    assert (record["n"], record["dropped"]) == (32, {})
    assert store.classes == LABELS
    assert store.labels.tolist() == (np.delete(signs, 20, axis=1) == 1).astype(int).tolist()
    assert store.table["gender"].tolist() == ["male" if sign == 1 else "female" for sign in signs[:, 20]]
    assert store.table["meta_partition"].tolist() == [str(n % 3) for n in range(32)]
    assert record["notes"] == ["no column 'identity': every image is a cluster of its own"]


def utk_rows():
    """Ages at every edge, every race, both genders, and two rows without labels."""
    cells = [(age, k % 2, k % 5) for k, age in enumerate([0, 19, 20, 39, 40, 59, 60, 116, 120, 5] * 3)]
    return [*cells, (121, 0, 0), (30, 1, 7)]


WORDS = ("white", "black", "asian", "indian", "other")


@pytest.mark.parametrize("kind", ["names", "codes", "words"])
def test_utkface_labels_are_bands_and_races_however_the_table_is_written(tmp_path, kind):
    rows = utk_rows()
    files = [f"{age}_{gender}_{race}_2017{n:04d}.jpg" for n, (age, gender, race) in enumerate(rows)]
    images_for(tmp_path / "images", files)
    metadata = None
    if kind != "names":
        said = [
            (file, age, gender if kind == "codes" else ("male", "female")[gender],
             race if kind == "codes" else (*WORDS, "", "", "martian")[race])
            for file, (age, gender, race) in zip(files, rows, strict=True)
        ]  # fmt: skip
        metadata = write(tmp_path / "t.csv", [["image_id", "age", "gender", "race"], *said])
    record, store = build(tmp_path, metadata=metadata, preset="utkface_labels", attributes="gender")
    assert record["dropped"] == {"unknown_label": 2}
    assert store.classes == (
        "age_0-20", "age_20-40", "age_40-60", "age_60-120", *(f"race_{word}" for word in WORDS)
    )  # fmt: skip
    for name, labels in zip(store.ids, store.labels.tolist(), strict=True):
        age, _, race = rows[files.index(name)]
        assert labels[:4] == [age < 20, 20 <= age < 40, 40 <= age < 60, 60 <= age <= 120]
        assert labels[4:] == [race == k for k in range(5)]
    assert store.groups("gender").names == ("female", "male")
    assert record["upright"] is True


def test_utkface_labels_without_ages_say_so(tmp_path):
    images_for(tmp_path / "images", ["a.jpg"])
    table = write(tmp_path / "t.csv", [["image_id", "gender", "race"], ["a.jpg", "male", "white"]])
    with pytest.raises(UnknownNameError, match="metadata: no column 'age'"):
        build(tmp_path, metadata=table, preset="utkface_labels", attributes="gender")
    assert not (tmp_path / "store").exists()


def test_utkface_labels_of_the_real_table_have_positives_of_both_genders_in_every_split(shared_data, tmp_path):
    folder = shared_data / "utkface"
    table = pd.read_csv(folder / "metadata.csv", dtype=str)
    some = spread(table, 13)
    images_for(tmp_path / "images", [f"{name}.jpg" for name in some["image_id"]])
    record, store = build(
        tmp_path, metadata=folder / "metadata.csv", preset="utkface_labels", attributes="gender", max_dropped=1.0
    )
    assert record["n"] == len(some)
    years = store.table["meta_age"].astype(float).to_numpy()
    assert store.labels[:, 1].tolist() == ((years >= 20) & (years < 40)).astype(int).tolist()
    for split in ("train", "validation", "test"):
        inside = (store.table["split"] == split).to_numpy()
        for gender in ("female", "male"):
            assert store.labels[inside & (store.table["gender"] == gender).to_numpy()].any(axis=0).all()


def test_utkface_reads_the_original_file_names(tmp_path):
    names = [f"{20 + n}_{n % 2}_{n % 5}_2017010{n % 10}.jpg" for n in range(30)] + ["61_1_20170109.jpg"]
    images_for(tmp_path / "images", names)
    record, store = build(tmp_path, metadata=None, preset="utkface", attributes="race,age:bands=0/30/60")
    assert record["dropped"] == {"unknown_label": 1}
    assert store.classes == ("female", "male")
    assert store.groups("race").names == ("asian", "black", "indian", "other", "white")
    assert record["attributes"]["age"]["groups"][0]["n"] == 10


def test_ham10000_takes_unknown_for_missing(shared_data, tmp_path):
    folder = shared_data / "ham10000"
    table = pd.read_csv(folder / "metadata.csv", dtype=str)
    some = pd.concat([spread(table, 40), table[table["sex"] == "unknown"]]).drop_duplicates("image_id")
    (tmp_path / "images").mkdir()
    for name in some["image_id"]:
        shutil.copy(folder / "images" / f"{name}.jpg", tmp_path / "images")
    record, store = build(
        tmp_path, metadata=folder / "metadata.csv", preset="ham10000", attributes="age:bands=0/30/60/120,sex"
    )
    assert store.n == len(some)
    assert store.groups("sex").names == ("female", "male")
    assert record["attributes"]["sex"]["unknown"] == 52
    assert store.table.groupby("cluster")["split"].nunique().max() == 1
    assert {name: part["train"] > 0 for name, part in record["split"]["classes"].items()} == dict.fromkeys(
        store.classes, True
    )
