"""Explaining a run: the record, the table of all images, and what lies in the folder."""

from __future__ import annotations

from html import unescape

import numpy as np
import pandas as pd
import pytest

from mindgap.cli.main import run as main
from mindgap.core.errors import RunError
from mindgap.core.files import read_json, write_json
from mindgap.core.groups import Groups
from mindgap.core.notes import NOTE
from mindgap.data.image_store import Store
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.explain import explain
from mindgap.workflows.explain_examples import draw_examples
from mindgap.workflows.predict import predict
from mindgap.workflows.report import report

N = 150
FEW = {"bootstrap": 40, "permutations": 40}


@pytest.fixture(scope="session")
def plain(place, run):
    """An explanation without pictures."""
    return explain(run, out=place / "plain", **FEW), place / "plain"


@pytest.fixture(scope="session")
def pictured(place, run):
    """One with six examples and three channels of an inner layer."""
    asked = {"layer": "blocks.0", "examples": 6, "channels": 3, "split": "validation"}
    return explain(run, out=place / "pictured", **asked, **FEW), place / "pictured"


def test_figures_are_the_means_of_the_table(plain):
    record, folder = plain
    table = pd.read_parquet(folder / "focus.parquet")
    assert len(table) == record["n"] == record["right"] + record["wrong"]
    assert (table["right"] == (table["label"] == table["prediction"])).all()
    assert (table["target"] == table["prediction"]).all()
    for case, rows in (("all", table), ("right", table[table.right]), ("wrong", table[~table.right])):
        assert record["focus"][case]["n"] == rows["focus"].notna().sum()
        for group, of in rows.groupby("sex"):
            found = record["attributes"]["sex"]["groups"][group]["focus"][case]
            assert found["n"] == of["focus"].notna().sum()
            if found["n"]:
                assert found["value"] == pytest.approx(of["focus"].mean())
    means = table.groupby("sex")["focus"].mean()
    gap = record["attributes"]["sex"]["gaps"]["all"]
    assert gap["value"] == pytest.approx(means.max() - means.min())
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert 0 < gap["p_value"] <= 1


def test_predictions_are_those_of_the_run(plain, run, store, tmp_path):
    record, folder = plain
    predict(run, store, out=tmp_path / "p.csv", split=record["split"])
    theirs = pd.read_csv(tmp_path / "p.csv").set_index("id")
    ours = pd.read_parquet(folder / "focus.parquet").set_index("id")
    assert list(ours.index) == list(theirs.index)
    chances = theirs[["prob_dark", "prob_red"]]
    np.testing.assert_allclose(ours["probability"], chances.max(axis=1), atol=1e-4)
    assert (ours["prediction"] == chances.idxmax(axis=1).str.removeprefix("prob_")).all()


def test_a_folder_without_examples_holds_no_image(plain):
    record, folder = plain
    assert record["gallery"] is None
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        "config.toml", "explain.json", "focus.parquet", "provenance.json", "report.html",
    }  # fmt: skip
    page = (folder / "report.html").read_text()
    assert "data:image" not in page
    assert "img-src" not in page
    assert "This page holds no image" in page


def test_examples_are_shown_and_the_page_warns_of_them(pictured):
    record, folder = pictured
    page = (folder / "report.html").read_text()
    assert page.count("<figure>") == len(record["gallery"]["examples"]) == 6
    assert page.count("data:image/png;base64") == 1
    assert "This page holds 6 images of people" in page
    cells = {(cell["group"], cell["right"]): cell["n"] for cell in record["gallery"]["cells"]}
    assert sum(cells.values()) == record["n"]
    table = pd.read_parquet(folder / "focus.parquet").set_index("id")
    for one in record["gallery"]["examples"]:
        row = table.loc[one["id"]]
        assert (one["label"], one["predicted"], one["right"]) == (row["label"], row["prediction"], row["right"])
        assert one["group"] == (None if pd.isna(row["sex"]) else row["sex"])
        assert one["probability"] == pytest.approx(row["probability"])


def test_channels_are_drawn_over_every_example(pictured):
    record, folder = pictured
    chosen = [one["channel"] for one in record["channels"]["chosen"]]
    assert len(set(chosen)) == 3
    names = {f"img_{one['id']}_ch_{c}.png" for one in record["gallery"]["examples"] for c in chosen}
    assert {path.name for path in (folder / "channels").iterdir()} == names == set(record["gallery"]["channel_files"])
    focus = record["channels"]["mean_focus"]
    known = sorted((value for value in focus if value is not None), reverse=True)
    assert [one["focus"] for one in record["channels"]["chosen"]] == [known[0], known[1], known[-1]]


