"""One seed is one history: set the company up, let the year pass, compare."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.year import checks, deeds, mutants, network
from tests.year.company import Clock, company, connect
from tests.year.deeds import Year
from zenv.simulators.amazon import AmazonSimulator

CALENDAR: tuple[tuple[int, Callable[[Year], object]], ...] = (
    (36, deeds.buy), (2, deeds.buy_from_amazons_stock), (7, deeds.pay), (5, deeds.give_up),
    (5, deeds.ask_to_cancel), (7, deeds.ship_elsewhere), (8, deeds.ship), (12, network.ship_and_tell),
    (3, deeds.take_in_hand), (2, deeds.accept_cancel), (8, network.cancel_and_tell), (3, deeds.sell_by_hand),
    (3, deeds.end_by_hand), (14, deeds.receive), (3, deeds.move_goods), (3, deeds.goods_arrive),
    (1, deeds.count_a_shelf), (1, deeds.list_again), (1, deeds.list_a_new_item), (3, deeds.link),
    (3, deeds.clear_the_inbox), (10, network.wait), (30, network.run_something), (2, network.busy_hour),
    (5, checks.a_good_day),
)  # fmt: skip


class Outcome(NamedTuple):
    """How a seed ended: what was broken ("" when nothing was), and the story."""

    broken: str
    story: list[str]


def play(seed: int, steps: int) -> Outcome:
    """Let a year pass. Whatever breaks is in the outcome."""
    story: list[str] = []
    try:
        with year(seed, story) as y:
            checks.always(y)
            for _ in range(steps):
                _one_step(y)
            checks.the_end(y)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        return Outcome(f"{type(error).__name__}: {error}", [*story, trace])
    return Outcome("", story)


def _one_step(y: Year) -> None:
    (deed,) = y.rng.choices([deed for _, deed in CALENDAR], [weight for weight, _ in CALENDAR])
    y.company.clock.wind(1)
    deed(y)
    checks.always(y)


@contextmanager
def year(seed: int, story: list[str]) -> Iterator[Year]:
    """The company on New Year's morning: two shops, one shelf, and orders older than zenv."""
    rng, clock = random.Random(seed), Clock()
    random.seed(seed)  # the back-off of the connector draws from here
    publish = rng.choice((0, 0, 300, 1200))
    sims = [AmazonSimulator(10 * seed + n, clock, publish_seconds=publish) for n in (1, 2)]
    with mutants.small_pages(), company(sims, clock, ("Main", "Back")) as c:
        y = Year(seed, rng, c, story=story)
        stock_the_shop(y)
        with network.wire_watched(network.people_go_on(y)):
            open_the_shop(y)
            yield y


def stock_the_shop(y: Year) -> None:
    """Eight items, few of each. Both shops sell them: under the same SKU, the same GTIN, or neither."""
    a, b = y.company.shops
    for n in range(8):
        item, gtin, units = f"ITEM-{n}", f"{590123412340 + n}", y.rng.randint(2, 7)
        code = gtin + str(-sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(gtin)) % 10)
        a.sim.add_listing(item, quantity=units, gtin=code)
        y.outside.shelf[item] = units
        known = {("a", item)}
        if n < 4:
            b.sim.add_listing(item, quantity=units)
            known.add(("b", item))
        elif n < 6:
            b.sim.add_listing(f"B-{n}", quantity=units, gtin=code)
            known.add(("b", f"B-{n}"))
        elif n < 7:
            b.sim.add_listing(f"B-{n}", quantity=units)
            y.outside.thing["b", f"B-{n}"] = item
        else:
            a.sim.add_listing(f"FBA-{n}", gtin=code, fulfillment_channel="AMAZON_NA")
            b.sim.add_listing(f"FBA-{n}", gtin=code, fulfillment_channel="AMAZON_NA")
            known |= {("a", f"FBA-{n}"), ("b", f"FBA-{n}")}
        y.outside.thing.update(dict.fromkeys(known, item))
        y.outside.linked |= known


def open_the_shop(y: Year) -> None:
    """Some customers of shop a are older than zenv; then both shops are connected and read for the first time."""
    a, b = y.company.shops
    for _ in range(y.rng.randint(0, 5)):
        listing = y.rng.choice([one for one in a.sim.listings.values() if one.quantity])
        number = a.sim.place_order([(listing.sku, 1)], y.rng.choice(("PENDING", "UNSHIPPED")))
        y.tell(f"a: {number} is older than zenv, 1 x {listing.sku}")
    y.company.clock.wind(network.HOUR)
    for shop, adopts in ((a, True), (b, False)):
        connect(y.company.book, shop.name, shop.sim, shop.url, adopt_new=adopts, warehouses=("Main", "Back"))
        first = ["orders", "items"]
        y.rng.shuffle(first)
        for task in first:
            network.run(y, shop, task)
            y.company.clock.wind(network.MINUTE)
