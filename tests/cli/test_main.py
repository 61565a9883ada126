from __future__ import annotations

import logging
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from mindgap.cli.main import VERBS, build_app, run
from mindgap.cli.summary import status_lines
from mindgap.core.notes import note
from mindgap.search.preset import PRESETS


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]):
    assert run([verb, "--help"]) == 0
    assert f"mindgap {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tarin"], "No such command 'tarin'"),
        (["train", "somewhere"], "Missing option '--out'"),
        (["train", "--bad"], "No such option: --bad"),
        (["search"], "search needs a STORE and --out RUN"),
        (["list", "metric"], "no kind of plug-in 'metric'; did you mean 'metrics'"),
        (["train", "s", "--out", "o", "--network", "resnet18", "--epochs", "0"], "'--epochs'"),
        (["train", "s", "--out", "o", "--network", "resnet18", "--epochs", "many"], "got 'many'"),
        (["synth", "o", "--n=abc"], "got 'abc'"),
        (["synth", "o", "--n", "30", "--n", "abc"], "got 'abc'"),
        (["synth", "o", "--n", "30", "--n="], "got ''"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert words in captured.err


def test_no_arguments_show_the_verbs(capsys: pytest.CaptureFixture[str]):
    assert run([]) == 0
    shown = capsys.readouterr().out
    assert [verb for verb in VERBS if f"  {verb} " not in shown] == []


def test_version_is_printed(capsys: pytest.CaptureFixture[str]):
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mindgap 0.")


def test_help_takes_under_half_a_second_and_imports_no_torch():
    code = "import sys; from mindgap.cli.main import run; run(['--help']); sys.exit('torch' in sys.modules)"
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 0.5  # of processor time, which a busy machine does not stretch as it does the clock's


def test_a_traceback_is_kept_for_our_own_mistakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    from mindgap.workflows import plugins

    monkeypatch.setitem(plugins.REGISTRIES, "broken", "mindgap.core.nowhere:NOTHING")
    with pytest.raises(ModuleNotFoundError):
        run(["list", "broken"])


def test_ctrl_c_exits_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from mindgap.workflows import plugins

    def interrupted(kind: str) -> dict[str, str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(plugins, "list_plugins", interrupted)
    assert run(["list", "losses"]) == 130
    assert "run the same command again" in capsys.readouterr().err


def test_a_worker_needs_a_search_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["worker", "--study", str(tmp_path)]) == 2
    assert "there is no ledger" in capsys.readouterr().err


def test_status_of_no_search_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["search", "--status", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_warnings_and_remarks_are_one_line_each(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    from mindgap.workflows import plugins

    def warned(kind: str) -> dict[str, str]:
        logging.getLogger("mindgap.search").warning("%s: crashed\nTraceback", "slot 3")
        note(logging.getLogger("mindgap.search"), "blending is left out\nas it is")
        logging.getLogger("mindgap.search").info("nobody needs this")
        return {}

    monkeypatch.setattr(plugins, "list_plugins", warned)
    for _ in range(2):
        assert run(["list", "losses"]) == 0
        assert capsys.readouterr().err == "warning: slot 3: crashed\nnote: blending is left out\n"


def test_a_damaged_provenance_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["synth", str(tmp_path / "set"), "--n", "30", "--size", "16"]) == 0
    (tmp_path / "set" / "provenance.json").write_text("[]")
    capsys.readouterr()
    assert run(["synth", str(tmp_path / "set"), "--n", "30", "--size", "16"]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1


def test_a_full_disk_behind_the_output_is_one_line(tmp_path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    call = [sys.executable, "-m", "mindgap.cli.main", "list", "metrics"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr.splitlines()[0].startswith("error: the output cannot be written (no space left)")
    assert done.returncode == 2


@pytest.mark.parametrize(("share", "first"), [("0.5", "true_tone,sex"), ("0.1", "sex,true_tone")])
def test_synth_proposes_an_attribute_that_a_search_can_judge(
    share: str, first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(["synth", str(tmp_path / "set"), "--n", "500", "--size", "16", "--dark-share", share]) == 0
    assert f"--attributes {first} --cluster" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workers", "0"], "Invalid value for '--workers': give 1 or more, got '0'; see"),
        (["--epochs", "x"], "Invalid value for '--epochs': give a whole number, got 'x'; see"),
        (["--budget-hours", "-1"], "search: budget_hours is -1.0: give more than 0"),
        (["--budget-hours", "long"], "Invalid value for '--budget-hours': give a number, got 'long'; see"),
    ],
)
def test_a_wrong_number_is_told_what_to_give(arguments, said, tmp_path, capsys):
    assert run(["search", "store", "--out", str(tmp_path / "run"), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_the_defaults_that_help_promises_are_those_of_the_presets():
    """The search's options have no default of their own, so help says in words what the preset `fair` takes."""
    options = {flag: option for option in get_command(build_app()).commands["search"].params for flag in option.opts}
    fair, quick, paper = (PRESETS[name] for name in ("fair", "quick", "paper"))
    expected = {
        "--searcher": f"[default: {fair.searcher}; paper: {paper.searcher}]",
        "--trials": f"[default: {fair.trials}; quick {quick.trials}]",
        "--epochs": f"[default: {fair.training.epochs}; quick {quick.training.epochs}; paper {paper.training.epochs}]",
    }
    assert {flag: words for flag, words in expected.items() if words not in options[flag].help} == {}


def test_status_says_of_stopped_candidates_what_the_page_says():
    assert status_lines({"pruned": 3, "time_left": None, "image_passes": 7}) == ["stopped early: 3", "image passes: 7"]
