"""What whoever packs an order needs of it: whom it goes to, its slip, its label. Each look is in the audit trail before
anything is shown.

A slip or a label is made once and kept sealed; it is made anew when what stands on it has changed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import audit, papers, recipients
from zenv.ledger.book import Book
from zenv.ledger.models import OrderLine, Shipment, ShipmentLine
from zenv.ledger.orders import find_order
from zenv.ledger.transaction import AnyRow, table
from zenv.pdf import Address, Label, Slip, SlipLine
from zenv.privacy import REDACTED

lines, shipments, shipped = table(OrderLine), table(Shipment), table(ShipmentLine)

LOOKED = "looked at recipient"
DRAWING = 1
"""It rises when slips and labels look different, so that those kept are made anew."""
ON_PAPER = ("name", "company", "line1", "line2", "line3")


@dataclass(frozen=True)
class Package:
    """A package that left, or (without a number) what is still to leave."""

    shipment: int | None
    reference: str


def recipient(book: Book, number: str, why: str) -> dict[str, str]:
    """The person's fields, after it was written down who looked; empty when nobody is known yet."""
    with book.reading() as sql:
        who = recipients.recipient(sql, book.keys, find_order(sql, number).id)
    if any(value and value != REDACTED for value in who.values()):
        _write_down(book, number, why)
    return who


def slip(book: Book, number: str, package: str | None = None) -> bytes:
    """The packing slip of a package as PDF: of the one named, of what is still to leave, or of the only one."""
    with book.reading() as sql:
        order = find_order(sql, number)
        chosen = _package(sql, order, package)
        who = _known(sql, book, order)
        content = _lines(sql, order.id, chosen)
    about = book.company
    made = Slip(about.name, about.country, order.number, _day(book, order), chosen.reference, _address(order, who),
                content, who.get("gift_message", ""))  # fmt: skip
    return _printed(book, order, chosen, "packing_slip", made, _draw_slip)


def label(book: Book, number: str, package: str | None = None, paper: int | None = None) -> bytes:
    """The label of a package: this `paper`; else the carrier's that was attached last; else its address as PDF."""
    with book.reading() as sql:
        order = find_order(sql, number)
        chosen = Package(None, "") if paper is not None else _package(sql, order, package)
        found = _kept(sql, order, chosen, paper)
        who = _known(sql, book, order) if found is None else {}
    if found is not None:
        content = papers.open_paper(book, found)
        _write_down(book, number, f"paper {found}")
        return content
    if not any(who.get(name) for name in ON_PAPER):
        raise Refused(f"Order {order.number} has no recipient, so there is no address to print.",
                      f"zenv orders label attach {order.number} FILE")  # fmt: skip
    made = Label(book.company.name, order.number, _day(book, order), chosen.reference, _address(order, who))
    return _printed(book, order, chosen, "address_label", made, _draw_label)


def attach(book: Book, number: str, content: bytes, package: str | None = None) -> int:
    """Keep a label that was bought elsewhere; the number of the paper."""
    with book.reading() as sql:
        order = find_order(sql, number)
        chosen = _package(sql, order, package)
        if REDACTED in recipients.recipient(sql, book.keys, order.id).values():
            raise _forgotten(order.number)
    return papers.keep(book, order.id, chosen.shipment, "carrier_label", content)


# --- which package, and what is in it -------------------------------------------------------------------------


def _packages(sql: Connection, order: int) -> list[AnyRow]:
    return list(sql.execute(select(shipments).where(shipments.c.order_id == order).order_by(shipments.c.id)))


def _package(sql: Connection, order: AnyRow, reference: str | None) -> Package:
    left = _packages(sql, order.id)
    if reference is not None:
        named = [one for one in left if one.reference == reference]
        if not named:
            raise NotFound(f"Order {order.number} has no such package.", f"zenv orders show {order.number}")
        return Package(named[0].id, reference)
    if not left or _open_lines(sql, order.id):
        return Package(None, str(len(left) + 1))
    if len(left) > 1:
        names = ", ".join(one.reference for one in left)
        raise BadInput(f"Order {order.number} left in the packages {names}: say which.", "add --package NUMBER")
    return Package(left[0].id, left[0].reference)


