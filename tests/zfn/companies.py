"""A provider with clients, for the tests of its side: what a client would say is said here as it goes over the wire."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests import books
from tests.books import Clock
from zenv import wire
from zenv.ledger import users
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow
from zenv.ledger.zfn import clients, shared_items, standing, taking, tokens

ADDRESS = "127.0.0.1:8470"
PEPPER = bytes(32)
"""For tests that hand tokens to the ledger themselves."""
PERSON = wire.Recipient(name="Marker Nameson", line1="Marker Street 1", phone="+49 555 0199 77", city="Berlin",
                        postcode="10115", country="DE")  # fmt: skip


def make_provider(book: Book) -> None:
    """Have the function granted, and an address."""
    with book.transaction() as t:
        users.begin(t)
        standing.choose_plan(t, "enterprise")
        standing.enable(t)
        standing.grant(t)
        standing.edit(t, address=ADDRESS)


def new_token() -> str:
    """A token, or the secret of a request, as a client makes it."""
    return f"zenv_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}"


def request(company: str = "acme", **about: Any) -> wire.Request:
    """A company asks."""
    said: dict[str, Any] = {"company_id": company, "company_name": company.capitalize(), "user": "anna",
                            "warehouse": "Depot", "secret": new_token()} | about  # fmt: skip
    return wire.Request(**said)


def ask(book: Book, said: wire.Request, pepper: bytes = PEPPER) -> str:
    """Write a request down; its fingerprint."""
    code = standing.invite(book)
    with book.transaction() as t:
        return clients.ask(t, pepper, code, said)


def accept(book: Book, number: int, client: str | None = None) -> AnyRow:
    """Accept a request, as a new client without a name."""
    with book.transaction() as t:
        return clients.accept(t, number, t.actor, client is None, client)


def link(book: Book, company: str = "acme", pepper: bytes = PEPPER) -> tuple[AnyRow, str]:
    """A linked client, and the token it shows."""
    said, token = request(company), new_token()
    ask(book, said, pepper)
    number = max(book_requests(book))
    client = accept(book, number)
    with book.transaction() as t:
        tokens.exchange(t, pepper, tokens.check_again(t.sql, tokens.public_id(said.secret)), token)
    return client, token


def book_requests(book: Book) -> list[int]:
    """The numbers of all requests."""
    return [number for (number,) in books.ask(book, "SELECT request FROM link_requests")]


def share(book: Book, client: AnyRow, *skus: str, **about: Any) -> None:
    """The client shares items."""
    with book.transaction() as t:
        t.actor = client.import_user
        items = [wire.SharedItem(**({"sku": sku, "name": f"Name of {sku}"} | about)) for sku in skus]
        shared_items.take(t, client, items)


def order(number: str, *wanted: tuple[str, int], version: int = 1, clock: Clock | None = None,
          recipient: wire.Recipient | None = PERSON, **about: Any) -> wire.HandedOrder:  # fmt: skip
    """An order as a client hands it over."""
    lines = [wire.HandedLine(line=str(place), sku=sku, quantity=units) for place, (sku, units) in enumerate(wanted, 1)]
    said: dict[str, Any] = {"placed_at": (clock or Clock())(), "lines": lines} | about
    return wire.HandedOrder(order=f"c:{number}", version=version, recipient=recipient, **said)


def hand(book: Book, client: AnyRow, *said: wire.HandedOrder) -> list[wire.Answer]:
    """The client hands orders over."""
    with book.transaction() as t:
        t.actor = client.import_user
        return taking.take_orders(t, client, said)


@dataclass(frozen=True)
class Told:
    """An answer in short."""

    outcome: str
    reason: str
    version: int


def told(answers: list[wire.Answer]) -> list[Told]:
    """What was answered."""
    return [Told(one.outcome, one.reason, one.version) for one in answers]


def stock_of(book: Book, client: AnyRow, **units: int) -> None:
    """Units of the client's items arrive at the provider: by the client's SKUs."""
    for sku, quantity in units.items():
        books.receive(book, f"{client.id}-{sku}", quantity)


def content(book: Book) -> Mapping[str, list[tuple[Any, ...]]]:
    """Every row of every table, to see that nothing was changed; but when a token was last shown."""
    from zenv.ledger.models import SQLModel

    with book.reading() as sql:
        return {
            table.name: [tuple(row) for row in sql.execute(table.select())]
            for table in SQLModel.metadata.sorted_tables
            if table.name not in ("link_token",)
        }
