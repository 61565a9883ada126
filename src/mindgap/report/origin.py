"""Where a page's figures come from: options, versions, machine, data, and the commands that make them again."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mindgap.core.config import scalar_text
from mindgap.report.estimate import count, decimal
from mindgap.report.run_files import RunFiles

Rows = list[tuple[str, str]]
_BOTH = ("attribute", "network", "mitigation", "ratios", "epochs", "seed", "bootstrap", "permutations")
_FLAGS = {
    "train": ("loss", "schedule", "batch_size", "folds", "lr", "precision", "device", *_BOTH),
    "search": ("preset", "searcher", "space", "unfairness", "trials", "budget_hours", "max_latency_ms", *_BOTH),
    "prune": (
        "method", "attributes", "layers", "attribute_weights", "weight_steps", "gap", "share", "iterations",
        "max_accuracy_drop", "min_gap_reduction", "epochs", "patience", "lr", "batch_size", "mitigation", "precision",
        "device", "scoring_batches", "seed", "bootstrap", "permutations",
    ),
    "tune": (
        "mode", "attribute", "labels", "objectives", "weights", "optimizer", "budget", "population", "hidden",
        "subspace", "reach", "tolerance", "min_rows", "device", "seed", "bootstrap", "permutations",
    ),
}  # fmt: skip
_METHOD_OPTIONS = {
    "mitigation_options": "--mitigation-option",
    "method_options": "--method-option",
    "optimizer_options": "--optimizer-option",
}


def origin_rows(run: RunFiles) -> Rows:
    """Label and text of what the result depends on; what was not recorded is said to be so."""
    record = run.provenance
    hardware = record.get("hardware") or {}
    git = record.get("git") or {}
    return [
        ("Run folder", str(run.path)),
        ("Started", _text(record.get("started"))),
        *([("Finished", str(record["finished"]))] if record.get("finished") else []),
        ("Seed", _text(record.get("seed", run.options.get("seed")))),
        ("Data fingerprint", _text(record.get("fingerprint") or run.store.get("fingerprint"))),
        ("Data", _store_text(run.store)),
        ("mindgap", _version_text(record.get("packages") or {}, git)),
        ("Python and packages", _packages(record)),
        (
            "Machine",
            ", ".join(str(part) for part in (hardware.get("processor"), _cores(hardware)) if part) or "not recorded",
        ),
        ("Platform", _text(record.get("platform"))),
        ("Training", _training(run.metrics.get("training") or {})),
    ]


def commands(run: RunFiles) -> list[str]:
    """The shell lines that make this run again from its store, and its page from its files."""
    return [_command(run.verb, run.options, run.path), shlex.join(["mindgap", "report", str(run.path)])]


def _command(verb: str, options: Mapping[str, Any], run: Path) -> str:
    """The command; of a search with tables of options, which have no flags, with the file that holds them."""
    words = [
        "mindgap",
        verb,
        str(options.get("run", "RUN") if verb in {"prune", "tune"} else options.get("store", "STORE")),
    ]
    if verb == "search":
        words += ["--config", str(run / "config.toml")]
    for name in _FLAGS[verb]:
        value = options.get(name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", _value(value)]
    blend = options.get("blend")
    said = {
        "--no-control": options.get("control") is False,
        "--no-hold-back": options.get("hold_back") is False,
        "--rows": options.get("rows"),
        "--blend": blend,
    }
    words += [flag for flag, given in said.items() if given]
    if verb == "train" and isinstance(blend, Mapping):
        for name, value in blend.items():
            words += ["--blend-option", f"{name}={scalar_text(value)}"]
    for table, flag in _METHOD_OPTIONS.items():
        for name, value in (options.get(table) or {}).items():
            words += [flag, f"{name}={scalar_text(value)}"]
    return shlex.join([*words, "--out", str(run)])


def _value(value: object) -> str:
    """A flag's value: names with commas, numbers by name as ``sex=1,age=2``."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={scalar_text(of)}" for name, of in value.items())
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def option_rows(options: Mapping[str, Any]) -> Rows:
    """All resolved options, flattened, by name."""
    rows: Rows = []
    for name, value in sorted(options.items()):
        if isinstance(value, Mapping):
            rows += [(f"{name}.{inner}", text) for inner, text in option_rows(value)]
        else:
            rows.append((name, _text(value)))
    return rows


def _text(value: object) -> str:
    return "not recorded" if value is None or value == "" else str(value)


def _version_text(packages: Mapping[str, Any], git: Mapping[str, Any]) -> str:
    text = _text(packages.get("mindgap"))
    if git.get("commit"):
        text += f", commit {str(git['commit'])[:12]}" + (" with uncommitted changes" if git.get("changed") else "")
    return text


def _packages(record: Mapping[str, Any]) -> str:
    named = [("Python", record.get("python")), *(record.get("packages") or {}).items()]
    return ", ".join(f"{name} {version}" for name, version in named if version and name != "mindgap") or "not recorded"


def _cores(hardware: Mapping[str, Any]) -> str:
    return f"{hardware['cores']} cores" if hardware.get("cores") else ""


def _store_text(store: Mapping[str, Any]) -> str:
    if not store:
        return "store summary not recorded"
    size = f"{store.get('size_px')} px, " if store.get("size_px") else ""
    return (
        f"{count(store.get('n'))} images, {size}{len(store.get('classes') or [])} classes, {_text(store.get('task'))}"
    )


def _training(training: Mapping[str, Any]) -> str:
    if not training:
        return "not recorded"
    parts = []
    if training.get("epochs") is not None:
        parts.append(f"{training['epochs']} epochs")
    if training.get("image_passes") is not None:
        parts.append(f"{count(training['image_passes'])} image passes")
    if training.get("seconds") is not None:
        parts.append(f"{decimal(training['seconds'], 1)} s")
    return ", ".join(parts)
