"""What a provider says of the orders that were handed to it: its answer to a snapshot, and what it will not ship."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from zenv.errors import Refused
from zenv.facts import Handover, Message, Receipt
from zenv.ledger import order_changes
from zenv.ledger.lines import refresh_states, reshape
from zenv.ledger.models import Link, Order, OrderLine
from zenv.ledger.notices import notice
from zenv.ledger.orders import deallocate
from zenv.ledger.outbox import Owed
from zenv.ledger.settle import OPEN_STATES
from zenv.ledger.transaction import AnyRow, Transaction, table
from zenv.ledger.zfn import handing

if TYPE_CHECKING:
    from zenv import wire

orders, lines, links = table(Order), table(OrderLine), table(Link)

GOES_ON = ("being picked", "shipped")
"""Reasons that only a provider has who took the order in some version."""


def book(
    t: Transaction, sent: Mapping[int, Owed], messages: Mapping[int, Message], receipts: Sequence[Receipt]
) -> None:
    """Write down what the provider answered. A wish comes true, or is over and said so on the inbox."""
    known = handing.find_all(t.sql, [sent[receipt.key].subject for receipt in receipts])
    taken: list[tuple[int, int, str]] = []
    for receipt in receipts:
        fulfilment, message = known.get(sent[receipt.key].subject), messages.get(receipt.key)
        if fulfilment is None or not isinstance(message, Handover) or receipt.outcome not in ("done", "refused"):
            continue
        if receipt.outcome == "done" and not fulfilment.wish:
            taken.append((fulfilment.order_id, message.order.version, receipt.remote_ref))
        else:
            _decided(t, fulfilment, message.order.version, receipt)
    handing.answered(t, taken)


def _decided(t: Transaction, known: AnyRow, version: int, receipt: Receipt) -> None:
    order = _order(t, known.order_id)
    wish = json.loads(known.wish) if known.wish and version == known.version else {}
    if receipt.outcome == "done":
        handing.answered(t, [(order.id, version, receipt.remote_ref)])
        _come_true(t, order, wish)
    else:
        _refused(t, order, known, wish, receipt.reason, version)


def _order(t: Transaction, order: int) -> AnyRow:
    return t.sql.execute(select(orders).where(orders.c.id == order)).one()


def _come_true(t: Transaction, order: AnyRow, wish: Mapping[str, Any]) -> None:
    """The provider agreed: the change is made here, too, and is no news to the provider."""
    if not wish:
        return
    handing.end_wish(t, order.id)
    if "lines" in wish:
        _reshape(t, order, wish["lines"])
    if wish.get("ship_by"):
        t.sql.execute(
            orders.update().where(orders.c.id == order.id).values(ship_by=datetime.fromisoformat(wish["ship_by"]))
        )
    if wish.get("cancel"):
        handing.let_go(t, order.id)
        t.sql.execute(orders.update().where(orders.c.id == order.id).values(cancelling="", ship_from=None))
        _after_cancelling(t, order, wish)
    else:
        handing.told_as_it_stands(t, order.id)


def _after_cancelling(t: Transaction, order: AnyRow, wish: Mapping[str, Any]) -> None:
    try:
        with t.sql.begin_nested():
            _let_it_leave(t, order, wish)
    except Refused as error:
        # Something happened to it since it was wished for; the provider has let go all the same.
        notice(t, "returned", order.number, error.message, f"zenv orders show {order.number}")


def _let_it_leave(t: Transaction, order: AnyRow, wish: Mapping[str, Any]) -> None:
    if "ship_from" in wish:
        order_changes.leave_from(t, _order(t, order.id), wish["ship_from"])
    elif order.state in OPEN_STATES:
        # A channel may still say no: then it goes from own shelves, or is handed over anew.
        deallocate(t, order.number)
        order_changes.cancel(t, order.number, wish["cancel"])


def _reshape(t: Transaction, order: AnyRow, units: Mapping[str, int]) -> None:
    found = t.sql.execute(select(lines).where(lines.c.order_id == order.id)).all()
    changed = [(line, units[line.remote_id]) for line in found if line.remote_id in units]
    reshape(t, [order_changes.resized(line, wanted) for line, wanted in changed])
    refresh_states(t, [order.id])


def _refused(t: Transaction, order: AnyRow, known: AnyRow, wish: Mapping[str, Any], reason: str, version: int) -> None:
    provider = _provider(t, known.connection_id)
    # Its answer to an earlier version may have been lost.
    has_it = bool(known.told) or reason in GOES_ON
    handing.refused(t, order.id, version, returned=not has_it)
    if wish.get("cancel") or (not has_it and order.cancelling == "requested"):
        t.sql.execute(orders.update().where(orders.c.id == order.id).values(cancelling="refused"))
    if not has_it:
        _returned(t, order, provider, f"{provider} will not ship order {order.number} ({reason})")
    elif wish:
        said = f"{provider} did not agree to a change of order {order.number} ({reason}); the order stands as it was"
        notice(t, "change refused", order.number, said)
    else:
        said = f"order {order.number} has changed, but {provider} goes on as it was ({reason})"
        notice(t, "change refused", order.number, said)


def _provider(t: Transaction, connection: int) -> str:
    return str(t.sql.execute(select(links.c.provider).where(links.c.connection_id == connection)).scalar_one())


def _returned(t: Transaction, order: AnyRow, provider: str, said: str) -> None:
    notice(t, "returned", order.number, said, f"zenv orders edit {order.number} --ship-from WAREHOUSE")


def record_state(t: Transaction, connection: int, state: wire.OrderState) -> None:
    """An order of ours as the provider has it: it will not ship some units of it, or any. Nothing is cancelled here:
    the customer still waits, and a person decides."""
    from zenv import wire as spoken

    number = spoken.number_in(state.order)[1]
    order = t.sql.execute(select(orders).where(orders.c.number == number)).one_or_none()
    known = handing.find(t.sql, order.id) if order is not None else None
    if order is None or known is None or known.connection_id != connection or known.state == "returned":
        return
    provider, ours = _provider(t, connection), _cancelled_here(t, order.id)
    if state.cancelled and any(line.quantity - ours.get(line.line, 0) > 0 for line in state.lines):
        handing.refused(t, order.id, known.version, returned=True)
        _returned(t, order, provider, f"{provider} will not ship order {order.number}")
        return
    short = [f"{line.cancelled - ours.get(line.line, 0)} x {line.sku}" for line in state.lines
             if line.cancelled > ours.get(line.line, 0)]  # fmt: skip
    if short:
        notice(t, "returned", order.number, f"{provider} will not ship {', '.join(short)} of order {order.number}")


def _cancelled_here(t: Transaction, order: int) -> dict[str, int]:
    found = t.sql.execute(select(lines.c.remote_id, lines.c.cancelled).where(lines.c.order_id == order))
    return {line: cancelled for line, cancelled in found}
