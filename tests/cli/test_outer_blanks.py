"""Outer blanks in cells and headers on the command line: one line, exit code 2, and nothing left behind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mindgap.cli.main import run

N = 40


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Images and a table of them, which is one of predictions too; ``ragged`` holds three spellings of two words."""
    (tmp_path / "images").mkdir()
    for row in range(N):
        Image.fromarray(np.full((9, 9, 3), 6 * row, dtype=np.uint8)).save(tmp_path / "images" / f"{row}.png")
    label = np.array(["nv", "mel"])[np.arange(N) % 2]
    columns = {
        "id": np.arange(N), "label": label, "prediction": label[::-1], "Sex ": ["f", "f", "m", "unknown"] * 10,
        "ragged": ["female", "male", "female ", "male"] * 10, "Sex, at birth": ["f", "m"] * 20,
    }  # fmt: skip
    pd.DataFrame(columns).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def call(verb: str, table: Path, attributes: str, *more: str) -> list[str]:
    place = table.parent
    if verb == "audit":
        few = ["--bootstrap", "0", "--permutations", "0"]
        return [verb, str(table), "--attributes", attributes, "--json", str(place / "audit.json"), *few, *more]
    inputs = ["--images", str(place / "images"), "--metadata", str(table), "--id", "id"]
    label = [] if "--label" in more else ["--label", "label"]
    cheap = ["--size", "8", "--workers", "1"]
    return [verb, *inputs, *label, "--attributes", attributes, "--out", str(place / "made"), *cheap, *more]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["audit", "ragged"], "attribute 'ragged': 'female' and 'female ' differ by blanks only; clean the column"),
        (["prepare", "ragged"], "attribute 'ragged': 'female' and 'female ' differ by blanks only; clean the column"),
        (["prepare", "Sex", "--label", "ragged"],
         "column 'ragged': 'female' and 'female ' differ by blanks only; clean the column"),
        (["audit", "Sex, at birth"], "rename the column 'Sex, at birth': with a ',' in its name it cannot be given"),
        (["prepare", "Sex, at birth"], "rename the column 'Sex, at birth': with a ',' in its name it cannot be given"),
    ],
)  # fmt: skip
def test_what_would_be_taken_for_two_or_cannot_be_named_is_one_line(
    table: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    verb, attributes, *more = arguments
    assert run(call(verb, table, attributes, *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert sorted(path.name for path in table.parent.iterdir()) == ["images", "table.csv"]


def test_a_header_with_outer_blanks_can_be_named_and_both_verbs_tell_of_missing_words(
    table: Path, capsys: pytest.CaptureFixture[str]
):
    told = "Sex has a group 'unknown' of 10 rows; if that word means a missing value, empty those cells"
    for attributes in ("Sex", "Sex "):
        for verb, more in (("audit", []), ("prepare", ["--force"])):
            assert run(call(verb, table, attributes, *more)) == 0
            captured = capsys.readouterr()
            assert told in captured.out + captured.err


@pytest.mark.parametrize("verb", ["prepare", "audit"])
def test_one_patient_in_two_spellings_cannot_be_in_two_splits(
    verb: str, table: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(call(verb, table, "Sex", "--cluster", "ragged")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("column 'ragged': 'female' and 'female ' differ by blanks only; clean the column")
    assert not (table.parent / "made").exists()
    assert not (table.parent / "audit.json").exists()


def test_decisions_of_classes_alike_but_for_blanks_are_refused(table: Path, capsys: pytest.CaptureFixture[str]):
    decided = pd.read_csv(table)
    decided.loc[0, "prediction"] += " "
    decided.to_csv(table, index=False)
    assert run(call("audit", table, "Sex")) == 2
    assert "label and prediction: 'mel' and 'mel ' differ by blanks only" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["prepare", "audit"])
def test_a_cluster_column_with_an_outer_blank_may_be_an_attribute_too(verb: str, table: Path):
    assert run(call(verb, table, "Sex", "--cluster", "Sex ")) == 0
