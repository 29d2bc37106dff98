"""What a message says is worked out at the moment of sending, from the books as they are then; what came back is
written where it belongs. One function each per kind, in the tables at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection as Sql
from sqlalchemy import func, select

from zenv.errors import NotFound
from zenv.facts import Cancellation, Message, Receipt, ShipmentNotice, StockLevel
from zenv.ledger import connections as connection_book
from zenv.ledger import inbounds, outbox
from zenv.ledger.models import Connection, Listing, Order, OrderLine, Shipment, ShipmentLine
from zenv.ledger.outbox import Owed
from zenv.ledger.settle import read_shelves, read_sources
from zenv.ledger.transaction import AnyRow, Transaction, in_chunks, table
from zenv.ledger.zfn import answers, handing, links, sharing
from zenv.privacy import KeyBook

listings, orders, lines = table(Listing), table(Order), table(OrderLine)
shipments, packed, connections = table(Shipment), table(ShipmentLine), table(Connection)


def build(sql: Sql, kind: str, owed: Sequence[Owed], keys: KeyBook) -> dict[int, Message]:
    """The messages to send now, by their key. What is missing has nothing to say any more."""
    built: dict[int, Message] = {}
    for chunk in in_chunks(owed):
        built.update(BUILD[kind](sql, keys, {one.subject: one for one in chunk}))
    return built


def book_receipts(t: Transaction, kind: str, sent: Mapping[int, Owed], messages: Mapping[int, Message],
                  receipts: Sequence[Receipt]) -> None:  # fmt: skip
    """Settle the outbox and write what the receipts mean for listings, shipments and orders."""
    if kind in BOOK_TOGETHER:
        BOOK_TOGETHER[kind](t, sent, messages, receipts)
    else:
        for receipt in receipts:
            BOOK[kind](t, sent[receipt.key], messages.get(receipt.key), receipt)
    outbox.settle(t, [_settled_as(kind, receipt) for receipt in receipts])


def _settled_as(kind: str, receipt: Receipt) -> Receipt:
    # What was refused is shown where it can be asked for again: on the order, the inbound, the warehouse.
    if kind in ("cancellation", "order", "inbound", "link") and receipt.outcome == "refused":
        return Receipt(receipt.key, "done")
    return receipt


# ---- stock levels ----------------------------------------------------------------------------------------


def _stock_levels(sql: Sql, _: KeyBook, owed: Mapping[int, Owed]) -> dict[int, Message]:
    found = sql.execute(_told_listings.where(listings.c.id.in_(list(owed)))).all()
    items = sorted({listing.item_id for listing in found})
    filled_from = read_sources(sql)
    shelves = {item: picture for chunk in in_chunks(items) for picture in [read_shelves(sql, chunk)] for item in chunk}
    built: dict[int, Message] = {}
    for listing in found:
        shelf = shelves[listing.item_id]
        offer = shelf.offer(listing.item_id, filled_from.of(listing.connection_id), listing.buffer)
        if (listing.submitted, listing.submitted_handling) != (offer, listing.handling_days):
            key = owed[listing.id].id
            built[key] = _stock_level(key, listing, offer)
    return built


_told_listings = (
    select(listings, connections.c.buffer, connections.c.handling_days)
    .join(connections, connections.c.id == listings.c.connection_id)
    .where(listings.c.item_id.is_not(None), listings.c.fulfilled_by == "merchant", listings.c.status != "deleted",
           listings.c.is_parent.is_(False))
)  # fmt: skip


def _stock_level(key: int, listing: AnyRow, offer: int) -> StockLevel:
    live = listing.channel_quantity if listing.submitted is None else listing.submitted
    return StockLevel(key, listing.sku, listing.product_type, offer, listing.handling_days, live, listing.fulfilled_by)


def _book_stock_level(t: Transaction, owed: Owed, message: Message | None, receipt: Receipt) -> None:
    if isinstance(message, StockLevel) and receipt.outcome in ("done", "submitted"):
        told = {"submitted": message.quantity, "submitted_handling": message.handling_days, "submitted_at": t.now,
                "applied_at": None}  # fmt: skip
    elif message is None and receipt.outcome == "done":
        told = {}
    else:
        # Nobody knows what the channel shows now: whatever it is told next is a difference.
        told = {"submitted": None, "submitted_handling": None}
    this = listings.c.id == owed.subject
    if told:
        t.sql.execute(listings.update().where(this).values(**told))
    if receipt.outcome in ("done", "submitted"):
        # A change booked while the message was on the wire is owed again.
        t.touch(t.sql.execute(select(listings.c.item_id).where(this)).scalar())


def count_told(sql: Sql, connection: int) -> int:
    """How many listings of a connection are told their stock."""
    this = _told_listings.where(listings.c.connection_id == connection).subquery()
    return int(sql.execute(select(func.count()).select_from(this)).scalar_one())


def as_submitted(sql: Sql, owed: Sequence[Owed]) -> dict[int, Message]:
    """The stock levels under way, with the quantity the channel was told then."""
    built: dict[int, Message] = {}
    for chunk in in_chunks(owed):
        by_subject = {one.subject: one for one in chunk}
        told = select(listings, connections.c.handling_days).join(
            connections, connections.c.id == listings.c.connection_id
        )
        for listing in sql.execute(told.where(listings.c.id.in_(list(by_subject)))):
            key = by_subject[listing.id].id
            built[key] = _stock_level(key, listing, listing.submitted or 0)
    return built


def resend(t: Transaction, sku: str, connection: str) -> None:
    """Tell a channel the quantity of a listing again, whatever it was told before (settles a mismatch)."""
    owner = connection_book.find(t.sql, connection)
    this = (listings.c.connection_id == owner.id, listings.c.sku == sku)
    found = t.sql.execute(select(listings.c.id, listings.c.item_id).where(*this)).one_or_none()
    if found is None:
        raise NotFound(f"{connection} has no listing {sku!r}.", "zenv items list")
    t.sql.execute(listings.update().where(*this).values(submitted=None, submitted_handling=None))
    t.touch(found.item_id)


def unconfirmed_skus(sql: Sql, connection: int, limit: int) -> list[str]:
    """SKUs the channel was told about but has not yet been seen to show."""
    this = (listings.c.connection_id == connection, listings.c.submitted.is_not(None), listings.c.applied_at.is_(None))
    return list(
        sql.execute(select(listings.c.sku).where(*this).order_by(listings.c.submitted_at).limit(limit)).scalars()
    )


def skus_without_detail(sql: Sql, connection: int, limit: int) -> list[str]:
    """SKUs known from a report only, whose variation and GTIN are still to be fetched."""
    this = (listings.c.connection_id == connection, listings.c.needs_detail.is_(True))
    return list(sql.execute(select(listings.c.sku).where(*this).order_by(listings.c.id).limit(limit)).scalars())


def count_without_detail(sql: Sql, connection: int) -> int:
    """How many listings still lack their detail."""
    this = (listings.c.connection_id == connection, listings.c.needs_detail.is_(True))
    return int(sql.execute(select(func.count()).select_from(listings).where(*this)).scalar_one())


# ---- shipments -------------------------------------------------------------------------------------------


def _shipment_notices(sql: Sql, _: KeyBook, owed: Mapping[int, Owed]) -> dict[int, Message]:
    found = sql.execute(
        select(shipments, orders.c.remote_id, orders.c.marketplace, orders.c.placed_at)
        .join(orders, orders.c.id == shipments.c.order_id)
        .where(shipments.c.id.in_(list(owed)), shipments.c.elsewhere.is_(False), shipments.c.confirmed_at.is_(None))
    ).all()
    inside: dict[int, list[tuple[str, int]]] = {shipment.id: [] for shipment in found}
    content = select(packed.c.shipment_id, lines.c.remote_id, packed.c.quantity).join(
        lines, lines.c.id == packed.c.line_id
    )
    for shipment, line, quantity in sql.execute(
        content.where(packed.c.shipment_id.in_(list(inside))).order_by(lines.c.id)
    ):
        inside[shipment].append((line, quantity))
    return {
        owed[s.id].id: ShipmentNotice(owed[s.id].id, s.remote_id, s.marketplace, s.reference, s.carrier, s.service,
                                      s.tracking, s.shipped_at, s.placed_at, tuple(inside[s.id]))
        for s in found
    }  # fmt: skip


def _book_shipment(t: Transaction, owed: Owed, _: Message | None, receipt: Receipt) -> None:
    if receipt.outcome == "done":
        confirmed = shipments.update().where(shipments.c.id == owed.subject)
        t.sql.execute(confirmed.values(confirmed_at=t.now))


# ---- cancellations ---------------------------------------------------------------------------------------


def _cancellations(sql: Sql, _: KeyBook, owed: Mapping[int, Owed]) -> dict[int, Message]:
    found = sql.execute(
        select(orders.c.id, orders.c.remote_id, orders.c.cancel_reason)
        .where(orders.c.id.in_(list(owed)), orders.c.state.in_(("pending", "ready")),
               orders.c.cancelling == "requested")
    ).all()  # fmt: skip
    of_order: dict[int, list[str]] = {order.id: [] for order in found}
    for order, line in sql.execute(
        select(lines.c.order_id, lines.c.remote_id).where(lines.c.order_id.in_(list(of_order))).order_by(lines.c.id)
    ):
        of_order[order].append(line)
    return {
        owed[o.id].id: Cancellation(owed[o.id].id, o.remote_id, tuple(of_order[o.id]), o.cancel_reason) for o in found
    }


def _book_cancellation(t: Transaction, owed: Owed, _: Message | None, receipt: Receipt) -> None:
    becomes = {"done": "accepted", "refused": "refused"}.get(receipt.outcome)
    if becomes:
        asked = (orders.c.id == owed.subject, orders.c.cancelling == "requested")
        t.sql.execute(orders.update().where(*asked).values(cancelling=becomes))


def orders_not_seen_since(sql: Sql, connection: int, before: Any, limit: int) -> list[str]:
    """Remote ids of open orders of which nothing was heard since `before`, longest silence first."""
    this = (orders.c.connection_id == connection, orders.c.state.in_(("pending", "ready", "part_shipped")),
            orders.c.updated_at < before, orders.c.fulfilled_by == "merchant")  # fmt: skip
    return list(
        sql.execute(select(orders.c.remote_id).where(*this).order_by(orders.c.updated_at).limit(limit)).scalars()
    )


BUILD: dict[str, Callable[[Sql, KeyBook, Mapping[int, Owed]], Mapping[int, Message]]] = {
    "stock_level": _stock_levels,
    "shipment": _shipment_notices,
    "cancellation": _cancellations,
    "link": lambda sql, _, owed: links.build(sql, owed),
    "item": lambda sql, _, owed: sharing.build(sql, owed),
    "inbound": lambda sql, _, owed: inbounds.build(sql, owed),
    "order": handing.build,
}
BOOK: dict[str, Callable[[Transaction, Owed, Message | None, Receipt], None]] = {
    "stock_level": _book_stock_level,
    "shipment": _book_shipment,
    "cancellation": _book_cancellation,
    "link": links.book,
    "inbound": inbounds.book,
}
BOOK_TOGETHER: dict[
    str, Callable[[Transaction, Mapping[int, Owed], Mapping[int, Message], Sequence[Receipt]], None]
] = {"item": sharing.book, "order": answers.book}
"""Of these there may be tens of thousands."""
