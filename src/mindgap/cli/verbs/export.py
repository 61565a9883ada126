"""``mindgap export``: a run's network as a file that other programs run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from mindgap.cli.options import BootstrapOption, ForceFileOption, PermutationsOption
from mindgap.cli.summary import gap, number, printable, written_lines

_MOST = 6


def add_to(app: typer.Typer) -> None:
    """Adds the verb to the application."""
    app.command("export")(export)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A finished run of train, search, prune or tune.")],
    out: Annotated[Path, typer.Option("--out", help="File to write, such as model.onnx.")],
    format: Annotated[str, typer.Option("--format", help="See `mindgap list exporters`.")] = "onnx",
    int8: Annotated[
        bool, typer.Option("--int8", help="8-bit integers, calibrated on training images, measured on validation ones.")
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", help="File for the whole record.")] = None,
    bootstrap: BootstrapOption = 2000,
    permutations: PermutationsOption = 1000,
    force: ForceFileOption = False,
) -> None:
    """Write a run's network as a file that needs nothing beside it, and check that it agrees."""
    from mindgap.api import export as write

    resamples = {"bootstrap": bootstrap, "permutations": permutations}
    record = write(run, out=out, format=format, int8=int8, json=json, **resamples, force=force)
    for line in [*export_lines(record), *written_lines(json=json, html=None)]:
        typer.echo(line)


def export_lines(record: dict[str, Any]) -> list[str]:
    """What was written, how far it agrees with the network and the run's record, and what 8-bit integers changed."""
    return [printable(line) for line in _lines(record)]


def _lines(record: dict[str, Any]) -> list[str]:
    facts, found = record["facts"], record["agreement"]
    px, count = facts["input_px"], len(facts["classes"])
    lines = [
        f"{record['file']}: {record['bytes'] / 1e6:.1f} MB, uint8 images (n, {px}, {px}, 3) to {count} probabilities",
        f"float32 file against the network, {found['n']} {found['images']} images: {_agreement(found)}",
    ]
    if record["recorded"]["reason"] is None:
        lines.append(_recorded(record["recorded"]))
    if record["without_groups"] is not None:
        lines.append(
            f"it is the form of {record['without_groups']} that needs no image's group; what that costs is under "
            "without_groups in the run's metrics.json"
        )
    compared = record["int8"]
    if compared is None:
        return lines
    lines.append(f"int8 against float32, {compared['n']} validation images: {_agreement(compared)}")
    audits, change = (compared["float32"], compared["int8"]), compared["change"]
    attribute, left_out = record["attribute"], compared["left_out"].get(record["attribute"], [])
    for name in change.get("labels", {}):
        parts = [audit["labels"][name] for audit in audits]
        lines += _label_lines(attribute, parts, change["labels"][name], left_out=left_out, title=f"label {name}: ")
    return lines if "labels" in change else lines + _label_lines(attribute, audits, change, left_out=left_out)


def _recorded(found: dict[str, Any]) -> str:
    """What the file predicts otherwise than the run recorded."""
    types = "" if found["types"] is None else f" in {found['types']}"
    of = f"{found['n']} validation images"
    of += "" if found["decisions"] == found["n"] else f", {found['decisions']} labels of them"
    return (
        f"the file against what the run recorded{types}, {of}: {found['otherwise']} predicted otherwise, accuracy "
        f"{found['recorded']:.3f} recorded, {found['exported']:.3f} exported, change {_signed(found['change'])}"
    )


def _label_lines(
    attribute: str,
    audits: Sequence[dict[str, Any]],
    change: dict[str, Any],
    *,
    left_out: Sequence[str],
    title: str = "",
) -> list[str]:
    accuracies = [audit["overall"]["accuracy"] for audit in audits]
    lines = _change(f"{title}accuracy", accuracies, change["accuracy"], show=number)
    if any(attribute not in audit["attributes"] for audit in audits):
        return lines
    gaps = [audit["attributes"][attribute]["gaps"]["unfairness"] for audit in audits]
    of = f"{attribute} without {_names(left_out)}" if left_out else attribute
    return lines + _change(f"{title}U ({of})", gaps, change["unfairness"][attribute], show=gap)


def _names(groups: Sequence[str]) -> str:
    """The groups' names, of many the first."""
    named = ", ".join(printable(name, most=40) for name in groups[:_MOST])
    return named if len(groups) <= _MOST else f"{named} and {len(groups) - _MOST} more"


def _change(title: str, figures: Sequence[Any], change: Any, *, show: Callable[[Any], str]) -> list[str]:
    """Before, after, and the paired change."""
    before, after = (show(figure) for figure in figures)
    return [f"  {title}, float32: {before}", f"  {title}, int8: {after}", f"  {title}, change: {_signed(change)}"]


def _signed(change: dict[str, Any]) -> str:
    if change["value"] is None:
        return number(change)
    interval = f" [{change['low']:+.4f}, {change['high']:+.4f}]" if change["low"] is not None else ""
    why = f" ({change['reason']})" if change["reason"] else ""
    return f"{change['value']:+.4f}{interval}{why}"


def _agreement(found: dict[str, Any]) -> str:
    return (
        f"probabilities differ by at most {found['max_difference']:.2g}, {found['flipped']:.2%} are predicted otherwise"
    )
