"""Where a ledger is: the address of a database, and the name of one search in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode

from mindgap.core.errors import ConfigError

SQLITE = "sqlite:///"
POSTGRESQL = "postgresql+psycopg://"
STUDY = "mindgap"
LONGEST_STUDY = 512
_SERVER = re.compile(r"^(postgres|postgresql|postgresql\+psycopg)://")
_USER = re.compile(r"^[^/:@?]*(:[^@]*)?@")
_SECRET = re.compile(r"password|secret|token", re.IGNORECASE)


@dataclass(frozen=True)
class LedgerAddress:
    """A ledger's address, taken apart.

    Attributes:
        database: the address without the search's name, for the database driver alone: it may hold a password.
        study: name of the search; several searches share one server under different names.
        file: of SQLite; None for a server.
        shown: the whole address without passwords, for messages and files.
    """

    database: str = field(repr=False)
    study: str
    file: Path | None
    shown: str

    @classmethod
    def parse(cls, url: str) -> LedgerAddress:
        """Takes ``sqlite:///FILE`` or ``postgresql+psycopg://[USER[:PASSWORD]@]HOST[:PORT]/DATABASE[?study=NAME]``.

        Without a name the search is called ``mindgap``; a SQLite file holds one search, whose name is always that.

        Raises:
            ConfigError: it is neither, or the name is empty or too long.

        Example:
            >>> LedgerAddress.parse("postgresql://ana:secret@db/ham?study=first").shown
            'postgresql+psycopg://ana:***@db/ham?study=first'
        """
        if url.startswith(SQLITE):
            return cls(url, STUDY, Path(url.removeprefix(SQLITE)), url)
        scheme = _SERVER.match(url)
        if scheme is None:
            raise ConfigError(f"study is {masked(url)!r}; give {SQLITE}FILE or {POSTGRESQL}HOST/DATABASE?study=NAME")
        rest = url[scheme.end() :]
        user = _USER.match(rest)  # a password may hold a question mark
        account = user.group() if user else ""
        place, _, query = rest.removeprefix(account).partition("?")
        options = parse_qsl(query, keep_blank_values=True)
        names = [value for key, value in options if key == "study"] or [STUDY]
        if len(names) > 1 or not names[0].strip() or len(names[0]) > LONGEST_STUDY:
            raise ConfigError(f"{masked(url)}: give one name, study=NAME, of at most {LONGEST_STUDY} characters")
        others = urlencode([(key, value) for key, value in options if key != "study"], quote_via=quote)
        database = f"{POSTGRESQL}{account}{place}" + (f"?{others}" if others else "")
        return cls(database, names[0], None, masked(f"{POSTGRESQL}{rest}"))


def masked(url: str) -> str:
    """An address with ``***`` for every password in it, so that it can be shown and written to files.

    Example:
        >>> masked("s3://key:secret@bucket?sslpassword=x&a=1")
        's3://key:***@bucket?sslpassword=***&a=1'
    """
    place, mark, query = re.sub(r"(://[^/:@?]*):.*@", r"\1:***@", url).partition("?")
    return place + mark + "&".join(_masked_option(part) for part in query.split("&"))


def _masked_option(part: str) -> str:
    name, mark, _ = part.partition("=")
    return f"{name}=***" if mark and _SECRET.search(unquote(name)) else part
