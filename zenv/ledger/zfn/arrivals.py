"""What a provider picked, put back and shipped of our orders, as our lines, reservations and packages have it.

Named packages change the counts of lines; what was picked is set aside for the order. The movements themselves are
booked by `replay`, in the same transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from zenv.ledger.lines import refresh_states, touch_items_of
from zenv.ledger.models import Connection, Level, Order, OrderLine, Reservation, Shipment, ShipmentLine
from zenv.ledger.models.channels import NETWORK
from zenv.ledger.notices import notice
from zenv.ledger.orders import next_package
from zenv.ledger.transaction import AnyRow, Transaction, among, row, table
from zenv.privacy import strip_control

if TYPE_CHECKING:
    from zenv import wire

orders, lines, reservations, levels = table(Order), table(OrderLine), table(Reservation), table(Level)
shipments, connections = table(Shipment), table(Connection)


@dataclass
class Handled:
    """By order and item: how many units more are in the packer's hands than before, and how many left for good."""

    picked: Counter[tuple[str, int]] = field(default_factory=Counter)
    left: Counter[tuple[str, int]] = field(default_factory=Counter)

    def count(self, moved: wire.Moved, item: int) -> None:
        """A movement for an order."""
        if moved.order is None:
            return
        key = (moved.order, item)
        self.picked[key] += moved.quantity * ((moved.destination == "picked") - (moved.source == "picked"))
        if moved.destination == "customer":
            self.left[key] += moved.quantity

    @property
    def orders(self) -> set[str]:
        """The orders something was done for."""
        return {order for order, _ in (*self.picked, *self.left)}


def follow(t: Transaction, link: AnyRow, packages: Sequence[wire.Package], handled: Handled) -> None:
    """Bring lines, packages and reservations of our orders up to what the provider did. An order that is not in our
    books is left out."""
    said = handled.orders | {package.order for package in packages}
    known = {reference: order for reference in said if (order := _find(t, link, reference)) is not None}
    for package in packages:
        if package.order in known:
            _book_package(t, link, known[package.order], package)
    for reference, order in known.items():
        picked = {item: units for (of, item), units in handled.picked.items() if of == reference}
        _set_aside(t, link, order, picked)
    refresh_states(t, [order.id for order in known.values()])


def _find(t: Transaction, link: AnyRow, reference: str) -> AnyRow | None:
    """Our order by the name both sides have for it: its number, or under the connection what the provider entered."""
    side, _, number = reference.partition(":")
    this = orders.c.number == number if side == "c" else (
        (orders.c.connection_id == link.connection_id) & (orders.c.remote_id == reference))  # fmt: skip
    return t.sql.execute(select(orders).where(this)).one_or_none()


# ---- packages --------------------------------------------------------------------------------------------


def _book_package(t: Transaction, link: AnyRow, order: AnyRow, package: wire.Package) -> None:
    ours = {line.remote_id: line for line in t.sql.execute(select(lines).where(lines.c.order_id == order.id))}
    inside = [(ours[packed.line], packed.quantity) for packed in package.lines if packed.line in ours]
    if not inside or _is_known(t, link, order, package):
        return
    key = int(t.sql.execute(shipments.insert().returning(shipments.c.id), row(
        Shipment, order_id=order.id, reference=_free_reference(t, order, package.reference),
        warehouse_id=link.warehouse_id, carrier=strip_control(package.carrier), service=strip_control(package.service),
        tracking=strip_control(package.tracking), shipped_at=package.shipped_at)).scalar_one())  # fmt: skip
    t.insert(ShipmentLine, [row(ShipmentLine, shipment_id=key, line_id=line.id, quantity=q) for line, q in inside])
    for line, quantity in inside:
        _count_shipped(t, order, line, quantity)
    touch_items_of(t, [line.id for line, _ in inside])
    if order.connection_id is not None and _is_channel(t, order.connection_id):
        t.tell(order.connection_id, "shipment", key)


def _is_known(t: Transaction, link: AnyRow, order: AnyRow, package: wire.Package) -> bool:
    """Whether this very package is in our books; its journal may be read again after the provider's history changed."""
    of_order = t.sql.execute(select(shipments).where(shipments.c.order_id == order.id)).all()
    foreign = {one.reference for one in of_order if one.warehouse_id != link.warehouse_id}
    return any(
        one.warehouse_id == link.warehouse_id and one.shipped_at == package.shipped_at
        and one.tracking == strip_control(package.tracking)
        and (one.reference == package.reference or package.reference in foreign)  # ours had to get another number
        for one in of_order
    )  # fmt: skip


