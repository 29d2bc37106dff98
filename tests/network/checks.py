"""Both ledgers against what really happened: after every deed, on a good day, and when all is over."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Any

from tests.network import companies, deeds, depot, trouble
from tests.network.companies import DEPOT, OURS, THEIRS, Net, world
from tests.year.checks import Broken, promise
from zenv import comparing, sync
from zenv.ledger import invariants

ODD = ("shipped anyway", "late cancel", "shipped elsewhere", "returned")
"""Notices with which an order may have ended otherwise than it should. A change that the provider refused is one only
where it was not ours to take back: of an order that Amazon has sold."""

# ---- after every deed ------------------------------------------------------------------------------------


def always(n: Net) -> None:
    """What must be true at every moment."""
    for book in (n.client, n.provider):
        found = invariants.check_all(book)
        promise(not found, f"the auditor of {book.company.name} says {found}")
    sim = n.company.shops[0].sim
    promise(not sim.violations, f"Amazon: {sim.violations[:3]}")
    promise(not sim.channel_accidents and not sim.handling_resets, "a listing was damaged at Amazon")
    look_at_the_inbox(n)
    _confirmed_once(n)
    nothing_foreign(n)
    the_mirror_is_what_the_provider_was(n)
    split = n.company.rows(SPLIT, DEPOT)
    promise(not split, f"set aside in the depot, but they do not leave from there: {split}")


SPLIT = ("SELECT o.number FROM reservation r JOIN warehouse w ON w.id = r.warehouse_id"
         " JOIN order_line l ON l.id = r.line_id JOIN customer_order o ON o.id = l.order_id"
         " WHERE w.name = ? AND o.ship_from IS NOT w.id")  # fmt: skip
MOVED = ("SELECT m.at, t.sku, s.state AS source, d.state AS destination, m.quantity FROM movement m"
         " JOIN item i ON i.id = m.item_id JOIN listing t ON t.item_id = i.id JOIN client k ON k.id = i.client_id"
         " JOIN place s ON s.id = m.source_id JOIN place d ON d.id = m.destination_id"
         " WHERE k.name = ? ORDER BY m.id")  # fmt: skip
MIRROR = ("SELECT t.sku, COALESCE(l.on_hand, 0) AS on_hand, COALESCE(l.picked, 0) AS picked FROM listing t"
          " JOIN connection c ON c.id = t.connection_id JOIN warehouse w ON w.name = c.name"
          " LEFT JOIN level l ON l.item_id = t.item_id AND l.warehouse_id = w.id"
          " WHERE c.name = ? AND t.item_id IS NOT NULL AND NOT t.needs_detail ORDER BY t.sku")  # fmt: skip


def the_mirror_is_what_the_provider_was(n: Net) -> None:
    """The client's depot holds what the provider's shelves held after one of its transactions (decision 21)."""
    mirror = {(row.sku, state): getattr(row, state) for row in n.company.rows(MIRROR, DEPOT)
              for state in ("on_hand", "picked")}  # fmt: skip
    was: Counter[tuple[str, str]] = Counter()
    if not any(mirror.values()):
        return
    for _, together in groupby(n.there(MOVED, OURS), key=lambda moved: moved.at):
        for moved in together:
            was[moved.sku, moved.source] -= moved.quantity
            was[moved.sku, moved.destination] += moved.quantity
        if all(was[place] == units for place, units in mirror.items()):
            return
    promise(False, f"the provider never held { ({place: units for place, units in mirror.items() if units}) }")


def look_at_the_inbox(n: Net) -> None:
    """A person sees what is there; some of it goes away by itself."""
    n.tally.noticed |= {(kind, subject) for kind, subject in n.company.rows("SELECT kind, subject FROM notice")}


def _confirmed_once(n: Net) -> None:
    ours = {(p.order, p.tracking): p.units for p in n.outside.packed}
    seen: set[tuple[str, str]] = set()
    for said in n.company.shops[0].sim.confirmations:
        key = (said.order_id, said.tracking)
        if said.order_id in n.tally.dropped:
            continue  # what left as well is told over the package of whoever shipped it in Seller Central
        promise(key in ours, f"{key} never left")
        promise(key not in seen and not said.edit, f"{key} was confirmed twice, or over another package")
        promise(said.items == ours[key], f"{key} was confirmed with {said.items}, not {ours[key]}")
        seen.add(key)


def nothing_foreign(n: Net) -> None:
    """Nothing of another client is ever in an answer to ours, and nothing of ours in one to it (Z40, 2.1.11)."""
    marks = {"client": (b"alien",), "other": (b"lamp shop", b"ITEM-1", b"ITEM-2", b"GIFT-", b"HAND-")}
    for speaker, content in n.line.heard:
        found = [mark for mark in marks[speaker] if mark.lower() in content.lower()]
        promise(not found, f"an answer to the {speaker} speaks of {found}")
    n.line.heard.clear()


# ---- on a good day ---------------------------------------------------------------------------------------


def a_good_day(n: Net) -> None:
    """All is quiet, everybody is heard: then nothing is for sale that is not there."""
    n.calm = True
    quiet(n)
    for name, task in ((DEPOT, "provider"), ("a", "stock"), (DEPOT, "provider"), ("a", "stock")):
        _must_work(n, name, task)
    nothing_oversold(n)
    n.calm = False


def quiet(n: Net) -> None:
    """The line and Amazon are well, and what had to wait has waited long enough."""
    n.line.faults.clear()
    n.company.shops[0].sim.faults.clear()
    n.later.clear()
    n.company.clock.wind(3600)


def _must_work(n: Net, name: str, task: str) -> None:
    result = sync.run(n.client, name, task, world(n.client, n.company.clock))
    n.tell(f"{name}: {task} {result.outcome}, {result.orders} orders, {result.sent} sent. {result.note}")
    look_at_the_inbox(n)
    promise(result.error is None, f"{name} {task} was {result.outcome} on a good day: {result.note}")


WAITED_FOR = ("SELECT i.sku, SUM(l.quantity - l.cancelled - l.shipped) FROM order_line l"
              " JOIN customer_order o ON o.id = l.order_id JOIN item i ON i.id = l.item_id"
              " LEFT JOIN connection c ON c.id = o.connection_id"
              " WHERE o.state IN ('ready', 'part_shipped') AND {} GROUP BY i.sku")  # fmt: skip


def nothing_oversold(n: Net) -> None:
    """At Amazon there is never more than what lies at home and in the depot, less what customers wait for."""
    (shop,) = n.company.shops
    n.company.clock.wind(shop.sim.publish_seconds)
    there = Counter(n.tally.home) + Counter(n.tally.depot)
    there.subtract(dict(tuple(row) for row in n.company.rows(WAITED_FOR.format("o.connection_id IS NULL"))))
    entered = "o.remote_id LIKE 'p:%' AND i.client_id = " + str(depot.number_of(n))
    for sku, units in n.there(WAITED_FOR.format(entered)):
        there[sku.partition("-")[2]] -= units
    for order in shop.sim.orders.values():
        if order.order_id not in n.outside.in_vain:
            there.subtract(n.outside.open_units("a", order))
    for sku, listing in shop.sim.listings.items():
        free = max(0, there[sku])
        promise((listing.quantity or 0) <= free, f"Amazon offers {listing.quantity} x {sku}; free are {free}")


# ---- when all is over ------------------------------------------------------------------------------------


def the_end(n: Net) -> None:
    """The trouble is over, both go on until nothing waits; then both ledgers say what happened, all of it, once."""
    n.away.clear()
    n.line.down, n.calm = False, True
    while n.line.late:
        n.tell("late: " + trouble.deliver(n.line, n.face.http, n.rng.randrange(len(n.line.late))))
    for again in range(14):
        _last_day(n, again)
        if again > 4 and not _owed(n):
            break
    always(n)
    promise(not _owed(n), f"still waits: {_owed(n)}")
    _goods(n)
    _parcels(n)
    _orders(n)
    _inbounds(n)
    _other(n)
    nothing_oversold(n)
    differs = comparing.compare_provider(n.client, DEPOT, world(n.client, n.company.clock))
    promise(not differs, f"zenv zfn compare finds {differs}")


ROUND = ((DEPOT, "provider"), ("a", "orders"), ("a", "items"), (DEPOT, "handover"), ("a", "cancellations"),
         ("a", "shipments"), ("a", "stock"), (DEPOT, "provider"))  # fmt: skip


def _last_day(n: Net, again: int) -> None:
    quiet(n)
    for name, task in ROUND:
        _must_work(n, name, task)
    depot._other_runs(n)
    _goods_arrive(n)
    if again < 4:
        deeds.clear_the_inbox(n)


def _goods_arrive(n: Net) -> None:
    """What is on the road is received."""
    for _ in range(20):
        if not any(+units for units in n.tally.road.values()):
            return
        depot.receive_strays(n)
        depot.receive(n)


def _owed(n: Net) -> list[Any]:
    waits = "SELECT connection, kind, subject, state, reason FROM messages"
    ours = [row for row in n.company.rows(waits)
            if row.state != "parked" or row.subject.split("/")[0] not in n.outside.in_vain]  # fmt: skip
    return ours + n.there(waits) + [units for units in n.tally.road.values() if +units]


def _goods(n: Net) -> None:
    """The mirror is the provider's shelf; and by the tally no unit was made or lost in either ledger."""
    mirror = {row.sku: (row.on_hand, row.picked, row.in_transit) for row in n.company.rows(
        "SELECT sku, on_hand, picked, in_transit FROM levels WHERE warehouse = ?"
        " AND on_hand + picked + in_transit > 0", DEPOT)}  # fmt: skip
    kept = {row.sku: (row.on_hand, row.picked, row.in_transit) for row in n.there(
        "SELECT t.sku, SUM(l.on_hand) AS on_hand, SUM(l.picked) AS picked, SUM(l.in_transit) AS in_transit"
        " FROM level l JOIN item i ON i.id = l.item_id JOIN listing t ON t.item_id = i.id"
        " JOIN client k ON k.id = i.client_id WHERE k.name = ? GROUP BY t.sku"
        " HAVING SUM(l.on_hand + l.picked + l.in_transit) > 0", OURS)}  # fmt: skip
    promise(mirror == kept, f"in the client's books {mirror}, at the provider {kept}")
    depot_is = {sku: sum(units) for sku, units in kept.items()}
    promise(depot_is == dict(+n.tally.depot), f"the depot holds {+n.tally.depot}, in its books {depot_is}")
    home_is = {
        row.sku: row.units
        for row in n.company.rows(
            "SELECT sku, on_hand + picked AS units FROM levels WHERE warehouse = ? AND on_hand + picked > 0", "Main"
        )
    }
    promise(home_is == dict(+n.tally.home), f"at home are {+n.tally.home}, in the books {home_is}")
    left = Counter(n.tally.home)
    for units in (n.tally.depot, n.tally.lost, *(parcel.units for parcel in n.tally.parcels)):
        left.update(units)
    promise(+left == +n.tally.came, f"{+n.tally.came} came, {+left} are accounted for")


