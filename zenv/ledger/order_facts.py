"""Recording what a remote says of its orders, a page at a time.

A fact is a whole snapshot: recording it twice changes no row (a digest tells), and one older than what is stored
is ignored. Everything later arrives: payment, quantities, cancellations, what was shipped elsewhere (traps b, c).
An order for an unknown SKU is kept; its line waits for the listing to be linked (trap d).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sqlalchemy import bindparam, func, select

from zenv.facts import OrderFact, OrderLineFact
from zenv.ledger import audit, listings
from zenv.ledger.elsewhere import book_elsewhere, complete_delivered, confirm_known_packages
from zenv.ledger.lines import Reshaped, refresh_states, reshape
from zenv.ledger.models import OUTSIDE, Connection, Link, Listing, Order, OrderLine
from zenv.ledger.models.channels import NETWORK
from zenv.ledger.notices import notice
from zenv.ledger.orders import add_comments
from zenv.ledger.settle import read_sources
from zenv.ledger.stock import Move, move
from zenv.ledger.transaction import AnyRow, Transaction, among, row, table
from zenv.privacy import strip_control

orders, lines = table(Order), table(OrderLine)
connections, listing_rows, links = table(Connection), table(Listing), table(Link)

ENDED = ("shipped", "cancelled", "unfulfillable")


@dataclass
class Page:
    """The facts of one page beside what the ledger holds of them."""

    connection: AnyRow
    facts: dict[str, OrderFact]
    ids: dict[str, int] = field(default_factory=dict)
    known: dict[str, AnyRow] = field(default_factory=dict)
    removed_until: datetime | None = None
    kept_in: int | None = None
    """The warehouse that a provider keeps for us, whose page it is: what it entered for us leaves from there."""


def record(t: Transaction, connection: int, facts: Sequence[OrderFact]) -> int:
    """Bring the books up to these facts. The number of orders that were new or had changed."""
    page = _compare(t, connection, facts)
    new = [fact for key, fact in page.facts.items() if key not in page.known]
    changed = [fact for key, fact in page.facts.items() if key in page.known]
    _insert(t, page, new)
    _update(t, page, changed)
    progressed = changed + [fact for fact in new if _moves_stock(page, fact)]
    book_elsewhere(t, page.connection.id, {page.ids[fact.remote_id]: fact for fact in progressed})
    refresh_states(t, [page.ids[fact.remote_id] for fact in progressed])
    complete_delivered(t, {page.ids[fact.remote_id]: fact for fact in page.facts.values()})
    _say_what_ended_oddly(t, page, changed)
    return len(page.facts)


def _compare(t: Transaction, connection: int, facts: Sequence[OrderFact]) -> Page:
    """Leave out what is unchanged, older, or not wanted."""
    owner = t.sql.execute(select(connections).where(connections.c.id == connection)).one()
    newest: dict[str, OrderFact] = {}
    for fact in facts:
        seen = newest.get(fact.remote_id)
        if seen is None or seen.updated_at <= fact.updated_at:
            newest[fact.remote_id] = fact
    keeps = select(links.c.warehouse_id).where(links.c.connection_id == connection)
    page = Page(owner, newest, removed_until=audit.removed_until(t.sql), kept_in=t.sql.execute(keeps).scalar())
    for found in _stored(t, connection, newest):
        fact = newest[found.remote_id]
        if found.digest == digest(fact) or fact.updated_at < found.updated_at:
            del newest[found.remote_id]
        else:
            page.known[found.remote_id], page.ids[found.remote_id] = found, found.id
    for key in [key for key, fact in newest.items() if key not in page.known and not _wanted(page, fact)]:
        del newest[key]
    return page


def _stored(t: Transaction, connection: int, remote_ids: Iterable[str]) -> list[AnyRow]:
    these = (orders.c.connection_id == connection, among(orders.c.remote_id, remote_ids))
    columns = [orders.c[name] for name in ("id", "number", "remote_id", "state", "updated_at", "digest")]
    return list(t.sql.execute(select(*columns).where(*these)).all())


def digest(fact: OrderFact) -> bytes:
    """16 bytes that change whenever anything in the fact changes."""
    lines_said = [tuple(vars(line).values()) for line in fact.lines]
    content = (lines_said, [said for name, said in vars(fact).items() if name != "lines"])
    return blake2b(repr(content).encode(), digest_size=16).digest()


def baseline(connection: AnyRow) -> datetime:
    """From when on what leaves the shelf is ours to book: when the opening stock was taken."""
    since: datetime = connection.opened_at or connection.created_at
    return since


def _wanted(page: Page, fact: OrderFact) -> bool:
    """H75: with "confirmed only", orders that had ended before we began are left out; and so is what was taken out of
    the ledger for its age, or its units would leave the shelf a second time."""
    if page.removed_until and fact.state in ENDED and fact.placed_at < page.removed_until:
        return False
    return page.connection.with_fulfilled or _moves_stock(page, fact)


def _moves_stock(page: Page, fact: OrderFact) -> bool:
    """Whether what the fact calls shipped left after the opening stock was taken."""
    return fact.state not in ENDED or fact.placed_at >= baseline(page.connection)


# ---- new orders ------------------------------------------------------------------------------------------


def _insert(t: Transaction, page: Page, new: Sequence[OrderFact]) -> None:
    if not new:
        return
    number = _numbers(t, page, new)
    t.insert(Order, [_order_row(t, page, fact) | {"number": number[fact.remote_id]} for fact in new])
    page.ids.update({found.remote_id: found.id for found in _ids(t, page, [f.remote_id for f in new])})
    bound = listings.bind_lines(t, page.connection.id, {line.sku for fact in new for line in fact.lines})
    rows = [_line_row(page, fact, line, bound[line.sku]) for fact in new for line in fact.lines]
    t.insert(OrderLine, rows)
    t.touch(*(line["item_id"] for line in rows))
    listings.quantity_moved(t, [line["listing_id"] for line in rows])
    t.hand(*(page.ids[fact.remote_id] for fact in new))
    _reopen(t, page, new, rows)
    add_comments(t, [(page.ids[fact.remote_id], fact.payment) for fact in new if fact.payment])


def _numbers(t: Transaction, page: Page, new: Sequence[OrderFact]) -> dict[str, str]:
    """An order bears the remote's number, unless another seller's order or a manual one has it already (A19)."""
    wanted = {_own_number(page, fact): fact.remote_id for fact in new}
    numbers = {remote_id: number for number, remote_id in wanted.items()}
    for taken in t.sql.execute(select(orders.c.number).where(among(orders.c.number, wanted))).scalars().all():
        numbers[wanted[taken]] = _free_number(t, f"{taken}@{page.connection.name}")
    return numbers


def _own_number(page: Page, fact: OrderFact) -> str:
    """The number that the remote uses. Between two zenvs a reference says first whose number it is."""
    return fact.remote_id.partition(":")[2] if page.connection.kind in NETWORK else fact.remote_id


def _free_number(t: Transaction, number: str) -> str:
    free, again = number, 1
    while t.sql.execute(select(orders.c.id).where(orders.c.number == free)).first() is not None:
        again += 1
        free = f"{number}-{again}"
    return free


def _ids(t: Transaction, page: Page, remote_ids: Iterable[str]) -> list[AnyRow]:
    these = (orders.c.connection_id == page.connection.id, among(orders.c.remote_id, remote_ids))
    return list(t.sql.execute(select(orders.c.id, orders.c.remote_id).where(*these)).all())


def _order_row(t: Transaction, page: Page, fact: OrderFact) -> dict[str, Any]:
    historic = not _moves_stock(page, fact)
    return _ORDER_DEFAULTS | _said(fact) | {
        "connection_id": page.connection.id, "remote_id": fact.remote_id, "ship_from": page.kept_in,
        "entered_by": t.actor,
        "state": _historic_state(fact) if historic else ("pending" if fact.state == "pending" else "ready"),
        "recorded_at": t.now, "placed_at": fact.placed_at,
        "shipped_at": fact.updated_at if historic and fact.state == "shipped" else None,
        "cancelled_at": fact.updated_at if historic and fact.state != "shipped" else None,
    }  # fmt: skip


_NEVER = datetime.min
_ORDER_DEFAULTS = row(Order, number="", state="", placed_at=_NEVER, updated_at=_NEVER, recorded_at=_NEVER)


def _historic_state(fact: OrderFact) -> str:
    return "shipped" if fact.state == "shipped" else "cancelled"


def _said(fact: OrderFact) -> dict[str, Any]:
    """The columns that follow the remote's words."""
    return {
        "channel_status": fact.channel_status, "fulfilled_by": fact.fulfilled_by, "marketplace": fact.marketplace,
        "service_level": fact.service_level, "updated_at": fact.updated_at, "ship_by": fact.ship_by,
        "total": fact.total.minor if fact.total else None, "currency": fact.total.currency if fact.total else "",
        "buyer_wants_cancel": next((line.buyer_wants_cancel for line in fact.lines if line.buyer_wants_cancel), ""),
        "replaces": fact.replaces, "digest": digest(fact),
    }  # fmt: skip


