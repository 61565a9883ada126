"""Skin tone in training: what a blend with twins did to the tone bands, by the run's log and options."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from markupsafe import Markup

from mindgap.report.blend_curves import BandPlot, draw_aucs, draw_chances, draw_shares
from mindgap.report.blend_log import UNKNOWN, Course, read_courses
from mindgap.report.blend_looks import look_rows, raised_bands, used_aucs
from mindgap.report.blend_settings import acts_through, blend_of, setting_rows
from mindgap.report.drawing import at, element, hover
from mindgap.report.estimate import count, listed, percent
from mindgap.report.page import Section
from mindgap.report.run_files import RunFiles
from mindgap.tone.blend import BlendSettings

_TITLE = "Skin tone in training"


def blend_sections(run: RunFiles) -> list[Section]:
    """The section of a run whose network was trained on a blend; none of another, or of one that kept no log."""
    courses = read_courses(run.log)
    return [Section("blend", _TITLE, _TITLE, _content(run, courses))] if courses else []


def _content(run: RunFiles, courses: Sequence[Course]) -> dict[str, Any]:
    settings, course = blend_of(run), courses[0]
    folds = len(courses) if run.metrics.get("folds") else 0
    plots, auc_plot = ([], None) if folds else _plots(course, settings)
    return {
        "blend_said": _said(courses),
        "blend_folds": folds,
        "blend_rows": [_band_row(band, courses) for band in course.bands],
        "blend_acts": "" if settings is None else acts_through(settings),
        "blend_unknown": _span([one.images.get(UNKNOWN) for one in courses], count),
        "blend_columns": _columns(courses),
        "blend_plots": plots,
        "blend_looks": _looks_sentence(course),
        "blend_auc_plot": auc_plot,
        "blend_auc_rows": look_rows(course, settings, multi_label=run.store.get("task") == "multi-label"),
        "blend_not_looked": _not_looked(course, settings, folds=folds),
        "blend_settings": setting_rows(settings, run.store, looks=not folds),
        "blend_in_batches": run.options.get("ratios", "natural") != "natural" or bool(run.chosen.get("ratios")),
    }


def _plots(course: Course, settings: BlendSettings | None) -> tuple[list[BandPlot], BandPlot | None]:
    """Shares and probabilities, and AUROCs, as far as there are any."""
    raised = {epoch: [] for epoch in course.looks} if settings is None else raised_bands(course, settings)
    aim, threshold = (None, None) if settings is None else (settings.share, settings.least_auc)
    plots = [draw_shares(course, aim=aim, raised=raised), draw_chances(course, raised=raised)]
    auc_plot = draw_aucs(course, used_aucs(course, settings), threshold=threshold)
    return [plot for plot in plots if plot is not None], auc_plot


def _said(courses: Sequence[Course]) -> str:
    """How many images are replaced, in a sentence."""
    first, last = (_span([course.replaced[course.ends[end]] for course in courses], percent) for end in (0, 1))
    said = f"{first} of the training images were expected to be replaced by their twins"
    if _is_constant(courses):
        return f"In every epoch {said}."
    return f"In the first epoch {said}, in the last {last}."


def _looks_sentence(course: Course) -> str:
    """When the validation images were looked at, to begin a sentence; nothing if never."""
    epochs = [count(epoch) for epoch in course.looks]
    return f"After epoch{'' if len(epochs) == 1 else 's'} {listed(epochs)}" if epochs else ""


def _not_looked(course: Course, settings: BlendSettings | None, *, folds: int) -> str:
    """Why there was no look at the validation images; nothing if there was one."""
    if course.looks:
        return ""
    if folds:
        return "In cross-validation nothing is looked at, as what is held out may not steer: shares stay as they began."
    end = course.ends[1]
    if settings is not None and end < settings.every:
        return (
            f"The run had {count(end)} epochs and the first look is after epoch {count(settings.every)}: none was made."
        )
    return "No validation image had a known tone: nothing was raised."


@dataclass(frozen=True)
class BandRow:
    """A tone band before and in the blend; texts are ready to print, those of the epochs as ``_columns`` names them."""

    name: str
    drawing: Markup
    n: str
    before: str
    in_epochs: tuple[str, ...]


def _is_constant(courses: Sequence[Course]) -> bool:
    """Whether the blend was the same in every epoch, which it is where nothing was raised."""
    return all(
        course.shares[first] == course.shares[last] and course.chances[first] == course.chances[last]
        for course in courses
        for first, last in [course.ends]
    )


def _columns(courses: Sequence[Course]) -> list[str]:
    """Headings: what is expected, and replaced, in the first and the last epoch, or in every one."""
    epochs = ["every epoch"] if _is_constant(courses) else [f"epoch {count(epoch)}" for epoch in courses[0].ends]
    return [f"{what}, {epoch}" for what in ("Expected", "Replaced") for epoch in epochs]


def _band_row(band: str, courses: Sequence[Course]) -> BandRow:
    """Images and share before, and what is expected in the first and the last epoch (Wei & Chakraborti, Table 2).

    Of several folds the lowest and the highest figure; the bar is their mean.
    """
    before = [course.share_before(band) for course in courses]
    ends = (1,) if _is_constant(courses) else (0, 1)
    shares = [[course.shares[course.ends[end]].get(band) for course in courses] for end in ends]
    chances = [[course.chances[course.ends[end]].get(band) for course in courses] for end in ends]
    return BandRow(
        name=band,
        drawing=_bar(band, _mean(shares[-1]), _mean(before)),
        n=_span([course.images.get(band) for course in courses], count),
        before=_span(before, percent),
        in_epochs=tuple(_span(figures, percent) for figures in (*shares, *chances)),
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None and math.isfinite(value)]


def _mean(values: Iterable[float | None]) -> float | None:
    known = _known(values)
    return fmean(known) if known else None


def _span(values: Iterable[float | None], write: Callable[[float], str]) -> str:
    """One figure, or the lowest and the highest of several; a dash without any."""
    known = _known(values)
    ends = dict.fromkeys(write(value) for value in (min(known), max(known))) if known else ["–"]
    return " to ".join(ends)


def _bar(band: str, share: float | None, before: float | None) -> Markup:
    alt = f"{band}: {percent(before)} of the training images before, {percent(share)} expected in the last epoch"
    marks = [element("rect", x="0", y=3, width="100%", height=18, class_="track")]
    if share is not None:
        marks.append(element("rect", x="0", y=3, width=at(share), height=18, class_="share-batch"))
    if before is not None:
        marks.append(element("line", x1=at(before), x2=at(before), y1=0, y2=24, class_="reference"))
    return element("svg", hover(alt), *marks, class_="cell", width="100%", height=24, role="img", aria_label=alt)
