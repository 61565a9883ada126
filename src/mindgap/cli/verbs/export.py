"""``mindgap export``: a run's network as a file that other programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from mindgap.cli.options import BootstrapOption, ForceFileOption, PermutationsOption
from mindgap.cli.summary import gap, number


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("export")(export)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run of train or search.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, such as model.onnx.")],
    format: Annotated[str, typer.Option("--format", help="See `mindgap list exporters`.")] = "onnx",
    int8: Annotated[
        bool, typer.Option("--int8", help="8-bit integers, calibrated on training images, measured on validation ones.")
    ] = False,
    bootstrap: BootstrapOption = 2000,
    permutations: PermutationsOption = 1000,
    force: ForceFileOption = False,
) -> None:
    """Write a run's network as a file that needs nothing beside it, and check that it agrees."""
    from mindgap.api import export as write

    record = write(run, out=out, format=format, int8=int8, bootstrap=bootstrap, permutations=permutations, force=force)
    for line in export_lines(record):
        typer.echo(line)


def export_lines(record: dict[str, Any]) -> list[str]:
    """What was written, how far it agrees, and what 8-bit integers changed."""
    facts, found = record["facts"], record["agreement"]
    px, count = facts["input_px"], len(facts["classes"])
    lines = [
        f"{record['file']}: {record['bytes'] / 1e6:.1f} MB, uint8 images (n, {px}, {px}, 3) to {count} probabilities",
        f"float32 file against the network, {found['n']} {found['images']} images: {_agreement(found)}",
    ]
    compared = record["int8"]
    if compared is None:
        return lines
    lines.append(f"int8 against float32, {compared['n']} validation images: {_agreement(compared)}")
    wide, narrow = compared["float32"], compared["int8"]
    lines += _change("accuracy", wide["overall"]["accuracy"], narrow["overall"]["accuracy"], show=number)
    for name in wide.get("labels", {}):
        lines += _gap_lines(record["attribute"], wide["labels"][name], narrow["labels"][name], prefix=f"label {name}: ")
    return lines + ([] if "labels" in wide else _gap_lines(record["attribute"], wide, narrow))


def _gap_lines(attribute: str, wide: dict[str, Any], narrow: dict[str, Any], *, prefix: str = "") -> list[str]:
    gaps = [audit["attributes"][attribute]["gaps"]["unfairness"] for audit in (wide, narrow)]
    return _change(f"{prefix}U ({attribute})", *gaps, show=gap)


def _change(title: str, wide: dict[str, Any], narrow: dict[str, Any], *, show: Any) -> list[str]:
    lines = [f"  {title}, float32: {show(wide)}", f"  {title}, int8:    {show(narrow)}"]
    if wide["value"] is not None and narrow["value"] is not None:
        lines.append(f"  {title}, change:  {narrow['value'] - wide['value']:+.4f}")
    return lines


def _agreement(found: dict[str, Any]) -> str:
    return (
        f"probabilities differ by at most {found['max_difference']:.2g}, {found['flipped']:.2%} are predicted otherwise"
    )
