"""Stock: warehouses, movements with two ends, and the levels that are their fold.

Every change goes through `move`: it writes the movements and the levels in the same transaction, and refuses
to take what is not there. A level may be read by anybody and is written by nobody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update
from sqlalchemy.exc import IntegrityError

from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import chain
from zenv.ledger.models import (
    OUTSIDE,
    Inbound,
    Item,
    Level,
    Movement,
    Place,
    StockSource,
    Transfer,
    Warehouse,
)
from zenv.ledger.models import (
    Connection as ConnectionRow,
)
from zenv.ledger.transaction import AnyRow, Transaction, row, table
from zenv.privacy import strip_control

MOST_UNITS = 1_000_000_000
"""A larger quantity in one movement is a slip of the keyboard."""

levels, places, items = table(Level), table(Place), table(Item)
movements, warehouses, transfers = table(Movement), table(Warehouse), table(Transfer)
connections, sources, inbounds = table(ConnectionRow), table(StockSource), table(Inbound)


@dataclass(frozen=True)
class Move:
    """`quantity` units of an item from one place to another; places are ids (see Transaction.place)."""

    item: int
    source: int
    destination: int
    quantity: int
    reason: str
    reference: str = ""
    note: str = ""


@dataclass(frozen=True)
class Count:
    """What a shelf should hold, what was found, and the difference."""

    sku: str
    warehouse: str
    expected: int
    counted: int
    difference: int


def move(t: Transaction, moves: Iterable[Move]) -> None:
    """Book movements and fold them into the levels. Raises Refused, with nothing booked, if a level would go
    below zero."""
    moves = list(moves)
    if not moves:
        return
    # A caller may catch the refusal and go on in the same transaction.
    with t.sql.begin_nested():
        rows = (
            row(Movement, at=t.now, item_id=m.item, source_id=m.source, destination_id=m.destination,
                quantity=m.quantity, reason=m.reason, reference=m.reference, actor=t.actor, note=m.note)
            for m in moves
        )  # fmt: skip
        t.insert(Movement, chain.linked(chain.last(t.sql), rows))
        _fold(t, moves)
    t.touch(*(m.item for m in moves))


STATES = ("on_hand", "picked", "in_transit")
_raise_level = insert_or_update(levels)
_raise_level = _raise_level.on_conflict_do_update(
    index_elements=["item_id", "warehouse_id"],
    set_={state: levels.c[state] + _raise_level.excluded[state] for state in STATES},
)
_change_level = (
    levels.update()
    .where(
        levels.c.item_id == bindparam("item"),
        levels.c.warehouse_id == bindparam("warehouse"),
        *(levels.c[state] + bindparam(f"{state}_by") >= 0 for state in STATES),
    )
    .values({state: levels.c[state] + bindparam(f"{state}_by") for state in STATES})
)


def _fold(t: Transaction, moves: Sequence[Move]) -> None:
    change: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: dict.fromkeys(STATES, 0))
    for m in moves:
        for place, by in ((m.source, -m.quantity), (m.destination, m.quantity)):
            warehouse, state = t.whereabouts(place)
            if warehouse is not None:
                change[m.item, warehouse][state] += by
    up, down = [], []
    for (item, warehouse), by_state in change.items():
        if min(by_state.values()) >= 0:
            up.append({"item_id": item, "warehouse_id": warehouse, **by_state})
        else:
            named = {f"{state}_by": by for state, by in by_state.items()}
            down.append({"item": item, "warehouse": warehouse, **named})
    t.many(_raise_level, up)
    if t.many(_change_level, down) != len(down):
        raise Refused("There are not that many units in that place; nothing was booked.", "zenv stock levels")


def on_hand(sql: Connection, item: int, warehouse: int) -> int:
    """Units of an item on the shelves of a warehouse."""
    this = (levels.c.item_id == item, levels.c.warehouse_id == warehouse)
    return int(sql.execute(select(levels.c.on_hand).where(*this)).scalar() or 0)


# ---- what a person books ---------------------------------------------------------------------------------


def receive(
    t: Transaction, sku: str, warehouse: str | None, quantity: int, reference: str = "", note: str = ""
) -> None:
    """Goods from a supplier arrive on the shelf. Those of an inbound are received by its number (inbounds)."""
    if t.sql.execute(select(inbounds.c.id).where(inbounds.c.number == _clean(reference))).first() is not None:
        raise Refused(f"{_clean(reference)} is an inbound, which counts what arrives of it; nothing was booked.",
                      f"zenv inbound receive {_clean(reference)}")  # fmt: skip
    item, place = item_id(t.sql, sku), t.place(own_warehouse(t.sql, warehouse), "on_hand")
    _sensible(quantity)
    move(t, [Move(item, OUTSIDE["supplier"], place, quantity, "received", _clean(reference), _clean(note))])


def adjust(t: Transaction, sku: str, warehouse: str | None, change: int, why: str) -> None:
    """Correct the shelf by `change` units (negative: fewer), for a reason the history will show."""
    if not _clean(why):
        raise BadInput("An adjustment needs a reason.", 'add --why "..."')
    item, place = item_id(t.sql, sku), t.place(own_warehouse(t.sql, warehouse), "on_hand")
    _sensible(abs(change))
    move(t, [_correction(item, place, change, "adjusted", why)])


def count_difference(sql: Connection, sku: str, warehouse: str | None, counted: int) -> Count:
    """Compare a count with the shelf (reserved but unpicked units are still on it); books nothing."""
    if not 0 <= counted <= MOST_UNITS:
        raise BadInput(f"{counted} is not a number of units.")
    where = own_warehouse(sql, warehouse)
    expected = on_hand(sql, item_id(sql, sku), where)
    name = sql.execute(select(warehouses.c.name).where(warehouses.c.id == where)).scalar_one()
    return Count(sku, name, expected, counted, counted - expected)


def book_count(t: Transaction, sku: str, warehouse: str | None, counted: int, note: str = "") -> Count:
    """Book the difference of a count as a movement; the shelf then holds what was found."""
    count = count_difference(t.sql, sku, warehouse, counted)
    if count.difference:
        place = t.place(own_warehouse(t.sql, count.warehouse), "on_hand")
        move(t, [_correction(item_id(t.sql, sku), place, count.difference, "counted", note)])
    return count


def _correction(item: int, place: int, change: int, reason: str, note: str) -> Move:
    ends = (OUTSIDE["adjustment"], place) if change > 0 else (place, OUTSIDE["adjustment"])
    return Move(item, *ends, abs(change), reason, note=_clean(note))


def transfer(t: Transaction, sku: str, source: str, destination: str, quantity: int, arrives_now: bool = False) -> int:
    """Send units to another own warehouse; they are in transit there until they arrive. The transfer's number."""
    item = item_id(t.sql, sku)
    kept = (warehouses.c.kind == "zfn", warehouses.c.name.in_((source, destination)))
    if t.sql.execute(select(warehouses.c.id).where(*kept)).first() is not None:
        raise Refused("Goods are sent to a provider's warehouse step by step, and never back; nothing was booked.",
                      "zenv inbound transfer --help")  # fmt: skip
    here, there = own_warehouse(t.sql, source), own_warehouse(t.sql, destination)
    if here == there:
        raise BadInput("A transfer needs two different warehouses.")
    _sensible(quantity)
    sent = row(Transfer, item_id=item, source_id=here, destination_id=there, quantity=quantity, sent_at=t.now)
    # A caller may catch the refusal and go on: then nothing of the transfer may be left.
    with t.sql.begin_nested():
        number = int(t.sql.execute(transfers.insert().returning(transfers.c.id), sent).scalar_one())
        on_its_way = Move(item, t.place(here, "on_hand"), t.place(there, "in_transit"), quantity, "transferred",
                          f"transfer {number}")  # fmt: skip
        move(t, [on_its_way])
    if arrives_now:
        arrive(t, number)
    return number


