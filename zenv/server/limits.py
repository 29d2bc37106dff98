"""How often a source may call, and how much it may send: looked at before any of the ledger's work.

The gate stands before the application: it counts requests per source, ends what is too large or too slow, logs a line
per request, and lets no exception out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from time import monotonic

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zenv import failures
from zenv.loglines import fields
from zenv.server import trouble

log = logging.getLogger("zenv.server")

LARGEST_BODY = 1024 * 1024
BODY_S = 30.0
"""So long the rest of a request may take."""
LOCAL = "local"
"""The source behind a Unix socket, or behind a proxy that does not say whom it serves."""
FAILURES = (401, 404)
MOST_SOURCES = 10_000


@dataclass
class Bucket:
    """Tokens that fill up again at `rate` a second, up to `burst`."""

    rate: float
    burst: float
    clock: Callable[[], float]
    tokens: dict[str, tuple[float, float]] = field(default_factory=dict)

    def left(self, source: str) -> float:
        """Tokens of this source."""
        tokens, at = self.tokens.get(source, (self.burst, self.clock()))
        return min(self.burst, tokens + (self.clock() - at) * self.rate)

    def take(self, source: str) -> None:
        """Take one, whether there is one or not."""
        if len(self.tokens) >= MOST_SOURCES:
            self._forget_full()
        self.tokens[source] = (max(0.0, self.left(source) - 1), self.clock())

    def _forget_full(self) -> None:
        """A source whose tokens are all back is one that never called; where none is, the oldest goes."""
        for source in [source for source in self.tokens if self.left(source) >= self.burst]:
            del self.tokens[source]
        if len(self.tokens) >= MOST_SOURCES:
            self.tokens.pop(next(iter(self.tokens)))


class Limits:
    """So many requests a source may make, and so few that fail or that come without a token."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self.requests = Bucket(50, 500, clock)
        self.failures = Bucket(1 / 6, 20, clock)

    def wait(self, source: str) -> int:
        """Seconds until this source may call again; 0 when it may now, which is counted."""
        for bucket in (self.requests, self.failures):
            if (left := bucket.left(source)) < 1:
                return int((1 - left) / bucket.rate) + 1
        self.requests.take(source)
        return 0


def source_of(scope: Scope, behind_proxy: str | None) -> str:
    """Who calls: an IPv4 address, or the /64 of an IPv6 one. X-Forwarded-For is believed of our proxy only, and of that
    only the last word, which the proxy itself wrote."""
    peer = (scope.get("client") or ("",))[0]
    if behind_proxy is not None and peer in ("", behind_proxy):
        said = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        peer = said[-1].decode("latin-1").rpartition(",")[2].strip() if said else ""
    try:
        address = ip_address(peer)
    except ValueError:
        return LOCAL
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(ip_network((int(address), 64), strict=False))
    return str(address)


class Gate:
    """The application as the world meets it."""

    def __init__(self, app: ASGIApp, limits: Limits, behind_proxy: str | None = None) -> None:
        self.app = app
        self.limits = limits
        self.behind_proxy = behind_proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        source = source_of(scope, self.behind_proxy)
        scope.setdefault("state", {})
        status = 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        if wait := self.limits.wait(source):
            await trouble.answer("too many", headers={"Retry-After": str(wait)})(scope, receive, noting)
        else:
            await self._answer(scope, receive, noting)
        if status in FAILURES or scope["state"].get("costly"):
            self.limits.failures.take(source)
        _write_down(scope, status, source)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.app(scope, _bounded(receive), send)
        except Exception as bug:  # its text may hold anything: say where, no more
            log.error("server %s", fields(event="bug", why=failures.plain(bug) or type(bug).__name__))


def _bounded(receive: Receive) -> Receive:
    """The body as it comes, until it is too large or too slow."""
    size = 0

    async def counted() -> Message:
        nonlocal size
        try:
            message = await asyncio.wait_for(receive(), BODY_S)
        except TimeoutError:
            raise HTTPException(408, headers={"Connection": "close"}) from None
        size += len(message.get("body", b""))
        if size > LARGEST_BODY:
            raise HTTPException(413, headers={"Connection": "close"})
        return message

    return counted


def _write_down(scope: Scope, status: int, source: str) -> None:
    """One line: no query, no body, no name of anything in the path."""
    route = getattr(scope.get("route"), "path", "-")
    said = {"method": scope["method"], "route": route, "status": status, "client": scope["state"].get("client", "-")}
    level = logging.WARNING if status in FAILURES else logging.INFO
    log.log(level, "request %s", fields(**said, **({"source": source} if status in FAILURES else {})))
