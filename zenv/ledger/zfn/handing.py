"""The client's side of an order that a provider ships: what is to be said of it, and in which version (decision 21).

Whatever touches such an order says `t.hand(order)`; at commit its snapshot is compared with the last one by a digest,
and a new one gets the next version and a message. A change that a person wants is a wish until the provider agrees: the
lines stay as they are, or units would be free that the provider is about to ship.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection as Sql
from sqlalchemy import bindparam, func, select

from zenv.errors import Refused
from zenv.facts import Handover
from zenv.ledger import outbox, schedule
from zenv.ledger.models import (
    Fulfilment,
    Link,
    Listing,
    Order,
    OrderLine,
    Personal,
    Shipment,
    ShipmentLine,
    Warehouse,
)
from zenv.ledger.notices import withdraw
from zenv.ledger.outbox import Owed
from zenv.ledger.recipients import NEVER
from zenv.ledger.transaction import AnyRow, Transaction, among, row, table
from zenv.privacy import REDACTED, KeyBook, strip_control

if TYPE_CHECKING:
    from zenv import wire

orders, lines, listings, links = table(Order), table(OrderLine), table(Listing), table(Link)
shipments, packed, personal, warehouses = table(Shipment), table(ShipmentLine), table(Personal), table(Warehouse)
fulfilments = table(Fulfilment)

HANDOVER = "handover"
"""The task of a connection to a provider that tells it what is owed."""
PERSON = ("name", "company", "line1", "line2", "line3", "phone", "gift_message")


@dataclass(frozen=True)
class Snapshot:
    """An order with its lines, as it is to be said; `known` says whether the recipient is."""

    order: AnyRow
    lines: Sequence[AnyRow]
    elsewhere: Mapping[int, int]
    wish: Mapping[str, Any]
    known: bool

    @property
    def cancelled(self) -> bool:
        """Nothing of it is wanted any more."""
        return bool(self.wish.get("cancel")) or all(self.quantity(line) <= self.unwanted(line) for line in self.lines)

    @property
    def sendable(self) -> bool:
        """Paid, and it is known where it goes."""
        return self.order.state in ("ready", "part_shipped") and self.known

    def quantity(self, line: AnyRow) -> int:
        """Units of a line, as wished for."""
        return int(self.wish.get("lines", {}).get(line.remote_id, line.quantity))

    def unwanted(self, line: AnyRow) -> int:
        """Units of a line that the provider need not ship (any more): cancelled, or shipped from somewhere else."""
        if self.wish.get("cancel") or not self.quantity(line):
            return int(line.quantity)
        return int(min(self.quantity(line), line.cancelled + self.elsewhere.get(line.id, 0)))

    @property
    def ship_by(self) -> Any:
        """When it must leave, as wished for."""
        return self.wish.get("ship_by") or self.order.ship_by

    def digest(self) -> bytes:
        """16 bytes that change whenever the provider has to be told something new."""
        said = [self.order.hold != "", self.order.service_level, str(self.ship_by), self.known,
                [(line.remote_id, self.quantity(line), self.unwanted(line)) for line in self.lines]]  # fmt: skip
        return blake2b(repr(said).encode(), digest_size=16).digest()


def owe(t: Transaction, connection: int, kind: str, subject: int) -> None:
    """Owe a provider a message, at once: the task that sends it is due now."""
    outbox.queue(t, [(connection, kind, subject)])
    schedule.hurry(t, connection, HANDOVER)


def refresh(t: Transaction, order_ids: Iterable[int]) -> None:
    """Bring what is owed to providers up to date for these orders; others than those that leave from a provider's
    warehouse are left alone."""
    for order, connection in _handed_over(t.sql, order_ids).items():
        _refresh(t, order, connection)


def _handed_over(sql: Sql, order_ids: Iterable[int]) -> dict[int, int]:
    """Order -> the connection to the provider that ships it. What the provider entered itself is not told to it."""
    query = (
        select(orders.c.id, links.c.connection_id)
        .join(links, links.c.warehouse_id == orders.c.ship_from)
        .where(among(orders.c.id, order_ids), links.c.state == "linked",
               orders.c.connection_id.is_distinct_from(links.c.connection_id))
    )  # fmt: skip
    return {order: connection for order, connection in sql.execute(query)}


def _refresh(t: Transaction, order: int, connection: int) -> None:
    known = find(t.sql, order)
    (shot,) = _snapshots(t.sql, [order]).values()
    if known is None:
        t.insert(Fulfilment, [row(Fulfilment, order_id=order, connection_id=connection, state="wanted")])
    elif known.state == "recalled":
        _write(t, order, connection_id=connection, state="wanted", version=known.version + 1)
    known = find(t.sql, order)
    assert known is not None
    if known.state == "returned" or not (shot.sendable or known.digest):
        return
    if known.digest != (now := shot.digest()):
        version = known.version + 1 if known.digest else known.version
        _write(t, order, version=version, digest=now)
        owe(t, connection, "order", order)


def find(sql: Sql, order: int) -> AnyRow | None:
    """The fulfilment of an order; None where no provider ships it."""
    return sql.execute(select(fulfilments).where(fulfilments.c.order_id == order)).one_or_none()


def find_all(sql: Sql, order_ids: Iterable[int]) -> dict[int, AnyRow]:
    """The fulfilments of these orders, of those that a provider ships."""
    found = sql.execute(select(fulfilments).where(among(fulfilments.c.order_id, order_ids)))
    return {known.order_id: known for known in found}


def _write(t: Transaction, order: int, **values: Any) -> None:
    t.sql.execute(fulfilments.update().where(fulfilments.c.order_id == order).values(**values))


def wish(t: Transaction, order: AnyRow, change: Mapping[str, Any]) -> None:
    """Want something else of an order that was handed over: {"cancel": reason}, {"lines": {line: units}}, {"ship_by":
    time}, {"ship_from": warehouse or None}. Raises Refused while another change waits for the provider's answer."""
    known = find(t.sql, order.id)
    assert known is not None
    if known.wish:
        raise Refused(f"A change of order {order.number} still waits for the provider's answer.",
                      f"zenv orders show {order.number}")  # fmt: skip
    _write(t, order.id, wish=json.dumps(change))
    withdraw(t, "change refused", order.number)
    (shot,) = _snapshots(t.sql, [order.id]).values()
    if shot.digest() == known.digest:  # as it stands already: nothing is said of it, so no answer would come
        _write(t, order.id, wish="")
    t.hand(order.id)


