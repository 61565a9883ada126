"""``mindgap tune``: heads of a trained network, tuned for accuracy and against underestimation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

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
from mindgap.cli.tune_lines import tune_lines
from mindgap.core.errors import ConfigError


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("tune")(tune)


def tune(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Finished run of train, search, prune or tune.")],
    out: OutOption,
    mode: Annotated[
        str, typer.Option("--mode", help="multitask (a head per label), dynamic (one for all) or thresholds.")
    ] = "multitask",
    attribute: Annotated[
        str | None, typer.Option("--attribute", help="Whose groups count [default: the run's].")
    ] = None,
    labels: Annotated[
        str | None, typer.Option("--labels", help="smiling,young [default: all with enough images of every group].")
    ] = None,
    objectives: Annotated[
        str, typer.Option("--objectives", help="Two or three metrics, minimised together.")
    ] = "accuracy,uei",
    weights: Annotated[
        str, typer.Option("--weights", help="In the mode dynamic: own figures, or base, the trained head's.")
    ] = "own",
    optimizer: Annotated[
        str, typer.Option("--optimizer", help="What proposes heads, see `mindgap list optimizers`.")
    ] = "mopso",
    optimizer_option: Annotated[
        list[str] | None,
        typer.Option("--optimizer-option", metavar="NAME=VALUE", help="Option of the optimiser; repeatable."),
    ] = None,
    budget: Annotated[int, typer.Option("--budget", min=1, help="Heads judged per label; in all of one head.")] = 5000,
    population: Annotated[int, typer.Option("--population", min=2, help="Heads judged at a time.")] = 100,
    hidden: Annotated[
        int | None, typer.Option("--hidden", min=1, help="Train a head with so many hidden units first, and tune that.")
    ] = None,
    subspace: Annotated[
        int | None,
        typer.Option("--subspace", min=1, help="Search so many random directions, at most 64, not every weight."),
    ] = None,
    reach: Annotated[
        float, typer.Option("--reach", help="How far from the trained head first ones lie; 1 is as far as it is long.")
    ] = 1.0,
    hold_back: Annotated[
        bool, typer.Option("--hold-back/--no-hold-back", help="Keep a half of validation for the choice.")
    ] = True,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Accuracy that the rule of choice may give up.")
    ] = 0.05,
    min_rows: Annotated[
        int, typer.Option("--min-rows", min=1, help="Positives and negatives a label needs in every group.")
    ] = 20,
    pick: Annotated[
        list[str] | None,
        typer.Option("--pick", metavar="LABEL=POINT", help="Point of a finished front, by its number; repeatable."),
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda; auto takes a GPU if there is one.")] = "auto",
    seed: SeedOption = 0,
    bootstrap: BootstrapOption = 2000,
    permutations: PermutationsOption = 1000,
    force: ForceOption = False,
) -> None:
    """Tune a network's last layer by a swarm, for accuracy and against underestimation, and choose by a rule."""
    from mindgap.api import tune as look

    before = finished_at(out)
    record = look(
        run, out=out, mode=mode, attribute=attribute, labels=labels, objectives=objectives, weights=weights,
        optimizer=optimizer, optimizer_options=read_pairs("--optimizer-option", optimizer_option), budget=budget,
        population=population,
        hidden=hidden, subspace=subspace, reach=reach, hold_back=hold_back, tolerance=tolerance, min_rows=min_rows,
        pick=_picks(pick), seed=seed, bootstrap=bootstrap, permutations=permutations, device=device, force=force,
    )  # fmt: skip
    say_if_nothing_was_done(out, before)
    for line in tune_lines(out, record):
        typer.echo(line)


def _picks(given: Sequence[str] | None) -> dict[str, int]:
    """The points by label; a label's name may hold ``=``."""
    found: dict[str, int] = {}
    for pair in given or ():
        name, equals, number = pair.rpartition("=")
        if not equals or not name.strip() or not number.strip().isdecimal():
            raise ConfigError(f"--pick {pair!r}: give LABEL=POINT, the point by its number, such as smiling=3")
        found[name.strip()] = int(number)
    return found
