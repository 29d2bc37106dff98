"""Orders as a person handles them: make, hold, allocate, pick, ship, complete.

Changing and cancelling one is in `order_changes`. What a remote says of orders is recorded in `order_facts`; all of
them end in the same arithmetic of `lines`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update
from sqlalchemy.exc import IntegrityError

from zenv.errors import BadInput, NotFound, Refused
from zenv.facts import RecipientFact
from zenv.ledger import recipients, settle
from zenv.ledger.lines import Departure, depart, held_for, put_back, refresh_states
from zenv.ledger.models import (
    Connection as ConnectionRow,
)
from zenv.ledger.models import (
    Item,
    Movement,
    Order,
    OrderComment,
    OrderLine,
    Reservation,
    Shipment,
    ShipmentLine,
)
from zenv.ledger.models.channels import NETWORK
from zenv.ledger.settle import OPEN_STATES
from zenv.ledger.stock import MOST_UNITS, Move, is_own, move, own_warehouse, supplying_warehouse
from zenv.ledger.transaction import AnyRow, Transaction, row, table
from zenv.ledger.zfn import handing
from zenv.privacy import strip_control

connections = table(ConnectionRow)
orders, lines, items = table(Order), table(OrderLine), table(Item)
reservations, shipments, comments = table(Reservation), table(Shipment), table(OrderComment)

MOST_MINOR = 10**15
"""A larger price, in minor units, is a slip of the keyboard."""


@dataclass(frozen=True)
class NewLine:
    """What is ordered; `price` in minor units of the order's currency, per line."""

    sku: str
    quantity: int
    price: int | None = None


@dataclass(frozen=True)
class NewPackage:
    """A package that leaves: what is in it (SKU -> units; None: all that is open) and how it travels."""

    carrier: str
    tracking: str
    service: str = ""
    lines: Mapping[str, int] | None = None
    warehouse: str | None = None
    shipped_at: datetime | None = None


@dataclass(frozen=True)
class NewOrder:
    """A manual order. `number` empty: the next free M-number. `ship_from`: the warehouse all of it leaves from."""

    lines: Sequence[NewLine]
    number: str = ""
    currency: str = ""
    ship_by: datetime | None = None
    recipient: RecipientFact | None = field(default=None, repr=False)
    ship_from: str | None = None


def create_order(t: Transaction, order: NewOrder) -> str:
    """Write a manual order; its lines are reserved when the transaction commits. The order's number."""
    if not order.lines:
        raise BadInput("An order needs at least one line.")
    number = _clean(order.number) or _next_number(t.sql)
    ship_from = _leaving_from(t.sql, order)
    to = order.recipient or RecipientFact(order=number)
    try:
        made = t.sql.execute(orders.insert().returning(orders.c.id), row(
            Order, number=number, state="ready", placed_at=t.now, updated_at=t.now, recorded_at=t.now,
            ship_by=order.ship_by, currency=order.currency, city=to.city, region=to.region,
            postcode=to.postcode, country=to.country, total=_total(order.lines), ship_from=ship_from,
            entered_by=t.actor))  # fmt: skip
    except IntegrityError:
        raise Refused(f"There is an order {number} already.", f"zenv orders show {number}") from None
    key = int(made.scalar_one())
    t.insert(OrderLine, [_new_line(t.sql, key, place, line) for place, line in enumerate(order.lines, 1)])
    t.touch(*items_of(t.sql, key))
    if order.recipient is not None:
        recipients.keep(t, {key: order.recipient})
    t.hand(key)
    return number


def _leaving_from(sql: Connection, order: NewOrder) -> int | None:
    if order.ship_from is None:
        return None
    chosen = supplying_warehouse(sql, order.ship_from)
    if order.recipient is None and not is_own(sql, chosen):
        raise Refused("An order without a recipient cannot leave from a provider's warehouse.", "add --recipient")
    return chosen


def _total(ordered: Sequence[NewLine]) -> int | None:
    prices = [line.price for line in ordered]
    return None if None in prices else sum(price for price in prices if price is not None)