def arrive(t: Transaction, number: int, quantity: int | None = None) -> None:
    """Units of a transfer arrive, all of them or `quantity`."""
    sent = t.sql.execute(select(transfers).where(transfers.c.id == number)).mappings().one_or_none()
    if sent is None:
        raise NotFound(f"There is no transfer {number}.", "zenv stock transfers")
    under_way = sent["quantity"] - sent["arrived"]
    quantity = under_way if quantity is None else quantity
    if not 0 < quantity <= under_way:
        raise BadInput(f"Of transfer {number} {under_way} units are under way, not {quantity}.")
    there = sent["destination_id"]
    move(t, [Move(sent["item_id"], t.place(there, "in_transit"), t.place(there, "on_hand"), quantity, "arrived",
                  f"transfer {number}")])  # fmt: skip
    arrived = transfers.c.arrived + quantity
    t.sql.execute(transfers.update().where(transfers.c.id == number).values(arrived=arrived))


# ---- warehouses ------------------------------------------------------------------------------------------


def add_warehouse(t: Transaction, name: str, kind: str = "own", rank: int = 100, shared: bool = True) -> int:
    """A new warehouse; orders are filled from the lowest rank first. Who adds it keeps it (see `sees`)."""
    name = _named(name)
    try:
        added = t.sql.execute(
            warehouses.insert().returning(warehouses.c.id),
            row(Warehouse, name=name, kind=kind, rank=rank, created_at=t.now, shared=shared, keeper=t.actor),
        )
    except IntegrityError:
        raise Refused(f"There is a warehouse {name} already.", "zenv warehouses list") from None
    number = int(added.scalar_one())
    t.sql.execute(
        places.insert(),
        [{"warehouse_id": number, "state": state} for state in ("on_hand", "picked", "in_transit")],
    )
    t.forget_places()
    return number


