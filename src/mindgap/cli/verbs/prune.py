"""``mindgap prune``: channels that encode who is in the picture are removed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindgap.cli.options import (
    BootstrapOption,
    ForceOption,
    OutOption,
    PermutationsOption,
    SeedOption,
    finished_at,
    read_pairs,
    say_if_nothing_was_done,
)
from mindgap.cli.prune_lines import prune_lines


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("prune")(prune)


def prune(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Finished run of train, search or prune.")],
    out: OutOption,
    method: Annotated[
        str, typer.Option("--method", help="What ranks channels, see `mindgap list importances`.")
    ] = "snnl",
    attributes: Annotated[
        str | None, typer.Option("--attributes", help="sex,age: whose groups count [default: all of the store].")
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option("--layers", help="head,blocks.5: whose channels go [default: the last convolutional stage]."),
    ] = None,
    attribute_weights: Annotated[
        str | None,
        typer.Option("--attribute-weights", help="learned, equal, or sex=1,age=2 [default: learned for snnl]."),
    ] = None,
    weight_steps: Annotated[
        int, typer.Option("--weight-steps", min=1, help="Of learning the weights of two attributes or more.")
    ] = 100,
    method_option: Annotated[
        list[str] | None,
        typer.Option("--method-option", metavar="NAME=VALUE", help="Option of the method; repeatable."),
    ] = None,
    gap: Annotated[str, typer.Option("--gap", help="That has to narrow.")] = "equalized_odds_abs_mean",
    share: Annotated[float, typer.Option("--share", help="Of a layer's channels, removed per iteration.")] = 0.02,
    iterations: Annotated[int, typer.Option("--iterations", min=1, help="At most so many.")] = 3,
    max_accuracy_drop: Annotated[
        float, typer.Option("--max-accuracy-drop", help="An iteration above it is taken back; 1 allows any.")
    ] = 0.03,
    min_gap_reduction: Annotated[
        float, typer.Option("--min-gap-reduction", help="An iteration below it is taken back; -1 allows any.")
    ] = 0.005,
    epochs: Annotated[int, typer.Option("--epochs", min=1, help="Of fine-tuning after a removal, at most.")] = 5,
    patience: Annotated[
        int, typer.Option("--patience", min=1, help="Epochs without a better validation accuracy that end it.")
    ] = 2,
    lr: Annotated[
        float | None, typer.Option("--lr", help="Peak learning rate [default: a tenth of the run's].")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", min=2, help="Images per step [default: the run's].")
    ] = None,
    mitigation: Annotated[str | None, typer.Option("--mitigation", help="In fine-tuning [default: the run's].")] = None,
    control: Annotated[
        bool, typer.Option("--control/--no-control", help="Fine-tune the unpruned network alike, for comparison.")
    ] = True,
    rows: Annotated[
        bool, typer.Option("--rows", help="Also train and prune with blended tones (mindgap tone): four rows.")
    ] = False,
    scoring_batches: Annotated[
        int, typer.Option("--scoring-batches", min=1, help="Of up to 128 images each, that channels are scored by.")
    ] = 20,
    precision: Annotated[str, typer.Option("--precision", help="auto takes the faster of fp32 and bf16.")] = "auto",
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; auto takes a GPU if there is one.")] = "auto",
    seed: SeedOption = 0,
    bootstrap: BootstrapOption = 2000,
    permutations: PermutationsOption = 1000,
    force: ForceOption = False,
) -> None:
    """Remove the channels that an importance ranks lowest, fine-tune, and keep it if validation allows."""
    from mindgap.api import prune as remove

    before = finished_at(out)
    record = remove(
        run, out=out, method=method, attributes=attributes, layers=layers,
        attribute_weights=_weights(attribute_weights), weight_steps=weight_steps,
        method_options=read_pairs("--method-option", method_option),
        gap=gap, share=share, iterations=iterations, max_accuracy_drop=max_accuracy_drop,
        min_gap_reduction=min_gap_reduction, epochs=epochs, patience=patience, lr=lr, batch_size=batch_size,
        mitigation=mitigation, control=control, rows=rows,
        scoring_batches=scoring_batches, seed=seed, bootstrap=bootstrap, permutations=permutations,
        precision=precision, device=device, force=force,
    )  # fmt: skip
    say_if_nothing_was_done(out, before)
    for line in prune_lines(out, record):
        typer.echo(line)


def _weights(given: str | None) -> str | dict[str, Any] | None:
    if given is None or "=" not in given:
        return given
    return read_pairs("--attribute-weights", given.split(","))
