"""The page of an explanation: what it says in words, its tables, its pictures, and names it must not trust."""

from __future__ import annotations

import re
from copy import deepcopy
from html import unescape

import numpy as np
import pytest

from mindgap.core.errors import DataError
from mindgap.core.files import write_json
from mindgap.report.explain_page import render_explanation, write_explain_page
from mindgap.report.explain_rows import focus_findings, focus_parts, small_cells
from mindgap.report.gallery import GALLERY_FILE, read_gallery
from mindgap.report.picture_pairs import draw_pairs, panel_px, png_bytes

HOSTILE = '<script>alert("x")</script>'


def value(of, low=None, high=None, n=40, reason=None):
    return {"value": of, "low": low, "high": high, "n": n, "reason": reason}


def gap(of, low, high, p, *, floor=(0.02, 0.05)):
    return value(of, low, high, 80) | {"noise_mean": floor[0], "noise_p95": floor[1], "p_value": p}


def group(n, means, *, right=None):
    right = n - 10 if right is None else right
    figures = {
        case: value(mean, mean - 0.05, mean + 0.05) for case, mean in zip(("all", "right", "wrong"), means, strict=True)
    }
    return {
        "n": n, "right": right, "wrong": n - right, "blank_maps": 1, "flags": ["small"] * (n < 30), "focus": figures,
    }  # fmt: skip


def made():
    """A record with two attributes, one of which has a gap."""
    no_gap = gap(0.03, 0.0, 0.1, 0.4)
    undefined = value(None, n=3, reason="fewer than two groups have an image with a defined focus") | dict.fromkeys(
        ("noise_mean", "noise_p95", "p_value")
    )
    sex = {
        "spec": "sex", "n": 80, "unknown": 2, "left_out": [],
        "groups": {"a": group(40, (0.5, 0.5, 0.6)), "b": group(40, (0.75, 0.7, 0.9))},
        "gaps": {"all": gap(0.25, 0.1, 0.4, 0.001), "right": no_gap, "wrong": undefined},
    }  # fmt: skip
    age = {
        "spec": "age", "n": 82, "unknown": 0, "left_out": [],
        "groups": {"0-30": group(62, (0.6, 0.6, 0.6), right=60), "30+": group(20, (0.63, 0.6, 0.6))},
        "gaps": {"all": no_gap, "right": no_gap, "wrong": no_gap},
    }  # fmt: skip
    return {
        "run": "/somewhere/runs/mine", "store": "/somewhere/store", "note": None, "schema": 1, "kind": "explanation",
        "task": "single-label", "n": 82, "classes": ["nv", "mel"], "method": "grad-cam", "layer": "head",
        "map_px": [7, 7], "size_px": 224, "split": "test", "target": "the predicted class",
        "masks": {"known": 82, "no_lesion": 0, "all_lesion": 1, "source": "stored"},
        "settings": {"bootstrap": 100, "permutations": 1000, "seed": 0}, "right": 60, "wrong": 22, "blank_maps": 2,
        "focus": {"all": value(0.62, 0.5, 0.7, 80), "right": value(0.6), "wrong": value(0.7)}, "undefined": {},
        "attributes": {"sex": sex, "age": age}, "channels": None, "gallery": None,
    }  # fmt: skip


def text_of(record, **options):
    """The words of the page."""
    page = render_explanation(record, options={}, **options)
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page.partition("<main")[2]))).replace("\u00a0", " ")


def with_gallery(folder, **changes):
    """The record with three examples, and their sheet in a folder."""
    examples = [
        {"id": f"i{k}", "label": "nv", "predicted": ("nv", "mel")[k == 1], "probability": 0.9, "target": "mel",
         "right": k != 1, "focus": (0.5, None, None)[k], "is_blank": k == 1, "group": ("a", "a", None)[k]}
        for k in range(3)
    ]  # fmt: skip
    cells = [
        {"group": "a", "right": True, "n": 30},
        {"group": "a", "right": False, "n": 1200},
        {"group": None, "right": True, "n": 2},
    ]
    images = np.zeros((3, 16, 16, 3), dtype=np.uint8)
    (folder / GALLERY_FILE).write_bytes(png_bytes(draw_pairs(images, images[..., 0], list(images))))
    gallery = {"attribute": "sex", "panel_px": panel_px(16), "cells": cells, "examples": examples, "label": ""}
    return made() | {"gallery": gallery | changes}


