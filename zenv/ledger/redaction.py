"""Forgetting the people orders went to: the key of the order is destroyed, then all that it sealed is removed.

When, says the policy; by hand at any time, for orders, a customer or a whole account. Nothing else of the order
changes: it is still found, and every report stays as it was (A36 to A40).

The key goes first: from then on nobody can read the person, wherever copies lie. `keys.db` remembers that it was
destroyed on purpose, so that the next run ends what a kill left undone or an old backup brought back.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Select, and_, case, false, func, literal, or_, select, union
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.errors import NotFound
from zenv.ledger import audit, customers, papers, policy
from zenv.ledger.book import Book
from zenv.ledger.connections import find
from zenv.ledger.models import Connection as Account
from zenv.ledger.models import Order, Paper, Personal
from zenv.ledger.policy import Source, Term
from zenv.ledger.transaction import AnyRow, Transaction, among, table
from zenv.privacy import PERSONAL_FIELDS, strip_control

orders, personal, accounts, paper = table(Order), table(Personal), table(Account), table(Paper)

AT_ONCE = 500
REMOVED = b""
"""What stands in for sealed bytes that were removed."""
ACTION = "redacted"
"""How the audit trail calls it."""


@dataclass(frozen=True)
class Held:
    """An order somebody is kept of, from where, and when they must be gone. `key_id` is empty where nobody ever was."""

    id: int
    number: str
    key_id: str
    source: Source
    papers: int
    ended_at: datetime | None
    due_at: datetime | None


# ---- what is due -----------------------------------------------------------------------------------------

_FAR = literal("9999")
_ends = (func.coalesce(orders.c[name], _FAR) for name in ("shipped_at", "completed_at", "cancelled_at"))
ends_at: Any = func.nullif(func.min(*_ends), _FAR, type_=orders.c.shipped_at.type)
"""When the order ended; nothing while it has not (1.8.a: the earlier of shipped and completed, or cancelled)."""
origin = case((accounts.c.kind == "amazon", "amazon"), (accounts.c.kind == "zfn_client", "client"), else_="own")
HOLDS = orders.c.id.in_(
    union(
        select(personal.c.order_id).where(personal.c.sealed != REMOVED),
        select(paper.c.order_id).where(paper.c.destroyed_at.is_(None)),
    )
)
"""There is something sealed of somebody, or a paper."""
_papers = (
    select(func.count())
    .where(paper.c.order_id == orders.c.id, paper.c.destroyed_at.is_(None))
    .correlate(orders)
    .scalar_subquery()
)


def _query(*wanted: Any) -> Select[Any]:
    return (
        select(orders.c.id, orders.c.number, func.coalesce(personal.c.key_id, "").label("key_id"),
               origin.label("source"), _papers.label("papers"), ends_at.label("ended_at"))
        .outerjoin(personal, personal.c.order_id == orders.c.id)
        .outerjoin(accounts, accounts.c.id == orders.c.connection_id)
        .where(*wanted).order_by(orders.c.number)
    )  # fmt: skip


def _held(found: Iterable[AnyRow], terms: dict[Source, Term]) -> list[Held]:
    return [Held(**row._mapping, due_at=terms[row.source].due(row.ended_at)) for row in found]


def due(sql: Connection, now: datetime, early: bool = False, limit: int = -1) -> list[Held]:
    """The orders whose person must be gone by now; `early`: that the daemon sees to now."""
    terms = policy.terms_of(sql)
    ripe = [
        and_(origin == source, ends_at < before)
        for source, term in terms.items()
        if (before := term.ended_before(now, early)) is not None
    ]
    return _held(sql.execute(_query(HOLDS, or_(false(), *ripe)).limit(limit)), terms)


def overdue(sql: Connection, now: datetime) -> list[str]:
    """The numbers of orders whose recipient should have been forgotten by now."""
    return [held.number for held in due(sql, now)]


def look_at(sql: Connection, numbers: Iterable[str]) -> list[Held]:
    """These orders; raises NotFound for one that is not there."""
    wanted = dict.fromkeys(numbers)
    found = _held(sql.execute(_query(among(orders.c.number, wanted))), policy.terms_of(sql))
    if missing := sorted(wanted.keys() - {held.number for held in found}):
        raise NotFound(f"There is no order {strip_control(missing[0])!r}.", "zenv orders list")
    return found


def of_connection(sql: Connection, name: str) -> list[str]:
    """The numbers of all orders of an account that somebody is kept of."""
    mine = orders.c.connection_id == find(sql, name).id
    return list(sql.execute(select(orders.c.number).where(mine, HOLDS)).scalars())


def is_redacted(sql: Connection, order_id: int) -> bool:
    """Whether there was somebody, and is nobody any more."""
    found = sql.execute(select(personal.c.sealed).where(personal.c.order_id == order_id)).scalar()
    return found is not None and bytes(found) == REMOVED


# ---- doing it --------------------------------------------------------------------------------------------


def redact_due(book: Book) -> int:
    """Forget whom all orders went to whose time comes within the margin, and end what was begun; how many orders."""
    count = _end_what_was_begun(book)
    while found := _next(book):
        count += _redact(book, found, "term")
    papers.sweep(book)
    return count


def redact(book: Book, numbers: Iterable[str]) -> int:
    """Forget whom these orders went to, whatever their term; how many there were of whom somebody was kept.

    Of one that nobody is kept of yet, nobody will be.
    """
    kept = book.keys.kept()
    with book.reading() as sql:
        found = [held for held in look_at(sql, numbers) if held.key_id in kept or not _is_done(sql, held)]
    for start in range(0, len(found), AT_ONCE):
        _redact(book, found[start : start + AT_ONCE], "by-hand")
    return len(found)


def _is_done(sql: Connection, held: Held) -> bool:
    return not held.papers and is_redacted(sql, held.id)


def _next(book: Book) -> list[Held]:
    with book.reading() as sql:
        return due(sql, book.clock(), early=True, limit=AT_ONCE)


def _end_what_was_begun(book: Book) -> int:
    """Orders whose key was destroyed on purpose while what it sealed is still there."""
    with book.reading() as sql:
        left = {row.key_id: row.number for row in sql.execute(_query(personal.c.sealed != REMOVED))}
    begun = book.keys.destroyed(left)
    return redact(book, [left[key] for key in begun]) if begun else 0


def _redact(book: Book, found: Sequence[Held], why: str) -> int:
    book.keys.destroy([held.key_id for held in found if held.key_id])
    papers.destroy(book, [held.id for held in found if held.papers])
    with book.transaction() as t:
        # Who never had a key gets the name of one there never was, so that nobody is kept later.
        row = [{"order_id": held.id, "key_id": held.key_id or uuid.uuid4().hex, "sealed": REMOVED, "fetched_at": t.now}
               for held in found]  # fmt: skip
        t.many(_empty, row)
        customers.forget(t, [held.id for held in found])
        for held in found:
            audit.record(t, ACTION, held.number, detail=_detail(t, held, why))
    return len(found)


_empty = insert_or_update(personal)
_empty = _empty.on_conflict_do_update(index_elements=["order_id"], set_={"sealed": _empty.excluded.sealed})


def _detail(t: Transaction, held: Held, why: str) -> str:
    """For the certificate, which reads it again: `name=value` words."""
    due = f"{held.due_at:%Y-%m-%dT%H:%M:%SZ}" if held.due_at else "none"
    late = "yes" if held.due_at is not None and t.now > held.due_at else "no"
    fields = ",".join(PERSONAL_FIELDS) if held.key_id else "none"
    return f"fields={fields} papers={held.papers} source={held.source} due={due} late={late} why={why}"
