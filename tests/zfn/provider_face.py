"""A provider whose face is really served, over HTTPS with its own certificate, from a thread of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from tests import books
from tests.zfn.faces import free_port
from zenv import joining, sync
from zenv.connectors.base import World
from zenv.ledger import stock, users
from zenv.ledger.book import Book
from zenv.ledger.buckets import LedgerBuckets
from zenv.ledger.zfn import clients, links, standing
from zenv.server import serving
from zenv.server.serving import Where

DEPOT = "Depot"


@dataclass
class Provider:
    """The provider's ledger and its face; `code` leads to it. `stop` and `start` take the face away and back."""

    book: Book
    code: str = ""
    port: int = 0
    _serving: list[tuple[uvicorn.Server, threading.Thread]] = field(default_factory=list)

    def start(self) -> None:
        """Serve, on the port of before where there was one."""
        listener = serving.bind(Where(f"127.0.0.1:{self.port or free_port()}"))
        self.port = listener.getsockname()[1]
        with self.book.transaction() as t:
            standing.edit(t, address=f"127.0.0.1:{self.port}")
        server = uvicorn.Server(serving.configured(self.book, Where(f"127.0.0.1:{self.port}")))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        self._serving.append((server, thread))
        self.code = str(standing.invite(self.book))

    def stop(self) -> None:
        """Take the face away."""
        while self._serving:
            server, thread = self._serving.pop()
            server.should_exit = True
            thread.join()

    def accept(self, client: str | None = None) -> Any:
        """Accept the only request there is."""
        with self.book.transaction() as t:
            (waiting,) = clients.review(t)
            return clients.accept(t, waiting.request, "tester", client is None, client)

    def deny(self) -> None:
        """Deny the only request there is."""
        with self.book.transaction() as t:
            (waiting,) = clients.review(t)
            clients.deny(t, waiting.request)


@contextmanager
def provider(book: Book) -> Iterator[Provider]:
    """A provider with the function granted, served."""
    with book.transaction() as t:
        users.begin(t)
        standing.choose_plan(t, "enterprise")
        standing.enable(t)
        standing.grant(t)
    served = Provider(book)
    served.start()
    try:
        yield served
    finally:
        served.stop()


def world(book: Book) -> World:
    """The real network, a clock wound by hand, and no sleep."""
    return World(book.clock, lambda _: None, LedgerBuckets(book.engine, book.clock), 60.0)


def save(book: Book, name: str = DEPOT) -> None:
    """A warehouse that a provider is to keep, and a user who may ask."""
    with book.transaction() as t:
        users.begin(t)
        links.add_warehouse(t, name, "zfn")


def request(book: Book, served: Provider, name: str = DEPOT) -> joining.Requested:
    """Ask the provider."""
    return joining.request(book, name, served.code, world(book))


def run(book: Book, task: str = "provider", name: str = DEPOT) -> sync.RunResult:
    """A run of the client's."""
    return sync.run(book, name, task, world(book))


def link(book: Book, served: Provider) -> Any:
    """Ask, be accepted, and hear of it; the link."""
    save(book)
    request(book, served)
    served.accept()
    result = run(book)
    assert result.outcome == "ok", result
    with book.reading() as sql:
        return links.demand_linked(sql, DEPOT)


def receive(served: Provider, sku: str, units: int, client: int = 1) -> None:
    """Goods of the client arrive at the provider."""
    with served.book.transaction() as t:
        stock.receive(t, f"{client}-{sku}", "Main", units)


def state(book: Book) -> list[tuple[str, str]]:
    """(warehouse, state) of every link."""
    return [(warehouse, said) for warehouse, said in books.ask(book, "SELECT warehouse, state FROM links")]
