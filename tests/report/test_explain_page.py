"""The page of an explanation: what it says in words, its tables, its pictures, and names it must not trust."""

from __future__ import annotations

import re
from copy import deepcopy
from html import unescape

import pytest

from mindgap.core.errors import DataError
from mindgap.core.files import write_json
from mindgap.report.explain_page import render_explanation, write_explain_page
from mindgap.report.explain_rows import focus_findings, focus_parts, small_cells
from mindgap.report.gallery import GALLERY_FILE, read_gallery
from mindgap.testing.made_explanation import group, made_explanation, value, with_gallery

HOSTILE = '<script>alert("x")</script>'


def text_of(record, **options):
    """The words of the page."""
    page = render_explanation(record, options={}, **options)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2]))).replace("\u00a0", " ")


def test_says_which_gap_is_beyond_its_floor_and_which_is_not():
    found = {one.attribute: one for one in focus_findings(made_explanation())}
    assert [one.attribute for one in focus_findings(made_explanation())] == ["sex", "age"], "what is shown comes first"
    assert found["sex"].kind == "shown"
    assert found["sex"].title == "sex: the maps lie more outside the lesion for b than for a"
    assert "0.750 in b (n\u00a0=\u00a040) and 0.500 in a (n\u00a0=\u00a040)" in found["sex"].details[0]
    assert "p = 0.002 after Holm" in found["sex"].details[0], "two attributes were looked at"
    assert found["age"].kind == "not shown"
    assert found["age"].title == "age: no gap in focus shown"


def test_a_gap_that_cannot_be_computed_is_called_so():
    record = made_explanation()
    record["attributes"]["sex"]["gaps"]["all"] = record["attributes"]["sex"]["gaps"]["wrong"]
    found = next(one for one in focus_findings(record) if one.attribute == "sex")
    assert found.title == "sex: focus cannot be compared"
    assert "fewer than two groups" in found.details[0]


def test_tables_hold_every_group_and_case():
    (part,) = focus_parts(made_explanation())
    sex, age = part.tables
    assert [(row.name, row.n, row.is_small) for row in (*sex.rows, *age.rows)] == [
        ("a", 40, False), ("b", 40, False), ("0-30", 62, False), ("30+", 20, True),
    ]  # fmt: skip
    assert [figure.value for figure in sex.rows[1].figures] == ["0.750", "0.700", "0.900"]
    assert sex.rows[1].figures[0].under == ("0.700 to 0.800", "n\u00a0=\u00a040")
    assert [row.verdict.kind for row in sex.gaps] == ["shown", "not shown", "not defined"]


def test_a_group_left_out_of_the_gap_is_named_and_no_end_of_it():
    record = made_explanation()
    groups = record["attributes"]["sex"]["groups"]
    groups["unknown"] = group(1, (3.0, 3.0, 3.0), right=1)
    groups["unknown"]["focus"]["all"] = value(3.0, n=1, reason="no interval: group 'unknown' has 1 cluster")
    record["attributes"]["sex"]["left_out"] = ["unknown"]
    assert next(one for one in focus_findings(record) if one.attribute == "sex").title.endswith("for b than for a")
    assert "Gaps over sex: largest mean less smallest; too small to be compared: unknown" in text_of(record)
    (part,) = focus_parts(record)
    assert part.tables[0].rows[2].figures[0].under[0] == "no interval: 1 cluster", "its row names the group"


def test_few_images_are_named():
    assert small_cells(made_explanation()) == ["age 0-30: 2 wrong cases only", "age 30+: n\u00a0=\u00a020"]
    assert "moves a mean by much: age 0-30: 2 wrong cases only and age 30+: n = 20." in text_of(made_explanation())


def test_cautions_in_words():
    text = text_of(made_explanation())
    assert "Caution. A map is not a cause." in text
    assert "not a medical device" in text
    assert "so few cannot follow" not in text
    assert "found by" not in text
    coarse = text_of(made_explanation() | {"map_px": [2, 2]})
    assert "The layer's maps have 2 × 2 values: so few cannot follow the border of a lesion" in coarse
    masks = made_explanation()["masks"]
    assert "found by a U-Net, not drawn" in text_of(made_explanation() | {"masks": masks | {"source": "predict"}})
    assert "found by a rule without weights" in text_of(made_explanation() | {"masks": masks | {"source": "classical"}})
    noted = text_of(made_explanation() | {"note": "explained is the form that predicts without groups"})
    assert "Explained is the form that predicts without groups: the run's own predictions may differ." in noted


@pytest.mark.parametrize(
    ("figure", "says"),
    [
        (value(0.62, 0.5, 0.7), "the maps lie less on what is outside the lesion than maps spread evenly would (1)"),
        (value(1.2, 1.1, 1.3), "the maps lie more on what is outside the lesion than maps spread evenly would (1)"),
        (value(0.98, 0.9, 1.02), "whether the maps prefer the lesion or what is around it is not shown"),
        (value(0.5, reason="no interval: the set has 3 clusters"), "is not shown; maps spread evenly have 1."),
    ],
)
def test_focus_is_read_against_an_even_spread_as_far_as_its_interval_lets(figure, says):
    record = made_explanation()
    record["focus"]["all"] = figure
    assert says in text_of(record)


