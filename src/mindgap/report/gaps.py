"""Gaps against their noise floors: what is measured beside what chance and case mix alone would give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mindgap.report.case_mix import CASE_MIX
from mindgap.report.drawing import at, element, hover
from mindgap.report.estimate import Estimate, decimal, sentence, size
from mindgap.report.gap_families import families, headline
from mindgap.report.groups import whisker
from mindgap.report.measures import Measure, in_page_order, measure_of
from mindgap.report.verdict import TOO_FEW, Verdict


@dataclass(frozen=True)
class GapRow:
    """One gap of one attribute, drawn against its floor."""

    measure: Measure
    gap: Estimate
    verdict: Verdict
    drawing: Markup

    @property
    def reading(self) -> str:
        """The verdict in the fewest words, with n."""
        if self.verdict.kind == "not defined":
            return "not defined"
        if self.measure.name == CASE_MIX:
            return "describes the data, not judged"
        if self.verdict.kind == "shown":
            return self.verdict.text
        if self.verdict.text.startswith("not judged"):
            if TOO_FEW in self.verdict.text:
                return "not judged: too few permutations"
            return "not judged: no interval" if self.gap.has_floor else "not judged: no noise floor"
        return f"not shown at {size(self.gap.n)}"


def gap_rows(attribute: str, part: Mapping[str, Any], judged: Mapping[tuple[str, str], Verdict]) -> list[GapRow]:
    """All gaps of an attribute in the page's order.

    The differences of one table share a scale, sums over classes have each their own, ratios and rates run from 0 to 1.
    """
    gaps = {name: Estimate.read(record) for name, record in part.get("gaps", {}).items()}
    names = in_page_order(list(gaps))
    shared = {
        name: _end([gaps[other] for other in table if _is_difference(other) and not measure_of(other).own_scale])
        for table in (headline(names), *families(names).values())
        for name in table
    }
    return [
        GapRow(
            measure_of(name),
            gaps[name],
            judged[attribute, name],
            draw_gap(gaps[name], measure_of(name), high=_scale(name, gaps[name], shared=shared[name])),
        )
        for name in names
    ]


def _scale(name: str, gap: Estimate, *, shared: float) -> float:
    if measure_of(name).own_scale:
        return _end([gap])
    return shared if _is_difference(name) else 1.0


def _end(gaps: list[Estimate]) -> float:
    """A little beyond the largest value, bound or floor."""
    ends = [end for gap in gaps for end in (gap.value, gap.high, gap.noise_p95) if end is not None]
    return max([0.05, *ends]) * 1.04


def _is_difference(name: str) -> bool:
    measure = measure_of(name)
    return measure.parity == 0.0 or (measure.parity is None and measure.larger_is_better is None)


def draw_gap(gap: Estimate, measure: Measure, *, high: float) -> Markup:
    """One gap on a scale from 0 to ``high``: floor shaded up to its adverse 95 % point, dot and interval on top."""
    if gap.value is None:
        return element("span", f"not defined: {gap.reason}", class_="undefined")
    alt = f"{measure.label}: {sentence(gap)}"
    if gap.has_floor:
        alt += f"; noise floor mean {decimal(gap.noise_mean)}, adverse 95 % point {decimal(gap.noise_p95)}"
    marks = [element("rect", x="0", y=3, width="100%", height=18, class_="track"), *_floor(gap, measure, high)]
    marks += whisker(gap, low=0.0, high=high, y=12)
    return element("svg", hover(alt), *marks, class_="cell", width="100%", height=24, role="img", aria_label=alt)


def _floor(gap: Estimate, measure: Measure, high: float) -> list[Markup]:
    if gap.noise_p95 is None:
        return []
    edge = min(max(gap.noise_p95 / high, 0.0), 1.0)
    if measure.worse_is_larger(gap):
        band = element("rect", x="0", width=at(edge), y=3, height=18, class_="floor")
    else:
        band = element("rect", x=at(edge), width=at(1 - edge), y=3, height=18, class_="floor")
    if gap.noise_mean is None:
        return [band]
    mean = at(gap.noise_mean / high)
    return [band, element("line", x1=mean, x2=mean, y1=3, y2=21, class_="floor-mean")]
