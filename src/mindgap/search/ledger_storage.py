"""The database under a ledger: how it is made, and how it is opened. Its tables are Optuna's."""

from __future__ import annotations

import json
import sqlite3
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import optuna
from optuna.storages._rdb import models
from optuna.study import StudyDirection
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from mindgap.core.errors import CapacityError, ConfigError, RunError
from mindgap.core.files import atomic_path, jsonable
from mindgap.search.ledger_address import SQLITE, STUDY, LedgerAddress
from mindgap.search.ledger_retry import What, persistently, reason, translated
from mindgap.search.ledger_rows import find_study
from mindgap.search.local_disk import refuse_network_disk

DIRECTIONS = (StudyDirection.MAXIMIZE, StudyDirection.MINIMIZE, StudyDirection.MINIMIZE)  # accuracy, U, MACs
OPENING_S = 15
NO_DRIVER = "a ledger on PostgreSQL needs psycopg, which is not installed; pip install 'mindgap[cluster]'"
_LOCK = 0x6D696E64676170  # "mindgap"; number of the lock under which a server's tables are made
_FILE: dict[str, Any] = {"connect_args": {"timeout": 60}}
# One connection per process; a second while both its threads write. A server or a host that is gone is noticed within
# a minute. A transaction whose process was stopped in the middle holds the others up for no longer; nor do processes
# that were stopped while they queued for a lock, however many.
_SERVER: dict[str, Any] = {
    "pool_size": 1,
    "max_overflow": 1,
    "connect_args": {
        "connect_timeout": 10,
        "keepalives_idle": 20,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        "application_name": "mindgap",
    },
}
_SESSION = "-c idle_in_transaction_session_timeout=60s -c statement_timeout=60s"
T = TypeVar("T")


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
        return persistently(
            lambda: _fill_on_server(address, notes), what="written", address=address, patience_s=OPENING_S
        )
    refuse_network_disk(address.file.parent)
    if address.file.exists():
        return False
    _remove_unfinished(address.file)
    try:
        with translated("written", address), atomic_path(address.file) as temporary:
            return _fill(f"{SQLITE}{temporary}", STUDY, notes)
    finally:
        _remove_unfinished(address.file)


class LedgerDatabase:
    """Connections to an opened ledger's database.

    To read a file with a write-ahead log takes a file of locks beside it. Where no process has the ledger open there is
    no log, and a reader who may be somebody else leaves nothing there.

    Args:
        address: of the ledger.
        read_only: writes nothing.
        patience_s: how long a server may be away.
        on_trouble: called when a try failed and another will be made.

    Raises:
        RunError: there is no such file, or it lies on a network file system.
        ConfigError: the driver of a server is not installed.
    """

    def __init__(
        self, address: LedgerAddress, *, read_only: bool, patience_s: float, on_trouble: Callable[[], None]
    ) -> None:
        self.address, self.patience_s, self._on_trouble = address, patience_s, on_trouble
        file = address.file
        if file is not None and not file.is_file():
            raise RunError(f"{file}: there is no ledger; give the folder of a search that has begun")
        if file is not None and not read_only:
            refuse_network_disk(file.parent)
        if file is None:
            self._engine = _server_engine(address)
            self._reads = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        elif read_only:
            alone = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
            self._engine = create_engine(f"{SQLITE}file:{quote(str(file.absolute()))}?mode=ro{alone}&uri=true", **_FILE)
            self._reads = self._engine
        else:
            self._engine = create_engine(address.database, **_FILE)
            _serialise_writes(self._engine)
            self._reads = self._engine
        self._writes = self._engine.execution_options(writes=True)

    def reading(self, action: Callable[[Connection], T], *, patience_s: float | None = None) -> T:
        """Reads; each statement sees what is committed when it begins.

        Raises:
            CapacityError: the database is away for too long.
        """

        def read() -> T:
            with self._reads.connect() as connection:
                return action(connection)

        return self._persistently(read, what="read", patience_s=patience_s)

    def writing(self, action: Callable[[Connection], T], *, patience_s: float | None = None) -> T:
        """Writes in one transaction; the action may be repeated, and finds then what it did if it was done.

        Raises:
            CapacityError: the ledger cannot be written.
        """

        def write() -> T:
            with self._writes.begin() as connection:
                return action(connection)

        return self._persistently(write, what="written", patience_s=patience_s)

    def close(self) -> None:
        """Gives back the connections."""
        self._engine.dispose()

    def _persistently(self, action: Callable[[], T], *, what: What, patience_s: float | None = None) -> T:
        return persistently(
            action,
            what=what,
            address=self.address,
            patience_s=self.patience_s if patience_s is None else patience_s,
            on_trouble=self._on_trouble,
        )


