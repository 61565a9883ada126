from __future__ import annotations

from pathlib import Path

import pytest

from mindgap.core.config import StrictModel, dump_toml, load_toml, parse, read_toml
from mindgap.core.errors import ConfigError


class Inner(StrictModel):
    width: int = 3


class Outer(StrictModel):
    inner: Inner = Inner()
    epochs: int


def test_an_unknown_key_names_the_near_one():
    with pytest.raises(ConfigError, match=r"unknown key 'epoch'; did you mean 'epochs'"):
        parse(Outer, {"epoch": 3, "epochs": 2})


def test_an_unknown_nested_key_names_the_near_nested_one():
    with pytest.raises(ConfigError, match=r"unknown key 'inner.widht'; did you mean 'width'"):
        parse(Outer, {"epochs": 2, "inner": {"widht": 3}})


def test_missing_and_misfit_values_are_one_line():
    with pytest.raises(ConfigError, match="epochs is missing"):
        parse(Outer, {})
    with pytest.raises(ConfigError, match="epochs is 'many'"):
        parse(Outer, {"epochs": "many"}, source="a.toml")


def test_toml_round_trip_leaves_none_out(tmp_path: Path):
    path = tmp_path / "a.toml"
    path.write_text(dump_toml({"epochs": 2, "none": None, "inner": {"width": 4}, "path": tmp_path}))
    assert read_toml(path) == {"epochs": 2, "inner": {"width": 4}, "path": str(tmp_path)}
    path.write_text(dump_toml({"epochs": 2, "inner": {"width": 4}}))
    assert load_toml(path, Outer) == Outer(epochs=2, inner=Inner(width=4))


def test_missing_and_broken_files_are_one_line(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = ")
    with pytest.raises(ConfigError, match="not valid TOML"):
        read_toml(tmp_path / "bad.toml")
