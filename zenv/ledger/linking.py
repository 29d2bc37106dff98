"""Which listing sells which item, as far as that can be told without a person (H23, F8).

An equal SKU links, else a GTIN that exactly one item has. An equal name does not: names are not identities
(1.8.i). Linking fills the order lines that were waiting for the listing's item. Goods of clients take no part: they are
never sold by our listings, nor is what clients call an item ever one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, or_, select

from zenv.ledger.gtin import gtin14, is_gtin, spellings
from zenv.ledger.models import Client, Item, Listing, OrderLine
from zenv.ledger.models import Connection as Account
from zenv.ledger.transaction import Transaction, among, in_chunks, table

items, listings, lines, accounts = table(Item), table(Listing), table(OrderLine), table(Account)

UNLINKED = and_(listings.c.item_id.is_(None), listings.c.status != "deleted")
OUR_OWN = items.c.client_id.is_(None)
OF_NO_CLIENT = listings.c.connection_id.not_in(select(table(Client).c.connection_id))


@dataclass(frozen=True)
class Candidate:
    """A listing that looks for its item. A variation parent is no thing one can scan: it has no GTIN here."""

    listing: int
    sku: str
    gtin: str = ""


def link_equal(t: Transaction, candidates: Iterable[Candidate]) -> set[int]:
    """Link every candidate that has its item by SKU or GTIN; the listings that were linked."""
    found = find_items(t.sql, list(candidates))
    join(t, found)
    return set(found)


def find_items(sql: Connection, candidates: Sequence[Candidate]) -> dict[int, int]:
    """Listing -> item, by equal SKU, else by a GTIN that exactly one item has."""
    by_sku = _items_by_sku(sql, {candidate.sku for candidate in candidates})
    found = {c.listing: by_sku[c.sku] for c in candidates if c.sku in by_sku}
    left = {c.listing: c.gtin for c in candidates if c.listing not in found and is_gtin(c.gtin)}
    by_gtin = _items_by_gtin(sql, set(left.values()))
    for listing, gtin in left.items():
        owners = by_gtin.get(gtin14(gtin), set())
        if len(owners) == 1:
            found[listing] = next(iter(owners))
    return found


def _items_by_sku(sql: Connection, skus: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in in_chunks(skus):
        rows = sql.execute(select(items.c.sku, items.c.id).where(OUR_OWN, items.c.sku.in_(chunk)))
        found.update({sku: item for sku, item in rows})
    return found


def _items_by_gtin(sql: Connection, gtins: Iterable[str]) -> dict[str, set[int]]:
    owners: dict[str, set[int]] = {}
    for chunk in in_chunks(spelling for gtin in gtins for spelling in spellings(gtin)):
        rows = sql.execute(select(items.c.gtin, items.c.id).where(OUR_OWN, items.c.gtin.in_(chunk)))
        for gtin, item in rows:
            owners.setdefault(gtin14(gtin), set()).add(item)
    return owners


def link_waiting(t: Transaction, item_ids: Iterable[int]) -> None:
    """Items are new, or have a new GTIN: listings that were waiting for them are linked."""
    some_wait = select(listings.c.id).where(UNLINKED).limit(1)
    if t.sql.execute(some_wait).first() is None:
        return
    for chunk in in_chunks(item_ids):
        named = t.sql.execute(select(items.c.sku, items.c.gtin).where(items.c.id.in_(chunk))).all()
        gtins = [spelling for row in named if row.gtin for spelling in spellings(row.gtin)]
        wanted = or_(listings.c.sku.in_([row.sku for row in named]), listings.c.gtin.in_(gtins))
        waiting = t.sql.execute(select(listings).where(UNLINKED, wanted, OF_NO_CLIENT))
        link_equal(t, [candidate(row) for row in waiting])


def candidate(row: Row[Any]) -> Candidate:
    """A row of the listing table as one that looks for its item."""
    return Candidate(row.id, row.sku, "" if row.is_parent else row.gtin)


def join(t: Transaction, item_of: Mapping[int, int]) -> None:
    """Link listings to items; order lines that waited for one get it and are filled at commit."""
    if not item_of:
        return
    pairs = [{"listing": listing, "item": item} for listing, item in item_of.items()]
    t.many(_set_item, pairs)
    t.many(_set_item_of_lines, pairs)
    # What a provider's journal said of them before was left out: their levels are still to be taken from the provider.
    t.sql.execute(_lacks_levels.where(among(listings.c.id, item_of)))
    t.touch(*item_of.values())


_set_item = listings.update().where(listings.c.id == bindparam("listing")).values(item_id=bindparam("item"))
_lacks_levels = (
    listings.update()
    .where(listings.c.connection_id.in_(select(accounts.c.id).where(accounts.c.kind == "zfn")))
    .values(needs_detail=True)
)
_set_item_of_lines = (
    lines.update()
    .where(lines.c.listing_id == bindparam("listing"), lines.c.item_id.is_(None))
    .values(item_id=bindparam("item"))
)
