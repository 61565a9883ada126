"""Drawings are escaped, stay inside their frame, and have round ticks."""

from __future__ import annotations

import math
import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from mindgap.report.drawing import Axis, Plot, at, element, hover, padded, round_values

HOSTILE = """<script>alert("1")</script>' onload='x"""


def test_text_and_attributes_are_escaped() -> None:
    drawn = element("text", hover(HOSTILE), HOSTILE, aria_label=HOSTILE, x=1.5)
    assert "<script" not in drawn
    assert "&lt;script&gt;" in drawn
    assert 'aria-label="&lt;script&gt;alert(&#34;1&#34;)' in drawn
    assert re.findall(r"<(\w+)", drawn) == ["text", "title"]


def test_children_are_not_escaped_twice() -> None:
    assert str(element("g", element("text", "a & b"))) == "<g><text>a &amp; b</text></g>"


def test_positions_are_kept_near_the_frame() -> None:
    assert at(0.5) == "50.000%"
    assert at(9.0) == "102.000%"
    assert at(-9.0) == "-2.000%"


@given(low=st.floats(-1e3, 1e3), length=st.floats(1e-3, 1e4), most=st.integers(3, 8))
@settings(deadline=None, derandomize=True)
def test_ticks_are_few_evenly_spaced_and_inside(low: float, length: float, most: int) -> None:
    ticks = round_values(low, low + length, most)
    assert 1 <= len(ticks) <= most
    assert all(low - 1e-6 * length <= tick <= low + (1 + 1e-6) * length for tick in ticks)
    steps = [b - a for a, b in pairwise(ticks)]
    assert all(math.isclose(step, steps[0], rel_tol=1e-6) for step in steps)


def test_padded_ends_hold_all_values() -> None:
    low, high = padded([0.2, 0.8], at_least=0.1, floor=0.0)
    assert 0 <= low < 0.2
    assert high > 0.8
    assert padded([], at_least=0.5)[0] < padded([], at_least=0.5)[1]


def test_a_plot_says_in_words_what_it_shows_and_names_both_axes() -> None:
    axis = Axis(0.0, 1.0, "Unfairness <U>", lambda v: f"{v:.1f}")
    drawn = Plot(axis, Axis(0.0, 1.0, "Accuracy", lambda v: f"{v:.1f}"), 200).draw([], alt='two "marks"')
    assert 'role="img" aria-label="two &#34;marks&#34;"' in drawn
    assert "Unfairness &lt;U&gt; →" in drawn
    assert "↑ Accuracy" in drawn


def test_larger_values_lie_higher_and_further_right() -> None:
    axis = Axis(0.0, 2.0, "x", str)
    plot = Plot(axis, axis, 200)
    assert plot.py(2.0) < plot.py(1.0) < plot.py(0.0) == plot.base_px
    assert plot.px(1.0) == "50.000%"
