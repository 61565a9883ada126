"""``audit`` of a table whose columns have names of their own, and of numbers as groups."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mindgap.core.errors import ConfigError, DataError
from mindgap.workflows.audit import audit

FEW = {"bootstrap": 20, "permutations": 20}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    generator = np.random.default_rng(0)
    chance = generator.random(80)
    columns = {
        "image": [f"i{row}" for row in range(80)], "dx": np.where(generator.random(80) < chance, "mel", "nv"),
        "prob_mel": chance, "prob_nv": 1 - chance, "sex": np.array(["f", "m"])[np.arange(80) % 2],
        "age": np.arange(80) % 20 + 40, "id": "not this one",
    }  # fmt: skip
    pd.DataFrame(columns).to_csv(tmp_path / "p.csv", index=False, sep=";")
    return tmp_path / "p.csv"


def test_columns_of_ids_and_classes_may_have_other_names(table: Path, tmp_path: Path):
    record = audit(table, attributes="sex", id="image", label="dx", **FEW)
    plain = pd.read_csv(table, sep=";").drop(columns="id").rename(columns={"image": "id", "dx": "label"})
    plain.to_csv(tmp_path / "plain.csv", index=False)
    other = audit(tmp_path / "plain.csv", attributes="sex", **FEW)
    assert record["overall"] == other["overall"]
    assert record["attributes"] == other["attributes"]


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"id": "imag"}, DataError, "no column 'imag' for the --id; did you mean 'image'"),
        ({"id": "image"}, DataError, "no column 'label' for the classes.*; name it with --label COLUMN"),
        ({"id": "image", "label": "image"}, ConfigError, "--id and --label name one column, 'image'"),
        ({"label": "dx"}, DataError, "id 'not this one' is there more than once"),
    ],
)
def test_columns_that_are_not_there_are_one_line(table: Path, options: dict, kind: type, said: str):
    with pytest.raises(kind, match=said):
        audit(table, attributes="sex", **options, **FEW)


def test_without_ids_the_line_says_how_to_name_them(table: Path):
    pd.read_csv(table, sep=";").drop(columns="id").to_csv(table, index=False)
    with pytest.raises(DataError, match=r"no column 'id' for the row names; .*; or name it with --id COLUMN"):
        audit(table, attributes="sex", **FEW)


def test_a_header_with_outer_blanks_is_named_without_them(table: Path, tmp_path: Path):
    own = {"id": "image", "label": "dx"}
    plain = audit(table, attributes="sex,age:bands=0/50/60,sex*age", **own, **FEW)
    pd.read_csv(table, sep=";").rename(columns={"sex": " sex", "age": "age "}).to_csv(table, sep=";", index=False)
    record = audit(table, attributes="sex,age :bands=0/50/60,sex*age", **own, **FEW)
    assert record == plain
    frame = pd.read_csv(table, sep=";")
    frame[["image", " sex", "age "]].to_csv(tmp_path / "m.csv", index=False)
    frame.drop(columns=[" sex", "age ", "id"]).rename(columns={"dx": "label"}).to_csv(table, index=False)
    joined = audit(table, attributes="sex,age:bands=0/50/60,sex*age", table=tmp_path / "m.csv", id="image", **FEW)
    assert joined["attributes"] == plain["attributes"]


def test_a_column_named_as_an_intersection_may_have_outer_blanks_too(table: Path):
    frame = pd.read_csv(table, sep=";")
    frame.assign(**{"a*b ": frame["sex"]}).to_csv(table, sep=";", index=False)
    record = audit(table, attributes="a*b", id="image", label="dx", **FEW)
    assert list(record["attributes"]["a*b"]["groups"]) == ["f", "m"]


def test_numbers_as_groups_are_told_of_bands(table: Path, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        audit(table, attributes="age", id="image", label="dx", **FEW)
    assert "all 20 groups of age, such as 40, have under 30 rows; cut numbers into bands, as age:bands=0/30/60" in (
        caplog.text
    )
    caplog.clear()
    audit(table, attributes="age:bands=0/50/60", id="image", label="dx", **FEW)
    assert "bands" not in caplog.text
