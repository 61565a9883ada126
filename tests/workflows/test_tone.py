"""``mindgap tone``: a store becomes a new version with tones, bands and twins."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mindgap.cli.main import run as command
from mindgap.cli.verbs.tone import tone_lines
from mindgap.core.errors import CapacityError, ConfigError, MindgapError, RunError
from mindgap.core.notes import NOTE
from mindgap.data.attribute import parse_attributes
from mindgap.data.image_store import Store
from mindgap.data.store_version import write_version
from mindgap.search.training_options import training_options
from mindgap.space.training_tokens import TrainingTable
from mindgap.train.settings import TrainSettings
from mindgap.workflows import tone as workflow
from mindgap.workflows.audit_store import audit_store
from mindgap.workflows.prepare import prepare
from mindgap.workflows.search import search
from mindgap.workflows.tone import tone
from mindgap.workflows.train import train

N, SIZE = 160, 48


def truth(store: Store) -> np.ndarray:
    return store.table["meta_true_ita_degrees"].astype(float).to_numpy()


def test_the_known_tone_is_measured(toned):
    found = toned.table["ita_degrees"].to_numpy()
    clear = np.array(["cast" not in flags for flags in toned.table["ita_flags"]])
    error = np.abs(found - truth(toned))[clear]
    assert clear.mean() > 0.7
    assert np.median(error) < 1.5
    assert (np.isfinite(found) | ~clear).all(), "an unknown tone has a flag"
    assert toned.info.tone["measured"] == np.isfinite(found).sum()


def test_images_rows_and_masks_are_the_old_stores(place, toned):
    old = Store.open(place / "store")
    assert np.array_equal(old.images, toned.images)
    assert np.array_equal(old.masks, toned.masks)
    kept = [name for name in old.table.columns if name in toned.table.columns]
    pd.testing.assert_frame_equal(old.table, toned.table[kept])
    assert set(toned.table.columns) - set(kept) == {
        "ita_degrees", "ita_iqr_degrees", "ita_pixels", "ita_flags", "tone",
        "twin_target_degrees", "twin_ita_degrees", "twin_tone",
    }  # fmt: skip
    assert toned.fingerprint != old.fingerprint
    assert toned.rows("test").tolist() == old.rows("test").tolist()


def test_twins_leave_the_lesion_and_meet_their_target(toned):
    lesions = toned.masks > 127
    assert np.array_equal(toned.twins[lesions], toned.images[lesions])
    has = toned.table["twin_target_degrees"].notna().to_numpy()
    assert has.mean() > 0.6
    assert np.array_equal(toned.twins[~has], toned.images[~has]), "an image without a twin is its own"
    table = toned.table[has]
    error = (table["twin_ita_degrees"] - table["twin_target_degrees"]).abs()
    assert error.median() < 2
    assert (table["twin_target_degrees"].between(10, 28)).all()
    assert toned.info.tone["error_degrees"]["median"] == pytest.approx(float(error.median()))
    assert (
        sum(toned.info.tone["bands"]["after"].values()) + toned.info.tone["twins_not_known"]
        == np.isfinite(toned.table["ita_degrees"]).sum()
    )
    assert toned.info.tone["bands"]["after"]["IV"] > 0.7 * has.sum()


def test_a_matte_says_how_much_of_the_lesions_it_moves(place, toned, tmp_path):
    record = tone(place / "store", out=tmp_path / "new", edge="matte")
    found = Store.open(tmp_path / "new")
    lesions = found.masks > 127
    differs = (found.twins != found.images).any(axis=3) & lesions
    has = found.table["twin_target_degrees"].notna().to_numpy()
    shares = differs[has].sum(axis=(1, 2)) / lesions[has].sum(axis=(1, 2))
    assert 0 < shares.mean() < 0.9
    assert record["tone"]["lesion_share_changed"] == pytest.approx(shares.mean())
    assert record["tone"]["lesions_changed"] == (shares > 0).sum()
    assert (toned.info.tone["lesions_changed"], toned.info.tone["lesion_share_changed"]) == (0, 0.0)


def test_tone_is_an_attribute_and_the_angle_can_be_cut(toned, tmp_path):
    assert toned.attributes == ("sex", "tone")
    groups = toned.groups("tone")
    assert [groups.names[k] for k in groups.ids if k >= 0] == toned.table["tone"].dropna().tolist()
    record = audit_store(toned.path, attributes="tone,ita_degrees:quantiles=3", json=tmp_path / "audit.json")
    assert record["tone"]["n"] == toned.info.tone["measured"]
    assert len(record["attributes"]["ita_degrees"]["groups"]) == 3


def test_a_network_trains_on_the_blend(toned, tmp_path):
    train(toned, network="resnet18", out=tmp_path / "run", epochs=1, blend=True, bootstrap=0, permutations=0)
    lines = (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    assert 0 < json.loads(lines[-1])["blend_replaced"] < 1


def test_the_page_of_a_blended_run_shows_its_tones_and_that_of_another_does_not(toned, tmp_path):
    options = {"network": "resnet18", "epochs": 2, "bootstrap": 0, "permutations": 0}
    train(toned, out=tmp_path / "run", blend={"every": 1, "least_n": 5}, **options)
    train(toned, out=tmp_path / "plain", **options)
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Skin tone in training" not in (tmp_path / "plain" / "report.html").read_text(encoding="utf-8")
    counts = toned.table["tone"].iloc[toned.rows("train")].value_counts()
    for band in ("I", "II", "V"):
        assert f'data-label="n before">{counts.get(band, 0)}</td>' in page
    assert "After epoch 1 the network was judged" in page
    assert "for the target IV" in page
    run = tmp_path / "folds"
    train(toned, out=run, folds=2, blend=True, **options | {"epochs": 1})
    assert "the lowest and the highest of 2 folds" in (run / "report.html").read_text(encoding="utf-8")


def test_a_search_blends_and_its_space_may_decide(toned, tmp_path):
    options = {"trials": 2, "epochs": 1, "bootstrap": 0, "permutations": 0, "min_group": 5, "workers": 1}
    record = search(toned.path, out=tmp_path / "run", attribute="sex", network="resnet18", blend=True, **options)
    assert {trial["state"] for trial in record["trials"]} == {"complete"}
    line = next((tmp_path / "run" / "trials").glob("*/*/log.jsonl")).read_text().splitlines()[0]
    assert 0 < json.loads(line)["blend_replaced"] < 1
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Every candidate was to be trained on images blended with their twins" in page
    assert '<section id="blend"' in page
    found = training_options(
        TrainingTable(blend=(False, True)),
        toned,
        base=TrainSettings(),
        groups=toned.groups("sex").take(toned.rows("train")),
    )
    assert [option.changes for option in found.options["blend"]] == [{}, {"blend": True}]


@pytest.mark.parametrize("options", [{"cut_offs": "kinyanjui"}, {"cut_offs": "groh"}])
def test_tones_that_are_named_otherwise_than_the_twins_cannot_be_blended(place, tmp_path, options):
    tone(place / "store", out=tmp_path / "toned", **options)
    with pytest.raises(ConfigError, match="tones are named in another way than those of their twins"):
        train(tmp_path / "toned", network="resnet18", out=tmp_path / "run", blend=True)
    assert not (tmp_path / "run").exists()
    store = Store.open(tmp_path / "toned")
    groups = store.groups("sex").take(store.rows("train"))
    found = training_options(TrainingTable(blend=(False, True)), store, base=TrainSettings(), groups=groups)
    assert [option.name for option in found.options["blend"]] == [False]
    assert found.left_out == (
        "blending of tones is left out: the store's tones are named in another way than its twins'",
    )


def test_without_masks_they_are_found_and_kept(place, caplog):
    with caplog.at_level(NOTE):
        record = tone(place / "unmasked", out=place / "found", target="flatten", steps=10)
    assert "has no lesion masks; they are found without weights" in caplog.text
    store = Store.open(place / "found")
    true = Store.open(place / "store").masks > 127
    found = store.masks > 127
    overlap = (found & true).sum(axis=(1, 2)) / np.maximum((found | true).sum(axis=(1, 2)), 1)
    assert np.median(overlap) > 0.4
    assert record["tone"]["masks"] == "classical"
    assert store.info.masks == {
        "found": int(store.table["has_mask"].sum()),
        "empty": int((~store.table["has_mask"]).sum()),
        "flagged_many_parts": int(store.table["mask_flags"].str.contains("many_parts").sum()),
    }
    assert len(set(store.table["twin_tone"].dropna())) >= 4, "twins are of every tone that is rare"


def test_the_same_call_finds_it_finished_and_another_is_refused(place, toned):
    before = (place / "toned" / "store.json").stat().st_mtime_ns
    assert tone(place / "store", out=place / "toned")["fingerprint"] == toned.fingerprint
    assert (place / "toned" / "store.json").stat().st_mtime_ns == before
    with pytest.raises(RunError, match="target='IV'"):
        tone(place / "store", out=place / "toned", target="V")


def test_killed_at_the_end_it_comes_to_the_same(place, toned, tmp_path, monkeypatch):
    """Links to the old store's files, which the first call left, are not taken for new ones."""

    def killed(*args, **options):
        write_version(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(workflow, "write_version", killed)
        with pytest.raises(KeyboardInterrupt):
            tone(place / "store", out=tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert tone(place / "store", out=tmp_path / "new")["fingerprint"] == toned.fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_it_is_the_same_again_and_another_seed_is_another(place, toned, tmp_path):
    again, other = (tone(place / "store", out=tmp_path / str(seed), seed=seed) for seed in (0, 1))
    assert again["fingerprint"] == toned.fingerprint
    assert other["fingerprint"] != toned.fingerprint


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"masks": "predicted"}, "masks is 'predicted'; did you mean 'predict'"),
        ({"target": "VII"}, "target is 'VII'; did you mean 'VI'"),
        ({"definition": "lab"}, "no definition 'lab' of the angle; did you mean 'lab8'"),
        ({"cut_offs": "fitz"}, "no cut-offs 'fitz'"),
        ({"steps": -1}, "steps"),
        ({"edge": "mat"}, "no edge 'mat'; did you mean 'matte'"),
    ],
)
def test_what_cannot_be_asked_is_one_line_and_leaves_nothing(place, tmp_path, options, said):
    with pytest.raises(MindgapError) as refused:
        tone(place / "store", out=tmp_path / "new", **options)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_stored_masks_that_are_not_there_and_the_store_itself_are_refused(place):
    with pytest.raises(ConfigError, match="has no lesion masks for --masks stored; prepare it with --masks"):
        tone(place / "unmasked", out=place / "x", masks="stored")
    with pytest.raises(ConfigError, match="is the store itself; give --out another folder"):
        tone(place / "store", out=place / "store")


