"""How templates write figures: the filters of a page's templates."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from mindgap.core.small_group import SMALL_GROUP
from mindgap.core.states import state_words
from mindgap.report import estimate as words
from mindgap.report.estimate import Estimate
from mindgap.report.verdict import Kind


def environment() -> Environment:
    """The templates with their filters; what a template needs and was not given is an error."""
    found = Environment(
        loader=PackageLoader("mindgap.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters.update(
        state_words=state_words,
        count=words.count,
        amount=words.amount,
        decimal=words.decimal,
        percent=words.percent,
        whole_percent=lambda value: words.percent(value, 0),
        p=words.p_text,
        signed=words.signed,
        chip=_chip,
        figure=_figure,
        figure_n=words.sentence,
        figure_percent=lambda value: _figure(value, unit="percent"),
        floor=_floor,
        short_decimal=lambda value: "not defined" if value.value is None else words.decimal(value.value),
        short_percent=lambda value: "not defined" if value.value is None else words.percent(value.value),
        interval_percent=lambda value: words.interval(value, unit="percent") if value.has_interval else "–",
        interval_decimal=lambda value: words.interval(value) if value.has_interval else "–",
        under_gap=_under_gap,
        under_figure=lambda value: value.reason if value.value is None else words.interval(value),
    )
    found.globals["small_group"] = SMALL_GROUP
    return found


def _figure(value: Estimate, *, unit: str = "decimal") -> str:
    """A value with its interval, without n (which stands in the row's own column)."""
    if value.value is None:
        return f"not defined: {value.reason}"
    text = words.percent(value.value) if unit == "percent" else words.decimal(value.value)
    return f"{text} ({words.interval(value, unit=unit)})" if value.has_interval else f"{text} ({words.interval(value)})"


def _under_gap(gap: Estimate) -> str:
    if gap.value is None:
        return f"not defined: {gap.reason}"
    size = words.size(gap.n)
    text = (
        f"95 % interval {words.interval(gap)}, {size}."
        if gap.has_interval
        else f"{words.interval(gap).capitalize()}, {size}."
    )
    if not gap.has_floor:
        return f"{text} No noise floor recorded."
    return f"{text} Noise floor: mean {words.decimal(gap.noise_mean)}, 95th percentile {words.decimal(gap.noise_p95)}."


def _floor(gap: Estimate) -> str:
    if gap.value is None or not gap.has_floor:
        return "–"
    return f"{words.decimal(gap.noise_mean)} / {words.decimal(gap.noise_p95)}"


def _chip(kind: Kind) -> str:
    return {"shown": "shown", "not defined": "defined-not"}.get(kind, "")
