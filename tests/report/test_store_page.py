from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from mindgap.audit.dataset_audit import DatasetArrays, audit_dataset
from mindgap.audit.tone_table import Tones
from mindgap.core.groups import Groups
from mindgap.report.store_drawing import OTHER, class_parts, draw_classes, draw_detectable, points
from mindgap.report.store_findings import attribute_finding, leak_finding, store_findings
from mindgap.report.store_limits import store_limits
from mindgap.report.store_page import render_store_page

HOSTILE = "<img src=x onerror='alert(1)'><script>alert(1)</script>"


def made_up(n=800, *, classes=("bkl", "mel", "nv"), groups=("f", "m", "x"), shares=(0.6, 0.37, 0.03), **changes):
    """A set whose third group is small; every second image has a copy in its own split."""
    generator = np.random.default_rng(0)
    hashes = generator.integers(0, 2**63, (n, 2), dtype=np.uint64)
    plain = {
        "ids": np.array([f"i{k}" for k in range(n)], dtype=object),
        "classes": classes,
        "labels": generator.integers(len(classes), size=n),
        "splits": np.array(["train", "validation", "test"], dtype=object)[np.arange(n) // 2 % 3],
        "clusters": np.arange(n) // 2,
        "cluster_names": np.array([f"c{k // 2}" for k in range(n)], dtype=object),
        "groups": {"sex": Groups("sex", groups, generator.choice(len(groups), size=n, p=shares))},
        "identical": np.arange(n) // 2,
        "perceptual": hashes[np.arange(n) // 2 * 2],
    }
    return audit_dataset(DatasetArrays(**plain | changes), permutations=50)


@pytest.fixture(scope="module")
def record():
    return made_up()


@pytest.fixture(scope="module")
def page(record):
    return render_store_page(record)


class Balance(HTMLParser):
    """Checks that every tag is closed and collects ids and links."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links = [], set(), set()

    def handle_starttag(self, tag, attrs):
        named = dict(attrs)
        self.ids.add(named.get("id"))
        if tag == "a":
            self.links.add(named["href"].lstrip("#"))
        if tag not in {"meta", "br", "circle", "line", "rect", "path"}:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in {"circle", "line", "rect", "path"}:
            assert self.open.pop() == tag


def test_every_tag_is_closed_and_every_link_has_its_place(page):
    seen = Balance()
    seen.feed(page)
    assert seen.open == []
    assert seen.links <= seen.ids


def test_the_page_runs_and_loads_nothing(page):
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|<img|src=|https?://(?!www\.w3\.org)", page)


def test_figures_say_in_words_what_they_show(page):
    labels = re.findall(r'role="img" aria-label="([^"]*)"', page)
    assert len(labels) == page.count('role="img"')
    assert any(label.startswith("f: ") and "bkl" in label for label in labels)
    assert sum("would show" in label for label in labels) == 3


def test_it_begins_with_who_is_too_few_and_with_leaks(page, record):
    first, second = store_findings(record)[:2]
    assert first.title == "1 of 3 groups has under 30 images on the test split: it cannot answer a question about them"
    assert first.details == (f"sex, 1 of 3: x (n\u00a0=\u00a0{small_size(record)}).",)
    assert second.title == "No leak was found: no cluster, copy or near-duplicate lies in two splits"
    assert page.index(first.title) < page.index(second.title) < page.index("Who is in it</h2>")


def small_size(record):
    return record["attributes"]["sex"]["splits"]["test"]["groups"]["x"]["n"]


def test_leaks_are_counted_in_the_headline():
    splits = np.array(["train", "test"], dtype=object)[np.arange(800) % 2]
    title = leak_finding(made_up(splits=splits)).title
    assert title.startswith("400 clusters and 400 pairs of identical images lie in different splits")
    apart = made_up(splits=splits, clusters=np.arange(800), cluster_names=np.full(800, None, dtype=object))
    found = leak_finding(apart)
    assert found.title.startswith("400 pairs of identical images lie in different splits")
    assert "names no clusters" in found.details[0]


def test_one_leak_is_one():
    splits = made_up_splits()
    splits[0] = "test"
    record = made_up(splits=splits, identical=np.arange(800), perceptual=random_hashes(800))
    assert leak_finding(record).title == "1 cluster lies in different splits: test figures may be flattered"


def made_up_splits():
    return np.array(["train", "validation", "test"], dtype=object)[np.arange(800) // 2 % 3]


def random_hashes(n):
    return np.random.default_rng(1).integers(0, 2**63, (n, 2), dtype=np.uint64)


def test_the_headline_of_an_attribute_names_the_large_groups_and_the_details_the_small(record):
    found = attribute_finding("sex", record["attributes"]["sex"])
    deltas = {g: one["versus_rest"]["value"] for g, one in record["attributes"]["sex"]["detectable"]["groups"].items()}
    assert f"{points(deltas['f'])} (f)" in found.title or f"{points(deltas['m'])} (m)" in found.title
    assert "(x)" not in found.title
    assert f"x ({points(deltas['x'])})" in found.details[0]


def test_everything_too_small_is_said_plainly():
    record = made_up(12, shares=(0.4, 0.3, 0.3))
    found = attribute_finding("sex", record["attributes"]["sex"])
    assert found.title == "sex: no difference between a group and the rest would show, however large"
    assert "nothing shows" in render_store_page(record)


def test_a_name_from_the_data_is_only_ever_text():
    record = made_up(classes=(HOSTILE, "'", '"'), groups=(HOSTILE, '"onload="', "{{ 7 * 7 }}"))
    record["store"] = {"name": HOSTILE, "source": {"preset": HOSTILE}, "notes": [HOSTILE], "split": {HOSTILE: 0.5}}
    text = render_store_page(record)
    assert "<script" not in text
    assert "<img" not in text
    assert "49" not in re.findall(r"<th scope=\"row\">([^<]*)", text)


def test_an_attribute_name_is_escaped_too(record):
    renamed = {**record, "attributes": {HOSTILE: record["attributes"]["sex"]}}
    renamed["clusters"] = {
        **record["clusters"],
        "with_several_groups": {HOSTILE: record["clusters"]["in_several_splits"]},
    }
    assert "<script" not in render_store_page(renamed)


def test_tones_are_drawn_where_they_were_measured_and_missed_where_not(page):
    assert "not measured; skin tones are known only after mindgap tone" in page
    degrees = np.random.default_rng(0).normal(45, 10, 800)
    tones = Tones(degrees, bands=np.array(["II", "III"], dtype=object)[(degrees < 41).astype(int)])
    record = made_up(tones=tones)
    text = render_store_page(record)
    assert "Skin tones of 800 images" in text
    assert f"{record['tone']['darker_than_iii']} of 800 measured images are darker than tone band III" in text
    assert store_findings(record)[-1].kind == ("shown" if record["tone"]["darker_than_iii"] < 30 else "")


def test_several_labels_have_dots_in_place_of_stacked_bars():
    generator = np.random.default_rng(0)
    labels = (generator.random((800, 2)) < [0.3, 0.7]).astype(np.uint8)
    text = render_store_page(made_up(classes=("red", "hat"), labels=labels))
    assert "Share with it, 0 to 100" in text
    assert "Classes, 0 to 100" not in text
    assert "The label that differs most between groups is" in text


def test_limits_name_what_cannot_be_computed():
    labels = np.arange(800) % 3
    record = made_up()
    lines = store_limits(record)
    assert any(line.startswith("sex, test: under 30 images in x") for line in lines)
    sex = np.where(labels == 2, 0, np.arange(800) // 3 % 2)
    lacking = audit_dataset(
        DatasetArrays(
            ids=np.arange(800).astype(object),
            classes=("a", "b", "c"),
            labels=labels,
            splits=np.full(800, "test", dtype=object),
            clusters=np.arange(800),
            cluster_names=np.full(800, None, dtype=object),
            groups={"sex": Groups("sex", ("f", "m"), sex)},
        ),
        permutations=20,
    )
    said = "\n".join(store_limits(lacking))
    assert "sex, test: no image of c in m." in said
    assert "names no clusters" in said
    assert leak_finding(lacking).details[0] == "Images were not compared with one another."


def test_beyond_eight_classes_the_smallest_are_one_part():
    parts = class_parts({f"c{k}": 100 - k for k in range(12)})
    assert len(parts) == 8
    assert parts[OTHER] == ("c7", "c8", "c9", "c10", "c11")
    drawn = draw_classes("g", {f"c{k}": 1 for k in range(12)}, parts)
    assert f"{OTHER} 41.7" in drawn
    assert draw_classes("g", {"a": 0}, {"a": ("a",)}) == '<span class="undefined">no images</span>'


def test_a_difference_that_would_not_show_is_an_outline_with_its_reason():
    assert "nothing would show, x has 1 cluster" in draw_detectable("x", None, reason="x has 1 cluster", most=0.2)
    assert "a difference of 12.0" in draw_detectable("x", 0.12, reason=None, most=0.2)
