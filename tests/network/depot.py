"""What people do at the provider: with the goods and orders of our client, and a little with those of another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.network.companies import DEPOT, OURS, THEIRS, Net, Parcel, rows, world
from tests.network.deeds import CARRIER, attempt, parcel_left, who, within_reach
from zenv import sync
from zenv.ledger import inbounds, order_changes, orders, stock
from zenv.ledger.catalog import NewItem
from zenv.ledger.zfn import client_items, standing, taking

CLIENT = "SELECT id, connection_id FROM client WHERE name = ?"


def at_provider(n: Net, what: str, do: Callable[[Any], object]) -> bool:
    """A command of the provider's."""
    return attempt(n, n.provider, f"provider: {what}", do)


def number_of(n: Net, name: str = OURS) -> int:
    """The client's number at the provider."""
    return int(n.there(CLIENT, name)[0].id)


def sku_here(n: Net, item: str, name: str = OURS) -> str:
    """The provider's own SKU of a client's item."""
    return f"{number_of(n, name)}-{item}"


def known_items(n: Net) -> list[str]:
    """The client's SKUs that the provider has."""
    return [sku for (sku,) in n.there("SELECT l.sku FROM listing l JOIN client k ON k.connection_id = l.connection_id"
                                      " WHERE k.name = ? ORDER BY l.sku", OURS)]  # fmt: skip


# ---- orders ----------------------------------------------------------------------------------------------

RESERVED = ("SELECT o.number, o.remote_id, ol.sku, r.quantity, r.picked FROM reservation r"
            " JOIN order_line ol ON ol.id = r.line_id JOIN customer_order o ON o.id = ol.order_id"
            " JOIN client k ON k.connection_id = o.connection_id WHERE k.name = ? AND o.hold = ''"
            " AND o.state IN ('ready', 'part_shipped') ORDER BY o.id, ol.id")  # fmt: skip


def _in_stock(n: Net, name: str = OURS) -> dict[tuple[str, str], dict[str, int]]:
    found: dict[tuple[str, str], dict[str, int]] = {}
    for one in n.there(RESERVED, name):
        found.setdefault((one.number, one.remote_id), {})[one.sku] = one.quantity
    return found


def pick_order(n: Net) -> None:
    """Pick an order, or put it back."""
    if chosen := n.pick(sorted(_in_stock(n))):
        do = n.rng.choice((orders.pick, orders.pick, orders.pick, orders.unpick))
        at_provider(n, f"{chosen[0]} {do.__name__}", lambda t: do(t, chosen[0]))


def ship_order(n: Net) -> None:
    """All of an order leaves, a unit of it, or all in two parcels."""
    able = _in_stock(n)
    if not (chosen := n.pick(sorted(able))):
        return
    units, (number, reference) = able[chosen], chosen
    one = {n.rng.choice(sorted(units)): 1}
    rest = dict(+(Counter(units) - Counter(one)))
    contents = [content for content in n.rng.choice(([units], [units], [one], [one, rest])) if content]
    parcels = [Parcel("depot", reference, f"D{n.number()}", content) for content in contents]
    if at_provider(n, f"{number} leaves, {contents}", lambda t: orders.ship(
            t, number, [orders.NewPackage(CARRIER, one.tracking, lines=one.units) for one in parcels])):  # fmt: skip
        for parcel in parcels:
            n.tally.depot.subtract(parcel.units)
            parcel_left(n, parcel)


def _open(n: Net) -> list[Any]:
    return n.there("SELECT o.number, o.remote_id, o.hold FROM customer_order o"
                   " JOIN client k ON k.connection_id = o.connection_id"
                   " WHERE k.name = ? AND o.state IN ('ready', 'part_shipped') ORDER BY o.id", OURS)  # fmt: skip


def cancel_order(n: Net) -> None:
    """The provider will not ship an order of the client's, or not all of it."""
    if order := n.pick(_open(n)):
        found = n.there("SELECT sku FROM open_lines WHERE number = ?", order.number)
        units = {n.rng.choice(found).sku: 1} if n.rng.random() < 0.3 else None
        at_provider(n, f"{order.number} cancelled: {units or 'all'}", lambda t: order_changes.cancel(
            t, order.number, "no_stock", units))  # fmt: skip


def hold_order(n: Net) -> None:
    if order := n.pick(_open(n)):
        at_provider(n, f"{order.number} held or released", lambda t: (
            orders.release(t, order.number) if order.hold else orders.hold(t, order.number, "look")))  # fmt: skip


