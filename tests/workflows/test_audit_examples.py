"""``mindgap audit STORE --examples``: which images are shown, where, and when none is."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from mindgap.audit.tone_table import Tones
from mindgap.cli.main import run as command
from mindgap.core.errors import ConfigError
from mindgap.core.notes import NOTE
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.workflows.audit import audit
from mindgap.workflows.audit_examples import draw_rows

FEW = {"permutations": 5}
HOSTILE = "<img src=x onerror='alert(1)'>"


@pytest.fixture
def toned(tmp_path):
    """A store with twins whose last image has none."""
    store = write_tiny_store(tmp_path / "toned", twins=True)
    table = pd.read_parquet(store / "table.parquet")
    degrees = np.where(table["tone"] == "V", -5.0, 48.0)
    degrees[-1] = np.nan
    table.loc[299, "tone"] = None
    flags = np.where(np.arange(300) % 20 == 3, "cast,few_pixels", "")
    flags[-1] = "no_skin"
    table = table.assign(ita_degrees=degrees, ita_iqr_degrees=3.5, ita_flags=flags)
    table = table.assign(twin_target_degrees=[0.0] * 299 + [np.nan], twin_ita_degrees=[1.0] * 299 + [np.nan])
    table["id"] = [HOSTILE + str(row) for row in range(300)]
    table.to_parquet(store / "table.parquet")
    return store


def tones_of(bands, flags) -> Tones:
    return Tones(np.zeros(len(bands)), np.array(bands, dtype=object), np.array(flags, dtype=object))


def test_every_band_and_the_unknown_have_their_turn_flagged_ones_too():
    """Of a thousand light images without a flag, five of VI and two unknown, none is crowded out."""
    tones = tones_of(["I"] * 1000 + ["VI"] * 5 + [None] * 2, [""] * 990 + ["cast"] * 12 + [""] * 3 + ["no_skin"] * 2)
    drawn = draw_rows(tones, 6, np.random.default_rng(0))
    assert [tones.bands[row] for row in drawn] == ["I", "I", "VI", "VI", None, None]
    assert [tones.flags[row] for row in drawn] == ["", "cast", "", "cast", "no_skin", "no_skin"]
    many = draw_rows(tones, 12, np.random.default_rng(0))
    assert [tones.bands[row] for row in many].count("VI") == 5
    assert [tones.bands[row] for row in many].count("I") == 5
    assert len(set(many)) == 12


def test_more_than_there_are_is_all_and_without_bands_or_flags_any():
    tones = tones_of(["II", None, "I"], ["", "cast", None])
    assert draw_rows(tones, 9, np.random.default_rng(0)) == [2, 0, 1]
    assert sorted(draw_rows(Tones(np.zeros(3)), 9, np.random.default_rng(0))) == [0, 1, 2]


def test_the_page_holds_one_picture_and_warns_and_the_record_none(toned, tmp_path, caplog):
    plain = audit(toned, json=tmp_path / "plain.json", html=tmp_path / "plain.html", **FEW)
    with caplog.at_level(NOTE):
        shown = audit(toned, json=tmp_path / "a.json", html=tmp_path / "a.html", examples=6, **FEW)
    assert plain == shown
    assert (tmp_path / "plain.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    assert "a.html: holds 6 images of the store; keep it as you keep the images" in caplog.text
    page, without = ((tmp_path / name).read_text(encoding="utf-8") for name in ("a.html", "plain.html"))
    assert page.count("data:image/png") == 1
    assert page.count('<use href="#sheet"/>') == 6
    assert page.count("This page holds 6 images of patients") == 2, "at the top and beside them"
    assert "img-src data:" in page
    assert "data:" not in without
    assert "of patients" not in without
    assert "<img" not in page
    assert "no_skin</span>" in page
    assert "few_pixels</span>" in page


def test_the_seed_draws_them(toned, tmp_path):
    def page(seed):
        audit(toned, html=tmp_path / "a.html", examples=4, seed=seed, **FEW)
        return (tmp_path / "a.html").read_text(encoding="utf-8").partition("data:image/png")[2].partition('"')[0]

    assert page(0) == page(0) != page(1)


@pytest.mark.parametrize(("number", "said"), [(-1, "examples=-1: need 0"), (201, "examples=201: need 0 (none) to 200")])
def test_too_few_and_too_many_are_one_line(toned, tmp_path, number, said):
    with pytest.raises(ConfigError) as refused:
        audit(toned, html=tmp_path / "a.html", examples=number, **FEW)
    assert str(refused.value).startswith(said)
    assert not (tmp_path / "a.html").exists()


def test_without_a_page_without_twins_and_of_predictions_they_are_refused(toned, tmp_path, table):
    with pytest.raises(ConfigError, match="--examples 3: they are shown on the page alone; give it a file by --html"):
        audit(toned, examples=3, json=tmp_path / "a.json", **FEW)
    with pytest.raises(ConfigError, match="has no twins, so --examples 3 does not fit; make them by mindgap tone"):
        audit(write_tiny_store(tmp_path / "plain"), examples=3, html=tmp_path / "a.html", **FEW)
    for number in (3, -3):
        with pytest.raises(ConfigError, match=f"is no store, so --examples {number} does not fit; leave it out"):
            audit(table(), attributes="sex", examples=number, html=tmp_path / "a.html", **FEW)
    assert not (tmp_path / "a.html").exists()
    assert not (tmp_path / "a.json").exists()


def test_the_command_takes_them(toned, tmp_path, capsys):
    asked = ["audit", str(toned), "--permutations", "5", "--html", str(tmp_path / "a.html")]
    assert command([*asked, "--examples", "2", "--json", str(tmp_path / "a.json")]) == 0
    assert "note: " in capsys.readouterr().err
    assert "png" not in json.dumps(json.loads((tmp_path / "a.json").read_text(encoding="utf-8")))
    assert command([*asked, "--examples", "-2"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