def test_a_full_disk_is_one_line_and_leaves_nothing(place, small_disk):
    """Space for the largest file is taken first: a write to a map without it kills the process."""
    with pytest.raises(CapacityError, match=r"no space for twins\.bin of [\d.]+ MiB"):
        tone(place / "unmasked", out=small_disk / "new")
    assert list(small_disk.iterdir()) == []


def test_a_store_of_one_tone_has_no_tone_attribute(place, toned, tmp_path):
    """Nor has a new version of one that had it, where other cut-offs leave one tone."""
    skin = np.full((SIZE, SIZE, 3), (200, 160, 130), dtype=np.uint8)
    images = tmp_path / "images"
    images.mkdir()
    for i in range(40):
        Image.fromarray(skin).save(images / f"{i}.png")
    rows = "\n".join(f"{i},{'ab'[i % 2]},{'mf'[i // 2 % 2]}" for i in range(40))
    (tmp_path / "table.csv").write_text(f"name,label,sex\n{rows}\n")
    prepare(
        images=images, metadata=tmp_path / "table.csv", id="name", label="label", attributes="sex", size=SIZE,
        out=tmp_path / "store",
    )  # fmt: skip
    tone(tmp_path / "store", out=tmp_path / "new", target="20")
    store = Store.open(tmp_path / "new")
    assert len(set(store.table["tone"])) == 1
    assert store.attributes == ("sex",)
    shutil.copy(toned.path / "twins.bin", tmp_path / "twins.bin")
    write_version(
        toned, tmp_path, columns={"tone": ["II"] * toned.n}, attributes=parse_attributes("tone"), record={}, made=[]
    )
    assert Store.open(tmp_path).attributes == ("sex",)


def test_the_command_says_what_was_measured(place, tmp_path, capsys):
    assert (
        command(["tone", str(place / "store"), "--out", str(tmp_path / "new"), "--target", "V", "--steps", "10"]) == 0
    )
    printed = capsys.readouterr().out
    assert f"of {N} images" in printed
    assert "tone bands before: I " in printed
    assert command(["tone", str(place / "store"), "--out", str(tmp_path / "other"), "--target", "VIII"]) == 2
    assert not (tmp_path / "other").exists()
    shutil.rmtree(tmp_path / "new")


def test_without_a_twin_nothing_is_said_of_twins():
    found = {
        "measured": 0, "not_measured": 2, "flags": {}, "twins": 0, "bands": {"before": {"I": 0}, "after": {"I": 0}},
        "error_degrees": {"n": 0, "median": None}, "delta_e": {"median": None},
    }  # fmt: skip
    lines = tone_lines(Path("new"), {"n": 2, "tone": found})
    assert lines[0] == "new: tone measured on 0 of 2 images, 2 not known"
    assert not any("degrees" in line or "flags" in line for line in lines)
    assert lines[-1].startswith("no tone is known, so that no run can use one")
