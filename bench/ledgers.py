"""Ledgers to measure on: a connection, items with their listings and plenty of stock, made by the real operations."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from zenv import credentials
from zenv.facts import ListingFact, Money, OrderFact, OrderLineFact, Receipt
from zenv.ledger import connections, listing_facts, messages, outbox, stock
from zenv.ledger.book import Book, NewCompany, create, open_book
from zenv.ledger.connections import NewConnection
from zenv.ledger.transaction import in_chunks

NOW = datetime(2026, 11, 2, 9, tzinfo=UTC)
OPENED = NOW - timedelta(days=60)
SHOP = "ATVPDKIKX0DER"
CONNECTION = "amazon-us"
SECRETS = {"client_id": "made-up", "client_secret": "made-up", "refresh_token": "made-up"}


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    with TemporaryDirectory(prefix="zenv-bench-") as folder:
        yield Path(folder)


def new_book(home: Path, at: datetime = OPENED, endpoint: str = "", seller: str = "A2BENCH",
             secrets: dict[str, str] | None = None) -> Book:  # fmt: skip
    """An open ledger in `home` with one warehouse and one enabled connection."""
    home.mkdir(mode=0o700)
    store = credentials.KeyStore("file", str(home / "master.key"), "bench")
    credentials.create_master_key(store)
    create(home, NewCompany("Bench", "US", "America/New_York", "USD"), store, lambda: at)
    book = open_book(home, "bench", lambda: at)
    with book.transaction() as t:
        stock.add_warehouse(t, "Main")
        about = NewConnection(
            name=CONNECTION, kind="amazon", external_id=seller, region="NA", marketplaces=(SHOP,),
            home_marketplace=SHOP, warehouses=("Main",), consent_scope="bench", endpoint=endpoint, adopt_new=True,
        )  # fmt: skip
        connections.add(t, about, secrets or SECRETS, book.master_key())
        connections.enable(t, CONNECTION)
    return book


def adopted(home: Path, skus: Sequence[str], quantity: int) -> None:
    """A ledger in `home` whose items opened with `quantity` units each, which the channel is still owed."""
    with new_book(home) as book:
        for page in in_chunks(skus):
            seen = [ListingFact(sku, name=f"Item {sku}", quantity=quantity, observed_at=OPENED) for sku in page]
            with book.transaction() as t:
                listing_facts.record_listings(t, 1, seen)


def stocked(home: Path, skus: Sequence[str], quantity: int) -> None:
    """A ledger as `adopted` makes it, after its channel was told."""
    adopted(home, skus, quantity)
    with open_book(home, "bench", lambda: OPENED) as book:
        told(book)


def told(book: Book) -> None:
    """The channel has taken every stock level that was owed."""
    with book.transaction() as t:
        owed = {one.id: one for one in outbox.claim(t, 1, "stock_level", 1_000_000)}
        built = messages.build(t.sql, "stock_level", list(owed.values()), t.keys)
        messages.book_receipts(t, "stock_level", owed, built, [Receipt(key, "done") for key in owed])


def at_rest(home: Path) -> None:
    """Bring everything into the one file, so that it can be copied."""
    with open_book(home) as book, book.engine.connect() as sql:
        driver = sql.connection.driver_connection
        assert driver is not None
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()


@contextmanager
def fresh_copy(of: Path) -> Iterator[Path]:
    """A copy of a ledger at rest, gone afterwards."""
    with scratch() as folder:
        shutil.copytree(of, folder / "home")
        yield folder / "home"


def orders(count: int, skus: Sequence[str], shipped: bool, lines: int = 3) -> list[OrderFact]:
    """Orders of `lines` lines each, spread over the SKUs; the same every time."""
    return [_order(number, skus, shipped, lines) for number in range(count)]


def _order(number: int, skus: Sequence[str], shipped: bool, lines: int) -> OrderFact:
    placed = NOW - timedelta(days=1) + timedelta(seconds=number)
    wanted = [skus[(number * 7 + place * 331) % len(skus)] for place in range(lines)]
    return OrderFact(
        remote_id=f"701-{number:07d}-{number:07d}", placed_at=placed, updated_at=placed + timedelta(minutes=5),
        state="shipped" if shipped else "ready", channel_status="SHIPPED" if shipped else "UNSHIPPED",
        fulfilled_by="merchant", marketplace=SHOP, total=Money(5997, "USD"),
        lines=tuple(
            OrderLineFact(f"{number}-{place}", sku, 1 + place % 2, name=f"Item {sku}", price=Money(1999, "USD"),
                          shipped=1 + place % 2 if shipped else 0)
            for place, sku in enumerate(wanted)
        ),
    )  # fmt: skip
