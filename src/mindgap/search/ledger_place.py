"""Where a run's ledger is: a file in its folder, or a server whose address it remembers without the password."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from mindgap.core.config import read_toml
from mindgap.core.errors import ConfigError, MindgapError
from mindgap.core.files import read_json
from mindgap.core.replacement import CONFIG, PROVENANCE
from mindgap.search.ledger_address import SQLITE, LedgerAddress

LEDGER_FILE = "ledger.db"
LEDGER_ID = "ledger_id"  # in the provenance of a run and in the notes of its ledger, so that the two know each other
LEDGER_MADE = "ledger_made"
RUN_FOLDER = "run"  # note: where the driver has its folder
ARTIFACTS = "artifacts"  # note: the address of candidates' files, if they are not in that folder
SPACE_TEXT = "space_text"  # note: the file of the search space, if it is one
_PARTS = re.compile(r"^(?P<scheme>[a-z+]+://)((?P<user>[^/:@?]*)(:(?P<password>[^@]*))?@)?(?P<rest>.*)$")
PASSWORD = "PGPASSWORD"  # noqa: S105  (the name of the variable, as PostgreSQL's own library reads it)


def ledger_url(run: Path) -> str:
    """The address of a run's ledger: the server it was begun on, else the file in its folder."""
    return _remembered(run) or f"{SQLITE}{run / LEDGER_FILE}"


def has_ledger(run: Path) -> bool:
    """Whether the search of a run folder has begun."""
    return (run / LEDGER_FILE).exists() or bool(_provenance(run).get(LEDGER_MADE))


def ledger_id(run: Path) -> str | None:
    """What the ledger on a server must say of itself to be this run's; None if the run has none there."""
    return _provenance(run).get(LEDGER_ID)


def without_password(url: str) -> tuple[str, dict[str, str]]:
    """An address that may be written to files and shown in lists of processes, and the environment it then needs.

    Example:
        >>> without_password("postgresql+psycopg://ana:a%2Fb@db/ham")
        ('postgresql+psycopg://ana@db/ham', {'PGPASSWORD': 'a/b'})

    Raises:
        ConfigError: the password is an option of the address, such as ``sslpassword``.
    """
    parts = _PARTS.match(url)
    password = parts["password"] if parts else None
    plain = url if parts is None else _joined(parts, user=parts["user"])
    address = LedgerAddress.parse(plain)
    if "***" in address.shown:
        raise ConfigError(f"{address.shown}: give the password as USER:PASSWORD@HOST, in {PASSWORD} or in ~/.pgpass")
    return address.shown, {} if password is None else {PASSWORD: unquote(password)}


def with_password(url: str, environment: Mapping[str, str]) -> str:
    """The reverse of ``without_password``."""
    parts, password = _PARTS.match(url), environment.get(PASSWORD)
    if parts is None or password is None:
        return url
    return _joined(parts, user=f"{parts['user'] or ''}:{quote(password, safe='')}")


def _joined(parts: re.Match[str], *, user: str | None) -> str:
    return parts["scheme"] + (f"{user}@" if user else "") + parts["rest"]


def named(url: str, suffix: str) -> str:
    """The address of another search beside one on a server: its name with a suffix."""
    place, _, query = url.partition("?")
    others = [part for part in query.split("&") if part and not part.startswith("study=")]
    return f"{place}?{'&'.join([*others, f'study={LedgerAddress.parse(url).study}-{suffix}'])}"


def _remembered(run: Path) -> str | None:
    if not (run / CONFIG).is_file():
        return None
    try:
        options = read_toml(run / CONFIG).get("options", {})
    except (ConfigError, tomllib.TOMLDecodeError):
        return None
    return options.get("study") if isinstance(options, dict) else None


def _provenance(run: Path) -> dict[str, Any]:
    try:
        return read_json(run / PROVENANCE)
    except MindgapError:
        return {}