def _line_row(page: Page, fact: OrderFact, line: OrderLineFact, bound: tuple[int, int | None]) -> dict[str, Any]:
    quantity = max(line.quantity, line.shipped)
    # What left before the opening stock was taken is history; the rest of `shipped` is booked by book_elsewhere.
    history = fact.placed_at < baseline(page.connection)
    shipped = line.shipped if history else 0
    if history and fact.state == "shipped":
        shipped = quantity - line.cancelled
    return _LINE_DEFAULTS | {
        "order_id": page.ids[fact.remote_id], "remote_id": line.remote_id, "listing_id": bound[0],
        "item_id": bound[1], "sku": line.sku, "name": strip_control(line.name), "quantity": quantity,
        "shipped": shipped, "cancelled": _cancelled(fact, line, quantity, shipped),
        "price": line.price.minor if line.price else None, "tax": line.tax.minor if line.tax else None,
    }  # fmt: skip


_LINE_DEFAULTS = row(OrderLine, order_id=0, remote_id="", sku="", quantity=0)


def _cancelled(fact: OrderFact, line: OrderLineFact, quantity: int, shipped: int) -> int:
    left = quantity - max(shipped, line.shipped)
    return left if fact.state in ("cancelled", "unfulfillable") else min(line.cancelled, left)


