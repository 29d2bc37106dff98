"""The people orders go to: sealed under a key per order, opened only for whoever ships."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, or_, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.errors import Refused
from zenv.facts import RecipientFact
from zenv.ledger import customers
from zenv.ledger.models import Order, Personal
from zenv.ledger.transaction import Transaction, row, table
from zenv.privacy import KeyBook, strip_control

orders, personal = table(Order), table(Personal)

NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""When the recipient was fetched of an order that has a key, for a paper of it, but no recipient yet."""


def keep(t: Transaction, recipients: Mapping[int, RecipientFact]) -> None:
    """Seal recipients by order id, each under its order's key; of a redacted order nothing is kept again.

    A new key is stored before the ledger commits: an orphan key is harmless, a missing one is not.
    """
    if not recipients:
        return
    key_of = _keys_of(t, list(recipients))
    sealed = {order: box for order, who in recipients.items() if (box := _sealed(t, key_of[order], who)) is not None}
    t.many(_write, [
        {"order_id": order, "key_id": key_of[order], "sealed": box, "fetched_at": t.now}
        for order, box in sealed.items()
    ])  # fmt: skip
    t.many(_set_place, [_place(order, recipients[order]) for order in sealed])
    customers.recognise(t, {order: recipients[order].email for order in sealed})
    t.hand(*sealed)


_write = insert_or_update(personal)
_write = _write.on_conflict_do_update(
    index_elements=["order_id"], set_={name: _write.excluded[name] for name in ("sealed", "fetched_at")}
)


def _sealed(t: Transaction, key: str, who: RecipientFact) -> bytes | None:
    """None when the order's key was destroyed."""
    try:
        return t.keys.seal(key, {name: strip_control(said) for name, said in who.personal().items()})
    except Refused:
        return None


def _keys_of(t: Transaction, ids: list[int]) -> dict[int, str]:
    query = select(personal.c.order_id, personal.c.key_id).where(personal.c.order_id.in_(ids))
    known: dict[int, str] = {order: key for order, key in t.sql.execute(query)}
    fresh = [order for order in ids if order not in known]
    return known | dict(zip(fresh, t.keys.new_keys(len(fresh)), strict=True))


_set_place = (
    orders.update()
    .where(orders.c.id == bindparam("order"))
    .values(city=bindparam("to_city"), region=bindparam("to_region"), postcode=bindparam("to_postcode"),
            country=bindparam("to_country"))
)  # fmt: skip


def _place(order: int, who: RecipientFact) -> dict[str, object]:
    """What stays readable for reports and tax (A32)."""
    return {"order": order, "to_city": strip_control(who.city), "to_region": strip_control(who.region),
            "to_postcode": strip_control(who.postcode), "to_country": strip_control(who.country)}  # fmt: skip


def record(t: Transaction, connection: int, facts: Sequence[RecipientFact]) -> None:
    """Keep what a remote told of its orders' recipients; of orders we do not have, or have redacted, nothing."""
    by_remote = {fact.order: fact for fact in facts}
    found = t.sql.execute(
        select(orders.c.id, orders.c.remote_id).where(
            orders.c.connection_id == connection, orders.c.remote_id.in_(list(by_remote))
        )
    )
    keep(t, {order: by_remote[remote] for order, remote in found})


def wanted(sql: Connection, connection: int, limit: int) -> list[str]:
    """Remote ids of orders that are ready to ship and whose recipient is not known yet, most urgent first."""
    return list(sql.execute(
        select(orders.c.remote_id)
        .outerjoin(personal, personal.c.order_id == orders.c.id)
        .where(orders.c.connection_id == connection, orders.c.state.in_(("ready", "part_shipped")),
               orders.c.fulfilled_by == "merchant", orders.c.cancelling.in_(("", "refused")),
               or_(personal.c.order_id.is_(None), personal.c.fetched_at == NEVER))
        .order_by(orders.c.ship_by, orders.c.id)
        .limit(limit)
    ).scalars())  # fmt: skip


def key_of(t: Transaction, order: int) -> str:
    """The id of the order's own key, made now where it has none."""
    known = t.sql.execute(select(personal.c.key_id).where(personal.c.order_id == order)).scalar_one_or_none()
    if known is not None:
        return str(known)
    key = t.keys.new_key()
    t.insert(Personal, [row(Personal, order_id=order, key_id=key, sealed=t.keys.seal(key, {}), fetched_at=NEVER)])
    return key


def recipient(sql: Connection, keys: KeyBook, order: int) -> dict[str, str]:
    """The person's fields, `REDACTED` in each when the key is gone, nothing when never fetched."""
    found = sql.execute(select(personal.c.key_id, personal.c.sealed).where(personal.c.order_id == order)).one_or_none()
    return keys.open(found.key_id, found.sealed) if found is not None else {}
