"""Inbounds as a person handles them: order from a supplier; request, allocate, pick, ship, receive a transfer.

Where a provider keeps the destination, the provider receives: what it books arrives here with the next run.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection as Sql
from sqlalchemy import func, select

from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger.inbounds import rows
from zenv.ledger.inbounds.announcing import announce
from zenv.ledger.inbounds.moves import put_back, write_off
from zenv.ledger.inbounds.rows import change, change_line, find, lines, lines_of
from zenv.ledger.models import OUTSIDE, Connection, Inbound, InboundLine, Item, Level, Reservation, Warehouse
from zenv.ledger.notices import withdraw
from zenv.ledger.stock import MOST_UNITS, Move, move, own_warehouse, sees
from zenv.ledger.transaction import AnyRow, Transaction, row, table
from zenv.privacy import strip_control

items, warehouses, connections = table(Item), table(Warehouse), table(Connection)
levels, reservations = table(Level), table(Reservation)

ONE_WAY = "Goods go to a provider's warehouse and are not sent back from it; nothing was changed."


# ---- beginning -------------------------------------------------------------------------------------------


def order(t: Transaction, warehouse: str | None, wanted: Mapping[str, int], number: str = "", supplier: str = "",
          expected_at: datetime | None = None) -> str:  # fmt: skip
    """Order units (SKU -> units) from a supplier, to an own warehouse or one that a provider keeps for us. The number.

    Raises BadInput for what cannot be ordered, NotFound for an unknown item or warehouse, Refused for a number that is
    in use.
    """
    destination, connection = _destination(t, warehouse)
    return _begin(t, "purchase", wanted, number, destination_id=destination, connection_id=connection,
                  supplier=_clean(supplier), expected_at=expected_at)  # fmt: skip


def transfer(t: Transaction, source: str, destination: str, wanted: Mapping[str, int]) -> str:
    """Begin a transfer between two warehouses. Its number. Raises as `order`; Refused from a provider's warehouse."""
    here, there, connection = _ends(t, source, destination)
    return _begin(t, "transfer", wanted, source_id=here, destination_id=there, connection_id=connection)


def request(t: Transaction, source: str, destination: str, wanted: Mapping[str, int]) -> str:
    """Ask for a transfer (Z45): it begins once somebody allocates it. Its number. Raises as `transfer`."""
    here, there, connection = _ends(t, source, destination)
    return _begin(t, "transfer", wanted, source_id=here, destination_id=there, connection_id=connection,
                  state="requested")  # fmt: skip


def _begin(t: Transaction, kind: str, wanted: Mapping[str, int], number: str = "", **about: object) -> str:
    given = _clean(number).removeprefix(f"{rows.PREFIX[kind]}-")
    number = f"{rows.PREFIX[kind]}-{given}" if given else rows.next_number(t.sql, kind)
    if rows.taken(t.sql, number):
        raise Refused(f"{number} is in use already; nothing was changed.", "Choose another number.")
    if not wanted:
        raise BadInput("Nothing is to come: name at least one item.", "add --line SKU=UNITS")
    if about["connection_id"] is not None:
        about["remote_id"] = f"c:{number}"
    values = row(Inbound, number=number, kind=kind, made_by=t.actor, made_at=t.now, version=0, **about)
    key = int(t.sql.execute(rows.inbounds.insert().returning(rows.inbounds.c.id), values).scalar_one())
    t.insert(InboundLine, [
        row(InboundLine, inbound_id=key, remote_id=str(place), item_id=_item(t, sku), sku=sku,
            quantity=_sensible(sku, units))
        for place, (sku, units) in enumerate(wanted.items(), 1)
    ])  # fmt: skip
    announce(t, find(t.sql, number))
    return number


def _item(t: Transaction, sku: str) -> int:
    found = t.sql.execute(select(items.c.id).where(items.c.sku == sku)).scalar()
    if found is None:
        raise NotFound(f"There is no item {_clean(sku)!r}.", "zenv items list")
    return int(found)


def _sensible(sku: str, units: int) -> int:
    if not 0 < units <= MOST_UNITS:
        raise BadInput(f"{units} x {_clean(sku)} is not a sensible number of units.", f"give 1 to {MOST_UNITS}")
    return units


def _ends(t: Transaction, source: str, destination: str) -> tuple[int, int, int | None]:
    """The two warehouses of a transfer, and the connection to whoever keeps the second."""
    if (kept := _named(t.sql, source)) is not None:
        if not sees(t.sql, t.actor, kept):
            raise NotFound(f"There is no warehouse {_clean(source)!r}.", "zenv warehouses list")
        if kept.kind == "zfn":
            raise Refused(ONE_WAY, "zenv inbound transfer --help")
    here, (there, connection) = own_warehouse(t.sql, source), _destination(t, destination)
    if here == there:
        raise BadInput("A transfer needs two different warehouses.")
    return here, there, connection


