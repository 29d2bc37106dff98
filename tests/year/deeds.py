"""What people do in a year: buyers, the seller in Seller Central and at the command line, the warehouse.

A deed changes the simulators, the outside and (as a person at the command line would) the books; one that has
nothing to work on does nothing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.year.company import Company, Shop
from tests.year.outside import Outside, Packed
from zenv.errors import ZenvError
from zenv.ledger import listings, notices, order_changes, orders, outbox, stock
from zenv.simulators.amazon import Order

T = TypeVar("T")


@dataclass
class Year:
    """One history: everything in it follows from the seed."""

    seed: int
    rng: random.Random
    company: Company
    outside: Outside = field(default_factory=Outside)
    story: list[str] = field(default_factory=list)
    serial: int = 0
    calm: bool = False
    """Nobody does anything while a request is on the wire."""
    later: dict[str, Callable[[], None]] = field(default_factory=dict)
    """Trouble that begins once a request of this operation has been answered."""

    def pick(self, some: Sequence[T]) -> T | None:
        """One of them, or None of none."""
        return self.rng.choice(some) if some else None

    def shop(self) -> Shop:
        return self.rng.choice(self.company.shops)

    def number(self) -> int:
        """A number never given before."""
        self.serial += 1
        return self.serial

    def tell(self, text: str) -> None:
        """Write the story, for whoever has to find out why a seed failed."""
        self.story.append(f"{self.company.clock.now:%m-%d %H:%M:%S} {text}")

    def sim_orders(self, shop: Shop, *states: str) -> list[Order]:
        """The seller's own open orders in these states."""
        return [o for o in shop.sim.orders.values() if o.status in states and o.fulfilled_by == "MERCHANT"]


# ---- buyers ----------------------------------------------------------------------------------------------


def buy(y: Year, shop: Shop | None = None) -> None:
    shop = shop or y.shop()
    live = [one for one in shop.sim.listings.values() if one.quantity]
    chosen = y.rng.sample(live, min(len(live), y.rng.choice((1, 1, 1, 2))))
    if chosen:
        lines = [(one.sku, min(one.quantity or 0, y.rng.choice((1, 1, 2, 3, 4)))) for one in chosen]
        status = "PENDING" if y.rng.random() < 0.25 else "UNSHIPPED"
        number = shop.sim.place_order(lines, status)
        y.tell(f"{shop.name}: {number} {status} {lines}")


def buy_from_amazons_stock(y: Year) -> None:
    shop = y.shop()
    if found := y.pick([one.sku for one in shop.sim.listings.values() if one.by_amazon]):
        shop.sim.place_order([(found, 1)], fulfilled_by="AMAZON")


def pay(y: Year) -> None:
    shop = y.shop()
    if order := y.pick(y.sim_orders(shop, "PENDING")):
        shop.sim.pay(order.order_id)
        y.tell(f"{shop.name}: {order.order_id} paid")


def give_up(y: Year) -> None:
    """A payment fails, or Amazon or the buyer cancels what has not left."""
    shop = y.shop()
    found = [o for o in y.sim_orders(shop, "PENDING", "UNSHIPPED") if not y.outside.packages_of(o.order_id)]
    if order := y.pick([o for o in found if _lines_known(y, shop, o)]):
        y.tell(f"{shop.name}: {order.order_id} {order.status} cancelled by the buyer")
        shop.sim.cancel(order.order_id, y.rng.choice(("BUYER", "AMAZON")))


def _lines_known(y: Year, shop: Shop, order: Order) -> bool:
    """Units of a cancelled order do not go back on sale at Amazon by themselves; where zenv has not seen the
    listing yet, the opening stock lacks them (F6: it is what Amazon shows). That is no part of the year."""
    return all(known(y, shop.name, line.sku) for line in order.lines)


def ask_to_cancel(y: Year) -> None:
    shop = y.shop()
    if order := y.pick(y.sim_orders(shop, "UNSHIPPED")):
        shop.sim.request_cancel(order.order_id)
        y.tell(f"{shop.name}: the buyer of {order.order_id} asks to cancel")


# ---- the seller ------------------------------------------------------------------------------------------


