"""What people do at the client: its buyers at Amazon, orders made by hand, and goods for the depot.

A deed changes the simulator, the tally and (as a person at the command line would) the client's books; one that has
nothing to work on does nothing. While the client is away nobody touches its books.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.network.companies import DEPOT, Net, Parcel, world
from tests.year import deeds as year
from tests.year.outside import Packed
from zenv import handover
from zenv.errors import ZenvError
from zenv.facts import RecipientFact
from zenv.ledger import catalog, inbounds, listings, notices, order_changes, orders, outbox, stock
from zenv.ledger.book import Book

CARRIER = "UPS"


def attempt(n: Net, book: Book, what: str, do: Callable[[Any], object]) -> bool:
    """A person gives a command; a refusal is an answer like any other."""
    n.company.clock.wind(0.001)
    try:
        with book.transaction() as t:
            do(t)
    except ZenvError as error:
        n.tell(f"{what}: refused, {error.message}")
        return False
    n.tell(what)
    return True


def at_client(n: Net, what: str, do: Callable[[Any], object]) -> bool:
    """A command of the client's; often its provider is told at once, as every command does."""
    done = attempt(n, n.client, f"client: {what}", do)
    if done and not n.busy and n.rng.random() < 0.7:
        n.tell(f"client: at once, {n.line.arm(n.rng)}")
        waits = handover.at_once(n.client, world(n.client, n.company.clock, 2.0))
        n.tell(f"client: at once, {[handover.in_words(one) for one in waits]}")
    return done


# ---- buyers ----------------------------------------------------------------------------------------------


def give_up(n: Net) -> None:
    """Amazon or the buyer cancels an order, which may have left without Amazon knowing."""
    (shop,) = n.company.shops
    if order := n.pick(n.sim_orders(shop, "PENDING", "UNSHIPPED")):
        n.tell(f"a: {order.order_id} {order.status} cancelled by the buyer")
        shop.sim.cancel(order.order_id, n.rng.choice(("BUYER", "AMAZON")))
        if n.outside.packages_of(order.order_id):
            n.outside.in_vain.add(order.order_id)


AT_DEPOT = ("SELECT o.number FROM customer_order o JOIN warehouse w ON w.id = o.ship_from"
            " LEFT JOIN fulfilment f ON f.order_id = o.id WHERE w.name = ? AND COALESCE(f.wish, '') = ''")  # fmt: skip


def drop_ship(n: Net) -> None:
    """Somebody has a supplier ship what the provider has, and says so in Seller Central; not after a parcel has left,
    of which Amazon is still to be told: that would be told over the other one, whoever packed it."""
    (shop,) = n.company.shops
    at_depot = {number for (number,) in n.company.rows(AT_DEPOT, DEPOT)}
    here = [o for o in n.sim_orders(shop, "UNSHIPPED") if o.order_id in at_depot]
    found = [o for o in here if not n.outside.left_unconfirmed(o)]
    if order := n.pick(found):
        shop.sim.ship_elsewhere(order.order_id)
        n.tally.dropped.add(order.order_id)
        n.tell(f"a: {order.order_id} shipped in Seller Central")


# ---- orders at the client --------------------------------------------------------------------------------


def some_item(n: Net) -> str:
    return str(n.rng.choice([sku for (sku,) in n.company.rows("SELECT sku FROM item WHERE active ORDER BY sku")]))


def who(number: str) -> RecipientFact:
    return RecipientFact(order=number, name="Anna Marker", line1="Lamp Street 1", city="Berlin", country="DE")


def make_order(n: Net) -> None:
    """By hand, mostly to leave from the depot."""
    number, place = f"M{n.number()}", n.rng.choice((DEPOT, DEPOT, DEPOT, None, "Main"))
    chosen = {some_item(n): n.rng.choice((1, 1, 2, 3)) for _ in range(n.rng.choice((1, 1, 2)))}
    wanted = [orders.NewLine(sku, units) for sku, units in chosen.items()]
    at_client(n, f"{number} from {place}: {chosen}", lambda t: orders.create_order(
        t, orders.NewOrder(wanted, number, recipient=who(number), ship_from=place)))  # fmt: skip


