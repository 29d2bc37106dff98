"""Forgetting the people orders went to, on time: the key of the order is destroyed, then its sealed bytes removed.

Due is 30 days after the earlier of shipped and completed, or after cancelled (A27 to A35, 1.8.a), for orders of a
channel. Nothing else of the order changes: it is still found, and every report stays as it was (A36 to A40).
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Select, or_, select

from zenv.ledger.book import Book
from zenv.ledger.models import Order, Personal
from zenv.ledger.transaction import among, table

orders, personal = table(Order), table(Personal)

KEPT = timedelta(days=30)
MARGIN = timedelta(days=2)
"""The daemon redacts so much earlier: a machine may be off for a weekend."""
AT_ONCE = 500
REMOVED = b""
"""What stands in for sealed bytes that were removed."""


def overdue(sql: Connection, now: datetime) -> list[str]:
    """The numbers of orders whose recipient should have been forgotten by now."""
    return [found.number for found in sql.execute(_ended_before(now - KEPT).order_by(orders.c.number))]


def redact_due(book: Book) -> int:
    """Forget whom all orders went to whose time comes within the margin; how many orders. A kill between the key
    and the bytes leaves bytes that nobody can open, and the next run removes them."""
    count = 0
    while found := _next(book):
        book.keys.destroy([row.key_id for row in found])
        with book.transaction() as t:
            gone = personal.update().where(among(personal.c.order_id, [row.order_id for row in found]))
            t.sql.execute(gone.values(sealed=REMOVED))
        count += len(found)
    return count


def _next(book: Book) -> list[Any]:
    with book.reading() as sql:
        return list(sql.execute(_ended_before(book.clock() - KEPT + MARGIN).limit(AT_ONCE)))


def _ended_before(limit: datetime) -> Select[Any]:
    ended = or_(orders.c.shipped_at < limit, orders.c.completed_at < limit, orders.c.cancelled_at < limit)
    return (
        select(orders.c.number, personal.c.order_id, personal.c.key_id)
        .join(orders, orders.c.id == personal.c.order_id)
        .where(personal.c.sealed != REMOVED, orders.c.connection_id.is_not(None), ended)
    )
