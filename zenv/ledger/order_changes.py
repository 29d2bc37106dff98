"""Changing an order that is not done: what is wanted of it, when it must leave, from where, or that it is cancelled.

Where a provider ships it, or a channel has sold it, the change is theirs to agree to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from zenv.errors import BadInput, Refused
from zenv.facts import CANCEL_REASONS
from zenv.ledger.lines import Reshaped, held_for, put_back, refresh_states, reshape
from zenv.ledger.models import Order, OrderLine, Personal, Reservation
from zenv.ledger.notices import withdraw
from zenv.ledger.orders import items_of, kind_of, line_ids, open_lines, open_order, units_wanted
from zenv.ledger.stock import MOST_UNITS, is_own, supplying_warehouse
from zenv.ledger.transaction import AnyRow, Transaction, table
from zenv.ledger.zfn import handing, taking
from zenv.privacy import strip_control

orders, lines, reservations = table(Order), table(OrderLine), table(Reservation)
personal = table(Personal)


@dataclass(frozen=True)
class Edit:
    """What is to be different of an order: units per SKU, when it must leave, the warehouse all of it leaves from."""

    units: Mapping[str, int] | None = None
    ship_by: datetime | None = None
    ship_from: str | None = None


def edit(t: Transaction, number: str, change: Edit) -> str:
    """Change an order: "changed", or "requested" where a provider has it and decides. Raises Refused and BadInput, with
    nothing changed."""
    order = open_order(t.sql, number)
    if change == Edit():
        raise BadInput("Nothing to change was given.", "zenv orders edit --help")
    if change.ship_from is not None and change != Edit(ship_from=change.ship_from):
        raise BadInput(
            "Where an order leaves from is changed by itself.", f"zenv orders edit {number} --ship-from NAME"
        )
    if change.ship_from is not None:
        return leave_from(t, order, supplying_warehouse(t.sql, change.ship_from))
    units = _resized_lines(t.sql, order, change.units or {})
    if handing.is_away(t.sql, order.id):
        asked: dict[str, Any] = {"lines": {line.remote_id: wanted for line, wanted in units}}
        handing.wish(t, order, asked | ({"ship_by": change.ship_by.isoformat()} if change.ship_by else {}))
        return "requested"
    reshape(t, [resized(line, wanted) for line, wanted in units])
    if change.ship_by is not None:
        t.sql.execute(orders.update().where(orders.c.id == order.id).values(ship_by=change.ship_by))
    refresh_states(t, [order.id])
    _say(t, order)
    return "changed"


def _resized_lines(sql: Connection, order: AnyRow, units: Mapping[str, int]) -> list[tuple[AnyRow, int]]:
    if units and order.connection_id is not None and not _is_entered_here(sql, order):
        raise Refused(
            f"What order {order.number} is about is its channel's to say.", f"zenv orders show {order.number}"
        )
    found = []
    for sku, wanted in units.items():
        of_sku = sql.execute(select(lines).where(lines.c.order_id == order.id, lines.c.sku == sku)).all()
        if len(of_sku) != 1:
            raise BadInput(f"Order {order.number} has {len(of_sku)} lines of {_clean(sku)}.",
                           f"zenv orders show {order.number}")  # fmt: skip
        if not of_sku[0].cancelled + of_sku[0].shipped <= wanted <= MOST_UNITS:
            raise BadInput(f"{wanted} x {_clean(sku)} is not possible: {of_sku[0].shipped} have left.",
                           f"zenv orders show {order.number}")  # fmt: skip
        found.append((of_sku[0], wanted))
    return found


def _is_entered_here(sql: Connection, order: AnyRow) -> bool:
    """Whether we entered it for a client of ours."""
    return kind_of(sql, order) == "zfn_client" and order.remote_id.startswith("p:")


def resized(line: AnyRow, wanted: int) -> Reshaped:
    """A line with so many units ordered."""
    wanted = max(wanted, line.cancelled + line.shipped)
    return Reshaped(line.id, wanted, line.cancelled, wanted - line.cancelled - line.shipped)


# ---- where it leaves from --------------------------------------------------------------------------------


def leave_from(t: Transaction, order: AnyRow, warehouse: int) -> str:
    """All of an order leaves from this warehouse; "requested" where a provider has it and must let go first. Raises
    Refused for an order that cannot go to a provider."""
    if order.ship_from == warehouse and not _was_returned(t.sql, order.id):
        return "changed"
    if handing.is_away(t.sql, order.id):
        handing.wish(t, order, {"cancel": "no_stock", "ship_from": warehouse})
        return "requested"
    _fit_for(t.sql, order, warehouse)
    handing.let_go(t, order.id)
    withdraw(t, "returned", order.number)
    for held in held_for(t, line_ids(t.sql, order.id)):
        put_back(t, held, held.picked)
        t.sql.execute(reservations.delete().where(reservations.c.line_id == held.line_id))
    t.sql.execute(orders.update().where(orders.c.id == order.id).values(ship_from=warehouse))
    t.touch(*items_of(t.sql, order.id))
    t.hand(order.id)
    return "changed"


def _was_returned(sql: Connection, order: int) -> bool:
    known = handing.find(sql, order)
    return known is not None and known.state == "returned"


def _fit_for(sql: Connection, order: AnyRow, warehouse: int) -> None:
    """A provider gets an order in full only (2.1.8), and has to know where it goes."""
    if is_own(sql, warehouse):
        return
    if order.state == "part_shipped":
        raise Refused(f"Part of order {order.number} has left; a provider ships whole orders only.",
                      f"zenv orders show {order.number}")  # fmt: skip
    if (
        order.connection_id is None
        and sql.execute(select(personal).where(personal.c.order_id == order.id)).first() is None
    ):
        raise Refused(f"Order {order.number} has no recipient, so no provider could ship it.",
                      "zenv orders create --recipient")  # fmt: skip


# ---- cancelling ------------------------------------------------------------------------------------------


def cancel(t: Transaction, number: str, reason: str, units: Mapping[str, int] | None = None) -> str:
    """Cancel what is open, or `units` per SKU of a manual order.

    "cancelled": released at once. "requested": a channel decides; the stock stays reserved until it says so, so
    that a refused cancellation never sells the unit twice.
    """
    if reason not in CANCEL_REASONS:
        raise BadInput(f"{_clean(reason)!r} is no reason the channels know.",
                       "give one of: " + ", ".join(CANCEL_REASONS))  # fmt: skip
    order = open_order(t.sql, number)
    if handing.is_away(t.sql, order.id):
        return _ask_the_provider(t, order, reason, units)
    kind = kind_of(t.sql, order)
    if kind not in ("", "zfn_client"):
        return _ask_to_cancel(t, order, reason, units)
    _cancel_lines(t, order, units)
    refresh_states(t, [order.id])
    withdraw(t, "returned", number)
    _say(t, order)
    return "cancelled"


def _say(t: Transaction, order: AnyRow) -> None:
    """The provider that ships it, or the client we ship it for, is told that it has changed."""
    t.hand(order.id)
    taking.changed(t, [order.id])


def _ask_the_provider(t: Transaction, order: AnyRow, reason: str, units: Mapping[str, int] | None) -> str:
    if units is not None:
        less = {line.remote_id: line.quantity - gone for line, gone in _fewer(t.sql, order, units)}
        handing.wish(t, order, {"lines": less})
    else:
        t.sql.execute(
            orders.update().where(orders.c.id == order.id).values(cancelling="requested", cancel_reason=reason)
        )
        handing.wish(t, order, {"cancel": reason})
    return "requested"


def _ask_to_cancel(t: Transaction, order: AnyRow, reason: str, units: Mapping[str, int] | None) -> str:
    if units is not None:
        raise Refused("Amazon cancels whole orders only; nothing was changed.",
                      f"zenv orders cancel {order.number}")  # fmt: skip
    if order.state == "part_shipped":
        raise Refused(f"Part of order {order.number} has been shipped, so it cannot be cancelled as a whole.",
                      f"zenv orders show {order.number}")  # fmt: skip
    asked = {"cancelling": "requested", "cancel_reason": reason}
    t.sql.execute(orders.update().where(orders.c.id == order.id).values(**asked))
    t.tell(order.connection_id, "cancellation", order.id)
    return "requested"


def _cancel_lines(t: Transaction, order: AnyRow, units: Mapping[str, int] | None) -> None:
    fewer = _fewer(t.sql, order, units)
    reshape(t, [Reshaped(line.id, line.quantity, line.cancelled + less, line.open - less) for line, less in fewer])


def _fewer(sql: Connection, order: AnyRow, units: Mapping[str, int] | None) -> list[tuple[AnyRow, int]]:
    """The open lines of an order, each with how many of its units are to go. Raises BadInput for units it has not."""
    wanted, fewer = units_wanted(order, units), []
    for line in open_lines(sql, order.id):
        less = line.open if wanted is None else min(wanted.get(line.sku, 0), line.open)
        if wanted is not None and less:
            wanted[line.sku] -= less
        fewer.append((line, less))
    left = [f"{count} x {_clean(sku)}" for sku, count in (wanted or {}).items() if count]
    if left:
        raise BadInput(f"Order {order.number} has no open {', '.join(left)}.", f"zenv orders show {order.number}")
    return fewer


def _clean(text: str) -> str:
    return strip_control(text).strip()
