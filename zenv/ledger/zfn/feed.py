"""What a client may read of our books: the journal of its goods, their levels, its items, and what we have to tell it.

The journal numbers the movements of the client's items 1, 2, 3 ... for this client alone, when first asked for them.
A mark names an entry by the digest that our chain of movements has there: where it does not fit, our history is another
than the one that was read. Every question starts from the client's row, so nothing of another client can be asked.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import groupby, takewhile
from typing import Any

from sqlalchemy import Connection, func, select, text

from zenv import wire
from zenv.ledger import outbox
from zenv.ledger.models import ClientJournal, Item, Listing, Movement
from zenv.ledger.transaction import AnyRow, Transaction, among, table
from zenv.ledger.zfn import taking

journal, movements, items, listings = table(ClientJournal), table(Movement), table(Item), table(Listing)

ITEMS_AT_ONCE = 1000
BEGINNING = wire.Mark(entry=0)


class HistoryChanged(Exception):
    """The mark is of another history than ours: a backup was restored, here or there."""


# ---- numbering -------------------------------------------------------------------------------------------


def is_numbered(sql: Connection, client: AnyRow) -> bool:
    """Whether every movement of this client's goods has its number."""
    return sql.execute(text(f"SELECT EXISTS ({UNNUMBERED})"), {"client": client.id}).scalar() == 0


UNNUMBERED = """
SELECT m.id FROM movement m JOIN item i ON i.id = m.item_id
 WHERE i.client_id = :client
   AND m.id > COALESCE((SELECT MAX(movement_id) FROM client_journal WHERE client_id = :client), 0)
"""
NUMBER = f"""
INSERT INTO client_journal (client_id, entry, movement_id)
SELECT :client, COALESCE((SELECT MAX(entry) FROM client_journal WHERE client_id = :client), 0)
       + ROW_NUMBER() OVER (ORDER BY id), id FROM ({UNNUMBERED})
"""


def number(t: Transaction, client: AnyRow) -> None:
    """Give the movements of this client's goods that have none their numbers."""
    t.sql.execute(text(NUMBER), {"client": client.id})


def head(sql: Connection, client: AnyRow) -> wire.Mark:
    """The newest entry."""
    newest = select(func.max(journal.c.entry)).where(journal.c.client_id == client.id)
    entry = int(sql.execute(newest).scalar() or 0)
    found = _at(sql, client, entry)
    return wire.Mark(entry=entry, digest=found.digest.hex()) if found is not None else BEGINNING


def _at(sql: Connection, client: AnyRow, entry: int) -> AnyRow | None:
    this = (journal.c.client_id == client.id, journal.c.entry == entry)
    query = select(movements.c.id, movements.c.digest).join(journal, journal.c.movement_id == movements.c.id)
    return sql.execute(query.where(*this)).one_or_none()


def check(sql: Connection, client: AnyRow, mark: wire.Mark) -> None:
    """Raises HistoryChanged unless the mark is a place in this client's journal."""
    found = _at(sql, client, mark.entry)
    if mark.entry and (found is None or found.digest.hex() != mark.digest):
        raise HistoryChanged


# ---- what was booked -------------------------------------------------------------------------------------


def events(sql: Connection, client: AnyRow, mark: wire.Mark, limit: int = wire.EVENTS_AT_ONCE) -> wire.Events:
    """What was booked after a mark; a transaction of ours is never split. Raises HistoryChanged."""
    check(sql, client, mark)
    found = _page(sql, client, mark.entry, limit)
    packages = _packages(sql, client, [one.movement_id for one in found])
    booked = []
    for at, moved in groupby(found, key=lambda one: one.at):
        together = list(moved)
        left = [package for one in together for package in packages.get(one.movement_id, ())]
        booked.append(wire.Booked(at=at, movements=[_moved(one) for one in together], packages=left))
    until = wire.Mark(entry=found[-1].entry, digest=found[-1].digest.hex()) if found else mark
    return wire.Events(booked=booked, until=until, head=head(sql, client).entry)


def _page(sql: Connection, client: AnyRow, after: int, limit: int) -> list[AnyRow]:
    """At most `limit` entries, and only whole transactions; all of the first one however many it has."""
    found = _entries(sql, client, after, limit + 1)
    if len(found) <= limit:
        return found
    whole = [one for one in found if one.at != found[limit].at]
    if whole:
        return list(takewhile(lambda one: one.at != found[limit].at, found))
    return list(takewhile(lambda one: one.at == found[0].at, _entries(sql, client, after, -1)))


