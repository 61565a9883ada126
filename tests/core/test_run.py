from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from mindgap.core.errors import CapacityError, ConfigError, DataError, RunError
from mindgap.core.files import read_json
from mindgap.core.folder_lock import LOCK_FILE, folder_lock
from mindgap.core.run import RunFolder, finished_time


def opened(path: Path, *, force: bool = False, verb: str = "train", **options: object) -> RunFolder:
    """The folder of a run that was held and let go."""
    changeable = frozenset({"workers"})
    with RunFolder.hold(path, verb=verb, options=options, force=force, changeable=changeable) as run:
        return run


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
    with pytest.raises(RunError, match="holds no mindgap run"):
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


HOLD = """
import sys, time
from mindgap.core.run import RunFolder
with RunFolder.hold(sys.argv[1], verb="train", options={"seed": 0}) as run:
    print(run.state, flush=True)
    time.sleep(60)
"""


def held(path: Path, *, force: bool = False, verb: str = "train", inputs: tuple[Path, ...] = (), **options: object):
    return RunFolder.hold(path, verb=verb, options=options, force=force, inputs=inputs)


def test_force_never_replaces_what_is_no_run_of_the_same_verb(tmp_path: Path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "config.toml").write_text('title = "my web site"\n')
    (tmp_path / "site" / "index.html").write_text("years of work")
    opened(tmp_path / "store", verb="prepare", seed=0).finish()
    for name, message in (
        ("site", "holds no mindgap run"),
        ("store", "holds a run of 'prepare'; choose another folder$"),
    ):
        before = sorted(path.name for path in (tmp_path / name).iterdir())
        with pytest.raises(RunError, match=message):
            opened(tmp_path / name, force=True, seed=1)
        assert sorted(path.name for path in (tmp_path / name).iterdir()) == before


def test_force_leaves_nothing_of_the_old_run_and_nothing_beside_the_new_one(tmp_path: Path):
    opened(tmp_path / "run", seed=0).finish()
    (tmp_path / "run" / "weights").write_text("old")
    with held(tmp_path / "run", force=True, seed=1) as run:
        assert run.state == "new"
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["config.toml", "provenance.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_that_cannot_be_begun_anew_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened(tmp_path / "run", seed=0).finish()

    def full(*_: object) -> None:
        raise CapacityError("disk full")

    monkeypatch.setattr("mindgap.core.run.write_text", full)
    with pytest.raises(CapacityError):
        opened(tmp_path / "run", force=True, seed=1)
    monkeypatch.undo()
    assert opened(tmp_path / "run", seed=0).state == "finished"
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_that_cannot_be_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise CapacityError("disk full")

    monkeypatch.setattr("mindgap.core.run.write_json", full)
    with pytest.raises(CapacityError):
        opened(tmp_path / "run", seed=0)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "mine").mkdir()
    with pytest.raises(CapacityError):
        opened(tmp_path / "mine", seed=0)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_force_through_a_link_replaces_what_it_points_to(tmp_path: Path):
    opened(tmp_path / "run", seed=0).finish()
    (tmp_path / "link").symlink_to("run")
    assert opened(tmp_path / "link", force=True, seed=1).state == "new"
    assert opened(tmp_path / "run", seed=1).state == "resumed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "run"]


def test_the_folder_where_the_command_runs_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened(tmp_path / "run", seed=0).finish()
    monkeypatch.chdir(tmp_path / "run")
    with pytest.raises(RunError, match="is where this command runs"):
        opened(Path(), force=True, seed=1)
    assert opened(Path(), seed=0).state == "finished"


@pytest.mark.parametrize("out", ["store", "store/run", ".", "store/../store"])
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_is_holds_or_lies_in_an_input_is_refused(tmp_path: Path, out: str, force: bool):
    opened(tmp_path / "store", verb="train", seed=0).finish()
    (tmp_path / "store" / "images.bin").write_text("images")
    with (
        pytest.raises(RunError, match="choose an --out apart from it"),
        held(tmp_path / out, force=force, seed=1, inputs=(tmp_path / "store",)),
    ):
        pass
    assert (tmp_path / "store" / "images.bin").read_text() == "images"
    assert not (tmp_path / "store" / "run").exists()


def test_a_second_process_is_kept_out_until_the_first_one_ends(tmp_path: Path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "run")], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "new\n"
        for force in (False, True):
            with pytest.raises(RunError, match="another mindgap process"), held(tmp_path / "run", seed=0, force=force):
                pass
        assert (tmp_path / "run" / "config.toml").exists()
    finally:
        process.kill()
        process.communicate()
    with held(tmp_path / "run", seed=0) as run:
        assert run.state == "resumed"
    assert sorted(path.name for path in run.path.iterdir()) == ["config.toml", "provenance.json"]


