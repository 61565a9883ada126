"""The verb ``mindgap synth``."""

from __future__ import annotations

import hashlib
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from mindgap.core.errors import CapacityError, ConfigError, RunError
from mindgap.core.files import read_json
from mindgap.core.run import RunFolder
from mindgap.workflows.synth import synth

SMALL = {"n": 30, "size": 16}


def digest(folder) -> str:
    """Of all pixels and the table; not of the provenance, which holds the time."""
    files = [*sorted(folder.glob("*/*.png")), folder / "metadata.csv", folder / "synth.json"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def test_the_folder_holds_images_masks_table_and_record_and_nothing_is_left_beside_it(tmp_path):
    record = synth(tmp_path / "set", **SMALL)
    assert sorted(path.name for path in (tmp_path / "set").iterdir()) == [
        "config.toml",
        "images",
        "masks",
        "metadata.csv",
        "provenance.json",
        "synth.json",
    ]
    assert record == read_json(tmp_path / "set" / "synth.json")
    assert record["n"] == 30
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_the_same_seed_gives_the_same_files_and_another_one_others(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        synth(tmp_path / name, **SMALL, seed=seed)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


def test_a_finished_set_is_left_alone(tmp_path):
    first = synth(tmp_path / "set", **SMALL)
    stamp = (tmp_path / "set" / "metadata.csv").stat().st_mtime_ns
    assert synth(tmp_path / "set", **SMALL) == first
    assert (tmp_path / "set" / "metadata.csv").stat().st_mtime_ns == stamp


def test_other_options_are_refused_and_replace_with_force(tmp_path):
    synth(tmp_path / "set", **SMALL)
    with pytest.raises(RunError, match=r"bias=0\.3, now 0\.5; choose another folder, or --force") as refusal:
        synth(tmp_path / "set", **SMALL, bias=0.5)
    assert "--out" not in str(refusal.value)
    assert synth(tmp_path / "set", **SMALL, bias=0.5, force=True)["bias"] == 0.5
    assert read_json(tmp_path / "set" / "synth.json")["bias"] == 0.5
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("force", [False, True])
def test_a_folder_with_something_else_is_refused_and_left_as_it_was(tmp_path, force):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="choose another"):
        synth(tmp_path / "set", **SMALL, force=force)
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["thesis.txt"]


def test_a_set_whose_replacement_is_cut_short_is_whole(tmp_path, monkeypatch):
    def cut_short(folder, **_):
        for path in sorted(folder.rglob("*.png"))[:1]:
            path.unlink()
            raise KeyboardInterrupt

    synth(tmp_path / "set", **SMALL)
    synth(tmp_path / "fresh", **SMALL, bias=0.5)
    monkeypatch.setattr(shutil, "rmtree", cut_short)
    with pytest.raises(KeyboardInterrupt):
        synth(tmp_path / "set", **SMALL, bias=0.5, force=True)
    monkeypatch.undo()
    assert synth(tmp_path / "set", **SMALL, bias=0.5)["bias"] == 0.5
    assert digest(tmp_path / "set") == digest(tmp_path / "fresh")


def test_force_through_a_link_replaces_what_it_points_to(tmp_path):
    synth(tmp_path / "set", **SMALL)
    (tmp_path / "link").symlink_to("set")
    synth(tmp_path / "link", **SMALL, bias=0.5, force=True)
    assert read_json(tmp_path / "set" / "synth.json")["bias"] == 0.5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "set"]