def _entries(sql: Connection, client: AnyRow, after: int, limit: int) -> list[AnyRow]:
    about = {"client": client.id, "connection": client.connection_id, "after": after, "most": limit}
    return list(sql.execute(_ENTRIES, about).all())


NAMES = """
SELECT i.id AS item_id, COALESCE((SELECT l.sku FROM listing l WHERE l.connection_id = :connection AND l.item_id = i.id
                                   ORDER BY l.id LIMIT 1), i.sku) AS sku
  FROM item i WHERE i.client_id = :client
"""
"""The SKU under which each item was first shared."""
_ENTRIES = text(f"""
SELECT j.entry, j.movement_id, m.at, m.quantity, m.reason, m.digest, s.state AS source, d.state AS destination,
       n.sku,
       (SELECT o.remote_id FROM customer_order o
         WHERE o.connection_id = :connection AND o.number = m.reference) AS for_order,
       (SELECT b.remote_id FROM inbound b WHERE b.connection_id = :connection AND b.number = m.reference) AS for_inbound
  FROM client_journal j
  JOIN movement m ON m.id = j.movement_id
  JOIN ({NAMES}) n ON n.item_id = m.item_id
  JOIN place s ON s.id = m.source_id
  JOIN place d ON d.id = m.destination_id
 WHERE j.client_id = :client AND j.entry > :after
 ORDER BY j.entry LIMIT :most
""").columns(at=movements.c.at.type, digest=movements.c.digest.type)


def _moved(one: AnyRow) -> wire.Moved:
    return wire.Moved(entry=one.entry, sku=one.sku, quantity=one.quantity, source=one.source,
                      destination=one.destination, reason=one.reason, order=one.for_order,
                      inbound=one.for_inbound)  # fmt: skip


def _packages(sql: Connection, client: AnyRow, movement_ids: Iterable[int]) -> dict[int, list[wire.Package]]:
    """The packages of this client's orders by the movement that was booked last with each."""
    about = {"connection": client.connection_id, "these": json.dumps(list(movement_ids))}
    found: dict[int, list[wire.Package]] = {}
    for _, lines in groupby(sql.execute(_PACKED, about).all(), key=lambda line: line.id):
        packed = list(lines)
        one = packed[0]
        found.setdefault(one.last_movement, []).append(wire.Package(
            order=one.remote_id, reference=one.reference, carrier=one.carrier[:200], service=one.service[:200],
            tracking=one.tracking[:200], shipped_at=one.shipped_at,
            lines=[wire.Packed(line=line.line, quantity=line.quantity) for line in packed]))  # fmt: skip
    return found


_PACKED = text("""
SELECT p.id, p.last_movement, p.reference, p.carrier, p.service, p.tracking, p.shipped_at, o.remote_id,
       l.remote_id AS line, c.quantity
  FROM shipment p
  JOIN customer_order o ON o.id = p.order_id
  JOIN shipment_line c ON c.shipment_id = p.id
  JOIN order_line l ON l.id = c.line_id
 WHERE o.connection_id = :connection AND p.last_movement IN (SELECT value FROM json_each(:these))
 ORDER BY p.id, l.id
""").columns(shipped_at=movements.c.at.type)


# ---- levels ----------------------------------------------------------------------------------------------


def levels(sql: Connection, client: AnyRow, entry: int | None, after: str = "",
           limit: int = wire.LEVELS_AT_ONCE) -> wire.Levels:  # fmt: skip
    """The levels right after an entry (None: the newest), from the SKU that follows `after`. Raises HistoryChanged for
    an entry there is not."""
    mark = head(sql, client) if entry is None else _mark(sql, client, entry)
    last = _at(sql, client, mark.entry)
    about = {"client": client.id, "connection": client.connection_id, "most": limit + 1,
             "until": last.id if last is not None else 0}  # fmt: skip
    found: list[AnyRow] = []
    while len(found) <= limit:
        window = sql.execute(_LEVELS, about | {"after": after}).all()
        found += [one for one in window if one.on_hand or one.picked or one.in_transit]
        if len(window) <= limit:
            break
        after = window[-1].sku
    page = [wire.LevelOf(**one._mapping) for one in found[:limit]]
    return wire.Levels(at=mark, levels=page, more=len(found) > limit)


