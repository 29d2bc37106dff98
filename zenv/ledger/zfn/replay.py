"""Repeating a provider's journal: what it booked of our goods is booked here, in the warehouse it keeps for us.

One transaction of the provider is one of ours, in its order, with the mark of the journal in the same commit. Stock
follows the movements alone; lines and packages follow the packages that came with them; what is set aside for an order
follows what was picked for it. The mirror never stalls: units that it lacks for a movement are taken as a correction,
said on the inbox, for the provider's shelf is where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from zenv.ledger import inbounds
from zenv.ledger.models import OUTSIDE, Level, Link, Listing, Mirrored, Movement
from zenv.ledger.notices import notice
from zenv.ledger.stock import STATES, Move, move
from zenv.ledger.transaction import AnyRow, Transaction, among, table
from zenv.ledger.zfn import arrivals

if TYPE_CHECKING:
    from zenv import wire

links, listings, levels = table(Link), table(Listing), table(Level)
movements = table(Movement)

Shelf = dict[tuple[int, str], int]
"""Units in our warehouse at the provider by item and state, kept up to date while moves are worked out."""


@dataclass
class Mirror:
    """Our warehouse at the provider, and what a transaction of the provider's does to it."""

    link: AnyRow
    items: dict[str, int]
    shelf: Shelf
    moves: list[tuple[int, Move]] = field(default_factory=list)
    """With the journal's entry that each repeats."""


def record(t: Transaction, connection: int, booked: wire.Booked) -> None:
    """Book a transaction of the provider's. What moved of an item that is none of ours (yet) is left out: when it is
    linked, its level is taken from the provider."""
    mirror = _mirror(t, connection, {moved.sku for moved in booked.movements})
    handled = arrivals.Handled()
    for moved in booked.movements:
        if (item := mirror.items.get(moved.sku)) is not None:
            _repeat(t, mirror, moved, item)
            handled.count(moved, item)
    _book(t, mirror)
    arrivals.follow(t, mirror.link, booked.packages, handled)


def _mirror(t: Transaction, connection: int, skus: Iterable[str]) -> Mirror:
    link = t.sql.execute(select(links).where(links.c.connection_id == connection)).one()
    found = t.sql.execute(
        select(listings.c.sku, listings.c.item_id).where(
            listings.c.connection_id == connection, among(listings.c.sku, skus), listings.c.item_id.is_not(None)
        )
    )
    items: dict[str, int] = {sku: item for sku, item in found}
    return Mirror(link, items, _shelf(t, link.warehouse_id, items.values()))


def _shelf(t: Transaction, warehouse: int, items: Iterable[int]) -> Shelf:
    here = t.sql.execute(select(levels).where(levels.c.warehouse_id == warehouse, among(levels.c.item_id, items)))
    return {(row.item_id, state): getattr(row, state) for row in here for state in STATES}


def _repeat(t: Transaction, mirror: Mirror, moved: wire.Moved, item: int) -> None:
    if moved.inbound is not None and (moved.source, moved.destination) == ("supplier", "on_hand"):
        _book(t, mirror)  # where the units come from is read off the levels
        for step in inbounds.arrived(t, mirror.link.connection_id, moved.inbound, item, moved.quantity):
            _add(t, mirror, moved.entry, step)
        _book(t, mirror)
    elif moved.source != moved.destination:
        ends = (_end(t, mirror, moved.source), _end(t, mirror, moved.destination))
        _add(t, mirror, moved.entry, Move(item, *ends, moved.quantity, moved.reason, _reference(moved)))


def _end(t: Transaction, mirror: Mirror, place: str) -> int:
    return OUTSIDE[place] if place in OUTSIDE else t.place(mirror.link.warehouse_id, place)


def _reference(moved: wire.Moved) -> str:
    said = moved.order or moved.inbound or ""
    return said.partition(":")[2]


