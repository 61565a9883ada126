"""Options that several verbs share, declared once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from mindgap.core.errors import ConfigError, DataError

StoreArgument = Annotated[Path, typer.Argument(metavar="STORE", help="Folder written by `mindgap prepare`.")]
OutOption = Annotated[Path, typer.Option("--out", help="Folder to write; the same command again resumes it.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="Seed of every random choice.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace an earlier run of this verb.")]
ForceFileOption = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
BootstrapOption = Annotated[int, typer.Option("--bootstrap", min=0, help="Resamples behind each interval.")]
PermutationsOption = Annotated[int, typer.Option("--permutations", min=0, help="Permutations behind each noise floor.")]
AttributeOption = Annotated[
    str | None,
    typer.Option("--attribute", help="Sensitive attribute that drives the run [default: the store's first]."),
]
MITIGATION_OPTION = "--mitigation-option"
MitigationOption = Annotated[
    list[str] | None,
    typer.Option(
        MITIGATION_OPTION,
        metavar="KEY=VALUE",
        help="An option of the mitigation, such as shares=data for biasless; may be repeated.",
    ),
]
BLEND_OPTION = "--blend-option"
BlendOption = Annotated[
    list[str] | None,
    typer.Option(
        BLEND_OPTION,
        metavar="KEY=VALUE",
        help="A number of the blend, such as every=2 or reading=original; means --blend; may be repeated.",
    ),
]


PLACEMENT_OPTION = "--placement-option"


def finished_at(out: Path) -> str | None:
    """When the run in this folder was finished; None if it was not, or if there is none.

    A verb that finds its own finished run returns at once; the caller compares the time before and after to say so.
    A damaged record is the verb's to refuse or to replace.
    """
    from mindgap.core.run import finished_time

    with suppress(DataError):
        return finished_time(out)
    return None


def say_if_nothing_was_done(out: Path, before: str | None, *, but: str = "") -> None:
    """One line when the folder held the finished run already; ``but`` says what was not looked at."""
    if before is not None and finished_at(out) == before:
        typer.echo(f"{out}: finished earlier; nothing was left to do{but and f' ({but})'}")


def comma_list(text: str) -> list[str]:
    """Splits ``a,b,c`` and drops the blanks around the parts."""
    return [part.strip() for part in text.split(",") if part.strip()]


def read_pairs(option: str, pairs: Sequence[str] | None) -> dict[str, Any] | None:
    """Reads the values of a repeated ``KEY=VALUE`` option; None if it was not given, so that a file's may count.

    A value is a TOML number, truth value or quoted string, or several in brackets, and else the text as it stands, so
    that a bare word needs no quotes within the shell's. Of two values of one key the last counts, as of any option.

    Raises:
        ConfigError: a pair has no key or no ``=``.

    Example:
        >>> read_pairs("--mitigation-option", ["shares=data", "weight=0.5", "range=[1, 2]"])
        {'shares': 'data', 'weight': 0.5, 'range': (1, 2)}
    """
    from mindgap.core.config import read_scalar, read_scalars

    values: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, text = pair.partition("=")
        if not key.strip() or not equals:
            raise ConfigError(f"{option} {pair!r}: give KEY=VALUE")
        values[key.strip()] = read_scalars(text) if text.startswith("[") else read_scalar(text)
    return values or None
