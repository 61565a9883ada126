"""``mindgap worker``: one more process for a search that runs or was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.summary import status_lines


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("worker")(worker)


def worker(
    study: Annotated[str, typer.Option("--study", help="Run folder of the search, or sqlite:///RUN/ledger.db.")],
    store: Annotated[Path | None, typer.Option("--store", help="Where the images are, if they moved.")] = None,
    artifacts: Annotated[Path | None, typer.Option("--artifacts", help="Folder of the candidates' files.")] = None,
) -> None:
    """Work on a search by hand, with one thread, until nothing is left to do; Ctrl-C parks the candidate."""
    from mindgap.api import worker as work

    for line in status_lines(work(study=study, store=store, artifacts=artifacts)):
        typer.echo(line)
