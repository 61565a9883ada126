"""Options that several verbs share, declared once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from mindgap.core.errors import DataError

StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="Folder written by `mindgap prepare`.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder to write; the same command again resumes it.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of every random choice.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an earlier run of this verb.")]
BootstrapOption = Annotated[int, typer.Option("--bootstrap", min=0, help="Resamples behind each interval.")]
PermutationsOption = Annotated[int, typer.Option("--permutations", min=0, help="Permutations behind each noise floor.")]
AttributeOption = Annotated[
    str | None,
    typer.Option("--attribute", help="Sensitive attribute that drives the run [default: the store's first]."),
]


def finished_at(out: Path) -> str | None:
    """When the run in this folder was finished; None if it was not, or if there is none.

    A verb that finds its own finished run returns at once; the caller compares the time before and after to say so.
    A damaged record is the verb's to refuse or to replace.
    """
    from mindgap.core.run import finished_time

    with suppress(DataError):
        return finished_time(out)
    return None


def say_if_nothing_was_done(out: Path, before: str | None) -> None:
    """One line when the folder held the finished run already."""
    if before is not None and finished_at(out) == before:
        typer.echo(f"{out}: finished earlier with the same options; nothing was done")


def comma_list(text: str) -> list[str]:
    """Splits ``a,b,c`` and drops the blanks around the parts."""
    return [part.strip() for part in text.split(",") if part.strip()]