def test_what_appears_at_the_place_of_the_set_meanwhile_is_not_replaced(tmp_path):
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(synth, tmp_path / "set", n=300, size=64)
        while not (tmp_path / ".set.partial").exists():
            time.sleep(0.005)
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / "thesis.txt").write_text("mine")
        with pytest.raises(RunError, match="appeared meanwhile"):
            running.result()
    assert (tmp_path / "set" / "thesis.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".set.partial", "set"]
    (tmp_path / "set" / "thesis.txt").unlink()
    kept = next((tmp_path / ".set.partial" / "images").iterdir()).stat().st_mtime_ns
    synth(tmp_path / "set", n=300, size=64)
    assert kept in {path.stat().st_mtime_ns for path in (tmp_path / "set" / "images").iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_failure_leaves_the_folder_that_another_synth_begins_meanwhile(tmp_path, monkeypatch):
    hold = RunFolder.hold

    @contextmanager
    def hold_before_another(path, **asked):
        try:
            with hold(path, **asked) as run:
                yield run
        finally:
            (path / "images").mkdir(parents=True)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunFolder, "hold", hold_before_another)
    monkeypatch.setattr("mindgap.data.synthesis.folder.write_folder", full)
    with pytest.raises(CapacityError, match="No space left"):
        synth(tmp_path / "set", **SMALL)
    assert [path.name for path in (tmp_path / ".set.partial").iterdir()] == ["images"]


@pytest.mark.parametrize("free_kib", [0, 4, 12, 40, 120])
def test_a_disk_that_fills_at_any_point_leaves_nothing_and_is_one_line(small_disk, free_kib):
    (small_disk / "other").write_bytes(b"x" * (256 - free_kib) * 1024)
    with pytest.raises(CapacityError, match="free space or choose another") as refusal:
        synth(small_disk / "aa" / "set", n=200, size=16)
    assert "\n" not in str(refusal.value)
    assert [path.name for path in small_disk.iterdir()] == ["other"]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_second_synth_beside_a_running_one_is_refused(tmp_path, seed):
    running = {"n": 30, "size": 16, "seed": 0, "dark_share": 0.2, "bias": 0.3}
    with RunFolder.hold(tmp_path / ".set.partial", verb="synth", options=running):
        with pytest.raises(RunError, match="another mindgap process"):
            synth(tmp_path / "set", **SMALL, seed=seed)
        assert (tmp_path / ".set.partial" / "provenance.json").exists()


def test_an_empty_folder_is_filled(tmp_path):
    (tmp_path / "set").mkdir()
    synth(tmp_path / "set", **SMALL)
    assert (tmp_path / "set" / "metadata.csv").exists()


def test_an_interrupted_run_goes_on_where_it_was(tmp_path):
    whole = synth(tmp_path / "whole", **SMALL)
    partial = tmp_path / ".set.partial"
    synth(tmp_path / "set", **SMALL)
    (tmp_path / "set").rename(partial)
    for path in [*sorted((partial / "images").iterdir())[10:], partial / "metadata.csv", partial / "synth.json"]:
        path.unlink()
    kept = next((partial / "images").iterdir()).stat().st_mtime_ns
    assert synth(tmp_path / "set", **SMALL) == whole
    assert digest(tmp_path / "set") == digest(tmp_path / "whole")
    assert kept in {path.stat().st_mtime_ns for path in (tmp_path / "set" / "images").iterdir()}
    assert not partial.exists()


def test_an_interrupted_run_with_other_options_is_not_trusted(tmp_path):
    synth(tmp_path / "set", **SMALL, seed=5)
    (tmp_path / "set").rename(tmp_path / ".set.partial")
    synth(tmp_path / "set", **SMALL)
    synth(tmp_path / "fresh", **SMALL)
    assert digest(tmp_path / "set") == digest(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 5}, "n is 5"),
        ({"size": 8}, "size is 8"),
        ({"seed": -1}, "seed is -1"),
        ({"dark_share": 1.5}, r"dark_share is 1\.5"),
        ({"bias": -0.1}, r"bias is -0\.1"),
        ({"bias": float("nan")}, "bias is nan"),
    ],
)
def test_options_out_of_range_are_refused_in_one_line_and_leave_nothing(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message) as refusal:
        synth(tmp_path / "set", **{**SMALL, **options})
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_said_in_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CapacityError, match="cannot create the folder"):
        synth(tmp_path / "file" / "set", **SMALL)