def _new_line(sql: Connection, order: int, place: int, line: NewLine) -> dict[str, Any]:
    if not 0 < line.quantity <= MOST_UNITS:
        raise BadInput(f"{line.quantity} x {_clean(line.sku)} is not a sensible number of units.")
    if line.price is not None and not 0 <= line.price <= MOST_MINOR:
        raise BadInput(f"The price of {_clean(line.sku)} is not sensible.")
    item = sql.execute(select(items.c.id, items.c.name).where(items.c.sku == line.sku)).one_or_none()
    if item is None:
        raise NotFound(f"There is no item {_clean(line.sku)!r}.", "zenv items list")
    return row(OrderLine, order_id=order, remote_id=str(place), item_id=item.id, sku=line.sku, name=item.name,
               quantity=line.quantity, price=line.price)  # fmt: skip


def _next_number(sql: Connection) -> str:
    manual = select(func.count()).select_from(orders).where(orders.c.connection_id.is_(None))
    number = int(sql.execute(manual).scalar_one()) + 1
    while sql.execute(select(orders.c.id).where(orders.c.number == f"M-{number}")).scalar() is not None:
        number += 1
    return f"M-{number}"


def hold(t: Transaction, number: str, reason: str) -> None:
    """Keep an order from being picked and shipped, for a reason; it keeps its stock."""
    if not _clean(reason):
        raise BadInput("Putting an order on hold needs a reason.", 'add --reason "..."')
    order = open_order(t.sql, number)
    t.sql.execute(orders.update().where(orders.c.id == order.id).values(hold=_clean(reason)))
    t.hand(order.id)


def release(t: Transaction, number: str) -> None:
    """Let an order on hold go on."""
    order = open_order(t.sql, number)
    if not order.hold:
        raise Refused(f"Order {number} is not on hold.", f"zenv orders show {number}")
    t.sql.execute(orders.update().where(orders.c.id == order.id).values(hold=""))
    t.hand(order.id)


def allocate(t: Transaction, number: str, warehouse: str | None = None) -> int:
    """Reserve the waiting lines of an order, oldest orders aside, in one warehouse or by rank.

    The number of lines that have their stock afterwards. Raises Refused when `warehouse` lacks it.
    """
    order = _ours_to_ship(t.sql, number)
    t.resting.difference_update(line_ids(t.sql, order.id))
    if warehouse is None:
        t.touch(*items_of(t.sql, order.id))
        settle.settle(t)
    else:
        _allocate_from(t, order, own_warehouse(t.sql, warehouse))
    return len(held_for(t, line_ids(t.sql, order.id)))


def _allocate_from(t: Transaction, order: AnyRow, warehouse: int) -> None:
    deallocate(t, order.number)
    for line in open_lines(t.sql, order.id):
        shelves = settle.read_shelves(t.sql, [line.item_id]) if line.item_id else settle.Shelves()
        if line.item_id is None or shelves.free(line.item_id, warehouse) < line.open:
            raise Refused(f"There are not {line.open} x {line.sku} free there; nothing was changed.",
                          f"zenv stock levels {line.sku}")  # fmt: skip
        t.insert(Reservation, [row(Reservation, line_id=line.id, item_id=line.item_id, warehouse_id=warehouse,
                                   quantity=line.open)])  # fmt: skip
        t.touch(line.item_id)


def deallocate(t: Transaction, number: str) -> None:
    """Give up the reservations of an order; picked units return to their shelf. Others that wait may have them
    now; the order itself is filled again when the stock of its items next changes."""
    order = _ours_to_ship(t.sql, number)
    t.resting.update(line_ids(t.sql, order.id))
    t.touch(*items_of(t.sql, order.id))
    for held in held_for(t, line_ids(t.sql, order.id)):
        put_back(t, held, held.picked)
        t.sql.execute(reservations.delete().where(reservations.c.line_id == held.line_id))