def _mark(sql: Connection, client: AnyRow, entry: int) -> wire.Mark:
    found = _at(sql, client, entry)
    if found is None and entry:
        raise HistoryChanged
    return wire.Mark(entry=entry, digest=found.digest.hex()) if found is not None else BEGINNING


def _net(state: str) -> str:
    return (f"SUM(CASE d.state WHEN '{state}' THEN m.quantity ELSE 0 END"
            f" - CASE s.state WHEN '{state}' THEN m.quantity ELSE 0 END) AS {state}")  # fmt: skip


_LEVELS = text(f"""
SELECT n.sku, {_net("on_hand")}, {_net("picked")}, {_net("in_transit")}
  FROM (SELECT item_id, sku FROM ({NAMES}) WHERE sku > :after ORDER BY sku LIMIT :most) n
  LEFT JOIN movement m ON m.item_id = n.item_id AND m.id <= :until
  LEFT JOIN place s ON s.id = m.source_id
  LEFT JOIN place d ON d.id = m.destination_id
 GROUP BY n.sku ORDER BY n.sku
""")
"""Of so many items, also of those without units."""


# ---- items -----------------------------------------------------------------------------------------------


def item_page(sql: Connection, client: AnyRow, after: str, limit: int = ITEMS_AT_ONCE) -> wire.ItemPage:
    """The client's items, by SKU, from the one that follows `after`."""
    found = sql.execute(_items(client).where(listings.c.sku > after).order_by(listings.c.sku).limit(limit + 1)).all()
    return wire.ItemPage(items=[_shared(one) for one in found[:limit]], more=len(found) > limit)


def _items(client: AnyRow) -> Any:
    columns = [items.c[name] for name in ("id", "name", "gtin", "weight_grams", "attributes", "active")]
    mine = (listings.c.connection_id == client.connection_id, items.c.client_id == client.id)
    return select(listings.c.sku, *columns).join(items, items.c.id == listings.c.item_id).where(*mine)


def _shared(one: AnyRow) -> wire.SharedItem:
    """As the client may see it; what we wrote longer than the wire takes is cut."""
    attributes = {name[:200]: str(value)[:200] for name, value in json.loads(one.attributes).items() if name}
    return wire.SharedItem(sku=one.sku, name=one.name[:200], gtin=(one.gtin or "")[:14],
                           weight_grams=one.weight_grams, attributes=attributes, active=bool(one.active))  # fmt: skip


# ---- what we have to tell --------------------------------------------------------------------------------


def changes(t: Transaction, client: AnyRow, limit: int = wire.MOST_AT_ONCE) -> wire.Changes:
    """What waits for the client as it is now; it is owed until the client says that it has it."""
    owed = outbox.lay_out(t, client.connection_id, limit + 1)
    built = _snapshots(t.sql, client, owed[:limit])
    outbox.forget(t, [one.id for one in owed[:limit] if one.id not in built])
    return wire.Changes(changes=list(built.values()), more=len(owed) > limit)


def _snapshots(sql: Connection, client: AnyRow, owed: Sequence[outbox.Owed]) -> dict[int, wire.Change]:
    from zenv.ledger import inbounds

    subjects = {kind: [one.subject for one in owed if one.kind == kind] for kind in ("item", "order", "inbound")}
    said: dict[str, Any] = {
        "item": {one.id: _shared(one) for one in _these(sql, client, subjects["item"])},
        "order": taking.states(sql, client, subjects["order"]),
        "inbound": inbounds.states(sql, subjects["inbound"]) if subjects["inbound"] else {},
    }
    return {
        one.id: wire.Change(key=one.id, revision=one.revision, **{one.kind: said[one.kind][one.subject]})
        for one in owed
        if one.subject in said.get(one.kind, {})
    }


def _these(sql: Connection, client: AnyRow, item_ids: Sequence[int]) -> Sequence[AnyRow]:
    found: Sequence[AnyRow] = sql.execute(_items(client).where(among(items.c.id, item_ids))).all()
    return found


def seen(t: Transaction, client: AnyRow, known: Iterable[tuple[int, int]]) -> None:
    """The client has these changes in its books."""
    outbox.taken(t, client.connection_id, known)
