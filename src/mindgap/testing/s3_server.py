"""A small object store that speaks S3 on loopback, for tests: objects in memory, by path, signatures not looked at.

with S3Server.start() as server:
os.environ |= server.environment
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import unquote, urlsplit

ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'


@dataclass
class S3Server:
    """A server with its objects.

    Attributes:
        port: on 127.0.0.1.
        objects: contents by ``BUCKET/KEY``; a bucket is there as soon as something is in it.
        refuses: whether every request is answered with 403, as with wrong keys.
    """

    port: int
    objects: dict[str, bytes] = field(default_factory=dict)
    refuses: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What AWS's libraries need in the environment to come here."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    @classmethod
    @contextmanager
    def start(cls) -> Generator[S3Server]:
        """Serves while the block lasts."""
        server = cls(0)
        handler = type("Handler", (_Handler,), {"server_state": server})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
            server.port = http.server_port
            thread = threading.Thread(target=http.serve_forever, daemon=True)
            thread.start()
            try:
                yield server
            finally:
                http.shutdown()
                thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: ClassVar[S3Server]
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            body = _unchunked(body)
        if self.server_state.refuses:
            self._error(403, "AccessDenied")
            return
        self.server_state.objects[self._key()] = body
        self._answer(200, b"")

    def do_GET(self) -> None:
        self._read()

    def do_HEAD(self) -> None:
        self._read()

    def do_DELETE(self) -> None:
        self.server_state.objects.pop(self._key(), None)
        self._answer(204, b"")

    def _read(self) -> None:
        content = self.server_state.objects.get(self._key())
        if self.server_state.refuses:
            self._error(403, "AccessDenied")
        elif content is None:
            self._error(404, "NoSuchKey")
        else:
            self._answer(200, content)

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/")

    def _error(self, status: int, code: str) -> None:
        self._answer(status, ERROR.format(code=code).encode())

    def _answer(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", '"0"')
        self.send_header("Content-Type", "application/xml" if status >= 300 else "binary/octet-stream")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (http.server's name)
        """Says nothing."""


def _unchunked(body: bytes) -> bytes:
    """The content of a body in AWS's chunks, ``SIZE[;signature]``, data, …, 0, trailers."""
    content, rest = b"", body
    while rest:
        head, _, rest = rest.partition(b"\r\n")
        size = int(head.partition(b";")[0], 16)
        if size == 0:
            break
        content, rest = content + rest[:size], rest[size + 2 :]
    return content
