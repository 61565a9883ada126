"""``mindgap synth``: dermoscopy-like images whose tone, lesion, label and group effect are known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.options import ForceOption, SeedOption, finished_at, say_if_nothing_was_done

FEW = 250  # images of a tone; of fewer there may be under 30 to judge candidates on, which a search needs


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("synth")(synth)


def synth(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write: images/, masks/, metadata.csv.")],
    n: Annotated[int, typer.Option("--n", min=30, max=1_000_000, help="Number of images.")] = 3000,
    size: Annotated[int, typer.Option("--size", min=16, max=1024, help="Side of an image in pixels.")] = 64,
    seed: SeedOption = 0,
    dark_share: Annotated[float, typer.Option("--dark-share", help="Share of images with dark skin, 0..1.")] = 0.2,
    bias: Annotated[float, typer.Option("--bias", help="How much harder labels are to read on dark skin, 0..1.")] = 0.3,
    force: ForceOption = False,
) -> None:
    """Write synthetic images with KNOWN tone, lesion mask, label and group effect."""
    from mindgap.api import synth as write

    before = finished_at(out)
    record = write(out, n=n, size=size, seed=seed, dark_share=dark_share, bias=bias, force=force)
    say_if_nothing_was_done(out, before)
    typer.echo(f"{out}: {record['n']} images of {size} px, {len(record['classes'])} classes")
    attributes = "true_tone,sex" if min(dark_share, 1 - dark_share) * n >= FEW else "sex,true_tone"
    typer.echo(
        f"next: mindgap prepare --images {out}/images --metadata {out}/metadata.csv --id image_id --label label "
        f"--attributes {attributes} --cluster lesion_id --size {size} --out STORE"
    )