def _destination(t: Transaction, name: str | None) -> tuple[int, int | None]:
    from zenv.ledger.zfn import links

    found = _named(t.sql, name)
    if found is not None and found.kind == "zfn":
        return int(found.id), int(links.demand_linked(t.sql, found.name).connection_id)
    return own_warehouse(t.sql, name), None


def _named(sql: Sql, name: str | None) -> AnyRow | None:
    return sql.execute(select(warehouses).where(warehouses.c.name == name)).one_or_none()


# ---- a transfer, stage by stage (2.1.13) -----------------------------------------------------------------


def allocate(t: Transaction, number: str) -> int:
    """Set the units of a transfer aside on the shelf they leave from; one that was requested is accepted with it.

    The units that are set aside now. All or nothing: raises Refused when the shelf lacks some.
    """
    inbound = _transfer(t, number, "requested", "open")
    found = lines_of(t.sql, inbound.id)
    for line in found:
        missing = line.quantity - line.allocated - line.picked - line.sent
        free = _free(t.sql, line.item_id, inbound.source_id)
        if missing > free:
            raise Refused(f"Of {line.sku} {missing} units are missing and {max(0, free)} are free there; nothing was"
                          " changed.", f"zenv stock levels {line.sku}")  # fmt: skip
        change_line(t, line.id, allocated=line.allocated + missing)
    t.touch(*(line.item_id for line in found))
    if inbound.state == "requested":
        change(t, inbound.id, state="open")
        announce(t, find(t.sql, number))
    return sum(line.quantity - line.picked - line.sent for line in found)


def _free(sql: Sql, item: int, warehouse: int) -> int:
    """Units on a shelf that neither an order nor a transfer has."""
    shelf = select(levels.c.on_hand).where(levels.c.item_id == item, levels.c.warehouse_id == warehouse)
    ordered = select(func.sum(reservations.c.quantity - reservations.c.picked)).where(
        reservations.c.item_id == item, reservations.c.warehouse_id == warehouse
    )
    aside = rows.allocated(sql, [item]).get((item, warehouse), 0)
    return (sql.execute(shelf).scalar() or 0) - (sql.execute(ordered).scalar() or 0) - aside


def pick(t: Transaction, number: str) -> int:
    """Take what is set aside for a transfer off its shelf. The units picked."""
    inbound = _transfer(t, number, "open")
    found = lines_of(t.sql, inbound.id)
    if any(line.allocated + line.picked + line.sent < line.quantity for line in found):
        raise Refused(f"Not all units of {number} are set aside; nothing was changed.",
                      f"zenv inbound allocate {number}")  # fmt: skip
    if not any(line.allocated for line in found):
        raise Refused(f"Nothing of {number} waits to be picked.", f"zenv inbound ship {number}")
    _moved(t, inbound, {line.item_id: line.allocated for line in found}, "picked", "on_hand", "picked")
    for line in found:
        change_line(t, line.id, allocated=0, picked=line.picked + line.allocated)
    return sum(line.allocated for line in found)


def ship(t: Transaction, number: str) -> int:
    """What was picked for a transfer leaves for its destination. The units under way."""
    inbound = _transfer(t, number, "open")
    found = lines_of(t.sql, inbound.id)
    if any(line.picked + line.sent < line.quantity for line in found):
        raise Refused(f"Not all units of {number} are picked; nothing was changed.", f"zenv inbound pick {number}")
    leaving = {line.item_id: line.picked for line in found}
    _moved(t, inbound, leaving, "transferred", "picked", "in_transit", to=inbound.destination_id)
    for line in found:
        change_line(t, line.id, picked=0, sent=line.sent + line.picked)
    change(t, inbound.id, state="shipped")
    announce(t, find(t.sql, number))
    return sum(leaving.values())


def _moved(t: Transaction, inbound: AnyRow, units: Mapping[int, int], reason: str, out_of: str, into: str,
           to: int | None = None) -> None:  # fmt: skip
    """Move units of items from one state at the source to another there, or at the destination."""
    source, destination = t.place(inbound.source_id, out_of), t.place(to or inbound.source_id, into)
    move(t, [Move(item, source, destination, count, reason, inbound.number) for item, count in units.items() if count])


# ---- at the other end ------------------------------------------------------------------------------------


def receive(t: Transaction, number: str, units: Mapping[str, int] | None = None) -> int:
    """Goods of an inbound arrive on the shelf: all that is still missing, or `units` per SKU. The units received.

    More than was ordered may come from a supplier, not out of a transfer. When all has come it is closed.
    """
    inbound = _received_here(t, number)
    waiting = {line.sku: line for line in lines_of(t.sql, inbound.id)}
    missing = {sku: max(0, line.quantity - line.received) for sku, line in waiting.items()}
    came = missing if units is None else dict(units)
    for sku, count in came.items():
        if sku not in waiting:
            raise BadInput(f"{number} brings no {_clean(sku)}; nothing was booked.", f"zenv inbound show {number}")
        if units is not None:
            _sensible(sku, count)
        if inbound.source_id is not None and count > missing[sku]:
            raise BadInput(f"Of {number} {missing[sku]} x {sku} are under way, not {count}; nothing was booked.",
                           f"zenv inbound show {number}")  # fmt: skip
    _book_receipt(t, inbound, {waiting[sku]: count for sku, count in came.items() if count})
    return sum(came.values())


