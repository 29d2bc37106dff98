"""The books against the outside: after every deed, on a good day, and when the year is over."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.year import deeds, network
from tests.year.company import Shop
from tests.year.deeds import Year
from zenv.errors import Bug, Busy, LoginNeeded
from zenv.ledger import invariants
from zenv.simulators.amazon import Order
from zenv.sync import RunResult


class Broken(AssertionError):
    """A promise does not hold."""


def promise(holds: object, what: str) -> None:
    """Raise Broken unless it holds."""
    if not holds:
        raise Broken(what)


# ---- after every deed ------------------------------------------------------------------------------------


def always(y: Year) -> None:
    """What must be true at every moment."""
    found = invariants.check_all(y.company.book)
    promise(not found, f"the auditor says {found}")
    for shop in y.company.shops:
        sim = shop.sim
        promise(not sim.violations, f"{shop.name}: {sim.violations[:3]}")
        promise(not sim.channel_accidents, f"a second channel was opened: {sim.channel_accidents}")
        promise(not sim.handling_resets, f"a handling time was lost: {sim.handling_resets}")
        twice = [order for order, times in Counter(c.order_id for c in sim.cancellations).items() if times > 1]
        promise(not twice, f"cancelled twice: {twice}")
        _confirmed_once(y, shop)
    _nothing_waits_for_free_stock(y)


def _confirmed_once(y: Year, shop: Shop) -> None:
    ours = {(p.order, p.tracking): p.units for p in y.outside.packed if p.shop == shop.name}
    seen: set[tuple[str, str]] = set()
    for said in shop.sim.confirmations:
        key = (said.order_id, said.tracking)
        promise(key in ours, f"{key} never left")
        promise(key not in seen and not said.edit, f"{key} was confirmed twice, or over another package")
        promise(said.items == ours[key], f"{key} was confirmed with {said.items}, not {ours[key]}")
        seen.add(key)


FREE = """
SELECT v.sku, v.warehouse, l.number, l.open - l.reserved AS missing, v.on_hand
       - COALESCE((SELECT SUM(r.quantity - r.picked) FROM reservation r
                    WHERE r.item_id = i.id AND r.warehouse_id = w.id), 0) AS free
  FROM open_lines l JOIN item i ON i.id = l.item_id
  JOIN levels v ON v.sku = i.sku JOIN warehouse w ON w.name = v.warehouse
 WHERE l.open > l.reserved AND (l.warehouse_id IS NULL OR l.warehouse_id = w.id)
