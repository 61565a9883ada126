from __future__ import annotations

import sys

import pytest

from mindgap.core.errors import CapacityError, ConfigError, RunError
from mindgap.core.optional_packages import require_packages
from mindgap.core.out_file import check_out_file
from mindgap.core.processors import thread_count

SUFFIXES = (".csv", ".parquet")


def test_a_new_file_of_either_case_may_be_written(tmp_path):
    for name in ("a.csv", "deep/A.PARQUET"):
        assert check_out_file(tmp_path / name, suffixes=SUFFIXES, force=False) == tmp_path / name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "force", "error", "message"),
    [
        ("a.txt", True, ConfigError, r"a\.txt: ends in '\.txt'; give a name that ends in \.csv or \.parquet"),
        ("there.csv", False, RunError, r"there\.csv: is there already; choose another --out, or --force"),
        ("folder.csv", True, RunError, r"folder\.csv: is a folder; name a file in it"),
        ("store/there.csv", True, RunError, r"there\.csv: belongs to .*store, which is read, and is not replaced"),
    ],
)
def test_what_may_not_be_written_is_one_line(tmp_path, name, force, error, message):
    for folder in ("store", "folder.csv"):
        (tmp_path / folder).mkdir()
    for file in ("there.csv", "store/there.csv"):
        (tmp_path / file).touch()
    with pytest.raises(error, match=message) as caught:
        check_out_file(tmp_path / name, suffixes=SUFFIXES, force=force, inputs=[tmp_path / "store"])
    assert "\n" not in str(caught.value)


def test_force_replaces_and_a_link_into_an_input_is_seen_through(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a.csv").touch()
    (tmp_path / "b.csv").touch()
    (tmp_path / "link.csv").symlink_to(tmp_path / "store" / "a.csv")
    inputs = [tmp_path / "store"]
    assert check_out_file(tmp_path / "b.csv", suffixes=SUFFIXES, force=True, inputs=inputs)
    with pytest.raises(RunError, match=r"link\.csv: belongs to"):
        check_out_file(tmp_path / "link.csv", suffixes=SUFFIXES, force=True, inputs=inputs)


def test_a_missing_package_says_which_extra_brings_it(monkeypatch):
    require_packages(["json"], extra="export", purpose="this")
    monkeypatch.setitem(sys.modules, "csv", None)
    with pytest.raises(CapacityError) as caught:
        require_packages(["json", "csv"], extra="export", purpose="this")
    assert str(caught.value) == "this needs csv, not installed here; pip install 'mindgap[export]'"


def test_threads_are_those_that_torch_is_told(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_count() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert thread_count() >= 1
