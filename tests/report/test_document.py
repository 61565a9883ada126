"""The page is whole, escaped, self-contained, and says what the run's files say."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mindgap.core.errors import DataError, RunError
from mindgap.core.files import read_json, write_json
from mindgap.metrics.predictions import write_predictions
from mindgap.report.document import write_report
from mindgap.workflows.report import report

HOSTILE = "<script>alert(1)</script>"
VOID = {"meta", "br", "link", "img", "hr"}


class Balanced(HTMLParser):
    """Checks that tags nest, and collects ids and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(page: Path) -> tuple[str, Balanced]:
    text = page.read_text(encoding="utf-8")
    parser = Balanced()
    parser.feed(text)
    assert parser.open == []
    return text, parser


def words(text: str) -> str:
    """The page's text without tags, entities and layout."""
    from html import unescape

    return re.sub(
        r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)))
    )


def test_a_search_page_has_all_its_parts(make_search_run) -> None:
    text, parser = parsed(write_report(make_search_run()))
    parts = ["summary", "groups", "gaps", "front", "network", "search", "curves", "limits", "origin", "reading"]
    assert [link.removeprefix("#") for link in parser.links if link != "#main"] == parts
    assert all(link.removeprefix("#") in parser.ids for link in parser.links)
    assert len(parser.ids) == len(set(parser.ids))
    assert "not a medical device" in text


def test_a_train_page_is_the_same_without_the_search(make_train_run) -> None:
    _, parser = parsed(write_report(make_train_run()))
    assert "front" not in parser.ids
    assert "search" not in parser.ids
    assert "network" in parser.ids


def test_nothing_leaves_the_page(make_search_run) -> None:
    text, parser = parsed(write_report(make_search_run()))
    assert not re.search(r"""(src|href|url|action|data)\s*[=(]\s*["']?(https?:|//|file:)""", text, flags=re.IGNORECASE)
    assert not re.search(r"@import|url\(", text, flags=re.IGNORECASE)
    assert not parser.tags & {"script", "img", "link", "iframe", "object", "embed", "form", "base"}
    assert "default-src 'none'" in text


