"""What happens at every commit: waiting lines get stock, and channels and providers are owed what they should be told.

For the items a transaction touched, in this order: what is set aside but no longer fits on the shelf is taken back
(transfers first, then the youngest orders), waiting lines are reserved (oldest order first, own warehouses by rank, a
line whole from one warehouse), orders that still wait are handed to a provider that has all of them, and each listing
whose offer differs from what its channel was last told is queued.

    offered = on hand in the connection's warehouses - open demand - buffer, never below 0

Demand counts lines that still wait, so a unit that somebody is waiting for is not offered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, or_, select

from zenv.ledger import inbounds, outbox
from zenv.ledger.models import (
    Connection as ConnectionRow,
)
from zenv.ledger.models import (
    Level,
    Link,
    Listing,
    Order,
    OrderLine,
    Reservation,
    StockSource,
    Warehouse,
)
from zenv.ledger.models.channels import NETWORK
from zenv.ledger.transaction import AnyRow, Transaction, among, in_chunks, table
from zenv.ledger.zfn import handing

levels, warehouses = table(Level), table(Warehouse)
orders, lines, reservations = table(Order), table(OrderLine), table(Reservation)
listings, connections, sources = table(Listing), table(ConnectionRow), table(StockSource)
links = table(Link)

OPEN_STATES = ("pending", "ready", "part_shipped")


class Waiting(NamedTuple):
    """Open units of a line that have no warehouse. `started_in` is where the rest of the line is reserved, `ship_from`
    where the whole order must leave from."""

    line: int
    item: int
    connection: int | None
    open: int
    started_in: int | None = None
    order: int = 0
    ship_from: int | None = None


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
    """From which active warehouses each connection is filled, by rank; all own ones if none is chosen. `kept` are those
    that a provider keeps for us: they are told, but only whole orders leave from them."""

    all_own: tuple[int, ...]
    chosen: dict[int, tuple[int, ...]]
    kept: frozenset[int] = frozenset()

    def of(self, connection: int | None) -> tuple[int, ...]:
        """The warehouses whose stock a connection is told, or from which manual orders (None) go."""
        return self.chosen.get(connection, self.all_own) if connection is not None else self.all_own

    def own(self, connection: int | None) -> tuple[int, ...]:
        """Those of them that are our own shelves."""
        return tuple(warehouse for warehouse in self.of(connection) if warehouse not in self.kept)

    def providers(self, connection: int | None) -> tuple[int, ...]:
        """Those of them that a provider keeps."""
        return tuple(warehouse for warehouse in self.of(connection) if warehouse in self.kept)


def settle(t: Transaction) -> None:
    """Settle everything this transaction touched."""
    if t.touched:
        filled_from = read_sources(t.sql)
        for chunk in in_chunks(sorted(t.touched)):
            shelves = read_shelves(t.sql, chunk)
            if _take_back(t, shelves):
                shelves = read_shelves(t.sql, chunk)
            _fill(t, shelves, filled_from)
            if filled_from.kept:
                _give_to_providers(t, shelves, filled_from)
            _owe_levels(t, chunk, shelves, filled_from)
        t.touched.clear()
    if t.handed:
        handing.refresh(t, t.handed)
        t.handed.clear()


def read_sources(sql: Connection) -> Sources:
    """Which warehouses serve which connection."""
    usable = sql.execute(
        select(warehouses.c.id, warehouses.c.kind)
        .outerjoin(links, and_(links.c.warehouse_id == warehouses.c.id, links.c.state == "linked"))
        .where(warehouses.c.active, or_(warehouses.c.kind == "own", links.c.warehouse_id.is_not(None)))
        .order_by(warehouses.c.rank, warehouses.c.id)
    ).all()
    by_rank = [warehouse for warehouse, _ in usable]
    chosen: dict[int, set[int]] = defaultdict(set)
    for connection, warehouse in sql.execute(select(sources.c.connection_id, sources.c.warehouse_id)):
        chosen[connection].add(warehouse)
    return Sources(
        tuple(warehouse for warehouse, kind in usable if kind == "own"),
        {connection: tuple(w for w in by_rank if w in some) for connection, some in chosen.items()},
        frozenset(warehouse for warehouse, kind in usable if kind != "own"),
    )


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
    for shelf, units in inbounds.allocated(sql, items).items():
        shelves.unpicked[shelf] += units
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
        orders.c.id.label("order"),
        orders.c.ship_from,
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
    """A count or an adjustment left less than is set aside: transfers give theirs up, then the youngest lines wait
    again. Whether there were any."""
    short = {key: -shelves.free(*key) for key in shelves.unpicked if shelves.free(*key) < 0}
    for (item, warehouse), missing in short.items():
        missing -= inbounds.give_back(t, item, warehouse, missing)
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
        shelf = next((w for w in _allowed(line, filled_from) if shelves.free(line.item, w) >= line.open), None)
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


def _allowed(line: Waiting, filled_from: Sources) -> Sequence[int]:
    """Where a line may be reserved: where it was begun, where its order must leave from, else on own shelves."""
    fixed = line.started_in if line.started_in is not None else line.ship_from
    return filled_from.own(line.connection) if fixed is None else (fixed,)


def _give_to_providers(t: Transaction, shelves: Shelves, filled_from: Sources) -> None:
    """An order that waits as a whole, and that a provider's shelf holds as a whole, leaves from there (2.1.8)."""
    still_open = _still_waiting(t, shelves, filled_from)
    for order, waiting in still_open.items():
        needed: dict[int, int] = defaultdict(int)
        for line in waiting:
            needed[line.item] += line.open
        _look_at(t.sql, shelves, needed)
        for warehouse in filled_from.providers(waiting[0].connection):
            if all(shelves.free(item, warehouse) >= units for item, units in needed.items()):
                _leave_from(t, shelves, order, warehouse, waiting)
                break


