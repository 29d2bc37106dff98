"""Holding the books against what a channel says of its orders now: was one lost, was a package never told (I1, I4)?
And against the journal of a provider: what differs, and since when?

It only asks and changes nothing; each finding names the command that mends it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from zenv import sync
from zenv.connectors.base import Connector, World
from zenv.errors import Refused
from zenv.facts import BookedFact, LevelsFact, OrderFact
from zenv.ledger import connections, invariants
from zenv.ledger.book import Book
from zenv.ledger.invariants import Finding
from zenv.ledger.zfn import differing, journal, links
from zenv.ledger.zfn.differing import Journal
from zenv.pulling import Progress

if TYPE_CHECKING:
    from zenv import wire


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


# ---- a provider ------------------------------------------------------------------------------------------


def compare_provider(book: Book, warehouse: str, world: World | None = None,
                     progress: Progress | None = None) -> list[Finding]:  # fmt: skip
    """What differs between our books and the provider that keeps this warehouse, right after what was read of its
    journal. Raises what the connector raises, Refused for a warehouse without a live connection."""
    with book.reading() as sql:
        link = links.demand_linked(sql, warehouse)
        mark = journal.mark(sql, link.connection_id)
    connector = sync.open_connector(book, link.connection, world)
    try:
        levels = _levels(connector, mark)
        said = _journal(connector, int(json.loads(mark)["entry"]), book.clock(), progress)
    finally:
        connector.close()
    with book.reading() as sql:
        return differing.compare(sql, link, levels, said)


def _levels(connector: Connector, mark: str) -> Sequence[wire.LevelOf]:
    found = [fact for page in connector.fetch("levels", [mark]) for fact in page.facts if isinstance(fact, LevelsFact)]
    return [level for fact in found for level in fact.levels]


def _journal(connector: Connector, until: int, now: datetime, progress: Progress | None) -> Journal:
    said = Journal()
    for page in connector.period(journal.STREAM, now, now):
        if progress is not None:
            progress("events", page.progress, page.total)
        for fact in page.facts:
            if isinstance(fact, BookedFact):
                said.take(fact.booked, until)
    return said
