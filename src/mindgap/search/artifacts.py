"""Files of candidates that other machines need: a shared run folder, or one of Optuna's artifact stores.

Of Optuna it uses the artifact stores alone. Of an attempt's folder only files that mindgap writes are
sent and taken, and none of them can run code: safetensors, checkpoints read with ``weights_only``, tables and text.

An artifact's name holds a digest of its content, and a manifest names an attempt's artifacts. The manifest is written
last, so whoever reads it finds all that it names: a worker killed half-way leaves what was there before.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote

from mindgap.core.errors import CapacityError, ConfigError
from mindgap.data.s3 import S3, bucket_and_prefix, s3_client, s3_errors
from mindgap.space.architecture import ARCHITECTURE_FILE, WEIGHTS_FILE
from mindgap.train.checkpoint import CHECKPOINT_FILE, STEM_FILE, TEACHER

FILE = "file://"
MANIFEST = "manifest.json"
LOG_FILE = "log.jsonl"
PREDICTIONS_FILE = "predictions.parquet"
ERROR_FILE = "error.txt"
TEACHER_FILE = f"{TEACHER}/{CHECKPOINT_FILE}"
UNFINISHED = frozenset({CHECKPOINT_FILE, STEM_FILE, TEACHER_FILE})  # only who goes on with a candidate needs them
NAMES = (ARCHITECTURE_FILE, WEIGHTS_FILE, PREDICTIONS_FILE, LOG_FILE, ERROR_FILE, *sorted(UNFINISHED))


class AbstractArtifacts(ABC):
    """Makes an attempt's folder, ``trials/<slot>/<attempt>``, known to other machines."""

    @abstractmethod
    def send(self, folder: Path) -> None:
        """Makes the folder as it now is what others find; what is gone from it is removed there too.

        Raises:
            CapacityError: the store cannot be reached or written.
        """

    @abstractmethod
    def fetch(self, folder: Path) -> None:
        """Takes over what another machine sent of an attempt, unless the folder is here; nothing if there is nothing.

        Raises:
            CapacityError: the store cannot be reached, or the folder cannot be written.
        """

    @abstractmethod
    def tidy(self, folder: Path) -> None:
        """Removes the checkpoints that were sent of an attempt which nobody goes on from.

        Raises:
            CapacityError: the store cannot be reached or written.
        """


class SharedFolder(AbstractArtifacts):
    """The run's folder itself, which all workers see; nothing has to be sent."""

    def send(self, folder: Path) -> None:
        """Does nothing."""

    def fetch(self, folder: Path) -> None:
        """Does nothing."""

    def tidy(self, folder: Path) -> None:
        """Does nothing."""


