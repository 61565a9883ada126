"""Provenance: the commands run as printed, and what was not recorded is said."""

from __future__ import annotations

import shlex

import pytest

from mindgap.cli.options import read_pairs
from mindgap.report.origin import commands, option_rows, origin_rows
from mindgap.report.run_files import read_run


def test_the_printed_command_has_every_option_and_is_quoted(make_train_run) -> None:
    run = read_run(make_train_run())
    run.options["attribute"] = "sex; rm -rf *"
    run.options["fingerprint"] = "not an option of the command"
    words = shlex.split(commands(run)[0])
    assert words[:3] == ["mindgap", "train", "stores/test-data"]
    assert words[words.index("--attribute") + 1] == "sex; rm -rf *"
    assert words[words.index("--network") + 1] == "resnet18"
    assert "--fingerprint" not in words
    assert words[-2:] == ["--out", str(run.path)]


def test_the_command_of_a_search_takes_its_tables_of_options_from_the_run(make_search_run) -> None:
    run = read_run(make_search_run())
    words = shlex.split(commands(run)[0])
    assert words[words.index("--config") + 1] == str(run.path / "config.toml")


def test_options_of_a_mitigation_are_in_the_command(make_train_run) -> None:
    run = read_run(make_train_run())
    run.options["mitigation_options"] = {"shares": "data"}
    words = shlex.split(commands(run)[0])
    assert words[words.index("--mitigation-option") + 1] == "shares=data"


def test_the_command_of_a_blended_training_blends(make_train_run) -> None:
    run = read_run(make_train_run())
    assert "--blend" not in commands(run)[0]
    run.options["blend"] = {"reading": "original", "every": 2}
    words = shlex.split(commands(run)[0])
    assert "--blend" in words
    given = [words[i + 1] for i, word in enumerate(words) if word == "--blend-option"]
    assert read_pairs("--blend-option", given) == {"reading": "original", "every": 2}


@pytest.mark.parametrize(
    "value", [True, False, 1, 0.5, 1e-5, "1", "true", "data", "a b", '"data"', "1 # one", "", "[1]", "a=b", "it's"]
)
def test_the_printed_option_of_a_mitigation_reads_as_the_value_it_had(make_train_run, value) -> None:
    run = read_run(make_train_run())
    run.options["mitigation_options"] = {"shares": value}
    words = shlex.split(commands(run)[0])
    read = read_pairs("--mitigation-option", [words[words.index("--mitigation-option") + 1]])
    assert read == {"shares": value}
    assert type(read["shares"]) is type(value)


def test_provenance_names_versions_seed_machine_and_data(make_train_run) -> None:
    rows = dict(origin_rows(read_run(make_train_run())))
    assert rows["Seed"] == "0"
    assert rows["Data fingerprint"] == "test-data-0123456789abcdef"
    assert rows["mindgap"] == "0.1.0, commit aaaaaaaaaaaa with uncommitted changes"
    assert rows["Machine"] == "a processor of test data, 2 cores"
    assert rows["Training"] == "8 epochs, 1\u202f200\u202f000 image passes, 840.2 s"


def test_what_was_not_recorded_is_said(make_train_run) -> None:
    folder = make_train_run()
    (folder / "provenance.json").unlink()
    rows = dict(origin_rows(read_run(folder)))
    assert rows["Started"] == rows["Data fingerprint"] == rows["Machine"] == "not recorded"


def test_options_are_flattened() -> None:
    assert option_rows({"b": {"x": 1}, "a": None}) == [("a", "not recorded"), ("b.x", "1")]
