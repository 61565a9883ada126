"""The predictions that a run left, and in which order its groups come."""

from __future__ import annotations

from pathlib import Path

from mindgap.core.errors import RunError
from mindgap.core.files import read_json


def predictions_of(folder: Path) -> Path:
    """The predictions of a run.

    Raises:
        RunError: the folder is no run with predictions.
    """
    file = folder / "predictions.parquet"
    if file.is_file():
        return file
    if (folder / "search.json").is_file() and (presets := read_json(folder / "search.json").get("presets")):
        raise RunError(f"{folder}: holds a run per preset ({', '.join(presets)}); name one of its folders")
    if (folder / "config.toml").is_file():
        raise RunError(f"{folder}: this run has no predictions.parquet yet; run it to its end first")
    raise RunError(
        f"{folder}: is a folder without store.json or predictions.parquet; give a store, a run of train or search, or "
        "a predictions table"
    )


def group_order(place: Path) -> dict[str, tuple[str, ...]]:
    """The groups of a run's store in their order, which that of their names is not for bands such as 5-10 and 10-20."""
    provenance = place / "provenance.json"
    summary = read_json(provenance).get("store_summary") if provenance.is_file() else None
    attributes = summary.get("attributes", {}) if isinstance(summary, dict) else {}
    return {name: tuple(group["name"] for group in info.get("groups", ())) for name, info in attributes.items()}
