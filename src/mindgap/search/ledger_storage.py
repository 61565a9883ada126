"""The database under a ledger: how it is made, and how it is opened."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
from sqlalchemy import Engine, event
from sqlalchemy.exc import SQLAlchemyError

from mindgap.core.errors import CapacityError
from mindgap.core.files import atomic_path, jsonable

STUDY = "mindgap"
SQLITE = "sqlite:///"
DIRECTIONS = ("maximize", "minimize", "minimize")  # accuracy, unfairness, multiply-accumulates
HEARTBEAT_S = 15
GRACE_S = 60


def create_ledger(url: str, notes: Mapping[str, object]) -> None:
    """Makes the ledger of a new search with what has to be known before its first slot, or leaves the one there is.

    A SQLite file is made under a temporary name: whoever finds it finds it whole, plan and all. It is made without the
    write-ahead log, whose content a full disk can keep from the file without an error.

    Raises:
        CapacityError: it cannot be written.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    file = sqlite_file(url)
    if file is None:
        _fill_ledger(url, notes)
    elif not file.exists():
        _remove_unfinished(file)
        try:
            with writing(), atomic_path(file) as temporary:
                _fill_ledger(f"{SQLITE}{temporary}", notes)
        finally:
            _remove_unfinished(file)


def _fill_ledger(url: str, notes: Mapping[str, object]) -> None:
    storage = open_storage(url, create=True)
    try:
        study = optuna.create_study(storage=storage, study_name=STUDY, directions=DIRECTIONS, load_if_exists=True)
        for key, value in notes.items():
            study.set_user_attr(key, jsonable(value))
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _remove_unfinished(file: Path) -> None:
    """Removes what making a ledger left when it failed or was killed, SQLite's own side files too."""
    for left in file.parent.glob(f".{file.name}.*.tmp*"):
        left.unlink(missing_ok=True)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite address; None for a database server."""
    return Path(url.removeprefix(SQLITE)) if url.startswith(SQLITE) else None


def open_storage(url: str, *, create: bool = False, read_only: bool = False) -> optuna.storages.RDBStorage:
    """Connects to a ledger's database; ``create`` makes its tables, ``read_only`` never writes.

    To read a file with a write-ahead log takes a file of locks beside it. Where no process has the ledger open there is
    no log, and a reader who may be somebody else leaves nothing there.
    """
    file = sqlite_file(url)
    if file is not None and read_only:
        alone = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
        url = f"{SQLITE}file:{quote(str(file.absolute()))}?mode=ro{alone}&uri=true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.RDBStorage(
            url,
            engine_kwargs=None if file is None else {"connect_args": {"timeout": 60}},
            heartbeat_interval=HEARTBEAT_S,
            grace_period=GRACE_S,
            skip_table_creation=not create,
            skip_compatibility_check=not create,
        )
    if file is not None and not read_only and not create:
        _serialise_writes(storage.engine)
    return storage


@contextmanager
def writing() -> Generator[None]:
    """Tells of a ledger that cannot be written in one line.

    Raises:
        CapacityError: the block could not write, as on a full disk.
    """
    try:
        yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        reason = str(error.__cause__ or error).partition("\n")[0]
        raise CapacityError(
            f"the ledger cannot be written ({reason}); free space, then run the same command"
        ) from error


def _serialise_writes(engine: Engine) -> None:
    """Makes a transaction of SQLite take the write lock when it begins.

    Python's driver begins only at the first write, so that two processes could both read "running" and then both
    write an end. The write-ahead log keeps readers and a killed writer from blocking anyone.
    """

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    engine.dispose()
