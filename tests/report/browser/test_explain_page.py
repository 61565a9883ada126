"""The page of an explanation in a real browser: seen, running and asking nothing, usable by keyboard and on paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mindgap.report.explain_page import render_explanation
from mindgap.report.gallery import read_gallery
from mindgap.testing.made_explanation import COLOUR, made_explanation, with_gallery

HOSTILE = "<img src=x onerror='window.alerted=true'><script>window.alerted=true</script>"
LONG = "a very long name of a group without any end to it " * 3
SCREENS, PAPERS = (1280, 360, 700, 1600), (680, 700)


@pytest.fixture(scope="module")
def page_of(tmp_path_factory) -> Callable[..., Any]:
    """Writes the page of a record with pictures; its groups may be renamed."""

    def written(first: str = "a", second: str = "b"):
        folder = tmp_path_factory.mktemp("explained")
        record = with_gallery(folder)
        parts = made_explanation()["attributes"]
        for part in parts.values():
            part["groups"] = dict(zip((first, second), part["groups"].values(), strict=True))
        single = {"n": 82, "right": 60, "wrong": 22, "blank_maps": 2, "focus": record["focus"], "attributes": parts}
        record |= {"labels": {"red": single, "even": single}}
        gallery = read_gallery(folder, record)
        (folder / "page.html").write_text(render_explanation(record, options={}, gallery=gallery), encoding="utf-8")
        return folder / "page.html"

    return written


def test_it_fits_every_screen_and_paper_and_asks_nothing(page_of, look) -> None:
    every = look(page_of(), *SCREENS, paper=PAPERS)
    for found in every:
        assert (found["beyond"], found["overflow"] <= 0) == ([], True)
        assert found["figures"] == 3
        assert found["requests"] == found["scripts"] == found["unnamed"] == found["untitled"] == 0
        assert found["named"], "two boxes that scroll have one name"
    for found in every[: len(SCREENS)]:
        assert found["skips"]
        assert found["focusable"]
        assert found["summaries"]


def test_names_of_groups_run_nothing_and_fit(page_of, look) -> None:
    for found in look(page_of(HOSTILE, LONG), *SCREENS):
        assert found["alerted"] is False
        assert found["requests"] == found["scripts"] == 0
        assert (found["beyond"], found["overflow"] <= 0) == ([], True)


def test_the_pictures_are_seen(page_of, photograph) -> None:
    seen = (photograph(page_of()) == COLOUR).all(axis=2)
    assert seen.sum() > 3 * 2 * 120**2
