"""``mindgap report``: the page of a run, written again from the run's files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("report")(report)


def report(runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.")]) -> None:
    """Write each run's report.html again from its files."""
    from mindgap.api import report as write

    for page in write(runs):
        typer.echo(str(page))
