"""The face of a provider on real HTTPS, in a thread, and whoever calls it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import SystemRandom
from typing import Any

import httpx

from tests.zfn import companies
from zenv import wire
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow
from zenv.ledger.zfn import standing
from zenv.server import serving
from zenv.server.limits import Limits


@dataclass(frozen=True)
class Face:
    """A provider that is served, and an HTTP client that trusts its certificate alone."""

    book: Book
    http: httpx.Client
    port: int

    @property
    def pepper(self) -> bytes:
        return standing.opened(self.book).pepper

    def link(self, company: str = "acme") -> tuple[AnyRow, str]:
        """A linked client, and its token."""
        return companies.link(self.book, company, self.pepper)

    def __call__(self, method: str, path: str, token: str = "", **about: Any) -> httpx.Response:
        """One request; `token` is shown."""
        headers = ({"authorization": f"Bearer {token}"} if token else {}) | about.pop("headers", {})
        return self.http.request(method, f"{wire.PREFIX}{path}", headers=headers, **about)

    def good(self, method: str, path: str, token: str = "", **about: Any) -> Any:
        """A request that must succeed; what was answered."""
        answer = self(method, path, token, **about)
        assert answer.is_success, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def code(self, method: str, path: str, token: str = "", **about: Any) -> tuple[int, str]:
        """The status and code of a request that must not succeed."""
        answer = self(method, path, token, **about)
        assert answer.headers["content-type"] == "application/problem+json", answer.text
        said = wire.Trouble.model_validate_json(answer.content)
        assert said.status == answer.status_code
        return said.status, said.code


def free_port() -> int:
    """A port that nobody has, and that the system gives to nobody who asks for any (those begin at 32768): a face that
    was taken away comes back on its own."""
    while True:
        port = SystemRandom().randint(10_000, 30_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def trusting(certificate: str) -> ssl.SSLContext:
    """Trusts this certificate, and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    return context


@contextmanager
def served(book: Book, limits: Limits | None = None) -> Iterator[Face]:
    """Serve a provider's ledger, and end it again; with other limits than the usual ones if they are given."""
    port = free_port()
    where = serving.Where(f"127.0.0.1:{port}")
    config = serving.configured(book, where)
    if limits is not None:
        config.app.limits = limits  # type: ignore[union-attr]
    listening = threading.Event()
    server = serving.Server(config, listening.set)
    thread = threading.Thread(target=server.run, args=([serving.bind(where)],), daemon=True)
    thread.start()
    assert listening.wait(20)
    with book.reading() as sql:
        certificate = standing.read(sql).certificate
    try:
        with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusting(certificate), trust_env=False) as http:
            yield Face(book, http, port)
    finally:
        server.should_exit = True
        thread.join(20)
