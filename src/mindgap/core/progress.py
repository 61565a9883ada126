"""A progress bar on stderr, and only when a person is looking at it."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What long work reports to."""

    def advance(self, n: int = 1) -> None:
        """Counts n more steps as done."""
        ...

    def describe(self, text: str) -> None:
        """Replaces the words before the bar."""
        ...


class _Silent:
    def advance(self, n: int = 1) -> None:
        pass

    def describe(self, text: str) -> None:
        pass


@contextmanager
def progress(total: int | None, description: str) -> Generator[Progress]:
    """Shows a bar while the block runs, if stderr is a terminal; else the calls cost nothing."""
    if not sys.stderr.isatty():
        yield _Silent()
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(description, total=total)

        class _Bar:
            def advance(self, n: int = 1) -> None:
                bar.advance(task, n)

            def describe(self, text: str) -> None:
                bar.update(task, description=text)

        yield _Bar()
