"""The client's side of an inbound to a provider's warehouse: what is said of it, and what the provider makes of it.

Its snapshot is told whenever something of it changed, under a version that counts up. Receipts come with the provider's
journal (`arrived`), which may be before we have booked that the goods left, and after we heard that it was closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection as Sql
from sqlalchemy import func, select

from zenv.facts import Announcement, Message, Receipt
from zenv.ledger.inbounds import rows
from zenv.ledger.inbounds.moves import put_back, write_off
from zenv.ledger.inbounds.rows import change, change_line, inbounds, lines, lines_of, of_remote
from zenv.ledger.models import OUTSIDE, Item, Level, Link, Listing
from zenv.ledger.notices import notice
from zenv.ledger.outbox import Owed
from zenv.ledger.stock import Move
from zenv.ledger.transaction import AnyRow, Transaction, among, table
from zenv.ledger.zfn import handing

if TYPE_CHECKING:
    from zenv import wire

levels, items, listings, links = table(Level), table(Item), table(Listing), table(Link)


def announce(t: Transaction, inbound: AnyRow) -> None:
    """Owe the provider that keeps the destination what the inbound is now. One that was only requested, or goes to an
    own warehouse, is nobody's business."""
    unknown_there = inbound.version == 0 and inbound.state == "cancelled"
    if inbound.connection_id is None or inbound.state == "requested" or unknown_there:
        return
    change(t, inbound.id, version=inbound.version + 1)
    handing.owe(t, inbound.connection_id, "inbound", inbound.id)


def tell_again(t: Transaction, connection: int) -> None:
    """Owe every inbound that is open once more, in a new version."""
    these = (inbounds.c.connection_id == connection, inbounds.c.state.in_(("open", "shipped")), inbounds.c.version > 0)
    for inbound in t.sql.execute(select(inbounds).where(*these)).all():
        announce(t, inbound)


# ---- messages --------------------------------------------------------------------------------------------


def build(sql: Sql, owed: Mapping[int, Owed]) -> dict[int, Announcement]:
    """What is to be said of these inbounds (by id), by the key of the message. Of one that is closed there is nothing
    to say any more."""
    found = sql.execute(
        select(inbounds).where(among(inbounds.c.id, owed), inbounds.c.state.not_in(("requested", "closed")))
    ).all()
    return {owed[one.id].id: Announcement(owed[one.id].id, _snapshot(sql, one)) for one in found}


def _snapshot(sql: Sql, inbound: AnyRow) -> wire.AnnouncedInbound:
    from zenv import wire

    named = _shared_skus(sql, inbound)
    goods = [
        wire.InboundGoods(line=line.remote_id, sku=named[line.id], quantity=line.quantity, sent=line.sent)
        for line in lines_of(sql, inbound.id)
    ]
    return wire.AnnouncedInbound(
        inbound=inbound.remote_id, kind=inbound.kind, number=rows.bare(inbound), version=inbound.version,
        cancelled=inbound.state == "cancelled", expected_at=inbound.expected_at, lines=goods,
    )  # fmt: skip


def _shared_skus(sql: Sql, inbound: AnyRow) -> dict[int, str]:
    """Line -> the SKU under which its item is shared; one that is not yet will be shared under its own."""
    shared = (
        select(listings.c.item_id, func.min(listings.c.sku).label("sku"))
        .where(listings.c.connection_id == inbound.connection_id)
        .group_by(listings.c.item_id)
        .subquery()
    )
    query = (
        select(lines.c.id, func.coalesce(shared.c.sku, items.c.sku))
        .join(items, items.c.id == lines.c.item_id)
        .outerjoin(shared, shared.c.item_id == lines.c.item_id)
        .where(lines.c.inbound_id == inbound.id)
    )
    return {line: sku for line, sku in sql.execute(query)}


def book(t: Transaction, owed: Owed, message: Message | None, receipt: Receipt) -> None:
    """The provider's answer, which a person learns if it is a refusal. A cancellation that is refused puts the inbound
    back: the version before it still holds there."""
    if not isinstance(message, Announcement):
        return
    inbound = t.sql.execute(select(inbounds).where(inbounds.c.id == owed.subject)).one()
    if receipt.outcome == "done":
        change(t, inbound.id, told=max(inbound.told, message.inbound.version))
    elif receipt.outcome == "refused" and not message.inbound.cancelled:
        notice(t, "inbound", inbound.number, f"the provider does not take {inbound.number}: {receipt.reason}",
               f"zenv inbound cancel {inbound.number}")  # fmt: skip
    elif receipt.outcome == "refused" and inbound.state == "cancelled":
        _stands_again(t, inbound)
        notice(t, "inbound", inbound.number,
               f"{inbound.number} was not cancelled: the provider has received goods of it already")  # fmt: skip


def _stands_again(t: Transaction, inbound: AnyRow) -> None:
    begun = any(line.sent for line in lines_of(t.sql, inbound.id))
    change(t, inbound.id, state="shipped" if begun else "open", closed_at=None)


