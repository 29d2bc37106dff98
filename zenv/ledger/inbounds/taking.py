"""The provider's side: what a client announces becomes a purchase order here, under the client's number (2.1.10)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection as Sql
from sqlalchemy import select

from zenv.ledger.inbounds import doing, rows
from zenv.ledger.inbounds.rows import change, change_line, inbounds, lines, lines_of, of_remote
from zenv.ledger.models import Inbound, InboundLine, Item, Listing, Warehouse
from zenv.ledger.transaction import AnyRow, Transaction, among, row, table

if TYPE_CHECKING:
    from zenv import wire

listings, items, warehouses = table(Listing), table(Item), table(Warehouse)


def take(t: Transaction, client: AnyRow, said: wire.AnnouncedInbound) -> wire.Answer:
    """Take a client's snapshot: new, changed, cancelled. One that is not newer than what is known is not heeded; one
    that would undo what was received is refused, and so is an item that was never shared.

    `client` is a row of the table client.
    """
    known = of_remote(t.sql, client.connection_id, said.inbound)
    if known is not None and said.version <= known.version:
        return _answer(said, known.version, known.number)
    wanted = _items(t.sql, client.connection_id, said)
    reason = _trouble(t.sql, said, known, wanted)
    if reason:
        return _answer(said, known.version if known else 0, known.number if known else "", reason)
    number = known.number if known else _begin(t, client, said)
    _write(t, rows.find(t.sql, number), said, wanted)
    return _answer(said, said.version, number)


def _answer(said: wire.AnnouncedInbound, version: int, number: str, reason: Any = "") -> wire.Answer:
    from zenv import wire

    outcome: Any = "refused" if reason else "taken"
    return wire.Answer(reference=said.inbound, outcome=outcome, version=version, number=number, reason=reason)


def _items(sql: Sql, connection: int, said: wire.AnnouncedInbound) -> dict[str, AnyRow]:
    """SKU of the client's -> (id, sku) of the item here."""
    found = sql.execute(
        select(listings.c.sku.label("theirs"), items.c.id, items.c.sku)
        .join(items, items.c.id == listings.c.item_id)
        .where(listings.c.connection_id == connection, among(listings.c.sku, {goods.sku for goods in said.lines}))
    )
    return {one.theirs: one for one in found}


def _trouble(sql: Sql, said: wire.AnnouncedInbound, known: AnyRow | None, wanted: Mapping[str, AnyRow]) -> str:
    """Why the snapshot cannot be taken; empty if it can."""
    if known is not None:
        came = {line.remote_id: line for line in lines_of(sql, known.id)}
        if said.kind != known.kind:
            return "not possible"
        if _undoes(said, known, came, wanted):
            return "received"
    if said.cancelled:
        return ""
    if any(goods.sku not in wanted for goods in said.lines):
        return "unknown item"
    named = [(goods.line, wanted[goods.sku].id) for goods in said.lines]
    twice = any(len({one[part] for one in named}) < len(named) for part in (0, 1))
    return "not possible" if twice or _shelf(sql) is None else ""


def _undoes(
    said: wire.AnnouncedInbound, known: AnyRow, came: Mapping[str, AnyRow], wanted: Mapping[str, AnyRow]
) -> bool:
    """Whether it takes back what was received, or changes the goods of an inbound that is closed."""
    if said.cancelled:
        return known.state == "closed" or any(line.received for line in came.values())
    goods = {one.line: (wanted[one.sku].id if one.sku in wanted else None, one.quantity) for one in said.lines}
    if known.state == "closed":
        return goods != {name: (line.item_id, line.quantity) for name, line in came.items()}
    return any(
        name not in goods or goods[name][0] != line.item_id or goods[name][1] < line.received
        for name, line in came.items() if line.received
    )  # fmt: skip


def _shelf(sql: Sql) -> int | None:
    """Where clients' goods arrive: the first own warehouse by rank."""
    own = select(warehouses.c.id).where(warehouses.c.kind == "own", warehouses.c.active)
    return sql.execute(own.order_by(warehouses.c.rank, warehouses.c.id).limit(1)).scalar()


def _begin(t: Transaction, client: AnyRow, said: wire.AnnouncedInbound) -> str:
    number = wanted = f"{rows.PREFIX[said.kind]}-{client.id}-{said.number}"
    suffix = 1
    while rows.taken(t.sql, number):
        suffix += 1
        number = f"{wanted}/{suffix}"
    t.insert(Inbound, [row(Inbound, number=number, kind=said.kind, connection_id=client.connection_id,
                           remote_id=said.inbound, destination_id=_shelf(t.sql), made_by=t.actor, made_at=t.now,
                           version=0)])  # fmt: skip
    return number


def _write(t: Transaction, inbound: AnyRow, said: wire.AnnouncedInbound, wanted: Mapping[str, AnyRow]) -> None:
    """Make the inbound what the client says it is."""
    if said.cancelled:
        change(t, inbound.id, version=said.version, state="cancelled", closed_at=t.now)
        return
    change(t, inbound.id, version=said.version, expected_at=said.expected_at)
    known = {line.remote_id: line for line in lines_of(t.sql, inbound.id)}
    for goods in said.lines:
        item = wanted[goods.sku]
        sent = min(goods.sent, goods.quantity)
        told = {"item_id": item.id, "sku": item.sku, "quantity": goods.quantity, "sent": sent}
        if goods.line in known:
            change_line(t, known[goods.line].id, **told)
        else:
            t.insert(InboundLine, [row(InboundLine, inbound_id=inbound.id, remote_id=goods.line, **told)])
    gone = [line.id for name, line in known.items() if name not in {goods.line for goods in said.lines}]
    t.sql.execute(lines.delete().where(among(lines.c.id, gone)))
    if inbound.state != "closed":
        change(t, inbound.id, state="open", closed_at=None)
        doing.close_if_complete(t, rows.again(t.sql, inbound))


def states(sql: Sql, subjects: Sequence[int]) -> dict[int, wire.InboundState]:
    """How inbounds of clients stand, by id: what their clients are to be told."""
    from zenv import wire

    found = sql.execute(select(inbounds).where(among(inbounds.c.id, subjects), inbounds.c.remote_id.is_not(None))).all()
    return {
        one.id: wire.InboundState(
            inbound=one.remote_id, closed=one.state == "closed",
            received={line.remote_id: line.received for line in lines_of(sql, one.id)},
        )
        for one in found
    }  # fmt: skip
