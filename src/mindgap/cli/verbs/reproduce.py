"""``mindgap reproduce``: a published table on a store of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.options import (
    AttributeOption,
    BootstrapOption,
    ForceOption,
    OutOption,
    PermutationsOption,
    SeedOption,
    finished_at,
    say_if_nothing_was_done,
)
from mindgap.cli.reproduce_lines import reproduce_lines


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("reproduce")(reproduce)


def reproduce(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="See `mindgap list recipes`, or a TOML file of your own.")
    ],
    data: Annotated[Path, typer.Option("--data", metavar="STORE", help="Prepared store.")],
    out: OutOption,
    scale: Annotated[str, typer.Option("--scale", help="Budgets: laptop, gpu or paper.")] = "laptop",
    attribute: AttributeOption = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes of searches and comparisons.")] = 2,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; auto takes a GPU if there is one.")] = "auto",
    seed: SeedOption = 0,
    bootstrap: BootstrapOption = 2000,
    permutations: PermutationsOption = 1000,
    force: ForceOption = False,
) -> None:
    """Make a published table anew, the paper's figures beside yours, and say what held up."""
    from mindgap.api import reproduce as look

    before = finished_at(out)
    record = look(
        recipe, data=data, out=out, scale=scale, attribute=attribute, workers=workers, device=device, seed=seed,
        bootstrap=bootstrap, permutations=permutations, force=force,
    )  # fmt: skip
    say_if_nothing_was_done(out, before)
    for line in reproduce_lines(out, record):
        typer.echo(line)
