"""The verb ``compare`` on tables and runs."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest

from mindgap.api import compare
from mindgap.core.errors import ConfigError, DataError, MindgapError, RunError
from mindgap.testing.tiny_store import write_tiny_store

FEW = {"bootstrap": 20, "permutations": 20}
NAMES = np.array(["nv", "mel", "bcc"])


def strict(path):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


@pytest.fixture
def other(made):
    """Columns of another model's table on the same rows: group b is predicted as well as a."""

    def make(seed=1, right=0.9):
        columns = made()
        generator = np.random.default_rng(seed)
        labels = np.array([int(np.flatnonzero(name == NAMES)[0]) for name in columns["label"]])
        predicted = np.where(generator.random(len(labels)) < right, labels, (labels + 1) % 3)
        return columns | {f"prob_{name}": np.where(predicted == k, 0.7, 0.15) for k, name in enumerate(NAMES)}

    return make


@pytest.fixture
def run_of(tmp_path, made):
    """Writes a folder as a finished run leaves it."""

    def write(name, columns=None, **options):
        folder = tmp_path / name
        folder.mkdir()
        table = {k: v for k, v in (columns or made()).items() if k not in {"patient", "age"}}
        pd.DataFrame(table | {"split": "test"}).to_parquet(folder / "predictions.parquet")
        lines = [f"{key} = {json.dumps(value)}" for key, value in options.items()]
        (folder / "config.toml").write_text("\n".join(['verb = "train"', "[options]", *lines]))
        return folder

    return write


def test_the_record_is_what_the_json_file_holds(table, other, tmp_path):
    first, second = table(name="a.csv"), table(other(), name="b.parquet")
    place = tmp_path / "new" / "compare.json"
    record = compare(first, second, attributes="sex,age:bands=0/30/60", cluster="patient", json=place, **FEW)
    assert strict(place) == record
    assert record["schema"] == 1
    assert record["baseline"] == "a.csv"
    assert [model["sources"] for model in record["models"]] == [[str(first)], [str(second)]]
    assert list(record["attributes"]) == ["sex", "age"]
    assert record["options"] == {
        "attributes": ["sex", "age:bands=0/30/60"], "split": "all", "cluster": "patient",
        "gap": "unfairness", "bootstrap": 20, "permutations": 20, "seed": 0, "min_group": 1,
    }  # fmt: skip
    assert os.listdir(tmp_path / "new") == ["compare.json"]


def test_runs_of_equal_options_are_seeds_of_one_model(run_of, other):
    runs = [
        run_of(f"resnet-{seed}", other(seed), network="resnet18", seed=seed, bootstrap=10 + seed) for seed in (0, 1)
    ]
    runs += [run_of(f"mobilenet-{seed}", other(9 + seed), network="mobilenet_v2", seed=seed) for seed in (0, 1)]
    record = compare(*runs, **FEW)
    assert [(model["name"], model["seeds"]) for model in record["models"]] == [
        ("resnet", [0, 1]),
        ("mobilenet", [0, 1]),
    ]
    assert record["models"][1]["compared_seeds"] == [[0, 0], [1, 1]]
    assert record["figures"]["resnet"]["overall"]["accuracy"]["n_seeds"] == 2
    assert record["figures"]["resnet"]["overall"]["accuracy"]["sd"] is not None
    mixed = compare(runs[0], runs[2], runs[1], **FEW)
    assert [model["name"] for model in mixed["models"]] == ["resnet", "mobilenet-0"]


def test_two_runs_of_the_same_seed_are_compared(run_of, other):
    runs = [run_of(name, other(k), network="resnet18", seed=0) for k, name in enumerate("ab")]
    assert [model["name"] for model in compare(*runs, **FEW)["models"]] == ["a", "b"]


def test_seeds_alone_are_a_table_of_seeds(run_of, other):
    runs = [run_of(f"resnet-{seed}", other(seed), network="resnet18", seed=seed) for seed in (0, 1, 2)]
    record = compare(*runs, **FEW)
    assert [model["name"] for model in record["models"]] == ["resnet"]
    assert record["figures"]["resnet"]["attributes"]["sex"]["unfairness"]["n_seeds"] == 3


def test_a_run_is_compared_with_a_table(run_of, table, other):
    columns = {name: cells for name, cells in other().items() if name not in {"patient", "age"}}
    record = compare(run_of("run", network="resnet18", seed=0), table(columns), attributes="sex", **FEW)
    assert [model["name"] for model in record["models"]] == ["run", "predictions.csv"]
    assert record["models"][0]["seeds"] == [0]
    assert record["models"][1]["seeds"] == [None]


def test_tables_of_one_name_are_told_apart_by_their_folder(table, other, tmp_path):
    for folder in ("a/x", "b/x", "y"):
        (tmp_path / folder).mkdir(parents=True)
    paths = [table(other(k), name=f"{folder}/p.csv") for k, folder in enumerate(("a/x", "b/x", "y"))]
    record = compare(*paths, attributes="sex", **FEW)
    assert [model["name"] for model in record["models"]] == ["x/p.csv", "x/p.csv (2)", "y/p.csv"]
    assert [model["sources"] for model in record["models"]] == [[str(path)] for path in paths]


