"""``mindgap prepare``: from a folder of images and a table to one memory-mapped store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mindgap.cli.options import ForceOption, OutOption, SeedOption, comma_list, finished_at, say_if_nothing_was_done
from mindgap.core.missing_words import missing_word_notes
from mindgap.core.small_group import SMALL_GROUP

_LISTED, _NAMED = 12, 3
"""Groups that a line names at most: all with their counts, those of a note."""


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
    size: Annotated[int, typer.Option("--size", min=8, max=4096, help="Side of the stored images in pixels.")] = 64,
    resize: Annotated[str, typer.Option("--resize", help="squash, crop or pad.")] = "squash",
    constancy: Annotated[
        str, typer.Option("--constancy", help="Of the images' colours, for a network: none or shades_of_grey.")
    ] = "none",
    split: Annotated[str, typer.Option("--split", help="Shares of train,validation,test.")] = ".7,.15,.15",
    split_column: Annotated[
        str | None, typer.Option("--split-column", help="Column that gives the split instead.", show_default=False)
    ] = None,
    seed: SeedOption = 0,
    max_dropped: Annotated[float, typer.Option("--max-dropped", help="Refuse when a larger share is dropped.")] = 0.5,
    upright: Annotated[
        bool | None,
        typer.Option("--upright/--any-way-up", help="Faces have an up: do not turn them [default: the preset's]."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Decoding processes [default: all cores].", show_default=False)
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
        constancy=constancy,
        split=split,
        split_column=split_column,
        seed=seed,
        max_dropped=max_dropped,
        upright=upright,
        out=out,
        force=force,
        workers=workers,
    )
    say_if_nothing_was_done(out, before, but="images edited since are not noticed; --force reads all anew")
    for line in summary(out, record):
        typer.echo(line)


def summary(out: Path, record: dict) -> list[str]:
    """Lines that say what the store holds, what was dropped, and what may leak from one split into another."""
    lines = [f"{out}: {record['n']} images of {record['size_px']} px, classes {', '.join(record['classes'])}"]
    judged_on = "test" if record["split"]["counts"]["test"] else None
    for name, attribute in record["attributes"].items():
        lines += _attribute_lines(name, attribute, judged_on)
    if record["masks"] is not None:
        masks = record["masks"]
        faults = ", ".join(f"{masks.get(key, 0)} {key}" for key in ("missing", "unreadable", "empty"))
        lines.append(f"  masks: {masks['n']} read; {faults}")
    pairs = record["duplicates"].get("pairs_across_splits", 0)
    if pairs:
        lines.append(f"  note: {pairs} pairs of near-duplicate images lie in different splits (see store.json)")
    lines += [f"  note: {note}" for note in record["notes"]]
    if any(record["dropped"].values()):
        dropped = ", ".join(f"{count} {code}" for code, count in record["dropped"].items() if count)
        lines.append(f"  dropped: {dropped} (see {out / 'dropped.csv'})")
    return lines


def _attribute_lines(name: str, attribute: dict, judged_on: str | None) -> list[str]:
    """Lines of one attribute; its groups are judged by the images of a split, or by all where there is none."""
    groups = attribute["groups"]
    unknown = f"unknown {attribute['unknown']}"
    if attribute["out_of_range"]:
        unknown += f", of which {attribute['out_of_range']} are no number or out of range"
    counts = [f"{group['name']} {group['n']}" for group in groups]
    lines = [f"  {name}: {_few(counts, _LISTED)}; {unknown}"]
    lines += [f"  note: {told}" for told in missing_word_notes(name, ((group["name"], group["n"]) for group in groups))]
    image = f"{judged_on} image" if judged_on else "image"
    sizes = {group["name"]: group[judged_on or "n"] for group in groups}
    small = {group: n for group, n in sizes.items() if n < SMALL_GROUP}
    if len(small) > _NAMED:
        cut = "; cut numbers with age:bands=…" if ":" not in attribute["spec"] else ""
        lines.append(f"  note: {len(small)} of {len(groups)} groups of {name} have under {SMALL_GROUP} {image}s{cut}")
    else:
        lines += [
            f"  note: {name}={group} has {n} {image}{'s'[: n - 1]}: too few for its own figure"
            for group, n in small.items()
            if n  # without any, the next note says so
        ]
    absent = [group["name"] for group in groups if "not_in_test" in group["flags"]]
    if absent:
        lines.append(f"  note: no test image of {name}={_few(absent, _NAMED)}")
    single = [group["name"] for group in groups if "single_image" in group["flags"]]
    if single and len(small) > _NAMED:
        lines.append(f"  note: one image only of {name}={_few(single, _NAMED)}")
    return lines


def _few(words: list[str], most: int) -> str:
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if len(words) > most else "")
