"""The page of a run: one HTML file that needs nothing else, made from the run's files alone."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mindgap import __version__
from mindgap.core.files import write_text
from mindgap.core.groups import SMALL_GROUP
from mindgap.report import estimate as words
from mindgap.report.estimate import Estimate
from mindgap.report.run_files import RunFiles, read_run
from mindgap.report.sections import sections
from mindgap.report.verdict import Kind

PAGE = "report.html"


def write_report(run_path: Path | str) -> Path:
    """Writes ``report.html`` into a run folder and returns its path.

    Args:
        run_path: folder of a train or search run that has at least ``metrics.json`` or ``search.json``.

    Raises:
        RunError: the folder holds no run that a page could show.
        DataError: one of its files is damaged.
        CapacityError: the folder cannot be written.
    """
    run = read_run(run_path)
    page = run.path / PAGE
    write_text(page, render(run))
    return page


def render(run: RunFiles) -> str:
    """The page as text; every name and number from the run is escaped."""
    environment = _environment()
    style = files("mindgap.report").joinpath("templates/report.css").read_text(encoding="utf-8")
    parts = sections(run)
    context: dict[str, Any] = {
        "title": _title(run),
        "subtitle": _subtitle(run),
        "run_name": run.path.resolve().name,
        "version": __version__,
        "style": Markup(style),  # noqa: S704  (our own file)
        "style_hash": _hash(style),
        "parts": parts,
    }
    for part in parts:
        context |= part.content
    return environment.get_template("report.html.j2").render(context)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("mindgap.report", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        count=words.count,
        amount=words.amount,
        decimal=words.decimal,
        percent=words.percent,
        p=words.p_text,
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
    )
    environment.globals["small_group"] = SMALL_GROUP
    return environment


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


def _hash(style: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()


def _title(run: RunFiles) -> str:
    verb = "Search" if run.verb == "search" else "Training"
    return f"{verb} {run.path.resolve().name}"


def _subtitle(run: RunFiles) -> str:
    store = run.store
    if run.verb == "search":
        what = f"{len(run.search.get('trials', []))} candidates, one chosen"
    else:
        what = str(run.options.get("network", "one network"))
    data = (
        f" · {words.count(store.get('n'))} images, {len(store.get('classes') or [])} classes" if store.get("n") else ""
    )
    when = run.provenance.get("finished") or run.provenance.get("started")
    return f"{what}{data}" + (f" · {str(when)[:10]}" if when else "")
