"""Skin tones in tables, and as the page of a data set shows them."""

from __future__ import annotations

import numpy as np
import pytest

from mindgap.audit.dataset_audit import DatasetArrays, audit_dataset
from mindgap.audit.tone_table import Tones
from mindgap.core.groups import Groups
from mindgap.report.store_drawing import draw_tones
from mindgap.report.store_page import render_store_page
from mindgap.report.tone_tables import Cell, tone_columns, tone_tables

N = 60
ASKED = {
    "target": "IV", "steps": 1, "cut_offs": "wei", "definition": "cielab", "twins": 40,
    "bands": {"before": {"I": 30, "IV": 10}, "after": {"I": 10, "IV": 30}},
    "error_degrees": {"n": 36, "q25": 1.0, "median": 2.04, "q75": 4.0, "p90": 10.2},
    "delta_e": {"n": 40, "q25": 11.0, "median": 16.5, "q75": 21.0, "p90": 25.0},
}  # fmt: skip


def audited(*, asked=None, bands=("I", "IV", None), flags=("", "cast", "few_pixels,cast")):
    """Sixty images, a third of each band; every second one is of the first class."""
    number = np.arange(N)
    known = np.array([band is not None for band in bands])[number % len(bands)]
    tones = Tones(
        np.where(known, 60.0 - number, np.nan),
        np.array(bands, dtype=object)[number % len(bands)],
        np.array(flags, dtype=object)[number % len(flags)],
    )
    record = audit_dataset(
        DatasetArrays(
            ids=number.astype(str).astype(object),
            classes=("nv", "mel"),
            labels=number % 2,
            splits=np.array(["train", "validation", "test"], dtype=object)[number // 20],
            clusters=number,
            cluster_names=np.full(N, None, dtype=object),
            groups={"sex": Groups("sex", ("f", "m"), number // 2 % 2)},
            tones=tones,
        ),
        permutations=5,
    )
    return record | {"store": {"name": "toned", "tone": asked}}


def test_rows_are_all_images_the_splits_and_the_classes():
    found = tone_tables(audited(asked=ASKED))
    assert [row.name for row in found["tone_rows"]["Split"]] == ["all images", "train", "validation", "test"]
    assert [row.name for row in found["tone_rows"]["Class"]] == ["nv", "mel"]
    assert found["tone_columns"] == ["I", "II", "III", "IV", "V", "VI"]
    every = found["tone_rows"]["Split"][0]
    assert (every.n, every.unknown.n, every.unknown.share) == (60, 20, "33.3\u202f%")
    assert every.bands[0] == every.bands[3] == Cell("50.0\u202f%", 20, 4)
    assert every.bands[1] == Cell("0.0\u202f%", 0, 0)
    assert every.reasons == "cast 20, few_pixels 20"


def test_each_flag_has_its_number_its_meaning_and_how_often_the_tone_is_lost():
    cast, few = tone_tables(audited(flags=("", "cast", "few_pixels,cast")))["tone_flags"]
    assert (cast["name"], cast["n"], cast["share"], cast["unknown"]) == ("cast", 40, "66.7\u202f%", 20)
    assert (few["name"], few["n"], few["unknown"]) == ("few_pixels", 20, 20)
    assert few["means"] == "under 100 pixels, or 2 % of the image, are usable"
    strange = tone_tables(audited(flags=("odd",)))["tone_flags"][0]
    assert strange["means"] == "not one of mindgap tone's flags"


def test_table_two_is_shown_before_and_with_the_twins():
    found = tone_tables(audited(asked=ASKED))
    before, after = found["twin_rows"]
    assert found["twin_columns"] == ["I", "IV"]
    assert (before["n"], [cell.n for cell in before["bands"]]) == (40, [30, 10])
    assert [cell.share for cell in after["bands"]] == ["25.0\u202f%", "75.0\u202f%"]
    error, shift = found["twin_spreads"]
    assert (error["n"], error["points"]) == (36, ["1.0", "2.0", "4.0", "10.2"])
    assert (shift["n"], shift["points"]) == (40, ["11.0", "16.5", "21.0", "25.0"])


def test_the_page_holds_them_once():
    page = render_store_page(audited(asked=ASKED))
    for heading in ("By split", "By class", "What is doubtful", "The twins"):
        assert page.count(f"<h3>{heading}</h3>") == 1
    assert "40 images have a twin of tone IV (one step of" in page
    assert "Images per tone band</" not in page
    assert "Examples" not in page
    assert "in another range" not in page
    assert "in another range" in render_store_page(audited(asked=ASKED | {"definition": "lab8", "steps": 10}))


@pytest.mark.parametrize("asked", [None, {"target": "V"}, ASKED | {"bands": {"before": {"I": 0}, "after": {"I": 0}}}])
def test_without_twins_nothing_is_said_of_them(asked):
    found = tone_tables(audited(asked=asked))
    assert found["twin_rows"] == []
    assert "The twins" not in render_store_page(audited(asked=asked))


def test_where_no_tone_is_known_the_reasons_stand_alone():
    record = audited(bands=(None,), flags=("no_skin",))
    page = render_store_page(record)
    assert "not known of any image; the flags say why" in page
    assert "Half of them" not in page
    assert tone_tables(record)["tone_rows"]["Split"][0].unknown.n == N


def test_a_table_without_bands_is_drawn_without_rows():
    record = audited()
    record["tone"] |= {"bands": None, "overall": None}
    assert tone_tables(record)["tone_rows"] == {}
    assert "By class" not in render_store_page(record)


def test_other_cut_offs_name_columns_and_lines():
    record = audited(asked=ASKED | {"cut_offs": "kinyanjui"}, bands=("tan_1", "very_light"))
    assert tone_columns(record)[0] == "very_light"
    assert len(tone_columns(record)) == 7
    page = render_store_page(record)
    assert ">intermediate 1</text>" in page
    drawn = draw_tones(record["tone"]["edges_degrees"], record["tone"]["counts"], cut_offs="groh")
    assert drawn.count("floor-mean") == 5
    unknown = audited(asked={"cut_offs": "own"}, bands=("pale", "V"))
    assert tone_columns(unknown) == ["V", "pale"]
