"""Why a number is what it is: its terms, each of them rows anyone can look up, whose sum is the number (promise 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection as Sql
from sqlalchemy import case, func, select

from zenv.ledger import inbounds
from zenv.ledger.models import Connection, Level, Listing, Movement, Order, OrderLine, Place, Reservation, Warehouse
from zenv.ledger.models.channels import NETWORK
from zenv.ledger.settle import OPEN_STATES, read_shelves, read_sources
from zenv.ledger.stock import item_id
from zenv.ledger.transaction import AnyRow, table

levels, places, warehouses, movements = table(Level), table(Place), table(Warehouse), table(Movement)
orders, lines, reservations = table(Order), table(OrderLine), table(Reservation)
listings, connections = table(Listing), table(Connection)


@dataclass(frozen=True)
class Term:
    """One term of a sum: what it is, how many units, and where its rows are to be seen."""

    label: str
    quantity: int
    look_at: str


@dataclass(frozen=True)
class Explanation:
    """A number and the terms that add up to it."""

    subject: str
    number: int
    terms: tuple[Term, ...]


def explain(sql: Sql, sku: str) -> list[Explanation]:
    """The shelf of each warehouse, what is available, and what each listing is offered."""
    item = item_id(sql, sku)
    return [*_shelves(sql, item, sku), _available(sql, item, sku), *_offers(sql, item, sku)]


def _shelves(sql: Sql, item: int, sku: str) -> list[Explanation]:
    found = sql.execute(
        select(places.c.id, warehouses.c.name, levels.c.on_hand)
        .join(warehouses, warehouses.c.id == levels.c.warehouse_id)
        .join(places, (places.c.warehouse_id == levels.c.warehouse_id) & (places.c.state == "on_hand"))
        .where(levels.c.item_id == item)
        .order_by(warehouses.c.rank, warehouses.c.name)
    ).all()
    return [
        Explanation(f"{sku} on hand in {shelf.name}", shelf.on_hand, tuple(_by_reason(sql, item, shelf.id, sku)))
        for shelf in found
    ]


def _by_reason(sql: Sql, item: int, place: int, sku: str) -> list[Term]:
    """The movements into and out of a place, summed by reason: the fold that is the level."""
    change = func.sum(case((movements.c.destination_id == place, movements.c.quantity), else_=-movements.c.quantity))
    this = (movements.c.item_id == item, (movements.c.source_id == place) | (movements.c.destination_id == place))
    found = sql.execute(
        select(movements.c.reason, change.label("units"), func.count().label("times"))
        .where(*this)
        .group_by(movements.c.reason)
        .order_by(func.min(movements.c.id))
    )
    return [Term(f"{row.reason} ({row.times} movements)", row.units, f"zenv stock history {sku}") for row in found]


def _available(sql: Sql, item: int, sku: str) -> Explanation:
    shelf = [Term(f"on hand in {name}", units, f"zenv stock history {sku}") for name, units in _on_hand(sql, item)]
    demand = [
        Term(f"order {line.number}, {_where(line)}", -(line.open - line.picked), f"zenv orders show {line.number}")
        for line in _demand(sql, item)
        if line.open > line.picked
    ]
    return _never_below_zero(f"{sku} available", [*shelf, *demand, *_set_aside(sql, item)])


def _set_aside(sql: Sql, item: int, served_from: Sequence[int] | None = None) -> list[Term]:
    """What transfers have on the shelves of these warehouses, of all without any."""
    aside = inbounds.allocated(sql, [item])
    units = sum(count for (_, shelf), count in aside.items() if served_from is None or shelf in served_from)
    return [Term("set aside for transfers", -units, "zenv inbound list")] if units else []


def _on_hand(sql: Sql, item: int) -> list[tuple[str, int]]:
    query = (
        select(warehouses.c.name, levels.c.on_hand)
        .join(warehouses, warehouses.c.id == levels.c.warehouse_id)
        .where(levels.c.item_id == item, warehouses.c.kind.in_(("own", "zfn")))
    )
    return [(name, units) for name, units in sql.execute(query.order_by(warehouses.c.rank, warehouses.c.name))]


def _demand(sql: Sql, item: int) -> Sequence[AnyRow]:
    open_units = lines.c.quantity - lines.c.cancelled - lines.c.shipped
    return sql.execute(
        select(
            orders.c.number, open_units.label("open"), func.coalesce(reservations.c.picked, 0).label("picked"),
            reservations.c.warehouse_id, warehouses.c.name.label("warehouse"),
        )
        .join(orders, orders.c.id == lines.c.order_id)
        .outerjoin(reservations, reservations.c.line_id == lines.c.id)
        .outerjoin(warehouses, warehouses.c.id == reservations.c.warehouse_id)
        .where(lines.c.item_id == item, orders.c.state.in_(OPEN_STATES), orders.c.fulfilled_by == "merchant",
               open_units > 0)
        .order_by(orders.c.placed_at, orders.c.id)
    ).all()  # fmt: skip


def _where(line: AnyRow) -> str:
    return f"reserved in {line.warehouse}" if line.warehouse else "waiting for stock"


def _offers(sql: Sql, item: int, sku: str) -> list[Explanation]:
    sources = read_sources(sql)
    names = {number: name for number, name in sql.execute(select(warehouses.c.id, warehouses.c.name))}
    shelves = read_shelves(sql, [item])
    found = sql.execute(
        select(listings.c.sku, connections.c.id, connections.c.name, connections.c.buffer)
        .join(connections, connections.c.id == listings.c.connection_id)
        .where(listings.c.item_id == item, listings.c.fulfilled_by == "merchant", listings.c.is_parent.is_(False),
               connections.c.kind.not_in(NETWORK))
        .order_by(connections.c.name, listings.c.sku)
    )  # fmt: skip
    for shelf, units in inbounds.allocated(sql, [item]).items():
        shelves.unpicked[shelf] -= units
    explained = []
    for listing in found.all():
        served_from = sources.of(listing.id)
        aside = _set_aside(sql, item, served_from)
        explained.append(_offer(listing, served_from, names, shelves, item, sku, aside))
    return explained


def _offer(
    listing: AnyRow, served_from: Sequence[int], names: dict[int, str], shelves: Any, item: int, sku: str,
    aside: Sequence[Term],
) -> Explanation:  # fmt: skip
    terms = list(aside)
    for warehouse in served_from:
        look_at = f"zenv stock history {sku}"
        terms.append(Term(f"on hand in {names[warehouse]}", shelves.on_hand.get((item, warehouse), 0), look_at))
        terms.append(Term(f"reserved in {names[warehouse]}", -shelves.unpicked[item, warehouse], "zenv orders list"))
    terms.append(Term("orders waiting for stock", -shelves.still_waiting[item], "zenv inbox"))
    terms.append(Term("buffer of the connection", -listing.buffer, f"zenv connections show {listing.name}"))
    return _never_below_zero(f"{listing.sku} offered on {listing.name}", [term for term in terms if term.quantity])


def _never_below_zero(subject: str, terms: list[Term]) -> Explanation:
    total = sum(term.quantity for term in terms)
    if total < 0:
        terms.append(Term("never below zero", -total, "zenv inbox"))
    return Explanation(subject, max(0, total), tuple(terms))
