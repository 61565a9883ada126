"""``mindgap compare``: models on the same rows, each beside the first, or methods trained on a store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.options import (
    PLACEMENT_OPTION,
    AttributeOption,
    BootstrapOption,
    ForceOption,
    SeedOption,
    comma_list,
    finished_at,
    read_pairs,
    say_if_nothing_was_done,
)
from mindgap.cli.summary import written_lines


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("compare")(compare)


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_A RUN_B... | STORE",
            help="RUN folders or predictions (CSV or Parquet), the baseline first; or one STORE, with --methods.",
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
        int | None,
        typer.Option("--min-group", min=1, help="Rows under which a group is in no gap [default: 1; STORE: 30]."),
    ] = None,
    seed: SeedOption = 0,
    methods: Annotated[
        str | None,
        typer.Option("--methods", help="STORE: methods to train, with commas; see `mindgap list mitigations`."),
    ] = None,
    network: Annotated[
        str | None, typer.Option("--network", help="STORE: name (`mindgap list networks`) or architecture.json.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="STORE: folder to write; the same command again resumes it.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, help="STORE: runs of each method that are compared [default: 5].")
    ] = None,
    trials: Annotated[
        int | None, typer.Option("--trials", min=0, help="STORE: tuning runs of each method [default: 4].")
    ] = None,
    tuner: Annotated[str | None, typer.Option("--tuner", help="STORE: random or tpe [default: random].")] = None,
    select: Annotated[
        str | None,
        typer.Option(
            "--select",
            help="STORE: worst_group_accuracy, accuracy_within_u or pareto_knee [default: worst_group_accuracy].",
        ),
    ] = None,
    attribute: AttributeOption = None,
    epochs: Annotated[int | None, typer.Option("--epochs", min=1, help="STORE: of every run [default: 20].")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="STORE: images per step [default: 64].")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option("--schedule", help="STORE: onecycle, trapezoid or paper [default: onecycle].")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="STORE: auto, fp32 or bf16 [default: auto].")
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="STORE: auto, cpu or cuda [default: auto].")] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", min=1, help="STORE: processes of one thread each [default: 1].")
    ] = None,
    placement: Annotated[
        str | None, typer.Option("--placement", help="STORE: where workers run, as for search [default: local].")
    ] = None,
    placement_option: Annotated[
        list[str] | None,
        typer.Option(PLACEMENT_OPTION, metavar="KEY=VALUE", help="STORE: of the placement; may be repeated."),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Compare models on the same rows, or train methods on a STORE with equal budgets and compare them."""
    from mindgap.api import compare as run
    from mindgap.cli.compare_lines import compare_lines
    from mindgap.cli.methods_lines import methods_lines

    before = None if out is None else finished_at(out)
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
        methods=None if methods is None else comma_list(methods),
        network=network,
        out=out,
        seeds=seeds,
        trials=trials,
        tuner=tuner,
        select=select,
        attribute=attribute,
        epochs=epochs,
        batch_size=batch_size,
        schedule=schedule,
        precision=precision,
        device=device,
        workers=workers,
        placement=placement,
        placement_options=read_pairs(PLACEMENT_OPTION, placement_option),
        force=force,
    )
    if out is not None:
        say_if_nothing_was_done(out, before)
        for line in [*methods_lines(record), f"report: {out / 'report.html'}"]:
            typer.echo(line)
        return
    for line in [*compare_lines(record), *written_lines(json=json, html=html)]:
        typer.echo(line)
