"""A search over networks so small that a candidate takes a fraction of a second."""

from __future__ import annotations

from pathlib import Path

from mindgap.core.config import dump_toml
from mindgap.core.files import write_text

SPACE = """
positions = 2
max_params = 1_500
plugins = false
head_widths = [8, 16]
[stem]
channels = 8
[[blocks]]
type = "mb"
choices = { kernel = [3, 5], hidden_channels = [8, 16], out_channels = [8, 16] }
[[blocks]]
type = "db"
choices = { kernel = [3, 5], hidden_channels = [8, 16], out_channels = [8, 16] }
[[blocks]]
type = "skip"
"""


def write_tiny_config(folder: Path, **options: object) -> Path:
    """Writes a search configuration, and its space, into the folder; ``options`` go before the tiny ones."""
    write_text(folder / "tiny.toml", SPACE)
    tiny: dict[str, object] = {
        "space": str(folder / "tiny.toml"),
        "epochs": 2,
        "trials": 14,
        "bootstrap": 50,
        "permutations": 20,
        "reward": {"min_group": 5, "accuracy_floor": 0.4},
        "searcher_options": {"batch": 4},
        "training": {"precision": "fp32", "batch_size": 32, "lr": 0.01},
    }
    path = folder / "search.toml"
    write_text(path, dump_toml(tiny | options))
    return path
