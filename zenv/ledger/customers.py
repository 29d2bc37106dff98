"""Customers, under pseudonyms: somebody who comes back is recognised by a mark of their e-mail address.

By the address only, never by a name (F16, 1.8.i). The mark is a keyed hash that lies in `keys.db`, in no backup, and
is deleted when the customer's last order is redacted: from then on nothing tells who C-000001 was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.errors import NotFound
from zenv.ledger import views
from zenv.ledger.models import Customer, Order, OrderCustomer, Personal
from zenv.ledger.transaction import Transaction, among, as_stored, table
from zenv.privacy import strip_control

customers, owners = table(Customer), table(OrderCustomer)
orders, personal = table(Order), table(Personal)

Known = tuple[str, str]
"""A pseudonym and since when: a restored ledger may give a number to somebody else, but not at the same moment."""


def recognise(t: Transaction, emails: Mapping[int, str]) -> None:
    """Say whose each order (by id) is, by its recipient's e-mail address; one without an address is nobody's."""
    given = {order: email for order, email in emails.items() if email.strip()}
    if not given:
        return
    mark_of = dict(zip(given, t.keys.marks(given.values()), strict=True))
    ids = _known(t, mark_of.values())
    ids |= _new(t, [mark for mark in dict.fromkeys(mark_of.values()) if mark not in ids])
    t.many(_own, [{"order_id": order, "customer_id": ids[mark]} for order, mark in mark_of.items()])


_own = insert_or_update(owners)
_own = _own.on_conflict_do_update(index_elements=["order_id"], set_={"customer_id": _own.excluded.customer_id})


def _known(t: Transaction, marks: Iterable[bytes]) -> dict[bytes, int]:
    """The ids of those whose mark is known, and who stand in this ledger as they did when it was made."""
    found = t.keys.recognised(set(marks))
    there = _ids(t.sql, [who[0] for who in found.values()])
    return {mark: there[who] for mark, who in found.items() if who in there}


def _ids(sql: Connection, pseudonyms: Iterable[str]) -> dict[Known, int]:
    these = select(customers).where(among(customers.c.pseudonym, pseudonyms))
    return {(found.pseudonym, as_stored(found.first_seen_at)): found.id for found in sql.execute(these)}


def _new(t: Transaction, marks: list[bytes]) -> dict[bytes, int]:
    """New customers, one for each mark. The marks are kept before the ledger commits: one too many is harmless."""
    if not marks:
        return {}
    last = t.sql.execute(select(func.coalesce(func.max(customers.c.id), 0))).scalar_one()
    ids = dict(zip(marks, range(last + 1, last + 1 + len(marks)), strict=True))
    rows = [{"id": number, "pseudonym": f"C-{number:06}", "first_seen_at": t.now, "redacted_at": None}
            for number in ids.values()]  # fmt: skip
    t.insert(Customer, rows)
    t.keys.remember({mark: (f"C-{number:06}", as_stored(t.now)) for mark, number in ids.items()})
    return ids


def forget(t: Transaction, order_ids: Iterable[int]) -> int:
    """These orders are redacted: whoever has no other order with a person in it is recognised no more. How many."""
    those = select(owners.c.customer_id).where(among(owners.c.order_id, order_ids))
    left = select(owners.c.customer_id).join(personal, personal.c.order_id == owners.c.order_id)
    gone = (customers.c.id.in_(those), customers.c.id.not_in(left.where(func.length(personal.c.sealed) > 0)))
    found = t.sql.execute(select(customers.c.id, customers.c.pseudonym).where(*gone)).all()
    t.keys.forget([one.pseudonym for one in found])
    t.sql.execute(customers.update().where(*gone, customers.c.redacted_at.is_(None)).values(redacted_at=t.now))
    return len(found)


def numbers_of(sql: Connection, pseudonym: str) -> list[str]:
    """The numbers of a customer's orders; raises NotFound."""
    number = sql.execute(select(customers.c.id).where(customers.c.pseudonym == pseudonym)).scalar()
    if number is None:
        raise _nobody(pseudonym)
    return list(sql.execute(
        select(orders.c.number).join(owners, owners.c.order_id == orders.c.id)
        .where(owners.c.customer_id == number).order_by(orders.c.placed_at)
    ).scalars())  # fmt: skip


def pseudonym_of(sql: Connection, order_id: int) -> str:
    """Whose order it is; empty where nobody knows."""
    query = select(customers.c.pseudonym).join(owners, owners.c.customer_id == customers.c.id)
    return str(sql.execute(query.where(owners.c.order_id == order_id)).scalar() or "")


def stale_marks(sql: Connection, marked: Mapping[str, str]) -> list[str]:
    """Pseudonyms that are still recognised and should not be: redacted, or not of this ledger."""
    query = select(customers.c.pseudonym, customers.c.first_seen_at).where(customers.c.redacted_at.is_(None))
    there: dict[str, str] = {found.pseudonym: as_stored(found.first_seen_at) for found in sql.execute(query)}
    return sorted(one for one, since in marked.items() if there.get(one) != since)


_BOUGHT = (
    "SELECT c.customer, c.orders, c.first_seen_at, c.last_order_at, c.redacted_at AS forgotten_at FROM customers c"
)


def listed(home: Path, limit: int) -> views.Table:
    """Customers, those with most orders first."""
    return views.rows(home, f"{_BOUGHT} ORDER BY c.orders DESC, c.customer LIMIT ?", (limit,))


def shown(home: Path, pseudonym: str) -> tuple[dict[str, object], views.Table]:
    """A customer and their orders, newest first; raises NotFound."""
    about = views.rows(home, f"{_BOUGHT} WHERE c.customer = ?", (pseudonym,)).first()
    if about is None:
        raise _nobody(pseudonym)
    theirs = (
        "SELECT o.number, o.connection, o.state, o.placed_at, o.units, o.total, o.currency, o.country FROM orders o"
        " JOIN customer_order co ON co.number = o.number JOIN order_customer oc ON oc.order_id = co.id"
        " JOIN customer c ON c.id = oc.customer_id WHERE c.pseudonym = ? ORDER BY o.placed_at DESC"
    )
    return about, views.rows(home, theirs, (pseudonym,))


def _nobody(pseudonym: str) -> NotFound:
    return NotFound(f"There is no customer {strip_control(pseudonym)!r}.", "zenv customers list")
