"""Packages the remote knows of: ours, which it thereby confirms, and those shipped without zenv."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select

from zenv.facts import OrderFact, PackageFact
from zenv.ledger.lines import Departure, count_shipped, depart
from zenv.ledger.models import Order, OrderLine, Reservation, Shipment, ShipmentLine, Warehouse
from zenv.ledger.notices import notice
from zenv.ledger.settle import read_sources
from zenv.ledger.transaction import AnyRow, Transaction, among, row, table
from zenv.privacy import strip_control

orders, lines, shipments = table(Order), table(OrderLine), table(Shipment)
reservations, warehouses = table(Reservation), table(Warehouse)


def confirm_known_packages(t: Transaction, facts: Mapping[int, OrderFact]) -> None:
    """Packages of ours that the remote shows with our tracking number are confirmed."""
    shown = {(order, package.reference): package for order, fact in facts.items() for package in fact.packages}
    seen = [
        {"shipment": found.id, "at": t.now}
        for found in _shipments_of(t, facts)
        if found.confirmed_at is None
        and (package := shown.get((found.order_id, found.reference))) is not None
        and package.tracking == found.tracking
    ]
    if seen:
        confirmed = shipments.update().where(shipments.c.id == bindparam("shipment"))
        t.sql.execute(confirmed.values(confirmed_at=bindparam("at")), seen)


def _shipments_of(t: Transaction, order_ids: Iterable[int]) -> list[AnyRow]:
    return list(t.sql.execute(select(shipments).where(among(shipments.c.order_id, order_ids))).all())


def complete_delivered(t: Transaction, facts: Mapping[int, OrderFact]) -> None:
    """F17: shipped in whole and all delivered at the channel means completed here."""
    delivered = [
        {"order": order}
        for order, fact in facts.items()
        if fact.packages and all(package.status.upper() == "DELIVERED" for package in fact.packages)
    ]
    if delivered:
        done = orders.update().where(orders.c.id == bindparam("order"), orders.c.state == "shipped")
        t.sql.execute(done.values(state="completed", completed_at=t.now), delivered)


def book_elsewhere(t: Transaction, connection: int, facts: Mapping[int, OrderFact]) -> None:
    """What the remote counts as shipped beyond our own packages has left the shelf without zenv, or the channel's
    own shelf, which is none of ours (trap f)."""
    missing = _shipped_beyond_ours(t, facts)
    if not missing:
        return
    sources = read_sources(t.sql)
    fallback = next(iter(sources.own(connection)), None)
    at_providers = _at_providers(t, facts)
    from_shelf = {order: fallback for order, fact in facts.items()
                  if fact.fulfilled_by == "merchant" and order not in at_providers}  # fmt: skip
    ours = {(found.order_id, found.reference) for found in _shipments_of(t, {line.order_id for line, _ in missing})}
    by_order: dict[int, list[tuple[AnyRow, int]]] = {}
    for line, units in missing:
        by_order.setdefault(line.order_id, []).append((line, units))
    _insert_packages(t, [
        _package(facts[order], order, ours, from_shelf.get(order)) | {"left": left} for order, left in by_order.items()
    ])  # fmt: skip
    depart(t, [
        Departure(line.id, line.item_id, line.sku, facts[line.order_id].remote_id, units, fallback)
        for line, units in missing if line.order_id in from_shelf
    ], elsewhere=True)  # fmt: skip
    count_shipped(t, [(line.id, units) for line, units in missing if line.order_id not in from_shelf])
    _let_providers_know(
        t, {line.order_id: facts[line.order_id] for line, _ in missing if line.order_id in at_providers}
    )


def _at_providers(t: Transaction, order_ids: Iterable[int]) -> set[int]:
    """Orders that leave from a warehouse a provider keeps: its journal alone moves what is there."""
    kept = select(orders.c.id).join(warehouses, warehouses.c.id == orders.c.ship_from)
    return set(t.sql.execute(kept.where(among(orders.c.id, order_ids), warehouses.c.kind != "own")).scalars())


def _let_providers_know(t: Transaction, facts: Mapping[int, OrderFact]) -> None:
    """Somebody shipped what a provider was to ship: nothing is set aside there any more, and it is told to stop."""
    if not facts:
        return
    left = lines.c.quantity - lines.c.cancelled - lines.c.shipped
    held = select(reservations.c.line_id, reservations.c.picked, reservations.c.quantity, left.label("open")).join(
        lines, lines.c.id == reservations.c.line_id
    )
    for line in t.sql.execute(held.where(among(lines.c.order_id, facts))).all():
        this = reservations.c.line_id == line.line_id
        if line.open:
            still = {"quantity": min(line.quantity, line.open), "picked": min(line.picked, line.open)}
            t.sql.execute(reservations.update().where(this).values(**still))
        else:
            t.sql.execute(reservations.delete().where(this))
    for fact in facts.values():
        said = f"order {fact.remote_id} was shipped elsewhere while a provider has it; the provider is told"
        notice(t, "shipped elsewhere", fact.remote_id, said)
    t.hand(*facts)


def _shipped_beyond_ours(t: Transaction, facts: Mapping[int, OrderFact]) -> list[tuple[AnyRow, int]]:
    with_shipped = [order for order, fact in facts.items() if fact.state == "shipped" or _any_shipped(fact)]
    found: list[tuple[AnyRow, int]] = []
    for line in t.sql.execute(select(lines).where(among(lines.c.order_id, with_shipped)).order_by(lines.c.id)):
        units = min(_said_shipped(facts[line.order_id], line), line.quantity - line.cancelled) - line.shipped
        if units > 0:
            found.append((line, units))
    return found


def _any_shipped(fact: OrderFact) -> bool:
    return any(line.shipped for line in fact.lines)


def _said_shipped(fact: OrderFact, line: AnyRow) -> int:
    said = next((one for one in fact.lines if one.remote_id == line.remote_id), None)
    if said is None:
        return 0
    # A report says only that the order is shipped, not how many of each line.
    if fact.state == "shipped" and not _any_shipped(fact):
        return int(line.quantity - line.cancelled)
    return said.shipped


def _package(fact: OrderFact, order: int, ours: set[tuple[int, str]], warehouse: int | None) -> dict[str, Any]:
    foreign = [package for package in fact.packages if (order, package.reference) not in ours]
    shown = foreign[0] if foreign else PackageFact("", "", "", None, "")
    left_at: datetime = shown.shipped_at or fact.updated_at
    return row(
        Shipment, order_id=order, reference=shown.reference or _free_reference(order, ours), warehouse_id=warehouse,
        carrier=strip_control(shown.carrier), tracking=strip_control(shown.tracking), shipped_at=left_at,
        elsewhere=True, confirmed_at=fact.updated_at,
    )  # fmt: skip


def _free_reference(order: int, ours: set[tuple[int, str]]) -> str:
    used = (int(reference) for owner, reference in ours if owner == order and reference.isdigit())
    return str(max(used, default=0) + 1)


def _insert_packages(t: Transaction, packages: list[dict[str, Any]]) -> None:
    t.insert(Shipment, [{name: said for name, said in package.items() if name != "left"} for package in packages])
    keys = {(found.order_id, found.reference): found.id for found in
            _shipments_of(t, [package["order_id"] for package in packages])}  # fmt: skip
    t.insert(ShipmentLine, [
        {"shipment_id": keys[package["order_id"], package["reference"]], "line_id": line.id, "quantity": units}
        for package in packages for line, units in package["left"]
    ])  # fmt: skip
