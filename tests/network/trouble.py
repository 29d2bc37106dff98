"""The line between a client and its provider, and what becomes of requests on it.

Faults are drawn for reads and for writes apart (operations.md 3.5). A delayed request is delivered later, after others;
its answer is lost. A write may come once more, long after it was answered. While the line is down nobody gets through,
not even to the handshake.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

KINDS = ("lost", "answer lost", "answer lost", "twice", "late", "late", "late", "503")
READS = ("/link", "/items", "/changes", "/events", "/events", "/levels")
WRITES = ("/orders", "/orders", "/orders", "/orders", "/inbounds", "/inbounds", "/items", "/changes/seen")
OFTEN = 5
"""More often than zenv asks again: the run has to give up."""


@dataclass
class Fault:
    """Trouble for requests with this verb whose path ends so: after `skip` of them, `times` in a row."""

    verbs: tuple[str, ...]
    path: str
    kind: str
    times: int
    skip: int


@dataclass
class Line:
    """The line, with what it is about to do to requests. `heard` has all answers, each with whom it
    was for."""

    port: int = 0
    down: bool = False
    bypass: bool = False
    faults: list[Fault] = field(default_factory=list)
    speaker: str = "client"
    late: list[tuple[str, str, str, dict[str, str], bytes]] = field(default_factory=list)
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    again: Callable[[], bool] = lambda: False
    """Whether a copy of a write is delivered once more, much later."""
    after: Callable[[httpx.Request], None] = lambda _: None

    def arm(self, rng: Any) -> str:
        """Prepare trouble for one run; in words."""
        self.faults.clear()
        for verbs, paths in ((("GET",), READS), (("PUT", "POST"), WRITES)):
            if rng.random() < 0.55:
                times, skip = 1 if rng.random() < 0.5 else OFTEN, rng.choice((0, 0, 0, 1, 2))
                self.faults.append(Fault(verbs, rng.choice(paths), rng.choice(KINDS), times, skip))
        return ", ".join(f"{one.path} {one.kind} x {one.times} after {one.skip}" for one in self.faults)

    def fault(self, request: httpx.Request) -> str:
        """What becomes of this request."""
        for one in self.faults:
            if request.method in one.verbs and request.url.path.endswith(one.path):
                if one.skip:
                    one.skip -= 1
                elif one.times:
                    one.times -= 1
                    return one.kind
        return ""


class Again(httpx.SyncByteStream):
    """A body that was read already."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self.content


@contextmanager
def watched(line: Line) -> Iterator[None]:
    """All requests of this process go over the line."""
    handle, connect = httpx.HTTPTransport.handle_request, socket.create_connection

    def handled(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        if request.url.port != line.port or line.bypass:
            response = handle(self, request)
        else:
            line.before()
            response = _carried(line, lambda: handle(self, request), request)
        if not line.bypass:
            line.after(request)
        return response

    def connected(address: tuple[str, int], *about: Any, **more: Any) -> socket.socket:
        if line.down and address[1] == line.port:
            raise ConnectionRefusedError
        return connect(address, *about, **more)

    httpx.HTTPTransport.handle_request = handled  # type: ignore[method-assign]  # the one place all requests pass
    socket.create_connection = connected  # type: ignore[assignment]
    try:
        yield
    finally:
        httpx.HTTPTransport.handle_request = handle  # type: ignore[method-assign]
        socket.create_connection = connect


def _carried(line: Line, send: Callable[[], httpx.Response], request: httpx.Request) -> httpx.Response:
    body, kind = request.read(), line.fault(request)
    if kind == "lost":
        raise httpx.ReadTimeout("lost", request=request)
    if kind == "503":
        return httpx.Response(503, headers={"content-type": "text/html"}, stream=Again(b"<p>busy</p>"))
    if kind == "late" or (request.method != "GET" and line.again()):
        kept = {name: request.headers[name] for name in ("authorization", "content-type") if name in request.headers}
        line.late.append((line.speaker, request.method, str(request.url), kept, body))
    if kind == "late":
        raise httpx.ReadTimeout("late", request=request)
    response = _heard(line, send())
    if kind == "twice":
        response = _heard(line, send())
    if kind == "answer lost":
        line.after(request)
        raise httpx.ReadError("answer lost", request=request)
    return response


def _heard(line: Line, response: httpx.Response) -> httpx.Response:
    assert isinstance(response.stream, httpx.SyncByteStream)
    content = b"".join(response.stream)
    response.stream.close()
    line.heard.append((line.speaker, content))
    response.stream = Again(content)
    return response


def deliver(line: Line, http: httpx.Client, which: int) -> str:
    """A delayed request arrives after all. What it was."""
    speaker, method, url, headers, body = line.late.pop(which)
    line.bypass = True
    try:
        answer = http.request(method, url, headers=headers, content=body)
    finally:
        line.bypass = False
    line.heard.append((speaker, answer.content))
    return f"{method} {httpx.URL(url).path}: {answer.status_code}"