def test_without_masks_there_is_a_reason_and_no_finding():
    record = made_explanation() | {"masks": {"known": 0, "no_lesion": 0, "all_lesion": 0, "source": "stored"}}
    record["focus"] = {case: value(None, n=0, reason="the store has no lesion masks") for case in record["focus"]}
    text = text_of(record)
    assert "Focus is not defined: the store has no lesion masks." in text
    assert "gap in focus shown" not in text


def test_of_several_labels_each_has_its_part():
    single = made_explanation()
    parts = {name: {key: deepcopy(single[key]) for key in ("n", "right", "wrong", "blank_maps", "focus", "attributes")}
             for name in ("red", "even")}  # fmt: skip
    record = {key: of for key, of in single.items() if key not in parts["red"]} | {"n": 82, "labels": parts}
    assert [part.label for part in focus_parts(record)] == ["red", "even"]
    found = focus_findings(record)
    assert {one.title for one in found if one.kind == "shown"} == {
        f"sex: the maps lie more outside the lesion for b than for a (label {name})" for name in ("red", "even")
    }
    assert "p = 0.004 after Holm" in found[0].details[0], "four comparisons"
    assert "Label red: Mean focus 0.620" in text_of(record)


def test_channels_are_listed():
    chosen = [
        {"channel": 7, "focus": 1.5, "n": 80, "activity": 0.25},
        {"channel": 2, "focus": 0.2, "n": 9, "activity": 1},
    ]
    channels = {"layer": "head", "n": 512, "images": 82, "dead": 3, "reason": None, "mean_focus": [], "chosen": chosen}
    text = text_of(made_explanation() | {"channels": channels})
    assert "512 channels of head over 82 images, of which 3 never exceed 0." in text
    assert "7 1.500 80 0.250 2 0.200 9 1.000" in text


def test_pruned_channels_stand_beside_kept_ones():
    difference = value(0.3, 0.1, 0.5, 82) | {"noise_mean": 0.05, "noise_p95": 0.12, "p_value": 0.001}
    one = {"removed": value(1.2, 1.1, 1.3, 10), "kept": value(0.9, 0.8, 1.0, 53), "difference": difference}
    text = text_of(made_explanation() | {"pruned": {"head": one | {"channels": 64, "without_focus": 1}}})
    assert "head 64 channels 1.200 1.100 to 1.300 n = 10 0.900" in text
    assert "0.050 / 0.120 0.001 1" in text


def test_the_gallery_stands_group_by_group(tmp_path):
    record = with_gallery(tmp_path)
    found = read_gallery(tmp_path, record)
    assert [cell.title for cell in found.cells] == [
        "sex a, right: 1 of 30", "sex a, wrong: 1 of 1\u202f200", "sex not known, right: 1 of 2",
    ]  # fmt: skip
    (first,), (second,), (third,) = (cell.examples for cell in found.cells)
    assert (first.says, first.about) == ("predicted nv (90\u202f%)", "map for mel, focus 0.50")
    assert (second.says, second.about) == (
        "predicted mel (90\u202f%), is nv", "empty map: nothing speaks for the class",
    )  # fmt: skip
    assert third.about == "map for mel, focus not known"
    assert [(one.x_px, one.y_px) for one in (first, second, third)] == [(0, 0), (256, 0), (0, 128)]
    assert (found.width_px, found.height_px) == (512, 256)
    page = render_explanation(record, options={}, gallery=found)
    assert "This page holds 3 images of people" in page
    assert "img-src data:" in page
    assert page.count("<figure>") == 3


def test_a_sheet_that_is_gone_is_refused(tmp_path):
    record = with_gallery(tmp_path)
    (tmp_path / GALLERY_FILE).unlink()
    with pytest.raises(DataError, match=r"gallery\.png: cannot read .*; explain it again"):
        read_gallery(tmp_path, record)


def test_a_record_of_something_else_is_refused(tmp_path):
    write_json(tmp_path / "explain.json", {"kind": "dataset"})
    with pytest.raises(DataError, match="holds no explanation"):
        write_explain_page(tmp_path)


def test_names_are_escaped_everywhere(tmp_path):
    record = with_gallery(tmp_path, attribute=HOSTILE)
    record["run"] = f"/runs/{HOSTILE}"
    record |= {"layer": HOSTILE, "classes": [HOSTILE], "target": HOSTILE, "note": HOSTILE}
    record["attributes"] = {HOSTILE: record["attributes"]["sex"]}
    groups = record["attributes"][HOSTILE]["groups"]
    record["attributes"][HOSTILE]["groups"] = {HOSTILE: groups["a"], "b": groups["b"]}
    for one in record["gallery"]["examples"]:
        one |= {"id": HOSTILE, "label": HOSTILE, "predicted": HOSTILE, "target": HOSTILE}
    page = render_explanation(record, options={"layer": HOSTILE}, gallery=read_gallery(tmp_path, record))
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 10