def pick(t: Transaction, number: str) -> int:
    """Take all reserved units of an order off their shelves. The number of units picked."""
    order = _ready_order(t.sql, number)
    held = [found for found in held_for(t, line_ids(t.sql, order.id)) if found.quantity > found.picked]
    if not held:
        raise Refused(f"Nothing of order {number} is waiting to be picked.", f"zenv orders allocate {number}")
    move(t, [Move(h.item_id, t.place(h.warehouse_id, "on_hand"), t.place(h.warehouse_id, "picked"),
                  h.quantity - h.picked, "picked", number) for h in held])  # fmt: skip
    for h in held:
        mine = reservations.c.line_id == h.line_id
        t.sql.execute(reservations.update().where(mine).values(picked=reservations.c.quantity))
    return sum(h.quantity - h.picked for h in held)


def unpick(t: Transaction, number: str) -> None:
    """Put everything picked for an order back on its shelf; it stays reserved."""
    order = _ours_to_ship(t.sql, number)
    for held in held_for(t, line_ids(t.sql, order.id)):
        put_back(t, held, held.picked)
        t.sql.execute(reservations.update().where(reservations.c.line_id == held.line_id).values(picked=0))


def ship(t: Transaction, number: str, packages: Sequence[NewPackage]) -> list[str]:
    """Packages leave. Their numbers inside the order; the channel is told of each, once (A7, F21)."""
    order = _ready_order(t.sql, number)
    references = []
    for package in packages:
        references.append(_ship_one(t, order, package))
        refresh_states(t, [order.id])
    return references


def _ship_one(t: Transaction, order: AnyRow, package: NewPackage) -> str:
    carrier, tracking = _clean(package.carrier), _clean(package.tracking)
    if order.connection_id is not None and not (carrier and tracking):
        raise BadInput("The channel needs a carrier and a tracking number for each package.",
                       "add --carrier NAME --tracking NUMBER")  # fmt: skip
    departures = _departures(t, order, package)
    reference = next_package(t.sql, order.id)
    at = package.shipped_at or t.now
    if at > t.now:
        raise BadInput("A package cannot have left in the future.")
    key = int(t.sql.execute(shipments.insert().returning(shipments.c.id), row(
        Shipment, order_id=order.id, reference=reference, warehouse_id=departures[0].warehouse, carrier=carrier,
        service=_clean(package.service), tracking=tracking, shipped_at=at)).scalar_one())  # fmt: skip
    t.insert(ShipmentLine, [row(ShipmentLine, shipment_id=key, line_id=d.line, quantity=d.quantity)
                            for d in departures])  # fmt: skip
    depart(t, departures)
    booked = select(func.max(table(Movement).c.id)).scalar_subquery()
    t.sql.execute(shipments.update().where(shipments.c.id == key).values(last_movement=booked))
    if order.connection_id is not None and kind_of(t.sql, order) not in NETWORK:
        t.tell(order.connection_id, "shipment", key)
    return reference


def kind_of(sql: Connection, order: AnyRow) -> str:
    """The kind of the connection an order came by; nothing for one made by hand."""
    return str(sql.execute(select(connections.c.kind).where(connections.c.id == order.connection_id)).scalar() or "")


def next_package(sql: Connection, order: int) -> str:
    """The next free number of a package inside its order, as digits."""
    used = sql.execute(select(shipments.c.reference).where(shipments.c.order_id == order)).scalars()
    return str(max((int(name) for name in used if name.isdigit()), default=0) + 1)


def _departures(t: Transaction, order: AnyRow, package: NewPackage) -> list[Departure]:
    held = {found.line_id: found for found in held_for(t, line_ids(t.sql, order.id))}
    wanted = units_wanted(order, package.lines)
    departures = []
    for line in open_lines(t.sql, order.id):
        units = line.open if wanted is None else min(wanted.get(line.sku, 0), line.open)
        if not units:
            continue
        if wanted is not None:
            wanted[line.sku] -= units
        if line.item_id is None:
            raise Refused(f"{line.sku} is linked to no item yet; nothing was shipped.", "zenv items unconfirmed")
        home = held[line.id].warehouse_id if line.id in held else own_warehouse(t.sql, package.warehouse)
        departures.append(Departure(line.id, line.item_id, line.sku, order.number, units, home))
    left = [f"{units} x {_clean(sku)}" for sku, units in (wanted or {}).items() if units]
    if left or not departures:
        raise BadInput(f"Order {order.number} has no {', '.join(left) or 'open units'} left to ship.",
                       f"zenv orders show {order.number}")  # fmt: skip
    return departures


