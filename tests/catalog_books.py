"""A real ledger in a temporary folder, with a connection written as the wire would have left it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from zenv import credentials
from zenv.facts import ListingFact, Money, OrderFact, OrderLineFact
from zenv.ledger import book as books
from zenv.ledger import catalog, connections, order_facts, sqlite, stock
from zenv.ledger.catalog import NewItem
from zenv.ledger.home import LEDGER
from zenv.ledger.listing_facts import Recorded, record_listings
from zenv.ledger.models import Connection, Item, Level, Listing, Message, Order, OrderLine, Reservation
from zenv.ledger.transaction import table

MORNING = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)


class Clock:
    """A clock that is wound by hand."""

    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> datetime:
        return self.now

    def later(self, **by: float) -> datetime:
        """Wind it and read it."""
        self.now += timedelta(**by)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Iterator[books.Book]:
    """An empty ledger with one warehouse, `Main`."""
    store = credentials.KeyStore("file", str(tmp_path / "zenv.key"), "catalog-tests")
    credentials.create_master_key(store)
    home = tmp_path / "home"
    books.create(home, books.NewCompany("Lamp Shop", "DE", "Europe/Berlin", "EUR"), store, clock)
    with books.open_book(home, "tester", clock) as opened:
        with opened.transaction() as t:
            stock.add_warehouse(t, "Main", rank=10)
        yield opened


def connect(book: books.Book, name: str = "amazon", **settings: Any) -> int:
    """An enabled connection; its secrets play no part here."""
    new = connections.NewConnection(
        name=name, kind="amazon", external_id=f"seller of {name}", region="eu", marketplaces=("A1PA6795UKMFR9",),
        home_marketplace="A1PA6795UKMFR9", warehouses=("Main",), consent_scope="all", **settings,
    )  # fmt: skip
    with book.transaction() as t:
        connection = connections.add(t, new, {"client_id": "made up"}, book.master_key())
        connections.enable(t, name)
    return connection


def order(number: str, at: datetime, *lines: OrderLineFact, **about: Any) -> OrderFact:
    """A paid order of the seller's own fulfilment."""
    about = {"state": "ready", "channel_status": "UNSHIPPED", "fulfilled_by": "merchant"} | about
    return OrderFact(number, at, at, marketplace="A1PA6795UKMFR9", lines=lines, **about)


def sell(book: books.Book, connection: int, number: str, at: datetime, sku: str, units: int, **about: Any) -> None:
    """Record an order of one line."""
    with book.transaction() as t:
        line = OrderLineFact(f"{number}-1", sku, units, shipped=about.pop("shipped", 0))
        order_facts.record(t, connection, [order(number, at, line, **about)])


def seen(sku: str, **about: Any) -> ListingFact:
    """A listing as the remote shows it at the start of the morning."""
    return ListingFact(sku, **({"observed_at": MORNING, "name": f"Name of {sku}"} | about))


def items(book: books.Book) -> dict[str, Any]:
    """All items by SKU."""
    with book.reading() as sql:
        return {found.sku: found for found in sql.execute(select(table(Item)))}


def listings(book: books.Book) -> dict[str, Any]:
    """All listings by SKU, with the SKU of the item they are linked to as `item`."""
    rows, owners = table(Listing), table(Item)
    with book.reading() as sql:
        found = sql.execute(select(rows, owners.c.sku.label("item")).outerjoin(owners, owners.c.id == rows.c.item_id))
        return {listing.sku: listing for listing in found}


def on_hand(book: books.Book) -> dict[str, int]:
    """SKU -> units on all shelves, without the empty ones."""
    query = select(table(Item).c.sku, table(Level).c.on_hand).join(
        table(Level), table(Level).c.item_id == table(Item).c.id
    )
    with book.reading() as sql:
        return {sku: quantity for sku, quantity in sql.execute(query) if quantity}


def lines_of(book: books.Book, number: str) -> list[Any]:
    """The lines of an order."""
    rows, heads = table(OrderLine), table(Order)
    with book.reading() as sql:
        query = select(rows).join(heads, heads.c.id == rows.c.order_id).where(heads.c.number == number)
        return list(sql.execute(query.order_by(rows.c.id)))


def connection_row(book: books.Book, connection: int) -> Any:
    """The connection as it is stored."""
    with book.reading() as sql:
        return sql.execute(select(table(Connection)).where(table(Connection).c.id == connection)).one()


@contextmanager
def nothing_written(book: books.Book) -> Iterator[None]:
    """Whatever happens inside leaves the file untouched, as another connection of SQLite sees it."""
    observer = sqlite.read_only(book.home / LEDGER)
    try:
        before = observer.execute("PRAGMA data_version").fetchone()
        yield
        assert observer.execute("PRAGMA data_version").fetchone() == before, "something was written"
    finally:
        observer.close()


def everything(sku: str = "A", **about: Any) -> ListingFact:
    """A listing as a full look shows it."""
    whole = {
        "asin": "B000000001", "gtin": "036000291452", "product_type": "LAMP", "quantity": 5, "parent_sku": "P",
        "attributes": {"color": "red"}, "price": Money(1999, "EUR"),
    }  # fmt: skip
    return seen(sku, **(whole | about))


def record(book: books.Book, connection: int, *facts: ListingFact) -> Recorded:
    """Take a page of listings in."""
    with book.transaction() as t:
        return record_listings(t, connection, facts)


def add(book: books.Book, *new: NewItem) -> None:
    """Items by themselves."""
    with book.transaction() as t:
        for item in new:
            catalog.add_item(t, item)


def linked(book: books.Book) -> dict[str, str | None]:
    """Listing SKU -> SKU of its item."""
    return {sku: listing.item for sku, listing in listings(book).items()}


def reserved(book: books.Book) -> int:
    """Units reserved for orders."""
    with book.reading() as sql:
        return sum(sql.execute(select(table(Reservation).c.quantity)).scalars())


def owed(book: books.Book) -> set[int]:
    """Listings whose stock a channel is to be told."""
    with book.reading() as sql:
        return set(sql.execute(select(table(Message).c.subject)).scalars())
