"""The rows of inbounds and their lines, and what is set aside for transfers on the shelves they leave from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection as Sql
from sqlalchemy import func, select

from zenv.errors import NotFound
from zenv.ledger.models import Inbound, InboundLine, Movement, Order
from zenv.ledger.transaction import AnyRow, Transaction, among, table
from zenv.privacy import strip_control

inbounds, lines = table(Inbound), table(InboundLine)
movements, orders = table(Movement), table(Order)

PREFIX = {"purchase": "PO", "transfer": "TO"}
ENDED = ("closed", "cancelled")


def find(sql: Sql, number: str) -> AnyRow:
    """The inbound with this number; raises NotFound."""
    found = sql.execute(select(inbounds).where(inbounds.c.number == number)).one_or_none()
    if found is None:
        raise NotFound(f"There is no inbound {strip_control(number)!r}.", "zenv inbound list")
    return found


def of_remote(sql: Sql, connection: int, reference: str) -> AnyRow | None:
    """The inbound that both sides of a link name so."""
    this = (inbounds.c.connection_id == connection, inbounds.c.remote_id == reference)
    return sql.execute(select(inbounds).where(*this)).one_or_none()


def again(sql: Sql, inbound: AnyRow) -> AnyRow:
    """The inbound as it stands now."""
    return sql.execute(select(inbounds).where(inbounds.c.id == inbound.id)).one()


def lines_of(sql: Sql, inbound: int) -> Sequence[AnyRow]:
    """The lines of an inbound, in their order."""
    return sql.execute(select(lines).where(lines.c.inbound_id == inbound).order_by(lines.c.id)).all()


def change(t: Transaction, inbound: int, **values: Any) -> None:
    """Give an inbound these values."""
    t.sql.execute(inbounds.update().where(inbounds.c.id == inbound).values(**values))


def change_line(t: Transaction, line: int, **values: Any) -> None:
    """Give a line these counts."""
    t.sql.execute(lines.update().where(lines.c.id == line).values(**values))


def recount(t: Transaction, inbound: int, item: int, picked: int, sent: int, received: int) -> None:
    """The lines of an item count these units: each as many as it is for, the last one the rest."""
    mine = [line for line in lines_of(t.sql, inbound) if line.item_id == item]
    for line in mine:
        most = max(picked + sent, received) if line is mine[-1] else line.quantity
        hands, gone, came = min(picked, most), min(sent, most - min(picked, most)), min(received, most)
        quantity = max(line.quantity, hands + gone)
        change_line(t, line.id, quantity=quantity, picked=hands, sent=gone, received=came,
                    allocated=min(line.allocated, quantity - hands - gone))  # fmt: skip
        picked, sent, received = picked - hands, sent - gone, received - came


def close(t: Transaction, inbound: AnyRow) -> None:
    """Nothing more of it is to come."""
    change(t, inbound.id, state="closed", closed_at=t.now)


def bare(inbound: AnyRow) -> str:
    """Its number without the PO- or TO- in front: a provider puts our own number in between."""
    return str(inbound.number).removeprefix(f"{PREFIX[inbound.kind]}-")


def next_number(sql: Sql, kind: str) -> str:
    """The next free number of a kind: PO-1, TO-1."""
    ours = select(func.count()).where(inbounds.c.kind == kind, inbounds.c.number.startswith(f"{PREFIX[kind]}-"))
    count = int(sql.execute(ours).scalar_one()) + 1
    while taken(sql, f"{PREFIX[kind]}-{count}"):
        count += 1
    return f"{PREFIX[kind]}-{count}"


def taken(sql: Sql, number: str) -> bool:
    """Whether an inbound, an order or a movement has this number: its movements could not be told from theirs."""
    uses = ((inbounds.c.id, inbounds.c.number), (orders.c.id, orders.c.number), (movements.c.id, movements.c.reference))
    return any(sql.execute(select(key).where(named == number).limit(1)).first() is not None for key, named in uses)


# ---- set aside for transfers -----------------------------------------------------------------------------


def allocated(sql: Sql, items: Sequence[int]) -> dict[tuple[int, int], int]:
    """(item, warehouse) -> units on its shelf that are set aside for transfers."""
    found = sql.execute(
        select(lines.c.item_id, inbounds.c.source_id, func.sum(lines.c.allocated))
        .join(inbounds, inbounds.c.id == lines.c.inbound_id)
        .where(among(lines.c.item_id, items), lines.c.allocated > 0)
        .group_by(lines.c.item_id, inbounds.c.source_id)
    )
    return {(item, warehouse): int(units) for item, warehouse, units in found}


def give_back(t: Transaction, item: int, warehouse: int, units: int) -> int:
    """Transfers give up to so many units of the shelf up, the youngest transfer first. How many they gave."""
    this = (lines.c.item_id == item, inbounds.c.source_id == warehouse, lines.c.allocated > 0)
    found = t.sql.execute(
        select(lines.c.id, lines.c.allocated)
        .join(inbounds, inbounds.c.id == lines.c.inbound_id)
        .where(*this)
        .order_by(inbounds.c.id.desc(), lines.c.id.desc())
    ).all()
    left = units
    for line in found:
        less = min(left, line.allocated)
        if less > 0:
            change_line(t, line.id, allocated=line.allocated - less)
            left -= less
    return units - left


def under_way(sql: Sql, warehouse: int, items: Iterable[int] | None = None) -> dict[int, int]:
    """Item -> units that our own transfers have under way to this warehouse."""
    query = (
        select(lines.c.item_id, func.sum(lines.c.sent - lines.c.received))
        .join(inbounds, inbounds.c.id == lines.c.inbound_id)
        .where(inbounds.c.destination_id == warehouse, inbounds.c.source_id.is_not(None),
               inbounds.c.state.not_in(ENDED), lines.c.sent > lines.c.received)
        .group_by(lines.c.item_id)
    )  # fmt: skip
    chosen = query if items is None else query.where(among(lines.c.item_id, items))
    return {item: int(units) for item, units in sql.execute(chosen)}
