"""The orders that we are to ship for a client, as it says them; and what we do for it of our own: orders that we enter
or cancel. (Its items: shared_items.)

Every snapshot has a version that the client counts up. One that is not newer than the last known is answered and not
heeded. A refused one is remembered, too, so that a message that was delayed is never taken after its refusal was told:
in `fulfilment`, `version` is the newest that was said and `told` the one that holds; `wish` keeps the reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection, bindparam, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv import wire
from zenv.errors import NotFound, Refused
from zenv.facts import OrderFact, OrderLineFact, RecipientFact
from zenv.ledger import catalog, order_facts, orders, outbox, recipients
from zenv.ledger.item_files import plain
from zenv.ledger.models import Connection as Account
from zenv.ledger.models import Fulfilment, Item, Listing, Message, Order, OrderLine, Reservation, Shipment
from zenv.ledger.transaction import AnyRow, Transaction, among, row, table
from zenv.ledger.zfn import clients, shared_items, standing

fulfilments, messages, accounts = table(Fulfilment), table(Message), table(Account)
order_rows, lines, reservations = table(Order), table(OrderLine), table(Reservation)
shipments, item_rows, listing_rows = table(Shipment), table(Item), table(Listing)

HELD = "the client holds it"


# ---- orders ----------------------------------------------------------------------------------------------


@dataclass
class Books:
    """What we have of the orders of one request, read at once."""

    client: AnyRow
    may_edit_picked: bool
    items: dict[str, AnyRow]
    known: dict[str, AnyRow] = field(default_factory=dict)
    lines: dict[int, dict[str, AnyRow]] = field(default_factory=dict)
    being_picked: set[int] = field(default_factory=set)
    cancelled_by_us: set[int] = field(default_factory=set)


def take_orders(t: Transaction, client: AnyRow, said: Sequence[wire.HandedOrder]) -> list[wire.Answer]:
    """Take the client's orders, edits and cancellations; one answer for each, in their order."""
    answers: list[wire.Answer] = []
    for some in _each_once(said):
        answers += _take(t, client, some)
    return answers


def _each_once(said: Sequence[wire.HandedOrder]) -> Iterator[list[wire.HandedOrder]]:
    """In runs within which no order comes twice."""
    some: dict[str, wire.HandedOrder] = {}
    for one in said:
        if one.order in some:
            yield list(some.values())
            some = {}
        some[one.order] = one
    if some:
        yield list(some.values())


def _take(t: Transaction, client: AnyRow, said: Sequence[wire.HandedOrder]) -> list[wire.Answer]:
    books = _read(t.sql, client, said)
    trouble = {one.order: _trouble(books, one) for one in said if _is_news(books, one)}
    _write(t, books, [one for one in said if trouble.get(one.order) == ""])
    _remember_refusals(t, books, [(one, trouble[one.order]) for one in said if trouble.get(one.order)])
    now = _known_orders(t.sql, client, [one.order for one in said])
    return [_as_known(one, now.get(one.order), trouble.get(one.order, "")) for one in said]


def _read(sql: Connection, client: AnyRow, said: Sequence[wire.HandedOrder]) -> Books:
    skus = {line.sku for one in said for line in one.lines}
    books = Books(client, standing.read(sql).may_edit_picked, shared_items.known(sql, client, skus))
    books.known = _known_orders(sql, client, [one.order for one in said])
    ids = [known.id for known in books.known.values()]
    for line in sql.execute(select(lines).where(among(lines.c.order_id, ids))):
        books.lines.setdefault(line.order_id, {})[line.remote_id] = line
    held = select(lines.c.order_id).join(reservations, reservations.c.line_id == lines.c.id)
    left = select(shipments.c.order_id).where(among(shipments.c.order_id, ids))
    picked = held.where(among(lines.c.order_id, ids), reservations.c.picked > 0)
    books.being_picked = set(sql.execute(picked.union(left)).scalars())
    owed = select(messages.c.subject).where(messages.c.connection_id == client.connection_id,
                                            messages.c.kind == "order", among(messages.c.subject, ids))  # fmt: skip
    books.cancelled_by_us = set(sql.execute(owed).scalars())
    return books


