"""A company with its books, and simulated Amazon sellers served on loopback, all on one clock wound by hand."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from zenv import credentials, sync
from zenv.connectors.base import World
from zenv.ledger import book as books
from zenv.ledger import connections, stock
from zenv.ledger.buckets import LedgerBuckets
from zenv.simulators.amazon import AmazonSimulator, serve

NEW_YEAR = datetime(2026, 1, 1, 9, 0, tzinfo=UTC)
MEMORY = Path("/dev/shm")
PATIENT = 10**7
"""Seconds: a run that waits for every token, however long it takes."""


class Clock:
    """The one clock of the books and of every simulator; sleeping winds it."""

    def __init__(self) -> None:
        self.now = NEW_YEAR

    def __call__(self) -> datetime:
        return self.now

    def wind(self, seconds: float) -> None:
        """Go forward, up to the next millisecond: Amazon knows no smaller time, and no wait may last for nothing."""
        self.now += timedelta(milliseconds=math.ceil(seconds * 1000))


@dataclass
class Shop:
    """A seller account: the connection's name, the simulated Amazon behind it, its address."""

    name: str
    sim: AmazonSimulator
    url: str


@dataclass
class Company:
    """The books and the shops of a test."""

    home: Path
    book: books.Book
    clock: Clock
    shops: list[Shop] = field(default_factory=list)

    def shop(self, name: str) -> Shop:
        """The shop behind a connection."""
        return next(shop for shop in self.shops if shop.name == name)

    def world(self, patience: float = 60.0) -> World:
        """The outside as connectors see it; sleeping winds the clock."""
        return World(self.clock, self.clock.wind, LedgerBuckets(self.book.engine, self.clock), patience)

    def run(self, shop: str, task: str, patience: float = PATIENT, **options: Any) -> sync.RunResult:
        """Run a task of a connection."""
        return sync.run(self.book, shop, task, self.world(patience), **options)

    def rows(self, query: str, *values: Any) -> list[Any]:
        """Ask the books in SQL."""
        with self.book.reading() as sql:
            return list(sql.exec_driver_sql(query, values))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards; in memory where the machine has such a place, as nothing is killed here."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        yield Path(folder)


def new_books(folder: Path, clock: Callable[[], datetime], warehouses: Sequence[str]) -> Path:
    """Make a ledger with these warehouses, first come first served. Its home."""
    store = credentials.KeyStore("file", str(folder / "zenv.key"), "year")
    credentials.create_master_key(store)
    home = folder / "home"
    books.create(home, books.NewCompany("Teapots", "US", "America/New_York", "USD"), store, clock)
    with books.open_book(home, "founder", clock) as book, book.transaction() as t:
        for rank, name in enumerate(warehouses):
            stock.add_warehouse(t, name, rank=rank)
    return home


def connect(book: books.Book, name: str, sim: AmazonSimulator, url: str, **settings: Any) -> None:
    """Enable a connection to a simulated seller."""
    places = tuple(sim.marketplaces)
    usual = connections.NewConnection(
        name=name, kind="amazon", external_id=sim.seller_id, region="NA", marketplaces=places,
        home_marketplace=places[0], warehouses=("Main",), consent_scope="all", endpoint=url,
    )  # fmt: skip
    with book.transaction() as t:
        connections.add(t, replace(usual, **settings), secrets_of(sim), book.master_key())
        connections.enable(t, name)


def secrets_of(sim: AmazonSimulator) -> dict[str, str]:
    """What the seller would paste."""
    names = ("client_id", "client_secret", "refresh_token")
    return {name: getattr(sim, name) for name in names}


@contextmanager
def company(
    sims: Sequence[AmazonSimulator], clock: Clock, warehouses: Sequence[str] = ("Main",), folder: Path | None = None
) -> Iterator[Company]:
    """Open books, and serve each simulator; the connections are still to be made (`connect`)."""
    with ExitStack() as stack:
        home = new_books(folder or stack.enter_context(scratch()), clock, warehouses)
        book = stack.enter_context(books.open_book(home, "clerk", clock))
        shops = [Shop(name, sim, stack.enter_context(serve(sim))) for name, sim in zip("ab", sims, strict=False)]
        yield Company(home, book, clock, shops)
