"""The simulator on loopback: a small ASGI application, and uvicorn in a thread of its own.

The transport faults are done for real: a reset connection, a missing answer, a body cut in half.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from .control import control
from .exchange import Exchange, Outcome
from .simulator import AmazonSimulator
from .wire import Answer, Call

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class _Protocol(H11Protocol):
    """Lets the application see its connection, so that it can break it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


class Application:
    """The ASGI application of one simulator."""

    def __init__(self, sim: AmazonSimulator) -> None:
        self.sim = sim
        self.exchange = Exchange(sim)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        if urlsplit(f"//{request.headers.get('host', '')}").hostname not in LOOPBACK:
            await Response("only loopback is served", 403)(scope, receive, send)
            return
        path = scope["raw_path"].decode("latin-1").split("?")[0]
        if path.startswith("/control/"):
            answer = control(self.sim, request.method, path, await request.body())
            await self._send(answer, scope, receive, send)
            return
        call = await self._call(request, path)
        await self._reply(call, scope, receive, send)

    async def _call(self, request: Request, path: str) -> Call:
        return Call(
            operation="",
            method=request.method,
            path=path,
            query=parse_qs(request.url.query, keep_blank_values=True),
            headers=request.headers,
            body=await request.body(),
            at=self.sim.now(),
            request_id=str(uuid.uuid4()),
            base_url=f"http://{request.headers['host']}",
        )

    async def _reply(self, call: Call, scope: Scope, receive: Receive, send: Send) -> None:
        outcome = self.exchange.handle(call)
        name = outcome.fault.name if outcome.fault else ""
        if name == "slow" and outcome.fault:
            await asyncio.sleep(float(outcome.fault.detail.get("seconds", 1.0)))
        if name in ("reset", "lost_reply"):
            await self._hang_up(scope, receive, reset=name == "reset")
        elif name == "half_body":
            await self._send_half(outcome, send)
        else:
            await self._send(outcome.answer, scope, receive, send)

    async def _hang_up(self, scope: Scope, receive: Receive, *, reset: bool) -> None:
        transport: asyncio.Transport = scope["state"]["transport"]
        if reset:
            connection = transport.get_extra_info("socket")
            # lingering for no time makes the kernel send RST instead of FIN
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        while (await receive())["type"] != "http.disconnect":
            continue

    async def _send_half(self, outcome: Outcome, send: Send) -> None:
        body = outcome.answer.payload()
        head: dict[str, Any] = {
            "type": "http.response.start",
            "status": outcome.answer.status,
            "headers": [
                (b"content-length", str(max(2, len(body))).encode()),
                (b"content-type", outcome.answer.content_type.encode()),
            ],
        }
        await send(head)
        # returning with the body unfinished makes uvicorn close the connection
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})

    async def _send(self, answer: Answer, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {**answer.headers, "date": format_datetime(self.sim.now(), usegmt=True)}
        media_type = answer.content_type if answer.content is not None else None
        response = Response(answer.payload(), answer.status, headers, media_type)
        await response(scope, receive, send)


def _config(sim: AmazonSimulator) -> uvicorn.Config:
    return uvicorn.Config(
        Application(sim),
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        date_header=False,
        server_header=False,
    )


class _ThreadServer(uvicorn.Server):
    """Starts and stops at once, where uvicorn's own loop looks up ten times a second: tests start many."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()
        self._stop = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.ready.set()
        await self._stop.wait()

    def stop(self) -> None:
        """End the main loop, from another thread."""
        self._loop.call_soon_threadsafe(self._stop.set)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        for task in list(self.server_state.tasks):
            task.cancel()
        await asyncio.sleep(0)


def bind(port: int) -> socket.socket:
    """A listening socket on loopback; port 0 chooses a free one."""
    # the protocol is named because asyncio sets TCP_NODELAY only then; without it every answer waits 40 ms
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    # from here on a client that comes early waits instead of being refused
    listener.listen(128)
    return listener


@contextmanager
def serve(sim: AmazonSimulator, port: int = 0) -> Iterator[str]:
    """Serve a simulator from a thread while the block runs; yields its base URL."""
    listener = bind(port)
    server = _ThreadServer(_config(sim))
    thread = threading.Thread(target=server.run, args=([listener],), name="amazon-simulator", daemon=True)
    thread.start()
    if not server.ready.wait(timeout=30):
        raise RuntimeError("the Amazon simulator did not start")
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.stop()
        thread.join()
        listener.close()


def serve_forever(sim: AmazonSimulator, listener: socket.socket) -> None:
    """Serve a simulator in this thread until interrupted."""
    uvicorn.Server(_config(sim)).run([listener])