def enter_order(n: Net) -> None:
    """The client called: an order is entered for it."""
    items = known_items(n)
    number = f"P{n.number()}"
    chosen = {n.rng.choice(items): n.rng.choice((1, 1, 2)) for _ in range(n.rng.choice((1, 2)))}
    lines = [orders.NewLine(sku_here(n, sku), units) for sku, units in chosen.items()]
    at_provider(n, f"{number} entered: {chosen}", lambda t: taking.enter(
        t, OURS, orders.NewOrder(lines, number, recipient=who(number))))  # fmt: skip


def change_entered(n: Net) -> None:
    if order := n.pick([one for one in _open(n) if one.remote_id.startswith("p:")]):
        line = n.rng.choice(n.there("SELECT sku, quantity FROM order_lines WHERE number = ?", order.number))
        units = {line.sku: max(0, line.quantity + n.rng.choice((-1, 1)))}
        at_provider(n, f"{order.number} becomes {units}", lambda t: order_changes.edit(
            t, order.number, order_changes.Edit(units=units)))  # fmt: skip


# ---- goods -----------------------------------------------------------------------------------------------

EXPECTED = ("SELECT b.number, b.remote_id, b.kind, i.sku, l.quantity, l.received FROM inbound b"
            " JOIN inbound_line l ON l.inbound_id = b.id JOIN item i ON i.id = l.item_id"
            " JOIN client k ON k.connection_id = b.connection_id"
            " WHERE k.name = ? AND b.state = 'open' ORDER BY b.id, l.id")  # fmt: skip


def receive(n: Net) -> None:
    """Goods of an inbound are at the door: all, fewer, or more; of a transfer also before the client has shipped it."""
    found: dict[str, list[Any]] = {}
    for line in n.there(EXPECTED, OURS):
        found.setdefault(line.number, []).append(line)
    if not (number := n.pick(sorted(found))):
        return
    lines = found[number]
    came = _of_supplier(n, lines) if lines[0].kind == "purchase" else _of_transfer(n, lines)
    if came and at_provider(n, f"{number} received {dict(came)}", lambda t: inbounds.receive(
            t, number, {sku_here(n, item): units for item, units in came.items()})):  # fmt: skip
        _arrived(n, lines[0], came)
    if n.rng.random() < 0.15:
        _complete(n, lines[0])


def _item(line: Any) -> str:
    return str(line.sku).partition("-")[2]


def _of_supplier(n: Net, lines: list[Any]) -> Counter[str]:
    return +Counter({_item(line): max(0, line.quantity - line.received - n.rng.choice((0, 0, 0, 1, -1)))
                     for line in lines})  # fmt: skip


def _of_transfer(n: Net, lines: list[Any]) -> Counter[str]:
    """What is on the road; else what the client has not shipped yet is brought over, unbooked."""
    number = lines[0].remote_id.removeprefix("c:")
    missing = Counter({_item(line): line.quantity - line.received for line in lines})
    some = n.tally.road[number] & missing
    if not +some and n.rng.random() < 0.5:
        unsent = Counter({_item(line): line.quantity - n.tally.gone[number][_item(line)] for line in lines})
        some = unsent & missing & within_reach(n, number)
    return +Counter({item: n.rng.choice((units, units, units - 1)) for item, units in some.items()})


def _arrived(n: Net, line: Any, came: Counter[str]) -> None:
    number = line.remote_id.removeprefix("c:")
    n.tally.depot.update(came)
    if line.kind == "purchase":
        n.tally.came.update(came)
        return
    by_road = came & n.tally.road[number]
    early = came - by_road
    n.tally.road[number].subtract(by_road)
    n.tally.home.subtract(early)
    n.tally.gone[number].update(early)


def _complete(n: Net, line: Any) -> None:
    """No more will come of it. What was on the road is lost, or comes as a stray."""
    state = n.there("SELECT state FROM inbound WHERE number = ?", line.number)[0].state
    number = line.remote_id.removeprefix("c:")
    done = state == "open" and at_provider(n, f"{line.number} complete", lambda t: inbounds.complete(t, line.number))
    if done and n.rng.random() < 0.5:
        n.tally.lost.update(+n.tally.road.pop(number, Counter()))


CLOSED = ("SELECT b.remote_id FROM inbound b JOIN client k ON k.connection_id = b.connection_id"
          " WHERE k.name = ? AND b.state IN ('closed', 'cancelled')")  # fmt: skip


def receive_strays(n: Net) -> None:
    """What still arrives of an inbound that is closed is put on the shelf."""
    closed = {reference.removeprefix("c:") for (reference,) in n.there(CLOSED, OURS)}
    for number in sorted(closed & set(n.tally.road)):
        for item, units in sorted((+n.tally.road[number]).items()):
            if at_provider(n, f"stray {units} x {item} of {number}", lambda t: stock.receive(
                    t, sku_here(n, item), "Main", units)):  # noqa: B023  # called at once  # fmt: skip
                n.tally.depot[item] += units
                n.tally.road[number][item] -= units


