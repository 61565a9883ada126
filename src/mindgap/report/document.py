"""The page of a run: one HTML file that needs nothing else, made from the run's files alone."""

from __future__ import annotations

from pathlib import Path

from mindgap.core.files import write_text
from mindgap.report import estimate as words
from mindgap.report.model_card import write_model_card
from mindgap.report.page import Page, render_page
from mindgap.report.run_files import RunFiles, read_run
from mindgap.report.sections import sections

PAGE = "report.html"


def write_report(run_path: Path | str) -> Path:
    """Writes ``report.html`` and ``model_card.md`` into a run folder and returns the page's path.

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
    write_model_card(run)
    return page


def render(run: RunFiles) -> str:
    """The page as text; every name and number from the run is escaped."""
    name = run.path.resolve().name
    return render_page(Page(_title(run), _subtitle(run), made_from=f"the files of {name}", sections=sections(run)))


def _title(run: RunFiles) -> str:
    verbs = {"search": "Search", "train": "Training", "prune": "Pruning", "tune": "Tuning"}
    return f"{verbs[run.verb]} {run.path.resolve().name}"


def _subtitle(run: RunFiles) -> str:
    store = run.store
    if run.verb == "search":
        what = f"{len(run.search.get('trials', []))} candidates, one chosen"
    elif run.verb == "prune":
        what = f"channels ranked by {run.options.get('method', 'an importance')}"
    elif run.verb == "tune":
        what = f"heads tuned, {run.options.get('mode', 'mode not recorded')}"
    else:
        what = str(run.options.get("network", "one network"))
    data = (
        f" · {words.count(store.get('n'))} images, {len(store.get('classes') or [])} classes" if store.get("n") else ""
    )
    when = run.provenance.get("finished") or run.provenance.get("started")
    return f"{what}{data}" + (f" · {str(when)[:10]}" if when else "")
