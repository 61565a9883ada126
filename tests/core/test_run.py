from __future__ import annotations

from pathlib import Path

import pytest

from mindgap.core.errors import RunError
from mindgap.core.files import read_json
from mindgap.core.run import RunFolder


def opened(path: Path, *, force: bool = False, verb: str = "train", **options: object) -> RunFolder:
    return RunFolder.open(path, verb=verb, options=options, force=force, changeable=frozenset({"workers"}))


def test_a_run_is_new_then_resumed_then_finished(tmp_path: Path):
    run = opened(tmp_path / "run", seed=0, network=None)
    assert run.state == "new"
    assert opened(tmp_path / "run", seed=0).state == "resumed"
    run.finish(cost=3)
    assert opened(tmp_path / "run", seed=0).state == "finished"
    assert read_json(tmp_path / "run" / "provenance.json")["cost"] == 3
    run.reopen()
    assert opened(tmp_path / "run", seed=0).state == "resumed"


def test_other_options_are_refused_unless_forced(tmp_path: Path):
    opened(tmp_path / "run", seed=0).finish()
    with pytest.raises(RunError, match=r"seed=0, now 1"):
        opened(tmp_path / "run", seed=1)
    with pytest.raises(RunError, match="holds a run of 'train'"):
        opened(tmp_path / "run", verb="search", seed=0)
    assert opened(tmp_path / "run", force=True, seed=1).state == "new"


def test_an_option_that_may_change_does_not_refuse(tmp_path: Path):
    opened(tmp_path / "run", workers=1)
    assert opened(tmp_path / "run", workers=2).state == "resumed"


def test_a_folder_of_something_else_is_never_touched(tmp_path: Path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(RunError, match="holds no mindgap run"):
        opened(tmp_path)
    with pytest.raises(RunError, match="does not replace"):
        opened(tmp_path, force=True)
    with pytest.raises(RunError, match="is a file"):
        opened(tmp_path / "thesis.txt")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_provenance_names_versions_seed_and_hardware(tmp_path: Path):
    opened(tmp_path / "run", seed=7)
    record = read_json(tmp_path / "run" / "provenance.json")
    assert record["seed"] == 7
    assert record["packages"]["torch"].startswith("2.")
    assert record["hardware"]["cores"] >= 1
    assert record["finished"] is None
