"""The page of an audit says first, in words, what the predictions show, and stays usable whatever the table holds."""

from __future__ import annotations

import copy
import re
import time
from html import unescape
from html.parser import HTMLParser

import numpy as np
import pytest

from mindgap.core.groups import Groups
from mindgap.metrics.predictions import multi_label_from_arrays, predictions_from_arrays
from mindgap.report.audit_page import render_audit, write_audit_page

OPTIONS = {"split": "test", "cluster": "lesion_id", "seed": 3, "bootstrap": 40, "permutations": 40}


def words(page: str) -> str:
    """The page's text without tags, entities and layout."""
    text = re.sub(r"<title>.*?</title>|<style>.*?</style>", "", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text)))


def summary(page: str) -> str:
    """The text of the part in plain words."""
    return words(page[page.index('<section id="summary"') : page.index('<section id="groups"')])


@pytest.mark.parametrize("seed", range(4))
def test_the_raw_u_of_six_equal_groups_is_said_to_be_chance(make_audit_of, seed: int) -> None:
    """Six groups of 7000/2900/72/24/5/5 all right for 80 %: U is .375 on average, no group is worst off."""
    generator = np.random.default_rng(seed)
    sizes = (7000, 2900, 72, 24, 5, 5)
    ids = np.repeat(np.arange(6), sizes)
    labels = generator.integers(0, 3, len(ids))
    wrong = generator.random(len(ids)) > 0.8
    predicted = np.where(wrong, (labels + generator.integers(1, 3, len(ids))) % 3, labels)
    groups = Groups("tone", ("I", "II", "III", "IV", "V", "VI"), ids)
    predictions = predictions_from_arrays(labels, classes=("a", "b", "c"), predicted=predicted, groups={"tone": groups})
    record = make_audit_of(predictions, resamples=200)
    said = summary(render_audit(record, predictions, source="predictions.csv", options=OPTIONS))
    gap = record["attributes"]["tone"]["gaps"]["unfairness"]
    assert gap["value"] > 0.1
    assert (
        f"No gap in accuracy over tone shown: a U of {gap['value']:.3f} is not distinguishable from chance and "
        "case mix at this n (10 006 images)." in said
    )
    assert f"Groups drawn at random within each class give {gap['noise_mean']:.3f} on average" in said
    assert not re.search(r"[Ww]orst|is shown|beyond its noise floor|best off", said)
    assert "Too few images to say anything of: IV (n = 24), V (n = 5) and VI (n = 5)." in said


def test_a_worse_group_is_named_first_with_points_interval_and_verdict(make_predictions, make_audit_of) -> None:
    predictions = make_predictions(n=1500)
    record = make_audit_of(predictions, resamples=100)
    said = summary(render_audit(record, predictions, source="folder/predictions.csv", options=OPTIONS))
    assert "Audited: 1 500 rows of the test split of predictions.csv, clusters by lesion_id; 40 resamples, " in said
    assert "40 permutations, seed 3." in said
    assert re.search(r"Rows left out of an attribute's figures: \d+ of unknown sex\.", said)
    assert "A gap is shown over tone. Over sex none in accuracy is shown beyond chance and case mix." in said
    assert re.search(r"A gap over tone is shown: the model is right for [\d.]+ % of III and [\d.]+ % of I{1,2}\.", said)
    assert re.search(r"[\d.]+ points apart \(95 % interval [\d.]+ to [\d.]+\)\.", said)
    assert said.index("A gap over tone is shown") < said.index("No gap in accuracy over sex shown")


def test_how_much_of_u_is_case_mix_is_said_where_the_audit_splits_it(make_predictions, make_audit_of) -> None:
    predictions = make_predictions()
    record = make_audit_of(predictions)
    gaps = record["attributes"]["tone"]["gaps"]
    gaps["unfairness_case_mix"] = gaps["unfairness"] | {"value": 0.33, "p_value": 1.0}
    gaps["unfairness_within_class"] = gaps["unfairness"] | {"value": 0.12, "low": 0.05, "high": 0.2}
    page = render_audit(record, predictions, source="p.csv", options=OPTIONS)
    assert (
        "Which classes each group has would alone make U 0.330; within classes, U is 0.120 (95 % interval"
        in summary(page)
    )
    assert "describes the data, not judged" in words(page)


def test_without_probabilities_curves_and_calibration_are_reasons(make_predictions, make_audit_of) -> None:
    predictions = make_predictions(with_probabilities=False)
    page = render_audit(make_audit_of(predictions), predictions, source="p.csv", options=OPTIONS)
    assert words(page).count("not drawn: the predictions have no probabilities, only classes.") == 2
    assert 'class="confusion"' in page


