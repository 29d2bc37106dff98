"""A seller with one connection on a simulated Amazon, and a watch on every request it sends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from tests import books
from tests.shared_files import SPAPI
from tests.year.company import Clock, Company, company, connect
from zenv import sync
from zenv.ledger import connections, recipients, stock
from zenv.ledger.book import Book
from zenv.simulators.amazon import AmazonSimulator


@contextmanager
def every_request(watch: Callable[[httpx.Request], object]) -> Iterator[None]:
    """Call `watch` before each HTTP request leaves, at the one place all requests pass."""
    original = httpx.HTTPTransport.handle_request

    def handle(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        watch(request)
        return original(self, request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.HTTPTransport, "handle_request", handle)
        yield


def no_transaction(book: Book) -> Callable[[httpx.Request], None]:
    """Neither a writing nor a reading transaction is open in the thread that asks (design 5.1)."""
    out: Counter[int] = Counter()
    event.listen(book.engine, "checkout", lambda *_: out.update([get_ident()]))
    event.listen(book.engine, "checkin", lambda *_: out.subtract([get_ident()]))

    def watch(request: httpx.Request) -> None:
        count = out[get_ident()]
        assert count == 0, f"{count} transactions are open while {request.url.path} is asked"

    return watch


def new_sim(clock: Clock) -> AmazonSimulator:
    return AmazonSimulator(7, clock, models=SPAPI if SPAPI.is_dir() else None)


@contextmanager
def opened(sim: AmazonSimulator, clock: Clock, folder: Any, **settings: Any) -> Iterator[Company]:
    """A company with one connection `a`; what Amazon lists becomes items unless `settings` say otherwise."""
    with company([sim], clock, ("Main", "Side"), folder=folder) as c, every_request(no_transaction(c.book)):
        connect(c.book, "a", sim, c.shops[0].url, **({"adopt_new": True} | settings))
        yield c
        assert books.findings(c.book) == []
        assert (sim.channel_accidents, sim.handling_resets) == ([], [])


def run_all(shop: Company, **options: Any) -> list[sync.RunResult]:
    return sync.run_all(shop.book, "a", shop.world(10**7), **options)


def sim_of(shop: Company) -> AmazonSimulator:
    return shop.shops[0].sim


def connection_id(shop: Company) -> int:
    with shop.book.reading() as sql:
        return int(connections.find(sql, "a").id)


def calls(sim: AmazonSimulator, operation: str) -> list[Any]:
    return [seen for seen in sim.requests if seen.operation == operation]


def set_stock(shop: Company, **units: int) -> None:
    """Count these items (dashes written as underscores) and book the difference."""
    with shop.book.transaction() as t:
        for sku, counted in units.items():
            stock.book_count(t, sku.replace("_", "-"), "Main", counted)


def told(shop: Company) -> dict[str, tuple[int | None, Any]]:
    """SKU -> quantity and handling time as Amazon holds them."""
    return {sku: (one.quantity, one.submitted[0].get("lead_time_to_ship_max_days"))
            for sku, one in sim_of(shop).listings.items() if one.submitted}  # fmt: skip


def stock_states(shop: Company) -> dict[str, str]:
    return dict(books.ask(shop.book, "SELECT l.name, l.stock_state FROM listings l"))


def unknown_recipients(shop: Company) -> set[str]:
    with shop.book.reading() as sql:
        return set(recipients.wanted(sql, connection_id(shop), 100))
