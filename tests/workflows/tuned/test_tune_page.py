"""The page of a tuning: every front with its marks, and how far the chosen point falls from where it was tuned."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mindgap.core.files import read_json
from mindgap.report.drawing import element
from mindgap.report.tune_section import draw_label_front, optimism_rows
from mindgap.report.tune_words import tune_sentences

POINTS = [{"accuracy": 0.9, "uei": 0.2}, {"accuracy": 0.88, "uei": 0.1}, {"accuracy": 0.8, "uei": 0.3}]
LABEL: dict[str, Any] = {
    "front": [{**point, "held_back": point} for point in POINTS],
    "chosen": 1,
    "trained_point": 2,
    "thresholds": {"front": [{"accuracy": 0.85, "uei": 0.15}], "chosen": 0},
    "figures": {"tuned_on": POINTS[1], "held_back": POINTS[1], "test": {"accuracy": 0.7, "uei": 0.25}},
    "trained": {"tuned_on": POINTS[2], "held_back": POINTS[2], "test": POINTS[2]},
}


def titles(page: str) -> list[str]:
    return re.findall(r"<title>(.*?)</title>", page)


def test_every_mark_tells_its_figures() -> None:
    drawn = titles(draw_label_front(LABEL, "uei", name="smiling"))
    assert any(title.startswith("point 0: Accuracy 90.0") and "held back" in title for title in drawn)
    assert [title for title in drawn if title.startswith("chosen, point 1")] != []
    assert [title for title in drawn if title.startswith("point 2, the trained head")] != []
    assert [title for title in drawn if title.startswith("threshold 0")] != []
    assert [title for title in drawn if title.startswith("point 1 on the test split: Accuracy 70.0")] != []


def test_a_point_without_a_gap_is_not_drawn() -> None:
    blind = {**LABEL, "figures": {**LABEL["figures"], "test": {"accuracy": 0.7, "uei": None}}}
    assert not any("on the test split" in title for title in titles(draw_label_front(blind, "uei", name="smiling")))


def test_a_label_of_any_name_is_escaped() -> None:
    assert "<b>" not in draw_label_front(LABEL, "uei", name="<b>")


def test_the_fall_from_tuned_on_to_test_is_a_row() -> None:
    rows = list(optimism_rows({"labels": {"smiling": LABEL}, "gap": "uei"}))
    assert rows[1].values == ("0.300 → 0.100", "0.300 → 0.100", "0.300 → 0.250")


def test_the_page_has_a_front_per_label(tuned: Path) -> None:
    page, labels = (tuned / "report.html").read_text(encoding="utf-8"), read_json(tuned / "tune.json")["labels"]
    assert page.count("The front as a table") == len(labels)
    assert str(element("h3", "UEI per label on the test split")) in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"held_back": False}, "which flatter it"),
        ({"left_out": {"bald": "test: 3 positives in group 'b', needs 20"}}, "Left out: bald (test: 3 positives"),
        ({"test_reads": 2}, "read 2 times"),
        ({"task": "single-label"}, "One head for all classes; groups of sex"),
    ],
)
def test_what_was_tuned_and_what_weakens_the_figures_is_said(tuned: Path, change: dict[str, Any], said: str) -> None:
    assert said in " ".join(tune_sentences(read_json(tuned / "tune.json") | change))
