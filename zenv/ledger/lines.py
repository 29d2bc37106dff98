"""Order lines as they shrink, grow, and leave: the arithmetic that orders and shipments share.

Open = quantity - cancelled - shipped. A reservation never exceeds the open units of its line, and what was picked
for units that are no longer wanted goes back to the shelf, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, func, select

from zenv.ledger.models import OUTSIDE, Level, Order, OrderLine, Reservation
from zenv.ledger.notices import notice
from zenv.ledger.stock import Move, is_own, move
from zenv.ledger.transaction import AnyRow, Transaction, among, table

orders, lines, reservations = table(Order), table(OrderLine), table(Reservation)


@dataclass(frozen=True)
class Reshaped:
    """A line's new counts."""

    line: int
    quantity: int
    cancelled: int
    open: int


@dataclass(frozen=True)
class Departure:
    """Units of a line that leave in a package: from where they are reserved, else from `warehouse`."""

    line: int
    item: int | None
    sku: str
    number: str
    quantity: int
    warehouse: int | None


def reshape(t: Transaction, reshaped: Sequence[Reshaped]) -> None:
    """Give lines their new counts and let go of what they no longer need."""
    if not reshaped:
        return
    t.many(
        _set_counts,
        [{"line": r.line, "now_quantity": r.quantity, "now_cancelled": r.cancelled} for r in reshaped],
    )
    wanted = {r.line: r.open for r in reshaped}
    for held in held_for(t, wanted):
        _keep(t, held, min(held.quantity, wanted[held.line_id]))
    touch_items_of(t, wanted)


_set_counts = (
    lines.update()
    .where(lines.c.id == bindparam("line"))
    .values(quantity=bindparam("now_quantity"), cancelled=bindparam("now_cancelled"))
)


def held_for(t: Transaction, line_ids: Iterable[int]) -> list[AnyRow]:
    """The reservations of these lines, with the number of their order."""
    query = (
        select(reservations, orders.c.number)
        .join(lines, lines.c.id == reservations.c.line_id)
        .join(orders, orders.c.id == lines.c.order_id)
        .where(among(reservations.c.line_id, line_ids))
    )
    return list(t.sql.execute(query).all())


def _keep(t: Transaction, held: AnyRow, units: int) -> None:
    if units == held.quantity:
        return
    put_back(t, held, max(0, held.picked - units))
    this = reservations.c.line_id == held.line_id
    if units:
        t.sql.execute(reservations.update().where(this).values(quantity=units, picked=min(held.picked, units)))
    else:
        t.sql.execute(reservations.delete().where(this))


def put_back(t: Transaction, held: AnyRow, units: int) -> None:
    """Picked units return to their shelf. What a provider holds is its own to put back: its journal says when."""
    if units and is_own(t.sql, held.warehouse_id):
        picked, shelf = t.place(held.warehouse_id, "picked"), t.place(held.warehouse_id, "on_hand")
        move(t, [Move(held.item_id, picked, shelf, units, "unpicked", held.number)])


def touch_items_of(t: Transaction, line_ids: Iterable[int]) -> None:
    """Demand of these lines' items changed."""
    t.touch(*t.sql.execute(select(lines.c.item_id).where(among(lines.c.id, line_ids))).scalars())


def depart(t: Transaction, departures: Sequence[Departure], elsewhere: bool = False) -> None:
    """Units leave for the customer: movements, reservations and shipped counts in one go.

    Raises Refused when the shelf does not hold them. What was shipped `elsewhere` has left whatever the ledger
    thinks: what is missing from the shelf is put on the inbox instead.
    """
    if not departures:
        return
    held = {found.line_id: found for found in held_for(t, [d.line for d in departures])}
    on_shelf = _on_shelf(t, departures, held) if elsewhere else {}
    moves: list[Move] = []
    for departure in departures:
        moves.extend(_moves(t, departure, held.get(departure.line), on_shelf if elsewhere else None))
    move(t, moves)
    _let_go(t, departures, held)
    count_shipped(t, [(d.line, d.quantity) for d in departures])


def count_shipped(t: Transaction, shipped: Sequence[tuple[int, int]]) -> None:
    """So many more units of a line have been shipped."""
    t.many(_add_shipped, [{"line": line, "more": units} for line, units in shipped])


_add_shipped = lines.update().where(lines.c.id == bindparam("line")).values(shipped=lines.c.shipped + bindparam("more"))

Shelf = dict[tuple[int, int], int]


