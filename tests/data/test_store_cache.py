from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Generator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

from mindgap.core.cache import cache_folder
from mindgap.core.errors import CapacityError, ConfigError, DataError
from mindgap.data.image_store import Store
from mindgap.data.store_cache import local_store
from mindgap.testing.s3_server import S3Server
from mindgap.testing.tiny_store import write_tiny_store


@pytest.fixture
def there(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return write_tiny_store(tmp_path / "there")


@pytest.fixture
def s3(there, monkeypatch) -> Generator[S3Server]:
    with S3Server.start() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        for file in there.iterdir():
            server.objects[f"data/ham/{file.name}"] = file.read_bytes()
        yield server


def same(folder: Path, there: Path) -> bool:
    return all((folder / file.name).read_bytes() == file.read_bytes() for file in there.iterdir())


def test_a_path_is_used_as_it_is(there):
    assert local_store(there) == there
    assert not cache_folder().exists()


def test_a_store_at_an_address_is_copied_once_and_then_found_by_its_fingerprint(there):
    copied = local_store(f"file://{there}")
    assert copied.parent == cache_folder() / "stores"
    assert same(copied, there)
    shutil.rmtree(there)
    assert local_store(f"file://{there}", fingerprint=Store.open(copied).fingerprint) == copied


def test_s3_and_memory_are_addresses_too(there, s3):
    assert same(local_store("s3://data/ham/"), there)
    shutil.rmtree(cache_folder())
    memory = fsspec.filesystem("memory")
    for file in there.iterdir():
        memory.pipe(f"/ham/{file.name}", file.read_bytes())
    assert same(local_store("memory://ham"), there)


@pytest.fixture
def web(there) -> Generator[tuple[str, list[str]]]:
    """A web server of this machine over the store's parent, and the paths it answers with an error."""
    broken: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def send_head(self):  # of the standard library: both of HEAD and GET
            if self.path in broken:
                return self.send_error(503)
            return super().send_head()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(there.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", broken
    server.shutdown()
    server.server_close()


def test_a_web_server_is_an_address_too(there, web):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    address, broken = web
    with pytest.raises(DataError, match="no store there"):
        local_store(f"{address}/nowhere")
    broken.append("/there/images.bin")
    with pytest.raises(
        CapacityError, match=r"http://127.*/there: cannot be read \(.*503.*; check the address"
    ) as refused:
        local_store(f"{address}/there")
    assert "\n" not in str(refused.value)
    broken.clear()
    assert same(local_store(f"{address}/there"), there)


def test_a_web_server_that_is_not_there_is_one_line(there):
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    with pytest.raises(
        CapacityError, match=r"http://127.0.0.1:1/ham: cannot be read \(.*; check the address"
    ) as refused:
        local_store("http://127.0.0.1:1/ham")
    assert "\n" not in str(refused.value)


def test_a_copy_that_was_broken_off_goes_on_and_is_nowhere_before_it_is_whole(there, s3):
    table = s3.objects.pop("data/ham/table.parquet")
    with pytest.raises(DataError, match=r"s3://data/ham: has no table.parquet; the store there is damaged"):
        local_store("s3://data/ham")
    folders = [path for path in (cache_folder() / "stores").iterdir() if path.is_dir()]
    assert [path.name.endswith(".part") for path in folders] == [True]
    images = s3.objects.pop("data/ham/images.bin")
    s3.objects |= {"data/ham/table.parquet": table, "data/ham/images.bin": images[::-1]}  # would be seen if read again
    copied = local_store("s3://data/ham")
    assert same(copied, there)
    assert not folders[0].exists()


def test_a_damaged_copy_is_made_anew(there):
    copied = local_store(f"file://{there}")
    (copied / "images.bin").write_bytes(b"short")
    assert same(local_store(f"file://{there}", fingerprint=Store.open(there).fingerprint), there)


def test_several_processes_at_once_end_with_one_whole_copy(there):
    call = "import sys; from mindgap.data.store_cache import local_store; print(local_store(sys.argv[1]))"
    command = [sys.executable, "-c", call, f"file://{there}"]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    places = {process.communicate(timeout=300)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    (place,) = places
    assert same(Path(place), there)


def test_another_store_than_the_search_began_with_is_refused(there):
    with pytest.raises(DataError, match=r"has fingerprint tiny-300-False-0.4, the search began with '?other'?;"):
        local_store(f"file://{there}", fingerprint="other")


@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("file:///nowhere/at/all", DataError, "no store there"),
        ("s3://data/else", DataError, "no store there"),
        ("s3://", ConfigError, "give s3://BUCKET/PREFIX"),
        ("s3://key:secret@data/ham", ConfigError, "keys in the environment"),
        ("nothing://x/y", ConfigError, "cannot be read here"),
    ],
)
def test_a_wrong_address_is_one_line(there, s3, address, error, message):
    with pytest.raises(error, match=message) as raised:
        local_store(address)
    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_an_object_store_that_refuses_is_one_line(there, s3):
    s3.refuses = True
    with pytest.raises(CapacityError, match=r"403.*check the address, the keys and AWS_ENDPOINT_URL"):
        local_store("s3://data/ham")


def test_a_record_that_is_none_is_one_line(there):
    (there / "store.json").write_text(json.dumps([1]))
    with pytest.raises(DataError, match=r"its store.json has no fingerprint"):
        local_store(f"file://{there}")


def test_a_full_disk_is_one_line_and_leaves_no_store(there, small_disk, monkeypatch):
    (there / "masks.bin").write_bytes(bytes(300_000))
    monkeypatch.setenv("XDG_CACHE_HOME", str(small_disk))
    with pytest.raises(CapacityError, match="No space left on device"):
        local_store(f"file://{there}")
    assert not [path for path in (small_disk / "mindgap" / "stores").iterdir() if not path.name.startswith(".")]