def _lines(sql: Connection, order: int, package: Package) -> list[SlipLine]:
    if package.shipment is None:
        return _open_lines(sql, order) or _all_lines(sql, order)
    query = (
        select(lines.c.sku, lines.c.name, shipped.c.quantity)
        .join(shipped, shipped.c.line_id == lines.c.id)
        .where(shipped.c.shipment_id == package.shipment)
        .order_by(lines.c.id)
    )
    return [SlipLine(*one) for one in sql.execute(query)]


def _open_lines(sql: Connection, order: int) -> list[SlipLine]:
    left = lines.c.quantity - lines.c.cancelled - lines.c.shipped
    query = select(lines.c.sku, lines.c.name, left).where(lines.c.order_id == order, left > 0).order_by(lines.c.id)
    return [SlipLine(*one) for one in sql.execute(query)]


def _all_lines(sql: Connection, order: int) -> list[SlipLine]:
    query = select(lines.c.sku, lines.c.name, lines.c.quantity).where(lines.c.order_id == order).order_by(lines.c.id)
    return [SlipLine(*one) for one in sql.execute(query)]


def _day(book: Book, order: AnyRow) -> date:
    placed: datetime = order.placed_at
    return placed.astimezone(ZoneInfo(book.company.time_zone)).date()


# --- whom it goes to ------------------------------------------------------------------------------------------


def _known(sql: Connection, book: Book, order: AnyRow) -> dict[str, str]:
    """The recipient for a paper. Refused when they were forgotten, or when the order must wait for them (C8)."""
    who = recipients.recipient(sql, book.keys, order.id)
    if who and all(value == REDACTED for value in who.values()):
        raise _forgotten(order.number)
    if order.state == "cancelled":
        raise Refused(f"Order {order.number} is cancelled; nothing was printed.", f"zenv orders show {order.number}")
    if order.connection_id is not None and not any(who.get(name) for name in ON_PAPER):
        raise Refused(f"The recipient of order {order.number} is not known; do not ship it. Nothing was printed.",
                      "zenv sync now")  # fmt: skip
    return who


def _forgotten(number: str) -> Refused:
    return Refused(f"Order {number} is redacted: whom it went to was forgotten, and its papers were destroyed.",
                   f"zenv orders show {number}")  # fmt: skip


def _address(order: AnyRow, who: dict[str, str]) -> Address:
    return Address(**{name: who.get(name, "") for name in ON_PAPER}, city=order.city, region=order.region,
                   postcode=order.postcode, country=order.country)  # fmt: skip


def _write_down(book: Book, number: str, why: str) -> None:
    with book.transaction() as t:
        audit.record(t, LOOKED, number, detail=why)


# --- made once ------------------------------------------------------------------------------------------------


def _kept(sql: Connection, order: AnyRow, package: Package, paper: int | None) -> int | None:
    """The paper to print as it is kept: the one named, which must be this order's, or the carrier's label."""
    if paper is None:
        return papers.newest(sql, order.id, package.shipment, "carrier_label")
    if paper not in [one.id for one in papers.list_(sql, order.id)]:
        raise NotFound(f"Order {order.number} has no paper {paper}.", f"zenv orders label list {order.number}")
    return paper


def _printed(
    book: Book, order: AnyRow, package: Package, kind: papers.Kind, content: Slip | Label, draw: Callable[[Any], bytes]
) -> bytes:
    made_of = papers.digest(json.dumps([DRAWING, kind, asdict(content)], default=str, sort_keys=True))
    with book.reading() as sql:
        before = papers.newest(sql, order.id, package.shipment, kind)
    paper = _unchanged(book, before, made_of)
    if paper is None:
        paper = draw(content)
        papers.keep(book, order.id, package.shipment, kind, paper, made_of)
    _write_down(book, order.number, f"{kind.replace('_', ' ')} of package {package.reference}")
    return paper


def _unchanged(book: Book, paper: int | None, made_of: bytes) -> bytes | None:
    """The paper that is kept, if it was made of the same and its file is there."""
    if paper is None:
        return None
    try:
        digest, content = papers.open_whole(book, paper)
    except NotFound:
        return None
    return content if digest == made_of else None


def _draw_slip(content: Slip) -> bytes:
    from zenv.pdf import slip

    return slip.draw(content)


def _draw_label(content: Label) -> bytes:
    from zenv.pdf import label

    return label.draw(content)
