"""Our catalogue, as a provider is told it: every active item of our own on linking, and again when it changes.

Once the provider has taken an item it has a listing under the provider's connection; its SKU is the item's name on both
sides, whatever becomes of our own SKU. An item that the provider made is its to describe, so it is not told back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection as Sql
from sqlalchemy import select

from zenv.facts import ItemShare, Message, Receipt
from zenv.ledger import linking, schedule
from zenv.ledger.models import Item, Link, Listing
from zenv.ledger.outbox import Owed, queue
from zenv.ledger.transaction import AnyRow, Transaction, among, row, table
from zenv.ledger.zfn import handing

if TYPE_CHECKING:
    from zenv import wire

items, listings, links = table(Item), table(Listing), table(Link)

LONGEST = 200
"""Letters in a name or a value, and in a SKU (`zenv.wire`)."""


def share_all(t: Transaction, connection: int) -> None:
    """Owe a provider our whole catalogue: all that is active, and not a client's of our own."""
    ours = select(items.c.id).where(items.c.client_id.is_(None), items.c.active)
    _owe(t, connection, t.sql.execute(ours).scalars().all())


def changed(t: Transaction, item_ids: Iterable[int], told_by: int | None = None) -> None:
    """These items are new or are described differently: each provider is owed them, except the one (`told_by`) that has
    just told us."""
    linked = select(links.c.connection_id).where(links.c.state == "linked")
    connections = [one for one in t.sql.execute(linked).scalars() if one != told_by]
    if not connections:
        return
    ours = select(items.c.id).where(among(items.c.id, item_ids), items.c.client_id.is_(None))
    found = t.sql.execute(ours).scalars().all()
    for connection in connections:
        _owe(t, connection, found)


def _owe(t: Transaction, connection: int, item_ids: Iterable[int]) -> None:
    owed = [(connection, "item", item) for item in item_ids]
    if owed:
        queue(t, owed)
        schedule.hurry(t, connection, handing.HANDOVER)


def build(sql: Sql, owed: Mapping[int, Owed]) -> dict[int, ItemShare]:
    """The items to tell now, by the message's key."""
    connection = next((one.connection for one in owed.values()), 0)
    known = _named_there(sql, connection, owed)
    found = sql.execute(select(items).where(among(items.c.id, owed), items.c.client_id.is_(None))).all()
    there = _listed(sql, connection, [item.sku for item in found])
    built = {}
    for item in found:
        sku = known.get(item.id, item.sku)
        taken = sku in there and there[sku].item_id not in (None, item.id)  # the provider knows another item by it
        if not taken and len(sku) <= LONGEST:
            built[owed[item.id].id] = ItemShare(owed[item.id].id, _shared(item, sku))
    return built


def _named_there(sql: Sql, connection: int, item_ids: Iterable[int]) -> dict[int, str]:
    """Item -> the SKU under which it was first shared."""
    found = select(listings.c.item_id, listings.c.sku).where(
        listings.c.connection_id == connection, among(listings.c.item_id, item_ids)
    )
    return {item: sku for item, sku in sql.execute(found.order_by(listings.c.id.desc()))}


def _shared(item: AnyRow, sku: str) -> wire.SharedItem:
    from zenv import wire

    said = {name[:LONGEST]: str(value)[:LONGEST] for name, value in json.loads(item.attributes).items() if name}
    return wire.SharedItem(sku=sku, name=item.name[:LONGEST], gtin=item.gtin or "", weight_grams=item.weight_grams,
                           attributes=said, active=item.active)  # fmt: skip


def book(
    t: Transaction, sent: Mapping[int, Owed], messages: Mapping[int, Message], receipts: Sequence[Receipt]
) -> None:
    """The provider has taken items: they are listed there, and linked to ours."""
    done = [(sent[one.key], messages.get(one.key)) for one in receipts if one.outcome == "done"]
    taken = {told.item.sku: (owed, told.item) for owed, told in done if isinstance(told, ItemShare)}
    if not taken:
        return
    connection = next(owed.connection for owed, _ in taken.values())
    known = _listed(t.sql, connection, taken)
    t.insert(Listing, [
        row(Listing, connection_id=connection, sku=sku, name=item.name, gtin=item.gtin, fulfilled_by="channel",
            first_seen_at=t.now)
        for sku, (_, item) in taken.items() if sku not in known
    ])  # fmt: skip
    listed = _listed(t.sql, connection, taken)
    linking.join(t, {one.id: taken[sku][0].subject for sku, one in listed.items() if one.item_id is None})


def _listed(sql: Sql, connection: int, skus: Iterable[str]) -> dict[str, AnyRow]:
    """SKU -> the listing at the provider, of those there are."""
    these = (listings.c.connection_id == connection, among(listings.c.sku, skus))
    found = sql.execute(select(listings.c.id, listings.c.sku, listings.c.item_id).where(*these))
    return {one.sku: one for one in found}


# ---- levels of what was linked later ---------------------------------------------------------------------


def take_levels(t: Transaction, connection: int, skus: Iterable[str]) -> None:
    """What the journal said of these could not be repeated: their levels are to be taken from the provider."""
    these = (listings.c.connection_id == connection, among(listings.c.sku, skus))
    t.sql.execute(listings.update().where(*these).values(needs_detail=True))


def without_levels(sql: Sql, connection: int) -> list[str]:
    """The linked SKUs whose levels are still to be taken from the provider."""
    this = (listings.c.connection_id == connection, listings.c.needs_detail, listings.c.item_id.is_not(None))
    return list(sql.execute(select(listings.c.sku).where(*this).order_by(listings.c.sku)).scalars())


def levels_taken(t: Transaction, connection: int, skus: Iterable[str] | None) -> None:
    """The levels of these (None: of all) are the provider's now."""
    these = [listings.c.connection_id == connection, listings.c.needs_detail]
    if skus is not None:
        these.append(among(listings.c.sku, skus))
    t.sql.execute(listings.update().where(*these).values(needs_detail=False))
