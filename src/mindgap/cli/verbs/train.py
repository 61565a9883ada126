"""``mindgap train``: one network, one loss, one mitigation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.options import (
    BLEND_OPTION,
    MITIGATION_OPTION,
    AttributeOption,
    BlendOption,
    BootstrapOption,
    ForceOption,
    MitigationOption,
    OutOption,
    PermutationsOption,
    SeedOption,
    StoreArgument,
    finished_at,
    read_pairs,
    say_if_nothing_was_done,
)
from mindgap.cli.summary import audit_lines


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("train")(train)


def train(
    store: StoreArgument,
    out: OutOption,
    network: Annotated[
        str, typer.Option("--network", help="Name (`mindgap list networks`), timm:NAME, or architecture.json.")
    ],
    loss: Annotated[str | None, typer.Option("--loss", help="Loss [default: ce, or bce for several labels].")] = None,
    mitigation: Annotated[str, typer.Option("--mitigation", help="See `mindgap list mitigations`.")] = "erm",
    mitigation_option: MitigationOption = None,
    ratios: Annotated[
        str, typer.Option("--ratios", help="Batch composition: natural, uniform or female=.6,male=.4.")
    ] = "natural",
    blend: Annotated[bool, typer.Option("--blend", help="Blend in twins, made by mindgap tone.")] = False,
    blend_option: BlendOption = None,
    attribute: AttributeOption = None,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Passes over the training split.")] = 20,
    schedule: Annotated[
        str,
        typer.Option("--schedule", help="onecycle, trapezoid (as a search with rungs), or paper (SGD, step decay)."),
    ] = "onecycle",
    lr: Annotated[float | None, typer.Option("--lr", help="Peak learning rate [default: the schedule's own].")] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", min=2, help="Images per step.")] = 64,
    folds: Annotated[int | None, typer.Option("--folds", min=2, help="Cluster-disjoint cross-validation.")] = None,
    precision: Annotated[str, typer.Option("--precision", help="auto takes the faster of fp32 and bf16.")] = "auto",
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; auto takes a GPU if there is one.")] = "auto",
    weights: Annotated[
        Path | None, typer.Option("--weights", metavar="FILE", help="Start from these weights of the network.")
    ] = None,
    freeze: Annotated[
        int, typer.Option("--freeze", min=0, help="Leave that many first parts (stem, then blocks) as they are.")
    ] = 0,
    seed: SeedOption = 0,
    bootstrap: BootstrapOption = 2000,
    permutations: PermutationsOption = 1000,
    force: ForceOption = False,
) -> None:
    """Train one network and audit it on the validation and the test split."""
    from mindgap.api import train as run

    before = finished_at(out)
    record = run(
        store,
        network=network,
        out=out,
        loss=loss,
        mitigation=mitigation,
        ratios=ratios,
        blend=read_pairs(BLEND_OPTION, blend_option) or blend,
        attribute=attribute,
        epochs=epochs,
        schedule=schedule,
        batch_size=batch_size,
        folds=folds,
        seed=seed,
        bootstrap=bootstrap,
        permutations=permutations,
        force=force,
        lr=lr,
        precision=precision,
        device=device,
        mitigation_options=read_pairs(MITIGATION_OPTION, mitigation_option),
        weights=weights,
        freeze=freeze,
    )
    say_if_nothing_was_done(out, before)
    for line in [*audit_lines(record), f"report: {out / 'report.html'}"]:
        typer.echo(line)