def _on_shelf(t: Transaction, departures: Sequence[Departure], held: dict[int, AnyRow]) -> Shelf:
    levels = table(Level).c
    there = select(levels.item_id, levels.warehouse_id, levels.on_hand)
    rows = t.sql.execute(there.where(among(levels.item_id, {d.item for d in departures}))).all()
    return {(item, warehouse): quantity for item, warehouse, quantity in rows}


def _moves(t: Transaction, departure: Departure, held: AnyRow | None, on_shelf: Shelf | None) -> list[Move]:
    if departure.item is None:
        notice(t, "unlinked", f"{departure.number}/{departure.sku}",
               f"{departure.quantity} x {departure.sku} of order {departure.number} left while its listing "
               "was linked to no item: count the shelf after linking it")  # fmt: skip
        return []
    warehouse = held.warehouse_id if held is not None else departure.warehouse
    from_hands = min(held.picked, departure.quantity) if held is not None else 0
    from_shelf = departure.quantity - from_hands
    if on_shelf is not None:
        there = on_shelf.get((departure.item, warehouse), 0) if warehouse is not None else 0
        _say_if_short(t, departure, from_shelf - there)
        from_shelf = min(from_shelf, there)
        if warehouse is not None:
            on_shelf[departure.item, warehouse] = there - from_shelf
    if warehouse is None:
        return []
    return [
        Move(departure.item, t.place(warehouse, state), OUTSIDE["customer"], units, "shipped", departure.number)
        for state, units in (("picked", from_hands), ("on_hand", from_shelf))
        if units
    ]


def _say_if_short(t: Transaction, departure: Departure, missing: int) -> None:
    if missing > 0:
        notice(t, "short", f"{departure.number}/{departure.sku}",
               f"order {departure.number} was shipped elsewhere, but {missing} x {departure.sku} of it "
               "were not on the shelf: count it")  # fmt: skip


def _let_go(t: Transaction, departures: Sequence[Departure], held: dict[int, AnyRow]) -> None:
    gone, left = [], []
    for departure in departures:
        reserved = held.get(departure.line)
        if reserved is None:
            continue
        if departure.quantity >= reserved.quantity:
            gone.append({"line": departure.line})
        else:
            left.append({"line": departure.line, "now_quantity": reserved.quantity - departure.quantity,
                         "now_picked": max(0, reserved.picked - departure.quantity)})  # fmt: skip
    t.many(_give_up, gone)
    t.many(_shrink, left)


_give_up = reservations.delete().where(reservations.c.line_id == bindparam("line"))
_shrink = (
    reservations.update()
    .where(reservations.c.line_id == bindparam("line"))
    .values(quantity=bindparam("now_quantity"), picked=bindparam("now_picked"))
)


def refresh_states(t: Transaction, order_ids: Iterable[int]) -> None:
    """Orders whose lines changed get the state their lines say; completed ones stay completed."""
    sums = (
        select(orders.c.id, orders.c.state, orders.c.shipped_at, orders.c.cancelled_at,
               func.sum(lines.c.shipped).label("shipped"),
               func.sum(lines.c.quantity - lines.c.cancelled - lines.c.shipped).label("open"))
        .join(lines, lines.c.order_id == orders.c.id)
        .where(among(orders.c.id, set(order_ids)))
        .group_by(orders.c.id)
    )  # fmt: skip
    changes = [change for found in t.sql.execute(sums) if (change := _change_of_state(t, found))]
    t.many(_set_state, changes)


_set_state = (
    orders.update()
    .where(orders.c.id == bindparam("order"))
    .values(state=bindparam("now_state"), shipped_at=bindparam("now_shipped"),
            cancelled_at=bindparam("now_cancelled"))
)  # fmt: skip


def _change_of_state(t: Transaction, found: AnyRow) -> dict[str, Any] | None:
    state = _state_said_by_lines(found.state, found.open, found.shipped)
    if state == found.state:
        return None
    return {
        "order": found.id,
        "now_state": state,
        "now_shipped": found.shipped_at or (t.now if state == "shipped" else None),
        "now_cancelled": found.cancelled_at or (t.now if state == "cancelled" else None),
    }


def _state_said_by_lines(state: str, open_units: int, shipped: int) -> str:
    if state == "completed":
        return state
    if open_units:
        return "part_shipped" if shipped else ("pending" if state == "pending" else "ready")
    return "shipped" if shipped else "cancelled"
