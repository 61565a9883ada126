from __future__ import annotations

from collections.abc import Generator

import pytest

from mindgap.core.errors import CapacityError, ConfigError
from mindgap.search.artifacts import SharedFolder, StoredArtifacts, open_artifacts
from mindgap.testing.s3_server import S3Server


@pytest.fixture
def s3(monkeypatch) -> Generator[S3Server]:
    with S3Server.start() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture(params=["file", "s3"])
def url(request, tmp_path, s3) -> str:
    return f"file://{tmp_path}/shared" if request.param == "file" else "s3://bucket/search"


def attempt(run, number=1, **files):
    folder = run / "trials" / "3" / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_one_machine_sends_another_finds(url, tmp_path):
    here, there = open_artifacts(url, run=tmp_path / "a"), open_artifacts(url, run=tmp_path / "b")
    folder = attempt(tmp_path / "a", checkpoint__pt="one", log__jsonl="{}", notes__txt="mine")
    here.send(folder)
    other = tmp_path / "b" / "trials" / "3" / "1"
    there.fetch(other)
    assert contents(other) == {"checkpoint.pt": "one", "log.jsonl": "{}"}, "and only files that mindgap reads"
    assert [path.name for path in other.parent.iterdir()] == ["1"]


def test_what_changed_or_went_is_replaced_and_a_folder_that_is_here_is_left(url, tmp_path):
    here, there = open_artifacts(url, run=tmp_path / "a"), open_artifacts(url, run=tmp_path / "b")
    folder = attempt(tmp_path / "a", checkpoint__pt="one", log__jsonl="1")
    here.send(folder)
    attempt(tmp_path / "a", log__jsonl="2", weights__safetensors="w")
    (folder / "checkpoint.pt").unlink()
    here.send(folder)
    other = tmp_path / "b" / "trials" / "3" / "1"
    there.fetch(other)
    assert contents(other) == {"log.jsonl": "2", "weights.safetensors": "w"}
    attempt(tmp_path / "a", log__jsonl="3")
    here.send(folder)
    there.fetch(other)
    assert contents(other)["log.jsonl"] == "2"


def test_old_artifacts_are_removed(s3, tmp_path):
    artifacts = open_artifacts("s3://bucket/search", run=tmp_path)
    for text in ("one", "two", "two"):
        artifacts.send(attempt(tmp_path, checkpoint__pt=text))
    assert len(s3.objects) == 2
    assert all(key.startswith("bucket/search/trials/3/1/") for key in s3.objects)


def test_checkpoints_nobody_goes_on_from_are_tidied_by_anyone(url, tmp_path):
    open_artifacts(url, run=tmp_path / "a").send(
        attempt(tmp_path / "a", checkpoint__pt="c", stem__pt="s", log__jsonl="1")
    )
    other = tmp_path / "b" / "trials" / "3" / "1"
    there = open_artifacts(url, run=tmp_path / "b")
    there.tidy(other)
    there.tidy(other)
    there.fetch(other)
    assert contents(other) == {"log.jsonl": "1"}


def test_what_was_never_sent_is_not_fetched(url, tmp_path):
    artifacts = open_artifacts(url, run=tmp_path)
    artifacts.fetch(tmp_path / "trials" / "3" / "1")
    artifacts.tidy(tmp_path / "trials" / "3" / "1")
    assert not (tmp_path / "trials").exists()


@pytest.mark.parametrize("damage", [b"", b"not json", b"[1]", b'{"../../evil": "0"}'])
def test_a_damaged_manifest_is_none(s3, tmp_path, damage):
    open_artifacts("s3://bucket", run=tmp_path / "a").send(attempt(tmp_path / "a", log__jsonl="1"))
    s3.objects["bucket/trials/3/1/manifest.json"] = damage
    other = tmp_path / "b" / "trials" / "3" / "1"
    open_artifacts("s3://bucket", run=tmp_path / "b").fetch(other)
    assert not other.exists()


def test_damaged_or_missing_contents_are_not_taken(s3, tmp_path):
    open_artifacts("s3://bucket", run=tmp_path / "a").send(attempt(tmp_path / "a", log__jsonl="1", checkpoint__pt="c"))
    other = tmp_path / "b" / "trials" / "3" / "1"
    (key,) = [key for key in s3.objects if "checkpoint.pt" in key]
    s3.objects[key] = b"other"
    open_artifacts("s3://bucket", run=tmp_path / "b").fetch(other)
    assert not other.exists()
    del s3.objects[key]
    open_artifacts("s3://bucket", run=tmp_path / "b").fetch(other)
    assert not other.exists()


def test_a_store_that_refuses_is_one_line(s3, tmp_path):
    s3.refuses = True
    artifacts = open_artifacts("s3://bucket", run=tmp_path)
    with pytest.raises(CapacityError, match=r"s3://bucket: .*AccessDenied.*check the address") as raised:
        artifacts.send(attempt(tmp_path, log__jsonl="1"))
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    artifacts = open_artifacts(f"file://{tmp_path}/file", run=tmp_path)
    with pytest.raises(CapacityError, match="Not a directory"):
        artifacts.send(attempt(tmp_path, log__jsonl="1"))


def test_an_address_of_another_kind_is_refused_and_none_is_the_run_itself(tmp_path):
    with pytest.raises(ConfigError, match=r"artifacts is 'runs/x'; give file:///FOLDER or s3://BUCKET/PREFIX"):
        open_artifacts("runs/x", run=tmp_path)
    assert isinstance(open_artifacts(None, run=tmp_path), SharedFolder)
    assert isinstance(open_artifacts(f"file://{tmp_path}", run=tmp_path), StoredArtifacts)
