"""One seed is one history: two companies are linked, trade over a bad line, and are compared when it is over."""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import httpx

from tests.network import checks, companies, deeds, depot, trouble
from tests.network.companies import DEPOT, Net, world
from tests.network.trouble import Line
from tests.year import mutants
from tests.year import network as year_network
from tests.year.company import Clock
from tests.year.play import Outcome
from zenv import reimport, sync
from zenv.connectors.zfn import telling
from zenv.ledger.zfn import feed
from zenv.sync import RunResult

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
ITEMS = ("ITEM-0", "ITEM-1", "ITEM-2", "ITEM-3")

Deed = Callable[[Net], object]


def run(n: Net, name: str, task: str, patience: float = 10**7) -> RunResult:
    """A run of the client's; what came of it is in the story."""
    result = sync.run(n.client, name, task, world(n.client, n.company.clock, patience))
    n.tell(f"{name}: {task} {result.outcome}, {result.orders} orders, {result.sent} sent. {result.note}")
    return result


def run_network(n: Net) -> None:
    """The client asks its provider, or tells it what is owed, over a line that may be bad."""
    armed = n.line.arm(n.rng)
    n.tell(f"trouble: {armed}")
    run(n, DEPOT, n.rng.choice(("provider", "provider", "handover")), n.rng.choice((MINUTE, 10 * MINUTE)))


def run_amazon(n: Net) -> None:
    """A task of the Amazon account, now and then with trouble of Amazon's own."""
    (shop,) = n.company.shops
    task = n.rng.choice(("orders", "orders", "orders", "shipments", "shipments", "stock", "cancellations", "items"))
    shop.sim.faults.clear()
    n.later.clear()
    if n.rng.random() < 0.25:
        year_network.arm(n, shop, task)
    run(n, "a", task, n.rng.choice((MINUTE, 10 * MINUTE)))


def look_again(n: Net) -> None:
    """The catalogue of the provider is read and linked anew, and its levels are taken."""
    n.line.arm(n.rng)
    for done in reimport.reimport_items(n.client, DEPOT, world(n.client, n.company.clock, MINUTE)):
        n.tell(f"reimport {done.result.outcome}. {done.result.note}")


def wait(n: Net) -> None:
    n.company.clock.wind(n.rng.choice((2 * MINUTE, 10 * MINUTE, HOUR, 5 * HOUR, DAY)))


def go_away(n: Net) -> None:
    """Nobody is at the client for days, or at the provider, or the line between them is down."""
    if not +n.away:
        one = n.rng.choice(("client", "provider", "line"))
        n.away[one] = n.rng.randint(8, 25)
        n.line.down = one == "line"
        n.tell(f"{one} is away")


def late_arrives(n: Net) -> None:
    if n.line.late and not n.line.down:
        n.tell("late: " + trouble.deliver(n.line, n.face.http, n.rng.randrange(len(n.line.late))))


CUSTOMERS: tuple[tuple[int, Deed], ...] = (
    (14, deeds.buy), (4, deeds.pay), (3, deeds.give_up), (2, deeds.ask_to_cancel), (2, deeds.drop_ship),
    (5, late_arrives), (7, wait), (2, go_away), (5, depot.other_client),
)  # fmt: skip
CLIENT: tuple[tuple[int, Deed], ...] = (
    (30, run_network), (26, run_amazon), (1, look_again), (14, deeds.make_order), (9, deeds.change_order),
    (6, deeds.hold_order), (5, deeds.cancel_order), (10, deeds.move_order), (2, deeds.pick_order),
    (4, deeds.ship_order), (3, deeds.receive), (5, deeds.count_shelf), (4, deeds.order_goods),
    (8, deeds.begin_transfer), (16, deeds.go_on_with_transfer), (3, deeds.cancel_inbound), (1, deeds.new_item),
    (4, deeds.clear_the_inbox), (3, checks.a_good_day),
)  # fmt: skip
PROVIDER: tuple[tuple[int, Deed], ...] = (
    (16, depot.pick_order), (26, depot.ship_order), (4, depot.cancel_order), (1, depot.hold_order),
    (5, depot.enter_order), (2, depot.change_entered), (24, depot.receive), (4, depot.receive_strays),
    (6, depot.receive_unannounced), (3, depot.count), (3, depot.move_goods), (1, depot.new_item),
    (1, depot.change_rules),
)  # fmt: skip


