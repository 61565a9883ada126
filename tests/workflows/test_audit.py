"""The verb ``audit`` on predictions, runs and stores."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest

from mindgap.api import audit
from mindgap.core.errors import CapacityError, ConfigError, DataError, MindgapError, RunError
from mindgap.space.architecture import Architecture, BlockSpec, Head, Stem
from mindgap.testing.tiny_store import SIZE_PX, write_tiny_store
from mindgap.workflows.train import train

FEW = {"bootstrap": 20, "permutations": 20}


def made(n=240, seed=0):
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


@pytest.fixture
def table(tmp_path):
    """Writes columns as a file and gives its path."""

    def write(columns=None, name="predictions.csv", **changes):
        frame = pd.DataFrame({k: v for k, v in ((columns or made()) | changes).items() if v is not None})
        frame.to_csv(tmp_path / name, index=False) if name.endswith("csv") else frame.to_parquet(tmp_path / name)
        return tmp_path / name

    return write


def refusal(path, *, kind=MindgapError, **options):
    with pytest.raises(kind) as caught:
        audit(path, **{"attributes": "sex"} | FEW | options)
    message = str(caught.value)
    assert "\n" not in message
    return message.replace(f"{path}", "FILE").replace(f"{path.parent}/", "")


def strict(path):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def test_the_record_is_what_the_json_file_holds(table, tmp_path):
    record = audit(table(), attributes="sex,age:bands=0/30/60", json=tmp_path / "new" / "audit.json", **FEW)
    assert strict(tmp_path / "new" / "audit.json") == record
    assert record["overall"]["accuracy"]["n"] == record["n"] == record["rows"] == 240
    assert record["options"] == {
        "attributes": ["sex", "age:bands=0/30/60"], "split": "all", "bootstrap": 20, "permutations": 20,
        "interval": "percentile", "floor": "within-class", "seed": 0,
    }  # fmt: skip
    assert record["source"].endswith("predictions.csv")
    assert os.listdir(tmp_path / "new") == ["audit.json"]


def test_attributes_are_cut_as_in_prepare_and_what_fits_no_group_is_counted(table):
    record = audit(table(), attributes=["sex", "age:bands=0/30/60/100", "sex*age", "age:quantiles=2"][:3], **FEW)
    age, both = record["attributes"]["age"], record["attributes"]["sex*age"]
    assert list(age["groups"]) == ["0-30", "30-60", "60-100"]
    assert (age["unknown"], age["out_of_range"]) == (4, 3)
    assert [group.split("*")[1] for group in both["groups"]] == ["0-30", "30-60", "60-100"] * 2
    assert (both["unknown"], both["out_of_range"]) == (4, 3)
    assert record["attributes"]["sex"]["out_of_range"] == 0
    quantiles = audit(table(), attributes="age:quantiles=4", **FEW)["attributes"]["age"]
    assert list(quantiles["groups"]) == ["q1", "q2", "q3", "q4"]
    assert quantiles["out_of_range"] == 1


def test_a_column_whose_name_is_an_intersection_is_taken_as_it_is(table):
    crossed = np.array(["x*1", "y*2"])[np.arange(240) % 2]
    record = audit(table(**{"sex*age": crossed}), attributes="sex,sex*age", **FEW)
    assert list(record["attributes"]["sex*age"]["groups"]) == ["x*1", "y*2"]
    assert list(record["attributes"]["sex"]["groups"]) == ["a", "b"]


def test_clusters_are_the_named_column_and_change_the_intervals_only(table):
    alone, together = (audit(table(), attributes="sex", cluster=name, **FEW) for name in (None, "patient"))
    assert alone["overall"]["accuracy"]["value"] == together["overall"]["accuracy"]["value"]
    assert alone["overall"]["accuracy"] != together["overall"]["accuracy"]
    assert "cluster" not in alone["options"]
    assert together["options"]["cluster"] == "patient"


def test_the_test_rows_are_audited_unless_others_are_asked_for(table):
    path = table(split=np.array(["test", "train", ""])[np.arange(240) % 3])
    assert {split: audit(path, attributes="sex", split=split, **FEW)["n"] for split in (None, "train", "all")} == {
        None: 80, "train": 80, "all": 240,
    }  # fmt: skip
    record = audit(path, attributes="sex", **FEW)
    assert (record["options"]["split"], record["rows"]) == ("test", 240)
    assert refusal(path, split="dev") == (
        "FILE: no row has the split 'dev'; there are '', 'test', 'train'; choose one of them or 'all'"
    )


METADATA = ("label", "sex", "age", "patient")


def test_columns_of_another_table_are_joined_by_id(table):
    columns = made()
    whole = audit(table(columns), attributes="sex,age:bands=0/50/100", cluster="patient", **FEW)
    backwards = {"image": columns["id"][::-1]} | {name: columns[name][::-1] for name in METADATA}
    metadata = table(backwards | {"dx": backwards["label"], "label": None}, name="metadata.csv")
    bare = table(columns, **dict.fromkeys(METADATA))
    record = audit(
        bare, table=metadata, id="image", label="dx", attributes="sex,age:bands=0/50/100", cluster="patient", **FEW
    )
    assert record["attributes"] == whole["attributes"]
    assert record["options"]["tables"] == [str(metadata)]
    assert "name the class column of the table with --label; columns there: image, sex, age, patient, dx" in refusal(
        bare, table=metadata, id="image"
    )
    assert refusal(bare, table=metadata, id="image", attributes=None) == (
        "FILE: no attribute is named; name columns of groups with --attributes, from: sex, age, patient, dx"
    )
    assert refusal(bare, table=metadata, id="image", attributes="tone", label="dx") == (
        "FILE and metadata.csv: no column 'tone' for the attribute; "
        "known: age, dx, id, image, patient, prob_bcc, prob_mel, prob_nv, sex"
    )


def test_the_class_column_of_the_table_is_label_unless_named_otherwise(table):
    columns = made()
    metadata = table({name: columns[name] for name in ("id", "label", "sex")}, name="metadata.csv")
    bare = table(columns, label=None, sex=None)
    assert audit(bare, table=str(metadata), attributes="sex", **FEW)["n"] == 240


def test_the_split_of_another_table_counts_when_it_is_asked_for(table):
    columns = made()
    metadata = table(
        {"id": columns["id"], "split": ["train", "test"] * 120, "site": ["x", "x", "y"] * 80}, name="m.csv"
    )
    assert audit(table(columns), table=metadata, attributes="site", split="test", **FEW)["n"] == 120
    assert audit(table(columns), table=metadata, attributes="site", **FEW)["n"] == 240


def test_only_the_rows_that_are_audited_need_a_row_in_the_table(table):
    columns = made() | {"split": ["train", "test"] * 120}
    metadata = table({"id": columns["id"][1::2], "site": ["x", "x", "y", "y"] * 30}, name="m.csv")
    assert audit(table(columns), table=metadata, attributes="site", **FEW)["n"] == 120
    said = refusal(table(columns), table=metadata, attributes="site", split="all")
    assert said == "m.csv: 120 of 240 predictions have no row there, the first is id 'i0'; ids there are such as 'i1'"


def multi_label(n=200):
    generator = np.random.default_rng(1)
    columns = {"id": [f"i{k}" for k in range(n)], "sex": np.array(["a", "b"])[generator.integers(2, size=n)]}
    for name in ("red", "raised"):
        columns[f"label_{name}"] = generator.integers(2, size=n)
        columns[f"prob_{name}"] = generator.random(n)
    return columns


def test_several_labels_are_audited_one_by_one(table, tmp_path):
    record = audit(table(multi_label()), attributes="sex", json=tmp_path / "a.json", **FEW)
    assert list(record["labels"]) == ["red", "raised"]
    assert record["labels"]["red"]["attributes"]["sex"]["out_of_range"] == 0
    assert strict(tmp_path / "a.json") == record


def test_several_labels_are_joined_from_another_table(table):
    columns = multi_label()
    labels = ("label_red", "label_raised")
    metadata = table({"id": columns["id"]} | {name: columns[name] for name in labels}, name="m.csv")
    record = audit(table(columns, **dict.fromkeys(labels)), table=metadata, attributes="sex", **FEW)
    assert record["labels"] == audit(table(columns), attributes="sex", **FEW)["labels"]


def test_two_hundred_groups_and_hostile_names_are_audited(table, tmp_path):
    names = np.array([f"<script>alert({k})</script>\n\x1b[31m" for k in range(200)])[np.arange(800) % 200]
    columns = made(800) | {"sex": names}
    record = audit(table(columns), attributes="sex", json=tmp_path / "a.json", bootstrap=5, permutations=5)
    assert len(record["attributes"]["sex"]["groups"]) == 200
    assert strict(tmp_path / "a.json") == record


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({}, {"attributes": None},
         "FILE: no attribute is named; name columns of groups with --attributes, from: sex, age, patient"),
        ({}, {"attributes": ""}, "FILE: no attribute is named; "),
        ({"sex": None, "age": None, "patient": None}, {"attributes": None},
         "FILE: no attribute is named; name columns of groups with --attributes, but there is no column"),
        ({}, {"attributes": "sexe"}, "FILE: no column 'sexe' for the attribute; did you mean 'sex'? known: age, "),
        ({}, {"attributes": "tone"}, "FILE: no column 'tone' for the attribute; "),
        ({}, {"attributes": "label"}, "FILE: 'label' is no attribute but a column of the predictions; "),
        ({}, {"attributes": "sex*prob_nv"}, "FILE: 'prob_nv' is no attribute but a column of the predictions; "),
        ({}, {"attributes": "sex,sex"}, "attribute 'sex' names 'sex' twice; "),
        ({}, {"attributes": "age:bands=3/1"}, "attribute 'age:bands=3/1': bands="),
        ({}, {"attributes": "age:bands=200/300"},
         "FILE: attribute 'age' is missing in every row (239 values fit no group); "),
        ({}, {"attributes": "id*sex"}, "FILE: 'id' is no attribute"),
        ({"sex": "a"}, {}, "FILE: attribute 'sex' has one group only, 'a'; a gap needs two"),
        ({"sex": ""}, {}, "FILE: attribute 'sex' is missing in every row (every cell is empty); "),
        ({"sex": [f"g{k}" for k in range(240)]}, {}, "FILE: attribute 'sex' makes a group of each image, 240 groups "),
        ({}, {"cluster": "patients"}, "FILE: no column 'patients' for the clusters; did you mean 'patient'?"),
        ({}, {"id": "image_id"}, "--id image_id: names a column of --table, which was not given"),
        ({}, {"label": "dx"}, "--label dx: names a column of --table, which was not given"),
        ({}, {"table": "no.csv"}, "no.csv: cannot read the table (No such file or directory); check the path"),
        ({}, {"interval": "bcs"}, "interval='bcs': did you mean 'bca'? known: bca, percentile"),
        ({}, {"floor": "none"}, "floor='none': known: all-classes, within-class"),
        ({}, {"bootstrap": -1}, "bootstrap=-1: need 0 or more"),
        ({}, {"seed": -1}, "seed=-1: need 0 or more"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(table, changes, options, message):
    assert refusal(table(**changes), **options).startswith(message)


def test_too_many_groups_are_one_line(table):
    columns = made(2400) | {"sex": [f"g{k // 2}" for k in range(2400)]}
    assert refusal(table(columns)) == (
        "FILE: attribute 'sex' has 1200 groups, such as 'g0'; an audit takes at most 1000: name another column, "
        "or cut numbers as age:bands=0/30/60"
    )


def test_one_row_is_one_line(table):
    assert refusal(table(made(1))) == "FILE: attribute 'sex' has one group only, 'b'; a gap needs two"


@pytest.mark.parametrize("option", ["json", "html"])
def test_what_is_read_is_never_written(table, tmp_path, option):
    path = table()
    before = path.read_bytes()
    (tmp_path / "link.json").symlink_to(path)
    os.link(path, tmp_path / "hard.json")
    for place in (path, tmp_path / "link.json", tmp_path / "hard.json", tmp_path / "sub" / ".." / "predictions.csv"):
        with pytest.raises(ConfigError, match="that file is an input and would be lost"):
            audit(path, attributes="sex", **{option: place}, **FEW)
    metadata = table({"id": made()["id"], "site": ["x", "y"] * 120}, name="metadata.csv")
    with pytest.raises(ConfigError, match="that file is an input"):
        audit(path, attributes="site", table=metadata, **{option: metadata}, **FEW)
    assert path.read_bytes() == before


def test_a_place_that_cannot_be_written_is_refused_before_the_work(table, tmp_path):
    path = table()
    (tmp_path / "file").write_text("")
    for place, kind in (
        (tmp_path, ConfigError),
        ("/dev/null", ConfigError),
        (tmp_path / "file" / "a.json", CapacityError),
    ):
        with pytest.raises(kind):
            audit(path, attributes="sex", json=place, bootstrap=10**9)
    with pytest.raises(ConfigError, match="--json and --html are both"):
        audit(path, attributes="sex", json=tmp_path / "a", html=tmp_path / "a", bootstrap=10**9)


def test_a_file_that_is_there_is_replaced_and_a_link_stays_one(table, tmp_path):
    (tmp_path / "old.json").write_text("old")
    (tmp_path / "link.json").symlink_to(tmp_path / "old.json")
    record = audit(table(), attributes="sex", json=tmp_path / "link.json", **FEW)
    assert (tmp_path / "link.json").is_symlink()
    assert strict(tmp_path / "old.json") == record


def test_a_full_disk_leaves_nothing_half_written(table, small_disk):
    (small_disk / "fill").write_bytes(b"0" * (200 << 10))
    path = table(made(800) | {"sex": [f"g{k % 100}" for k in range(800)]})
    with pytest.raises(CapacityError, match="No space left on device"):
        audit(path, attributes="sex", json=small_disk / "sub" / "audit.json", bootstrap=5, permutations=5)
    assert os.listdir(small_disk) == ["fill"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished train run."""
    block = BlockSpec(type="cb", out_channels=8, choices={"kernel": 3, "hidden_channels": 8})
    network = Architecture(
        name="tiny", input_px=SIZE_PX, num_classes=2, stem=Stem(channels=8), blocks=(block,), head=Head(width=16)
    )
    place = tmp_path_factory.mktemp("run")
    (place / "tiny.json").write_text(network.to_json())
    store, folder = write_tiny_store(place / "store", n=120), place / "run"
    train(store, network=place / "tiny.json", out=folder, epochs=1, precision="fp32", **FEW)
    return folder


