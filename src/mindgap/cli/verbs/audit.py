"""``mindgap audit``: what predictions of any model, or a store, show and cannot show."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.options import BootstrapOption, PermutationsOption, SeedOption
from mindgap.cli.summary import written_lines


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("audit")(audit)


def audit(
    target: Annotated[
        Path, typer.Argument(metavar="TARGET", help="Predictions (CSV or Parquet), a RUN folder, or a STORE.")
    ],
    attributes: Annotated[
        str | None,
        typer.Option(
            "--attributes", help="Such as sex,age:bands=0/30/60/120,sex*age [default: all of a RUN or STORE]."
        ),
    ] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Column of the patient or lesion [default: cluster, if there].")
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="Rows of this split, or all [default: test, if there is a split].")
    ] = None,
    table: Annotated[
        str | None,
        typer.Option("--table", help="Tables whose columns are joined by id: A.csv,B.csv.", show_default=False),
    ] = None,
    id: Annotated[str | None, typer.Option("--id", help="Id column, of --table if given [default: id].")] = None,
    label: Annotated[
        str | None,
        typer.Option("--label", help="Class column, of --table if given [default: label]."),
    ] = None,
    json: Annotated[Path | None, typer.Option("--json", help="File for the whole record.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="File for the page.")] = None,
    bootstrap: BootstrapOption = 2000,
    permutations: PermutationsOption = 1000,
    interval: Annotated[str, typer.Option("--interval", help="percentile or bca.")] = "percentile",
    floor: Annotated[
        str, typer.Option("--floor", help="Permute groups within-class, or over all-classes.")
    ] = "within-class",
    min_group: Annotated[
        int, typer.Option("--min-group", min=1, help="Rows under which a group is left out of every gap.")
    ] = 1,
    accuracy: Annotated[
        float | None,
        typer.Option("--accuracy", help="Of a STORE: accuracy assumed for the smallest gap to show [default: 0.8]."),
    ] = None,
    icc: Annotated[
        float | None,
        typer.Option(
            "--icc", help="Of a STORE: correlation of being right within a cluster, assumed there [default: 0.5]."
        ),
    ] = None,
    seed: SeedOption = 0,
    examples: Annotated[
        int,
        typer.Option(
            "--examples",
            help="Of a STORE with twins: N images beside their twins in --html; it then holds patients' images.",
        ),
    ] = 0,
) -> None:
    """Show the gaps between groups with intervals and noise floors."""
    from mindgap.api import audit as run

    record = run(
        target,
        attributes=attributes,
        cluster=cluster,
        split=split,
        table=table,
        id=id,
        label=label,
        json=json,
        html=html,
        bootstrap=bootstrap,
        permutations=permutations,
        interval=interval,
        floor=floor,
        min_group=min_group,
        accuracy=accuracy,
        icc=icc,
        seed=seed,
        examples=examples,
    )
    for line in [*_lines(record), *written_lines(json=json, html=html)]:
        typer.echo(line)


def _lines(record: dict) -> list[str]:
    if record.get("kind") == "dataset":
        from mindgap.cli.store_lines import store_lines

        return store_lines(record)
    from mindgap.cli.audit_lines import audit_record_lines

    return audit_record_lines(record)
