"""The record of an explanation and its gallery, made up for tests of pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mindgap.report.gallery import GALLERY_FILE
from mindgap.report.picture_pairs import draw_pairs, panel_px, png_bytes

Record = dict[str, Any]
COLOUR = (255, 0, 255)
"""Of every picture of the gallery."""


def value(
    of: float | None, low: float | None = None, high: float | None = None, n: int = 40, reason: str | None = None
) -> Record:
    """A V: a value with its interval."""
    return {"value": of, "low": low, "high": high, "n": n, "reason": reason}


def gap(of: float, low: float, high: float, p: float) -> Record:
    """A G: a gap with its interval and its noise floor."""
    return value(of, low, high, 80) | {"noise_mean": 0.02, "noise_p95": 0.05, "p_value": p}


def group(n: int, means: tuple[float, float, float], *, right: int | None = None) -> Record:
    """A group of n images, with its mean focus on all, the right and the wrong ones."""
    right = n - 10 if right is None else right
    figures = {
        case: value(mean, mean - 0.05, mean + 0.05) for case, mean in zip(("all", "right", "wrong"), means, strict=True)
    }
    return {
        "n": n, "right": right, "wrong": n - right, "blank_maps": 1, "flags": ["small"] * (n < 30), "focus": figures,
    }  # fmt: skip


def made_explanation() -> Record:
    """A record with two attributes, of which ``sex`` has a gap and ``age`` none."""
    no_gap = gap(0.03, 0.0, 0.1, 0.4)
    undefined = value(None, n=3, reason="fewer than two groups have an image with a defined focus") | dict.fromkeys(
        ("noise_mean", "noise_p95", "p_value")
    )
    sex = {
        "spec": "sex", "n": 80, "unknown": 2, "left_out": [],
        "groups": {"a": group(40, (0.5, 0.5, 0.6)), "b": group(40, (0.75, 0.7, 0.9))},
        "gaps": {"all": gap(0.25, 0.1, 0.4, 0.001), "right": no_gap, "wrong": undefined},
    }  # fmt: skip
    age = {
        "spec": "age", "n": 82, "unknown": 0, "left_out": [],
        "groups": {"0-30": group(62, (0.6, 0.6, 0.6), right=60), "30+": group(20, (0.63, 0.6, 0.6))},
        "gaps": {"all": no_gap, "right": no_gap, "wrong": no_gap},
    }  # fmt: skip
    return {
        "run": "/somewhere/runs/mine", "store": "/somewhere/store", "note": None, "schema": 1, "kind": "explanation",
        "task": "single-label", "n": 82, "classes": ["nv", "mel"], "method": "grad-cam", "layer": "head",
        "map_px": [7, 7], "size_px": 224, "split": "test", "target": "the predicted class",
        "masks": {"known": 82, "no_lesion": 0, "all_lesion": 1, "source": "stored"},
        "settings": {"bootstrap": 100, "permutations": 1000, "seed": 0}, "right": 60, "wrong": 22, "blank_maps": 2,
        "focus": {"all": value(0.62, 0.5, 0.7, 80), "right": value(0.6), "wrong": value(0.7)}, "undefined": {},
        "attributes": {"sex": sex, "age": age}, "channels": None, "pruned": None, "gallery": None,
    }  # fmt: skip


def with_gallery(folder: Path, **changes: Any) -> Record:
    """The record with three examples, whose sheet is written into the folder; ``changes`` are of its gallery."""
    examples = [
        {"id": f"i{k}", "label": "nv", "predicted": ("nv", "mel")[k == 1], "probability": 0.9, "target": "mel",
         "right": k != 1, "focus": (0.5, None, None)[k], "is_blank": k == 1, "group": ("a", "a", None)[k]}
        for k in range(3)
    ]  # fmt: skip
    cells = [
        {"group": "a", "right": True, "n": 30},
        {"group": "a", "right": False, "n": 1200},
        {"group": None, "right": True, "n": 2},
    ]
    images = np.broadcast_to(np.array(COLOUR, dtype=np.uint8), (3, 16, 16, 3))
    (folder / GALLERY_FILE).write_bytes(png_bytes(draw_pairs(images, np.zeros_like(images[..., 0]), list(images))))
    gallery = {"attribute": "sex", "panel_px": panel_px(16), "cells": cells, "examples": examples, "label": ""}
    return made_explanation() | {"gallery": gallery | changes}
