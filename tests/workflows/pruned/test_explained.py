"""A pruned run, explained: the channels that went, beside those that stayed, in the network from before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mindgap.api import explain
from mindgap.core.files import read_json
from mindgap.core.notes import NOTE


@pytest.fixture(scope="module")
def masked_run(make_run: Callable[..., Path]) -> Path:
    return make_run({"masks": True})


@pytest.fixture(scope="module")
def pruned_run(masked_run: Path, quick: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("explained") / "pruned"
    quick(masked_run, out, layers="blocks.0", control=False)
    return out


def test_removed_channels_stand_beside_kept_ones(pruned_run: Path, tmp_path: Path) -> None:
    found = explain(pruned_run, out=tmp_path / "out", examples=2, channels=2, bootstrap=50, permutations=50)
    record = read_json(pruned_run / "prune.json")
    gone = [channel for step in record["iterations"] for channel in step["removed"].get("blocks.0", [])]
    layer = found["pruned"]["blocks.0"]
    assert layer["channels"] == 16
    assert "Pruned channels" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    files = found["gallery"]["pruned_files"]["blocks.0"]
    drawn = {int(name.rpartition("_ch_")[2].removesuffix(".png")) for name in files}
    assert drawn == set(gone[:2])
    assert all((tmp_path / "out" / "pruned" / "blocks.0" / "channels" / name).is_file() for name in files)


def test_without_the_run_before_there_is_no_comparison(
    masked_run: Path, quick: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(masked_run, tmp_path / "copy")
    quick(tmp_path / "copy", tmp_path / "pruned", iterations=1, control=False)
    caplog.set_level(NOTE, "mindgap")
    shutil.rmtree(tmp_path / "copy")
    found = explain(tmp_path / "pruned", out=tmp_path / "out", bootstrap=0, permutations=0)
    assert found["pruned"] is None
    assert "the run that was pruned is not there as it was" in caplog.text


def test_where_nothing_was_removed_there_is_no_comparison(
    masked_run: Path, quick: Callable[..., Any], tmp_path: Path
) -> None:
    quick(masked_run, tmp_path / "pruned", iterations=1, control=False, min_gap_reduction=1.0)
    assert explain(tmp_path / "pruned", out=tmp_path / "out", bootstrap=0, permutations=0)["pruned"] is None
