"""Setting the links of a connection's listings anew (Z30 to Z34): by SKU, else by GTIN, and never a new item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection as Sql
from sqlalchemy import select

from zenv.errors import LoginNeeded, Refused
from zenv.ledger import connections as connection_book
from zenv.ledger import linking, listings
from zenv.ledger.models import Connection, Listing, StockSource
from zenv.ledger.stock import own_warehouse
from zenv.ledger.transaction import AnyRow, Transaction, table
from zenv.ledger.zfn import links

rows, connections, sources = table(Listing), table(Connection), table(StockSource)


@dataclass(frozen=True)
class Remapped:
    """How many listings got an item, how many got another one, and those that have none."""

    linked: int
    replaced: int
    without_item: Sequence[str]


def remap(t: Transaction, connection: AnyRow) -> Remapped:
    """Link every listing of a connection to the item it should have. A link to another item than the one with
    exactly its SKU is stale and is replaced; a person's link to an item of another name stays where no item has the
    SKU."""
    standing = t.sql.execute(
        select(rows).where(rows.c.connection_id == connection.id, rows.c.status != "deleted").order_by(rows.c.sku)
    ).all()
    stale = _stale(t, standing)
    for listing in stale:
        listings.unlink(t, listing.sku, connection.name)
    apart = [listing for listing in standing if listing.item_id is None] + stale
    found = linking.link_equal(t, [linking.candidate(listing) for listing in apart])
    return Remapped(len(found) - len(stale), len(stale), [one.sku for one in apart if one.id not in found])


def _stale(t: Transaction, standing: Sequence[AnyRow]) -> list[AnyRow]:
    linked = [listing for listing in standing if listing.item_id is not None]
    rightful = linking.find_items(t.sql, [linking.Candidate(listing.id, listing.sku) for listing in linked])
    return [listing for listing in linked if rightful.get(listing.id, listing.item_id) != listing.item_id]


def sellers(sql: Sql, warehouse: str) -> Sequence[AnyRow]:
    """The live connections whose stock comes from a warehouse; of one that a provider keeps, the provider's. Raises
    NotFound for a warehouse there is not, Refused with the way out where there is no live connection (Z34)."""
    if links.is_kept(sql, warehouse):
        return [connection_book.find(sql, links.demand_linked(sql, warehouse).connection)]
    supplied = select(sources.c.connection_id).where(sources.c.warehouse_id == own_warehouse(sql, warehouse))
    found = sql.execute(
        select(connections).where(connections.c.id.in_(supplied), connections.c.status != "removed")
        .order_by(connections.c.name)
    ).all()  # fmt: skip
    live = [one for one in found if one.status == "active"]
    if live:
        return live
    for one in found:
        if one.status == "needs_login":
            raise LoginNeeded(f"{one.name}, which sells from {warehouse}, needs a login.",
                              f"zenv connections login {one.name}")  # fmt: skip
    way_out = f"zenv connections enable {found[0].name}" if found else "zenv connect amazon"
    raise Refused(f"No live connection sells from warehouse {warehouse}, so there is nothing to read.", way_out)
