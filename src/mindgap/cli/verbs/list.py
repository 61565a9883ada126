"""``mindgap list``: the plug-ins of a kind, those of installed packages included."""

from __future__ import annotations

from typing import Annotated

import typer


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("list")(list_kind)


def list_kind(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="datasets, networks, losses, mitigations, metrics, searchers, importances, recipes …"
        ),
    ],
) -> None:
    """List the plug-ins of a kind."""
    from mindgap.api import list_plugins

    described = list_plugins(kind)
    width = max((len(name) for name in described), default=0)
    for name, line in described.items():
        typer.echo(f"{name.ljust(width)}  {line}".rstrip())
