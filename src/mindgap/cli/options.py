"""Options that several verbs share, declared once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.core.errors import ConfigError

StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="Folder written by `mindgap prepare`.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder to write; the same command again resumes it.")]
SeedOption = Annotated[int, typer.Option("--seed", help="Seed of every random choice.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an earlier run with other options.")]
BootstrapOption = Annotated[int, typer.Option("--bootstrap", min=0, help="Resamples behind each interval.")]
PermutationsOption = Annotated[int, typer.Option("--permutations", min=0, help="Permutations behind each noise floor.")]
AttributeOption = Annotated[
    str | None,
    typer.Option("--attribute", help="Sensitive attribute that drives the run [default: the store's first]."),
]


def comma_list(text: str) -> list[str]:
    """Splits ``a,b,c`` and drops the blanks around the parts."""
    return [part.strip() for part in text.split(",") if part.strip()]


def split_shares(text: str) -> tuple[float, float, float]:
    """Reads ``.7,.15,.15``.

    Raises:
        ConfigError: not three numbers.
    """
    try:
        train, validation, test = (float(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"--split takes three shares such as .7,.15,.15, got {text!r}") from None
    return train, validation, test