def test_the_page_is_made_again_from_the_folder_alone(pictured):
    _, folder = pictured
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert report([folder]) == [folder / "report.html"]
    assert (folder / "report.html").read_bytes() == before


def test_the_same_call_does_nothing_and_another_is_refused(plain, run, tmp_path):
    record, folder = plain
    written = (folder / "explain.json").stat().st_mtime_ns
    assert explain(run, out=folder, batch_size=7, **FEW) == record
    assert (folder / "explain.json").stat().st_mtime_ns == written
    with pytest.raises(RunError, match="was run with method='grad-cam', now 'cam'"):
        explain(run, out=folder, method="cam", **FEW)


def test_an_unfinished_explanation_is_made_whole_and_a_forced_one_anew(run, tmp_path):
    out = tmp_path / "out"
    first = explain(run, out=out, **FEW)
    write_json(out / "provenance.json", read_json(out / "provenance.json") | {"finished": None})
    (out / "explain.json").unlink()
    assert explain(run, out=out, **FEW) == first
    again = explain(run, out=out, method="cam", force=True, **FEW)
    assert again["method"] == "cam"
    assert again["focus"]["all"]["value"] != first["focus"]["all"]["value"]


@pytest.mark.parametrize("method", ["cam", "guided-grad-cam"])
def test_every_method_has_a_focus(run, tmp_path, method):
    record = explain(run, out=tmp_path / "out", method=method, examples=2, **FEW)
    assert record["focus"]["all"]["n"] > 0
    side = {"cam": 8, "guided-grad-cam": 16}[method]
    assert record["map_px"] == [side, side]


def test_a_class_or_the_label_may_be_explained(run, tmp_path):
    of_label = explain(run, out=tmp_path / "label", target="label", examples=4, **FEW)
    table = pd.read_parquet(tmp_path / "label" / "focus.parquet")
    assert (table["target"] == table["label"]).all()
    assert of_label["target"] == "the true class"
    explain(run, out=tmp_path / "red", target="red", **FEW)
    assert set(pd.read_parquet(tmp_path / "red" / "focus.parquet")["target"]) == {"red"}


def test_without_masks_focus_says_why_and_the_maps_are_there(make_run, tmp_path):
    bare = write_tiny_store(tmp_path / "bare", n=N)
    record = explain(make_run(bare, tmp_path / "run", epochs=1), out=tmp_path / "out", examples=3, channels=2, **FEW)
    reason = "the store has no lesion masks; mindgap prepare --masks or mindgap tone --masks"
    for figure in (record["focus"]["all"], record["attributes"]["sex"]["gaps"]["wrong"]):
        assert (figure["value"], figure["reason"]) == (None, reason)
    assert all(one["focus"] is None for one in record["gallery"]["examples"])
    activity = [one["activity"] for one in record["channels"]["chosen"]]
    assert activity == sorted(activity, reverse=True)
    assert len(list((tmp_path / "out" / "channels").iterdir())) == 6
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Focus is not defined: the store has no lesion masks" in page
    assert page.count("<figure>") == 3


def test_maps_that_are_all_empty_are_counted_and_have_no_focus(blank_run, tmp_path):
    record = explain(blank_run, out=tmp_path / "out", examples=2, **FEW)
    assert record["blank_maps"] == record["n"]
    assert record["focus"]["all"]["value"] is None
    assert all(one["is_blank"] for one in record["gallery"]["examples"])
    assert "empty map: nothing speaks for the class" in (tmp_path / "out" / "report.html").read_text()


def test_several_labels_are_explained_one_by_one(make_run, tmp_path):
    store = write_tiny_store(tmp_path / "store", n=N, multi_label=True, masks=True)
    run = make_run(store, tmp_path / "run", epochs=2)
    record = explain(run, out=tmp_path / "out", examples=3, **FEW)
    assert list(record["labels"]) == ["red", "even"]
    table = pd.read_parquet(tmp_path / "out" / "focus.parquet")
    for label, part in record["labels"].items():
        assert part["right"] == table[f"right_{label}"].sum()
        assert ((table[f"probability_{label}"] > 0.5) == (table[f"label_{label}"] == 1)).sum() == part["right"]
        assert part["focus"]["all"]["value"] == pytest.approx(table[f"focus_{label}"].mean())
    assert record["gallery"]["label"] == "red"
    assert {one["target"] for one in record["gallery"]["examples"]} == {"red"}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Label even" in page
    one = explain(run, out=tmp_path / "one", target="even", **FEW)
    assert one["labels"]["even"]["focus"] == record["labels"]["even"]["focus"]
    assert list(one["labels"]) == ["even"]


