"""What happens at every commit: waiting lines get stock, and channels are owed what they should now be told.

For the items a transaction touched, in this order: reservations that no longer fit on the shelf are taken back
(youngest order first), waiting lines are reserved (oldest order first, warehouses by rank, a line whole from
one warehouse), and each listing whose offer differs from what its channel was last told is queued.

    offered = on hand in the connection's warehouses - open demand - buffer, never below 0

Demand counts lines that still wait, so a unit that somebody is waiting for is not offered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, select

from zenv.ledger import outbox
from zenv.ledger.models import (
    Connection as ConnectionRow,
)
from zenv.ledger.models import (
    Level,
    Listing,
    Order,
    OrderLine,
    Reservation,
    StockSource,
    Warehouse,
)
from zenv.ledger.transaction import AnyRow, Transaction, among, in_chunks, table

levels, warehouses = table(Level), table(Warehouse)
orders, lines, reservations = table(Order), table(OrderLine), table(Reservation)
listings, connections, sources = table(Listing), table(ConnectionRow), table(StockSource)

OPEN_STATES = ("pending", "ready", "part_shipped")


class Waiting(NamedTuple):
    """Open units of a line that have no warehouse. `started_in` is where the rest of the line is reserved."""

    line: int
    item: int
    connection: int | None
    open: int
    started_in: int | None = None


@dataclass
class Shelves:
    """The stock and demand of some items, as one picture that is kept up to date while settling."""

    on_hand: dict[tuple[int, int], int] = field(default_factory=dict)
    unpicked: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    waiting: list[Waiting] = field(default_factory=list)
    still_waiting: dict[int, int] = field(default_factory=lambda: defaultdict(int))

    def free(self, item: int, warehouse: int) -> int:
        """Units on the shelf that no line has reserved."""
        return self.on_hand.get((item, warehouse), 0) - self.unpicked[item, warehouse]

    def offer(self, item: int, warehouses: Iterable[int], buffer: int) -> int:
        """Units a channel served from these warehouses may be told."""
        units = sum(self.free(item, warehouse) for warehouse in warehouses)
        return max(0, units - self.still_waiting[item] - buffer)


@dataclass(frozen=True)
class Sources:
    """From which own, active warehouses each connection is filled, by rank; all of them if none is chosen."""

    all_own: tuple[int, ...]
    chosen: dict[int, tuple[int, ...]]

    def of(self, connection: int | None) -> tuple[int, ...]:
        """The warehouses of a connection, or of manual orders (None)."""
        return self.chosen.get(connection, self.all_own) if connection is not None else self.all_own


def settle(t: Transaction) -> None:
    """Settle everything this transaction touched."""
    if not t.touched:
        return
    filled_from = read_sources(t.sql)
    for chunk in in_chunks(sorted(t.touched)):
        shelves = read_shelves(t.sql, chunk)
        if _take_back(t, shelves):
            shelves = read_shelves(t.sql, chunk)
        _fill(t, shelves, filled_from)
        _owe_levels(t, chunk, shelves, filled_from)
    t.touched.clear()


def read_sources(sql: Connection) -> Sources:
    """Which warehouses serve which connection."""
    own = sql.execute(
        select(warehouses.c.id)
        .where(warehouses.c.kind == "own", warehouses.c.active)
        .order_by(warehouses.c.rank, warehouses.c.id)
    ).scalars()
    by_rank = tuple(own)
    chosen: dict[int, set[int]] = defaultdict(set)
    for connection, warehouse in sql.execute(select(sources.c.connection_id, sources.c.warehouse_id)):
        chosen[connection].add(warehouse)
    return Sources(by_rank, {connection: tuple(w for w in by_rank if w in some) for connection, some in chosen.items()})


def read_shelves(sql: Connection, items: Sequence[int]) -> Shelves:
    """The picture of some items."""
    shelves = Shelves()
    on_shelf = select(levels.c.item_id, levels.c.warehouse_id, levels.c.on_hand)
    for item, warehouse, quantity in sql.execute(on_shelf.where(among(levels.c.item_id, items))).all():
        shelves.on_hand[item, warehouse] = quantity
    held = reservations.c
    for item, warehouse, units in sql.execute(
        select(held.item_id, held.warehouse_id, func.sum(held.quantity - held.picked))
        .where(among(held.item_id, items))
        .group_by(held.item_id, held.warehouse_id)
    ).all():
        shelves.unpicked[item, warehouse] = units
    for waits in sql.execute(_waiting_lines.where(among(lines.c.item_id, items))).all():
        line = Waiting(*waits)
        shelves.waiting.append(line)
        shelves.still_waiting[line.item] += line.open
    return shelves


_open_units = lines.c.quantity - lines.c.cancelled - lines.c.shipped
_waiting_lines = (
    select(
        lines.c.id,
        lines.c.item_id,
        orders.c.connection_id,
        (_open_units - func.coalesce(reservations.c.quantity, 0)).label("missing"),
        reservations.c.warehouse_id,
    )
    .join(orders, orders.c.id == lines.c.order_id)
    .outerjoin(reservations, reservations.c.line_id == lines.c.id)
    .where(
        # Word for word the condition of the index `open_line_of_item`: years of shipped lines are not read.
        lines.c.cancelled + lines.c.shipped < lines.c.quantity,
        func.coalesce(reservations.c.quantity, 0) < _open_units,
        orders.c.state.in_(OPEN_STATES),
        orders.c.fulfilled_by == "merchant",
    )
    .order_by(orders.c.placed_at, orders.c.id, lines.c.id)
)


def _take_back(t: Transaction, shelves: Shelves) -> bool:
    """A count or an adjustment left less than is reserved: the youngest lines wait again. Whether there were any."""
    short = {key: -shelves.free(*key) for key in shelves.unpicked if shelves.free(*key) < 0}
    for (item, warehouse), missing in short.items():
        for line in _youngest(t.sql, item, warehouse):
            if missing <= 0:
                break
            missing -= line.quantity - line.picked
            _release(t, line)
    return bool(short)


def _youngest(sql: Connection, item: int, warehouse: int) -> Sequence[AnyRow]:
    return sql.execute(
        select(reservations)
        .join(lines, lines.c.id == reservations.c.line_id)
        .join(orders, orders.c.id == lines.c.order_id)
        .where(reservations.c.item_id == item, reservations.c.warehouse_id == warehouse,
               reservations.c.quantity > reservations.c.picked)
        .order_by(orders.c.placed_at.desc(), orders.c.id.desc(), lines.c.id.desc())
    ).all()  # fmt: skip


def _release(t: Transaction, line: AnyRow) -> None:
    this = reservations.c.line_id == line.line_id
    if line.picked:
        # What is already in the picker's hands stays his; the line is short by the rest.
        t.sql.execute(reservations.update().where(this).values(quantity=line.picked))
    else:
        t.sql.execute(reservations.delete().where(this))


def _fill(t: Transaction, shelves: Shelves, filled_from: Sources) -> None:
    """Reserve waiting lines, oldest first. A line too large for any shelf does not hold the younger ones up."""
    reserved, topped_up = [], []
    for line in shelves.waiting:
        if line.line in t.resting:
            continue
        allowed = filled_from.of(line.connection) if line.started_in is None else (line.started_in,)
        shelf = next((w for w in allowed if shelves.free(line.item, w) >= line.open), None)
        if shelf is None:
            continue
        shelves.unpicked[line.item, shelf] += line.open
        shelves.still_waiting[line.item] -= line.open
        if line.started_in is None:
            reserved.append({"line_id": line.line, "item_id": line.item, "warehouse_id": shelf,
                             "quantity": line.open, "picked": 0})  # fmt: skip
        else:
            topped_up.append({"line": line.line, "more": line.open})
    t.insert(Reservation, reserved)
    t.many(_top_up, topped_up)


_top_up = (
    reservations.update()
    .where(reservations.c.line_id == bindparam("line"))
    .values(quantity=reservations.c.quantity + bindparam("more"))
)


def _owe_levels(t: Transaction, items: Sequence[int], shelves: Shelves, filled_from: Sources) -> None:
    pushed = and_(
        among(listings.c.item_id, items),
        listings.c.fulfilled_by == "merchant",
        listings.c.is_parent.is_(False),
        listings.c.status != "deleted",
        connections.c.status.in_(("active", "needs_login")),
    )
    told = select(
        listings.c.id, listings.c.connection_id, listings.c.item_id, listings.c.submitted,
        listings.c.submitted_handling, connections.c.buffer, connections.c.handling_days,
    ).join(connections, connections.c.id == listings.c.connection_id)  # fmt: skip
    owed = []
    for listing, connection, item, submitted, handling, buffer, handling_days in t.sql.execute(
        told.where(pushed)
    ).all():
        if submitted != shelves.offer(item, filled_from.of(connection), buffer) or handling != handling_days:
            owed.append((connection, "stock_level", listing))
    outbox.queue(t, owed)
