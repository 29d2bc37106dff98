"""The items that a client shares with us: each becomes an item of ours that is the client's, under our own SKU for it,
and a listing of the client's connection under the SKU that the client uses.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, select

from zenv import wire
from zenv.errors import BadInput
from zenv.ledger import catalog, listings
from zenv.ledger.gtin import is_gtin, read_gtin
from zenv.ledger.item_files import plain, trimmed
from zenv.ledger.models import Item, Listing
from zenv.ledger.transaction import AnyRow, Transaction, among, table

item_rows, listing_rows = table(Item), table(Listing)

AHEAD = timedelta(hours=1)
"""A client's clock may be so far ahead of ours; what it says of a later time counts as said then."""


def take(t: Transaction, client: AnyRow, said: Sequence[wire.SharedItem]) -> list[wire.Answer]:
    """Take the client's items: a new one becomes an item of ours, `CLIENT-SKU`, that is the client's; of a known one
    the name, GTIN, weight and attributes follow. Raises BadInput for a SKU that cannot be kept as it is written."""
    newest = {one.sku: one for one in said}
    if any(trimmed(sku) != sku for sku in newest):
        raise BadInput("A SKU has blanks at its ends, or unprintable letters.")
    there = known(t.sql, client, newest)
    new = [one for sku, one in newest.items() if sku not in there]
    named = _free_skus(t, client, [one.sku for one in new])
    made = catalog.insert_items(t, [_values(one) | {"sku": named[one.sku], "client_id": client.id} for one in new])
    listings.offer(t, client.connection_id, {one.sku: (made[named[one.sku]], _values(one)) for one in new})
    heeded = {sku: one for sku, one in there.items() if _is_later(newest[sku], one)}
    for sku, item in heeded.items():
        _follow(t, item, newest[sku])
    at = {sku: newest[sku].said_at for sku in (*heeded, *named)}
    listings.heard(t, client.connection_id, {sku: min(said, t.now + AHEAD) for sku, said in at.items() if said})
    numbers = {sku: item.sku for sku, item in there.items()} | named
    return [
        wire.Answer(reference=wire.reference("c", one.sku), outcome="taken", version=1, number=numbers[one.sku][:200])
        for one in said
    ]


def _is_later(said: wire.SharedItem, known: AnyRow) -> bool:
    """Whether it is not older than what was heard last: a message may be overtaken by the next."""
    return said.said_at is None or known.observed_at is None or said.said_at >= known.observed_at


def known(sql: Connection, client: AnyRow, skus: Iterable[str]) -> dict[str, AnyRow]:
    """A client's SKU -> our item, of those that it has shared."""
    found = sql.execute(
        select(listing_rows.c.sku.label("theirs"), listing_rows.c.observed_at, item_rows)
        .join(item_rows, item_rows.c.id == listing_rows.c.item_id)
        .where(listing_rows.c.connection_id == client.connection_id, among(listing_rows.c.sku, skus))
    )
    return {one.theirs: one for one in found}


def _values(said: wire.SharedItem) -> dict[str, Any]:
    """What an item follows of a snapshot, as it is stored. A GTIN that is none is left out: it stops no order."""
    return {
        "name": plain(said.name), "gtin": read_gtin(said.gtin) if is_gtin(said.gtin) else None,
        "weight_grams": said.weight_grams, "active": said.active,
        "attributes": catalog.attributes_text({plain(name): plain(value) for name, value in said.attributes.items()}),
    }  # fmt: skip


def _follow(t: Transaction, item: AnyRow, said: wire.SharedItem) -> None:
    changed: Any = {name: value for name, value in _values(said).items() if getattr(item, name) != value}
    if not changed:
        return
    if "attributes" in changed:
        changed["attributes"] = json.loads(changed["attributes"])
    if "gtin" in changed:
        changed["gtin"] = changed["gtin"] or ""
    catalog.edit_item(t, item.sku, **changed)


def _free_skus(t: Transaction, client: AnyRow, skus: Sequence[str]) -> dict[str, str]:
    """The client's SKU -> the SKU of a new item of ours."""
    wanted = {sku: f"{client.id}-{sku}" for sku in skus}
    taken = set(catalog.find_ids(t.sql, wanted.values()))
    for sku, ours in wanted.items():
        again = 1
        while wanted[sku] in taken:
            again += 1
            free = f"{ours} ({again})"
            if free in wanted.values() or catalog.find_ids(t.sql, [free]):
                taken.add(free)
            wanted[sku] = free
    return wanted
