"""``mindgap compare``: models on the same rows, each beside the first."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.options import BootstrapOption, SeedOption
from mindgap.cli.summary import written_lines


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("compare")(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_A RUN_B...", help="RUN folders or predictions (CSV or Parquet); the first is the baseline."
        ),
    ],
    attributes: Annotated[
        str | None,
        typer.Option("--attributes", help="Such as sex,age:bands=0/30/60/120,sex*age [default: all of the RUNs]."),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Column of the patient or lesion [default: cluster, if there].")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Rows of this split, or all [default: test, if there is a split].")
    ] = None,
    gap: Annotated[str, typer.Option("--gap", help="The gap that verdicts are about.")] = "unfairness",
    json: Annotated[Path | None, typer.Option("--json", help="File for the whole record.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="File for the page.")] = None,
    bootstrap: BootstrapOption = 2000,
    permutations: Annotated[int, typer.Option("--permutations", min=0, help="Swaps behind each p-value.")] = 1000,
    min_group: Annotated[
        int, typer.Option("--min-group", min=1, help="Rows under which a group is left out of every gap.")
    ] = 1,
    seed: SeedOption = 0,
) -> None:
    """Compare models on the same rows: paired differences, and what may be said of them."""
    from mindgap.api import compare as run
    from mindgap.cli.compare_lines import compare_lines

    record = run(
        *runs,
        attributes=attributes,
        cluster=cluster,
        split=split,
        gap=gap,
        json=json,
        html=html,
        bootstrap=bootstrap,
        permutations=permutations,
        min_group=min_group,
        seed=seed,
    )
    for line in [*compare_lines(record), *written_lines(json=json, html=html)]:
        typer.echo(line)
