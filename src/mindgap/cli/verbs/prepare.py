"""``mindgap prepare``: from a folder of images and a table to one memory-mapped store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.options import ForceOption, OutOption, SeedOption, comma_list, finished_at, say_if_nothing_was_done


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("prepare")(prepare)


def prepare(
    images: Annotated[Path, typer.Option("--images", help="Folder of images.")],
    attributes: Annotated[
        str,
        typer.Option("--attributes", help="Such as sex,age:bands=0/30/60/120,sex*age; the first is the default one."),
    ],
    out: OutOption,
    metadata: Annotated[
        str | None, typer.Option("--metadata", help="CSV table, or several joined: A.csv,B.csv.", show_default=False)
    ] = None,
    preset: Annotated[str | None, typer.Option("--preset", help="Known dataset; see `mindgap list datasets`.")] = None,
    id: Annotated[str | None, typer.Option("--id", help="Column of the image's file name.")] = None,
    label: Annotated[str | None, typer.Option("--label", help="Column of the class.")] = None,
    labels: Annotated[str | None, typer.Option("--labels", help="Columns of several 0/1 labels: a,b,c.")] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Column of the patient or lesion: never in two splits.")
    ] = None,
    masks: Annotated[Path | None, typer.Option("--masks", help="Folder of lesion masks named as the images.")] = None,
    size: Annotated[int, typer.Option("--size", help="Side of the stored images in pixels.")] = 64,
    resize: Annotated[str, typer.Option("--resize", help="squash, crop or pad.")] = "squash",
    split: Annotated[str, typer.Option("--split", help="Shares of train,validation,test.")] = ".7,.15,.15",
    seed: SeedOption = 0,
    max_dropped: Annotated[float, typer.Option("--max-dropped", help="Refuse when a larger share is dropped.")] = 0.5,
    upright: Annotated[
        bool | None,
        typer.Option("--upright/--any-way-up", help="Faces have an up: do not turn them [default: the preset's]."),
    ] = None,
    force: ForceOption = False,
) -> None:
    """Check a folder of images and its table, and write them as one STORE."""
    from mindgap.api import prepare as write

    before = finished_at(out)
    record = write(
        images=images,
        metadata=metadata,
        preset=preset,
        id=id,
        label=label,
        labels=comma_list(labels) if labels else None,
        attributes=attributes,
        cluster=cluster,
        masks=masks,
        size=size,
        resize=resize,
        split=split,
        seed=seed,
        max_dropped=max_dropped,
        upright=upright,
        out=out,
        force=force,
    )
    say_if_nothing_was_done(out, before)
    for line in summary(out, record):
        typer.echo(line)


def summary(out: Path, record: dict) -> list[str]:
    """Lines that say what the store holds and what was dropped."""
    lines = [f"{out}: {record['n']} images of {record['size_px']} px, classes {', '.join(record['classes'])}"]
    for name, attribute in record["attributes"].items():
        groups = ", ".join(f"{group['name']} {group['n']}" for group in attribute["groups"])
        lines.append(f"  {name}: {groups}; unknown {attribute['unknown']}")
        lines += [
            f"  note: {name}={group['name']} has {group['n']} images: too few for a figure of its own"
            for group in attribute["groups"]
            if group["n"] < 30  # the flag `small` of every report
        ]
    if any(record["dropped"].values()):
        dropped = ", ".join(f"{count} {code}" for code, count in record["dropped"].items() if count)
        lines.append(f"  dropped: {dropped} (see {out / 'dropped.csv'})")
    return lines
