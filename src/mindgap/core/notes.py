"""Remarks of the library: what the user should know though nothing is wrong."""

from __future__ import annotations

import logging

NOTE = 25
"""Level of a remark, between ``logging.INFO`` and ``logging.WARNING``; the command line prints it as a note."""


def note(log: logging.Logger, text: str) -> None:
    """Remarks something, in one line."""
    log.log(NOTE, "%s", text)
