"""``mindgap explain``: where a network looks, and for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.explain_lines import explain_lines
from mindgap.cli.options import (
    BootstrapOption,
    ForceOption,
    OutOption,
    PermutationsOption,
    SeedOption,
    finished_at,
    say_if_nothing_was_done,
)


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("explain")(explain)


def explain(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run of train, search, prune or tune.")],
    out: OutOption,
    method: Annotated[
        str, typer.Option("--method", help="cam, grad-cam or guided-grad-cam; see `mindgap list explainers`.")
    ] = "grad-cam",
    store: Annotated[
        Path | None, typer.Option("--store", help="Whose images are explained [default: the run's own].")
    ] = None,
    split: Annotated[str, typer.Option("--split", help="train, validation or test.")] = "test",
    attributes: Annotated[
        str | None,
        typer.Option("--attributes", help="Such as sex,age:bands=0/30/60,sex*age [default: all of the store]."),
    ] = None,
    layer: Annotated[
        str | None, typer.Option("--layer", help="Part whose maps are explained, as blocks.3 [default: the last maps].")
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="What is explained: predicted, label, or a class; of several labels their names "
            "[default: predicted, or every label].",
            show_default=False,
        ),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(
            "--examples", min=0, help="Images beside their maps; folder and page then hold pictures of people."
        ),
    ] = 0,
    channels: Annotated[
        int, typer.Option("--channels", min=0, help="Channels of the layer, each drawn over each example.")
    ] = 0,
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Images at a time.")] = 64,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; auto takes a GPU if there is one.")] = "auto",
    seed: SeedOption = 0,
    bootstrap: BootstrapOption = 2000,
    permutations: PermutationsOption = 1000,
    min_group: Annotated[
        int, typer.Option("--min-group", min=1, help="Images under which a group is left out of every gap.")
    ] = 1,
    force: ForceOption = False,
) -> None:
    """Map where a network looks, and compare between groups how much of it lies outside the lesion."""
    from mindgap.api import explain as run_it

    before = finished_at(out)
    record = run_it(
        run, out=out, method=method, store=store, split=split, attributes=attributes, layer=layer, target=target,
        examples=examples, channels=channels, batch_size=batch_size, device=device, seed=seed, bootstrap=bootstrap,
        permutations=permutations, min_group=min_group, force=force,
    )  # fmt: skip
    say_if_nothing_was_done(out, before)
    for line in [*explain_lines(record), f"report: {out / 'report.html'}"]:
        typer.echo(line)
