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
        ("folder.csv", True, ConfigError, r"--out .*folder\.csv: is a folder; give the name of a file"),
        *(
            (
                "store/table.parquet",
                force,
                ConfigError,
                r"table\.parquet: that file is an input and would be lost; choose another",
            )
            for force in (True, False)
        ),
        (
            "there.csv/new/a.csv",
            True,
            CapacityError,
            r"a\.csv: cannot write into .*there\.csv; choose another place for --out",
        ),
    ],
)
def test_what_may_not_be_written_is_one_line(tmp_path, name, force, error, message):
    for folder in ("store", "folder.csv"):
        (tmp_path / folder).mkdir()
    for file in ("there.csv", "store/table.parquet"):
        (tmp_path / file).touch()
    with pytest.raises(error, match=message) as caught:
        check_out_file(tmp_path / name, suffixes=SUFFIXES, force=force, inputs=[tmp_path / "store"])
    assert "\n" not in str(caught.value)


def test_force_replaces_what_is_not_read_and_a_link_to_an_input_is_seen_through(tmp_path):
    store = tmp_path / "store"
    (store / "deep").mkdir(parents=True)
    for name in ("store/predictions of mine.csv", "store/deep/table.parquet", "store/table.parquet", "b.csv", "c.csv"):
        (tmp_path / name).touch()
    (tmp_path / "link.parquet").symlink_to(store / "table.parquet")
    inputs = [store, tmp_path / "c.csv", tmp_path / "not there"]
    for name in ("b.csv", "store/predictions of mine.csv", "store/deep/table.parquet"):
        assert check_out_file(tmp_path / name, suffixes=SUFFIXES, force=True, inputs=inputs)
    for name in ("link.parquet", "c.csv"):
        with pytest.raises(ConfigError, match=f"{name}: that file is an input"):
            check_out_file(tmp_path / name, suffixes=SUFFIXES, force=True, inputs=inputs)


def test_a_file_of_another_store_or_run_is_not_replaced_either(tmp_path):
    for folder in ("store", "mine"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "table.parquet").touch()
    (tmp_path / "store" / "provenance.json").touch()
    with pytest.raises(ConfigError, match="belongs to the store or run in its folder"):
        check_out_file(tmp_path / "store" / "table.parquet", suffixes=SUFFIXES, force=True)
    assert check_out_file(tmp_path / "mine" / "table.parquet", suffixes=SUFFIXES, force=True)


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
