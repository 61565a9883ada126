"""What a blend saw when it looked at the validation images of the tone bands, and what it made of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mindgap.report.blend_log import ByBand, Course, Look
from mindgap.report.estimate import count, decimal, listed, signed
from mindgap.tone.blend import BlendSettings

_LISTED = 6


@dataclass(frozen=True)
class LookRow:
    """A tone band over all looks; texts are ready to print."""

    name: str
    n: str
    first: str
    last: str
    change: str
    reading: str


def used_aucs(course: Course, settings: BlendSettings | None) -> dict[int, ByBand]:
    """AUROCs that could decide, by epoch: defined, and of enough images where the log says how many."""
    return {
        epoch: {band: look.auc for band, look in looks.items() if look.auc is not None and not _too_few(look, settings)}
        for epoch, looks in course.looks.items()
    }


def raised_bands(course: Course, settings: BlendSettings) -> dict[int, list[str]]:
    """Tone bands below τ by epoch; a look that raised nothing has none."""
    return {
        epoch: [band for band, auc in aucs.items() if auc < settings.least_auc]
        for epoch, aucs in used_aucs(course, settings).items()
    }


def look_rows(course: Course, settings: BlendSettings | None, *, multi_label: bool) -> list[LookRow]:
    """One row per tone band; none if nothing was looked at."""
    if not course.looks:
        return []
    raised = {} if settings is None else raised_bands(course, settings)
    rows = []
    for band in course.bands:
        found = [looks.get(band, Look(None, None)) for looks in course.looks.values()]
        when = [epoch for epoch, bands in raised.items() if band in bands]
        reading = _why_not(found[-1], settings, multi_label=multi_label) or _result(when, settings)
        n = "–" if found[-1].n is None else count(found[-1].n)
        rows.append(LookRow(band, n, decimal(found[0].auc), decimal(found[-1].auc), _change(course, band), reading))
    return rows


def _change(course: Course, band: str) -> str:
    """By how much the expected share differs between the last epoch and the first, in percentage points."""
    first, last = (course.shares[epoch].get(band) for epoch in course.ends)
    return "–" if first is None or last is None else f"{signed(100 * (last - first), 1)}\u00a0points"


def _too_few(look: Look, settings: BlendSettings | None) -> bool:
    return settings is not None and look.n is not None and look.n < settings.least_n


def _why_not(look: Look, settings: BlendSettings | None, *, multi_label: bool) -> str:
    """Why an AUROC is not defined or not used; nothing where it decided. The images are the same at every look."""
    if look.n == 0 or (look.auc is None and look.n is None):
        return "not defined: no validation image of this band" + ("" if look.n == 0 else ", or of one class only")
    few = f"under {settings.least_n} images" if settings is not None and _too_few(look, settings) else ""
    if look.auc is None:
        same = "every label is the same on all its images" if multi_label else "its images are all of one class"
        return f"not defined: {listed(filter(None, [same, few]))}"
    return f"not used: {few}" if few else ""


def _result(when: Iterable[int], settings: BlendSettings | None) -> str:
    if settings is None:
        return "the threshold was not recorded"
    epochs = [count(epoch) for epoch in when]
    if not epochs:
        return "never below τ: not raised"
    word = "epoch" if len(epochs) == 1 else "epochs"
    return f"below τ, and raised as far as it goes, after {word} {listed(epochs, most=_LISTED)}"