def _add(t: Transaction, mirror: Mirror, entry: int, step: Move) -> None:
    """One more move, after a correction where the mirror has fewer units there than the provider just moved."""
    warehouse, state = t.whereabouts(step.source)
    if warehouse == mirror.link.warehouse_id:
        missing = step.quantity - mirror.shelf.get((step.item, state), 0)
        if missing > 0:
            _correct(mirror, entry, step, missing)
            _say_missing(t, mirror, step.item, missing)
            _keep_count(t, mirror, mirror.moves[-1][1])
    mirror.moves.append((entry, step))
    _keep_count(t, mirror, step)


def _correct(mirror: Mirror, entry: int, step: Move, missing: int) -> None:
    note = f"as {mirror.link.provider} has it"
    mirror.moves.append(
        (entry, Move(step.item, OUTSIDE["adjustment"], step.source, missing, "counted", step.reference, note))
    )


def _say_missing(t: Transaction, mirror: Mirror, item: int, missing: int) -> None:
    sku = next(sku for sku, known in mirror.items.items() if known == item)
    said = f"{mirror.link.provider} moved {missing} x {sku} that were not known of here; its count was taken"
    notice(t, "provider differs", sku, said)


def _keep_count(t: Transaction, mirror: Mirror, step: Move) -> None:
    for place, by in ((step.source, -step.quantity), (step.destination, step.quantity)):
        warehouse, state = t.whereabouts(place)
        if warehouse == mirror.link.warehouse_id:
            mirror.shelf[step.item, state] = mirror.shelf.get((step.item, state), 0) + by


def _book(t: Transaction, mirror: Mirror) -> None:
    """Book the moves, and remember which entry of the journal each of them repeats."""
    if not mirror.moves:
        return
    before = t.sql.execute(select(func.coalesce(func.max(movements.c.id), 0))).scalar_one()
    move(t, [step for _, step in mirror.moves])
    # Nobody else writes meanwhile, so the movements of this transaction follow one another.
    t.insert(Mirrored, [
        {"movement_id": before + place, "connection_id": mirror.link.connection_id, "entry": entry}
        for place, (entry, _) in enumerate(mirror.moves, 1)
    ])  # fmt: skip
    mirror.moves.clear()


# ---- levels as they are ----------------------------------------------------------------------------------


def refresh(t: Transaction, connection: int, told: Sequence[wire.LevelOf], skus: Sequence[str] | None) -> list[str]:
    """Have the mirror hold what the provider says it has: of these SKUs, or (None) of everything. The SKUs that
    differed, for which a movement was booked."""
    wanted = skus if skus is not None else _all_skus(t, connection)
    mirror = _mirror(t, connection, wanted)
    said = {level.sku: level for level in told}
    under_way = inbounds.under_way(t.sql, mirror.link.warehouse_id)
    differed = []
    for sku, item in sorted(mirror.items.items()):
        level = said.get(sku)
        target = {state: getattr(level, state) if level is not None else 0 for state in STATES}
        target["in_transit"] += under_way.get(item, 0)
        if _set(t, mirror, item, target):
            differed.append(sku)
    move(t, [step for _, step in mirror.moves])
    arrivals.fit_reservations(t, mirror.link, mirror.items.values())
    return differed


def _all_skus(t: Transaction, connection: int) -> list[str]:
    return list(t.sql.execute(select(listings.c.sku).where(listings.c.connection_id == connection)).scalars())


def _set(t: Transaction, mirror: Mirror, item: int, target: dict[str, int]) -> bool:
    steps = []
    for state, units in target.items():
        place, change = _end(t, mirror, state), units - mirror.shelf.get((item, state), 0)
        ends = (OUTSIDE["adjustment"], place) if change > 0 else (place, OUTSIDE["adjustment"])
        if change:
            steps.append(Move(item, *ends, abs(change), "counted", note=f"as {mirror.link.provider} has it"))
    mirror.moves.extend((0, step) for step in steps)
    return bool(steps)
