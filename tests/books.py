"""Builders: a ledger in a temporary folder and what tests put into it, all through the operations a user has.

Nothing here writes a table by itself. `findings` is the auditor that every test ends with.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from zenv import credentials
from zenv.facts import ListingFact, Money, OrderFact, OrderLineFact, PackageFact, RecipientFact
from zenv.ledger import (
    book as ledger,
)
from zenv.ledger import (
    catalog,
    connections,
    invariants,
    listing_facts,
    messages,
    order_facts,
    orders,
    outbox,
    sqlite,
    stock,
    views,
)
from zenv.ledger.book import Book

MORNING = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
MARKETPLACE = "A1PA6795UKMFR9"
AMAZON = 1
"""The id of the only connection most tests make."""
COMPANY = ledger.NewCompany("Lamp Shop", "DE", "Europe/Berlin", "EUR")


class Clock:
    """A clock that is wound by hand."""

    def __init__(self, now: datetime = MORNING) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def later(self, **by: float) -> datetime:
        """Wind it (minutes=5) and read it."""
        self.now += timedelta(**by)
        return self.now


# ---- a ledger --------------------------------------------------------------------------------------------


def make_home(folder: Path, clock: Callable[[], datetime]) -> Path:
    """A new ledger in `folder`/home; its master key lies in a file beside it."""
    store = credentials.KeyStore("file", str(folder / "zenv.key"), "tests")
    credentials.create_master_key(store)
    ledger.create(folder / "home", COMPANY, store, clock)
    return folder / "home"


def home_like(blank: Path, folder: Path) -> Path:
    """A copy of a home nobody has opened since it was made."""
    shutil.copytree(blank, folder)
    folder.chmod(0o700)
    return folder


def opened(home: Path, clock: Callable[[], datetime], actor: str = "tester") -> Book:
    """The book of `home`; also a context manager."""
    return ledger.open_book(home, actor, clock)


def opened_any(home: Path) -> Book:
    """The book of `home` whatever its schema version is: for looking at it, without the check of `open_book`."""
    return Book(home, "tester", Clock(), 10)


def findings(book: Book) -> list[str]:
    """What the auditor of `zenv doctor` finds wrong."""
    return [f"{found.check} {found.subject}: {found.text}" for found in invariants.check_all(book)]


# ---- putting things in -----------------------------------------------------------------------------------


def add_items(book: Book, *skus: str) -> None:
    """Items without any stock."""
    with book.transaction() as t:
        for sku in skus:
            catalog.add_item(t, catalog.NewItem(sku, name=f"Name of {sku}"))


def receive(book: Book, sku: str, quantity: int, warehouse: str = "Main") -> None:
    """Units from a supplier."""
    with book.transaction() as t:
        stock.receive(t, sku, warehouse, quantity)


def connect(book: Book, name: str = "amazon", **settings: Any) -> int:
    """An enabled connection served from `warehouses` (default: Main)."""
    about: dict[str, Any] = {"external_id": f"seller of {name}", "warehouses": ("Main",)} | settings
    new = connections.NewConnection(
        name=name, kind="amazon", region="eu", marketplaces=(MARKETPLACE,), home_marketplace=MARKETPLACE,
        consent_scope="all", **about,
    )  # fmt: skip
    with book.transaction() as t:
        number = connections.add(t, new, {"client_id": "made-up-id", "client_secret": "made-up"}, book.master_key())
        connections.enable(t, name)
    return number


def list_(book: Book, connection: int, sku: str, **about: Any) -> None:
    """A listing as the remote shows it; it links itself to the item of the same SKU."""
    shown = {"name": f"Name of {sku}", "product_type": "LAMP", "observed_at": book.clock()} | about
    with book.transaction() as t:
        listing_facts.record_listings(t, connection, [ListingFact(sku, **shown)])


def make_order(book: Book, *wanted: tuple[str, int], number: str = "", **about: Any) -> str:
    """A manual order; its number."""
    with book.transaction() as t:
        lines = [orders.NewLine(sku, quantity) for sku, quantity in wanted]
        return orders.create_order(t, orders.NewOrder(lines, number, **about))


def line(sku: str, quantity: int, number: int = 1, **about: Any) -> OrderLineFact:
    """An order line as the remote tells it."""
    price = Money(1000 * quantity, "EUR")
    return OrderLineFact(remote_id=f"L{number}", sku=sku, quantity=quantity, price=price, **about)


def order(number: str, *lines: OrderLineFact, at: datetime = MORNING, said: datetime | None = None,
          **about: Any) -> OrderFact:  # fmt: skip
    """A paid order for our own fulfilment, placed `at` and last changed when `said`."""
    shown: dict[str, Any] = {"state": "ready", "channel_status": "UNSHIPPED", "fulfilled_by": "merchant"} | about
    return OrderFact(number, at, said or at, marketplace=MARKETPLACE, lines=lines, **shown)


def changes(book: Book, *facts: OrderFact) -> bool:
    """Whether recording these facts wrote anything to the file, as another connection to it sees."""
    watching = sqlite.read_only(book.home / "ledger.db")
    before = watching.execute("PRAGMA data_version").fetchall()
    record(book, AMAZON, *facts)
    after = watching.execute("PRAGMA data_version").fetchall()
    watching.close()
    return bool(before != after)


def package(reference: str, tracking: str = "T1", status: str = "SHIPPED", **about: Any) -> PackageFact:
    """A package as the remote shows it."""
    shown: dict[str, Any] = {"carrier": "DHL", "shipped_at": None} | about
    return PackageFact(reference=reference, tracking=tracking, status=status, **shown)


def record(book: Book, connection: int, *facts: OrderFact) -> int:
    """A page of orders."""
    with book.transaction() as t:
        return order_facts.record(t, connection, facts)


def ship(book: Book, number: str, lines: Mapping[str, int] | None = None, tracking: str = "T1", **about: Any) -> str:
    """One package leaves; its reference."""
    with book.transaction() as t:
        return orders.ship(t, number, [orders.NewPackage("DHL", tracking, lines=lines, **about)])[0]


PERSON = RecipientFact(
    order="", name="Marker Nameson", company="Marker Companyson", line1="Marker Street 1", line2="Marker Floor 2",
    line3="Marker Door 3", phone="+49 555 0199 77", email="marker@relay.example", gift_message="Marker Greetings",
    city="Berlin", region="BE", postcode="10115", country="DE",
)  # fmt: skip


def do(book: Book, operation: Any, *given: Any, **named: Any) -> Any:
    """One operation of a person in a transaction of its own."""
    with book.transaction() as t:
        return operation(t, *given, **named)


# ---- looking at them -------------------------------------------------------------------------------------


def dicts(found: views.Table) -> list[dict[str, Any]]:
    """Rows by column name."""
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def ask(book: Book, query: str, *given: Any) -> list[tuple[Any, ...]]:
    """Rows of a query of the read contract."""
    return views.rows(book.home, query, given).rows


def shelf(book: Book, sku: str, warehouse: str = "Main") -> tuple[int, int, int]:
    """(on hand, picked, in transit) of an item in a warehouse."""
    found = views.levels(book.home, sku, warehouse).first()
    return (found["on_hand"], found["picked"], found["in_transit"]) if found else (0, 0, 0)


def state(book: Book, number: str) -> str:
    """The state of an order as it is shown."""
    return str(views.order(book.home, number)["state"])


def held(book: Book, number: str) -> list[tuple[str, str | None, int, int]]:
    """Per line: SKU, warehouse, reserved, picked."""
    lines = dicts(views.order_lines(book.home, number))
    return [(one["sku"], one["warehouse"], one["reserved"], one["picked"]) for one in lines]


def counts(book: Book, number: str) -> list[tuple[str, int, int, int]]:
    """Per line: SKU, quantity, cancelled, shipped."""
    lines = dicts(views.order_lines(book.home, number))
    return [(one["sku"], one["quantity"], one["cancelled"], one["shipped"]) for one in lines]


def inbox(book: Book) -> set[tuple[str, str]]:
    """(kind, subject) of everything that needs a person."""
    return {(kind, subject) for kind, subject in ask(book, "SELECT kind, subject FROM inbox")}


def owed(book: Book) -> set[tuple[str, str, str]]:
    """(kind, subject, state) of every message."""
    return {(kind, subject, state) for kind, subject, state in ask(book, "SELECT kind, subject, state FROM messages")}


def available(book: Book, sku: str) -> int:
    """Units nobody waits for."""
    return int(views.item(book.home, sku)["available"])


def movements(book: Book, sku: str) -> list[tuple[str, int]]:
    """(reason, quantity), oldest first."""
    return [(one["reason"], one["quantity"]) for one in reversed(dicts(views.movements(book.home, sku, limit=10_000)))]


def to_send(book: Book, connection: int, kind: str = "stock_level") -> list[Any]:
    """The messages that would be sent now, by subject; nothing is claimed."""
    with book.reading() as sql:
        return list(messages.build(sql, kind, outbox.pending(sql, connection, kind), book.keys).values())


def offers(book: Book, connection: int) -> dict[str, int]:
    """SKU -> quantity the channel is owed to be told."""
    return {message.sku: message.quantity for message in to_send(book, connection)}


def send(book: Book, connection: int, kind: str = "stock_level", outcome: Any = "done", **about: Any) -> list[Any]:
    """Claim what is owed and book the same receipt for each; what was sent."""
    owed_now, built = claim(book, connection, kind)
    answer(book, kind, owed_now, built, outcome, **about)
    return list(built.values())


def claim(book: Book, connection: int, kind: str = "stock_level") -> tuple[dict[int, outbox.Owed], dict[int, Any]]:
    """Take what is owed, as a sender does before the call."""
    with book.transaction() as t:
        taken = {one.id: one for one in outbox.claim(t, connection, kind, 1000)}
        built = messages.build(t.sql, kind, list(taken.values()), t.keys)
        outbox.drop(t, [one for key, one in taken.items() if key not in built])
    return taken, built


def answer(book: Book, kind: str, taken: Mapping[int, outbox.Owed], built: Mapping[int, Any], outcome: Any,
           **about: Any) -> None:  # fmt: skip
    """The same receipt for everything that was sent."""
    from zenv.facts import Receipt

    with book.transaction() as t:
        messages.book_receipts(t, kind, taken, built, [Receipt(key, outcome, **about) for key in built])
