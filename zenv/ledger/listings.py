"""Listings as a person handles them: confirm as a new item, link to an item, unlink; and as orders meet them.

What a remote says of listings is recorded in `listing_facts`. An unlinked listing waits on the inbox together
with its order lines; nothing is dropped for want of an item. What a person unlinked stays unlinked until the
details of the listing change or a new item matches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import linking
from zenv.ledger.adoption import adopt
from zenv.ledger.item_files import plain, trimmed
from zenv.ledger.lines import Reshaped, reshape
from zenv.ledger.linking import UNLINKED, join
from zenv.ledger.models import Connection as ConnectionRow
from zenv.ledger.models import Item, Listing, Order, OrderLine
from zenv.ledger.settle import OPEN_STATES
from zenv.ledger.stock import item_id
from zenv.ledger.transaction import Transaction, in_chunks, row, table

items, listings, connections = table(Item), table(Listing), table(ConnectionRow)
orders, lines = table(Order), table(OrderLine)


@dataclass(frozen=True)
class Unconfirmed:
    """A listing that matches no item: what is known of it, how many order lines wait for it, and the one item
    of the same name, if there is one."""

    connection: str
    sku: str
    name: str
    gtin: str
    fulfilled_by: str
    live: int | None
    waiting_lines: int
    suggested: str


def bind_lines(t: Transaction, connection: int, skus: Iterable[str]) -> dict[str, tuple[int, int | None]]:
    """SKU -> (listing, item) for the lines of orders. A SKU never seen gets a listing of its own, linked if an
    item has that SKU, else waiting on the inbox: no order is dropped (trap d).
    """
    wanted = {sku: trimmed(sku) for sku in skus}
    known = _bound(t.sql, connection, wanted.values())
    unseen = set(wanted.values()) - known.keys()
    if unseen:
        # Until the remote has shown it, nobody knows which leg it has: "both" is never told any stock.
        about = {"connection_id": connection, "fulfilled_by": "both", "needs_detail": True, "first_seen_at": t.now}
        t.insert(Listing, [row(Listing, sku=sku, **about) for sku in sorted(unseen)])
        made = _bound(t.sql, connection, unseen)
        linking.link_equal(t, [linking.Candidate(listing, sku) for sku, (listing, _) in made.items()])
        known |= _bound(t.sql, connection, unseen)
    return {sku: known[name] for sku, name in wanted.items()}


def _bound(sql: Connection, connection: int, skus: Iterable[str]) -> dict[str, tuple[int, int | None]]:
    found: dict[str, tuple[int, int | None]] = {}
    for chunk in in_chunks(set(skus)):
        query = select(listings.c.sku, listings.c.id, listings.c.item_id)
        rows = sql.execute(query.where(listings.c.connection_id == connection, listings.c.sku.in_(chunk)))
        found.update({sku: (listing, item) for sku, listing, item in rows})
    return found


def quantity_moved(t: Transaction, listing_ids: Iterable[int | None]) -> None:
    """A sale or a cancellation changed the remote's own quantity: what it was told last is not what it shows now,
    so it is told again, even the same number (a sale and a delivery of as many units cancel out here, not there).
    """
    for chunk in in_chunks({listing for listing in listing_ids if listing is not None}):
        t.sql.execute(listings.update().where(listings.c.id.in_(chunk)).values(submitted=None, submitted_handling=None))


def offer(t: Transaction, connection: int, known: Mapping[str, tuple[int, Mapping[str, Any]]]) -> None:
    """Items (SKU there -> item here and what is known of it) under the SKUs by which a client of ours calls them. They
    are sold nowhere, so they are never told any stock."""
    about = {"connection_id": connection, "fulfilled_by": "both", "first_seen_at": t.now}
    rows = [
        row(Listing, sku=sku, item_id=item, name=said["name"], gtin=said["gtin"] or "", **about)
        for sku, (item, said) in known.items()
    ]
    t.insert(Listing, rows)


def heard(t: Transaction, connection: int, at: Mapping[str, datetime]) -> None:
    """When a client of ours last said what these items (by SKU) are."""
    said = [{"owner": connection, "known": sku, "at": when} for sku, when in at.items()]
    t.many(_heard, said)


_heard = (
    listings.update()
    .where(listings.c.connection_id == bindparam("owner"), listings.c.sku == bindparam("known"))
    .values(observed_at=bindparam("at"))
)


def confirm(t: Transaction, listing_sku: str | None = None, connection: str | None = None) -> int:
    """Make a new item of an unlinked listing, or of all of them, each opening with its stock (F6, F9).

    A variation parent is made along. How many items were made. Raises NotFound, BadInput when several
    connections have such a listing, Refused when it is linked or an item has its SKU.
    """
    if listing_sku is None:
        return sum(_confirm_all(t, owner) for owner in _connection_ids(t.sql, connection))
    listing = find_listing(t.sql, listing_sku, connection)
    if listing.item_id is not None:
        raise Refused(f"{listing.sku} of {listing.connection} is linked to {listing.item} already.",
                      f"zenv items show {listing.item}")  # fmt: skip
    if listing.status == "deleted":
        raise Refused(f"{listing.sku} was deleted at {listing.connection}.", "zenv items unconfirmed")
    made = adopt(t, listing.connection_id, [listing.id])
    if not made:
        raise Refused(f"There is an item {listing.sku} already; nothing was made.",
                      f"zenv items link {listing.sku} {listing.sku}")  # fmt: skip
    return made


def _confirm_all(t: Transaction, connection: int) -> int:
    waiting = select(listings.c.id).where(UNLINKED, listings.c.connection_id == connection)
    return adopt(t, connection, list(t.sql.execute(waiting).scalars()))


def link(t: Transaction, listing_sku: str, item_sku: str, connection: str | None = None) -> int:
    """Merge an unconfirmed listing into an item (H23). The number of order lines that had waited for it.

    The ledger is master from now on (F12). Raises NotFound, BadInput when several connections have such a
    listing, Refused when it is linked to another item.
    """
    listing = find_listing(t.sql, listing_sku, connection)
    item = item_id(t.sql, item_sku)
    if listing.item_id == item:
        return 0
    if listing.item_id is not None:
        raise Refused(
            f"{listing.sku} of {listing.connection} is linked to {listing.item}; nothing was changed.",
            f"zenv items unlink {listing.sku} --connection {listing.connection}",
        )
    waited = _waiting_lines(t.sql, [listing.id]).get(listing.id, 0)
    join(t, {listing.id: item})
    return waited


def unlink(t: Transaction, listing_sku: str, connection: str | None = None) -> None:
    """Undo a link: the listing waits on the inbox again and is told no stock. Open order lines give their
    units back and wait with it; what was shipped stays as it was. Raises Refused when it has no item.
    """
    listing = find_listing(t.sql, listing_sku, connection)
    if listing.item_id is None:
        raise Refused(f"{listing.sku} of {listing.connection} has no item.", "zenv items unconfirmed")
    open_units = lines.c.quantity - lines.c.cancelled - lines.c.shipped
    untouched = t.sql.execute(
        select(lines.c.id, lines.c.quantity, lines.c.cancelled)
        .where(lines.c.listing_id == listing.id, lines.c.shipped == 0, open_units > 0)
    ).all()  # fmt: skip
    reshape(t, [Reshaped(line.id, line.quantity, line.cancelled, open=0) for line in untouched])
    for chunk in in_chunks([line.id for line in untouched]):
        t.sql.execute(lines.update().where(lines.c.id.in_(chunk)).values(item_id=None))
    t.sql.execute(listings.update().where(listings.c.id == listing.id).values(item_id=None))
    t.touch(listing.item_id)


def find_listing(sql: Connection, sku: str, connection: str | None) -> Row[Any]:
    """The listing of this SKU, with the names of its `connection` and `item`.

    Raises NotFound, and BadInput naming the connections when there are several.
    """
    query = (
        select(listings, connections.c.name.label("connection"), items.c.sku.label("item"))
        .join(connections, connections.c.id == listings.c.connection_id)
        .outerjoin(items, items.c.id == listings.c.item_id)
        .where(listings.c.sku == sku, listings.c.connection_id.in_(_connection_ids(sql, connection)))
        .order_by(connections.c.name)
    )
    found = sql.execute(query).all()
    if not found:
        where = f" on {plain(connection)}" if connection else ""
        raise NotFound(f"There is no listing {plain(sku)!r}{where}.", "zenv items unconfirmed")
    if len(found) > 1:
        names = ", ".join(row.connection for row in found)
        raise BadInput(f"Several connections have a listing {sku}: {names}.", "add --connection NAME")
    return found[0]


def _connection_ids(sql: Connection, name: str | None) -> list[int]:
    """The connection of this name, or all (named one by one, so that the unique index is used)."""
    query = select(connections.c.id)
    found = list(sql.execute(query if name is None else query.where(connections.c.name == name)).scalars())
    if name is not None and not found:
        raise NotFound(f"There is no connection {plain(name)!r}.", "zenv connections list")
    return found


def suggestions(sql: Connection, connection: str | None = None) -> list[Unconfirmed]:
    """All listings that match no item, those that orders wait for first (H21, H22)."""
    rows = sql.execute(
        select(listings, connections.c.name.label("connection"))
        .join(connections, connections.c.id == listings.c.connection_id)
        .where(UNLINKED, listings.c.connection_id.in_(_connection_ids(sql, connection)))
    ).all()
    waiting = _waiting_lines(sql, [row.id for row in rows])
    by_name = _items_by_name(sql, {_folded(row.name) for row in rows})
    unconfirmed = [
        Unconfirmed(row.connection, row.sku, row.name, row.gtin, row.fulfilled_by, row.channel_quantity,
                    waiting.get(row.id, 0), by_name.get(_folded(row.name), ""))
        for row in rows
    ]  # fmt: skip
    return sorted(unconfirmed, key=lambda one: (-one.waiting_lines, one.connection, one.sku))


def _waiting_lines(sql: Connection, listing_ids: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for chunk in in_chunks(listing_ids):
        rows = sql.execute(
            select(lines.c.listing_id, func.count())
            .join(orders, orders.c.id == lines.c.order_id)
            .where(lines.c.listing_id.in_(chunk), lines.c.item_id.is_(None), orders.c.state.in_(OPEN_STATES))
            .group_by(lines.c.listing_id)
        )
        found.update({listing: count for listing, count in rows})
    return found


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())


def _items_by_name(sql: Connection, names: set[str]) -> dict[str, str]:
    """Folded name -> SKU, where exactly one item has the name."""
    wanted = names - {""}
    skus: dict[str, list[str]] = {}
    if wanted:
        for sku, name in sql.execute(select(items.c.sku, items.c.name)):
            if (folded := _folded(name)) in wanted:
                skus.setdefault(folded, []).append(sku)
    return {name: found[0] for name, found in skus.items() if len(found) == 1}
