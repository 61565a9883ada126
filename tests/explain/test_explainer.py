"""Every registered explainer keeps the contract."""

from __future__ import annotations

import pytest

from mindgap.explain.explainer import EXPLAINERS
from mindgap.testing import ExplainerConformance


@pytest.mark.parametrize("name", EXPLAINERS.names())
class TestRegisteredExplainers(ExplainerConformance):
    pass


def test_the_three_of_the_paper_are_there() -> None:
    assert {"cam", "grad-cam", "guided-grad-cam"} <= set(EXPLAINERS.names())