OPEN = ("SELECT o.number, o.hold, c.kind, w.name AS place FROM customer_order o"
        " LEFT JOIN connection c ON c.id = o.connection_id LEFT JOIN warehouse w ON w.id = o.ship_from"
        " WHERE o.state IN ('ready', 'part_shipped') ORDER BY o.id")  # fmt: skip


def open_orders(n: Net) -> list[Any]:
    """The client's open orders, without those that somebody else shipped."""
    return [one for one in n.company.rows(OPEN) if one.number not in n.tally.dropped and one.kind != "zfn"]


def change_order(n: Net) -> None:
    """Fewer or more units of one made by hand."""
    if order := n.pick([one for one in open_orders(n) if one.kind is None]):
        lines = n.company.rows("SELECT sku, quantity FROM order_lines WHERE number = ?", order.number)
        line = n.rng.choice(lines)
        wanted = {line.sku: max(0, line.quantity + n.rng.choice((-1, -1, 1, 2)))}
        at_client(n, f"{order.number} becomes {wanted}", lambda t: order_changes.edit(
            t, order.number, order_changes.Edit(units=wanted)))  # fmt: skip


def hold_order(n: Net) -> None:
    if order := n.pick(open_orders(n)):
        what = "released" if order.hold else "put on hold"
        at_client(n, f"{order.number} is {what}", lambda t: (
            orders.release(t, order.number) if order.hold else orders.hold(t, order.number, "wait")))  # fmt: skip


def cancel_order(n: Net) -> None:
    """The whole of it, or a unit of one made by hand."""
    if order := n.pick(open_orders(n)):
        units = None
        if order.kind is None and n.rng.random() < 0.3:
            found = n.company.rows("SELECT sku FROM open_lines WHERE number = ?", order.number)
            units = {n.rng.choice(found).sku: 1}
        at_client(n, f"{order.number} is cancelled: {units or 'all'}", lambda t: order_changes.cancel(
            t, order.number, "buyer_request", units))  # fmt: skip


def move_order(n: Net) -> None:
    """Called back to the own shelf, or given to the depot."""
    if order := n.pick(open_orders(n)):
        place = "Main" if order.place == DEPOT and n.rng.random() < 0.8 else DEPOT
        at_client(n, f"{order.number} is to leave from {place}", lambda t: order_changes.edit(
            t, order.number, order_changes.Edit(ship_from=place)))  # fmt: skip


# ---- the own door ----------------------------------------------------------------------------------------

IN_HANDS = ("SELECT l.sku, SUM(r.picked) FROM reservation r JOIN item l ON l.id = r.item_id"
            " JOIN order_line ol ON ol.id = r.line_id JOIN customer_order o ON o.id = ol.order_id"
            " JOIN warehouse w ON w.id = r.warehouse_id"
            " WHERE w.name = 'Main' AND o.number <> ? AND r.picked > 0 GROUP BY l.sku")  # fmt: skip
TRANSFERS = ("SELECT b.number, i.sku, l.quantity, l.allocated, l.picked, l.sent, l.received, b.state"
             " FROM inbound_line l JOIN inbound b ON b.id = l.inbound_id"
             " JOIN item i ON i.id = l.item_id WHERE b.kind = 'transfer' ORDER BY b.id, l.id")  # fmt: skip


def within_reach(n: Net, number: str = "") -> Counter[str]:
    """What is at home and in nobody else's hands than of whoever works at this order or transfer."""
    free = Counter(n.tally.home)
    free.subtract(dict(tuple(row) for row in n.company.rows(IN_HANDS, number)))
    for line in n.company.rows(TRANSFERS):
        unbooked = max(0, n.tally.gone[line.number][line.sku] - line.sent)
        if line.number != number:
            free[line.sku] -= max(0, line.picked - unbooked)
    return free


