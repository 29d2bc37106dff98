"""`zenv serve`: the face on a socket, until told to end.

Without a proxy there is TLS with our own certificate, which clients pin by the company code. Behind a proxy of the same
machine there is none, and beyond loopback never none.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from zenv import sdnotify
from zenv.company_code import PUBLIC, host_of, read_address
from zenv.errors import BadInput, Busy, Refused
from zenv.ledger.book import Book
from zenv.ledger.zfn import standing
from zenv.loglines import fields, log_to_stderr
from zenv.server.access import Desk
from zenv.server.face import serving
from zenv.server.limits import Limits

log = logging.getLogger("zenv.server")

HEADERS_S = 10.0
"""So long a caller may take to say what it wants."""
BUSY_S = 30.0
"""Longer than a command waits for the ledger's lock: callers come back when they are told to."""
FAREWELL_S = 0.5
MOST_AT_ONCE = 200
ENDS_S = 20


@dataclass(frozen=True)
class Where:
    """Where the face is offered: HOST:PORT, or the path of a Unix socket; `behind_proxy` is the proxy's address."""

    listen: str = "127.0.0.1:8470"
    unix: Path | None = None
    behind_proxy: str | None = None

    def check(self) -> None:
        """Raises BadInput for an address that is none, Refused for plain HTTP beyond loopback."""
        read_address(self.listen)
        if self.behind_proxy is not None:
            _read_ip(self.behind_proxy)
        if self.behind_proxy is not None and self.unix is None and not _is_loopback(host_of(self.listen)):
            raise Refused("Without TLS zenv is offered on loopback or a Unix socket only; nothing was started.",
                          "Give --listen 127.0.0.1:8470 or --unix PATH, or leave --behind-proxy out.")  # fmt: skip

    @property
    def plain(self) -> bool:
        """Whether somebody else, or nobody but this machine, takes care of TLS."""
        return self.behind_proxy is not None or self.unix is not None

    def __str__(self) -> str:
        return f"unix:{self.unix}" if self.unix is not None else self.listen


def _read_ip(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        raise BadInput("A proxy is named by its address.", "--behind-proxy 127.0.0.1") from None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


# ---- what is served --------------------------------------------------------------------------------------


def configured(book: Book, where: Where) -> uvicorn.Config:
    """The server's settings for this ledger. Raises what `check` does, and KeyUnavailable."""
    check(book, where)
    kept = standing.prepare(book)
    app = serving(Desk(book, kept.pepper), Limits(), where.behind_proxy or ("" if where.unix else None))
    settings: dict[str, Any] = {} if where.plain else {"ssl_context_factory": lambda *_: tls(book, kept)}
    return uvicorn.Config(
        app, http=_Protocol, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        proxy_headers=False, limit_concurrency=MOST_AT_ONCE, timeout_graceful_shutdown=ENDS_S, **settings,
    )  # fmt: skip


def check(book: Book, where: Where) -> None:
    """Whether this ledger may be served there. Raises Refused where it is no provider, or has no such certificate."""
    where.check()
    with book.reading() as sql:
        standing.demand_provider(sql)
        _demand_fitting(standing.read(sql).certificates, where)


def _demand_fitting(certificates: str, where: Where) -> None:
    """What is offered is what the company code promises."""
    if certificates == PUBLIC and not where.plain:
        raise Refused("The company code promises a public certificate, and zenv has none; nothing was started.",
                      "Add --behind-proxy ADDRESS, or: zenv zfn settings --certificates own")  # fmt: skip
    if certificates != PUBLIC and where.plain:
        raise Refused("The company code promises our own certificate, which no proxy has; nothing was started.",
                      "zenv zfn settings --certificates public, or leave --behind-proxy and --unix out")  # fmt: skip


def tls(book: Book, kept: standing.Kept) -> ssl.SSLContext:
    """TLS with our own certificate. OpenSSL reads keys from files only: the file holds it under a password that never
    leaves this process, and is gone a moment later."""
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    with book.reading() as sql:
        certificate = standing.read(sql).certificate
    password = secrets.token_bytes(32).hex().encode()
    key = standing.private_key(kept).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with tempfile.NamedTemporaryFile(dir=book.home, prefix=".tls-") as file:
        file.write(certificate.encode() + key)
        file.flush()
        context.load_cert_chain(file.name, password=password)
    return context


class _Protocol(H11Protocol):
    """Hangs up on whoever does not say what it wants, for a slow trickle of headers would hold a connection for ever;
    and at the end on whoever keeps an idle connection, for closing TLS politely takes both sides."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Told by the server that it ends."""
        super().shutdown()
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(FAREWELL_S, self.transport.abort)

    def _watch(self) -> None:
        """The time runs from the first byte that is awaited to the last of the headers."""
        if self.conn.their_state is not h11.IDLE:
            self._unwatch()
        elif self._late is None:
            self._late = self.loop.call_later(HEADERS_S, self.transport.abort)

    def _unwatch(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


# ---- serving ---------------------------------------------------------------------------------------------


class Server(uvicorn.Server):
    """Says when it listens, and ends well when told to."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        self._listening()
        sdnotify.notify("READY=1", "STATUS=listening")

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end it after the requests in flight, a second one at once; neither is an error."""
        if threading.current_thread() is not threading.main_thread():
            yield  # a thread hears no signals; whoever started it ends it
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Told to end; told twice, at once: every change is one transaction."""
        self.force_exit = self.should_exit
        self.should_exit = True


def bind(where: Where) -> socket.socket:
    """The listening socket. Raises Busy where it cannot be had."""
    try:
        return _bind_unix(where.unix) if where.unix is not None else _bind_port(where.listen)
    except OSError as error:
        raise Busy(f"{where} cannot be listened on: {error.strerror or 'no such host'}.",
                   "Give another place, or end what listens there.") from None  # fmt: skip


def _bind_port(listen: str) -> socket.socket:
    host, port = host_of(listen), int(listen.rpartition(":")[2])
    (family, *_, address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    listener = socket.create_server(address[:2], family=family, backlog=128)
    # asyncio forgets it for sockets made like this; without it each answer waits 40 ms for the caller's kernel.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _bind_unix(path: Path) -> socket.socket:
    if path.is_socket() and not _is_alive(path):
        path.unlink()  # what a killed server has left
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    os.chmod(path, 0o660)
    listener.listen(128)
    return listener


def _is_alive(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        return caller.connect_ex(str(path)) == 0


def run(book: Book, where: Where, listening: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT. `listening` is told where, once it is so, and the company code."""
    config = configured(book, where)
    listener = bind(where)
    log_to_stderr()
    with book.reading() as sql:
        code = standing.code(sql) if standing.read(sql).address else None
    told = f"listening on {where}" + (f"; company code {code}" if code else "; zenv zfn settings --address HOST:PORT")
    try:
        Server(config, lambda: listening(told)).run([listener])
        log.info("server %s", fields(event="stopped"))
    finally:
        sdnotify.notify("STOPPING=1")
        listener.close()
        if where.unix is not None:
            where.unix.unlink(missing_ok=True)
