"""A server that breaks HTTP itself, on real sockets, in front of a simulator or with an answer of its own.

A fault strikes before anything was done (`BEFORE`) or spoils the answer to what was done (`AFTER`).
"""

from __future__ import annotations

import gzip
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

GOOD = b'{"thing": 1, "more": "' + b"x" * 400 + b'"}'
JSON = {"content-type": "application/json"}


class Answer:
    """What goes back: status, headers, body."""

    def __init__(self, status: int = 200, headers: dict[str, str] | None = None, body: bytes = GOOD) -> None:
        self.status, self.headers, self.body = status, headers if headers is not None else JSON, body


class FaultServer(ThreadingHTTPServer):
    """`faults` are used up one a request; `upstream` does what is asked, if there is one."""

    daemon_threads = True

    def __init__(self, upstream: str = "") -> None:
        self.upstream = httpx.Client(base_url=upstream, trust_env=False, timeout=30) if upstream else None
        self.faults: list[str] = []
        self.seen: list[str] = []
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """The client has hung up; that is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultServer

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        fault = self.server.faults.pop(0) if self.server.faults else ""
        self.server.seen.append(fault)
        if fault in BEFORE:
            BEFORE[fault](self)
        else:
            answer = self._forwarded(body) if self.server.upstream is not None else Answer()
            AFTER[fault](self, answer)

    do_GET = do_POST = do_PATCH = do_PUT = _serve

    def _forwarded(self, body: bytes) -> Answer:
        assert self.server.upstream is not None
        kept = {name: value for name, value in self.headers.items() if name.lower() not in ("connection",)}
        found = self.server.upstream.request(self.command, self.path, headers=kept, content=body)
        dropped = ("transfer-encoding", "content-length", "content-encoding", "connection")
        return Answer(found.status_code, {k: v for k, v in found.headers.items() if k not in dropped}, found.content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""

    def head(self, status: int, headers: dict[str, str], length: int | None) -> None:
        """The status line and the headers, with this Content-Length, whether it is true or not."""
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def whole(self, answer: Answer) -> None:
        """As it should be."""
        self.head(answer.status, answer.headers, None if answer.status == 204 else len(answer.body))
        self.wfile.write(answer.body)

    def hang_up(self) -> None:
        """Close the connection in the middle of what was said."""
        self.close_connection = True

    def tear_down(self) -> None:
        """RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def stay_silent(self) -> None:
        """Until the test is over."""
        self.server.released.wait(30)
        self.close_connection = True


def _half(handler: _Handler, answer: Answer) -> None:
    handler.head(answer.status, answer.headers, max(2, len(answer.body)))
    handler.wfile.write(answer.body[: len(answer.body) // 2])
    handler.hang_up()


def _too_short_a_length(handler: _Handler, answer: Answer) -> None:
    handler.head(answer.status, answer.headers, max(1, len(answer.body) // 2))
    handler.wfile.write(answer.body or b"x")
    handler.hang_up()


def _packed(handler: _Handler, answer: Answer, spoil: Callable[[bytes], bytes]) -> None:
    packed = spoil(gzip.compress(answer.body))
    handler.head(answer.status, {**answer.headers, "content-encoding": "gzip"}, len(packed))
    handler.wfile.write(packed)


def _cut_json(handler: _Handler, answer: Answer) -> None:
    handler.whole(Answer(answer.status, answer.headers, answer.body[:-2] or b"{"))


def _drip(handler: _Handler, answer: Answer) -> None:
    handler.head(answer.status, answer.headers, 10**6)
    while not handler.server.released.wait(0.02):
        handler.wfile.write(b" ")


def _half_a_head(handler: _Handler, answer: Answer) -> None:
    handler.wfile.write(f"HTTP/1.1 {answer.status} OK\r\nContent-Ty".encode())
    handler.hang_up()


def _silent_after(handler: _Handler, answer: Answer) -> None:
    handler.head(answer.status, answer.headers, max(2, len(answer.body)))
    handler.wfile.write(answer.body[:1])
    handler.stay_silent()


def _throttle(handler: _Handler, after: str) -> None:
    now = format_datetime(datetime.now(UTC), usegmt=True)
    body = b'{"errors": [{"code": "QuotaExceeded", "message": "Slow down."}]}'
    handler.whole(Answer(429, {**JSON, "date": now, "retry-after": after}, body))


def _later(seconds: int) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


HTML = {"content-type": "text/html"}
BEFORE: dict[str, Callable[[_Handler], None]] = {
    "reset before an answer": _Handler.tear_down,
    "closed before an answer": _Handler.hang_up,
    "silence": _Handler.stay_silent,
    "502 page": lambda handler: handler.whole(Answer(502, HTML, b"<html>Bad Gateway</html>")),
    "redirect": lambda handler: handler.whole(Answer(302, {"location": "http://127.0.0.1:9/else"}, b"")),
    "429 for 7 seconds": lambda handler: _throttle(handler, "7"),
    "429 until a date": lambda handler: _throttle(handler, _later(9)),
    "no HTTP at all": lambda handler: (handler.wfile.write(b"SSH-2.0-OpenSSH\r\n"), handler.hang_up())[1],
}
AFTER: dict[str, Callable[[_Handler, Answer], None]] = {
    "": _Handler.whole,
    "half a body": _half,
    "a length that is too short": _too_short_a_length,
    "truncated JSON": _cut_json,
    "truncated gzip": lambda handler, answer: _packed(handler, answer, lambda packed: packed[: len(packed) // 2]),
    "gzip that is none": lambda handler, answer: _packed(handler, answer, lambda packed: b"no gzip" + packed),
    "a slow drip": _drip,
    "half a head": _half_a_head,
    "silence in mid-body": _silent_after,
    "a page of HTML": lambda handler, answer: handler.whole(Answer(200, HTML, b"<html>All is well</html>")),
}  # fmt: skip


@contextmanager
def fault_server(upstream: str = "") -> Iterator[FaultServer]:
    """Served from threads while the block runs."""
    server = FaultServer(upstream)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
        if server.upstream is not None:
            server.upstream.close()
