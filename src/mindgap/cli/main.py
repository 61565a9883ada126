"""The command line: parses options, calls the verb's function, prints a short summary.

Exit codes: 0 done; 2 one line on stderr that says what is wrong; 130 after Ctrl-C; 1 (with a traceback) our mistake.
"""

from __future__ import annotations

import errno
import importlib
import logging
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager

import typer
from typer.main import get_command

from mindgap.cli.summary import printable
from mindgap.core.config import plain_words
from mindgap.core.errors import MindgapError, TrainingFailure
from mindgap.core.notes import NOTE

VERBS = (
    "synth",
    "prepare",
    "tone",
    "audit",
    "compare",
    "train",
    "search",
    "worker",
    "prune",
    "tune",
    "reproduce",
    "predict",
    "explain",
    "export",
    "report",
    "list",
)
INTERRUPTED = 130

ABOUT = "Search for small image classifiers whose errors do not depend on who is in the picture, and show the evidence."


def build_app() -> typer.Typer:
    """The application with every verb; each lives in its own file under ``cli/verbs``."""
    app = typer.Typer(
        name="mindgap",
        help=ABOUT,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    for verb in VERBS:
        importlib.import_module(f"mindgap.cli.verbs.{verb}").add_to(app)
    return app


def _show_version(value: bool) -> None:
    if value:
        from mindgap import __version__

        typer.echo(f"mindgap {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(False, "--version", callback=_show_version, is_eager=True, help="Print the version."),
) -> None:
    """Search for small image classifiers whose errors do not depend on who is in the picture, and show the evidence."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code."""
    command = get_command(build_app())
    try:
        with _remarks_shown():
            result = command.main(list(arguments) or ["--help"], prog_name="mindgap", standalone_mode=False)
    except (MindgapError, TrainingFailure) as error:
        return _refuse(str(error))
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        return _refuse("the output cannot be written (no space left); free space or write it elsewhere")
    except Exception as error:
        message = _usage_message(error, arguments)
        if message is None:
            raise
        return _refuse(message)
    if result == INTERRUPTED:
        typer.echo("interrupted; run the same command again to go on", err=True)
    return result if isinstance(result, int) else 0


def _usage_message(error: Exception, arguments: Sequence[str]) -> str | None:
    """The text of a usage error of the option parser, with the value it saw; None for anything else."""
    format_message = getattr(error, "format_message", None)
    if format_message is None:
        return None
    context = getattr(error, "ctx", None)
    see = f"; see '{context.command_path} --help'" if context is not None else ""
    return plain_words(str(format_message()).rstrip(".")) + _value_seen(error, arguments) + see


def _value_seen(error: Exception, arguments: Sequence[str]) -> str:
    """The value that the option got, the last one if it was given twice, as the parser takes that."""
    names = getattr(getattr(error, "param", None), "opts", [])
    for place in reversed(range(len(arguments))):
        name, equals, value = arguments[place].partition("=")
        if name in names and equals:
            return f", got {value!r}"
        if name in names and place + 1 < len(arguments):
            return f", got {arguments[place + 1]!r}"
    return ""


class _Remarks(logging.Handler):
    """Prints what the library warns of and remarks, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        kind = "warning" if record.levelno >= logging.WARNING else "note"
        typer.echo(f"{kind}: " + record.getMessage().partition("\n")[0], err=True)


@contextmanager
def _remarks_shown() -> Generator[None]:
    library, handler = logging.getLogger("mindgap"), _Remarks(NOTE)
    level = library.level
    library.addHandler(handler)
    library.setLevel(NOTE)
    try:
        yield
    finally:
        library.setLevel(level)
        library.removeHandler(handler)


def _refuse(message: str) -> int:
    typer.echo("error: " + printable(" ".join(message.split()), most=2000), err=True)
    return 2


def main() -> None:
    """Entry point of the ``mindgap`` command."""
    try:
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # before the verb began, as it takes care of its own
        typer.echo("interrupted", err=True)
        code = INTERRUPTED
    sys.exit(code)


if __name__ == "__main__":
    main()