def find_search(database: LedgerDatabase) -> int:
    """Number of the search that the address names; gives back the connections if it is not there.

    Raises:
        RunError: it is not there, cannot be reached, or may not be used.
    """
    address = database.address
    try:
        patience_s = min(database.patience_s, OPENING_S)
        return database.reading(lambda connection: find_study(connection, address.study), patience_s=patience_s)
    except (KeyError, CapacityError) as error:
        database.close()
        raise RunError(f"{address.shown}: {_why_not_open(error, address)}") from None


def _why_not_open(error: Exception, address: LedgerAddress) -> str:
    if address.file is not None:
        return "holds no search, or none yet; check the path or try again in a moment"
    if isinstance(error, KeyError) or isinstance(error.__cause__, ProgrammingError):  # no such table
        return f"holds no search named {address.study!r}; check the name, study=NAME, or try again in a moment"
    return f"the server cannot be reached ({reason(error.__cause__ or error)}); check the address and try again"


def _server_engine(address: LedgerAddress) -> Engine:
    try:
        engine = create_engine(address.database, **_SERVER)
    except ImportError:
        raise ConfigError(NO_DRIVER) from None

    @event.listens_for(engine, "do_connect")
    def _on_connect(_dialect: object, _record: object, _arguments: object, options: dict[str, Any]) -> None:
        options["options"] = f"{options.get('options', '')} {_SESSION}".strip()

    return engine


def _serialise_writes(engine: Engine) -> None:
    """Makes a writing transaction of SQLite take the write lock when it begins.

    Python's driver begins only at the first write, so that two processes could both read "running" and then both
    write an end. The write-ahead log keeps readers and a killed writer from blocking anyone.
    """

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("PRAGMA synchronous=NORMAL")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes"):
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def _fill_on_server(address: LedgerAddress, notes: Mapping[str, object]) -> bool:
    """Makes tables and search while nobody else does."""
    engine = _server_engine(address)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})
            return _fill(address.database, address.study, notes)
    finally:
        engine.dispose()


def _fill(database: str, name: str, notes: Mapping[str, object]) -> bool:
    with _made_tables(database) as engine, Session(engine) as session, session.begin():
        if models.StudyModel.find_by_name(name, session) is not None:
            return False
        directions = [models.StudyDirectionModel(objective=i, direction=way) for i, way in enumerate(DIRECTIONS)]
        study = models.StudyModel(study_name=name, directions=directions)
        session.add(study)
        session.flush()
        texts = {key: json.dumps(jsonable(value)) for key, value in notes.items()}
        session.add_all(
            models.StudyUserAttributeModel(study_id=study.study_id, key=key, value_json=text)
            for key, text in texts.items()
        )
    return True


@contextmanager
def _made_tables(database: str) -> Generator[Engine]:
    """The database with Optuna's tables in it, marked with Optuna's version, for its own tools to read."""

    def quick() -> sqlite3.Connection:
        connection = sqlite3.connect(database.removeprefix(SQLITE))
        connection.execute("PRAGMA synchronous=OFF")  # the file is flushed when it is whole
        return connection

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        storage = optuna.storages.RDBStorage(
            database.replace("{", "{{").replace("}", "}}"),  # it is a template to Optuna
            engine_kwargs={"poolclass": NullPool} | ({"creator": quick} if database.startswith(SQLITE) else {}),
        )
    try:
        yield storage.engine
    finally:
        storage.remove_session()
        storage.engine.dispose()


def _remove_unfinished(file: Path) -> None:
    """Removes what making a ledger left when it failed or was killed, SQLite's own side files too."""
    for left in file.parent.glob(f".{file.name}.*.tmp*"):
        left.unlink(missing_ok=True)