def receive_unannounced(n: Net) -> None:
    item, units, place = n.rng.choice(known_items(n)), n.rng.randint(1, 3), n.rng.choice(("Main", "Side"))
    if at_provider(n, f"{units} x {item} unannounced", lambda t: stock.receive(t, sku_here(n, item), place, units)):
        n.tally.depot[item] += units
        n.tally.came[item] += units


LEVELS = ("SELECT i.sku, w.name AS warehouse, l.on_hand FROM level l JOIN item i ON i.id = l.item_id"
          " JOIN warehouse w ON w.id = l.warehouse_id JOIN client k ON k.id = i.client_id"
          " WHERE k.name = ? AND l.on_hand > 0 ORDER BY i.sku, w.name")  # fmt: skip


def count(n: Net) -> None:
    """A unit has broken, or one more is found."""
    if level := n.pick(n.there(LEVELS, OURS)):
        change = n.rng.choice((-1, -1, 1))
        do = n.rng.choice((
            lambda t: stock.book_count(t, level.sku, level.warehouse, level.on_hand + change),
            lambda t: stock.adjust(t, level.sku, level.warehouse, change, "looked"),
        ))  # fmt: skip
        if at_provider(n, f"{level.sku} in {level.warehouse} corrected by {change}", do):
            n.tally.depot[_item(level)] += change
            n.tally.lost[_item(level)] -= change


def move_goods(n: Net) -> None:
    """Units go to the provider's other warehouse, or arrive there."""
    under_way = n.there("SELECT id FROM transfer WHERE arrived < quantity ORDER BY id")
    if under_way and n.rng.random() < 0.6:
        at_provider(n, "goods arrive in the other warehouse", lambda t: stock.arrive(t, n.rng.choice(under_way).id))
    elif level := n.pick(n.there(LEVELS, OURS)):
        there = "Side" if level.warehouse == "Main" else "Main"
        at_provider(n, f"1 x {level.sku} to {there}", lambda t: stock.transfer(
            t, level.sku, level.warehouse, there, 1))  # fmt: skip


def new_item(n: Net) -> None:
    sku = f"GIFT-{n.number()}"
    at_provider(n, f"item {sku} for the client", lambda t: client_items.add(t, NewItem(sku, name=sku), OURS))


def change_rules(n: Net) -> None:
    """Whether clients may edit what is being picked."""
    now = bool(n.rng.randint(0, 1))
    at_provider(n, f"edits of picked orders: {now}", lambda t: standing.edit(t, may_edit_picked=now))


# ---- the other client ------------------------------------------------------------------------------------


def other_client(n: Net) -> None:
    """Something happens with another client's goods."""
    n.rng.choice((_other_receives, _other_receives, _other_orders, _other_ships, _other_runs))(n)


def _other_receives(n: Net) -> None:
    item, units = n.rng.choice(("ITEM-0", "ALIEN-1")), n.rng.randint(1, 4)
    if at_provider(n, f"{units} x {item} of the other", lambda t: stock.receive(
            t, sku_here(n, item, THEIRS), "Main", units)):  # fmt: skip
        n.alien[item] += units


def _other_orders(n: Net) -> None:
    number = f"ALIEN{n.number()}"
    line = orders.NewLine(n.rng.choice(("ITEM-0", "ALIEN-1")), 1)
    attempt(n, n.other, f"other: {number}", lambda t: orders.create_order(
        t, orders.NewOrder([line], number, recipient=who(number), ship_from=DEPOT)))  # fmt: skip


def _other_ships(n: Net) -> None:
    able = _in_stock(n, THEIRS)
    if not (chosen := n.pick(sorted(able))):
        return
    package = orders.NewPackage(CARRIER, f"ALIEN-T{n.number()}", lines=able[chosen])
    if at_provider(n, f"{chosen[0]} of the other leaves", lambda t: orders.ship(t, chosen[0], [package])):
        n.alien.subtract(able[chosen])


def _other_runs(n: Net) -> None:
    n.line.faults.clear()
    n.line.speaker = "other"
    result = sync.run(n.other, DEPOT, "provider", world(n.other, n.company.clock))
    n.line.speaker = "client"
    n.tell(f"other: provider {result.outcome} {result.note}")


def other_levels(n: Net) -> Counter[str]:
    """What the other client's books say of its depot."""
    found = rows(n.other, "SELECT sku, on_hand + picked + in_transit FROM levels WHERE warehouse = ?", DEPOT)
    return +Counter(dict(tuple(row) for row in found))
