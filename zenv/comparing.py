"""Holding the books against what a channel says of its orders now: was one lost, was a package never told (I1, I4)?

It only asks and changes nothing; each finding names the command that mends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from zenv import sync
from zenv.connectors.base import World
from zenv.errors import Refused
from zenv.facts import OrderFact
from zenv.ledger import connections, invariants
from zenv.ledger.book import Book
from zenv.ledger.invariants import Finding
from zenv.pulling import Progress


def compare(book: Book, name: str, since: datetime, until: datetime, world: World | None = None,
            progress: Progress | None = None) -> list[Finding]:  # fmt: skip
    """What differs for orders placed from `since` to `until`, both included. Raises what the connector raises, Refused
    for a connection that is not enabled."""
    with book.reading() as sql:
        found = connections.find(sql, name)
    if found.status not in ("active", "inactive"):
        raise Refused(f"{name} is {found.status}, so it cannot be asked.", "zenv connections list")
    facts = list(_orders(book, name, since, until, world, progress))
    with book.reading() as sql:
        return invariants.compare_orders(sql, found.id, facts)


def _orders(book: Book, name: str, since: datetime, until: datetime, world: World | None,
            progress: Progress | None) -> Iterator[OrderFact]:  # fmt: skip
    connector, read = sync.open_connector(book, name, world), 0
    try:
        for page in connector.period("orders", since, until):
            read += len(page.facts)
            if progress is not None:
                progress("orders", read, page.total)
            yield from (fact for fact in page.facts if isinstance(fact, OrderFact))
    finally:
        connector.close()