def _reopen(t: Transaction, page: Page, new: Sequence[OrderFact], rows: Sequence[dict[str, Any]]) -> None:
    """Units sold before the opening stock was taken are on the shelf, but no longer in the remote's quantity."""
    opened = _opened_at(t, {line["listing_id"] for line in rows})
    placed = {page.ids[fact.remote_id]: fact for fact in new}
    sold_before = [
        line
        for line in rows
        if (at := opened.get(line["listing_id"])) and line["item_id"] and placed[line["order_id"]].placed_at < at
        and placed[line["order_id"]].fulfilled_by == "merchant"
    ]  # fmt: skip
    shelves = read_sources(t.sql).own(page.connection.id) if sold_before else ()
    if not shelves:
        return
    shelf, moves = t.place(shelves[0], "on_hand"), []
    for line in sold_before:
        if units := line["quantity"] - line["cancelled"] - line["shipped"]:
            number = placed[line["order_id"]].remote_id
            moves.append(Move(line["item_id"], OUTSIDE["opening"], shelf, units, "opening", number))
    move(t, moves)


def _opened_at(t: Transaction, listing_ids: Iterable[int]) -> dict[int, datetime]:
    these = (among(listing_rows.c.id, listing_ids), listing_rows.c.opened_at.is_not(None))
    return {key: at for key, at in t.sql.execute(select(listing_rows.c.id, listing_rows.c.opened_at).where(*these))}


# ---- known orders ----------------------------------------------------------------------------------------


def _update(t: Transaction, page: Page, changed: Sequence[OrderFact]) -> None:
    if not changed:
        return
    t.many(_set_said, [_prefixed(page, fact) for fact in changed])
    stored = _stored_lines(t, [page.ids[fact.remote_id] for fact in changed])
    for fact in changed:
        _update_lines(t, page, fact, stored.get(page.ids[fact.remote_id], {}))
    t.hand(*(page.ids[fact.remote_id] for fact in changed))
    add_comments(t, [(page.ids[fact.remote_id], fact.payment) for fact in changed if fact.payment])
    confirm_known_packages(t, {page.ids[fact.remote_id]: fact for fact in changed})