def test_the_page_of_a_comparison_tells_no_path_above_the_last_folder(table, other, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
    paths = table(name="x/p.csv"), table(other(), name="y/p.csv")
    compare(*paths, attributes="sex", html=tmp_path / "compare.html", **FEW)
    page = (tmp_path / "compare.html").read_text()
    assert tmp_path.name not in page
    assert "x/p.csv" in page


def test_groups_of_a_run_stand_in_the_order_of_its_store(run_of, made):
    bands = np.array(["5-10", "10-20"])[np.arange(240) % 2]
    runs = [run_of(name, made(seed=0) | {"sex": bands}, network=name) for name in "ab"]
    summary = {"store_summary": {"attributes": {"sex": {"groups": [{"name": "5-10"}, {"name": "10-20"}]}}}}
    (runs[0] / "provenance.json").write_text(json.dumps(summary))
    assert list(compare(*runs, **FEW)["attributes"]["sex"]["groups"]) == ["5-10", "10-20"]


def test_attributes_of_runs_that_cannot_be_judged_are_left_out_and_said(run_of, made, caplog):
    runs = [run_of(name, made() | {"site": ["x"] * 240}, network=name) for name in "ab"]
    assert list(compare(*runs, **FEW)["attributes"]) == ["sex"]
    assert caplog.messages == ["site is not compared: attribute 'site' has one group only, 'x'; a gap needs two"]


def test_small_groups_are_left_out_of_gaps_on_request(table, other, made):
    groups = np.array(["a", "b", "few"])[np.where(np.arange(240) < 8, 2, np.arange(240) % 2)]
    first, second = table(made() | {"sex": groups}, name="a.csv"), table(other() | {"sex": groups}, name="b.csv")
    every, large = (compare(first, second, attributes="sex", min_group=size, **FEW) for size in (1, 9))
    sex = large["attributes"]["sex"]
    assert (every["attributes"]["sex"]["left_out"], sex["left_out"]) == ([], ["few"])
    assert list(sex["groups"]) == ["a", "b", "few"]
    assert sex["gaps"]["accuracy_difference"]["b.csv"]["n"] == 232
    two = [
        abs(sex["groups"]["a"]["accuracy"]["b.csv"][key] - sex["groups"]["b"]["accuracy"]["b.csv"][key])
        for key in ("first", "second")
    ]
    assert [sex["gaps"]["accuracy_difference"]["b.csv"][key] for key in ("first", "second")] == pytest.approx(two)


def refusal(*runs, kind=MindgapError, **options):
    with pytest.raises(kind) as caught:
        compare(*runs, **FEW | options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_there_must_be_two_different_runs(table, tmp_path):
    assert "takes two or more runs or predictions tables, got 1; name another" in refusal(table(), attributes="sex")
    assert "takes two or more runs or predictions tables, got 0" in refusal()
    place = table()
    link = tmp_path / "link.csv"
    link.symlink_to(place)
    assert "is named twice; name each run once" in refusal(place, link, attributes="sex", kind=ConfigError)


def test_a_store_needs_its_methods_named(tmp_path):
    store = write_tiny_store(tmp_path / "store", n=60)
    assert "is a store, so --methods is missing; give --methods NAME,NAME" in refusal(store, kind=ConfigError)


def test_tables_need_their_attributes_named(table, other):
    first, second = table(name="a.csv"), table(other(), name="b.csv")
    assert "no attribute is named; name columns of groups with --attributes, from: sex" in refusal(first, second)


def test_other_rows_labels_groups_or_clusters_are_refused_by_name(table, other, made):
    first = table(name="a.csv")

    def refused(changes, **options):
        second = table(other() | changes, name="b.csv")
        said = refusal(first, second, attributes="sex", kind=DataError, **options)
        return said.replace(str(first), "A").replace(str(second), "B")

    assert refused({"id": [f"x{k}" for k in range(240)]}).startswith("ids differ: 240 of A are not in B, such as 'i0'")
    turned = np.where(np.arange(240) == 3, "mel", made()["label"])
    turned[3] = "nv" if made()["label"][3] == "mel" else "mel"
    assert refused({"label": turned}).startswith("id 'i3': label is ")
    assert refused({"sex": np.where(made()["sex"] == "a", "b", "a")}).startswith("id 'i0': sex is ")
    apart, together = ["p", *made()["patient"][1:]], ["p0", "p0", "p0", *made()["patient"][3:]]
    told = refused({"patient": apart}, cluster="patient")
    assert told.startswith("ids 'i0' and 'i1' are in one cluster in A, in two in B; ")
    told = refused({"patient": together}, cluster="patient")
    assert told.startswith("ids 'i0' and 'i2' are in one cluster in B, in two in A; ")


def test_folders_without_predictions_and_wrong_options_are_refused(run_of, table, other, tmp_path):
    (tmp_path / "empty").mkdir()
    first, second = run_of("a", network="a"), run_of("b", other(), network="b")
    assert "is a folder without store.json" in refusal(first, tmp_path / "empty", kind=RunError)
    assert "gap 'fair' is unknown for this task" in refusal(first, second, gap="fair", kind=ConfigError)
    assert "bootstrap=-1: need 0 or more" in refusal(first, second, bootstrap=-1, kind=ConfigError)
    assert "min_group=0: need 1 or more" in refusal(first, second, min_group=0, kind=ConfigError)
    assert "that file is an input and would be lost" in refusal(first, second, json=second / "config.toml")
    assert "no column 'tone' for the attribute" in refusal(first, second, attributes="tone")


def test_the_page_is_written_whole(run_of, other, tmp_path):
    place = tmp_path / "new" / "compare.html"
    compare(run_of("a", network="a"), run_of("b", other(), network="b"), html=place, **FEW)
    assert place.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert os.listdir(tmp_path / "new") == ["compare.html"]


@pytest.mark.parametrize("changes", [{"sex": None, "age": None, "patient": None}, {"label": None}])
def test_no_option_is_suggested_that_a_comparison_lacks(table, changes):
    paths = [table(name=name, **changes) for name in ("a.csv", "b.csv")]
    for attributes in (None, "tone", "sex"):
        assert "--table" not in refusal(*paths, attributes=attributes)