def test_any_gap_of_the_record_shows_up_and_other_conventions_are_folded_away(make_predictions, make_audit_of) -> None:
    predictions = make_predictions()
    record = make_audit_of(predictions)
    gaps = record["attributes"]["tone"]["gaps"]
    names = ["equalized_odds_worst", "equalized_odds_deo", "eopp0", "uei", "abroca", "worst_group_auroc", "my_own_gap"]
    for k, name in enumerate(names):
        gaps.setdefault(name, copy.deepcopy(gaps["unfairness"]) | {"value": 0.05 + 0.1 * k})
    page = render_audit(record, predictions, source="p.csv", options=OPTIONS)
    lead = page[page.index('aria-label="Gaps over tone"') :]
    lead = words(lead[: lead.index("</table>")])
    labels = ["Unfairness U", "Accuracy difference", "Equalised odds, abs-mean", "ABROCA", "UEI"]
    assert all(label in lead for label in labels)
    assert "EOpp0" not in lead
    said = words(page)
    assert all(label in said for label in ("Equalised odds, deo", "EOpp0", "Worst-group AUROC", "my own gap"))
    assert "what is called equalised odds is" in said


class Scripts(HTMLParser):
    """Counts elements that a hostile name could have made."""

    found = 0

    def handle_starttag(self, tag, attrs):
        self.found += tag in {"script", "img", "iframe"} or any(name.startswith("on") for name, _ in attrs)


def test_hostile_names_stay_text_and_cannot_turn_the_line_round(make_predictions, make_audit_of) -> None:
    hostile = "<script>alert(1)</script>"
    predictions = make_predictions(tones=(hostile, "\u202eturned", "שלום"), classes=(hostile, "' onload='x", "a\x00b"))
    page = render_audit(make_audit_of(predictions), predictions, source=f"{hostile}.csv", options={"split": hostile})
    parser = Scripts()
    parser.feed(page)
    assert parser.found == 0
    assert "\u202e" not in page
    assert "\x00" not in page
    assert "\u2068שלום\u2069" in page


@pytest.mark.parametrize(
    ("groups", "classes", "says"),
    [
        (200, 3, ["194 more groups are not drawn; the tables have them."]),
        (3, 100, ["84 classes with a smaller ABROCA are not drawn", "the other 81 are one row and column"]),
    ],
)
def test_many_groups_or_classes_stay_one_usable_page(make_predictions, make_audit_of, groups, classes, says) -> None:
    tones, names = (tuple(f"{kind} {k}" for k in range(n)) for kind, n in (("site", groups), ("class", classes)))
    predictions = make_predictions(n=3000, tones=tones, classes=names)
    page = render_audit(make_audit_of(predictions, resamples=3), predictions, source="p.csv", options=OPTIONS)
    assert len(page.encode()) < 1_000_000
    assert [line for line in says if line not in words(page)] == []


def test_a_multi_label_audit_has_a_part_per_label_and_folds_away_the_many(make_audit_of) -> None:
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, (300, 10))
    chances = np.clip(0.5 + 0.3 * (labels - 0.5) + generator.normal(0, 0.2, labels.shape), 0, 1)
    groups = {"sex": Groups("sex", ("female", "male"), generator.integers(0, 2, 300))}
    names = [f"finding {k}" for k in range(10)]
    predictions = multi_label_from_arrays(labels, chances, label_names=names, groups=groups)
    page = render_audit(make_audit_of(predictions), predictions, source="p.csv", options=OPTIONS)
    assert "300 rows · 10 labels · 1 attribute" in words(page)
    assert page.count('<h3 class="label">') == 5 * 4
    assert "2 more labels are not drawn" in words(page)
    assert "4 more findings" in words(page)
    assert len(re.findall(r'<path [^>]*class="between"', page)) == 8


def test_of_two_classes_the_second_is_drawn_for_all_attributes_side_by_side(make_predictions, make_audit_of) -> None:
    predictions = make_predictions(classes=("benign", "malignant"))
    page = render_audit(make_audit_of(predictions), predictions, source="p.csv", options=OPTIONS)
    assert re.findall(r'<figure class="card"><h4>(.*: .*?)</h4>', page) == ["tone: malignant", "sex: malignant"]


def test_the_page_is_written_and_the_same_when_written_again(make_predictions, make_audit_of, tmp_path) -> None:
    predictions = make_predictions(n=200)
    record = make_audit_of(predictions)
    page = write_audit_page(tmp_path / "a.html", record, predictions, source="p.csv", options=OPTIONS)
    first = page.read_bytes()
    write_audit_page(page, record, predictions, source="p.csv", options=OPTIONS)
    assert page.read_bytes() == first
    assert b"default-src 'none'" in first
    assert b" style=" not in first


@pytest.mark.slow
def test_a_million_rows_take_the_page_under_five_seconds(make_predictions, make_audit_of) -> None:
    predictions = make_predictions(n=1_000_000, classes=tuple("abcdefg"), tones=("I", "II", "III", "IV", "V", "VI"))
    record = make_audit_of(predictions, resamples=2)
    start = time.process_time()
    page = render_audit(record, predictions, source="p.csv", options=OPTIONS)
    assert time.process_time() - start < 5.0
    assert len(page.encode()) < 3_000_000
