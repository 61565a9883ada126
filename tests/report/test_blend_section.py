"""The section on skin tone in training says what the log says, and is there only for runs that blended."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest

from mindgap.core.config import dump_toml
from mindgap.core.files import read_json, write_json, write_text
from mindgap.report.blend_log import read_courses
from mindgap.report.blend_looks import look_rows, raised_bands, used_aucs
from mindgap.report.blend_settings import blended_sentence, blends
from mindgap.report.document import write_report
from mindgap.tone.blend import BlendSettings

SETTINGS = BlendSettings(every=2, least_auc=0.7)
COUNTS = {"I": 40, "II": 140, "III": 12, "IV": 8}
Line = dict[str, Any]


def line(epoch: int, *, share: float = 0.2, **extra: float | None) -> Line:
    """One epoch of a blend of COUNTS and 10 images of unknown tone: II is replaced by twins of V."""
    shares = {"I": 0.2, "II": 0.7 - share, "III": 0.06, "IV": 0.04, "V": share, "VI": 0.0}
    record: Line = {"epoch": epoch, "loss": 1.0, "blend_replaced": share * 200 / 210}
    record |= {f"blend_share_{band}": value for band, value in shares.items()}
    record |= {f"blend_chance_{band}": 0.0 for band in ("I", "III", "IV")} | {"blend_chance_II": share / 0.7}
    record |= {"blend_chance_V": None, "blend_chance_VI": None}
    if epoch == 1:
        record |= {f"blend_n_{band}": n for band, n in (COUNTS | {"V": 0, "VI": 0, "unknown": 10}).items()}
    return record | extra


def look(**aucs: float | None) -> Line:
    """Of validation images: 50 of I and of II, 40 of III, 12 of IV, none of others."""
    counts = {"I": 50, "II": 50, "III": 40, "IV": 12, "V": 0, "VI": 0}
    return {f"auc_n_{band}": n for band, n in counts.items()} | {f"auc_{band}": auc for band, auc in aucs.items()}


LOG = [
    line(1),
    line(2, **look(I=0.9, II=0.65, III=None, IV=0.5)),
    line(3, share=0.23),
    line(4, share=0.23, **look(I=0.71, II=0.7, III=None, IV=0.6)),
]


def write_log(folder, log) -> None:
    write_text(folder / "log.jsonl", "".join(json.dumps(record) + "\n" for record in log))


@pytest.fixture
def blended(make_train_run):
    """Writes a train run with a log of a blend, and gives its page's section as text without tags."""

    def make(log=None, *, store: dict | None = None, metrics: dict | None = None, **options) -> str:
        folder = make_train_run()
        write_log(folder, LOG if log is None else log)
        asked = {"network": "resnet18", "blend": SETTINGS.model_dump()} | options
        write_text(folder / "config.toml", dump_toml({"verb": "train", "options": asked}))
        if store:
            found = read_json(folder / "provenance.json")
            write_json(folder / "provenance.json", found | {"store_summary": found["store_summary"] | store})
        if metrics:
            write_json(folder / "metrics.json", read_json(folder / "metrics.json") | metrics)
        return section(write_report(folder).read_text(encoding="utf-8"))

    return make


def section(page: str) -> str:
    found = re.search(r'<section id="blend".*?</section>', page, flags=re.DOTALL)
    return found.group() if found else ""


def words(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).replace("\u202f", " ").replace("\u00a0", " ").split())


def row(html: str, band: str, table: str) -> list[str]:
    body = html.partition(f'aria-label="{table}"')[2].partition("</table>")[0]
    cells = re.search(rf'<th scope="row">{band}</th>(.*?)</tr>', body, flags=re.DOTALL)
    assert cells is not None
    return [words(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells.group(1), flags=re.DOTALL)]


def test_a_run_without_blend_has_no_such_section(make_train_run, make_search_run):
    for folder in (make_train_run(), make_search_run()):
        page = write_report(folder).read_text(encoding="utf-8")
        assert "Skin tone in training" not in page
        assert "blended" not in page


def test_table_two_has_images_before_and_shares_and_probabilities_of_the_first_and_last_epoch(blended):
    page = blended()
    of = "Training images by tone band"
    assert row(page, "II", of)[1:] == ["140", "70.0 %", "50.0 %", "47.0 %", "28.6 %", "32.9 %"]
    assert row(page, "V", of)[1:] == ["0", "0.0 %", "20.0 %", "23.0 %", "–", "–"]
    assert "In the first epoch 19.0 % of the training images were expected to be replaced" in words(page)
    assert "expected to be replaced by their twins, in the last 21.9 %." in words(page)
    assert "Images of unknown tone: 10" in words(page)