def _book_receipt(t: Transaction, inbound: AnyRow, came: Mapping[AnyRow, int]) -> None:
    shelf, reason, source = t.place(inbound.destination_id, "on_hand"), "received", OUTSIDE["supplier"]
    if inbound.source_id is not None:
        reason, source = "arrived", t.place(inbound.destination_id, "in_transit")
    move(t, [Move(line.item_id, source, shelf, units, reason, inbound.number) for line, units in came.items()])
    for line, units in came.items():
        change_line(t, line.id, received=lines.c.received + units)
    close_if_complete(t, inbound)


def close_if_complete(t: Transaction, inbound: AnyRow) -> None:
    """All of it has come: it is closed, and a client whose it is will learn so."""
    if all(line.received >= line.quantity for line in lines_of(t.sql, inbound.id)):
        _close(t, inbound)


def _close(t: Transaction, inbound: AnyRow) -> None:
    rows.close(t, inbound)
    if inbound.connection_id is not None:  # only a provider closes a client's by hand
        t.tell(inbound.connection_id, "inbound", inbound.id)


def complete(t: Transaction, number: str) -> int:
    """No more of it will come: it is closed with less (2.1.12); what is still in transit is written off. The units that
    are missing."""
    inbound = _received_here(t, number)
    found = lines_of(t.sql, inbound.id)
    write_off(t, inbound, {line: line.sent - line.received for line in found}, "received")
    _close(t, inbound)
    return sum(max(0, line.quantity - line.received) for line in found)


def cancel(t: Transaction, number: str) -> None:
    """Nothing of it is to come. What was picked for a transfer goes back on its shelf; refused once it is under way."""
    inbound = _open(t, number)
    found = lines_of(t.sql, inbound.id)
    if _is_clients(t.sql, inbound):
        raise Refused(f"{number} is a client's, who alone can cancel it.", f"zenv inbound complete {number}")
    if inbound.state == "shipped" or any(line.received for line in found):
        raise Refused(f"Goods of {number} are under way or have come; nothing was changed.",
                      f"zenv inbound show {number}")  # fmt: skip
    put_back(t, inbound, found)
    change(t, inbound.id, state="cancelled", closed_at=t.now)
    withdraw(t, "inbound", number)
    announce(t, find(t.sql, number))


# ---- which may be done with it ---------------------------------------------------------------------------


def _open(t: Transaction, number: str) -> AnyRow:
    inbound = find(t.sql, number)
    if inbound.state in rows.ENDED:
        raise Refused(f"{number} is {inbound.state}.", f"zenv inbound show {number}")
    return inbound


def _transfer(t: Transaction, number: str, *states: str) -> AnyRow:
    """A transfer of our own in one of these states, from a warehouse that whoever acts can see."""
    inbound = _open(t, number)
    if inbound.source_id is None:
        raise Refused(f"{number} is no transfer of yours: it only arrives.", f"zenv inbound receive {number}")
    if not sees(t.sql, t.actor, _warehouse(t.sql, inbound.source_id)):
        raise NotFound(f"There is no inbound {number!r}.", "zenv inbound list")
    if inbound.state not in states:
        step = "allocate" if inbound.state == "requested" else "show"
        raise Refused(f"{number} is {inbound.state}; nothing was changed.", f"zenv inbound {step} {number}")
    return inbound


def _received_here(t: Transaction, number: str) -> AnyRow:
    """An inbound whose goods arrive on a shelf of our own, and have left."""
    inbound = _open(t, number)
    there = _warehouse(t.sql, inbound.destination_id)
    if there.kind != "own":
        raise Refused(f"Your provider keeps {there.name} and receives what goes there; its receipts arrive here by"
                      " themselves.", f"zenv inbound show {number}")  # fmt: skip
    if inbound.source_id is not None and inbound.state != "shipped":
        raise Refused(f"{number} has not been shipped yet; nothing was booked.", f"zenv inbound ship {number}")
    return inbound


def _warehouse(sql: Sql, key: int) -> AnyRow:
    return sql.execute(select(warehouses).where(warehouses.c.id == key)).one()


def _is_clients(sql: Sql, inbound: AnyRow) -> bool:
    kind = select(connections.c.kind).where(connections.c.id == inbound.connection_id)
    return sql.execute(kind).scalar() == "zfn_client"


def _clean(text: str) -> str:
    return strip_control(text).strip()