def _known_orders(sql: Connection, client: AnyRow, references: Iterable[str]) -> dict[str, AnyRow]:
    these = (order_rows.c.connection_id == client.connection_id, among(order_rows.c.remote_id, references))
    columns = [order_rows.c[name] for name in ("id", "remote_id", "number", "state", "hold", "updated_at", "ship_by")]
    said = [fulfilments.c[name] for name in ("version", "told", "wish", "digest")]
    query = select(*columns, *said).outerjoin(fulfilments, fulfilments.c.order_id == order_rows.c.id)
    return {one.remote_id: one for one in sql.execute(query.where(*these))}


def _is_news(books: Books, said: wire.HandedOrder) -> bool:
    known = books.known.get(said.order)
    if known is None or known.version is None or said.version > known.version:
        return True
    # What was refused and is now said differently, under the same number, is another wish.
    return bool(said.version == known.version and known.told < known.version and known.digest != _digest(said))


def _trouble(books: Books, said: wire.HandedOrder) -> str:
    """Why a snapshot cannot be taken; empty if it can (2.1.9)."""
    known = books.known.get(said.order)
    if said.order.startswith("p:"):
        return "not possible"
    if any(line.sku not in books.items for line in said.lines) and not (said.cancelled and known is not None):
        return "unknown item"
    if len({line.line for line in said.lines}) < len(said.lines):
        return "not possible"
    if any(line.cancelled > line.quantity for line in said.lines):
        return "not possible"
    return _against_what_is_here(books, known, said) if known is not None else ""


def _against_what_is_here(books: Books, known: AnyRow, said: wire.HandedOrder) -> str:
    here = books.lines.get(known.id, {})
    kept = {line.line: 0 if said.cancelled else line.quantity - line.cancelled for line in said.lines}
    if known.state in ("shipped", "completed") or any(one.shipped > kept.get(line, 0) for line, one in here.items()):
        return "shipped"
    if any(line.line in here and here[line.line].sku != line.sku for line in said.lines):
        return "not possible"
    if known.id in books.being_picked and not books.may_edit_picked and not _is_as_it_was(known, here, kept, said):
        return "being picked"
    # It has not heard yet that we will not ship it, so it does not ask for it anew.
    return "not possible" if known.state == "cancelled" and known.id in books.cancelled_by_us else ""


def _is_as_it_was(known: AnyRow, here: Mapping[str, AnyRow], kept: Mapping[str, int], said: wire.HandedOrder) -> bool:
    """Whether it is only said again: whoever restored a backup repeats what the other has heard already."""
    stands = {line: one.quantity - one.cancelled for line, one in here.items() if one.quantity > one.cancelled}
    same_units = stands == {line: units for line, units in kept.items() if units}
    return same_units and said.hold == (known.hold == HELD) and said.ship_by == known.ship_by


def _write(t: Transaction, books: Books, taken: Sequence[wire.HandedOrder]) -> None:
    there = _record(t, books, [_fact(t, books, one, one.cancelled) for one in taken])
    people = [(one.order, one.recipient) for one in taken if one.recipient is not None]
    recipients.record(t, books.client.connection_id, [_recipient(order, who) for order, who in people])
    kept = [(one, there[one.order]) for one in taken if one.order in there]
    t.many(_set_hold, [{"order": known.id, "now": _hold(one, known)} for one, known in kept])
    t.many(_heed, [_row(books.client, one, known.id, one.version, "") for one, known in kept])


def _record(t: Transaction, books: Books, facts: Sequence[OrderFact]) -> dict[str, AnyRow]:
    """Write orders, new ones under our number for them; as they are now, by reference."""
    order_facts.record(t, books.client.connection_id, facts)
    there = _known_orders(t.sql, books.client, [fact.remote_id for fact in facts])
    _number(t, books.client, [one for reference, one in there.items() if reference not in books.known])
    return there


def _fact(t: Transaction, books: Books, said: wire.HandedOrder, cancelled: bool) -> OrderFact:
    """The order as a fact of the client's connection. A line of goods that we do not know is left out: it can only be
    one that is cancelled."""
    known = books.known.get(said.order)
    here = books.lines.get(known.id, {}) if known is not None else {}
    return OrderFact(
        remote_id=said.order, placed_at=said.placed_at, updated_at=max(t.now, known.updated_at) if known else t.now,
        state="cancelled" if cancelled else "ready", channel_status="", fulfilled_by="merchant", marketplace="",
        ship_by=said.ship_by, service_level=plain(said.service_level),
        lines=tuple(
            OrderLineFact(line.line, line.sku, line.quantity, plain(line.name), cancelled=line.cancelled)
            for line in said.lines if line.sku in books.items or line.line in here
        ),
    )  # fmt: skip