def _still_waiting(t: Transaction, shelves: Shelves, filled_from: Sources) -> dict[int, list[Waiting]]:
    """Every open line of the orders that may be given to a provider: nothing of them is reserved or has left, all of
    it has an item, and nobody has chosen where it leaves from."""
    free = [line for line in shelves.waiting if line.ship_from is None and line.line not in t.resting]
    wanted = {line.order for line in free if filled_from.providers(line.connection)}
    begun = or_(lines.c.shipped > 0, reservations.c.line_id.is_not(None),
                and_(lines.c.item_id.is_(None), _open_units > 0))  # fmt: skip
    kept_back = select(lines.c.order_id).outerjoin(reservations, reservations.c.line_id == lines.c.id).where(
        among(lines.c.order_id, wanted), begun
    )  # fmt: skip
    wanted -= set(t.sql.execute(kept_back).scalars())
    found: dict[int, list[Waiting]] = {}
    for waits in t.sql.execute(_waiting_lines.where(among(orders.c.id, wanted), orders.c.cancelling == "")).all():
        found.setdefault(waits.order, []).append(Waiting(*waits))
    return found


def _look_at(sql: Connection, shelves: Shelves, items: Iterable[int]) -> None:
    """Read the shelves of items that this picture does not hold yet."""
    known = {item for item, _ in (*shelves.on_hand, *shelves.unpicked)}
    missing = [item for item in items if item not in known]
    if missing:
        more = read_shelves(sql, missing)
        shelves.on_hand.update(more.on_hand)
        shelves.unpicked.update(more.unpicked)


def _leave_from(t: Transaction, shelves: Shelves, order: int, warehouse: int, waiting: Sequence[Waiting]) -> None:
    t.sql.execute(orders.update().where(orders.c.id == order).values(ship_from=warehouse))
    for line in waiting:
        shelves.unpicked[line.item, warehouse] += line.open
        shelves.still_waiting[line.item] -= line.open
    t.insert(Reservation, [
        {"line_id": line.line, "item_id": line.item, "warehouse_id": warehouse, "quantity": line.open, "picked": 0}
        for line in waiting
    ])  # fmt: skip
    t.hand(order)


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
        connections.c.kind.not_in(NETWORK),
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
