"""Run folders made of invented numbers, clearly marked as test data, for the tests of the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mindgap.core.config import dump_toml
from mindgap.core.files import write_json, write_text
from mindgap.space.architecture import Architecture

CLASSES = ["melanoma", "nevus", "keratosis"]
Audit = dict[str, Any]


def rate(value: float | None, n: int, reason: str | None = None) -> dict[str, Any]:
    """A V of an AUDIT with a normal-approximation interval; None is undefined."""
    if value is None:
        return {"value": None, "low": None, "high": None, "n": n, "reason": reason or "no rows"}
    half = 1.96 * (max(value * (1 - value), 1e-4) / max(n, 1)) ** 0.5
    return {"value": value, "low": max(0.0, value - half), "high": min(1.0, value + half), "n": n, "reason": None}


def gap(
    value: float | None, *, half: float = 0.05, floor: float = 0.03, p: float = 0.5, n: int = 600, **other: Any
) -> dict:
    """A G of an AUDIT."""
    if value is None:
        nothing = dict.fromkeys(("value", "low", "high", "noise_mean", "noise_p95", "p_value"))
        return nothing | {"n": n, "reason": other.get("reason", "no rows")}
    found = {"value": value, "low": max(0.0, value - half), "high": value + half, "n": n, "reason": None}
    return found | {"noise_mean": floor, "noise_p95": 2 * floor, "p_value": p} | other


def group(accuracy: float | None, n: int, flags: tuple[str, ...] = ()) -> dict[str, Any]:
    """One group of an AUDIT."""
    low = None if accuracy is None else accuracy - 0.06
    return {
        "n": n,
        "accuracy": rate(accuracy, n),
        "balanced_accuracy": rate(low, n),
        "macro_f1": rate(low, n),
        "macro_auroc": rate(None if accuracy is None else min(accuracy + 0.1, 1), n),
        "ece": rate(0.06, n),
        "flags": list(flags),
    }


def audit(*, shown: bool, groups: dict[str, tuple[float, int]] | None = None, n: int = 600) -> Audit:
    """An AUDIT over sex (a gap that is shown or not) and an age that is never shown."""
    sexes = groups or {"female": (0.641, 251), "male": (0.742, 331), "other": (0.7, 12)}
    u = gap(0.168, p=0.001, n=594) if shown else gap(0.041, p=0.31, n=594)
    standard = gap(0.121, p=0.004, n=594) if shown else gap(0.032, p=0.4, n=594)
    difference = gap(0.101, half=0.04, p=0.002, n=594) if shown else gap(0.02, p=0.5, n=594)
    ratio = gap(0.864, half=0.06, floor=0.95, p=0.004, n=594, noise_p95=0.9)
    if not shown:
        ratio = gap(0.975, half=0.05, floor=0.95, p=0.6, n=594, noise_p95=0.9)
    gaps = {
        "unfairness": u,
        "unfairness_standardized": standard,
        "accuracy_ratio": ratio,
        "accuracy_difference": difference,
        "f1_difference": gap(0.055, half=0.06, p=0.12, n=594),
        "equalized_odds_abs_mean": gap(0.062, half=0.07, p=0.09, n=594),
        "worst_group_accuracy": gap(0.641, half=0.06, floor=0.69, p=0.03, n=594, noise_p95=0.655),
    }
    ages = {
        "unfairness": gap(0.09, half=0.11, floor=0.07, p=0.28, n=588),
        "unfairness_standardized": gap(
            None, n=588, reason="classes common to all groups hold 0.31 of the samples, under half"
        ),
        "accuracy_ratio": gap(0.93, half=0.09, floor=0.92, p=0.4, n=588, noise_p95=0.84),
        "accuracy_difference": gap(0.06, half=0.08, floor=0.05, p=0.3, n=588),
        "worst_group_accuracy": gap(0.66, half=0.07, floor=0.66, p=0.5, n=588, noise_p95=0.6),
    }
    flags = {"other": ("small", "no_positives:melanoma")}
    return {
        "schema": 1,
        "task": "single-label",
        "n": n,
        "classes": CLASSES,
        "overall": {"accuracy": rate(0.694, n), "balanced_accuracy": rate(0.61, n), "macro_f1": rate(0.6, n)},
        "attributes": {
            "sex": {
                "groups": {name: group(a, k, flags.get(name, ())) for name, (a, k) in sexes.items()},
                "gaps": gaps,
                "per_class": {
                    "melanoma": {
                        "equalized_odds_abs_mean": gap(0.08, p=0.2, n=594),
                        "underestimation": {"female": rate(0.8, 251)},
                    }
                },
            },
            "age": {
                "groups": {"0-30": group(0.72, 90), "30-60": group(0.70, 298), "60-120": group(0.66, 200)},
                "gaps": ages,
                "per_class": {},
            },
        },
    }


def architecture() -> Architecture:
    """A small network with every block kind of the default space."""
    width = {"hidden_channels": 48}
    return Architecture.model_validate(
        {
            "name": "test network",
            "input_px": 64,
            "num_classes": 3,
            "stem": {"kind": "3x3", "channels": 16},
            "blocks": [
                {"type": "mb", "out_channels": 24, "choices": {"kernel": 3, **width}},
                {"type": "db", "out_channels": 32, "stride": 2, "choices": {"kernel": 5, **width}},
                {"type": "skip", "out_channels": 32},
                {"type": "rb", "out_channels": 48, "choices": {"kernel": 3, **width}},
                {"type": "db", "out_channels": 64, "stride": 2, "choices": {"kernel": 7, "hidden_channels": 96}},
                {"type": "mb", "out_channels": 64, "choices": {"kernel": 5, "hidden_channels": 96}},
                {"type": "cb", "out_channels": 96, "choices": {"kernel": 3, "hidden_channels": 64}},
                {"type": "skip", "out_channels": 96},
            ],
            "head": {"width": 160},
        }
    )


def store_summary() -> dict[str, Any]:
    """What a store says of itself."""
    sexes = [{"name": "female", "n": 1660, "train": 1160}, {"name": "male", "n": 2210, "train": 1540}]
    small = {"name": "other", "n": 80, "train": 56}
    return {
        "version": 1,
        "n": 4000,
        "size_px": 64,
        "task": "single-label",
        "classes": CLASSES,
        "attributes": {
            "sex": {"spec": "sex", "groups": [*sexes, small], "unknown": 50, "out_of_range": 0},
            "age": {"spec": "age:bands=0/30/60/120", "groups": [], "unknown": 61, "out_of_range": 2},
        },
        "default_attribute": "sex",
        "fingerprint": "test-data-0123456789abcdef",
        "dropped": {"missing_file": 3, "unreadable": 1},
    }


def search_record(trials: int = 24) -> dict[str, Any]:
    """An invented search with rejected, failed and too inaccurate candidates."""
    generator = np.random.default_rng(7)
    rows: list[dict[str, Any]] = []
    for slot in range(trials):
        accuracy = float(np.clip(0.58 + 0.004 * slot + generator.normal(0, 0.03), 0, 1))
        unfairness = float(np.clip(0.30 - 0.005 * slot + generator.normal(0, 0.05), 0.06, 1))
        row = {
            "slot": slot, "state": "complete", "reason": None, "architecture": {}, "loss": None, "accuracy": accuracy,
            "unfairness": unfairness, "reward": 0.2 * accuracy - 0.8 * unfairness,
            "macs": int(10 ** generator.uniform(6.3, 7.7)),
            "params": int(10 ** generator.uniform(4.6, 6)), "epochs": 8, "attempts": 1,
            "groups": {"female": accuracy - 0.05, "male": accuracy + 0.04, "other": 0.7}, "attempt": 1,
            "ratios": {"other": 0.06, "female": 0.44, "male": 0.50},
        }  # fmt: skip
        rows.append(row)
    nothing = dict.fromkeys(("accuracy", "unfairness"))
    rows[4] |= {"state": "rejected", "reason": "latency 12.1 ms > 10 ms", "reward": -1.6, "epochs": 0, **nothing}
    rows[9] |= {
        "state": "failed",
        "reason": "loss is nan at epoch 3",
        "reward": None,
        "epochs": 3,
        "attempts": 2,
        **nothing,
    }
    rows[2] |= {"reward": -1.0}
    order = sorted((r for r in rows if r["state"] == "complete"), key=lambda r: -r["reward"])
    front = [
        r["slot"]
        for r in order
        if not any(o["accuracy"] >= r["accuracy"] and o["unfairness"] <= r["unfairness"] and o is not r for o in order)
    ]
    top = [r["slot"] for r in order[:5]]
    return {"seed": 0, "excluded_groups": ["other"], "trials": rows, "front": front, "top": top, "chosen": top[0]}


def _common(folder: Path, *, verb: str, options: dict[str, Any], test: Audit, validation: Audit, store: dict) -> None:
    write_text(folder / "config.toml", dump_toml({"verb": verb, "options": options}))
    provenance = {
        "started": "2026-01-01T10:00:00+00:00", "finished": "2026-01-01T11:00:00+00:00", "seed": 0,
        "python": "3.11.2",
        "packages": {"mindgap": "0.1.0", "torch": "2.13.0", "numpy": "2.4"},
        "git": {"commit": "a" * 40, "changed": True},
        "hardware": {"processor": "a processor of test data", "cores": 2}, "platform": "test data",
        "store_summary": store,
    }  # fmt: skip
    write_json(folder / "provenance.json", provenance)
    cost = {"params": 431_223, "macs": 21_400_000, "latency_ms": 2.31}
    training = {"image_passes": 1_200_000, "seconds": 840.2, "epochs": 8}
    write_json(folder / "metrics.json", {"validation": validation, "test": test, "cost": cost, "training": training})
    write_text(folder / "architecture.json", architecture().to_json())
    lines = [
        {
            "epoch": e,
            "loss": 1.1 / (1 + 0.2 * e),
            "validation_accuracy": 0.45 + 0.03 * e,
            "validation_unfairness": 0.3 - 0.02 * e,
        }
        for e in range(8)
    ]
    write_text(folder / "log.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


RunMaker = Callable[..., Path]


@pytest.fixture
def make_search_run(tmp_path: Path) -> RunMaker:
    """Writes a search run of invented numbers and returns its folder."""

    def make(
        *, shown: bool = True, search: dict | None = None, test: Audit | None = None, name: str = "test-data"
    ) -> Path:
        folder = tmp_path / "test-data"
        search = search or search_record()
        chosen = next(t for t in search["trials"] if t["slot"] == search["chosen"])
        validation = audit(shown=shown)
        validation["overall"]["accuracy"] = rate(chosen["accuracy"], 600)
        validation["attributes"]["sex"]["gaps"]["unfairness"] = gap(chosen["unfairness"], half=0.07, floor=0.03, p=0.01)
        options = {
            "store": "stores/test-data",
            "attribute": "sex",
            "preset": "fair",
            "epochs": 8,
            "trials": 24,
            "seed": 0,
        }
        common = {
            "options": options,
            "test": test or audit(shown=shown),
            "validation": validation,
            "store": store_summary(),
        }
        _common(folder, verb="search", **common)
        write_json(folder / "search.json", search)
        for slot in set(search["front"]) | set(search["top"]):
            trial = next(t for t in search["trials"] if t["slot"] == slot)
            kept = audit(shown=shown)
            kept["overall"]["accuracy"] = rate(trial["accuracy"], 600)
            kept["attributes"]["sex"]["gaps"]["unfairness"] = gap(trial["unfairness"], half=0.07)
            write_json(folder / "trials" / str(slot) / "1" / "metrics.json", {"validation": kept})
        return folder

    return make


@pytest.fixture
def make_train_run(tmp_path: Path) -> RunMaker:
    """Writes a train run of invented numbers and returns its folder."""

    def make(
        *, shown: bool = False, test: Audit | None = None, store: dict | None = None, name: str = "test-train"
    ) -> Path:
        folder = tmp_path / "test-train"
        options = {"store": "stores/test-data", "network": "resnet18", "attribute": "sex", "epochs": 8, "seed": 0}
        found = test or audit(shown=shown)
        _common(folder, verb="train", options=options, test=found, validation=found, store=store or store_summary())
        return folder

    return make


@pytest.fixture
def make_gap() -> Callable[..., dict]:
    """A function that makes a G of an AUDIT."""
    return gap


@pytest.fixture
def make_audit() -> Callable[..., Audit]:
    """Builds an AUDIT of invented numbers."""
    return audit


@pytest.fixture
def drawn_architecture() -> Architecture:
    """The network of the invented runs."""
    return architecture()
