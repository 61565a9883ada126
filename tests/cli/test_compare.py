"""``mindgap compare`` on the command line: what it prints, and one line where it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mindgap.cli.main import run
from mindgap.report.gap_families import HEADLINE
from mindgap.report.measures import measure_of
from mindgap.testing.tiny_store import write_tiny_store

FEW = ["--bootstrap", "100", "--permutations", "199"]


@pytest.fixture
def write(tmp_path: Path):
    """Writes predictions of a model that is right in groups f and m with the shares given."""

    def write(name: str, f: float, m: float, *, each: int = 300, **columns: Any) -> Path:
        people, luck = np.random.default_rng(0), np.random.default_rng(len(name))
        groups = np.repeat(["f", "m"], each)
        label = np.array(["nv", "mel"])[people.integers(2, size=2 * each)]
        right = (people.random(2 * each) + 0.1 * luck.random(2 * each)) % 1 < np.repeat([f, m], each)
        other = np.where(label == "nv", "mel", "nv")
        frame = {"id": np.arange(2 * each), "label": label, "prediction": np.where(right, label, other), "sex": groups}
        pd.DataFrame(frame | columns).to_csv(tmp_path / name, index=False)
        return tmp_path / name

    return write


def call(*paths: Path) -> list[str]:
    return ["compare", *map(str, paths), "--attributes", "sex"]


def test_what_may_be_said_stands_first(write, capsys: pytest.CaptureFixture[str]):
    assert run([*call(write("a.csv", 0.6, 0.9), write("b.csv", 0.85, 0.9)), *FEW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["2 models on the same 600 rows, 2 classes", "baseline: a.csv", "model: b.csv"]
    assert lines[3] == "b.csv is right more often than a.csv."
    assert "95 % interval +" in lines[4]
    assert lines[5].startswith("Over sex, b.csv helps beside a.csv: its gap (Unfairness U) is smaller")
    assert lines[6].startswith("  Unfairness U 0.")
    assert "p = 0.005 (Holm), n = 600." in lines[6]
    assert lines[7].startswith("  Worst-group accuracy 0.")
    assert any(line.startswith("  Accuracy ") and line.endswith("better") for line in lines)
    assert lines[-1].startswith("These are differences between the trained networks named")


def test_the_gap_of_the_verdict_leads_and_then_those_that_lead_a_page(write, capsys: pytest.CaptureFixture[str]):
    paths = write("a.csv", 0.6, 0.9), write("b.csv", 0.85, 0.9)
    assert run([*call(*paths), "--gap", "f1_difference", *FEW, "--permutations", "19"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (head,) = (k for k, line in enumerate(lines) if line.startswith("sex: n = "))
    (end,) = (k for k, line in enumerate(lines) if line.endswith("gaps more in the record (--json)"))
    printed = [line.strip().split("  ")[0] for line in lines[head + 2 : end]]
    assert printed == [measure_of(key).label for key in ("f1_difference", *HEADLINE)]


def test_no_difference_is_said_in_words_with_n(write, capsys: pytest.CaptureFixture[str]):
    assert run([*call(write("a.csv", 0.8, 0.8), write("b.csv", 0.8, 0.8)), *FEW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == "No difference in accuracy between b.csv and a.csv is shown (n = 600)."
    assert lines[5] == "Over sex, no difference in the gap (Unfairness U) between b.csv and a.csv is shown (n = 600)."


def test_seeds_have_their_table(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for name, options in (
        ("r-0", 'seed = 0\nnetwork = "r"'),
        ("r-1", 'seed = 1\nnetwork = "r"'),
        ("m", 'network = "m"'),
    ):
        (tmp_path / name).mkdir()
        pd.read_csv(write("a.csv", 0.8, 0.8)).to_parquet(tmp_path / name / "predictions.parquet")
        (tmp_path / name / "config.toml").write_text(f'verb = "train"\n[options]\n{options}\n')
    assert run(["compare", *(str(tmp_path / name) for name in ("r-0", "r-1", "m")), *FEW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "baseline: r, seeds 0, 1"
    assert lines[2].startswith("model: m; seeds compared: the only one with 0; 1 seed has no partner")
    (row,) = (line for line in lines if line.startswith("  r ") and " Accuracy " in line)
    assert "0.8" in row
    assert " ± 0.000" in row


def test_files_are_written_and_named(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    places = ["--json", str(tmp_path / "c.json"), "--html", str(tmp_path / "c.html")]
    assert run([*call(write("a.csv", 0.6, 0.9), write("b.csv", 0.8, 0.9)), *FEW, *places]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-2:] == [f"record: {tmp_path / 'c.json'}", f"page: {tmp_path / 'c.html'}"]
    assert json.loads((tmp_path / "c.json").read_text())["baseline"] == "a.csv"


def test_names_cannot_steer_the_terminal(write, capsys: pytest.CaptureFixture[str]):
    hostile = np.repeat(["a\x1b[31m\nb", "x" * 5000], 300)
    paths = write("a\x1b[2J.csv", 0.6, 0.9, sex=hostile), write("b.csv", 0.8, 0.9, sex=hostile)
    assert run([*call(*paths), *FEW]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) < 700


def test_many_models_and_labels_are_a_short_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    generator, n = np.random.default_rng(0), 60
    columns: dict[str, Any] = {"id": np.arange(n), "sex": np.array(["f", "m"])[np.arange(n) % 2]}
    columns |= {f"label_l{k}": generator.integers(2, size=n) for k in range(9)}
    for name in "ab":
        chances = {f"prob_l{k}": generator.random(n) for k in range(9)}
        pd.DataFrame(columns | chances).to_parquet(tmp_path / f"{name}.parquet")
    paths = (tmp_path / "a.parquet", tmp_path / "b.parquet")
    assert run([*call(*paths), "--bootstrap", "20", "--permutations", "20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 models on the same 60 rows, 9 labels"
    assert "and 6 findings more: see --json or --html" in lines
    assert len(lines) < 50


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--gap", "fair"], "gap 'fair' is unknown for this task; "),
        (["--bootstrap", "-1"], "got '-1'"),
        (["--split", "x\x1b[31m"], "no column 'split'"),
        (["--attributes", "tone"], "no column 'tone' for the attribute; "),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_2(
    write, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    paths = write("a.csv", 0.6, 0.9, each=20), write("b.csv", 0.8, 0.9, each=20)
    assert run([*call(*paths), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err
    assert "\x1b" not in captured.err


def test_no_runs_one_run_or_a_store_are_refused(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    store = write_tiny_store(tmp_path / "store", n=60)
    for arguments, words in (
        ([], "Missing argument 'RUN_A RUN_B... | STORE'"),
        ([str(write("a.csv", 0.6, 0.9, each=20))], "got 1; name another"),
        ([str(store)], "is a store, so --methods is missing"),
    ):
        assert run(["compare", *arguments]) == 2
        error = capsys.readouterr().err
        assert words in error
        assert error.count("\n") == 1


def test_tables_are_compared_without_torch(write):
    code = (
        "import sys; from mindgap.cli.main import run; code = run(sys.argv[1:]); "
        "sys.exit(code or ('torch' in sys.modules))"
    )
    paths = write("a.csv", 0.6, 0.9, each=40), write("b.csv", 0.8, 0.9, each=40)
    subprocess.run([sys.executable, "-c", code, *call(*paths), *FEW], check=True, capture_output=True)