def edit_warehouse(t: Transaction, name: str, new_name: str | None = None, rank: int | None = None,
                   shared: bool | None = None) -> None:  # fmt: skip
    """Rename a warehouse, change its rank, or who sees it."""
    changes: dict[str, str | int | bool] = {}
    if new_name is not None:
        changes["name"] = _named(new_name)
    if rank is not None:
        changes["rank"] = rank
    if shared is not None:
        changes["shared"] = shared
    if not changes:
        raise BadInput("Nothing to change was given.", "zenv warehouses edit --help")
    number = warehouse_id(t.sql, name)
    found = t.sql.execute(select(warehouses).where(warehouses.c.id == number)).one()
    if not sees(t.sql, t.actor, found):
        raise NotFound(f"There is no warehouse {_clean(name)!r}.", "zenv warehouses list")
    if shared is False and not found.keeper:
        changes["keeper"] = t.actor
    try:
        t.sql.execute(warehouses.update().where(warehouses.c.id == number).values(**changes))
    except IntegrityError:
        raise Refused(f"There is a warehouse {new_name} already.", "zenv warehouses list") from None


def deactivate_warehouse(t: Transaction, name: str) -> None:
    """Close a warehouse; refused while it holds or expects units, or is told to a channel."""
    number = warehouse_id(t.sql, name)
    units = t.sql.execute(
        select(func.coalesce(func.sum(levels.c.on_hand + levels.c.picked + levels.c.in_transit), 0)).where(
            levels.c.warehouse_id == number
        )
    ).scalar_one()
    if units:
        raise Refused(f"{name} still holds {units} units.", f"zenv stock levels --warehouse {name!r}")
    ends = (inbounds.c.destination_id == number) | (inbounds.c.source_id == number)
    begun = select(inbounds.c.number).where(ends, inbounds.c.state.not_in(("closed", "cancelled")))
    if (expected := t.sql.execute(begun.order_by(inbounds.c.id)).scalars().first()) is not None:
        raise Refused(f"{expected} has not ended, and begins or ends in {name}.", f"zenv inbound show {expected}")
    served = select(connections.c.name).join(sources, sources.c.connection_id == connections.c.id)
    told = t.sql.execute(served.where(sources.c.warehouse_id == number).order_by(connections.c.name)).scalars().all()
    if told:
        raise Refused(f"{name} is told to {', '.join(told)}; choose other warehouses there first.",
                      f"zenv connections edit {told[0]} --help")  # fmt: skip
    t.sql.execute(warehouses.update().where(warehouses.c.id == number).values(active=False))


