"""Every row of the ablation that the documentation names can be run by the flags it gives."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from mindgap.cli.main import run
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store

PAGE = Path(__file__).resolve().parents[1] / "docs" / "concepts" / "search_and_ranking.md"
TRAIN = ["--epochs", "1", "--precision", "fp32", "--bootstrap", "0", "--permutations", "0"]


def rows() -> dict[str, list[str]]:
    """The commands of the section by the name of their run."""
    section = PAGE.read_text(encoding="utf-8").partition("## Parts of it")[2].partition("\n## ")[0]
    commands = [shlex.split(line) for line in re.findall(r"^mindgap .*$", section, flags=re.MULTILINE)]
    return {Path(words[-1]).name: words[1:] for words in commands}


def test_the_page_has_the_five_rows_of_the_papers_table():
    assert list(rows()) == ["vanilla", "loss", "batches_and_loss", "network", "all"]


@pytest.mark.slow
@pytest.mark.parametrize("name", list(rows()))
def test_a_row_runs_and_holds_fixed_what_it_says(name: str, tmp_path: Path):
    store, out = write_tiny_store(tmp_path / "store"), tmp_path / "run"
    words = [{"store": str(store), f"runs/{name}": str(out)}.get(word, word) for word in rows()[name]]
    config = ["--config", str(write_tiny_config(tmp_path, trials=2, epochs=1))]
    assert run([*words, *(TRAIN if words[0] == "train" else config)]) == 0
    options = tomllib.loads((out / "config.toml").read_text())["options"]
    weighted = name in {"loss", "batches_and_loss", "all"}
    assert options["mitigation"] == ("biasless" if weighted else "erm")
    inner = options if words[0] == "train" else options["training"]
    assert inner.get("mitigation_options", {}) == ({"shares": "data"} if name == "loss" else {})
    network = json.loads((out / "architecture.json").read_text())["name"]
    assert (network == "mobilenet_v2") == (name not in {"network", "all"})
    if words[0] == "search":
        trials = json.loads((out / "search.json").read_text())["trials"]
        assert [trial["state"] for trial in trials] == ["complete"] * 2
        assert all(bool(trial["tokens"]) for trial in trials)
        assert options.get("ratios") == ("natural" if name == "network" else None)