def test_where_nothing_was_raised_one_column_speaks_of_every_epoch(blended):
    page = blended([line(1), line(2)], blend=SETTINGS.model_dump() | {"every": 5})
    assert row(page, "II", "Training images by tone band")[1:] == ["140", "70.0 %", "50.0 %", "28.6 %"]
    assert "Expected, every epoch" in page
    assert "The run had 2 epochs and the first look is after epoch 5: none was made." in words(page)
    assert "AUROCs here have no interval" not in page


def test_every_band_has_its_auroc_or_why_there_is_none_and_what_came_of_it(blended):
    page = blended()
    of = "AUROC by tone band"
    assert row(page, "I", of) == ["50", "0.900", "0.710", "0.0 points", "never below τ: not raised"]
    assert row(page, "II", of) == [
        "50",
        "0.650",
        "0.700",
        "−3.0 points",
        "below τ, and raised as far as it goes, after epoch 2",
    ]
    assert row(page, "III", of) == ["40", "–", "–", "0.0 points", "not defined: its images are all of one class"]
    assert row(page, "IV", of) == ["12", "0.500", "0.600", "0.0 points", "not used: under 30 images"]
    assert row(page, "V", of) == ["0", "–", "–", "+3.0 points", "not defined: no validation image of this band"]
    assert "After epochs 2 and 4 the network was judged" in words(page)


def test_few_images_of_one_class_and_labels_that_never_change_are_said(blended):
    log = [line(1), line(2, **look(IV=None, III=None))]
    of = "AUROC by tone band"
    assert row(blended(log), "IV", of)[-1] == "not defined: its images are all of one class and under 30 images"
    several = blended(log, store={"task": "multi-label"})
    assert row(several, "III", of)[-1] == "not defined: every label is the same on all its images"


def test_an_auroc_of_too_few_images_is_neither_drawn_nor_raised():
    course = read_courses(LOG)[0]
    assert used_aucs(course, SETTINGS) == {2: {"I": 0.9, "II": 0.65}, 4: {"I": 0.71, "II": 0.7}}
    assert raised_bands(course, SETTINGS) == {2: ["II"], 4: []}


def test_the_plots_show_bands_that_have_a_share_from_before_and_when_looks_raised_some(blended):
    page = blended()
    shares, chances, aucs = re.findall(r"<figure.*?</figure>", page, flags=re.DOTALL)
    assert "<title>V, before: 0.0\u202f%</title>" in shares
    assert "<title>II, epoch 4: 47.0\u202f%</title>" in shares
    assert "<title>VI" not in shares
    assert shares.count("<title>after epoch 2: II raised</title>") == 1
    assert shares.count("<title>after epoch 4: nothing raised</title>") == 1
    assert "aimed at: 16.7\u202f%" in shares
    assert "II from 28.6\u202f% to 32.9\u202f%." in chances
    assert "<title>I," not in chances, "no image of it is ever replaced"
    assert "II from 0.650 to 0.700" in aucs
    assert "τ = 0.70" in aucs


def test_the_settings_are_in_words(blended):
    tone = {"target": "IV", "twins": 200, "no_twin": 10}
    said = words(blended(store={"tone": tone}))
    assert "more than 16.7 % whose twin is of a band that has less (or of one that is told badly, see below)" in said
    assert "each with probability 1 − 16.7 % / share" in said
    assert "after every 2 epochs" in said
    assert "macro AUROC (each class against the rest) below 0.70" in said
    assert "a probability higher by 5.0 points, up to 90 %" in said
    assert "200 images of the store have one, for the target IV; 10 have none" in said
    other = words(blended(blend={"reading": "original", "every": 1, "share": 0.25}))
    assert "less than 25.0 %, each with probability (25.0 % − share) / 25.0 %" in other
    assert "after every epoch" in other
    assert "A raise acts through the images of the band" in other


def test_batches_composed_by_groups_are_said_not_to_follow_these_shares(blended):
    assert "before the batches were composed by groups" not in blended(ratios="natural")
    assert "before the batches were composed by groups" in blended(ratios="uniform")


def test_names_from_the_log_and_the_store_are_escaped(blended):
    log = [
        {name.replace("III", "<script>alert(1)</script>"): value for name, value in record.items()} for record in LOG
    ]
    page = blended(log, store={"tone": {"target": "<b>IV", "twins": 1, "no_twin": 0}})
    assert "<script" not in page
    assert "<b>IV" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "the target &lt;b&gt;IV" in page


