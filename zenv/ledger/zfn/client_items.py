"""Items that a provider makes for a client (2.1.4): the client has them, too, once it has asked what is new."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection as Sql
from sqlalchemy import select

from zenv.errors import NotFound, Refused
from zenv.ledger import listings
from zenv.ledger.catalog import NewItem, add_item
from zenv.ledger.item_files import plain, trimmed
from zenv.ledger.models import Client, Listing
from zenv.ledger.transaction import AnyRow, Transaction, table

clients, theirs = table(Client), table(Listing)


def add(t: Transaction, item: NewItem, client: str | None) -> str:
    """Make an item of our own (None), or one whose goods are a client's. Its SKU: a client's has the client's number
    before it, which the client itself does not see.

    Raises as `catalog.add_item`, and NotFound for a client there is not.
    """
    if client is None:
        add_item(t, item)
        return trimmed(item.sku)
    owner = _client(t.sql, client)
    bare = trimmed(item.sku).removeprefix(f"{owner.id}-")
    mine = (theirs.c.connection_id == owner.connection_id, theirs.c.sku == bare)
    if t.sql.execute(select(theirs.c.id).where(*mine)).first() is not None:
        raise Refused(f"{owner.name} has {bare} already; nothing was changed.", f"zenv items show {owner.id}-{bare}")
    sku = f"{owner.id}-{bare}" if bare else ""
    made = add_item(t, replace(item, sku=sku), owner.id)
    listings.offer(t, owner.connection_id, {bare: (made, {"name": plain(item.name), "gtin": item.gtin})})
    t.tell(owner.connection_id, "item", made)
    return sku


def _client(sql: Sql, name: str) -> AnyRow:
    standing = (clients.c.name == name, clients.c.state != "deleted")
    found = sql.execute(select(clients).where(*standing)).one_or_none()
    if found is None:
        raise NotFound(f"There is no client {plain(name)!r}.", "zenv zfn clients")
    return found
