"""Amazon's orders that ended long ago: no person is in them any more, yet Amazon wants them gone after 18 months too,
unless a law asks for more. They are listed; only the owner has them archived or removed.

Stock is not touched: movements and levels stay, and with them every report that is made of them. (Deletes rows of
several subjects, as no other operation does.)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, and_, exists, func, not_, or_, select

from zenv.errors import BadInput, DiskTrouble, Refused
from zenv.ledger import audit, policy
from zenv.ledger.backup import sync
from zenv.ledger.book import Book
from zenv.ledger.models import (
    Message,
    Order,
    OrderComment,
    OrderCustomer,
    OrderLine,
    Paper,
    Personal,
    Reservation,
    Shipment,
    ShipmentLine,
)
from zenv.ledger.redaction import HOLDS, accounts, ends_at, origin
from zenv.ledger.transaction import Transaction, among, in_chunks, table

orders, lines, comments = table(Order), table(OrderLine), table(OrderComment)
shipments, packed, messages = table(Shipment), table(ShipmentLine), table(Message)
reservations, personal, owners, papers = table(Reservation), table(Personal), table(OrderCustomer), table(Paper)

OPEN = or_(
    exists().where(and_(messages.c.kind == "cancellation", messages.c.subject == orders.c.id)),
    exists().where(and_(messages.c.kind == "shipment", messages.c.subject == shipments.c.id,
                        shipments.c.order_id == orders.c.id)),
    exists().where(and_(reservations.c.line_id == lines.c.id, lines.c.order_id == orders.c.id)),
)  # fmt: skip
"""Something is still to be done about the order: it is told, or waits for units."""


@dataclass(frozen=True)
class Old:
    """How much is older than `older_than`; `held_back` orders stay, because something about them is open or somebody
    is still kept of them."""

    older_than: datetime
    orders: int
    lines: int
    packages: int
    comments: int
    held_back: int


def look(sql: Connection, now: datetime) -> Old:
    """What has passed its 18 months."""
    old, limit = _old(sql, now, not_(OPEN), not_(HOLDS)), _limit(now)
    held_back = len(_old(sql, now)) - len(old)
    of_lines, of_packages, of_comments = (_count(sql, one, old) for one in (lines, shipments, comments))
    return Old(limit, len(old), of_lines, of_packages, of_comments, held_back)


def remove(book: Book, archive: Path | None) -> Old:
    """Take them out of the ledger, after writing them to `archive`, one JSON document a line, if one is given.

    Raises Refused when the file is there already, DiskTrouble when it cannot be written; then nothing is removed.
    """
    with book.transaction() as t:
        found = look(t.sql, t.now)
        old = _old(t.sql, t.now, not_(OPEN), not_(HOLDS))
        if archive is not None:
            _write(archive, t.sql, old)
        for ids in in_chunks(old):
            _delete(t, ids)
        kept = f"archived={'no' if archive is None else 'yes'}"
        audit.record(
            t, audit.REMOVED_OLD, f"{found.orders} orders", detail=f"until={found.older_than.isoformat()} {kept}"
        )
    return found


def _limit(now: datetime) -> datetime:
    return now - timedelta(days=policy.ENTRIES["amazon-old-orders"].days or 0)


def _old(sql: Connection, now: datetime, *more: Any) -> list[int]:
    ended = (origin == "amazon", orders.c.state.in_(("shipped", "completed", "cancelled")), ends_at < _limit(now))
    query = select(orders.c.id).join(accounts, accounts.c.id == orders.c.connection_id).where(*ended, *more)
    return list(sql.execute(query.order_by(orders.c.id)).scalars())


def _count(sql: Connection, owned: Any, ids: list[int]) -> int:
    return int(sql.execute(select(func.count()).select_from(owned).where(among(owned.c.order_id, ids))).scalar_one())


def _delete(t: Transaction, ids: list[int]) -> None:
    theirs = select(shipments.c.id).where(among(shipments.c.order_id, ids))
    t.sql.execute(papers.delete().where(among(papers.c.order_id, ids)))
    t.sql.execute(packed.delete().where(packed.c.shipment_id.in_(theirs)))
    for owned in (shipments, comments, personal, owners, lines):
        t.sql.execute(owned.delete().where(among(owned.c.order_id, ids)))
    t.sql.execute(orders.delete().where(among(orders.c.id, ids)))


# ---- the archive -----------------------------------------------------------------------------------------


def _write(path: Path, sql: Connection, ids: list[int]) -> None:
    target = path.expanduser().absolute()
    if not target.parent.is_dir():
        raise BadInput(f"There is no folder {target.parent}.")
    try:
        descriptor = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise Refused(f"There is a file {target} already; nothing was removed.", "Give another name.") from None
    except OSError as error:
        raise DiskTrouble(f"{target} cannot be made: {error.strerror}. Nothing was removed.") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(one, ensure_ascii=False) + "\n" for one in _documents(sql, ids))
        sync(target)
        sync(target.parent)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise DiskTrouble(f"{target} cannot be written: {error.strerror}. Nothing was removed.") from None


def _documents(sql: Connection, ids: list[int]) -> Iterator[dict[str, Any]]:
    for some in in_chunks(ids):
        parts = {name: _by_order(sql, owned, some)
                 for name, owned in (("lines", lines), ("packages", shipments), ("comments", comments))}  # fmt: skip
        for order in sql.execute(select(orders).where(among(orders.c.id, some))).mappings():
            yield _plain(order) | {name: found.get(order["id"], []) for name, found in parts.items()}


def _by_order(sql: Connection, owned: Any, ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for row in sql.execute(select(owned).where(among(owned.c.order_id, ids)).order_by(owned.c.id)).mappings():
        found.setdefault(row["order_id"], []).append(_plain(row))
    return found


def _plain(row: Any) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if not isinstance(value, bytes)
    }
