"""The page of methods compared in a real browser: it fits, asks for nothing, and is used by keyboard and on paper."""

from __future__ import annotations

from typing import Any

import pytest

from mindgap.report.methods_page import write_methods_page
from mindgap.testing.tiny_methods import methods_record

HOSTILE = "<img src=x onerror='window.alerted=true'><script>window.alerted=true</script>"


@pytest.fixture(scope="module", params=["groupdro", HOSTILE], ids=["plain", "hostile"])
def seen(request, look, tmp_path_factory) -> list[dict[str, Any]]:
    """The page on screens and on paper."""
    page = tmp_path_factory.mktemp("page") / "report.html"
    write_methods_page(page, methods_record(name=request.param))
    return look(page, 1280, 360, 700, 1000, paper=(700,))


def test_nothing_leaves_the_page_or_runs(seen) -> None:
    for found in seen:
        assert found["requests"] == found["scripts"] == found["unnamed"] == found["untitled"] == 0
        assert not found["alerted"]
        assert found["background"] != "rgba(0, 0, 0, 0)", "the policy blocked the page's own style sheet"


def test_the_page_fits_every_width_and_is_used_by_keyboard(seen) -> None:
    for found in seen:
        assert found["overflow"] <= 0, found["beyond"]
        assert found["beyond"] == []
        assert found["focusable"]
        assert found["named"]
        assert found["summaries"]
    assert all(found["skips"] for found in seen[:-1])  # on paper there is nothing to skip