# ---- what the provider did -------------------------------------------------------------------------------


def arrived(t: Transaction, connection: int, reference: str, item: int, units: int) -> list[Move]:
    """The moves that put units of an item, which the provider received of an inbound, on the shelf of its warehouse.

    They come out of what is in transit there; else off the source's hands and shelf, since the provider may receive
    before we book the shipping (2.1.13); else from the supplier. The lines are counted here, the moves are the
    caller's to book, before it asks for the next ones of the same item.
    """
    inbound = of_remote(t.sql, connection, reference)
    if inbound is None:
        kept = t.sql.execute(select(links.c.warehouse_id).where(links.c.connection_id == connection)).scalar_one()
        return [Move(item, OUTSIDE["supplier"], t.place(kept, "on_hand"), units, "received")]
    if inbound.state == "cancelled":
        _stands_again(t, inbound)
    moves: list[Move] = []
    mine = [line for line in lines_of(t.sql, inbound.id) if line.item_id == item]
    left = units
    for line in mine:
        share = left if line is mine[-1] else min(left, max(0, line.quantity - line.received))
        moves += _of_line(t, inbound, line, share)
        left -= share
    if left:
        moves.append(_received(t, inbound, item, OUTSIDE["supplier"], left))
    if inbound.state != "closed" and all(line.received >= line.quantity for line in lines_of(t.sql, inbound.id)):
        rows.close(t, inbound)
    return moves


def _of_line(t: Transaction, inbound: AnyRow, line: AnyRow, units: int) -> list[Move]:
    """Count received units of a line, and the moves that bring them."""
    if inbound.source_id is None:
        change_line(t, line.id, received=line.received + units)
        return [_received(t, inbound, line.item_id, OUTSIDE["supplier"], units)] if units else []
    unsent = line.quantity - line.sent
    on_its_way = _level(t, line.item_id, inbound.destination_id, "in_transit")
    transit = min(units, max(0, line.sent - line.received), on_its_way)
    hands = min(units - transit, line.picked)
    shelf = min(units - transit - hands, unsent - line.picked, _level(t, line.item_id, inbound.source_id, "on_hand"))
    outside = units - transit - hands - shelf
    # Units that the books do not find at the source were sent all the same, as far as some still had to be.
    sent = hands + shelf + min(outside, unsent - line.picked - shelf)
    aside = min(line.allocated, line.quantity - line.sent - sent - (line.picked - hands))
    change_line(t, line.id, received=line.received + units, sent=line.sent + sent, picked=line.picked - hands,
                allocated=aside)  # fmt: skip
    t.touch(line.item_id)
    came_from = (
        (t.place(inbound.destination_id, "in_transit"), transit),
        (t.place(inbound.source_id, "picked"), hands),
        (t.place(inbound.source_id, "on_hand"), shelf),
        (OUTSIDE["supplier"], outside),
    )
    return [_received(t, inbound, line.item_id, place, count) for place, count in came_from if count]


def _received(t: Transaction, inbound: AnyRow, item: int, source: int, units: int) -> Move:
    shelf = t.place(inbound.destination_id, "on_hand")
    reason = "received" if source == OUTSIDE["supplier"] else "arrived"
    return Move(item, source, shelf, units, reason, inbound.number)


def _level(t: Transaction, item: int, warehouse: int, state: str) -> int:
    this = (levels.c.item_id == item, levels.c.warehouse_id == warehouse)
    return int(t.sql.execute(select(levels.c[state]).where(*this)).scalar() or 0)


def record_state(t: Transaction, connection: int, state: wire.InboundState) -> None:
    """The provider has closed an inbound of ours. What it did not receive is in transit no more, and a person learns
    which units are missing (C19). Receipts that the journal has not told yet may still come."""
    inbound = of_remote(t.sql, connection, state.inbound)
    if inbound is None or inbound.state == "closed" or not state.closed:
        return
    found = lines_of(t.sql, inbound.id)
    told = {line.id: state.received.get(line.remote_id, 0) for line in found}
    to_come = {line.id: max(0, told[line.id] - line.received) for line in found}
    transit = {line.id: max(0, line.sent - line.received) for line in found}
    write_off(t, inbound, {line: transit[line.id] - to_come[line.id] for line in found}, "the provider received")
    put_back(t, inbound, found, keep={line.id: to_come[line.id] - transit[line.id] for line in found})
    rows.close(t, inbound)
    for line in found:
        if told[line.id] < line.quantity:
            _say_short(t, inbound, line, told[line.id])


def _say_short(t: Transaction, inbound: AnyRow, line: AnyRow, received: int) -> None:
    subject = f"{inbound.number}/{line.sku}"
    notice(t, "short receipt", subject,
           f"the provider received {received} of {line.quantity} x {line.sku} of {inbound.number}, and closed it",
           f"zenv inbox settle 'short receipt' '{subject}'")  # fmt: skip