def _odd(n: Net) -> set[str]:
    """The orders of which the inbox says, or has said, that they did not go as they should."""
    found = n.tally.noticed
    sold = n.company.shops[0].sim.orders
    refused = {subject for kind, subject in found if kind == "change refused" and subject in sold}
    return {subject.split("/")[0] for kind, subject in found if kind in ODD} | refused | n.tally.dropped


def _parcels(n: Net) -> None:
    """Each parcel is in both ledgers and at Amazon once, and no order left twice, unless the inbox says so."""
    ours = Counter(
        tuple(row)
        for row in n.company.rows(
            "SELECT o.number, s.tracking FROM shipment s JOIN customer_order o ON o.id = s.order_id"
            " WHERE NOT s.elsewhere"
        )
    )
    left = Counter((p.order.partition(":")[2], p.tracking) for p in n.tally.parcels)
    promise(ours == left, f"left {left - ours} more and {ours - left} less than the client's books say")
    theirs = Counter(tuple(row) for row in n.there(
        "SELECT o.remote_id, s.tracking FROM shipment s JOIN customer_order o ON o.id = s.order_id"
        " JOIN client k ON k.connection_id = o.connection_id WHERE k.name = ?", OURS))  # fmt: skip
    by_depot = Counter((p.order, p.tracking) for p in n.tally.parcels if p.door == "depot")
    promise(theirs == by_depot, f"left {by_depot - theirs} more and {theirs - by_depot} less than the provider says")
    odd = _odd(n)
    wanted = "SELECT number, item, quantity, shipped, cancelled FROM order_lines WHERE item IS NOT NULL"
    for line in n.company.rows(wanted):
        reference = f"p:{line.number}" if line.number.startswith("P") else f"c:{line.number}"
        units = n.tally.of_order(reference)[line.item]
        promise(units == line.shipped or line.number in odd, f"{line}: {units} left")
    said = {(c.order_id, c.tracking) for c in n.company.shops[0].sim.confirmations}
    silent = {(p.order, p.tracking) for p in n.outside.packed} - said
    silent = {key for key in silent if key[0] not in n.outside.in_vain}
    promise(not silent, f"Amazon was never told of {silent}")
    _amazon(n, odd)


