"""The page of a comparison in a real browser: drawn, running and asking nothing, usable by keyboard and on paper."""

from __future__ import annotations

from typing import Any

import pytest

from mindgap.audit.compared_models import Model
from mindgap.audit.comparison import ComparisonOptions, compare_models
from mindgap.report.comparison_page import write_comparison_page

HOSTILE = "<img src=x onerror='window.alerted=true'><script>window.alerted=true</script>"
LONG = "a very long name of a model without any end to it " * 2


@pytest.fixture(scope="module", params=[("plain", "weighted"), (HOSTILE, LONG)], ids=["plain", "hostile"])
def seen(request, make_predictions, look, tmp_path_factory) -> list[dict[str, Any]]:
    """The page of two models on screens and on paper."""
    tones = ("I", "II", HOSTILE)
    models = [
        Model(name, (name,), (k,), (make_predictions(n=300, tones=tones, shift=2.0 * k),))
        for k, name in enumerate(request.param)
    ]
    page = tmp_path_factory.mktemp("page") / "compare.html"
    write_comparison_page(page, compare_models(models, ComparisonOptions(bootstrap=50, permutations=50)))
    return look(page, 1280, 360, 700, 1000, paper=(700,))


def test_differences_are_drawn_and_nothing_leaves_the_page_or_runs(seen, check_still) -> None:
    for found in seen:
        assert found["figures"] >= 5 + 2 * 5
        assert found["off"] == 0
    check_still(seen)


def test_the_page_fits_every_width_and_is_used_by_keyboard(seen, check_fits) -> None:
    check_fits(seen)
