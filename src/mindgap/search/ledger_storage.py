"""The database under a ledger: how it is made, and how it is opened."""

from __future__ import annotations

import json
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import optuna
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from mindgap.core.errors import CapacityError, ConfigError
from mindgap.core.files import atomic_path, jsonable
from mindgap.search.ledger_address import SQLITE, STUDY, LedgerAddress
from mindgap.search.local_disk import refuse_network_disk

DIRECTIONS = ("maximize", "minimize", "minimize")  # accuracy, unfairness, multiply-accumulates
HEARTBEAT_S = 15
GRACE_S = 60
ADVISORY_KEY = 0x6D696E64676170  # "mindgap"; of the lock under which a server's tables are made
NO_DRIVER = "a ledger on PostgreSQL needs psycopg, which is not installed; pip install 'mindgap[cluster]'"
_ENGINE_OF_FILE: dict[str, Any] = {"connect_args": {"timeout": 60}}
# One connection per process, a second only while both its threads write; one that the server closed is made anew.
_ENGINE_OF_SERVER: dict[str, Any] = {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True}


def create_ledger(url: str, notes: Mapping[str, object]) -> bool:
    """Makes the ledger of a new search with what has to be known before its first slot, or leaves the one there is.

    Whoever finds it finds it whole, plan and all: a SQLite file is made under a temporary name, and on a server one
    transaction makes it. The file is made without the write-ahead log, whose content a full disk can keep from the file
    without an error.

    Returns:
        Whether it was made by this call; if not, it may be of another search with the same name.

    Raises:
        CapacityError: it cannot be written.
        ConfigError: the address is of no kind of ledger.
        RunError: the file would lie on a network file system.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    address = LedgerAddress.parse(url)
    if address.file is None:
        with writing(), _alone(address):
            return _fill_ledger(address.database, address.study, notes)
    refuse_network_disk(address.file.parent)
    if address.file.exists():
        return False
    _remove_unfinished(address.file)
    try:
        with writing(), atomic_path(address.file) as temporary:
            return _fill_ledger(f"{SQLITE}{temporary}", STUDY, notes)
    finally:
        _remove_unfinished(address.file)


def _fill_ledger(database: str, name: str, notes: Mapping[str, object]) -> bool:
    storage = _connect(database, create=True)
    try:
        with Session(storage.engine) as session, session.begin():
            if models.StudyModel.find_by_name(name, session) is not None:
                return False
            directions = [
                models.StudyDirectionModel(objective=number, direction=StudyDirection[direction.upper()])
                for number, direction in enumerate(DIRECTIONS)
            ]
            study = models.StudyModel(study_name=name, directions=directions)
            session.add(study)
            session.flush()
            session.add_all(
                models.StudyUserAttributeModel(study_id=study.study_id, key=key, value_json=json.dumps(jsonable(value)))
                for key, value in notes.items()
            )
        return True
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def _alone(address: LedgerAddress) -> Generator[None]:
    """Keeps others from making tables in the database of a server at the same time."""
    try:
        engine = create_engine(address.database)
    except ImportError:
        raise ConfigError(NO_DRIVER) from None
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": ADVISORY_KEY})
            yield
    finally:
        engine.dispose()


def _remove_unfinished(file: Path) -> None:
    """Removes what making a ledger left when it failed or was killed, SQLite's own side files too."""
    for left in file.parent.glob(f".{file.name}.*.tmp*"):
        left.unlink(missing_ok=True)


def open_storage(address: LedgerAddress, *, read_only: bool = False) -> optuna.storages.RDBStorage:
    """Connects to a ledger's database; ``read_only`` never writes.

    To read a file with a write-ahead log takes a file of locks beside it. Where no process has the ledger open there is
    no log, and a reader who may be somebody else leaves nothing there.

    Raises:
        ConfigError: the driver of a server is not installed.
    """
    file = address.file
    if file is None:
        return _connect(address.database)
    if read_only:
        alone = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
        return _connect(f"{SQLITE}file:{quote(str(file.absolute()))}?mode=ro{alone}&uri=true")
    storage = _connect(address.database)
    _serialise_writes(storage.engine)
    return storage


def _connect(database: str, *, create: bool = False) -> optuna.storages.RDBStorage:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            return optuna.storages.RDBStorage(
                database.replace("{", "{{").replace("}", "}}"),  # Optuna formats it
                engine_kwargs=_ENGINE_OF_FILE if database.startswith(SQLITE) else _ENGINE_OF_SERVER,
                heartbeat_interval=HEARTBEAT_S,
                grace_period=GRACE_S,
                skip_table_creation=not create,
                skip_compatibility_check=not create,
            )
        except ImportError:
            raise ConfigError(NO_DRIVER) from None


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