class StoredArtifacts(AbstractArtifacts):
    """Files in one of Optuna's artifact stores.

    Args:
        url: ``file:///FOLDER`` or ``s3://BUCKET/PREFIX``.
        run: folder of the search on this machine; attempts are named by their path in it.

    Raises:
        ConfigError: the address is of neither kind, or a library is not installed.
    """

    def __init__(self, url: str, *, run: Path) -> None:
        self.url, self.run = url, run
        self._sent: dict[str, dict[str, str]] = {}
        self._folder, self._prefix = None, ""
        if url.startswith(S3):
            from optuna.artifacts import Boto3ArtifactStore

            bucket, self._prefix = bucket_and_prefix(url)
            self._store: Any = Boto3ArtifactStore(bucket, client=s3_client(), avoid_buf_copy=True)
        elif url.startswith(FILE):
            from optuna.artifacts import FileSystemArtifactStore

            self._folder = Path(unquote(url.removeprefix(FILE)))
            self._store = FileSystemArtifactStore(self._folder)
        else:
            raise ConfigError(f"artifacts is {url!r}; give file:///FOLDER or s3://BUCKET/PREFIX")

    def send(self, folder: Path) -> None:
        """Writes new artifacts, then the manifest, then removes those it no longer names."""
        key = self._key(folder)
        with self._errors():
            found = {name: _digest(folder / name) for name in NAMES if (folder / name).is_file()}
            before = self._sent.get(key, {})
            if found == before:
                return
            for name, digest in found.items():
                if before.get(name) != digest:
                    with (folder / name).open("rb") as file:
                        self._write(f"{key}/{name}.{digest}", file)
            self._name(key, found, before=before)

    def fetch(self, folder: Path) -> None:
        """Reads the manifest and all that it names, into a folder that is put in its place when it is whole."""
        if folder.exists():
            return
        key = self._key(folder)
        with self._errors():
            manifest = self._manifest(key)
            if not manifest:
                return
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetched-") as made:
                part = Path(made) / folder.name
                part.mkdir()
                for name, digest in manifest.items():
                    (part / name).parent.mkdir(exist_ok=True)
                    if not self._read(f"{key}/{name}.{digest}", part / name) or _digest(part / name) != digest:
                        return  # whoever sent it replaced or removed it just now
                with suppress(FileExistsError):
                    part.rename(folder)

    def tidy(self, folder: Path) -> None:
        """Names the artifacts anew without them."""
        key = self._key(folder)
        with self._errors():
            before = self._manifest(key)
            kept = {name: digest for name, digest in before.items() if name not in UNFINISHED}
            if kept != before:
                self._name(key, kept, before=before)

    def _name(self, key: str, found: dict[str, str], *, before: Mapping[str, str]) -> None:
        self._write(f"{key}/{MANIFEST}", io.BytesIO(json.dumps(found).encode()))
        self._sent[key] = found
        for name, digest in before.items():
            if found.get(name) != digest:
                with self._missing():
                    self._store.remove(f"{self._prefix}{key}/{name}.{digest}")

    def _manifest(self, key: str) -> dict[str, str]:
        """Digests by name; empty if nothing was sent."""
        try:
            with self._missing(raised=True), self._store.open_reader(f"{self._prefix}{key}/{MANIFEST}") as reader:
                read = json.loads(reader.read())
        except (LookupError, ValueError):
            return {}
        return {name: digest for name, digest in read.items() if name in NAMES} if isinstance(read, dict) else {}

    def _write(self, artifact: str, content: IO[bytes]) -> None:
        name = f"{self._prefix}{artifact}"
        if self._folder is None:
            self._store.write(name, content)
            return
        place = self._folder / name  # Optuna writes in place; whoever reads must not find half a file
        place.parent.mkdir(parents=True, exist_ok=True)
        self._store.write(f"{name}.part", content)
        place.with_name(f"{place.name}.part").replace(place)

    def _read(self, artifact: str, target: Path) -> bool:
        try:
            with (
                self._missing(raised=True),
                self._store.open_reader(f"{self._prefix}{artifact}") as reader,
                target.open("wb") as file,
            ):
                shutil.copyfileobj(reader, file, 2**22)
        except LookupError:
            return False
        return True

    def _key(self, folder: Path) -> str:
        return folder.relative_to(self.run).as_posix()

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            with s3_errors(self.url) if self._folder is None else nullcontext():
                yield
        except OSError as error:
            raise CapacityError(f"{self.url}: {error.strerror or error}; free space or check the address") from error

    @contextmanager
    def _missing(self, *, raised: bool = False) -> Generator[None]:
        """Passes over artifacts that are not there, or raises ``LookupError`` for them."""
        from optuna.artifacts.exceptions import ArtifactNotFound

        try:
            yield
        except ArtifactNotFound as error:
            if raised:
                raise LookupError(str(error)) from None


def open_artifacts(url: str | None, *, run: Path) -> AbstractArtifacts:
    """Where a search's workers leave candidates' files; without an address it is the run's own folder.

    Raises:
        ConfigError: the address is of no known kind.
    """
    return SharedFolder() if url is None else StoredArtifacts(url, run=run)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