def test_a_run_is_audited_as_it_audited_itself(run):
    itself = json.loads((run / "metrics.json").read_text())
    record = audit(run, **FEW)
    del record["attributes"]["sex"]["out_of_range"]
    assert {key: record[key] for key in itself["test"]} == itself["test"]
    assert record["options"]["split"] == "test"
    validation = audit(run, split="validation", **FEW)
    assert validation["overall"]["accuracy"] == itself["validation"]["overall"]["accuracy"]


def test_groups_of_a_run_stand_in_the_order_of_its_store(run, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    columns = made() | {"age": np.array(["5-10", "10-20", "20-5"])[np.arange(240) % 3], "patient": None}
    pd.DataFrame({k: v for k, v in columns.items() if v is not None}).to_parquet(folder / "predictions.parquet")
    groups = [{"name": name} for name in ("5-10", "10-20", "20-5", "absent")]
    (folder / "provenance.json").write_text(json.dumps({"store_summary": {"attributes": {"age": {"groups": groups}}}}))
    record = audit(folder, **FEW)
    assert list(record["attributes"]) == ["sex", "age"]
    assert list(record["attributes"]["age"]["groups"]) == ["5-10", "10-20", "20-5"]


def test_attributes_of_a_run_that_cannot_be_judged_are_left_out_and_said(tmp_path, caplog):
    columns = made() | {"sex": ["a"] * 240, "patient": None}
    pd.DataFrame({k: v for k, v in columns.items() if v is not None}).to_parquet(tmp_path / "predictions.parquet")
    assert list(audit(tmp_path, **FEW)["attributes"]) == ["age"]
    assert caplog.messages == ["sex is not audited: attribute 'sex' has one group only, 'a'; a gap needs two"]
    with pytest.raises(DataError, match="attribute 'sex' has one group only"):
        audit(tmp_path, attributes="sex", **FEW)


def test_folders_without_predictions_say_what_they_are(tmp_path):
    with pytest.raises(RunError, match="is a folder without store"):
        audit(tmp_path)
    (tmp_path / "config.toml").write_text('verb = "train"\n[options]\n')
    with pytest.raises(RunError, match="this run has no predictions"):
        audit(tmp_path)
    (tmp_path / "search.json").write_text('{"presets": ["fair", "acc"]}')
    with pytest.raises(RunError, match=r"holds a run per preset \(fair, acc\); name one of its folders"):
        audit(tmp_path)


def test_the_files_of_a_run_are_not_replaced_by_its_audit(run):
    with pytest.raises(ConfigError, match="would be lost"):
        audit(run, html=run / "report.html", **FEW)
    audit(run, json=run / "audit.json", **FEW)
    (run / "audit.json").unlink()


@pytest.mark.parametrize(
    "options", [{"cluster": "c"}, {"split": "test"}, {"table": "m.csv"}, {"id": "i"}, {"label": "l"}, {"bootstrap": 5},
                {"interval": "bca"}, {"floor": "all-classes"}],
)  # fmt: skip
def test_options_of_predictions_do_not_fit_a_store(tmp_path, options):
    store = write_tiny_store(tmp_path / "store", n=60)
    with pytest.raises(ConfigError, match=f"is a store, which has no predictions, so --{next(iter(options))} "):
        audit(store, **options)


def test_a_store_is_audited_by_itself(tmp_path):
    pytest.importorskip("mindgap.workflows.audit_store")
    store = write_tiny_store(tmp_path / "store", n=60)
    record = audit(store, json=tmp_path / "audit.json", html=tmp_path / "audit.html", permutations=20)
    assert strict(tmp_path / "audit.json") == record
    assert "<html" in (tmp_path / "audit.html").read_text()


def test_the_page_of_an_audit_is_written_whole(table, tmp_path):
    pytest.importorskip("mindgap.report.audit_page")
    audit(table(), attributes="sex", html=tmp_path / "new" / "audit.html", **FEW)
    assert (tmp_path / "new" / "audit.html").read_text().rstrip().endswith("</html>")
    assert os.listdir(tmp_path / "new") == ["audit.html"]
