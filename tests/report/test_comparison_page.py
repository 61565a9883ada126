"""What a comparison says in words, and its page."""

from __future__ import annotations

import re

import numpy as np
import pytest

from mindgap.audit.compared_models import Model
from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.report.comparison_page import render_comparison, write_comparison_page
from mindgap.report.comparison_words import (
    ComparisonFinding,
    caveat,
    comparison_findings,
    nothing_shown,
    numbers,
    seed_rows,
    seeds_compared,
)
from mindgap.report.difference_rows import draw_difference
from mindgap.report.estimate import signed


def models(make_predictions, *, names=("plain", "weighted"), seeds=1, **options):
    found = []
    for k, name in enumerate(names):
        several = [make_predictions(seed=0, shift=2.5 - 2.5 * k, **options) for _ in range(seeds)]
        found.append(Model(name, tuple(f"{name}-{s}" for s in range(seeds)), tuple(range(seeds)), tuple(several)))
    return found


@pytest.fixture(scope="module")
def record(make_predictions):
    """A comparison of two models of which the second treats the last tone as well as the others."""
    return compare_models(models(make_predictions, seeds=2), ComparisonOptions(bootstrap=100, permutations=199))


def test_sentences_name_who_is_compared_with_whom(record):
    accuracy, tone, sex = comparison_findings(record)
    assert accuracy.title == "weighted is right more often than plain."
    assert tone.title.startswith("Over tone, weighted helps beside plain: its gap (Unfairness U) is smaller")
    assert tone.word == "helps"
    assert sex.title.startswith(
        "Over sex, no difference in the gap (Unfairness U) between weighted and plain is shown (n"
    )
    assert all("95\u202f% interval" in detail for finding in (accuracy, tone, sex) for detail in finding.details)


def changed(record, word, *, harmless=None, **gap):
    attribute = record["attributes"]["tone"]
    gaps = attribute["gaps"] | {"unfairness": {"weighted": attribute["gaps"]["unfairness"]["weighted"] | gap}}
    verdict = {"weighted": {"word": word, "gap": "unfairness", "harmless": harmless}}
    return record | {"attributes": {"tone": attribute | {"gaps": gaps, "verdict": verdict}}}


def test_each_verdict_has_its_sentence_and_claims_no_more(record):
    said = {
        word: comparison_findings(changed(record, word, harmless=False, **gap))[1].title
        for word, gap in {
            "helps": {},
            "levels down": {},
            "hurts": {"reading": "worse", "value": 0.1},
            "no difference shown": {"reading": "no difference shown"},
            "not judged": {"reading": "not judged", "why": "too few permutations for so many comparisons"},
        }.items()
    }
    assert said["helps"].endswith("falls by no more than a point; that is not shown to be harmless to the worst group.")
    assert "levels down beside plain" in said["levels down"]
    assert said["levels down"].endswith(
        "it is not shown that the worst off gain, and groups that lose can shrink a gap too."
    )
    assert said["hurts"] == "Over tone, weighted hurts beside plain: its gap (Unfairness U) is larger."
    assert said["no difference shown"].startswith("Over tone, no difference in the gap (Unfairness U) between")
    assert said["not judged"].endswith("is not judged: too few permutations for so many comparisons.")
    assert "harmless" not in comparison_findings(changed(record, "helps", harmless=True))[1].title


def test_a_difference_is_written_with_all_it_rests_on():
    record = {"value": 0.05, "low": -0.01, "high": 0.11, "first": 0.7, "second": 0.75, "p_holm": 0.2, "n": 80}
    assert numbers(record, "accuracy") == (
        "accuracy 0.700 → 0.750, difference +0.050, 95\u202f% interval −0.010 to +0.110, "
        "p = 0.200 (Holm), n\u00a0=\u00a080"
    )
    undefined = {"value": None, "reason": "no rows"}
    assert numbers(undefined, "accuracy") == "accuracy: not defined (no rows)"
    assert [signed(one) for one in (0.0004, 0.001, -0.001, None)] == ["0.000", "+0.001", "−0.001", "–"]


def test_what_seeds_do_not_show_is_said(record, make_predictions):
    assert caveat(record).startswith("Figures are means over seeds")
    few = ComparisonOptions(bootstrap=0, permutations=0)
    assert "train several seeds" in caveat(compare_models(models(make_predictions, n=60), few))
    (row, *_) = seed_rows(record)
    assert (row.model, row.attribute, row.label, row.n_seeds) == ("plain", "", "Accuracy", 2)
    assert re.fullmatch(r"0\.\d{3} ± 0\.000", row.text)


