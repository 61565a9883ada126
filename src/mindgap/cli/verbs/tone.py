"""``mindgap tone``: skin tones measured from pixels, and twins of the images with skin of another tone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindgap.cli.options import ForceOption, SeedOption, finished_at, say_if_nothing_was_done


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("tone")(tone)


def tone(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Prepared store.")],
    out: Annotated[Path, typer.Option("--out", help="New version of the store, with tones and twins.")],
    masks: Annotated[
        str | None,
        typer.Option("--masks", help="Lesion masks: stored, predict or classical [default: stored where there are]."),
    ] = None,
    mask_weights: Annotated[
        Path | None, typer.Option("--mask-weights", help="U-Net for predict: lesion_unet.safetensors of another store.")
    ] = None,
    train_masks: Annotated[
        bool,
        typer.Option("--train-masks", help="Train a U-Net on the store's masks and keep it; --masks predict uses it."),
    ] = False,
    mask_epochs: Annotated[
        int | None, typer.Option("--mask-epochs", min=1, help="Of that training [default: 20, more of few images].")
    ] = None,
    mask_minutes: Annotated[float | None, typer.Option("--mask-minutes", help="That it may take, about.")] = None,
    constancy: Annotated[
        str, typer.Option("--constancy", help="Correction of the light's colour: none, neutral_anchor or source.")
    ] = "none",
    source_column: Annotated[
        str | None, typer.Option("--source-column", help="Of the table, that names an image's source.")
    ] = None,
    target: Annotated[
        str, typer.Option("--target", help="Tone of the twins: a band I to VI, degrees 20 or 10/28, or flatten.")
    ] = "IV",
    definition: Annotated[str, typer.Option("--definition", help="Of the angle: cielab or lab8.")] = "cielab",
    cut_offs: Annotated[str, typer.Option("--cut-offs", help="Of the bands: wei, kinyanjui or groh.")] = "wei",
    quantiles: Annotated[
        int | None,
        typer.Option("--quantiles", min=2, max=9, help="Also the attribute tone_quantile: so many groups, q1 darkest."),
    ] = None,
    steps: Annotated[
        int, typer.Option("--steps", min=0, help="Of the search for a twin's colour; 1 as published.")
    ] = 1,
    edge: Annotated[
        str, typer.Option("--edge", help="Of new skin at the lesion: blur, as published, or matte, with a softer seam.")
    ] = "blur",
    seed: SeedOption = 0,
    force: ForceOption = False,
) -> None:
    """Measure skin tones, with their doubts, and make each image's twin of another tone."""
    from mindgap.api import tone as measure

    before = finished_at(out)
    record = measure(
        store, out=out, masks=masks, mask_weights=mask_weights, train_masks=train_masks, mask_epochs=mask_epochs,
        mask_minutes=mask_minutes, constancy=constancy, source_column=source_column, target=target,
        definition=definition, cut_offs=cut_offs, quantiles=quantiles, steps=steps, edge=edge, seed=seed, force=force,
    )  # fmt: skip
    say_if_nothing_was_done(out, before)
    for line in tone_lines(out, record):
        typer.echo(line)


def tone_lines(out: Path, record: dict[str, Any]) -> list[str]:
    """What was measured and made, a line each."""
    found = record["tone"]
    bands = found["bands"]
    lines = [
        f"{out}: tone measured on {found['measured']} of {record['n']} images, {found['not_measured']} not known",
        *([f"flags: {_counted(found['flags'])}"] if found["flags"] else []),
        f"tone bands before: {_counted(bands['before'])}",
        f"with every twin: {_counted(bands['after'])}"
        + (f", {found['twins_not_known']} not known" if found.get("twins_not_known") else ""),
    ]
    if told := found.get("mask_training"):
        scores = [(name, score) for name, score in told["jaccard"].items() if score["n"]]
        words = ", ".join(f"{score['mean']:.3f} on the {name} split (n = {score['n']})" for name, score in scores)
        lines.append(f"lesion masks: {out / told['file']}, mean Jaccard {words}")
    error, shift = found["error_degrees"], found["delta_e"]
    if error["n"]:
        lines.append(
            f"{found['twins']} twins: median |achieved - target| {error['median']:.1f} degrees (n = {error['n']}), "
            f"skin moved by a median of {shift['median']:.0f} in CIELAB"
        )
    if not found["measured"]:
        return [*lines, "no tone is known, so that no run can use one; table.parquet says why of each image"]
    return [*lines, f"next: mindgap audit {out}, or train and search with {out} in place of the old store"]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())
