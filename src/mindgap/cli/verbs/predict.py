"""``mindgap predict``: a predictions table of a store or a folder of images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from mindgap.cli.options import ForceFileOption
from mindgap.cli.summary import printable

_LONGEST = 10_000
"""Characters of a line: a command that is cut would be another one."""

_MOST_NAMED = 10


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("predict")(predict)


def predict(
    model: Annotated[Path, typer.Argument(metavar="RUN|FILE.onnx", help="A finished run, or a file of `export`.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGES|STORE", help="Folder of images, or a store.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, .csv or .parquet.")],
    split: Annotated[
        str | None,
        typer.Option("--split", help="Of a store: train, validation, test or all [default: test]."),
    ] = None,
    precision: Annotated[
        str,
        typer.Option(
            "--precision", help="Of a run: run, as it was computed there; fp32; bf16; auto, the faster of both."
        ),
    ] = "run",
    device: Annotated[
        str, typer.Option("--device", help="Of a run: cpu or cuda; auto takes a GPU if there is one.")
    ] = "auto",
    workers: Annotated[
        int | None, typer.Option("--workers", help="Decoding processes [default: one per core].")
    ] = None,
    without_groups: Annotated[
        bool, typer.Option("--without-groups", help="Do not use the images' groups, where the run's mitigation would.")
    ] = False,
    force: ForceFileOption = False,
) -> None:
    """Write a model's predictions of a store's split, or of a folder of images without labels."""
    from mindgap.api import predict as run

    record = run(
        model,
        images,
        out=out,
        split=split,
        precision=precision,
        device=device,
        workers=workers,
        without_groups=without_groups,
        force=force,
    )
    for line in predict_lines(record):
        typer.echo(line)


def predict_lines(record: dict[str, Any]) -> list[str]:
    """What was skipped, what was written, and the audit of it."""
    lines, skipped = [], record["skipped"]
    several = record["task"] == "multi-label"
    if skipped:
        named = [f"{file} ({reason})" for file, reason in list(skipped.items())[:_MOST_NAMED]]
        more = [f"and {len(skipped) - _MOST_NAMED} more"] if len(skipped) > _MOST_NAMED else []
        lines.append(f"skipped {len(skipped)} files: {', '.join([*named, *more])}")
    audit = ["mindgap", "audit", record["file"]]
    if record["source"] == "store":
        where = f"split {record['split']}"
        audit += ["--attributes", ",".join(record["attributes"]), "--split", record["split"]]
    else:
        where = "no labels"
        audit += ["--table", "metadata.csv", "--id", "COLUMN"]
        audit += ["--attributes", "COLUMN"] if several else ["--label", "COLUMN", "--attributes", "COLUMN"]
    by = f", by their groups of {record['predicts_by']}" if record["predicts_by"] else ""
    lines.append(f"{record['file']}: {record['n']} images, {where}, computed in {record['precision']}{by}")
    if several and record["source"] != "store":
        labels = ", ".join(f"label_{name}" for name in record["classes"])
        lines.append(f"to audit it, another table needs a column of 0 and 1 for each label: {labels}")
    return [printable(line, most=_LONGEST) for line in [*lines, f"next: {shlex.join(audit)}"]]
