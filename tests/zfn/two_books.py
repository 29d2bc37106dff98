"""A client's ledger and its provider's side by side: what one would say over the wire is handed to the other as JSON.

The link is written on both sides as linking leaves it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from tests import books
from tests.zfn import linked
from zenv import wire
from zenv.ledger import inbounds
from zenv.ledger.book import Book
from zenv.ledger.catalog import NewItem
from zenv.ledger.models import Client, Connection
from zenv.ledger.transaction import AnyRow, row, table
from zenv.ledger.zfn import client_items, feed, replay

NAME = "Lamp Shop"
"""What the provider calls the client, and whose client number is 1."""


@dataclass
class Two:
    """Both books, and how far the client has read the provider's journal."""

    client: Book
    provider: Book
    connection: int
    mark: wire.Mark = field(default_factory=lambda: wire.Mark(entry=0))

    def row(self) -> AnyRow:
        """The client as the provider has it."""
        with self.provider.reading() as sql:
            return sql.execute(select(table(Client)).where(table(Client).c.name == NAME)).one()

    def tell(self) -> list[wire.Answer]:
        """The client says what it owes; the provider's answers."""
        taken, built = books.claim(self.client, self.connection, "inbound")
        answers = {key: self.take(message.inbound) for key, message in built.items()}
        for key, said in answers.items():
            outcome: Any = "done" if said.outcome == "taken" else "refused"
            books.answer(self.client, "inbound", taken, {key: built[key]}, outcome, reason=said.reason)
        return list(answers.values())

    def take(self, said: wire.AnnouncedInbound) -> wire.Answer:
        """The provider takes a snapshot as it comes over the wire."""
        arrived = wire.AnnouncedInbound.model_validate_json(said.model_dump_json())
        with self.provider.transaction() as t:
            return inbounds.take(t, self.row(), arrived)

    def said(self) -> wire.AnnouncedInbound:
        """The only snapshot that the client would send now."""
        (message,) = books.to_send(self.client, self.connection, "inbound")
        found: wire.AnnouncedInbound = message.inbound
        return found

    def pull(self) -> None:
        """A run of the client: first what the provider has to tell, then its journal."""
        self.hear()
        self.repeat()

    def hear(self) -> None:
        """The inbounds that the provider closed."""
        with self.provider.transaction() as t:
            waiting = feed.changes(t, self.row()).changes
        for one in waiting:
            if one.inbound is not None:
                books.do(self.client, inbounds.record_state, self.connection, one.inbound)
        books.do(self.provider, feed.seen, self.row(), [(one.key, one.revision) for one in waiting])

    def repeat(self) -> None:
        """The provider's journal, transaction by transaction."""
        with self.provider.transaction() as t:
            feed.number(t, self.row())
            told = feed.events(t.sql, self.row(), self.mark)
        for one in told.booked:
            books.do(self.client, replay.record, self.connection, one)
        self.mark = told.until

    def shelves(self, sku: str = "LAMP") -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """The client's mirror of the provider's warehouse, and the provider's own levels of the client's item."""
        return books.shelf(self.client, sku, linked.DEPOT), books.shelf(self.provider, f"1-{sku}")

    def findings(self) -> list[str]:
        """What the auditors of both find."""
        return books.findings(self.client) + books.findings(self.provider)


def link(client: Book, provider: Book, *skus: str) -> Two:
    """The provider keeps `Depot` for the client and knows these items of it."""
    add_client(provider, NAME)
    for sku in skus:
        books.do(provider, client_items.add, NewItem(sku), NAME)
    return Two(client, provider, linked.link(client, *skus))


def add_client(provider: Book, name: str) -> None:
    """A company becomes a client."""
    with provider.transaction() as t:
        about = row(Connection, name=name, kind="zfn_client", external_id=name, region="-", status="active",
                    consent_at=t.now, consent_scope="link", secret_set_at=t.now, created_at=t.now)  # fmt: skip
        connection = t.sql.execute(table(Connection).insert().returning(table(Connection).c.id), about).scalar_one()
        t.insert(Client, [row(Client, name=name, connection_id=connection, company_id=name, import_user="tester",
                              fingerprint="1", created_at=t.now, linked_at=t.now)])  # fmt: skip


def state(book: Book, number: str) -> tuple[Any, ...]:
    """(state, units, sent, received) of an inbound."""
    (found,) = books.ask(book, "SELECT state, units, sent, received FROM inbounds WHERE number = ?", number)
    return tuple(found)
