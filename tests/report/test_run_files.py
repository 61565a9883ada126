"""A run folder is read without trust."""

from __future__ import annotations

import pytest

from mindgap.core.errors import DataError, RunError
from mindgap.core.files import read_json, write_json
from mindgap.report.run_files import read_lines, read_run


def test_a_log_line_cut_short_by_a_kill_is_left_out(tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 1}\n{"epoch": 2}\n{"epo', encoding="utf-8")
    assert [line["epoch"] for line in read_lines(path)] == [1, 2]


def test_a_damaged_line_in_the_middle_is_named(tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text('{"epoch": 1}\noops\n{"epoch": 3}\n', encoding="utf-8")
    with pytest.raises(DataError, match="line 2"):
        read_lines(path)


def test_the_store_is_read_where_it_lies_if_the_run_kept_no_summary(make_train_run, tmp_path) -> None:
    folder = make_train_run()
    provenance = read_json(folder / "provenance.json")
    del provenance["store_summary"]
    write_json(folder / "provenance.json", provenance)
    assert read_run(folder).store == {}
    write_json(tmp_path / "store" / "store.json", {"n": 7})
    text = (folder / "config.toml").read_text(encoding="utf-8")
    (folder / "config.toml").write_text(text.replace("stores/test-data", str(tmp_path / "store")), encoding="utf-8")
    assert read_run(folder).store == {"n": 7}


def test_a_candidates_last_attempt_counts(make_search_run) -> None:
    folder = make_search_run()
    slot = read_json(folder / "search.json")["chosen"]
    for attempt in (2, 10, 9):
        write_json(folder / "trials" / str(slot) / str(attempt) / "metrics.json", {"validation": {"n": attempt}})
    assert read_run(folder).trials[slot] == {"n": 10}


def test_runs_of_other_verbs_are_refused_in_one_line(make_train_run) -> None:
    folder = make_train_run()
    text = (folder / "config.toml").read_text(encoding="utf-8").replace('"train"', '"prepare"')
    (folder / "config.toml").write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match="a run of 'prepare' has no page"):
        read_run(folder)
