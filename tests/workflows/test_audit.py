"""The verb ``audit`` on predictions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mindgap.api import audit
from mindgap.core.errors import MindgapError

FEW = {"bootstrap": 20, "permutations": 20}


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
        "interval": "percentile", "floor": "within-class", "min_group": 1, "seed": 0,
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


def test_a_group_whose_name_may_mean_a_missing_value_is_pointed_out(table, made, caplog):
    groups = np.array(["f", "m", "Unknown"])[np.arange(240) % 3]
    assert list(audit(table(sex=groups), attributes="sex", **FEW)["attributes"]["sex"]["groups"]) == [
        "Unknown",
        "f",
        "m",
    ]
    (said,) = caplog.messages
    assert said == "sex has a group 'Unknown' of 80 rows; if that word means a missing value, empty those cells"


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


def test_the_kind_of_interval_and_of_floor_is_what_was_asked_for(table):
    usual, bca, floor = (
        audit(table(), attributes="sex", bootstrap=200, permutations=200, **options)
        for options in ({}, {"interval": "bca"}, {"floor": "all-classes"})
    )
    assert usual["overall"]["accuracy"]["value"] == bca["overall"]["accuracy"]["value"]
    assert usual["overall"]["accuracy"]["low"] != bca["overall"]["accuracy"]["low"]
    gap = [record["attributes"]["sex"]["gaps"]["unfairness"] for record in (usual, floor)]
    assert gap[0]["value"] == gap[1]["value"]
    assert gap[0]["noise_mean"] != gap[1]["noise_mean"]
    assert (bca["options"]["interval"], floor["options"]["floor"]) == ("bca", "all-classes")


METADATA = ("label", "sex", "age", "patient")


def test_columns_of_another_table_are_joined_by_id(table, made):
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
    said = refusal(bare, table=metadata, id="image")
    assert "name the class column of the table with --label (or give, of several yes-or-no labels, label_nv, " in said
    assert said.endswith("; columns there: image, sex, age, patient, dx")
    assert refusal(bare, table=metadata, id="image", attributes=None) == (
        "FILE: no attribute is named; name columns of groups with --attributes, from: sex, age, patient, dx"
    )
    assert refusal(bare, table=metadata, id="image", attributes="tone", label="dx") == (
        "FILE and metadata.csv: no column 'tone' for the attribute; "
        "known: age, dx, id, image, patient, prob_bcc, prob_mel, prob_nv, sex"
    )


def test_the_class_column_of_the_table_is_label_unless_named_otherwise(table, made):
    columns = made()
    metadata = table({name: columns[name] for name in ("id", "label", "sex")}, name="metadata.csv")
    bare = table(columns, label=None, sex=None)
    assert audit(bare, table=str(metadata), attributes="sex", **FEW)["n"] == 240


def test_the_split_of_another_table_counts_when_it_is_asked_for(table, made):
    columns = made()
    metadata = table(
        {"id": columns["id"], "split": ["train", "test"] * 120, "site": ["x", "x", "y"] * 80}, name="m.csv"
    )
    assert audit(table(columns), table=metadata, attributes="site", split="test", **FEW)["n"] == 120
    assert audit(table(columns), table=metadata, attributes="site", **FEW)["n"] == 240


def test_only_the_rows_that_are_audited_need_a_row_in_the_table(table, made):
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


def test_two_hundred_groups_and_hostile_names_are_audited(table, tmp_path, made):
    names = np.array([f"<script>alert({k})</script>\n\x1b[31m" for k in range(200)])[np.arange(800) % 200]
    columns = made(800) | {"sex": names}
    record = audit(table(columns), attributes="sex", json=tmp_path / "a.json", bootstrap=5, permutations=5)
    assert len(record["attributes"]["sex"]["groups"]) == 200
    assert strict(tmp_path / "a.json") == record


SKLEARN = """
import sys
import numpy as np, pandas as pd, torch
from pathlib import Path
generator = np.random.default_rng(0)
X_test = pd.DataFrame(generator.random((60, 4)), index=[f"i{k}" for k in range(60)])
y_test = pd.Series(np.array(["nv", "mel"])[np.arange(60) % 2], index=X_test.index)
people = pd.DataFrame({"sex": np.array(["f", "m"])[np.arange(60) // 2 % 2]}, index=X_test.index)
"""
SETUPS = {
    "scikit-learn": "from sklearn.linear_model import LogisticRegression\n"
    "model = LogisticRegression().fit(X_test, y_test)\n",
    "PyTorch": "class Images(torch.utils.data.Dataset):\n"
    "    samples = [(f'photos/i{k}.jpg', k % 2) for k in range(60)]\n"
    "    def __len__(self): return 60\n"
    "    def __getitem__(self, k): return torch.tensor(X_test.to_numpy()[k]).float(), k % 2\n"
    "classes, model = ['nv', 'mel'], torch.nn.Linear(4, 2)\n"
    "loader = torch.utils.data.DataLoader(Images(), batch_size=8)\n"
    "people.to_csv('metadata.csv', index_label='image')\n",
}


@pytest.mark.parametrize(
    ("framework", "file"), [("scikit-learn", "predictions.csv"), ("PyTorch", "predictions.parquet")]
)
def test_the_tables_that_the_documentation_writes_are_audited(tmp_path, framework, file):
    page = (Path(__file__).resolve().parents[2] / "docs" / "auditing.md").read_text(encoding="utf-8")
    block = page.partition(f"From {framework}:\n\n```python\n")[2].partition("```")[0]
    assert block
    call = [sys.executable, "-c", SKLEARN + SETUPS[framework] + block]
    subprocess.run(call, check=True, cwd=tmp_path)
    metadata = tmp_path / "metadata.csv"
    options = {"table": metadata, "id": "image"} if metadata.exists() else {}
    record = audit(tmp_path / file, attributes="sex", **options, **FEW)
    assert (record["n"], sorted(record["classes"])) == (60, ["mel", "nv"])
    assert list(record["attributes"]["sex"]["groups"]) == ["f", "m"]