def _amazon(n: Net, odd: set[str]) -> None:
    for order in n.company.shops[0].sim.orders.values():
        units = n.tally.of_order(f"c:{order.order_id}")
        for line in order.lines:
            most = 0 if order.status == "CANCELLED" else line.quantity
            excused = order.order_id in odd or order.order_id in n.outside.in_vain
            told = f"{order.order_id} {order.status}: {units} left, Amazon shows {line.shipped} x {line.sku}"
            promise(units[line.sku] <= most or excused, f"{told}, and nobody says so")
            promise(line.shipped == units[line.sku] or order.status == "CANCELLED" or excused, told)


LINES = ("SELECT l.remote_id, l.quantity - l.cancelled - l.shipped AS open, l.shipped FROM order_line l"
         " JOIN customer_order o ON o.id = l.order_id WHERE o.id = ? AND l.quantity > 0")  # fmt: skip


def _orders(n: Net) -> None:
    """What was handed over is at the provider once, with the same lines and open units; and the other way round."""
    odd = _odd(n)
    there = {row.remote_id: row for row in n.there(
        "SELECT o.id, o.remote_id, o.state FROM customer_order o JOIN client k ON k.connection_id = o.connection_id"
        " WHERE k.name = ?", OURS)}  # fmt: skip
    handed = {f"c:{row.number}": row for row in n.company.rows(
        "SELECT o.id, o.number, o.state, f.state AS with_them, f.wish, f.version, f.told FROM fulfilment f"
        " JOIN customer_order o ON o.id = f.order_id")}  # fmt: skip
    entered = {row.remote_id: row for row in n.company.rows(
        "SELECT id, remote_id, number, state FROM customer_order WHERE remote_id LIKE 'p:%'")}  # fmt: skip
    for reference, ours in (handed | entered).items():
        if reference.startswith("c:") and ours.with_them != "handed":
            at_rest = ours.with_them != "wanted" or ours.version == 1 or ours.state in ("pending", "cancelled")
            promise(at_rest and not ours.wish, f"{reference} is {tuple(ours)}")
            continue
        promise(reference in there, f"{reference} was handed over and is not at the provider")
        same = _same_lines(n, ours.id, there[reference].id)
        promise(same or ours.number in odd, f"{reference}: {_both(n, ours.id, there[reference].id)}")
    for reference, row in there.items():
        open_there = row.state in ("pending", "ready", "part_shipped")
        alone = reference not in entered and getattr(handed.get(reference), "with_them", "") != "handed"
        known = reference.partition(":")[2] in odd
        promise(not (open_there and alone) or known, f"{reference} is {row.state} at the provider alone")
    _returned_are_said(n, handed)


