"""A process that decodes images for the builder; one that dies, as when memory runs out, is started again once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

from mindgap.core.errors import CapacityError
from mindgap.data.decode_worker import Chunk

KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 * 2**20), "MALLOC_TRIM_THRESHOLD_": str(64 * 2**20)}
"""Has glibc keep the memory of one image for the next, instead of some 80 page faults for each at 128 px."""


class DecoderDied(CapacityError):  # noqa: N818  (named for what happened)
    """A decoding process died twice; the rows that are decoded may stay, so the same call goes on from them."""


class Decoder:
    """A decoding process, asked by one thread and closed by another."""

    def __init__(self, head: str) -> None:
        """Starts the process; ``head`` is the line that tells it the canvas."""
        self._head = head
        self._lock = threading.Lock()
        self._closed = False
        self._restarts = 1
        self._process, self._unsent = start_worker(), head

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends the process, and keeps it from being started again."""
        with self._lock:
            self._closed = True
            _end(self._process)

    def fill(self, chunk: Chunk) -> int:
        """Has a chunk decoded; returns its number of rows.

        Raises:
            DecoderDied: the process died, and was started again before.
        """
        while not (answer := self._ask(chunk.to_line())):
            self._start_again(chunk)
        return int(answer)

    def _ask(self, line: str) -> str:
        """The worker's answer to a line; empty if it died."""
        process = self._process
        if process.stdin is None or process.stdout is None:
            return ""
        try:
            process.stdin.write(self._unsent + line)
            process.stdin.flush()
            self._unsent = ""
            return process.stdout.readline()
        except (OSError, ValueError):  # its end of the pipe, or ours, is closed
            return ""

    def _start_again(self, chunk: Chunk) -> None:
        with self._lock:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)  # for the code it ends with by itself
            code = _end(self._process)
            if self._closed or not self._restarts:
                raise DecoderDied(
                    f"a decoding process died twice (exit {code}{', killed' * (code == -9)}) at the images from "
                    f"{chunk.images[0]}; memory may be short: use fewer workers, as --workers 1; the same command "
                    "goes on from here"
                )
            self._restarts -= 1
            self._process, self._unsent = start_worker(), self._head


def start_worker() -> subprocess.Popen[str]:
    """Starts a decoding process with this one's module path."""
    environment = KEEP_MEMORY | dict(os.environ) | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "mindgap.data.decode_worker"]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, encoding="utf-8"
    )


def _end(process: subprocess.Popen[str]) -> int:
    """Kills the process if it lives; its exit code."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError, ValueError):
                pipe.close()
    return process.wait()
