"""``mindgap audit`` on the command line: what it prints, and one line where it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mindgap.cli.audit_lines import audit_record_lines
from mindgap.cli.main import run
from mindgap.cli.summary import printable
from mindgap.report.gap_families import HEADLINE
from mindgap.report.measures import measure_of
from mindgap.testing.tiny_store import write_tiny_store

FEW = ["--bootstrap", "50", "--permutations", "99"]


@pytest.fixture
def write(tmp_path: Path):
    """Writes a table of predictions in which ``groups`` are right with the shares given, and gives its path."""

    def write(groups: dict[str, float], *, each: int = 200, **columns: Any) -> Path:
        generator = np.random.default_rng(0)
        names = np.repeat(list(groups), each)
        right = generator.random(len(names)) < np.repeat(list(groups.values()), each)
        label = np.array(["nv", "mel"])[generator.integers(2, size=len(names))]
        other = np.where(label == "nv", "mel", "nv")
        frame = {"id": np.arange(len(names)), "label": label, "prediction": np.where(right, label, other), "sex": names}
        path = tmp_path / "predictions.csv"
        pd.DataFrame(frame | columns).to_csv(path, index=False)
        return path

    return write


def test_the_finding_stands_first_and_figures_stand_beside_their_floor(write, capsys: pytest.CaptureFixture[str]):
    path = write({"f": 0.6, "m": 0.9})
    assert run(["audit", str(path), "--attributes", "sex", *FEW]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{path}: 400 rows, 2 classes"
    assert lines[1].startswith("A gap over sex is shown: the model is right for 5")
    assert "n = 200" in lines[2]
    (u,) = (line for line in lines if line.startswith("  Unfairness U"))
    assert u.count("[") == 1
    assert u.endswith("0.010  0.010")
    assert any(line.startswith("overall: accuracy 0.7") and "[" in line for line in lines)
    assert any(line.startswith("  f      200  0.5") for line in lines)


def test_the_gaps_that_lead_a_page_lead_the_terminal(write, capsys: pytest.CaptureFixture[str]):
    assert run(["audit", str(write({"f": 0.6, "m": 0.9})), "--attributes", "sex", *FEW]) == 0
    lines = capsys.readouterr().out.splitlines()
    (head,) = (k for k, line in enumerate(lines) if line.startswith("  gap "))
    assert lines[-1].endswith("gaps more in the record (--json)")
    printed = [line.strip().split("  ")[0] for line in lines[head + 1 : -1]]
    assert printed == [measure_of(key).label for key in HEADLINE]


def test_what_is_not_defined_is_said_once_and_fills_no_column(write, capsys: pytest.CaptureFixture[str]):
    assert run(["audit", str(write({"f": 0.6, "m": 0.9})), "--attributes", "sex", *FEW]) == 0
    lines = capsys.readouterr().out.splitlines()
    (undefined,) = (line for line in lines if line.startswith("overall, not defined: "))
    assert "macro AUROC" in undefined
    (head,) = (line for line in lines if line.startswith("  group "))
    assert "accuracy" in head
    assert "AUROC" not in head


def test_a_gap_that_chance_explains_is_not_called_one(write, capsys: pytest.CaptureFixture[str]):
    assert run(["audit", str(write({"f": 0.8, "m": 0.8})), "--attributes", "sex", *FEW]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("No gap in accuracy over sex shown")


def test_two_hundred_groups_are_a_short_summary(write, capsys: pytest.CaptureFixture[str]):
    path = write({f"g{k}": 0.8 for k in range(200)}, each=4)
    assert run(["audit", str(path), "--attributes", "sex", "--bootstrap", "5", "--permutations", "5"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) < 40
    assert "and 188 groups more; 200 of all 200 have under 30 rows" in out
    assert max(map(len, out.splitlines())) < 700


def test_names_cannot_steer_the_terminal(write, capsys: pytest.CaptureFixture[str]):
    path = write({"a\x1b[31m\nb": 0.8, "x" * 5000: 0.8})
    assert run(["audit", str(path), "--attributes", "sex", *FEW]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "a\\x1b[31m\\nb" in out
    assert max(map(len, out.splitlines())) < 700


def test_text_is_printable_on_one_line():
    assert printable("a\tb\u202f%\x9b\u202e é\U0001fa7a") == "a\\tb %\\x9b\\u202e é\U0001fa7a"
    assert printable("x" * 100, most=10) == "x" * 9 + "…"


def test_files_are_written_and_named(write, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    place = tmp_path / "audit.json"
    assert run(["audit", str(write({"f": 0.6, "m": 0.9})), "--attributes", "sex", "--json", str(place), *FEW]) == 0
    assert f"record: {place}" in capsys.readouterr().out
    record = json.loads(place.read_text())
    assert record["options"]["bootstrap"] == 50
    lines = audit_record_lines(record)
    assert lines[0].endswith("400 rows, 2 classes")


def test_rows_of_a_split_are_counted_against_all(write, capsys: pytest.CaptureFixture[str]):
    path = write({"f": 0.6, "m": 0.9}, split=["train", "test"] * 200)
    assert run(["audit", str(path), "--attributes", "sex", *FEW]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: 200 of 400 rows (split test), 2 classes\n")


def test_attributes_are_told_apart_and_what_fits_no_group_is_said(write, capsys: pytest.CaptureFixture[str]):
    path = write({"f": 0.6, "m": 0.9}, age=[str(k % 120) for k in range(400)])
    assert run(["audit", str(path), "--attributes", "sex,age:bands=0/50/100,sex*age", *FEW]) == 0
    out = capsys.readouterr().out
    assert "age: n = 343, unknown 57, of which 57 fit no group" in out
    assert "  f*0-50" in out


@pytest.mark.parametrize("labels", [2, 30])
def test_many_labels_are_a_short_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str], labels: int):
    generator, n = np.random.default_rng(0), 120
    columns: dict[str, Any] = {"id": np.arange(n), "sex": np.array(["f", "m"])[np.arange(n) % 2]}
    for k in range(labels):
        columns |= {f"label_l{k}": generator.integers(2, size=n), f"prob_l{k}": generator.random(n)}
    pd.DataFrame(columns).to_parquet(tmp_path / "p.parquet")
    call = ["audit", str(tmp_path / "p.parquet"), "--attributes", "sex", "--bootstrap", "20", "--permutations", "20"]
    assert run(call) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith(f"120 rows, {labels} labels")
    assert any(line.startswith("overall, mean over labels: accuracy") for line in lines)
    assert any(line.startswith("  l0 ") for line in lines) or labels > 12
    assert ("  and 18 lines more in the record (--json)" in lines) == (labels > 12)
    assert len(lines) < 50


def test_without_resamples_no_gap_is_claimed(write, capsys: pytest.CaptureFixture[str]):
    path = write({"f": 0.6, "m": 0.9})
    assert run(["audit", str(path), "--attributes", "sex", "--bootstrap", "0", "--permutations", "0"]) == 0
    out = capsys.readouterr().out
    assert "is shown" not in out
    assert "no noise floor" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "no attribute is named; name columns of groups with --attributes, from: sex"),
        (["--attributes", "tone"], "no column 'tone' for the attribute; "),
        (["--attributes", "sex", "--bootstrap", "-1"], "got '-1'"),
        (["--attributes", "sex", "--interval", "normal"], "interval='normal': known: bca, percentile"),
        (["--attributes", "sex", "--id", "image_id"], "no column 'image_id' for the --id"),
        (["--attributes", "sex", "--split", "x\x1b[31m"], "no column 'split'"),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_2(
    write, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["audit", str(write({"f": 0.6, "m": 0.9})), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


def test_a_refusal_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "p.csv").write_text("id,label,prediction,sex\n1,a,a,f\n")
    assert run(["audit", str(tmp_path / "p.csv"), "--attributes", "\x1b[2J"]) == 2
    assert "\x1b" not in capsys.readouterr().err
    (tmp_path / "p.csv").write_text(
        "id,label,prob_a,prob_" + "b" * 90_000 + ",sex\n1,c\x1b,.5,.5,f\n2,a,.5,.5,m\n3,a,.5,.5,m\n"
    )
    assert run(["audit", str(tmp_path / "p.csv"), "--attributes", "sex"]) == 2
    error = capsys.readouterr().err
    assert "is no class; known: a, bbb" in error
    assert "\x1b" not in error
    assert len(error) < 3000


def test_a_store_has_its_own_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    pytest.importorskip("mindgap.cli.store_lines")
    assert run(["audit", str(write_tiny_store(tmp_path / "store", n=60)), "--permutations", "20"]) == 0
    assert capsys.readouterr().out.startswith("60 images, 2 classes, 30 clusters; train")


def test_a_table_is_audited_without_torch(write):
    code = (
        "import sys; from mindgap.cli.main import run; code = run(sys.argv[1:]); "
        "sys.exit(code or ('torch' in sys.modules))"
    )
    call = [sys.executable, "-c", code, "audit", write({"f": 0.6, "m": 0.9}), "--attributes", "sex", *FEW]
    subprocess.run(call, check=True, capture_output=True)