@pytest.mark.parametrize(
    ("mitigation", "says"),
    [
        ("domainindep", "explained is the form of domainindep that predicts without groups"),
        ("fairadabn", "explained is fairadabn's form of the largest training group, sex a, for every image"),
    ],
)
def test_of_a_mitigation_that_predicts_by_groups_a_form_is_explained(
    make_run, store, tmp_path, caplog, mitigation, says
):
    caplog.set_level(NOTE, "mindgap")
    run = make_run(store, tmp_path / "run", epochs=1, mitigation=mitigation)
    record = explain(run, out=tmp_path / "out", **FEW)
    assert record["note"].startswith(says)
    assert says in caplog.text
    assert record["focus"]["all"]["n"] > 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"{says[0].upper()}{says[1:]}" in unescape(page)


def test_another_store_may_be_explained_whose_classes_come_in_another_order(run, store, tmp_path):
    other = write_tiny_store(tmp_path / "other", n=N, masks=True)
    write_json(other / "store.json", read_json(other / "store.json") | {"classes": ["red", "dark"]})
    theirs = explain(run, out=tmp_path / "theirs", store=other, **FEW)
    ours = explain(run, out=tmp_path / "ours", store=store, **FEW)
    assert theirs["classes"] == ["red", "dark"]
    assert theirs["right"] == ours["right"]
    assert theirs["focus"]["all"]["value"] == pytest.approx(ours["focus"]["all"]["value"])


def test_a_group_under_the_least_size_is_in_no_gap_but_has_its_figures(run, store, plain, tmp_path):
    groups = plain[0]["attributes"]["sex"]["groups"]
    sizes = sorted(one["n"] for one in groups.values())
    record = explain(run, out=tmp_path / "out", min_group=sizes[-1], **FEW)
    found = record["attributes"]["sex"]
    assert found["groups"] == groups
    assert [groups[name]["n"] for name in found["left_out"]] == sizes[:-1]
    assert found["gaps"]["all"]["reason"] == "fewer than two groups have an image with a defined focus"


def test_examples_come_from_every_cell_in_turn():
    groups = Groups("sex", ("a", "b"), np.array([0] * 50 + [1] * 8 + [-1] * 2))
    right = np.arange(60) % 4 > 0
    places = draw_examples(right, groups, 9, seed=0)
    assert len(set(places.tolist())) == 9
    cells = [(int(groups.ids[k]), bool(right[k])) for k in places]
    counts = {cell: cells.count(cell) for cell in dict.fromkeys(cells)}
    assert counts == {(0, True): 2, (0, False): 2, (1, True): 2, (1, False): 2, (-1, True): 1}
    assert list(counts) == [(0, True), (0, False), (1, True), (1, False), (-1, True)]
    assert draw_examples(right, groups, 9, seed=0).tolist() == places.tolist()
    assert draw_examples(right, groups, 9, seed=1).tolist() != places.tolist()
    assert sorted(draw_examples(right, groups, 999, seed=0).tolist()) == list(range(60))


def test_the_store_stays_as_it_was(plain, store):
    assert Store.open(store).fingerprint == f"tiny-{N}-False-0.4"


def test_the_command_says_where_the_page_is(run, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["explain", str(run), "--out", str(out), "--bootstrap", "20", "--permutations", "20", "--examples", "2"]
    assert main(command) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("grad-cam of head for the predicted class: ")
    assert said[-2:] == [
        "the folder and the page hold pictures of people: 2 images with their maps",
        f"report: {out / 'report.html'}",
    ]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[0] == f"{out}: finished earlier; nothing was left to do"
    assert main(["explain", str(run), "--out", str(tmp_path / "new"), "--layer", "hed"]) == 2
    assert capsys.readouterr().err.startswith("error: the network has no layer 'hed'; did you mean 'head'")