def test_a_lock_that_was_removed_meanwhile_does_not_count(tmp_path: Path):
    """The file that a process waits at may be gone when it gets it; then another is the lock."""
    with folder_lock(tmp_path), pytest.raises(RunError), folder_lock(tmp_path):
        pass
    with folder_lock(tmp_path):
        (tmp_path / LOCK_FILE).unlink()
        with folder_lock(tmp_path):
            assert (tmp_path / LOCK_FILE).exists()
    assert not (tmp_path / LOCK_FILE).exists()


def test_where_files_cannot_be_locked_work_goes_on_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with folder_lock(tmp_path):
        pass
    assert "cannot be locked" in caplog.text


def test_a_lock_that_cannot_be_written_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def read_only(*_: object, **__: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("os.open", read_only)
    with pytest.raises(CapacityError, match="cannot write"), folder_lock(tmp_path):
        pass


@pytest.mark.parametrize(
    "left", [[], ["config.toml"], ["config.toml", ".provenance.json.7.tmp"], [".config.toml.7.tmp"]]
)
def test_a_run_killed_in_its_first_moment_begins_anew(tmp_path: Path, left: list[str]):
    opened(tmp_path / "whole", seed=0)
    (tmp_path / "run").mkdir()
    for name in left:
        text = (tmp_path / "whole" / "config.toml").read_text() if name == "config.toml" else "half"
        (tmp_path / "run" / name).write_text(text)
    assert opened(tmp_path / "run", seed=1).state == "new"
    assert opened(tmp_path / "run", seed=1).state == "resumed"


def test_a_configuration_alone_that_is_not_ours_is_left(tmp_path: Path):
    (tmp_path / "config.toml").write_text('title = "mine"\n')
    with pytest.raises(RunError, match="holds no mindgap run"):
        opened(tmp_path, seed=0)
    assert "mine" in (tmp_path / "config.toml").read_text()


@pytest.mark.parametrize("text", ["[]", "3", "null", "{", ""])
def test_a_damaged_provenance_is_one_line_and_can_be_replaced(tmp_path: Path, text: str):
    opened(tmp_path / "run", seed=0)
    (tmp_path / "run" / "provenance.json").write_text(text)
    for read in (lambda: finished_time(tmp_path / "run"), lambda: opened(tmp_path / "run", seed=0)):
        with pytest.raises(DataError, match=r"provenance\.json: ") as error:
            read()
        assert "\n" not in str(error.value)
    assert opened(tmp_path / "run", seed=0, force=True).state == "new"


@pytest.mark.parametrize("text", ["verb = 3", "options = 3\nverb = 'train'", "verb = ["])
def test_a_damaged_configuration_is_one_line(tmp_path: Path, text: str):
    opened(tmp_path / "run", seed=0)
    (tmp_path / "run" / "config.toml").write_text(text)
    with pytest.raises((RunError, ConfigError)) as error:
        opened(tmp_path / "run", seed=0)
    assert "\n" not in str(error.value)


def test_the_finished_time_is_none_before_the_end(tmp_path: Path):
    assert finished_time(tmp_path / "nowhere") is None
    run = opened(tmp_path / "run", seed=0)
    assert finished_time(run.path) is None
    run.finish()
    assert finished_time(run.path) == read_json(run.path / "provenance.json")["finished"]


def test_a_changed_store_is_said_in_words(tmp_path: Path):
    opened(tmp_path / "run", seed=0, fingerprint="abc")
    with pytest.raises(RunError, match="the store changed since: its fingerprint was 'abc', now 'def'"):
        opened(tmp_path / "run", seed=0, fingerprint="def")


def test_a_run_without_the_fingerprint_in_its_options_is_judged_by_its_provenance(tmp_path: Path):
    opened(tmp_path / "run", seed=0).record(fingerprint="abc")
    assert opened(tmp_path / "run", seed=0, fingerprint="abc").state == "resumed"
    opened(tmp_path / "other", seed=0).record(fingerprint="abc")
    with pytest.raises(RunError, match="the store changed since"):
        opened(tmp_path / "other", seed=0, fingerprint="def")


def test_a_check_says_the_state_and_writes_nothing(tmp_path: Path):
    check = RunFolder.check
    assert check(tmp_path / "run", verb="train", options={"seed": 0}) == "new"
    assert not (tmp_path / "run").exists()
    opened(tmp_path / "run", seed=0).finish()
    assert check(tmp_path / "run", verb="train", options={"seed": 0}) == "finished"
    assert check(tmp_path / "run", verb="train", options={"seed": 1}, force=True) == "new"
    with pytest.raises(RunError, match="seed=0, now 1"):
        check(tmp_path / "run", verb="train", options={"seed": 1})
    assert finished_time(tmp_path / "run") is not None