def test_the_policy_allows_exactly_the_style_sheet_of_the_page(make_train_run) -> None:
    text = write_report(make_train_run()).read_text(encoding="utf-8")
    style = re.search(r"<style>(.*?)</style>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in text
    assert " style=" not in text


def test_hostile_names_are_escaped_everywhere(make_search_run, make_audit) -> None:
    audit = json.loads(json.dumps(make_audit(shown=True)).replace("female", HOSTILE).replace("melanoma", HOSTILE))
    audit["attributes"][HOSTILE] = audit["attributes"].pop("sex")
    audit["attributes"]["age"]["gaps"]["unfairness"] |= {"value": None, "reason": HOSTILE}
    folder = make_search_run(test=audit)
    search = read_json(folder / "search.json")
    search["trials"][4]["reason"] = HOSTILE
    search["excluded_groups"] = [HOSTILE]
    write_json(folder / "search.json", search)
    provenance = read_json(folder / "provenance.json")
    provenance["platform"] = provenance["store_summary"]["attributes"]["sex"]["groups"][0]["name"] = HOSTILE
    write_json(folder / "provenance.json", provenance)
    architecture = read_json(folder / "architecture.json")
    architecture["name"] = HOSTILE
    write_json(folder / "architecture.json", architecture)
    text, parser = parsed(write_report(folder))
    assert "script" not in parser.tags
    assert "<script" not in text.lower()
    assert text.count("&lt;script&gt;") >= 8


def test_figures_of_the_audit_stand_on_the_page_with_interval_and_n(make_search_run) -> None:
    said = words(write_report(make_search_run(shown=True)).read_text(encoding="utf-8"))
    assert "right for 64.1 % (95 % interval 58.2 to 70.0 %, n = 251)" in said
    assert "0.168 (95 % interval 0.118 to 0.218, n = 594)" in said
    assert "0.030 on average and 0.060 or more in 1 case of 20 (p = 0.002 after Holm over 2 comparisons)" in said


def test_a_gap_not_shown_is_never_said_to_be_shown(make_train_run) -> None:
    said = words(write_report(make_train_run(shown=False)).read_text(encoding="utf-8"))
    assert (
        "No gap in accuracy over sex shown: a U of 0.041 is not distinguishable from chance and case mix at this n"
        in said
    )
    assert "not distinguishable from chance and case mix at n = 594" in said
    assert "No gap in accuracy is shown beyond chance and case mix over sex or age." in said
    assert "A gap over" not in said
    assert "▲" not in said


def test_undefined_values_are_reasons_not_zeros(make_train_run) -> None:
    said = words(write_report(make_train_run()).read_text(encoding="utf-8"))
    assert "not defined: classes common to all groups hold 0.31 of the samples, under half" in said


def test_words_the_project_does_not_use_are_not_on_the_page(make_search_run) -> None:
    said = words(write_report(make_search_run()).read_text(encoding="utf-8")).lower()
    assert not re.search(r"debias|unbiased|fair model|fair network|bias-free|guarantee", said)


def test_without_a_test_evaluation_the_page_says_the_figures_flatter(make_search_run) -> None:
    folder = make_search_run()
    metrics = read_json(folder / "metrics.json")
    del metrics["test"]
    write_json(folder / "metrics.json", metrics)
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "The test split was not evaluated." in said
    assert "they flatter it" in said


def test_a_search_where_nothing_completed_still_has_a_page(make_search_run) -> None:
    folder = make_search_run()
    search = read_json(folder / "search.json")
    rows = [row | {"state": "failed", "reason": "out of memory", "reward": None} for row in search["trials"]]
    write_json(folder / "search.json", search | {"trials": rows, "front": [], "top": [], "chosen": None})
    (folder / "metrics.json").unlink()
    (folder / "architecture.json").unlink()
    (folder / "log.jsonl").unlink()
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "24 slots: 24 failed." in said
    assert "no candidate completed" in said
    assert "the run kept no architecture.json" in said
    assert "No group is under 30 images" not in said


def test_the_limits_of_a_run_without_an_audit_claim_nothing(make_search_run) -> None:
    folder = make_search_run()
    (folder / "metrics.json").unlink()
    provenance = read_json(folder / "provenance.json")
    write_json(folder / "provenance.json", provenance | {"store_summary": {"n": 400}})
    write_json(folder / "search.json", read_json(folder / "search.json") | {"excluded_groups": []})
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "No group is under 30 images" not in said
    assert "not defined: nothing was audited" in said


def test_a_multi_label_run_names_its_labels(make_train_run, make_audit) -> None:
    part = make_audit(shown=True)
    both = {"naevus": part, "other lesion": copy.deepcopy(make_audit(shown=False))}
    record = {"schema": 1, "task": "multi-label", "n": 600, "labels": both, "overall": part["overall"]}
    said = words(write_report(make_train_run(test=record)).read_text(encoding="utf-8"))
    assert "naevus: A gap over sex is shown" in said
    assert "other lesion: No gap in accuracy over sex shown" in said
    assert "Label naevus" in said


def test_a_page_is_the_same_when_written_again(make_search_run) -> None:
    page = write_report(make_search_run())
    first = page.read_bytes()
    assert report([page.parent]) == [page]
    assert page.read_bytes() == first


@pytest.mark.parametrize("missing", ["config.toml", "metrics.json"])
def test_a_folder_that_holds_no_finished_run_is_refused(make_train_run, missing: str) -> None:
    folder = make_train_run()
    (folder / missing).unlink()
    with pytest.raises(RunError, match=str(folder)) as caught:
        write_report(folder)
    assert "\n" not in str(caught.value)


def test_a_damaged_file_is_named(make_train_run) -> None:
    folder = make_train_run()
    (folder / "metrics.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"metrics\.json"):
        write_report(folder)


def test_a_cross_validated_run_says_so_and_shows_the_folds(make_train_run) -> None:
    folder = make_train_run()
    metrics = read_json(folder / "metrics.json")
    spread = {"mean": 0.69, "sd": 0.021, "folds": 5}
    summary = {"accuracy": spread, "attributes": {"sex": {"unfairness": {"mean": None, "sd": None, "folds": 0}}}}
    metrics |= {"validation": None, "folds": {"k": 5, "summary": summary, "audits": []}}
    metrics["training"]["ratios"] = "uniform"
    write_json(folder / "metrics.json", metrics)
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "pooled over 5 folds" in said
    assert "each group of the held-out folds" in said
    assert "read once" not in said
    assert "Accuracy all 0.690 0.021 5" in said
    assert "Unfairness U sex not defined in any fold" in said
    assert "female: 33.3 % of a batch" in said


def test_the_test_split_is_said_to_be_read_only_where_it_was(make_search_run) -> None:
    folder = make_search_run()
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "read once in this run" in said
    assert "ther runs on the same store read it too" in said
    metrics = read_json(folder / "metrics.json")
    write_json(folder / "metrics.json", metrics | {"test_reads": 2})
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "read 2 times in this run" in said
    assert "read once" not in said
    del metrics["test"]
    write_json(folder / "metrics.json", metrics)
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "read once" not in said
    assert "images like those of this test split" not in said


def test_a_search_without_a_network_speaks_of_none(make_search_run) -> None:
    folder = make_search_run()
    (folder / "metrics.json").unlink()
    search = read_json(folder / "search.json")
    failed = [trial | {"state": "failed", "reason": "loss is nan", "reward": -1.0} for trial in search["trials"]]
    blank = [trial | dict.fromkeys(("accuracy", "unfairness", "groups")) for trial in failed]
    write_json(folder / "search.json", search | {"trials": blank, "chosen": None, "front": [], "top": []})
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "no candidate was trained to the end" in said
    assert "on the test split" not in said


def test_a_train_run_without_a_test_split_was_not_steered(make_train_run) -> None:
    folder = make_train_run()
    metrics = read_json(folder / "metrics.json")
    write_json(folder / "metrics.json", metrics | {"test": None})
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "The test split was not evaluated" in said
    assert "steered its choice" not in said


def test_the_card_of_the_worst_group_names_it_with_its_n_and_its_smallness(make_train_run, make_audit) -> None:
    audit = make_audit(shown=True)
    audit["attributes"]["sex"]["gaps"]["worst_group_accuracy"]["n"] = 251
    said = words(write_report(make_train_run(test=audit)).read_text(encoding="utf-8"))
    assert "Worst group's accuracy, sex 64.1 % female (n = 251): 58.1 to 70.1 %" in said
    small = {"female": (0.8, 251), "male": (0.9, 331), "other": (0.641, 12)}
    said = words(write_report(make_train_run(test=make_audit(shown=True, groups=small))).read_text(encoding="utf-8"))
    assert "64.1 % other (n = 12), under 30 images: " in said


def test_the_floor_is_called_chance_and_case_mix(make_search_run) -> None:
    said = words(write_report(make_search_run()).read_text(encoding="utf-8"))
    assert "chance alone" not in said
    assert "chance and case mix alone: 0.030" in said


def test_a_run_without_intervals_still_has_a_page(make_search_run) -> None:
    folder = make_search_run()
    text = (folder / "metrics.json").read_text(encoding="utf-8")
    metrics = json.loads(
        text, object_hook=lambda d: d | {"low": None, "high": None, "reason": "r"} if "low" in d else d
    )
    write_json(folder / "metrics.json", metrics)
    said = words(write_report(folder).read_text(encoding="utf-8"))
    assert "not judged: no interval (r), n = 594" in said
    assert "No gap in accuracy is shown beyond chance and case mix over age. Over sex the gap is not judged." in said
    assert "A gap over" not in said


def test_which_classes_are_compared_stands_once_per_place(make_train_run, make_audit) -> None:
    audit = make_audit(shown=True)
    note = "classes compared: nevus; left out: melanoma, keratosis (32.7% of the rows)"
    audit["attributes"]["sex"]["notes"] = {"unfairness_standardized": note}
    said = words(write_report(make_train_run(test=audit)).read_text(encoding="utf-8"))
    assert said.count("left out: melanoma, keratosis") == 2  # in plain words, and beside the gaps


def test_a_run_that_kept_its_predictions_draws_them(make_train_run, make_predictions, make_audit_of) -> None:
    predictions = make_predictions(n=300)
    folder = make_train_run(test=make_audit_of(predictions))
    table = folder / "predictions.parquet"
    write_predictions(table, predictions, split="test")
    text, parser = parsed(write_report(folder))
    assert {"roc", "calibration", "confusion"} <= set(parser.ids)
    assert (
        text.index("Groups of tone") < text.index("ROC curves of nevus") < text.index('aria-label="Confusion of tone')
    )
    for other in (make_predictions(n=299), make_predictions(n=300, tones=("I",))):
        write_predictions(table, other, split="validation" if other.n == 300 else "test")
        assert "roc" not in parsed(write_report(folder))[1].ids  # rows that were not audited