def test_says_which_gap_is_beyond_its_floor_and_which_is_not():
    found = {one.attribute: one for one in focus_findings(made())}
    assert [one.attribute for one in focus_findings(made())] == ["sex", "age"], "what is shown comes first"
    assert found["sex"].kind == "shown"
    assert found["sex"].title == "sex: the maps lie more outside the lesion for b than for a"
    assert "0.750 in b (n\u00a0=\u00a040) and 0.500 in a (n\u00a0=\u00a040)" in found["sex"].details[0]
    assert "p = 0.002 after Holm" in found["sex"].details[0], "two attributes were looked at"
    assert found["age"].kind == "not shown"
    assert found["age"].title == "age: no gap in focus shown"


def test_a_gap_that_cannot_be_computed_is_called_so():
    record = made()
    record["attributes"]["sex"]["gaps"]["all"] = record["attributes"]["sex"]["gaps"]["wrong"]
    found = next(one for one in focus_findings(record) if one.attribute == "sex")
    assert found.title == "sex: focus cannot be compared"
    assert "fewer than two groups" in found.details[0]


def test_tables_hold_every_group_and_case():
    (part,) = focus_parts(made())
    sex, age = part.tables
    assert [(row.name, row.n, row.is_small) for row in (*sex.rows, *age.rows)] == [
        ("a", 40, False), ("b", 40, False), ("0-30", 62, False), ("30+", 20, True),
    ]  # fmt: skip
    assert [figure.value for figure in sex.rows[1].figures] == ["0.750", "0.700", "0.900"]
    assert sex.rows[1].figures[0].under == ("0.700 to 0.800", "n\u00a0=\u00a040")
    assert [row.verdict.kind for row in sex.gaps] == ["shown", "not shown", "not defined"]


def test_a_group_left_out_of_the_gap_is_named_and_no_end_of_it():
    record = made()
    groups = record["attributes"]["sex"]["groups"]
    groups["unknown"] = group(1, (3.0, 3.0, 3.0), right=1)
    groups["unknown"]["focus"]["all"] = value(3.0, n=1, reason="no interval: group 'unknown' has 1 cluster")
    record["attributes"]["sex"]["left_out"] = ["unknown"]
    assert next(one for one in focus_findings(record) if one.attribute == "sex").title.endswith("for b than for a")
    assert "Gaps over sex: largest mean less smallest; too small to be compared: unknown" in text_of(record)
    (part,) = focus_parts(record)
    assert part.tables[0].rows[2].figures[0].under[0] == "no interval: 1 cluster", "its row names the group"


def test_few_images_are_named():
    assert small_cells(made()) == ["age 0-30: 2 wrong cases only", "age 30+: n\u00a0=\u00a020"]
    assert "moves a mean by much: age 0-30: 2 wrong cases only and age 30+: n = 20." in text_of(made())


def test_cautions_in_words():
    text = text_of(made())
    assert "Caution. A map is not a cause." in text
    assert "not a medical device" in text
    assert "so few cannot follow" not in text
    assert "found by" not in text
    coarse = text_of(made() | {"map_px": [2, 2]})
    assert "The layer's maps have 2 × 2 values: so few cannot follow the border of a lesion" in coarse
    masks = made()["masks"]
    assert "found by a U-Net, not drawn" in text_of(made() | {"masks": masks | {"source": "predict"}})
    assert "found by a rule without weights" in text_of(made() | {"masks": masks | {"source": "classical"}})
    noted = text_of(made() | {"note": "explained is the form that predicts without groups"})
    assert "Explained is the form that predicts without groups: the run's own predictions may differ." in noted


@pytest.mark.parametrize(("mean", "word"), [(0.62, "less"), (1.2, "more")])
def test_focus_is_read_against_an_even_spread(mean, word):
    record = made()
    record["focus"]["all"] = value(mean, mean - 0.1, mean + 0.1, 80)
    assert f"the maps lie {word} on what is outside the lesion than maps spread evenly would (1)" in text_of(record)


def test_without_masks_there_is_a_reason_and_no_finding():
    record = made() | {"masks": {"known": 0, "no_lesion": 0, "all_lesion": 0, "source": "stored"}}
    record["focus"] = {case: value(None, n=0, reason="the store has no lesion masks") for case in record["focus"]}
    text = text_of(record)
    assert "Focus is not defined: the store has no lesion masks." in text
    assert "gap in focus shown" not in text


def test_of_several_labels_each_has_its_part():
    single = made()
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
    text = text_of(made() | {"channels": channels})
    assert "512 channels of head over 82 images, of which 3 never exceed 0." in text
    assert "7 1.500 80 0.250 2 0.200 9 1.000" in text


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
