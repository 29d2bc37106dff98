"""Holding our mirror against a provider's journal: what differs, and the first entry that explains it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import Connection as Sql
from sqlalchemy import func, select

from zenv.ledger.invariants import Finding
from zenv.ledger.models import (
    Fulfilment,
    Item,
    Level,
    Listing,
    Mirrored,
    Movement,
    Order,
    Place,
    Shipment,
    ShipmentLine,
)
from zenv.ledger.models import OrderLine as Line
from zenv.ledger.stock import STATES
from zenv.ledger.transaction import AnyRow, table

if TYPE_CHECKING:
    from zenv import wire

listings, items, levels, movements = table(Listing), table(Item), table(Level), table(Movement)
places, mirrored, fulfilments = table(Place), table(Mirrored), table(Fulfilment)
orders, lines, shipments, packed = table(Order), table(Line), table(Shipment), table(ShipmentLine)


@dataclass
class Journal:
    """What a provider booked of our goods up to a mark: movements by SKU, and units that left by order and line."""

    moved: dict[str, list[wire.Moved]] = field(default_factory=lambda: defaultdict(list))
    shipped: Counter[tuple[str, str]] = field(default_factory=Counter)

    def take(self, booked: wire.Booked, until: int) -> None:
        """Read one transaction, as far as it lies before the mark."""
        if not booked.movements or booked.movements[-1].entry > until:
            return
        for moved in booked.movements:
            self.moved[moved.sku].append(moved)
        for package in booked.packages:
            for line in package.lines:
                self.shipped[package.order, line.line] += line.quantity


def compare(sql: Sql, link: AnyRow, there: Sequence[wire.LevelOf], journal: Journal) -> list[Finding]:
    """What differs between the provider, right after our mark, and our books; `link` as in `links.demand_linked`."""
    return _levels(sql, link, there, journal) + _shipped(sql, link, journal)


def _levels(sql: Sql, link: AnyRow, there: Sequence[wire.LevelOf], journal: Journal) -> list[Finding]:
    said = {level.sku: tuple(getattr(level, state) for state in STATES) for level in there}
    here = _here(sql, link)
    findings = []
    for sku in sorted(said.keys() | here.keys()):
        theirs, ours = said.get(sku, (0, 0, 0)), here.get(sku)
        if ours is None:
            findings.append(_unknown(link, sku, theirs))
        elif theirs[:2] != ours[:2]:  # what is under way to the provider, it does not know of
            text = f"{link.provider} has {_units(theirs)}, here are {_units(ours)}; {_first(sql, link, sku, journal)}"
            findings.append(Finding("provider_level", sku, text, f"zenv zfn reimport '{link.warehouse}'"))
    return findings


def _here(sql: Sql, link: AnyRow) -> dict[str, tuple[int, ...]]:
    """SKU at the provider -> units in our warehouse there, of every item that is linked."""
    found = (
        select(listings.c.sku, *(levels.c[state] for state in STATES))
        .outerjoin(levels, (levels.c.item_id == listings.c.item_id) & (levels.c.warehouse_id == link.warehouse_id))
        .where(listings.c.connection_id == link.connection_id, listings.c.item_id.is_not(None))
    )
    return {sku: tuple(units or 0 for units in held) for sku, *held in sql.execute(found)}


def _unknown(link: AnyRow, sku: str, theirs: Sequence[int]) -> Finding:
    text = f"{link.provider} has {_units(theirs)} of {sku}, which is none of our items"
    return Finding("provider_level", sku, text, f"zenv items unconfirmed --connection '{link.connection}'")


def _units(held: Sequence[int]) -> str:
    return f"{held[0]} on hand and {held[1]} picked"


def _first(sql: Sql, link: AnyRow, sku: str, journal: Journal) -> str:
    """The first entry of the journal that our movements do not repeat as it was, in words."""
    ours = _repeated(sql, link, sku)
    for moved in journal.moved.get(sku, ()):
        here = ours.pop(moved.entry, Counter())
        if here != _effect(moved):
            return f"first at entry {moved.entry}: {_in_words(moved)} there, {_said(here)} here"
    if ours:
        entry = min(ours)
        return f"first at entry {entry}: nothing there, {_said(ours[entry])} here"
    return "every entry of its journal is repeated here, so something else was booked into that warehouse"


def _effect(moved: wire.Moved) -> Counter[str]:
    """What a movement changes in the provider's warehouse: units by state, without those of no effect."""
    change: Counter[str] = Counter()
    for place, by in ((moved.source, -moved.quantity), (moved.destination, moved.quantity)):
        if place in ("on_hand", "picked"):
            change[place] += by
    return Counter({state: by for state, by in change.items() if by})


