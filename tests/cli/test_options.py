from __future__ import annotations

import importlib
import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.main import get_command

from mindgap.cli.main import build_app, run
from mindgap.cli.options import read_pairs
from mindgap.core.errors import ConfigError
from mindgap.space.network import resolve_network
from mindgap.testing.tiny_search import write_tiny_config
from mindgap.testing.tiny_store import write_tiny_store

TINY = ["--epochs", "1", "--batch-size", "32", "--bootstrap", "0", "--permutations", "0"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_store(tmp_path_factory.mktemp("data") / "store", n=120)


def options_of(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "config.toml").read_text())["options"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("data", "data"),
        ('"data"', "data"),
        ("2", 2),
        (".5", ".5"),  # TOML's numbers have a digit before the point
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("true", True),
        ("", ""),
        ("a=b", "a=b"),
        ("2024-01-01", "2024-01-01"),
        ("[1, 2]", (1, 2)),
        ('[0.5, "a"]', (0.5, "a")),
        ("[1, [2]]", "[1, [2]]"),
        ("[1", "[1"),
        ("1\nother = 2", "1\nother = 2"),
    ],
)
def test_a_value_is_a_toml_scalar_or_else_text(text: str, value: object):
    (read,) = read_pairs("--mitigation-option", [f"key={text}"]).values()
    assert (read, type(read)) == (value, type(value))


def test_the_last_of_two_values_counts_and_none_given_is_none():
    assert read_pairs("--mitigation-option", ["a=1", "b=x", "a=2"]) == {"a": 2, "b": "x"}
    assert read_pairs("--mitigation-option", []) is None
    assert read_pairs("--mitigation-option", None) is None


@pytest.mark.parametrize("pair", ["shares", "=data", " =data"])
def test_a_pair_without_a_key_or_a_value_is_one_line(pair: str):
    with pytest.raises(ConfigError, match=r"--mitigation-option '.*': give KEY=VALUE"):
        read_pairs("--mitigation-option", [pair])


@pytest.mark.parametrize("verb", ["prepare", "search", "synth", "train"])
def test_every_keyword_of_a_verb_is_a_long_option(verb: str):
    keywords = inspect.signature(getattr(importlib.import_module("mindgap.api"), verb)).parameters
    shown = {parameter.name: parameter.opts for parameter in get_command(build_app()).commands[verb].params}  # pyright: ignore[reportAttributeAccessIssue]
    repeated = {name: name.removesuffix("s") for name in ("mitigation_options", "placement_options")}  # pair by pair
    assert {name for name in keywords if repeated.get(name, name) not in shown} == set()


def test_train_takes_rate_precision_device_and_mitigation_options_by_flag(store: Path, tmp_path: Path):
    out = tmp_path / "run"
    flags = ["--lr", "1e-3", "--precision", "fp32", "--device", "cpu", "--mitigation", "biasless"]
    flags += ["--mitigation-option", "shares=data", "--mitigation-option", "reduction=sum"]
    assert run(["train", str(store), "--network", "mobilenet_v2", "--out", str(out), *TINY, *flags]) == 0
    options = options_of(out)
    assert (options["lr"], options["precision"], options["device"]) == (1e-3, "fp32", "cpu")
    assert options["mitigation_options"] == {"shares": "data", "reduction": "sum"}
    assert json.loads((out / "metrics.json").read_text())["training"]["mitigation"] == "biasless"


def test_train_takes_weights_and_frozen_parts_by_flag(store: Path, tmp_path: Path):
    network = resolve_network("mobilenet_v2", num_classes=4, input_px=32).build()
    torch.save(network.state_dict(), tmp_path / "start.pt")
    flags = ["--weights", str(tmp_path / "start.pt"), "--freeze", "18", "--precision", "fp32"]
    assert run(["train", str(store), "--network", "mobilenet_v2", "--out", str(tmp_path / "run"), *TINY, *flags]) == 0
    options = options_of(tmp_path / "run")
    assert (options["weights"], options["freeze"]) == (str(tmp_path / "start.pt"), 18)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--lr", "0"], "train: lr is 0.0"),
        (["--freeze", "19"], "mobilenet_v2 has 18 parts"),
        (["--freeze", "-1"], "--freeze"),
        (["--weights", "nowhere.pt"], "nowhere.pt: cannot read the weights"),
        (["--lr", "fast"], "got 'fast'"),
        (["--precision", "fp8"], "train: precision is 'fp8'"),
        (["--device", "tpu"], "train: device is 'tpu'"),
        (["--mitigation-option", "shares=data"], "unknown key 'shares'"),
        (["--mitigation", "biasless", "--mitigation-option", "shares=date"], "shares is 'date'"),
        (["--mitigation-option", "shares"], "give KEY=VALUE"),
    ],
)
def test_a_wrong_training_flag_is_one_line_and_leaves_no_folder(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: str
):
    out = tmp_path / "run"
    assert run(["train", str(store), "--network", "mobilenet_v2", "--out", str(out), *flags]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1
    assert words in shown
    assert not out.exists()


def test_search_takes_the_smallest_group_and_mitigation_options_by_flag(store: Path, tmp_path: Path):
    config, out = write_tiny_config(tmp_path, trials=1, epochs=1), tmp_path / "run"
    flags = ["--config", str(config), "--min-group", "3", "--mitigation-option", "shares=data"]
    assert run(["search", str(store), "--out", str(out), *flags]) == 0
    options = options_of(out)
    assert options["reward"] == {"min_group": 3, "accuracy_floor": 0.4}
    assert options["training"]["mitigation_options"] == {"shares": "data"}
    assert options["training"]["lr"] == 0.01