def ship_elsewhere(y: Year) -> None:
    """In Seller Central, and only what nobody has packed through zenv without Amazon knowing."""
    shop = y.shop()
    found = [o for o in y.sim_orders(shop, "UNSHIPPED", "PARTIALLY_SHIPPED") if not y.outside.left_unconfirmed(o)]
    if order := y.pick(found):
        needs = _units(y, shop, {line.sku: line.unshipped for line in order.lines})
        if not in_reach(y, order.order_id, needs):
            return
        y.outside.shelf -= needs
        unplaced = [line.sku for line in order.lines if not known(y, shop.name, line.sku)]
        y.outside.uncounted |= {y.outside.thing[shop.name, sku] for sku in unplaced}
        shop.sim.ship_elsewhere(order.order_id)
        y.tell(f"{shop.name}: {order.order_id} shipped in Seller Central, {dict(needs)}")


PICKED = "SELECT item, SUM(picked) FROM order_lines WHERE number <> ? AND picked > 0 GROUP BY item"


def in_reach(y: Year, number: str, needs: Counter[str]) -> bool:
    """Whether the units are on the shelf or in the hands of whoever picks this order."""
    return needs <= y.outside.shelf - Counter(dict(y.company.rows(PICKED, number)))


def _units(y: Year, shop: Shop, by_sku: dict[str, int]) -> Counter[str]:
    units: Counter[str] = Counter()
    for sku, count in by_sku.items():
        units[y.outside.thing[shop.name, sku]] += count
    return units


READY = """
SELECT o.number, c.name, l.sku, l.reserved
  FROM open_lines l JOIN customer_order o ON o.id = l.order_id JOIN connection c ON c.id = o.connection_id
 WHERE o.state IN ('ready', 'part_shipped') AND o.cancelling IN ('', 'refused') AND l.reserved > 0
"""


