"""The model card of a run: its figures are the run's, and nothing in a name is markup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mindgap.api import report, train
from mindgap.core.files import read_json
from mindgap.report.estimate import percent
from mindgap.report.findings import findings
from mindgap.report.leading import shares_of_batches
from mindgap.report.model_card import model_card, not_tested, plain
from mindgap.report.run_files import RunFiles, read_run
from mindgap.testing.tiny_store import write_tiny_store
from mindgap.testing.tiny_training import SMALL


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("card")
    (folder / "small.json").write_text(SMALL.to_json(), encoding="utf-8")
    store = write_tiny_store(folder / "store", n=300)
    train(store, network=folder / "small.json", epochs=1, out=folder / "run", bootstrap=50, permutations=50)
    return folder / "run"


def test_its_figures_are_those_of_the_audit(run: Path) -> None:
    card = (run / "model_card.md").read_text(encoding="utf-8")
    audit = read_json(run / "metrics.json")["test"]
    accuracy = audit["overall"]["accuracy"]
    assert f"| Accuracy | {percent(accuracy['value'])} |" in card
    gap = audit["attributes"]["sex"]["gaps"]["unfairness"]
    assert (
        f"| Unfairness U | {gap['value']:.3f} | {gap['low']:.3f} to {gap['high']:.3f} | {gap['noise_p95']:.3f} |"
        in card
    )
    for name, group in audit["attributes"]["sex"]["groups"].items():
        assert f"| {name} | {group['n']} | {percent(group['accuracy']['value'])} |" in card
    assert f"n = {audit['n']}".replace(" = ", "\u00a0=\u00a0") in card


def test_it_says_what_it_is_for_what_it_is_not_and_what_nobody_looked_at(run: Path) -> None:
    card = (run / "model_card.md").read_text(encoding="utf-8")
    assert "**Not a medical device**" in card
    headings = [line for line in card.splitlines() if line.startswith("## ")]
    assert headings == [
        "## Intended use",
        "## Data",
        "## How it does",
        "## What the data cannot answer",
        "## What was not tested",
        "## How it was made",
    ]
    assert "mindgap train " in card


def test_what_was_not_tested_follows_from_the_run(run: Path) -> None:
    read = read_run(run)
    told = " ".join(not_tested(read))
    assert "another seed" in told
    assert "two attributes at once" not in told  # there is one
    assert "The test split" not in told
    without = replace(read, metrics={name: of for name, of in read.metrics.items() if name != "test"})
    assert "The test split: the figures are of images that took part in choices." in not_tested(without)
    folds = replace(read, metrics={**read.metrics, "folds": {"k": 2}})
    assert "another seed" not in " ".join(not_tested(folds))


def test_it_names_the_column_that_gave_the_split(run: Path) -> None:
    read = read_run(run)
    counts = {"train": 180, "validation": 60, "test": 60}
    for split, told in (
        ({"counts": counts, "column": "official|fold"}, "60 for test, as its column official\\|fold says; no patient"),
        ({"counts": counts}, "60 for test; no patient"),
        (
            {"counts": counts, "column": "fold", "drawn": ["validation"]},
            "as its column fold says, but for validation, which was drawn from its training images; no patient",
        ),
    ):
        given = replace(read, store={**read.store, "split": split})
        assert told in model_card(given).replace("\u00a0", " ")


def test_without_a_network_it_says_so(run: Path) -> None:
    nothing = RunFiles(run, "search", options={}, provenance={})
    card = model_card(nothing)
    assert "No network was trained to the end." in card
    assert "Not recorded." in card


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b <i>", "a\\|b &lt;i&gt;"),
        ("two\nlines", "two lines"),
        ("[x](y) *z* `w` #1", "\\[x\\](y) \\*z\\* \\`w\\` \\#1"),
    ],
)
def test_names_are_text(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_report_writes_it_again(run: Path) -> None:
    before = (run / "model_card.md").read_text(encoding="utf-8")
    (run / "model_card.md").unlink()
    report([run])
    assert (run / "model_card.md").read_text(encoding="utf-8") == before


def test_it_says_what_the_page_says_and_that_p_is_not_adjusted(run: Path) -> None:
    read = read_run(run)
    card = model_card(read)
    assert "| gap over sex | value | interval | floor | p (not adjusted) |" in card
    parts = {"": read.metrics["test"]}
    (finding,) = findings(parts)
    assert f"- {plain(finding.title)}" in card.splitlines()
    useless = {"value": 0.5, "low": 0.45, "high": 0.55, "n": 60, "reason": None}
    audit = read.metrics["test"] | {"overall": read.metrics["test"]["overall"] | {"balanced_accuracy": useless}}
    worse = model_card(replace(read, metrics=read.metrics | {"test": audit}))
    assert "- **Caution**: It is not shown to be better than naming one class for everyone" in worse


@pytest.mark.parametrize("folds", [None, 2])
def test_batches_that_a_mitigation_chose_are_not_called_natural(run: Path, tmp_path: Path, folds: int | None) -> None:
    options = {"network": run.parent / "small.json", "epochs": 1, "bootstrap": 0, "permutations": 0}
    train(run.parent / "store", out=tmp_path / "run", mitigation="resample", folds=folds, **options)
    read = read_run(tmp_path / "run")
    assert shares_of_batches(read) == {"a": 0.5, "b": 0.5}
    assert "Batches followed the natural shares" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert shares_of_batches(read_run(run)) is None
    tuned = replace(read, metrics=read.metrics | {"training": {}}, provenance={"trained_with": {"ratios": "uniform"}})
    assert shares_of_batches(tuned) == {"a": 0.5, "b": 0.5}