"""


def _nothing_waits_for_free_stock(y: Year) -> None:
    waiting = [row for row in y.company.rows(FREE) if row.free >= row.missing]
    promise(not waiting, f"lines wait for what lies free on a shelf: {waiting}")


# ---- on a good day ---------------------------------------------------------------------------------------


def a_good_day(y: Year) -> None:
    """All shops are heard and then told; then nothing is for sale that is not there."""
    first, second = y.company.shops
    with network.all_quiet(y):
        for shop in (first, second, first):
            _must_work(network.run(y, shop, "stock"))
        if deeds.count_what_is_doubtful(y):
            for shop in (first, second):
                _must_work(network.run(y, shop, "stock"))
        nothing_oversold(y)


def _must_work(result: RunResult) -> None:
    promise(result.outcome == "ok", f"{result.task} was {result.outcome} on a good day: {result.note}")


def nothing_oversold(y: Year) -> None:
    """Live at Amazon = on the shelf - waited for by a customer of any shop, for every linked listing."""
    for sim in (shop.sim for shop in y.company.shops):
        y.company.clock.wind(sim.publish_seconds)
    offered = _free_units(y)
    for shop in y.company.shops:
        for sku, listing in shop.sim.listings.items():
            item = y.outside.thing[shop.name, sku]
            if (shop.name, sku) in y.outside.linked and deeds.known(y, shop.name, sku) == "merchant":
                told = f"{shop.name} offers {listing.quantity} x {sku}; free are {offered[item]} x {item}"
                promise(listing.quantity == offered[item] or item in y.outside.uncounted, told)


def _free_units(y: Year) -> Counter[str]:
    free = Counter(y.outside.shelf)
    for shop in y.company.shops:
        for order in shop.sim.orders.values():
            free.subtract(y.outside.open_units(shop.name, order))
    for needs in y.outside.by_hand.values():
        free.subtract(needs)
    return Counter({item: max(0, units) for item, units in free.items()})


# ---- when the year is over -------------------------------------------------------------------------------


def the_end(y: Year) -> None:
    """Buyers have stopped; everything is told; then the books say what happened, all of it, once."""
    while y.outside.road:
        deeds.goods_arrive(y)
    for _ in range(12):
        with network.all_quiet(y):
            _last_day(y)
        if not _owed(y):
            break
    always(y)
    promise(not _owed(y), f"still owed: {_owed(y)}")
    _orders_are_the_same(y)
    _shelf_is_the_same(y)
    _everything_confirmed(y)
    nothing_oversold(y)


def _last_day(y: Year) -> None:
    """Long enough for a stuck feed; a person then settles what waits on the inbox."""
    y.company.clock.wind(9 * network.HOUR)
    for shop in y.company.shops:
        for task in network.ALL_TASKS:
            _must_not_stop(network.run(y, shop, task))
    while deeds.link(y):
        pass
    deeds.count_what_is_doubtful(y)
    deeds.clear_the_inbox(y)


def _must_not_stop(result: RunResult) -> None:
    promise(not isinstance(result.error, Bug | Busy | LoginNeeded), f"{result.task}: {result.error!r}")


def _owed(y: Year) -> list[Any]:
    """What is still to be told, without packages of orders that Amazon cancelled under our hands."""
    owed = y.company.rows("SELECT connection, kind, subject, state, reason FROM messages")
    return [row for row in owed if row.state != "parked" or row.subject.split("/")[0] not in y.outside.in_vain]


STATE = {"PENDING": "pending", "UNSHIPPED": "ready", "PARTIALLY_SHIPPED": "part_shipped", "SHIPPED": "shipped",
         "CANCELLED": "cancelled"}  # fmt: skip


def _orders_are_the_same(y: Year) -> None:
    for shop in y.company.shops:
        theirs = {o.order_id: o for o in shop.sim.orders.values() if o.fulfilled_by == "MERCHANT"}
        ours = y.company.rows("SELECT number, state, channel_status, total FROM customer_order o"
                              " JOIN connection c ON c.id = o.connection_id WHERE c.name = ?", shop.name)  # fmt: skip
        missing, more = set(theirs) - {o.number for o in ours}, {o.number for o in ours} - set(theirs)
        promise(not missing and not more and len(ours) == len(theirs), f"{shop.name}: lacks {missing}, has {more}")
        for row in ours:
            _order_is_the_same(y, theirs[row.number], row)


def _order_is_the_same(y: Year, order: Order, row: Any) -> None:
    lines = {tuple(line) for line in y.company.rows(
        "SELECT line, sku, quantity, shipped, cancelled FROM order_lines WHERE number = ?", row.number)}  # fmt: skip
    if row.number in y.outside.in_vain:
        promise(row.state in ("shipped", "part_shipped", "cancelled"), f"{row.number} left in vain and is {row.state}")
        return
    gone = order.status == "CANCELLED"
    wanted = {(i.item_id, i.sku, i.quantity, i.shipped, i.quantity - i.shipped if gone else 0) for i in order.lines}
    promise(lines == wanted, f"{row.number}: {lines}, at Amazon {wanted}")
    promise(row.state == STATE[order.status], f"{row.number} is {row.state}, at Amazon {order.status}")
    total = sum((line.price * line.quantity for line in order.lines), order.shipping_price) * 100
    if order.status not in ("PENDING", "CANCELLED"):
        promise(row.total == total, f"{row.number}: total {row.total}, at Amazon {total}")


def _shelf_is_the_same(y: Year) -> None:
    there = Counter({row.sku: row.units for row in y.company.rows(
        "SELECT sku, SUM(on_hand + picked + in_transit) AS units FROM levels GROUP BY sku")})  # fmt: skip
    promise(+there == +y.outside.shelf, f"on the shelf {+y.outside.shelf}, in the books {+there}")
    held = y.company.rows(
        "SELECT o.number FROM reservation r JOIN order_line l ON l.id = r.line_id"
        " JOIN customer_order o ON o.id = l.order_id WHERE o.state IN ('cancelled', 'shipped')"
    )
    promise(not held, f"reserved for what has ended: {held}")
    asked = y.company.rows(
        "SELECT number, cancelling, state FROM customer_order WHERE cancelling IN ('requested', 'accepted')"
        " AND state IN ('pending', 'ready', 'part_shipped')"
    )
    promise(not asked, f"zenv takes these for cancelled, Amazon does not: {asked}")


def _everything_confirmed(y: Year) -> None:
    for shop in y.company.shops:
        said = {(c.order_id, c.tracking) for c in shop.sim.confirmations}
        left = {(p.order, p.tracking) for p in y.outside.packed if p.shop == shop.name}
        silent = {key for key in left - said if key[0] not in y.outside.in_vain}
        promise(not silent, f"{shop.name} was never told of {silent}")
