"""Numbers are written with their interval and n, and never look more certain than they are."""

from __future__ import annotations

import math

import pytest

from mindgap.report.estimate import Estimate, amount, count, decimal, interval, named, p_text, percent, sentence


def test_a_sentence_carries_interval_and_n() -> None:
    text = sentence(Estimate(0.641, 0.582, 0.7, 1251), unit="percent")
    assert text == "64.1\u202f% (95\u202f% interval 58.2 to 70.0\u202f%, n\u00a0=\u00a01\u202f251)"


def test_an_undefined_value_is_a_reason() -> None:
    assert sentence(Estimate(None, reason="group other has no rows")) == "not defined: group other has no rows"


def test_a_missing_interval_is_said() -> None:
    assert "no interval recorded" in sentence(Estimate(0.5, n=10))
    assert interval(Estimate(0.5)) == "no interval recorded"


@pytest.mark.parametrize(("value", "text"), [(0.0004, "<\u202f0.001"), (0.001, "0.001"), (1.0, "1.000"), (None, "–")])
def test_a_p_value_is_never_zero(value: float | None, text: str) -> None:
    assert p_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999"), (45_600, "45.60\u202fk"), (431_223, "431\u202fk"), (3_504_872, "3.50\u202fM"), (None, "–")],
)
def test_amounts_are_short(value: float | None, text: str) -> None:
    assert amount(value) == text


def test_signs_and_small_numbers() -> None:
    assert decimal(-0.0421) == "−0.042"
    assert decimal(-0.0001) == "0.000"
    assert decimal(math.nan) == decimal(None) == percent(None) == count(None) == "–"


def test_a_name_with_a_comma_is_not_read_as_two() -> None:
    assert named(["melanoma, invasive", "nevus"]) == "“melanoma, invasive” and nevus"
    assert named(["melanoma", "nevus"]) == "melanoma and nevus"