OWN = ("SELECT o.number, i.sku, r.quantity FROM reservation r JOIN order_line ol ON ol.id = r.line_id"
       " JOIN customer_order o ON o.id = ol.order_id JOIN item i ON i.id = ol.item_id"
       " JOIN warehouse w ON w.id = r.warehouse_id"
       " WHERE w.name = 'Main' AND o.state IN ('ready', 'part_shipped') AND o.hold = ''"
       " AND o.cancelling IN ('', 'refused') ORDER BY o.id, ol.id")  # fmt: skip


def _shippable(n: Net) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for number, sku, units in n.company.rows(OWN):
        if number not in n.tally.dropped:
            found.setdefault(number, {})[sku] = units
    return found


def pick_order(n: Net) -> None:
    """Pick an order of the own shelf, or put it back."""
    able = _shippable(n)
    if (number := n.pick(sorted(able))) and Counter(able[number]) <= within_reach(n, number):
        do = n.rng.choice((orders.pick, orders.pick, orders.unpick))
        attempt(n, n.client, f"client: {number} {do.__name__}", lambda t: do(t, number))


def ship_order(n: Net) -> None:
    """All of an order leaves by the own door, or a part of it."""
    able = _shippable(n)
    if not (number := n.pick(sorted(able))):
        return
    if not Counter(able[number]) <= within_reach(n, number):
        n.tell(f"client: {number}: the packer finds the shelf empty")
        return
    units = able[number] if n.rng.random() < 0.7 else {n.rng.choice(sorted(able[number])): 1}
    tracking = f"H{n.number()}"
    if attempt(n, n.client, f"client: {number} {tracking} leaves, {units}", lambda t: orders.ship(
            t, number, [orders.NewPackage(CARRIER, tracking, lines=units)])):  # fmt: skip
        n.tally.home.subtract(units)
        parcel_left(n, Parcel("home", f"c:{number}", tracking, units))


def parcel_left(n: Net, parcel: Parcel) -> None:
    """Write a parcel down; one for an order of Amazon's in Amazon's words as well."""
    n.tally.parcels.append(parcel)
    (shop,) = n.company.shops
    number = parcel.order.removeprefix("c:")
    if (order := shop.sim.orders.get(number)) is None:
        return
    lines = {line.sku: line for line in order.lines}
    inside = {lines[sku].item_id: units for sku, units in parcel.units.items()}
    n.outside.packed.append(Packed("a", number, parcel.tracking, inside))
    waits = order.status in ("UNSHIPPED", "PARTIALLY_SHIPPED")
    left = n.outside.left_unconfirmed(order)
    if not waits or any(left[line.item_id] > line.unshipped for line in order.lines):
        n.outside.in_vain.add(number)


# ---- goods -----------------------------------------------------------------------------------------------


def receive(n: Net) -> None:
    sku, units = some_item(n), n.rng.choice((1, 2, 3))
    if attempt(n, n.client, f"client: {units} x {sku} delivered", lambda t: stock.receive(t, sku, "Main", units)):
        n.tally.home[sku] += units
        n.tally.came[sku] += units


def count_shelf(n: Net) -> None:
    """A unit has broken at home."""
    found = n.company.rows("SELECT sku, on_hand FROM levels WHERE warehouse = 'Main' AND on_hand > 0 ORDER BY sku")
    reach = within_reach(n)
    if (level := n.pick([one for one in found if reach[one.sku] > 0])) is None:
        return
    if attempt(n, n.client, f"client: a {level.sku} has broken", lambda t: stock.book_count(
            t, level.sku, "Main", level.on_hand - 1)):  # fmt: skip
        n.tally.home[level.sku] -= 1
        n.tally.lost[level.sku] += 1


def order_goods(n: Net) -> None:
    """A purchase order whose goods go to the depot."""
    wanted = {some_item(n): n.rng.randint(1, 5) for _ in range(n.rng.choice((1, 2)))}
    at_client(n, f"orders {wanted} for the depot", lambda t: inbounds.order(t, DEPOT, wanted))


def begin_transfer(n: Net) -> None:
    wanted = {some_item(n): n.rng.randint(1, 3) for _ in range(n.rng.choice((1, 2)))}
    begin = n.rng.choice((inbounds.transfer, inbounds.transfer, inbounds.request))
    at_client(n, f"{begin.__name__} of {wanted}", lambda t: begin(t, "Main", DEPOT, wanted))