def _both(n: Net, here: int, there: int) -> str:
    return (f"here {[tuple(row) for row in n.company.rows(LINES, here)]},"
            f" there {[tuple(row) for row in n.there(LINES, there)]}")  # fmt: skip


def _same_lines(n: Net, here: int, there: int) -> bool:
    ours = {row.remote_id: (row.open, row.shipped) for row in n.company.rows(LINES, here)}
    theirs = {row.remote_id: (row.open, row.shipped) for row in n.there(LINES, there)}
    return {line: ours.get(line, (0, 0)) for line in ours | theirs} == {
        line: theirs.get(line, (0, 0)) for line in ours | theirs}  # fmt: skip


EXPECTED = ("SELECT b.remote_id, b.state, SUM(l.quantity) AS units, SUM(l.received) AS received FROM inbound b"
            " JOIN inbound_line l ON l.inbound_id = b.id JOIN connection c ON c.id = b.connection_id"
            " WHERE c.name = ? AND b.state <> 'requested' GROUP BY b.id")  # fmt: skip


def _inbounds(n: Net) -> None:
    """What was announced is expected, and what was cancelled is not; both count the same units received."""
    ours = {row.remote_id: row for row in n.company.rows(EXPECTED, DEPOT)}
    theirs = {row.remote_id: row for row in n.there(EXPECTED, OURS)}
    for reference in ours | theirs:
        here, there = ours.get(reference), theirs.get(reference)
        if here is None or there is None:
            promise(here is not None and here.state == "cancelled", f"{reference}: here {here}, there {there}")
            continue
        state = "open" if here.state == "shipped" else here.state
        same = (state, here.units, here.received) == (there.state, there.units, there.received)
        promise(same or here.state == there.state == "cancelled", f"{reference}: here {here}, there {there}")


def _returned_are_said(n: Net, handed: dict[str, Any]) -> None:
    said = {subject for (subject,) in n.company.rows("SELECT subject FROM notice WHERE kind = 'returned'")}
    for ours in handed.values():
        promise(ours.with_them != "returned" or ours.number in said, f"{ours.number} was returned, and nobody knows")


def _other(n: Net) -> None:
    """The other client's books and goods are its own."""
    found = invariants.check_all(n.other)
    promise(not found, f"the auditor of {THEIRS} says {found}")
    promise(depot.other_levels(n) == +n.alien, f"the other has {+n.alien}, in its books {depot.other_levels(n)}")
    strangers = companies.rows(n.other, "SELECT sku FROM item WHERE sku NOT IN ('ITEM-0', 'ALIEN-1')")
    promise(not strangers, f"the other client has {strangers}")


__all__ = ["Broken", "a_good_day", "always", "nothing_oversold", "the_end"]