def tell_again(t: Transaction, connection: int) -> None:
    """Owe every order that the provider still has to ship once more, in a new version."""
    these = select(orders.c.id).where(orders.c.state.in_(("ready", "part_shipped")))
    known = (fulfilments.c.connection_id == connection, fulfilments.c.state.in_(("wanted", "handed")),
             fulfilments.c.digest != b"", fulfilments.c.order_id.in_(these))  # fmt: skip
    for order in t.sql.execute(select(fulfilments.c.order_id).where(*known)).scalars().all():
        _write(t, order, version=fulfilments.c.version + 1)
        owe(t, connection, "order", order)


def is_away(sql: Sql, order: int) -> bool:
    """Whether the provider may have this order, so that a change of it is the provider's to decide."""
    known = find(sql, order)
    return known is not None and known.state in ("wanted", "handed") and bool(known.digest)


def let_go(t: Transaction, order: int) -> None:
    """No provider ships this order any more. The versions go on where it is handed over again: one that the provider
    has heard already would not be heeded."""
    _write(t, order, state="recalled", told=0, wish="", digest=b"")


def answered(t: Transaction, said: Iterable[tuple[int, int, str]]) -> None:
    """The provider has these orders: each in a version, under a number of its own."""
    t.many(_answered, [
        {"order": order, "newest": version, "its_number": strip_control(number)} for order, version, number in said
    ])  # fmt: skip


_answered = (
    fulfilments.update()
    .where(fulfilments.c.order_id == bindparam("order"))
    .values(told=bindparam("newest"), state="handed", remote_number=bindparam("its_number"))
)


def end_wish(t: Transaction, order: int) -> None:
    """The provider has answered what was wished for."""
    _write(t, order, wish="")


def told_as_it_stands(t: Transaction, order: int) -> None:
    """As the order stands now it is known to the provider."""
    (shot,) = _snapshots(t.sql, [order]).values()
    _write(t, order, digest=shot.digest())


def refused(t: Transaction, order: int, version: int, returned: bool) -> None:
    """The provider goes on with what it had before this version, or (`returned`) will not ship the order at all. What
    stands here now is not said again; a wish in a newer version, which is still to be answered, stays."""
    known = find(t.sql, order)
    assert known is not None
    _write(t, order, told=version, state="returned" if returned else "handed")
    if returned or version == known.version:
        end_wish(t, order)
        told_as_it_stands(t, order)


def demand_own(sql: Sql, order: AnyRow) -> None:
    """Raises Refused for an order that leaves from a warehouse somebody else keeps: what is picked and shipped there is
    the provider's to book."""
    found = sql.execute(
        select(warehouses.c.name, links.c.provider)
        .outerjoin(links, links.c.warehouse_id == warehouses.c.id)
        .where(warehouses.c.id == order.ship_from, warehouses.c.kind != "own")
        .order_by(links.c.asked_at.desc())
    ).first()
    if found is not None:
        keeper = found.provider or "its keeper"
        raise Refused(f"Order {order.number} leaves from {found.name}: {keeper} picks and ships it.",
                      f"zenv orders edit {order.number} --ship-from WAREHOUSE")  # fmt: skip


