"""``mindgap worker``: one more process for a search that runs or was stopped."""

from __future__ import annotations

from typing import Annotated

import typer

from mindgap.cli.summary import status_lines


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("worker")(worker)


def worker(
    study: Annotated[
        str, typer.Option("--study", help="Run folder of the search, or postgresql+psycopg://HOST/DATABASE?study=NAME.")
    ],
    store: Annotated[
        str | None, typer.Option("--store", help="Path or address of the images, if they are elsewhere.")
    ] = None,
    artifacts: Annotated[
        str | None, typer.Option("--artifacts", help="Path of the run here, or s3://BUCKET/PREFIX, file:///FOLDER.")
    ] = None,
) -> None:
    """Work on a search by hand, with one thread, until nothing is left to do; Ctrl-C parks the candidate."""
    from mindgap.api import worker as work

    for line in status_lines(work(study=study, store=store, artifacts=artifacts)):
        typer.echo(line)