def play(seed: int, steps: int) -> Outcome:
    """Let some weeks pass. Whatever breaks is in the outcome."""
    story: list[str] = []
    try:
        with history(seed, story) as n:
            checks.always(n)
            for _ in range(steps):
                _one_step(n)
            checks.the_end(n)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        return Outcome(f"{type(error).__name__}: {error}", [*story, trace])
    return Outcome("", story)


def _one_step(n: Net) -> None:
    n.company.clock.wind(1)
    _drawn(n)(n)
    for one in list(+n.away):
        n.away[one] -= 1
        if not n.away[one]:
            n.company.clock.wind(n.rng.randint(1, 3) * DAY)
            n.line.down = False
            n.tell(f"{one} is back")
    checks.always(n)


def _drawn(n: Net) -> Deed:
    able = [*CUSTOMERS]
    able += CLIENT if not n.away["client"] else ()
    able += PROVIDER if not n.away["provider"] else ()
    if +n.away:
        able = [one for one in able if one[1] is not checks.a_good_day]
    (deed,) = n.rng.choices([deed for _, deed in able], [weight for weight, _ in able])
    return deed


@contextmanager
def history(seed: int, story: list[str]) -> Iterator[Net]:
    """The first morning: the client sells at Amazon already, and both it and another company are just linked."""
    rng, clock, line = random.Random(seed), Clock(), Line()
    random.seed(seed)  # the back-off of the connectors draws from here
    with small_pages(), companies.net(seed, rng, clock, story, line) as n, trouble.watched(line):
        companies.make_items(n.other, "ITEM-0", "ALIEN-1")
        companies.open_the_shop(n, ITEMS)
        companies.make_items(n.client, "HAND-1")
        both = [n.client, n.other]
        rng.shuffle(both)
        for book in both:
            companies.link(n, book)
        companies.sell_from_the_depot(n)
        line.again = lambda: not n.calm and rng.random() < 0.2
        line.before, line.after = lambda: _before(n), lambda request: _meanwhile(n, request)
        yield n


def small_pages() -> AbstractContextManager[None]:
    """Few records to a page: a history is too short for pages of hundreds."""
    return mutants.changed(
        mutants.change(feed.events, ("limit: int = wire.EVENTS_AT_ONCE", "limit: int = 3")),
        mutants.change(feed.levels, ("limit: int = wire.LEVELS_AT_ONCE", "limit: int = 2")),
        mutants.change(feed.item_page, ("limit: int = ITEMS_AT_ONCE", "limit: int = 3")),
        mutants.change(feed.changes, ("limit: int = wire.MOST_AT_ONCE", "limit: int = 2")),
        mutants.change(telling._batches, ("len(messages), wire.MOST_AT_ONCE", "len(messages), 3"),
                       ("start + wire.MOST_AT_ONCE", "start + 3")),
    )  # fmt: skip


def _before(n: Net) -> None:
    """One that was delayed may be ahead of the next."""
    if n.line.late and not n.calm and n.rng.random() < 0.12:
        late_arrives(n)


def _meanwhile(n: Net, request: httpx.Request) -> None:
    """No transaction may be open while a request is on the wire; and people go on meanwhile."""
    for book in (n.client, n.provider, n.other):
        open_now = book.engine.pool.checkedout()  # type: ignore[attr-defined]  # a QueuePool
        assert open_now == 0, f"a transaction of {book.company.name} is open during an HTTP request"
    (shop,) = n.company.shops
    if str(request.url).startswith(shop.url) and (spoil := n.later.pop(shop.sim.requests[-1].operation, None)):
        spoil()
    if request.url.path.endswith("/events"):
        checks.the_mirror_is_what_the_provider_was(n)
    between = request.url.path.endswith("/changes")
    if n.calm or n.busy or n.rng.random() > (0.3 if between else 0.06):
        return
    n.busy = True
    n.tell("meanwhile:")
    if between and not n.away["provider"]:  # what is told of an order, and what is done for it, are two readings
        depot.enter_order(n)
        n.rng.choice((depot.pick_order, depot.ship_order))(n)
    able: list[tuple[int, Deed]] = [(3, deeds.buy)]
    able += CLIENT[3:15] if not n.away["client"] else ()
    able += PROVIDER if not n.away["provider"] else ()
    (deed,) = n.rng.choices([deed for _, deed in able], [weight for weight, _ in able])
    deed(n)
    n.busy = False