_FOLLOWED = ("channel_status", "fulfilled_by", "marketplace", "service_level", "updated_at", "ship_by", "total",
             "currency", "buyer_wants_cancel", "replaces", "digest", "state")  # fmt: skip
_KEPT_IF_UNSAID = {
    # A snapshot may leave the total out; that does not make it unknown.
    "total": func.coalesce(bindparam("now_total"), orders.c.total),
    "currency": func.coalesce(func.nullif(bindparam("now_currency"), ""), orders.c.currency),
}
_set_said = (
    orders.update()
    .where(orders.c.id == bindparam("order"))
    .values({name: bindparam(f"now_{name}") for name in _FOLLOWED} | _KEPT_IF_UNSAID)
)


def _prefixed(page: Page, fact: OrderFact) -> dict[str, Any]:
    known = page.known[fact.remote_id]
    paid = known.state == "pending" and fact.state != "pending"
    said = _said(fact) | {"state": "ready" if paid else known.state}
    return {"order": known.id} | {f"now_{name}": said[name] for name in _FOLLOWED}


def _stored_lines(t: Transaction, order_ids: Iterable[int]) -> dict[int, dict[str, AnyRow]]:
    found: dict[int, dict[str, AnyRow]] = {}
    for line in t.sql.execute(select(lines).where(among(lines.c.order_id, order_ids))):
        found.setdefault(line.order_id, {})[line.remote_id] = line
    return found


def _update_lines(t: Transaction, page: Page, fact: OrderFact, stored: dict[str, AnyRow]) -> None:
    stored = _with_real_ids(t, fact, stored)
    added = [line for line in fact.lines if line.remote_id not in stored]
    if added:
        bound = listings.bind_lines(t, page.connection.id, {line.sku for line in added})
        t.insert(OrderLine, [_line_row(page, fact, line, bound[line.sku]) for line in added])
        t.touch(*(bound[line.sku][1] for line in added))
        listings.quantity_moved(t, [bound[line.sku][0] for line in added])
    said = {line.remote_id: line for line in fact.lines}
    shapes = [(line, shape) for key, line in stored.items() if (shape := _reshaped(fact, line, said.get(key)))]
    if shapes:
        listings.quantity_moved(t, [line.listing_id for line, _ in shapes])
        reshape(t, [shape for _, shape in shapes])


def _with_real_ids(t: Transaction, fact: OrderFact, stored: dict[str, AnyRow]) -> dict[str, AnyRow]:
    """Lines known from a report have made-up ids; they get the remote's own when it tells them."""
    known = dict(stored)
    for said in fact.lines:
        made_up = next((key for key, line in known.items() if key.startswith("report:") and line.sku == said.sku), None)
        if said.remote_id not in known and made_up is not None:
            line = known.pop(made_up)
            t.sql.execute(lines.update().where(lines.c.id == line.id).values(remote_id=said.remote_id))
            known[said.remote_id] = line
    return known


def _reshaped(fact: OrderFact, line: AnyRow, said: OrderLineFact | None) -> Reshaped | None:
    shipped = max(line.shipped, said.shipped if said else 0)
    quantity = max(said.quantity if said else line.quantity, shipped)
    # A line the remote no longer names is cancelled, like all that is open of a cancelled order.
    cancelled = _cancelled(fact, said, quantity, shipped) if said else quantity - shipped
    if (quantity, cancelled) == (line.quantity, line.cancelled):
        return None
    return Reshaped(line.id, quantity, cancelled, quantity - cancelled - line.shipped)


def _say_what_ended_oddly(t: Transaction, page: Page, changed: Sequence[OrderFact]) -> None:
    """Cancelled at the remote although a package had left: a person must catch it or take it back."""
    for fact in changed:
        known = page.known[fact.remote_id]
        if (
            fact.state == "cancelled"
            and known.state in ("part_shipped", "shipped", "completed")
            and not any(line.shipped for line in fact.lines)
        ):
            notice(t, "late cancel", known.number, f"order {known.number} was cancelled after a package had left")
