"""Stores that are elsewhere: copied once into this machine's cache, whole or not at all, and known by fingerprint."""

from __future__ import annotations

import errno
import fcntl
import re
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from mindgap.core.cache import cache_folder
from mindgap.core.errors import CapacityError, ConfigError, DataError
from mindgap.core.files import read_json
from mindgap.data.image_store import Store
from mindgap.data.s3 import S3, bucket_and_prefix, s3_client, s3_errors

T = TypeVar("T")
RECORD = "store.json"
NEEDED = ("images.bin", "table.parquet")
OPTIONAL = ("masks.bin", "dropped.csv", "twins.bin")


class Source(Protocol):
    """A store's files at an address."""

    def size(self, name: str) -> int | None:
        """Bytes of a file; None if it is not there."""
        ...

    def copy(self, name: str, target: Path) -> None:
        """Copies a file here."""
        ...


def is_address(place: Path | str) -> bool:
    """Whether a place is an address, such as ``s3://bucket/store``, and not a path."""
    return "://" in str(place)


def local_store(place: Path | str, *, fingerprint: str | None = None) -> Path:
    """The folder of a store; one at an address is copied into the cache first, once for all processes of the machine.

    Args:
        place: a folder, or an address that fsspec or S3 reads: ``s3://``, ``file://``, ``https://``, …
        fingerprint: of the store that is meant, if it is known; a cached copy then does without the address.

    Raises:
        DataError: there is no store at the address, it is another one, or it changed while it was copied.
        CapacityError: the address cannot be reached, or the cache cannot be written.
        ConfigError: no library here reads such an address.
    """
    if not is_address(place):
        return Path(place)
    url = str(place)
    if fingerprint is not None and (whole := _whole(_place_of(fingerprint), fingerprint)):
        return whole
    source = _source(url)
    with _alone(cache_folder() / "stores", "record") as folder:
        found = _fingerprint(source, url, folder / ".record.json")
    if fingerprint is not None and found != fingerprint:
        raise DataError(f"{url}: has fingerprint {found}, the search began with {fingerprint}; give the same store")
    with _alone(cache_folder() / "stores", found):
        return _whole(_place_of(found), found) or _copied(source, url, found)


def _copied(source: Source, url: str, fingerprint: str) -> Path:
    """Copies what is missing of a store into a folder beside its place, and puts that there when it is whole."""
    target = _place_of(fingerprint)
    part = target.with_name(f".{target.name}.part")  # what an earlier call left of the same store is gone on with
    try:
        part.mkdir(parents=True, exist_ok=True)
        for name in (*NEEDED, *OPTIONAL):
            size = source.size(name)
            if size is None and name in NEEDED:
                raise DataError(f"{url}: has no {name}; the store there is damaged, copy it again")
            if size is not None:
                _copy(source, name, part / name, size=size)
        if _fingerprint(source, url, part / RECORD) != fingerprint:
            raise DataError(f"{url}: the store changed while it was copied; try again")
        Store.open(part).table  # noqa: B018  (the sizes fit, and the table can be read)
        if target.exists():
            shutil.rmtree(target)  # a copy that is damaged
        part.rename(target)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CapacityError(f"{target}: cannot write ({reason}); free space or set XDG_CACHE_HOME") from error
    return target


def _copy(source: Source, name: str, target: Path, *, size: int) -> None:
    if target.is_file() and target.stat().st_size == size:
        return
    beside = target.with_name(f"{name}.copying")
    source.copy(name, beside)
    if beside.stat().st_size != size:
        raise DataError(f"{target.name}: {beside.stat().st_size} of {size} bytes came; try again")
    beside.replace(target)


def _whole(folder: Path, fingerprint: str) -> Path | None:
    """The cached store if it is all there."""
    try:
        return folder if Store.open(folder).fingerprint == fingerprint else None
    except DataError:
        return None


def _fingerprint(source: Source, url: str, target: Path) -> str:
    if source.size(RECORD) is None:
        raise DataError(f"{url}: no store there (no {RECORD}); copy there what mindgap prepare wrote")
    source.copy(RECORD, target)
    record = read_json(target)
    found = record.get("fingerprint") if isinstance(record, dict) else None
    if not isinstance(found, str):
        raise DataError(f"{url}: its {RECORD} has no fingerprint; prepare the store again")
    return found


def _place_of(fingerprint: str) -> Path:
    return cache_folder() / "stores" / re.sub(r"[^A-Za-z0-9_-]", "_", fingerprint)


@contextmanager
def _alone(folder: Path, name: str) -> Generator[Path]:
    """Waits until no other process of this machine copies the same thing, and keeps others waiting meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f".{re.sub(r'[^A-Za-z0-9_-]', '_', name)}.lock").open("w", encoding="ascii")
    except OSError as error:
        raise CapacityError(f"{folder}: cannot write ({error.strerror}); set XDG_CACHE_HOME") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def _source(url: str) -> Source:
    return _S3Source(url) if url.startswith(S3) else _FsspecSource(url)


class _S3Source:
    def __init__(self, url: str) -> None:
        self.url, self.client = url, s3_client()
        self.bucket, self.prefix = bucket_and_prefix(url)

    def size(self, name: str) -> int | None:
        from botocore.exceptions import ClientError

        with s3_errors(self.url):
            try:
                return self.client.head_object(Bucket=self.bucket, Key=self.prefix + name)["ContentLength"]
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                    return None
                raise

    def copy(self, name: str, target: Path) -> None:
        with s3_errors(self.url):
            self.client.download_file(self.bucket, self.prefix + name, str(target))


class _FsspecSource:
    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ImportError:
            raise ConfigError(f"{url} needs fsspec, which is not installed; pip install 'mindgap[cluster]'") from None
        self.url = url
        try:
            self.system, self.path = fsspec.url_to_fs(url.rstrip("/"))
        except (ImportError, ValueError) as error:
            raise ConfigError(
                f"{url}: cannot be read here ({error}); install what it needs, or copy the store"
            ) from None
        self.web_errors = _web_errors(url)

    def size(self, name: str) -> int | None:
        return self._try(lambda: self.system.size(f"{self.path}/{name}"))

    def copy(self, name: str, target: Path) -> None:
        with target.open("wb") as file:
            self._try(lambda: self._read(name, file))

    def _read(self, name: str, file: BinaryIO) -> None:
        with self.system.open(f"{self.path}/{name}", "rb") as there:
            shutil.copyfileobj(there, file, 2**22)

    def _try(self, action: Callable[[], T]) -> T | None:
        try:
            return action()
        except (OSError, *self.web_errors) as error:
            if isinstance(error, FileNotFoundError) and self._is_absent(error):
                return None
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise
            reason = error.__cause__ if isinstance(error.__cause__, self.web_errors) else error
            raise CapacityError(f"{self.url}: cannot be read ({reason}); check the address") from error

    def _is_absent(self, error: FileNotFoundError) -> bool:
        """Whether the file is not there; fsspec says so too of a web server that cannot answer."""
        cause = error.__cause__
        return not isinstance(cause, self.web_errors) or getattr(cause, "status", None) in {404, 410}


def _web_errors(url: str) -> tuple[type[Exception], ...]:
    """What reading from a web server raises besides ``OSError``."""
    if not url.startswith(("http://", "https://")):
        return ()
    import aiohttp  # fsspec has just done so

    return (aiohttp.ClientError, TimeoutError)
