"""What is still with a provider and keeps us from parting: units on its shelves, orders not done (Z37, Z38)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select

from zenv.errors import Refused
from zenv.ledger.models import Fulfilment, Item, Level, Order
from zenv.ledger.settle import OPEN_STATES
from zenv.ledger.transaction import AnyRow, table

levels, items, fulfilments, orders = table(Level), table(Item), table(Fulfilment), table(Order)


def demand_none(sql: Connection, link: AnyRow) -> None:
    """Raises Refused, listing what is left; `link` as in `links.demand_linked`."""
    units = [f"{found.sku}: {found.on_hand} on hand, {found.picked} picked, {found.in_transit} in transit"
             for found in _units(sql, link)]  # fmt: skip
    open_orders = _open_orders(sql, link)
    if units or open_orders:
        left = units + ([f"orders {', '.join(open_orders)}"] if open_orders else [])
        raise Refused(f"{link.warehouse} is not empty, so it stays connected. Left: {'; '.join(left)}.",
                      f"zenv stock levels --warehouse '{link.warehouse}'")  # fmt: skip


def _units(sql: Connection, link: AnyRow) -> Sequence[AnyRow]:
    there = levels.c.on_hand + levels.c.picked + levels.c.in_transit
    return sql.execute(
        select(items.c.sku, levels.c.on_hand, levels.c.picked, levels.c.in_transit)
        .join(items, items.c.id == levels.c.item_id)
        .where(levels.c.warehouse_id == link.warehouse_id, there > 0)
        .order_by(items.c.sku)
    ).all()


def _open_orders(sql: Connection, link: AnyRow) -> Sequence[str]:
    """The numbers of orders that the provider has, or is to have, and that are not done."""
    ours = select(fulfilments.c.order_id).where(
        fulfilments.c.connection_id == link.connection_id, fulfilments.c.state.in_(("wanted", "handed"))
    )
    there = orders.c.id.in_(ours) | (orders.c.connection_id == link.connection_id)
    query = select(orders.c.number).where(there, orders.c.state.in_(OPEN_STATES))
    return sql.execute(query.order_by(orders.c.number)).scalars().all()