def reactivate_warehouse(t: Transaction, name: str) -> None:
    """Open a closed warehouse again."""
    number = warehouse_id(t.sql, name)
    t.sql.execute(warehouses.update().where(warehouses.c.id == number).values(active=True))


def sees(sql: Connection, actor: str, warehouse: AnyRow) -> bool:
    """Whether a user may view a warehouse or request transfers from it (Z44, Z45): everybody, while it is shared; else
    who keeps it, and administrators. A courtesy between colleagues, not a wall: they all can read the ledger's file."""
    from zenv.ledger import users

    return bool(warehouse.shared) or warehouse.keeper == actor or users.is_administrator(sql, actor)


# ---- finding things by the names people use --------------------------------------------------------------


def item_id(sql: Connection, sku: str) -> int:
    """The item with this SKU; raises NotFound."""
    found = sql.execute(select(items.c.id).where(items.c.sku == sku)).scalar()
    if found is None:
        raise NotFound(f"There is no item {_clean(sku)!r}.", "zenv items list")
    return int(found)


def warehouse_id(sql: Connection, name: str) -> int:
    """The warehouse with this name; raises NotFound."""
    found = sql.execute(select(warehouses.c.id).where(warehouses.c.name == name)).scalar()
    if found is None:
        raise NotFound(f"There is no warehouse {_clean(name)!r}.", "zenv warehouses list")
    return int(found)


def own_warehouse(sql: Connection, name: str | None) -> int:
    """The own, active warehouse of this name; without a name the only one there is."""
    own = sql.execute(
        select(warehouses.c.id, warehouses.c.name, warehouses.c.shared)
        .where(warehouses.c.kind == "own", warehouses.c.active)
        .order_by(warehouses.c.rank, warehouses.c.name)
    ).all()
    if name is None and len(own) == 1:
        return int(own[0].id)
    if name is None:
        names = ", ".join(found.name for found in own if found.shared) or "none yet"
        raise BadInput(f"Which warehouse? There are: {names}.", "add --warehouse NAME")
    for found in own:
        if found.name == name:
            return int(found.id)
    warehouse_id(sql, name)
    raise Refused(f"{name} is not an own, active warehouse.", "zenv warehouses list")


def is_own(sql: Connection, warehouse: int) -> bool:
    """Whether a warehouse is our own, and not kept for us by somebody else."""
    return bool(sql.execute(select(warehouses.c.kind == "own").where(warehouses.c.id == warehouse)).scalar_one())


def supplying_warehouse(sql: Connection, name: str) -> int:
    """An active warehouse that orders may leave from: an own one, or one that a provider keeps for us."""
    columns = select(warehouses.c.id, warehouses.c.kind, warehouses.c.active)
    known = sql.execute(columns.where(warehouses.c.name == name)).one_or_none()
    if known is not None and known.kind == "zfn" and known.active:
        return int(known.id)
    return own_warehouse(sql, name)


def _named(name: str) -> str:
    name = _clean(name)
    if not name:
        raise BadInput("A warehouse needs a name.")
    return name


def _sensible(quantity: int) -> None:
    if not 0 < quantity <= MOST_UNITS:
        raise BadInput(f"{quantity} is not a sensible number of units.", f"give 1 to {MOST_UNITS}")


def _clean(text: str) -> str:
    return strip_control(text).strip()
