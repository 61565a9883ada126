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


def test_nothing_leaves_the_page_or_runs(seen, check_still) -> None:
    check_still(seen)


def test_the_page_fits_every_width_and_is_used_by_keyboard(seen, check_fits) -> None:
    check_fits(seen)
