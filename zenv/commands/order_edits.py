"""Changes of orders for `zenv orders`, and what became of those that a provider or a channel decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from zenv import commands
from zenv.commands import Done, Value
from zenv.errors import Refused

if TYPE_CHECKING:
    from zenv.ledger.orders import NewOrder
    from zenv.ledger.transaction import Transaction


def created(t: Transaction, order: NewOrder, client: str | None) -> str:
    """Write a new order, of our own or for a client; its number."""
    from zenv.ledger import orders
    from zenv.ledger.zfn import taking

    return orders.create_order(t, order) if client is None else taking.enter(t, client, order)


def edited(
    numbers: Sequence[str], units: Mapping[str, int] | None, due: datetime | None, ship_from: str | None
) -> Value:
    """Change one order, or have several leave from another warehouse; all of them or none."""
    from zenv.ledger import order_changes

    if len(numbers) > 1 and (units or due):
        raise Refused("Several orders at once can only be given another warehouse.", "zenv orders edit --help")
    with commands.writing() as t:
        outcomes = [order_changes.edit(t, number, order_changes.Edit(units, due, ship_from)) for number in numbers]
    return _told(numbers, "requested" if "requested" in outcomes else "changed")


def _told(numbers: Sequence[str], outcome: str) -> Value:
    """What is so now, after the provider was asked."""
    from zenv.ledger import views

    said, trouble = [], None
    for number in numbers:
        state = views.handover(commands.home(), number) if outcome == "requested" else None
        if state is not None and state["refused"]:
            trouble = _refused(number, state)
            continue
        waits = state is not None and state["waits"]
        said.append(f"Order {number} {'will be changed when the provider agrees' if waits else 'is changed'}.")
    return Done("\n".join(said), {"orders": list(numbers), "outcome": outcome}, trouble)


def cancelled(number: str, outcome: str) -> Value:
    """What became of a cancellation that was asked for."""
    from zenv.ledger import views

    state = views.order(commands.home(), number)["state"] if outcome == "requested" else "cancelled"
    if state == "cancelled":
        return Done(f"Order {number} is cancelled.", {"number": number, "outcome": "cancelled"})
    handed = views.handover(commands.home(), number)
    if handed is not None and handed["refused"]:
        return Done("", {"number": number, "outcome": "refused"}, _refused(number, handed))
    who = "the provider" if handed is not None and handed["waits"] else "its channel"
    return Done(f"Order {number} will be cancelled when {who} agrees.", {"number": number, "outcome": outcome})


def _refused(number: str, state: Mapping[str, Any]) -> Refused:
    """The provider said no, and why."""
    said = state["why"] or f"{state['provider']} did not agree; order {number} stands as it was"
    return Refused(f"{said}.", f"zenv orders show {number}")


def handed(number: str) -> dict[str, Any]:
    """Which provider ships an order, under which number there, and whether it is still to be told something."""
    from zenv.ledger import views

    state = views.handover(commands.home(), number)
    if state is None:
        return {}
    told = "waits for the provider" if state["waits"] else state["state"]
    return {"provider": state["provider"], "number_there": state["remote_number"], "handed_over": told}