def _repeated(sql: Sql, link: AnyRow, sku: str) -> dict[int, Counter[str]]:
    """Entry -> what our movements that repeat it changed in our warehouse there, since this link was asked for."""
    source, destination = places.alias("source"), places.alias("destination")
    found = sql.execute(
        select(mirrored.c.entry, movements.c.quantity, source.c.warehouse_id.label("from_"),
               source.c.state.label("out"), destination.c.warehouse_id.label("to_"), destination.c.state.label("into"))
        .join(movements, movements.c.id == mirrored.c.movement_id)
        .join(source, source.c.id == movements.c.source_id)
        .join(destination, destination.c.id == movements.c.destination_id)
        .join(listings, (listings.c.item_id == movements.c.item_id) & (listings.c.connection_id == link.connection_id))
        .where(mirrored.c.connection_id == link.connection_id, listings.c.sku == sku)
    )  # fmt: skip
    changes: dict[int, Counter[str]] = {}
    for one in found:
        change = changes.setdefault(one.entry, Counter())
        for warehouse, state, by in ((one.from_, one.out, -one.quantity), (one.to_, one.into, one.quantity)):
            if warehouse == link.warehouse_id and state in ("on_hand", "picked"):
                change[state] += by
    return {entry: Counter({state: by for state, by in change.items() if by}) for entry, change in changes.items()}


def _in_words(moved: wire.Moved) -> str:
    name = (moved.order or moved.inbound or "").partition(":")[2]
    what = f" for {name}" if name else ""
    return f"{moved.quantity} {moved.reason}{what} ({moved.source} to {moved.destination})"


def _said(change: Mapping[str, int]) -> str:
    return ", ".join(f"{by:+} {state.replace('_', ' ')}" for state, by in sorted(change.items())) or "nothing"


# ---- orders ----------------------------------------------------------------------------------------------


def _shipped(sql: Sql, link: AnyRow, journal: Journal) -> list[Finding]:
    """Lines of which the provider's packages hold other numbers than ours from its warehouse."""
    findings = []
    for order, line, sku, units in _sent(sql, link, {reference for reference, _ in journal.shipped}):
        there = journal.shipped[order, line]
        if there != units:
            number = order.partition(":")[2]
            text = f"{link.provider} shipped {there} x {sku} of order {number}, {units} of them are in our books"
            findings.append(Finding("provider_shipped", number, text, f"zenv orders show {number}"))
    return findings


def _sent(sql: Sql, link: AnyRow, references: Iterable[str]) -> list[tuple[str, str, str, int]]:
    """(reference, line, SKU, units in packages from the provider's warehouse) of every line of these orders, and of
    those that we handed over."""
    numbers = {said.partition(":")[2] for said in references if said.startswith("c:")}
    handed = select(fulfilments.c.order_id).where(fulfilments.c.connection_id == link.connection_id)
    units = func.coalesce(func.sum(packed.c.quantity), 0)
    from_there = (shipments.c.id == packed.c.shipment_id) & (shipments.c.warehouse_id == link.warehouse_id)
    found = sql.execute(
        select(orders.c.number, lines.c.remote_id, lines.c.sku, units)
        .join(lines, lines.c.order_id == orders.c.id)
        .outerjoin(shipments, (shipments.c.order_id == orders.c.id) & (shipments.c.warehouse_id == link.warehouse_id))
        .outerjoin(packed, (packed.c.line_id == lines.c.id) & from_there)
        .where(orders.c.id.in_(handed) | orders.c.number.in_(numbers))
        .group_by(lines.c.id)
        .order_by(orders.c.number, lines.c.id)
    )
    return [(f"c:{number}", line, sku, count) for number, line, sku, count in found]