def _free_reference(t: Transaction, order: AnyRow, reference: str) -> str:
    taken = select(shipments.c.id).where(shipments.c.order_id == order.id, shipments.c.reference == reference)
    return next_package(t.sql, order.id) if t.sql.execute(taken).first() is not None else strip_control(reference)


def _count_shipped(t: Transaction, order: AnyRow, line: AnyRow, quantity: int) -> None:
    """So many more units of a line have left. What left although it was cancelled here did leave: it is said aloud."""
    shipped = line.shipped + quantity
    beyond = max(0, shipped + line.cancelled - line.quantity)
    cancelled = max(0, line.cancelled - beyond)
    now: dict[str, Any] = {
        "shipped": shipped,
        "cancelled": cancelled,
        "quantity": max(line.quantity, shipped + cancelled),
    }
    t.sql.execute(lines.update().where(lines.c.id == line.id).values(**now))
    if beyond:
        said = f"{beyond} x {line.sku} of order {order.number} left the provider after they were cancelled here"
        notice(t, "shipped anyway", f"{order.number}/{line.sku}", said)


def _is_channel(t: Transaction, connection: int) -> bool:
    kind = t.sql.execute(select(connections.c.kind).where(connections.c.id == connection)).scalar_one()
    return kind not in NETWORK


# ---- what is set aside -----------------------------------------------------------------------------------


def _set_aside(t: Transaction, link: AnyRow, order: AnyRow, picked: dict[int, int]) -> None:
    """Reservations of an order as they follow from its open units, and from what is in the packer's hands."""
    for item in {line.item_id for line in _lines(t, order.id)} - {None}:
        of_item = [line for line in _lines(t, order.id) if line.item_id == item]
        in_hands = max(0, sum(line.picked for line in of_item) + picked.get(item, 0))
        for line in of_item:
            open_units = line.quantity - line.cancelled - line.shipped
            held = min(in_hands, open_units)
            in_hands -= held
            _reserve(t, link, line, max(held, min(line.reserved, open_units)), held)
        t.touch(item)


def _lines(t: Transaction, order: int) -> Sequence[AnyRow]:
    return t.sql.execute(
        select(lines, func.coalesce(reservations.c.quantity, 0).label("reserved"),
               func.coalesce(reservations.c.picked, 0).label("picked"))
        .outerjoin(reservations, reservations.c.line_id == lines.c.id)
        .where(lines.c.order_id == order)
        .order_by(lines.c.id)
    ).all()  # fmt: skip


def _reserve(t: Transaction, link: AnyRow, line: AnyRow, quantity: int, picked: int) -> None:
    if (quantity, picked) == (line.reserved, line.picked):
        return
    t.sql.execute(reservations.delete().where(reservations.c.line_id == line.id))
    if quantity:
        t.insert(Reservation, [row(Reservation, line_id=line.id, item_id=line.item_id, warehouse_id=link.warehouse_id,
                                   quantity=quantity, picked=picked)])  # fmt: skip


def fit_reservations(t: Transaction, link: AnyRow, items: Iterable[int]) -> None:
    """After levels were taken as they are: no more is called picked for orders than the provider has picked."""
    wanted = list(items)
    there = select(levels.c.item_id, levels.c.picked).where(
        levels.c.warehouse_id == link.warehouse_id, among(levels.c.item_id, wanted)
    )
    left = {item: units for item, units in t.sql.execute(there)}
    held = select(reservations).where(
        reservations.c.warehouse_id == link.warehouse_id,
        among(reservations.c.item_id, wanted),
        reservations.c.picked > 0,
    )
    for found in t.sql.execute(held.order_by(reservations.c.line_id)).all():
        fits = min(found.picked, left.get(found.item_id, 0))
        left[found.item_id] = left.get(found.item_id, 0) - fits
        if fits != found.picked:
            this = reservations.c.line_id == found.line_id
            t.sql.execute(reservations.update().where(this).values(picked=fits))
