"""Reading on in a provider's journal: only what comes right after the mark is repeated, whoever else reads it too; and
taking the provider's levels as they are there.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select
from sqlalchemy.exc import IntegrityError

from zenv.errors import Busy, DiskTrouble, KeyUnavailable, Stopped, ZenvError
from zenv.facts import BadRecord, LevelsFact
from zenv.ledger import connections
from zenv.ledger.models import OUTSIDE, Level, Link, Listing, Order
from zenv.ledger.stock import Move, move
from zenv.ledger.transaction import AnyRow, Transaction, among, table
from zenv.ledger.zfn import arrivals, replay, sharing

if TYPE_CHECKING:
    from zenv import wire

links, levels, listings, orders = table(Link), table(Level), table(Listing), table(Order)

STREAM = "events"
BEGINNING = '{"entry": 0}'
READ_ON = "Another run has read on in the journal meanwhile; nothing was booked twice."


def mark(sql: Connection, connection: int) -> str:
    """How far the journal was read: the cursor of its stream."""
    return connections.cursor(sql, connection, STREAM) or BEGINNING


def demand_mark(sql: Connection, connection: int, expected: str) -> None:
    """Raises Stopped when another run has read on meanwhile."""
    if _entry(mark(sql, connection)) != _entry(expected):
        raise Stopped(READ_ON)


def _entry(cursor: str) -> int:
    return int(json.loads(cursor)["entry"])


def unknown_orders(sql: Connection, connection: int, booked: Sequence[wire.Booked]) -> list[str]:
    """The references of orders that the provider entered and did something for before we have heard of them."""
    said = {moved.order for one in booked for moved in one.movements if moved.order} | {
        package.order for one in booked for package in one.packages
    }
    entered = {reference for reference in said if reference.startswith("p:")}
    here = select(orders.c.remote_id).where(orders.c.connection_id == connection, among(orders.c.remote_id, entered))
    return sorted(entered - set(sql.execute(here).scalars()))


def record(t: Transaction, connection: int, booked: Sequence[wire.Booked]) -> list[BadRecord]:
    """Repeat a page of the journal; what could not be repeated, with the reason: its items get the provider's levels as
    they are. Raises Stopped when another run has read on meanwhile, with nothing booked."""
    if booked[0].movements[0].entry != _entry(mark(t.sql, connection)) + 1:
        raise Stopped(READ_ON)
    bad = []
    for one in booked:
        try:
            with t.sql.begin_nested():
                replay.record(t, connection, one)
        except (Busy, DiskTrouble, KeyUnavailable):
            raise
        except (ZenvError, IntegrityError) as error:
            reason = error.message if isinstance(error, ZenvError) else str(error.orig)
            said = f"{reason} (zenv zfn compare says what differs)"
            bad.append(BadRecord("entry", str(one.movements[0].entry), said))
            sharing.take_levels(t, connection, {moved.sku for moved in one.movements})
    return bad


def take_levels(t: Transaction, connection: int, fact: LevelsFact) -> None:
    """The mirror holds what the provider says it has, and nothing of items that are not linked to any of its own: what
    it keeps under a SKU is counted once, whichever item that was linked to before."""
    replay.refresh(t, connection, fact.levels, fact.skus)
    sharing.levels_taken(t, connection, fact.skus)
    link = t.sql.execute(select(links).where(links.c.connection_id == connection)).one()
    left = _of_no_listing(t, link)
    outside = OUTSIDE["adjustment"]
    said = f"{link.provider} lists it no more"
    move(t, [
        Move(item, t.place(link.warehouse_id, state), outside, units, "counted", note=said)
        for item, held in left.items() for state, units in held.items() if units
    ])  # fmt: skip
    arrivals.fit_reservations(t, link, left)


def _of_no_listing(t: Transaction, link: AnyRow) -> dict[int, dict[str, int]]:
    """Item -> units by state in the provider's warehouse, of items without a listing there."""
    listed = select(listings.c.item_id).where(
        listings.c.connection_id == link.connection_id, listings.c.item_id.is_not(None)
    )
    found = t.sql.execute(
        select(levels).where(levels.c.warehouse_id == link.warehouse_id, levels.c.on_hand + levels.c.picked > 0,
                             levels.c.item_id.not_in(listed))
    )  # fmt: skip
    return {one.item_id: {"on_hand": one.on_hand, "picked": one.picked} for one in found}
