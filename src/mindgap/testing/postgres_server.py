"""A private PostgreSQL for tests and benchmarks: its own folder, its own port on loopback, nobody's data.

    with PostgresServer.start() as server:
        create_ledger(server.url("mindgap", study="mine"), {})

PostgreSQL is taken from the path or from where Debian's package puts it. It refuses to run as root; root starts it as
the user ``postgres`` or ``nobody``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mindgap.core.errors import CapacityError

DEBIAN = Path("/usr/lib/postgresql")
USER = "mindgap"  # of the database; trusted on loopback without a password
START_S = 120
UNSAFE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}  # a test's data may die with it


def postgres_binaries() -> Path | None:
    """The folder of the newest PostgreSQL's programs; None where there is none."""
    versions = [path for path in DEBIAN.glob("*/bin") if (path / "initdb").exists()]
    if versions:
        return max(versions, key=lambda path: float(path.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


@dataclass
class PostgresServer:
    """A server that runs until its block ends.

    Attributes:
        folder: its data, socket and log; removed at the end.
        port: on 127.0.0.1.
        settings: of ``postgresql.conf``, such as ``max_connections``.
    """

    folder: Path
    port: int
    settings: Mapping[str, str]
    _binaries: Path
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @classmethod
    @contextmanager
    def start(cls, *, max_connections: int = 100, **settings: str) -> Generator[PostgresServer]:
        """Makes a database cluster, runs it for the block, and removes it.

        Args:
            max_connections: clients at a time.
            settings: more of ``postgresql.conf``; each goes before our own, which are fast and unsafe.

        Raises:
            CapacityError: PostgreSQL is not installed or does not start.
        """
        binaries = postgres_binaries()
        if binaries is None:
            raise CapacityError("PostgreSQL is not installed; apt-get install postgresql")
        folder = Path(tempfile.mkdtemp(prefix="mindgap-pg-", dir="/tmp"))  # the path of a socket must be short
        chosen = UNSAFE | {"max_connections": str(max_connections)} | settings
        server = cls(folder, _free_port(), chosen, binaries)
        try:
            server._initialise()
            server.run()
            yield server
        finally:
            server.stop(signal.SIGQUIT)
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, database: str = "postgres", *, study: str | None = None) -> str:
        """The address of a database on it, for ``--study``; the database is made where it is missing."""
        if database != "postgres":
            self._make_database(database)
        query = "" if study is None else f"?study={study}"
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}{query}"

    def run(self) -> None:
        """Starts the server and waits until it takes connections.

        Raises:
            CapacityError: it ended instead.
        """
        with (self.folder / "log").open("ab") as log:
            command = [self._binaries / "postgres", "-D", self._data]
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", user=_user(), extra_groups=_groups())
        self._process = process
        until = time.monotonic() + START_S
        while self._pg("pg_isready", "-q", check=False).returncode:
            if process.poll() is not None or time.monotonic() > until:
                raise CapacityError(f"PostgreSQL does not start ({self._last_line()}); see {self.folder / 'log'}")
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends the server: ``SIGINT`` breaks off transactions, ``SIGQUIT`` ends as a crash would."""
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Breaks off all connections and starts again on the same port, with the same data."""
        self.stop(how)
        self.run()

    def _initialise(self) -> None:
        user = _user()
        if user is not None:
            shutil.chown(self.folder, user)
        options = ["-A", "trust", "-U", USER, "-E", "UTF8", "--no-sync", "--no-instructions"]
        made = subprocess.run(
            [self._binaries / "initdb", "-D", self._data, *options],
            capture_output=True, text=True, check=False, cwd="/", user=_user(), extra_groups=_groups(),
        )  # fmt: skip
        if made.returncode:
            raise CapacityError(f"PostgreSQL's initdb failed: {made.stderr.strip()}")
        own = {"listen_addresses": "127.0.0.1", "port": str(self.port), "unix_socket_directories": str(self.folder)}
        with (self._data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in (own | dict(self.settings)).items())

    def _make_database(self, name: str) -> None:
        """Makes a database, or leaves the one there is."""
        made = self._pg("createdb", name, check=False)
        if made.returncode and "already exists" not in made.stderr:
            raise CapacityError(f"PostgreSQL: cannot make the database {name!r}: {made.stderr.strip()}")

    def _pg(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [self._binaries / program, "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=check, cwd="/", env=os.environ | {"LC_ALL": "C"}
        )

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _last_line(self) -> str:
        lines = (self.folder / "log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "nothing in its log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _user() -> str | None:
    """Whom root lets run the server; None for anyone else, who runs it himself."""
    if os.geteuid() != 0:
        return None
    return "postgres" if any(account.pw_name == "postgres" for account in pwd.getpwall()) else "nobody"


def _groups() -> list[int] | None:
    """None of root's own groups; None for anyone else, who may not give up any."""
    return [] if os.geteuid() == 0 else None