def test_an_older_log_without_counts_is_shown_as_far_as_it_goes(blended):
    log = [
        {name: value for name, value in record.items() if not name.startswith(("blend_n", "auc_n", "blend_chance"))}
        for record in LOG
    ]
    page = blended(log)
    assert row(page, "II", "Training images by tone band")[1:] == ["–", "–", "50.0 %", "47.0 %", "–", "–"]
    assert row(page, "II", "AUROC by tone band")[0] == "–"
    assert (
        row(page, "V", "AUROC by tone band")[-1]
        == "not defined: no validation image of this band, or of one class only"
    )
    assert page.count("<figure") == 2


def test_settings_that_were_not_recorded_are_not_made_up(blended):
    said = words(blended(blend={"from": "another version"}))
    assert "Settings not recorded" in said
    assert "the threshold was not recorded" in said


def test_damaged_lines_of_the_log_are_left_out(blended):
    odd = [{"epoch": "2", "blend_share_I": 0.5}, {"epoch": True, "blend_share_I": 0.5}, {"epoch": 9}, {"x": 1}]
    assert read_courses([*odd, {"epoch": 3, "fold": [1], "blend_share_I": 0.5}]) == []
    course = read_courses([*odd, *reversed(LOG), line(4, share=0.3)])[0]
    assert list(course.shares) == [1, 2, 3, 4]
    assert course.shares[4]["V"] == 0.3, "an epoch run twice counts by its last record"
    assert read_courses([{"epoch": 1, "blend_share_I": float("nan")}]) == []


def test_folds_are_shown_from_lowest_to_highest_and_none_was_looked_at(blended):
    log = [{"fold": fold, **line(epoch, share=0.2 + 0.01 * fold)} for fold in (1, 2, 3) for epoch in (1, 2)]
    page = blended(log, metrics={"folds": {"k": 3, "summary": {}, "audits": []}})
    cells = row(page, "II", "Training images by tone band")[1:]
    assert cells == ["140", "70.0 %", "47.0 % to 49.0 %", "30.0 % to 32.9 %"]
    assert "lowest and the highest of 3 folds" in words(page)
    assert "In cross-validation nothing is looked at" in words(page)
    assert "<figure" not in page


def test_one_epoch_is_no_error(blended):
    assert "Expected, every epoch" in blended([line(1)])
    assert look_rows(read_courses([line(1)])[0], SETTINGS, multi_label=False) == []


def trials(*blend: object) -> list[dict[str, Any]]:
    return [{"slot": slot, "training": {} if one is None else {"blend": one}} for slot, one in enumerate(blend)]


def test_which_candidates_of_a_search_blended_is_said():
    every = {"training": {"blend": True}}
    assert blended_sentence(trials(None, None), {}) == ""
    assert "Every candidate was to be trained" in blended_sentence(trials(None, None), every)
    said = blended_sentence(trials(True, None, {"every": 2}), {})
    assert "2 of 3 candidates" in said
    assert said.endswith("slots 0 and 2.")
    assert blended_sentence(trials(True, None), {}).endswith("slot 0.")
    assert not blends({"slot": 0, "training": {"blend": False}}, every)


def test_a_search_marks_its_blended_candidates_and_shows_the_chosen_ones_blend(make_search_run):
    folder = make_search_run()
    search = read_json(folder / "search.json")
    slot = search["chosen"]
    for trial in search["trials"]:
        trial["training"] = {"blend": True} if trial["slot"] == slot else {}
    write_json(folder / "search.json", search)
    write_log(folder, LOG)
    page = write_report(folder).read_text(encoding="utf-8")
    assert f"1 of {len(search['trials'])} candidates were to be trained on images blended" in words(page)
    assert page.count("<td>yes</td>") == 1
    assert "after every 5 epochs" in words(section(page))


def test_a_search_in_which_all_blended_needs_no_column(make_search_run):
    folder = make_search_run()
    options = {"store": "stores/test-data", "attribute": "sex", "training": {"blend": {"every": 3}}}
    write_text(folder / "config.toml", dump_toml({"verb": "search", "options": options}))
    write_log(folder, LOG)
    page = write_report(folder).read_text(encoding="utf-8")
    assert "Every candidate was to be trained on images blended" in page
    assert "Tones blended" not in page
    assert "after every 3 epochs" in words(section(page))