def _shippable(y: Year) -> dict[tuple[str, str], dict[str, int]]:
    """(shop, number) -> units by SKU that zenv says can go, of orders nobody has shipped in Seller Central."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for number, shop, sku, reserved in y.company.rows(READY):
        found.setdefault((shop, number), {})[sku] = reserved
    sims = {shop.name: shop.sim for shop in y.company.shops}
    return {key: units for key, units in found.items() if sims[key[0]].orders[key[1]].status != "SHIPPED"}


def ship(y: Year) -> None:
    """Through zenv: all that is reserved of an order, a part of it, or in two packages."""
    able = _shippable(y)
    if not (chosen := y.pick(sorted(able))):
        return
    shop = y.company.shop(chosen[0])
    if not in_reach(y, chosen[1], _units(y, shop, able[chosen])):
        y.tell(f"{chosen[1]}: the packer finds the shelf empty")
        return
    packages = _packed(y, able[chosen])
    with y.company.book.transaction() as t:
        orders.ship(t, chosen[1], [orders.NewPackage("UPS", tracking, lines=units) for tracking, units in packages])
    _note_packages(y, shop, chosen[1], packages)


def _packed(y: Year, able: dict[str, int]) -> list[tuple[str, dict[str, int]]]:
    """Everything in one package, one unit, some of it, or everything in two."""
    some = {sku: y.rng.randint(0, units) for sku, units in able.items()}
    rest = {sku: units - some[sku] for sku, units in able.items()}
    one_unit = {y.rng.choice(sorted(able)): 1}
    contents = y.rng.choice(([able], [one_unit], [one_unit], [some], [some, rest]))
    filled = [{sku: units for sku, units in content.items() if units} for content in contents]
    return [(f"T{y.number()}", units) for units in filled if units] or [(f"T{y.number()}", able)]


def _note_packages(y: Year, shop: Shop, number: str, packages: list[tuple[str, dict[str, int]]]) -> None:
    order = shop.sim.orders[number]
    lines = {line.sku: line.item_id for line in order.lines}
    for tracking, units in packages:
        y.outside.shelf -= _units(y, shop, units)
        y.outside.packed.append(Packed(shop.name, number, tracking, {lines[s]: n for s, n in units.items()}))
        y.tell(f"{shop.name}: {number} {tracking} leaves through zenv, {units}")
    if order.status == "CANCELLED":
        y.outside.in_vain.add(number)


def take_in_hand(y: Year) -> None:
    """Pick an order, or put a picked one back."""
    able = _shippable(y)
    chosen = y.pick(sorted(able))
    if chosen and in_reach(y, chosen[1], _units(y, y.company.shop(chosen[0]), able[chosen])):
        do = y.pick((orders.pick, orders.pick, orders.unpick))
        attempt(y, f"{chosen[1]}: {do.__name__}", lambda t: do(t, chosen[1]))  # type: ignore[union-attr]


def accept_cancel(y: Year) -> Shop | None:
    """The seller asks Amazon to cancel, mostly because the buyer asked. The shop that is to be told."""
    wish = "buyer_wants_cancel <> '' AND " if y.rng.random() < 0.5 else ""
    query = (f"SELECT number, c.name FROM customer_order o JOIN connection c ON c.id = o.connection_id"
             f" WHERE {wish} state = 'ready' AND cancelling IN ('', 'refused') ORDER BY number")  # fmt: skip
    shops = [(number, y.company.shop(name)) for number, name in y.company.rows(query)]
    chosen = y.pick([(n, shop) for n, shop in shops if _lines_known(y, shop, shop.sim.orders[n])])
    if chosen is None:
        return None
    attempt(y, f"{chosen[0]}: asked to cancel", lambda t: order_changes.cancel(t, chosen[0], "buyer_request"))
    return chosen[1]


def sell_by_hand(y: Year) -> None:
    """A manual order at the counter; some are packed at once, some later."""
    item = y.rng.choice(sorted(y.outside.shelf) or [""])
    number, units = f"M{y.number()}", y.rng.choice((1, 2))
    if attempt(y, f"{number}: {units} x {item} by hand", lambda t: orders.create_order(
            t, orders.NewOrder([orders.NewLine(item, units)], number))):  # fmt: skip
        y.outside.by_hand[number] = {item: units}


def end_by_hand(y: Year) -> None:
    """A manual order is packed, or cancelled."""
    if not (number := y.pick(sorted(y.outside.by_hand))):
        return
    needs = Counter(y.outside.by_hand[number])
    held = sum(row[0] for row in y.company.rows("SELECT reserved FROM open_lines WHERE number = ?", number))
    if y.rng.random() < 0.3:
        done = attempt(y, f"{number}: cancelled", lambda t: order_changes.cancel(t, number, "no_stock"))
    elif held == needs.total() and in_reach(y, number, needs):
        done = attempt(y, f"{number}: packed", lambda t: orders.ship(t, number, [orders.NewPackage("", "")]))
        y.outside.shelf -= needs if done else Counter()
    else:
        return
    if done:
        del y.outside.by_hand[number]


def attempt(y: Year, what: str, do: Callable[[Any], object]) -> bool:
    """A person gives a command; a refusal is an answer like any other."""
    try:
        with y.company.book.transaction() as t:
            do(t)
    except ZenvError as error:
        y.tell(f"{what}: refused, {error.message}")
        return False
    y.tell(what)
    return True


# ---- goods -----------------------------------------------------------------------------------------------


def receive(y: Year, item: str = "") -> None:
    item, units = item or y.rng.choice(sorted(y.outside.shelf)), y.rng.choice((1, 1, 2, 4))
    place = y.rng.choice(("Main", "Main", "Back"))
    if attempt(y, f"{units} x {item} delivered to {place}", lambda t: stock.receive(t, item, place, units)):
        y.outside.shelf[item] += units


def move_goods(y: Year) -> None:
    """Units go to the other warehouse; some are on the road for a while."""
    levels = y.company.rows("SELECT sku, warehouse, on_hand FROM levels WHERE on_hand > 0 ORDER BY sku, warehouse")
    if not (chosen := y.pick(levels)):
        return
    item, here, there = chosen[0], chosen[1], "Back" if chosen[1] == "Main" else "Main"
    units = y.rng.randint(1, min(chosen[2], 2))
    if not in_reach(y, "", Counter({item: units})):
        return
    y.tell(f"{units} x {item} go from {here} to {there}")
    with y.company.book.transaction() as t:
        number = stock.transfer(t, item, here, there, units)
    y.outside.shelf[item] -= units
    y.outside.road[number] = (item, units)
    if y.rng.random() < 0.5:
        goods_arrive(y)


def goods_arrive(y: Year) -> None:
    if number := y.pick(sorted(y.outside.road)):
        item, units = y.outside.road.pop(number)
        with y.company.book.transaction() as t:
            stock.arrive(t, number)
        y.outside.shelf[item] += units
        y.tell(f"{units} x {item} arrive")


def count_a_shelf(y: Year) -> None:
    """Nothing is missing, so the count must change nothing."""
    levels = y.company.rows("SELECT sku, warehouse, on_hand FROM levels ORDER BY sku, warehouse")
    if chosen := y.pick(levels):
        with y.company.book.transaction() as t:
            stock.book_count(t, chosen[0], chosen[1], chosen[2])


# ---- listings and the inbox ------------------------------------------------------------------------------


def list_again(y: Year) -> None:
    """Shop b sells an item under one more SKU, which zenv cannot know."""
    item, shop = y.rng.choice(sorted(y.outside.shelf)), y.company.shops[1]
    sku = f"X{y.number()}"
    shop.sim.add_listing(sku, name=f"{item} as {sku}", quantity=y.rng.choice((0, 1)))
    y.outside.thing[shop.name, sku] = item
    y.tell(f"{shop.name}: {item} is listed as {sku} too")


def list_a_new_item(y: Year) -> None:
    """Shop a, whose new listings become items by themselves."""
    shop, units = y.company.shops[0], y.rng.choice((1, 2, 3))
    item = f"NEW-{y.number()}"
    shop.sim.add_listing(item, quantity=units)
    y.outside.thing[shop.name, item] = item
    y.outside.linked.add((shop.name, item))
    y.outside.shelf[item] = units
    y.tell(f"{shop.name}: {units} x {item} are new")


def link(y: Year) -> bool:
    """A person links one of the listings that wait on the inbox; False when none does."""
    waiting = "SELECT c.name, l.sku FROM listing l JOIN connection c ON c.id = l.connection_id WHERE item_id IS NULL"
    found = sorted((shop, sku) for shop, sku in y.company.rows(waiting) if shop == "b")
    if one := y.pick(found):
        item = y.outside.thing[one]
        if attempt(y, f"{one} is linked to {item}", lambda t: listings.link(t, one[1], item, one[0])):
            y.outside.linked.add(one)
    return one is not None


def known(y: Year, shop: str, sku: str) -> str:
    """Who fulfils this listing as far as zenv has seen; "" while zenv does not know which item it is."""
    query = "SELECT fulfilled_by FROM listings WHERE connection = ? AND sku = ? AND item IS NOT NULL"
    return next((row[0] for row in y.company.rows(query, shop, sku)), "")


def clear_the_inbox(y: Year) -> None:
    """A person tries again what was parked, but for packages of orders that Amazon has cancelled."""
    parked = "SELECT message, subject FROM messages WHERE state = 'parked'"
    for message, subject in y.company.rows(parked):
        if subject.split("/")[0] not in y.outside.in_vain:
            attempt(y, f"{subject} is tried again", lambda t, m=message: outbox.retry(t, m))  # type: ignore[misc]


COUNT = "SELECT kind, subject FROM notice WHERE settled_at IS NULL AND kind IN ('short', 'unlinked')"


def count_what_is_doubtful(y: Year) -> bool:
    """What the inbox says to count is counted, once zenv has heard of everything that left. Whether there was any.

    The two warehouses are one room to the oracle: the person finds the difference where there is most.
    """
    of_shop = "SELECT o.number, c.name FROM customer_order o JOIN connection c ON c.id = o.connection_id"
    shop_of = dict(y.company.rows(of_shop))
    counted = False
    for kind, subject in y.company.rows(COUNT):
        number, _, sku = subject.partition("/")
        listing = (shop_of[number], sku)
        if not known(y, *listing):
            continue
        _count(y, y.outside.thing[listing])
        counted = True
        y.tell(f"{listing} was doubtful and is counted")
        with y.company.book.transaction() as t:
            notices.settle_notice(t, kind, subject)
    waiting = {item for listing, item in y.outside.thing.items() if not known(y, *listing)}
    y.outside.uncounted &= waiting
    return counted


def _count(y: Year, item: str) -> None:
    levels = y.company.rows("SELECT warehouse, on_hand, picked FROM levels WHERE sku = ? ORDER BY on_hand DESC", item)
    excess = sum(on_hand + picked for _, on_hand, picked in levels) - y.outside.shelf[item]
    with y.company.book.transaction() as t:
        for place, there, _ in levels:
            missing = min(excess, there)
            stock.book_count(t, item, place, there - missing)
            excess -= missing