# ---- what is said ----------------------------------------------------------------------------------------


def build(sql: Sql, keys: KeyBook, owed: Mapping[int, Owed]) -> dict[int, Handover]:
    """The orders to tell now, by the message's key. One whose recipient was forgotten meanwhile is told without."""
    found = find_all(sql, owed)
    shots = _snapshots(sql, found)
    shared = _shared_skus(sql, {line.item_id for shot in shots.values() for line in shot.lines})
    people = _people(sql, keys, [order for order, shot in shots.items() if not shot.cancelled])
    built = {}
    for order, known in found.items():
        if known.told < known.version and known.state in ("wanted", "handed"):
            key = owed[order].id
            said = _said(shots[order], known, shared.get(known.connection_id, {}), people.get(order))
            built[key] = Handover(key, said)
    return built


def _said(shot: Snapshot, known: AnyRow, shared: Mapping[int, str], who: wire.Recipient | None) -> wire.HandedOrder:
    from zenv import wire

    order = shot.order
    return wire.HandedOrder(
        order=wire.reference("c", order.number), version=known.version, placed_at=order.placed_at, ship_by=shot.ship_by,
        service_level=order.service_level, hold=order.hold != "", cancelled=shot.cancelled, recipient=who,
        lines=[
            wire.HandedLine(line=line.remote_id, sku=shared.get(line.item_id, line.sku), name=line.name,
                            quantity=shot.quantity(line) or line.quantity, cancelled=shot.unwanted(line))
            for line in shot.lines if shot.quantity(line) or line.quantity
        ],
    )  # fmt: skip


def _snapshots(sql: Sql, order_ids: Iterable[int]) -> dict[int, Snapshot]:
    ids = list(order_ids)
    content: dict[int, list[AnyRow]] = {order: [] for order in ids}
    for line in sql.execute(select(lines).where(among(lines.c.order_id, ids)).order_by(lines.c.id)):
        content[line.order_id].append(line)
    wished = select(fulfilments.c.order_id, fulfilments.c.wish).where(among(fulfilments.c.order_id, ids))
    wishes = {order: json.loads(said) if said else {} for order, said in sql.execute(wished)}
    known = select(personal.c.order_id).where(among(personal.c.order_id, ids), personal.c.fetched_at > NEVER)
    with_person, elsewhere = set(sql.execute(known).scalars()), _shipped_elsewhere(sql, ids)
    return {
        order.id: Snapshot(order, content[order.id], elsewhere, wishes.get(order.id, {}), order.id in with_person)
        for order in sql.execute(select(orders).where(among(orders.c.id, ids)))
    }


def _shipped_elsewhere(sql: Sql, order_ids: Iterable[int]) -> dict[int, int]:
    """Line -> units that left in packages that are not the provider's."""
    gone = (
        select(packed.c.line_id, func.sum(packed.c.quantity))
        .join(shipments, shipments.c.id == packed.c.shipment_id)
        .where(among(shipments.c.order_id, order_ids), shipments.c.elsewhere)
        .group_by(packed.c.line_id)
    )
    return {line: units for line, units in sql.execute(gone)}


def _shared_skus(sql: Sql, items: Iterable[int | None]) -> dict[int, dict[int, str]]:
    """Connection -> item -> the SKU under which the provider knows it."""
    found: dict[int, dict[int, str]] = {}
    known = select(listings.c.connection_id, listings.c.item_id, listings.c.sku).join(
        links, links.c.connection_id == listings.c.connection_id
    )
    wanted = [item for item in items if item is not None]
    for connection, item, sku in sql.execute(
        known.where(among(listings.c.item_id, wanted)).order_by(listings.c.id.desc())
    ):
        found.setdefault(connection, {})[item] = sku
    return found


def _people(sql: Sql, keys: KeyBook, order_ids: Sequence[int]) -> dict[int, wire.Recipient]:
    """Whom the orders go to, as far as anybody may still know."""
    from zenv import wire

    places = {order.id: order for order in sql.execute(select(orders).where(among(orders.c.id, order_ids)))}
    sealed = select(personal.c.order_id, personal.c.key_id, personal.c.sealed)
    kept = sql.execute(sealed.where(among(personal.c.order_id, order_ids))).all()
    found = {}
    for (order, *_), who in zip(kept, keys.open_many([(key, box) for _, key, box in kept]), strict=True):
        if REDACTED not in who.values():
            to = places[order]
            found[order] = wire.Recipient(
                **{field: who.get(field, "") for field in PERSON},
                city=to.city, region=to.region, postcode=to.postcode, country=to.country[:2],
            )  # fmt: skip
    return found
