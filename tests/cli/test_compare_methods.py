"""``mindgap compare STORE`` on the command line: what it prints, and one line where it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from mindgap.audit.method_figures import difference_over_seeds
from mindgap.cli.main import run
from mindgap.cli.methods_lines import methods_lines
from mindgap.report.methods_page import render_methods
from mindgap.report.methods_rows import over_seeds_sentence
from mindgap.testing.tiny_methods import methods_record
from mindgap.testing.tiny_store import write_tiny_store

HOSTILE = "<script>window.alerted=true</script>\x1b[31m"


def test_verdicts_stand_before_the_figures_they_rest_on():
    lines = methods_lines(methods_record())
    assert lines[0] == "3 methods, resnet18, over sex"
    assert lines[1].startswith("Every method had 2 tuning runs on one seed: its defaults, then options drawn at random")
    assert lines[2].startswith("Over sex, second ")
    assert lines[4] == "test figures, mean ± sd between seeds:"
    assert lines[5].split()[:2] == ["method", "Accuracy"]
    assert any(line.startswith("gaps over sex:") for line in lines)
    assert "failed: third, tuning run 1: loss became nan" in lines


def test_what_is_shown_leads_and_the_rest_is_folded_away():
    record = methods_record()
    assert record["methods"]["second"]["verdict"]["sex"] == "helps"
    assert record["methods"]["third"]["verdict"]["sex"] not in {"helps", "levels down", "hurts"}
    page = render_methods(record)
    lead, _, rest = page.partition("<details>")
    assert "second, sex: helps" in lead
    assert "third, sex: no" not in lead
    assert "third, sex: " in rest.partition("</details>")[0]
    record["methods"]["second"]["verdict"]["sex"] = "no difference shown"
    assert "No method is shown to help, to level down or to hurt." in render_methods(record)


def test_one_seed_says_what_it_cannot_say():
    lines = methods_lines(methods_record(seeds=1))
    assert lines[-1].startswith("One seed was trained, so no interval over seeds can be given")


def test_names_from_the_record_are_escaped_and_made_harmless():
    record = methods_record(name=HOSTILE)
    assert not any("\x1b" in line for line in methods_lines(record))
    page = render_methods(record)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--methods", "maxgroup"], "--network is missing"),
        (["--methods", "maxgroup", "--network", "resnet18"], "--out is missing"),
        (["--methods", "maxgruop", "--network", "resnet18", "--out", "RUN"], "did you mean 'maxgroup'"),
        (["--seeds", "0"], "give 1 or more"),
        (["--json", "a.json"], "--json is for runs"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(tmp_path: Path, options, said, capsys: pytest.CaptureFixture[str]):
    store = write_tiny_store(tmp_path / "store", n=60)
    options = [str(tmp_path / "run") if option == "RUN" else option for option in options]
    assert run(["compare", str(store), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("low", "high", "shown", "tail"),
    [
        (-0.3, 0.1, True, "which includes 0: training again might not show it."),
        (-0.3, 0.1, False, "which includes 0."),
        (-0.3, -0.1, True, "which leaves 0 out."),
    ],
)
def test_what_training_again_might_not_show_is_said(low, high, shown, tail):
    apart = {"value": -0.2, "low": low, "high": high, "n_seeds": 5, "reason": None}
    assert over_seeds_sentence(apart, shown=shown).endswith(tail)


def test_seeds_that_differ_alike_are_not_called_one_seed():
    apart = difference_over_seeds([0.25, 0.5], [0.5, 0.75])
    said = over_seeds_sentence(apart, shown=False)
    assert said == "Over 2 seeds the gap differs by +0.250; no interval over seeds: all give the same value."
    said = over_seeds_sentence(difference_over_seeds([0.25], [0.5]), shown=False)
    assert said == "From one seed it is not known how much training again moves the gap."