def units_wanted(order: AnyRow, units: Mapping[str, int] | None) -> dict[str, int] | None:
    """How many of which SKU, None for all that is open; raises BadInput for fewer than one."""
    if units is not None and min(units.values(), default=0) < 1:
        raise BadInput("Name at least one unit of each SKU.", f"zenv orders show {order.number}")
    return dict(units) if units is not None else None


def complete(t: Transaction, number: str) -> None:
    """A shipped order is done. It cannot be changed any more."""
    order = find_order(t.sql, number)
    if order.state == "completed":
        return
    if order.state != "shipped":
        raise Refused(f"Order {number} is {order.state}; only a shipped order can be completed.",
                      f"zenv orders ship {number}")  # fmt: skip
    done = {"state": "completed", "completed_at": t.now}
    t.sql.execute(orders.update().where(orders.c.id == order.id).values(**done))


def comment(t: Transaction, number: str, text: str) -> None:
    """Say something under an order; the same words stand there once."""
    if not _clean(text):
        raise BadInput("The comment is empty.")
    add_comments(t, [(find_order(t.sql, number).id, text)])


def add_comments(t: Transaction, said: Sequence[tuple[int, str]]) -> None:
    """Comments for orders by id."""
    t.many(_say_once, [{"order_id": order, "at": t.now, "text": _clean(text)} for order, text in said])


_say_once = insert_or_update(comments).on_conflict_do_nothing()


def find_order(sql: Connection, number: str) -> AnyRow:
    """The order with this number; raises NotFound."""
    found = sql.execute(select(orders).where(orders.c.number == number)).one_or_none()
    if found is None:
        raise NotFound(f"There is no order {_clean(number)!r}.", "zenv orders list")
    return found


def open_order(sql: Connection, number: str) -> AnyRow:
    """The order, if it can still change: ours to ship, open, and not being cancelled."""
    order = find_order(sql, number)
    show = f"zenv orders show {number}"
    if order.fulfilled_by != "merchant":
        raise Refused(f"Order {number} is fulfilled by the channel; it can only be read.", show)
    if kind_of(sql, order) == "zfn":
        raise Refused(f"Order {number} was entered by the provider, who alone can change it.", show)
    if order.state not in OPEN_STATES:
        raise Refused(f"Order {number} is {order.state}.", show)
    if order.cancelling in ("requested", "accepted"):
        raise Refused(f"Order {number} is being cancelled at its channel.", show)
    return order


def _ours_to_ship(sql: Connection, number: str) -> AnyRow:
    """An open order that leaves from our own shelves."""
    order = open_order(sql, number)
    handing.demand_own(sql, order)
    return order


def _ready_order(sql: Connection, number: str) -> AnyRow:
    order = _ours_to_ship(sql, number)
    if order.hold:
        raise Refused(f"Order {number} is on hold: {order.hold}", f"zenv orders release {number}")
    if order.state == "pending":
        raise Refused(f"Order {number} is not paid yet; its stock is reserved.", f"zenv orders show {number}")
    return order


def open_lines(sql: Connection, order: int) -> Sequence[AnyRow]:
    """The lines of an order with open units, in their order."""
    open_units = lines.c.quantity - lines.c.cancelled - lines.c.shipped
    return sql.execute(
        select(lines, open_units.label("open")).where(lines.c.order_id == order, open_units > 0).order_by(lines.c.id)
    ).all()


def line_ids(sql: Connection, order: int) -> list[int]:
    """The lines of an order."""
    return list(sql.execute(select(lines.c.id).where(lines.c.order_id == order)).scalars())


def items_of(sql: Connection, order: int) -> list[int | None]:
    """The items of an order's lines; None for a line without one."""
    return list(sql.execute(select(lines.c.item_id).where(lines.c.order_id == order)).scalars())


def _clean(text: str) -> str:
    return strip_control(text).strip()