def _recipient(order: str, who: wire.Recipient) -> RecipientFact:
    return RecipientFact(order=order, **who.model_dump())


def _hold(said: wire.HandedOrder, known: AnyRow) -> str:
    """The client's hold comes and goes with what it says; one of ours stays."""
    if said.hold:
        return known.hold or HELD
    return "" if known.hold == HELD else str(known.hold)


_set_hold = order_rows.update().where(order_rows.c.id == bindparam("order")).values(hold=bindparam("now"))


def _number(t: Transaction, client: AnyRow, new: Sequence[AnyRow]) -> None:
    """A client's order bears its client's number, so that no two ever collide: `CO-CLIENT-NUMBER`."""
    wanted = {one.id: f"CO-{client.id}-{wire.number_in(one.remote_id)[1]}" for one in new}
    taken = _taken(t.sql, wanted.values())
    for key, number in wanted.items():
        again = 1
        while wanted[key] in taken:
            again += 1
            wanted[key] = f"{number}-{again}"
            taken |= _taken(t.sql, [wanted[key]])
        taken.add(wanted[key])
    t.many(_set_number, [{"order": key, "ours": number} for key, number in wanted.items()])


def _taken(sql: Connection, numbers: Iterable[str]) -> set[str]:
    found = sql.execute(select(order_rows.c.number).where(among(order_rows.c.number, numbers)))
    return set(found.scalars())


_set_number = order_rows.update().where(order_rows.c.id == bindparam("order")).values(number=bindparam("ours"))


# ---- versions and answers --------------------------------------------------------------------------------

_heed = insert_or_update(fulfilments)
_heed = _heed.on_conflict_do_update(
    index_elements=["order_id"],
    set_={name: _heed.excluded[name] for name in ("version", "told", "wish", "digest")},
)


def _row(client: AnyRow, said: wire.HandedOrder, order: int, told: int, reason: str) -> dict[str, Any]:
    return row(Fulfilment, order_id=order, connection_id=client.connection_id, state="taken", version=said.version,
               told=told, wish=reason, digest=_digest(said))  # fmt: skip


def _remember_refusals(t: Transaction, books: Books, refused: Sequence[tuple[wire.HandedOrder, str]]) -> None:
    """So that none of them is taken later, when it comes again: its client has chosen another way by then."""
    new = [one for one, reason in refused if one.order not in books.known and reason == "unknown item"]
    here = books.known | _keep_cancelled(t, books, new)
    known = [(one, here[one.order], reason) for one, reason in refused if one.order in here]
    t.many(_heed, [_row(books.client, one, order.id, order.told or 0, reason) for one, order, reason in known])


def _keep_cancelled(t: Transaction, books: Books, new: Sequence[wire.HandedOrder]) -> dict[str, AnyRow]:
    """Orders that we never took, as cancelled ones."""
    if not new:
        return {}
    there = _record(t, books, [_fact(t, books, one, cancelled=True) for one in new])
    ended = {"state": "cancelled", "cancelled_at": t.now}
    for one in there.values():
        t.sql.execute(order_rows.update().where(order_rows.c.id == one.id).values(**ended))
    return there


def _digest(said: wire.HandedOrder) -> bytes:
    """What was said, without the person: a digest of an address would outlive the address."""
    return blake2b(said.model_dump_json(exclude={"recipient"}).encode(), digest_size=16).digest()


def _as_known(said: wire.HandedOrder, known: AnyRow | None, trouble: str) -> wire.Answer:
    if known is None or known.version is None:
        return _answer(said.order, said.version, known.number if known else "", trouble)
    return _answer(said.order, known.version, known.number, known.wish)


def _answer(reference: str, version: int, number: str, reason: Any = "") -> wire.Answer:
    outcome: Any = "refused" if reason else "taken"
    return wire.Answer(reference=reference, outcome=outcome, version=version, number=number[:200], reason=reason)


# ---- what we have to tell of orders ----------------------------------------------------------------------


