"""Patience with a ledger's database that is away for a while, and one clear line when it stays away."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Literal, TypeVar

import optuna
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from mindgap.core.errors import CapacityError
from mindgap.search.ledger_address import LedgerAddress

PATIENCE_S = 300.0
LONGEST_PAUSE_S = 5.0
# SQLSTATE classes and codes that pass: connections lost or not to be had, deadlocks, waits that took too long, a server
# that stops or starts.
_PASSING = ("08", "40", "57P", "53300", "55P03", "25P03", "57014")
_FOR_GOOD = ("authentication failed", "does not exist", "no password supplied", "pg_hba.conf", "permission denied")
What = Literal["read", "written"]
T = TypeVar("T")
log = logging.getLogger(__name__)


def persistently(
    action: Callable[[], T],
    *,
    what: What,
    address: LedgerAddress,
    patience_s: float = PATIENCE_S,
    on_trouble: Callable[[], None] = lambda: None,
) -> T:
    """Does it, and again while the database is away: a server that starts again, a network that hiccups.

    The action must be safe to repeat: when a connection breaks at a commit, nobody knows whether it was done.

    Args:
        action: what to do.
        what: whether the ledger is read or written, for the message.
        address: of the ledger.
        patience_s: how long it may be away.
        on_trouble: called before each new try.

    Raises:
        CapacityError: it stays away, or the error is not one that passes.
    """
    until, pause_s = time.monotonic() + patience_s, 0.1
    while True:
        try:
            with translated(what, address):
                return action()
        except CapacityError as error:
            left_s = until - time.monotonic()
            if left_s <= 0 or not _passes(error.__cause__):
                raise
            if pause_s == 0.1:
                said = reason(error.__cause__ or error)
                log.warning("%s: does not answer (%s); trying again for %.0f s", address.shown, said, left_s)
        on_trouble()
        time.sleep(min(left_s, pause_s * random.uniform(0.5, 1.0)))
        pause_s = min(LONGEST_PAUSE_S, 2 * pause_s)


@contextmanager
def translated(what: What, address: LedgerAddress) -> Generator[None]:
    """Tells of a database error in one line.

    Raises:
        CapacityError: the block met one, as on a full disk.
    """
    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:
        cause = error if isinstance(error, SQLAlchemyError) else error.__cause__ or error
        hint = "free space" if address.file is not None else f"see that the server of {address.shown} runs"
        raise CapacityError(
            f"the ledger cannot be {what} ({reason(cause)}); {hint}, then run the same command"
        ) from cause


def reason(error: BaseException) -> str:
    """The database's own words, on one line."""
    own = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return str(own).strip().partition("\n")[0]


def _passes(error: BaseException | None) -> bool:
    """Whether an error of the database may be gone at the next try."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return state.startswith(_PASSING)
    text = str(error.orig)
    if "database is locked" in text:
        return True
    return type(error.orig).__module__.startswith("psycopg") and not any(words in text for words in _FOR_GOOD)