def go_on_with_transfer(n: Net) -> None:
    """The next stage of a transfer."""
    found: dict[str, list[Any]] = {}
    for line in n.company.rows(TRANSFERS):
        if line.state in ("requested", "open"):
            found.setdefault(line.number, []).append(line)
    if not (number := n.pick(sorted(found))):
        return
    lines, gone = found[number], n.tally.gone[number]
    if all(line.picked + line.sent >= line.quantity for line in lines):
        _ship_transfer(n, number)
    elif all(line.allocated + line.picked + line.sent >= line.quantity for line in lines):
        missing = Counter({line.sku: line.quantity - gone[line.sku] for line in lines})
        if +missing <= within_reach(n, number):
            attempt(n, n.client, f"client: {number} picked", lambda t: inbounds.pick(t, number))
    else:
        at_client(n, f"{number} allocated", lambda t: inbounds.allocate(t, number))


def _ship_transfer(n: Net, number: str) -> None:
    lines = [line for line in n.company.rows(TRANSFERS) if line.number == number]
    leaving = +Counter({line.sku: line.quantity - n.tally.gone[number][line.sku] for line in lines})

    def ship(t: Any) -> None:
        inbounds.ship(t, number)
        n.tally.home.subtract(leaving)
        n.tally.road[number].update(leaving)
        n.tally.gone[number].update(leaving)

    at_client(n, f"{number} shipped, {dict(leaving)}", ship)


def cancel_inbound(n: Net) -> None:
    found = n.company.rows("SELECT number FROM inbound WHERE state IN ('requested', 'open') ORDER BY id")
    if chosen := n.pick(found):
        at_client(n, f"{chosen.number} cancelled", lambda t: inbounds.cancel(t, chosen.number))


def new_item(n: Net) -> None:
    sku = f"NEW-{n.number()}"
    at_client(n, f"item {sku}", lambda t: catalog.add_item(t, catalog.NewItem(sku, name=sku)))


# ---- the inbox -------------------------------------------------------------------------------------------


def clear_the_inbox(n: Net) -> None:
    """What the provider returned goes from the own shelf, goes to the provider once more, or is cancelled; what was
    parked is tried again."""
    for subject in [row.subject for row in n.company.rows(
            "SELECT subject FROM notice WHERE kind = 'returned' AND settled_at IS NULL ORDER BY id")]:  # fmt: skip
        order = next((one for one in open_orders(n) if one.number == subject), None)
        if order is None:
            continue
        way = n.rng.choice(("Main", "Main", DEPOT, "cancel"))
        edit = order_changes.Edit(ship_from=way)
        if at_client(n, f"{subject} was returned: {way}", lambda t: (  # called at once
                order_changes.cancel(t, subject, "no_stock") if way == "cancel"  # noqa: B023
                else order_changes.edit(t, subject, edit))):  # noqa: B023  # fmt: skip
            attempt(n, n.client, "settled", lambda t: notices.settle_notice(t, "returned", subject))  # noqa: B023
    for (sku,) in n.company.rows("SELECT sku FROM listings WHERE connection = ? AND item IS NULL ORDER BY sku", DEPOT):
        attempt(n, n.client, f"client: {sku} is ours", lambda t, s=sku: _take_up(t, s))  # type: ignore[misc]
    for message, subject in n.company.rows("SELECT message, subject FROM messages WHERE state = 'parked'"):
        if subject.split("/")[0] not in n.outside.in_vain:
            attempt(n, n.client, f"{subject} is tried again", lambda t, m=message: outbox.retry(t, m))  # type: ignore[misc]


def _take_up(t: Any, sku: str) -> None:
    """A listing of the provider's that a new look has found becomes an item."""
    catalog.add_item(t, catalog.NewItem(sku, name=sku))
    listings.link(t, sku, sku, DEPOT)


buy, pay, ask_to_cancel = year.buy, year.pay, year.ask_to_cancel