def enter(t: Transaction, client_name: str, order: orders.NewOrder) -> str:
    """Enter an order for a client, of its own items; it appears in the client's books (2.1.5). Its number.

    Raises as `orders.create_order`, Refused for goods that are not the client's or a client that is not linked.
    """
    client = clients.find(t.sql, client_name)
    if client.state != "linked":
        raise Refused(f"{client.name} is {client.state}; nothing was entered.", "zenv zfn clients")
    theirs = _their_skus(t.sql, client, [line.sku for line in order.lines])
    number = orders.create_order(t, order)
    made = orders.find_order(t.sql, number)
    named = {"connection_id": client.connection_id, "remote_id": wire.reference("p", number)}
    t.sql.execute(order_rows.update().where(order_rows.c.id == made.id).values(**named))
    for line in t.sql.execute(select(lines.c.id, lines.c.sku).where(lines.c.order_id == made.id)).all():
        listing, sku = theirs[line.sku]
        t.sql.execute(lines.update().where(lines.c.id == line.id).values(listing_id=listing, sku=sku))
    changed(t, [made.id])
    return number


def _their_skus(sql: Connection, client: AnyRow, skus: Sequence[str]) -> dict[str, tuple[int, str]]:
    """Our SKU of each item -> the client's listing and SKU. Raises NotFound, Refused for goods of somebody else."""
    found = sql.execute(
        select(item_rows.c.sku.label("ours"), listing_rows.c.id, listing_rows.c.sku)
        .join(listing_rows, listing_rows.c.item_id == item_rows.c.id)
        .where(listing_rows.c.connection_id == client.connection_id, item_rows.c.client_id == client.id,
               among(item_rows.c.sku, skus))
        .order_by(listing_rows.c.id.desc())
    )  # fmt: skip
    theirs = {one.ours: (one.id, one.sku) for one in found}
    for sku in skus:
        if sku not in theirs and not catalog.find_ids(sql, [sku]):
            raise NotFound(f"There is no item {plain(sku)!r}.", "zenv items list")
        if sku not in theirs:
            raise Refused(f"{plain(sku)} is no item of {client.name}; nothing was entered.", "zenv items list")
    return theirs


def changed(t: Transaction, order_ids: Iterable[int]) -> None:
    """We entered, changed or cancelled these orders: the clients whose they are have to be told. Orders of nobody
    else's are left out."""
    query = (
        select(order_rows.c.id, order_rows.c.connection_id)
        .join(accounts, accounts.c.id == order_rows.c.connection_id)
        .where(among(order_rows.c.id, order_ids), accounts.c.kind == clients.KIND)
    )
    outbox.queue(t, [(connection, "order", order) for order, connection in t.sql.execute(query).all()])


def states(sql: Connection, client: AnyRow, order_ids: Iterable[int]) -> dict[int, wire.OrderState]:
    """Orders of this client as we have them, by id."""
    mine = (order_rows.c.connection_id == client.connection_id, among(order_rows.c.id, order_ids))
    found = sql.execute(select(order_rows).where(*mine)).all()
    content: dict[int, list[wire.HandedLine]] = {one.id: [] for one in found}
    for line in sql.execute(select(lines).where(among(lines.c.order_id, content)).order_by(lines.c.id)):
        if line.quantity:
            content[line.order_id].append(wire.HandedLine(
                line=line.remote_id, sku=line.sku, name=line.name[:200], quantity=line.quantity,
                cancelled=line.cancelled))  # fmt: skip
    return {one.id: _state(one, content[one.id]) for one in found}


def _state(order: AnyRow, content: list[wire.HandedLine]) -> wire.OrderState:
    place: Mapping[str, str] = {name: getattr(order, name)[:200] for name in ("city", "region", "postcode")}
    return wire.OrderState(
        order=order.remote_id, cancelled=order.state == "cancelled", hold=order.hold != "", placed_at=order.placed_at,
        ship_by=order.ship_by, service_level=order.service_level[:200], country=order.country[:2], lines=content,
        **place,
    )  # fmt: skip


def state_of(sql: Connection, client: AnyRow, reference: str) -> wire.OrderState | None:
    """One order of this client, by its reference; None where there is none."""
    mine = (order_rows.c.connection_id == client.connection_id, order_rows.c.remote_id == reference)
    key = sql.execute(select(order_rows.c.id).where(*mine)).scalar()
    return states(sql, client, [key])[key] if key is not None else None
