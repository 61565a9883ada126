"""What ``tune`` refuses, in one line, before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mindgap.cli.main import run as command
from mindgap.core.errors import MindgapError

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "mode": ({"mode": "multitsk"}, "mode"),
    "attribute": ({"attribute": "sx"}, "no attribute 'sx'.*sex"),
    "label": ({"labels": "rd"}, "no label 'rd'.*red"),
    "objective": ({"objectives": "accuracy,ue"}, "objectives: 'ue' is none.*uei"),
    "one objective": ({"objectives": "uei"}, "need two or three"),
    "objectives of the mode dynamic": ({"mode": "dynamic", "objectives": "uei,eopp1"}, "weighs accuracy against one"),
    "optimizer": ({"optimizer": "mops"}, "mopso"),
    "option of the optimizer": ({"optimizer_options": {"inerta": 1}}, "inerta"),
    "budget": ({"budget": 10}, "budget=10 is less than population=20"),
    "too few rows": ({"min_rows": 1000}, "no label can be tuned; 'red': validation: .* needs 1000"),
    "a label with too few rows": ({"min_rows": 1000, "labels": "even"}, "label 'even': .*lower --min-rows"),
    "pick before the front": ({"pick": {"red": 0}}, "has no front of it yet; tune without --pick first"),
    "pick with force": ({"pick": {"red": 0}, "force": True}, "give one"),
    "pick of no label": ({"pick": {"rd": 0}}, "'rd' has no front.*red"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_is_refused_in_one_line_and_leaves_nothing(
    run: Path, quick: Callable[..., Any], tmp_path: Path, what: str
) -> None:
    options, said = REFUSED[what]
    with pytest.raises(MindgapError, match=said) as error:
        quick(run, tmp_path / "out", **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_a_point_that_is_on_no_front_is_refused(run: Path, tuned: Path, quick: Callable[..., Any]) -> None:
    before = (tuned / "tune.json").read_bytes()
    with pytest.raises(MindgapError, match="the front has the points 0 to"):
        quick(run, tuned, pick={"red": 1000})
    assert (tuned / "tune.json").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [({"mode": "thresholds"}, "have no thresholds"), ({"labels": "red"}, "have one head; leave --labels out")],
)
def test_classes_that_exclude_each_other_have_neither_thresholds_nor_labels(
    single_label_run: Path, quick: Callable[..., Any], tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(MindgapError, match=said):
        quick(single_label_run, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "thresholds", "subspace": 4}, "moves biases alone; leave --subspace out"),
        ({"subspace": 65}, "subspace is 65: give 64 or less"),
        ({"hidden": 0}, "hidden is 0: give 1 or more"),
        ({"hidden": 10**12}, "give 8192 or less"),
        ({"population": 10**9, "budget": 10**9}, "give 100000 or less"),
        ({"reach": 1e300}, "give 1000"),
        ({"optimizer_options": {"noise": float("inf")}}, "noise is inf"),
        ({"optimizer_options": {"velocity": float("nan")}}, "velocity is nan"),
    ],
)
def test_impossible_heads_are_refused(
    run: Path, quick: Callable[..., Any], tmp_path: Path, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(MindgapError, match=said):
        quick(run, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_second_hidden_layer_is_refused(run: Path, quick: Callable[..., Any], tmp_path: Path) -> None:
    quick(run, tmp_path / "one", mode="thresholds", hidden=4)
    with pytest.raises(MindgapError, match="has a hidden layer already, of 4 units"):
        quick(tmp_path / "one", tmp_path / "two", hidden=4)
    assert not (tmp_path / "two").exists()


def test_a_network_that_predicts_by_groups_is_refused(
    make_run: Callable[..., Path], quick: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run({"multi_label": False}, mitigation="domainindep")
    with pytest.raises(MindgapError, match="does not predict alone"):
        quick(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_was_found(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["tune", str(run), "--budget", "40", "--population", "20", "--min-rows", "3", "--bootstrap", "20"]
    asked += ["--permutations", "20", "--out", str(tmp_path / "out"), "--optimizer-option", "archive=20"]
    assert command(asked) == 0
    said = capsys.readouterr().out
    assert "red: point" in said
    assert "report:" in said
    more = [*asked, "--optimizer-option", "inertia=[0.2, 0.4]", "--out", str(tmp_path / "other")]
    assert command(more) == 0
    assert command([*asked, "--pick", "red"]) == 2
    assert "give LABEL=POINT" in capsys.readouterr().err
    assert command([*asked, "--pick", "red=0"]) == 0
    assert "(picked)" in capsys.readouterr().out


def test_a_label_that_a_half_lacks_is_told_what_helps(
    make_run: Callable[..., Path], quick: Callable[..., Any], tmp_path: Path
) -> None:
    run = make_run(seed=4)
    place = run.parent / "store" / "table.parquet"
    table = pd.read_parquet(place)
    rows = table.index[(table["split"] == "validation") & (table["sex"] == "b") & (table["label_red"] == 1)]
    table.loc[rows[1:], "label_red"] = 0
    table.to_parquet(place)
    with pytest.raises(MindgapError, match=r"half to .* needs 1; leave it out, or give --no-hold-back"):
        quick(run, tmp_path / "out", labels="red", min_rows=1)
    assert not (tmp_path / "out").exists()
    quick(run, tmp_path / "all", labels="red", min_rows=1, hold_back=False)
