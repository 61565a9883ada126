"""The page of an audit in a real browser: drawn, running and asking nothing, usable by keyboard and on paper."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mindgap.report.audit_page import write_audit_page

HOSTILE = "<img src=x onerror='window.alerted=true'><script>window.alerted=true</script>"
LONG = "a very long name of a group without any end to it " * 3
TURNING = "\u202eturned\u202c שלום (1)"
SCREENS, PAPERS = (1280, 360, 420, 700, 900, 1250, 1600), (680, 700)


@pytest.fixture(scope="module")
def seen(make_predictions, make_audit_of, look, tmp_path_factory) -> Callable[..., list[dict[str, Any]]]:
    """What the page of invented predictions looks like on every screen, then on every paper."""

    def looked(**options: Any) -> list[dict[str, Any]]:
        predictions = make_predictions(**options)
        page = tmp_path_factory.mktemp("page") / "audit.html"
        write_audit_page(page, make_audit_of(predictions), predictions, source="predictions.csv", options={})
        assert isinstance(page, Path)
        return look(page, *SCREENS, paper=PAPERS)

    return looked


@pytest.fixture(scope="module")
def plain(seen) -> list[dict[str, Any]]:
    """The page with harmless names."""
    return seen()


@pytest.fixture(scope="module")
def hostile(seen) -> list[dict[str, Any]]:
    """The page with names that a page could stumble over."""
    return seen(tones=(HOSTILE, LONG, TURNING), classes=(HOSTILE, "'", '"quoted"', LONG))


def test_every_figure_is_drawn_and_nothing_leaves_the_page(plain) -> None:
    for found in plain:
        # of two attributes: 5 group bars, 5 diagrams of calibration, and a drawing per gap
        assert found["figures"] >= 5 + 5 + 2 * 8
        assert found["confusions"] == 5 + 2
        assert found["off"] <= 0.05 * found["shapes"]  # a bin of which nothing is right has a bar of no height
        assert found["requests"] == found["scripts"] == found["unnamed"] == found["untitled"] == 0
        assert found["background"] != "rgba(0, 0, 0, 0)", "the policy blocked the page's own style sheet"


def test_the_area_between_two_curves_is_shaded_in_each_plot(plain) -> None:
    assert [found["shaded"] for found in plain] == [2 * 4] * len(plain)


def test_the_keyboard_reaches_and_opens_everything(plain) -> None:
    found = plain[0]
    assert found["skips"], "the skip link cannot be reached or leads nowhere"
    assert found["focusable"], "a box that scrolls cannot be scrolled by keyboard"
    assert found["named"], "two boxes are called alike"
    assert found["summaries"], "a box to open cannot be opened by keyboard"


@pytest.mark.parametrize("names", ["plain", "hostile"])
def test_no_screen_is_overflown_and_nothing_is_cut_off_on_paper(names, request) -> None:
    found = request.getfixturevalue(names)
    for screen in found[: len(SCREENS)]:
        assert (screen["beyond"], screen["overflow"] <= 0) == ([], True)
        assert [name for name in screen["scrolling"] if name.startswith(("Gaps over", "Groups of"))] == []
        assert screen["hinted"], "a box that scrolls does not show it"
    for paper in found[len(SCREENS) :]:
        assert (paper["beyond"], paper["scrolling"]) == ([], [])


def test_hostile_names_of_groups_and_classes_run_nothing(hostile) -> None:
    for found in hostile:
        assert found["alerted"] is False
        assert found["requests"] == found["scripts"] == 0