def test_which_seeds_are_compared_is_said_and_which_are_not():
    def told(first, second, pairs):
        return seeds_compared({"seeds": second, "compared_seeds": pairs}, {"seeds": first})

    assert told([0], [3], [[0, 3]]) == ""
    assert told([0, 1], [0, 1], [[0, 0], [1, 1]]) == "seeds compared: 0 with 0, 1 with 1"
    alone = "stand in the table of seeds alone"
    assert told([0, 1, 2], [0], [[0, 0]]) == f"seeds compared: 0 with 0; 2 seeds have no partner and {alone}"
    assert told([0, 1], [None], [[0, None]]).startswith("seeds compared: the only one with 0; 1 seed has no partner")


def test_one_pair_of_seeds_is_one_run_of_each(make_predictions):
    (several, _), (_, alone) = models(make_predictions, n=60, seeds=2), models(make_predictions, n=60)
    record = compare_models([several, alone], ComparisonOptions(bootstrap=0, permutations=0))
    assert "train several seeds of each" in caveat(record)


def test_the_page_holds_sentences_every_difference_and_the_seeds(record, tmp_path):
    text = write_comparison_page(tmp_path / "compare.html", record).read_text(encoding="utf-8")
    assert "<h1>plain and weighted compared</h1>" in text
    assert "weighted is right more often than plain." in text
    assert "no difference shown" in text
    differences = sum(len(part["gaps"]) for part in record["attributes"].values())
    groups = sum(len(part["groups"]) for part in record["attributes"].values())
    defined = len(re.findall(r'<svg class="cell"', text))
    assert len(record["overall"]) < defined <= len(record["overall"]) * (1 + groups) + differences
    assert "Mean ± sd" in text
    assert "plain-0 (seed 0), plain-1 (seed 1)" in text
    assert not re.search(r"https?://", text)
    assert "None" not in text


def test_zero_stands_in_the_middle_of_a_drawing():
    record = {"value": 0.0, "low": -0.1, "high": 0.1, "first": 0.5, "second": 0.5, "p_holm": 1.0, "n": 9}
    drawing = draw_difference(record, "accuracy", end=0.2)
    assert drawing.count('x1="50.000%"') == 1
    assert 'cx="50.000%"' in drawing
    assert {'x1="25.000%"', 'x1="75.000%"'} <= set(re.findall(r'x1="[\d.]+%"', drawing))
    assert "&lt;b&gt;" in draw_difference({"value": None, "reason": "<b>"}, "accuracy", end=0.2)


def test_names_are_escaped_everywhere(make_predictions):
    hostile = "<img src=x onerror='alert(1)'>"
    options = ComparisonOptions(bootstrap=20, permutations=20)
    several = models(
        make_predictions, names=(hostile, "<script>1</script>"), n=120, tones=(hostile, "b"), classes=("<i>", "c")
    )
    text = render_comparison(compare_models(several, options))
    assert "<img" not in text
    assert "<script" not in text
    assert "<i>" not in text


def test_one_model_alone_is_a_page_of_its_seeds(make_predictions):
    (alone, _) = models(make_predictions, seeds=2, n=90)
    text = render_comparison(compare_models([alone], ComparisonOptions(bootstrap=20, permutations=20)))
    assert "<h1>plain, seed by seed</h1>" in text
    assert "there is nothing to compare it with" in text


def test_several_labels_have_their_tables_each(make_predictions):
    from mindgap.metrics.predictions import multi_label_from_arrays

    one = make_predictions(n=120)
    labels = np.stack([one.labels > 0, one.labels > 1], axis=1).astype(np.int64)
    chances = [np.clip(labels * spread + 0.3, 0, 1) for spread in (0.3, 0.1)]
    several = [multi_label_from_arrays(labels, chance, label_names=("x", "y"), groups=one.groups) for chance in chances]
    several = [Model(name, (name,), (None,), (one,)) for name, one in zip("AB", several, strict=True)]
    text = render_comparison(compare_models(several, ComparisonOptions(bootstrap=20, permutations=20)))
    assert "x, B beside A" in text
    assert "y: Over tone, " in text


def test_what_cannot_be_judged_is_not_called_no_difference():
    shown, none, unjudged = (
        ComparisonFinding(word, "…", ()) for word in ("helps", "no difference shown", "not judged")
    )
    assert [one.is_shown for one in (shown, none, unjudged)] == [True, False, False]
    assert nothing_shown([none]) == "No difference is shown, in accuracy or in a gap."
    assert nothing_shown([none, unjudged]).endswith("; 1 of 2 cannot be judged, and the list says why.")
