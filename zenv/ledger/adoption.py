"""A listing that matches no item becomes one (A3, A5, F6, F9).

The new item opens with the stock the remote shows, plus the units of orders placed before that was seen and
not yet shipped: the remote has taken those from its quantity already, but they are still on the shelf. From
then on the ledger is master and the remote's quantity is only looked at (F12). A variation brings its parent
along, so that no order of arrival leaves a child without one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, and_, bindparam, case, func, or_, select

from zenv.errors import SettingsError
from zenv.ledger import linking
from zenv.ledger.catalog import find_ids, insert_items, open_many, set_parents
from zenv.ledger.gtin import gtin14, is_gtin
from zenv.ledger.models import Item, Listing, Order, OrderLine
from zenv.ledger.settle import OPEN_STATES, read_sources
from zenv.ledger.transaction import Transaction, in_chunks, row, table
from zenv.ledger.zfn import sharing

items, listings = table(Item), table(Listing)
orders, lines = table(Order), table(OrderLine)


def first_shelf(t: Transaction, connection: int) -> int | None:
    """The warehouse in which opening stock is booked: the first from which the connection is filled."""
    return next(iter(read_sources(t.sql).own(connection)), None)


def adopt(t: Transaction, connection: int, listing_ids: Iterable[int]) -> int:
    """Make items of these unlinked listings of one connection, and of their parents. How many were made.

    A listing whose SKU an item has already is left alone: somebody has unlinked the two. Listings with the
    same GTIN become one item. Raises SettingsError when there is stock and no warehouse to open it in.
    """
    makers = _makers(t, _unlinked(t, listing_ids))
    ids = insert_items(t, [_item(listing) for listing in makers])
    linking.join(t, {listing.id: ids[listing.sku] for listing in makers})
    linking.link_waiting(t, ids.values())
    sharing.changed(t, ids.values(), told_by=connection)
    _open(t, connection, [listing for listing in makers if _has_stock(listing)])
    parents = _adopt_parents(t, connection, makers)
    _join_families(t, connection, makers)
    return len(makers) + parents


def complete(t: Transaction, connection: int, listing_ids: Sequence[int], with_parents: bool) -> None:
    """The details of listings arrived after they had become items: fill in what those items lack."""
    ours = and_(items.c.id == listings.c.item_id, items.c.sku == listings.c.sku)
    lacking = or_(items.c.gtin.is_(None), items.c.name == "", items.c.attributes == "{}", items.c.parent_id.is_(None))
    query = select(listings).join(items, ours).where(lacking)
    found: list[Row[Any]] = []
    for chunk in in_chunks(listing_ids):
        found += t.sql.execute(query.where(listings.c.id.in_(chunk))).all()
    if not found:
        return
    t.many(_fill_in, [_prefixed(listing) for listing in found])
    sharing.changed(t, [listing.item_id for listing in found], told_by=connection)
    linking.link_waiting(t, [listing.item_id for listing in found if listing.gtin])
    if with_parents:
        _adopt_parents(t, connection, found)
        _join_families(t, connection, found)


_fill_in = (
    items.update()
    .where(items.c.id == bindparam("item"))
    .values(
        gtin=func.coalesce(items.c.gtin, bindparam("now_gtin")),
        name=case((items.c.name == "", bindparam("now_name")), else_=items.c.name),
        attributes=case((items.c.attributes == "{}", bindparam("now_attributes")), else_=items.c.attributes),
    )
)


def _prefixed(listing: Row[Any]) -> dict[str, Any]:
    known = _item(listing)
    return {"item": listing.item_id} | {f"now_{name}": known[name] for name in ("gtin", "name", "attributes")}


def _unlinked(t: Transaction, listing_ids: Iterable[int]) -> list[Row[Any]]:
    found: list[Row[Any]] = []
    for chunk in in_chunks(listing_ids):
        query = select(listings).where(listings.c.id.in_(chunk), linking.UNLINKED).order_by(listings.c.id)
        found += t.sql.execute(query).all()
    return found


def _makers(t: Transaction, found: Sequence[Row[Any]]) -> list[Row[Any]]:
    """Of listings with the same GTIN the first that carries stock; all others are linked to its item."""
    taken = find_ids(t.sql, [listing.sku for listing in found])
    first: dict[str, Row[Any]] = {}
    for listing in sorted(found, key=lambda listing: not _has_stock(listing)):
        if listing.sku not in taken:
            first.setdefault(_identity(listing), listing)
    return list(first.values())


def _identity(listing: Row[Any]) -> str:
    has_gtin = is_gtin(listing.gtin) and not listing.is_parent
    return f"gtin {gtin14(listing.gtin)}" if has_gtin else f"sku {listing.sku}"


def _item(listing: Row[Any]) -> dict[str, Any]:
    gtin = listing.gtin if is_gtin(listing.gtin) and not listing.is_parent else None
    return {"sku": listing.sku, "name": listing.name, "gtin": gtin, "attributes": listing.attributes}


# ---- stock -----------------------------------------------------------------------------------------------


def _has_stock(listing: Row[Any]) -> bool:
    return listing.fulfilled_by == "merchant" and not listing.is_parent and listing.channel_quantity is not None


def _open(t: Transaction, connection: int, makers: Sequence[Row[Any]]) -> None:
    units = _opening_units(t, [listing.id for listing in makers])
    if any(units.values()):
        shelf = first_shelf(t, connection)
        if shelf is None:
            raise SettingsError("There is no warehouse for the opening stock.", "zenv warehouses add NAME")
        open_many(t, shelf, units.items(), "first seen at the channel")
    t.many(_opened, [{"listing": listing.id, "at": listing.observed_at or t.now} for listing in makers])


_opened = listings.update().where(listings.c.id == bindparam("listing")).values(opened_at=bindparam("at"))


def _opening_units(t: Transaction, listing_ids: Sequence[int]) -> dict[int, int]:
    """Item -> units on the shelf now, worked out from the quantity the remote showed at `observed_at`."""
    seen_at = func.coalesce(listings.c.observed_at, t.now)
    open_units = case(
        (orders.c.state.in_(OPEN_STATES), lines.c.quantity - lines.c.cancelled - lines.c.shipped), else_=0
    )
    # Sold before we looked: taken from the remote's quantity, still here. Sold after: gone if it was shipped.
    change = case((orders.c.placed_at < seen_at, open_units), else_=-lines.c.shipped)
    by_merchant = and_(orders.c.id == lines.c.order_id, orders.c.fulfilled_by == "merchant")
    sold = (
        select(lines.c.listing_id, func.sum(change).label("change"))
        .join(orders, by_merchant)
        .join(listings, listings.c.id == lines.c.listing_id)
        .group_by(lines.c.listing_id)
    )
    units: dict[int, int] = {}
    for chunk in in_chunks(listing_ids):
        changes = {listing: by for listing, by in t.sql.execute(sold.where(lines.c.listing_id.in_(chunk)))}
        live = select(listings.c.id, listings.c.item_id, listings.c.channel_quantity)
        for listing, item, quantity in t.sql.execute(live.where(listings.c.id.in_(chunk))):
            units[item] = max(0, quantity + changes.get(listing, 0))
    return units


# ---- variations ------------------------------------------------------------------------------------------


def _adopt_parents(t: Transaction, connection: int, children: Sequence[Row[Any]]) -> int:
    """Items for the parents of these listings, also for parents the remote has named but not shown yet."""
    wanted = {child.parent_sku for child in children if _has_parent(child)}
    if not wanted:
        return 0
    known = _listings_by_sku(t, connection, wanted)
    named = {"connection_id": connection, "is_parent": True, "needs_detail": True, "first_seen_at": t.now}
    t.insert(Listing, [row(Listing, sku=sku, **named) for sku in sorted(wanted - known.keys())])
    parents = [found for found in _listings_by_sku(t, connection, wanted).values() if found.item_id is None]
    linked = linking.link_equal(t, [linking.candidate(found) for found in parents])
    makers = _makers(t, [found for found in parents if found.id not in linked and found.status != "deleted"])
    ids = insert_items(t, [_item(found) for found in makers])
    linking.join(t, {found.id: ids[found.sku] for found in makers})
    sharing.changed(t, ids.values(), told_by=connection)
    return len(makers)


def _has_parent(listing: Row[Any]) -> bool:
    return not listing.is_parent and listing.parent_sku not in ("", listing.sku)


def _listings_by_sku(t: Transaction, connection: int, skus: Iterable[str]) -> dict[str, Row[Any]]:
    found: dict[str, Row[Any]] = {}
    for chunk in in_chunks(skus):
        query = select(listings).where(listings.c.connection_id == connection, listings.c.sku.in_(chunk))
        found.update({listing.sku: listing for listing in t.sql.execute(query)})
    return found


def _join_families(t: Transaction, connection: int, children: Sequence[Row[Any]]) -> None:
    """Give the items made of these listings their parents. Two generations only, so that no circle can arise."""
    named = {child.sku: child.parent_sku for child in children if _has_parent(child)}
    mothers = _listings_by_sku(t, connection, set(named.values()))
    ids = find_ids(t.sql, named)
    pairs = {
        ids[sku]: mothers[parent].item_id
        for sku, parent in named.items()
        if parent in mothers and mothers[parent].item_id is not None
    }
    generation = _generations(t, {*pairs.keys(), *pairs.values()})
    set_parents(t, [
        (child, parent)
        for child, parent in pairs.items()
        if child != parent and parent not in pairs and not generation.get(child) and generation.get(parent) != "child"
    ])  # fmt: skip


def _generations(t: Transaction, item_ids: Iterable[int]) -> dict[int, str]:
    """Which of these items are somebody's "child" or "parent" already."""
    found: dict[int, str] = {}
    for chunk in in_chunks(item_ids):
        has_parent = select(items.c.id).where(items.c.id.in_(chunk), items.c.parent_id.is_not(None))
        has_child = select(items.c.parent_id).where(items.c.parent_id.in_(chunk)).distinct()
        found.update(dict.fromkeys(t.sql.execute(has_child).scalars(), "parent"))
        found.update(dict.fromkeys(t.sql.execute(has_parent).scalars(), "child"))
    return found
