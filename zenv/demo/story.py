"""A day of a seller, told in steps: connect, take over the listings, sell, receive, ship, cancel, tell the stock."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from zenv import credentials, sync
from zenv.connectors.base import Terms, World
from zenv.demo.sides import Side, compare, readable_names
from zenv.errors import Bug
from zenv.facts import Account
from zenv.ledger import connections, order_changes, orders, stock, views
from zenv.ledger.book import Book, NewCompany, create, open_book
from zenv.ledger.buckets import LedgerBuckets
from zenv.ledger.connections import NewConnection
from zenv.pulling import Progress
from zenv.simulators.amazon import AmazonSimulator, SoldOut, serve

ITEMS = 200
ORDERS_BEFORE, ORDERS_AFTER = 20, 40
NAME, COMPANY = "amazon-us", "The Polite Teapot Company"
SEED = 2026


class Clock:
    """A clock that sleeping winds forward. It starts a day back, so that wound times are never in the future."""

    def __init__(self) -> None:
        self._ahead = timedelta(days=-1)

    def now(self) -> datetime:
        """The demo's present."""
        return datetime.now(UTC) + self._ahead

    def sleep(self, seconds: float) -> None:
        """Let the time pass without waiting for it."""
        self._ahead += timedelta(seconds=seconds)


@dataclass(frozen=True)
class Ending:
    """How it went: both sides of the table, the seconds it really took and seemed to take, and an item and an order
    that are worth a look."""

    sides: list[Side]
    seconds: float
    wound_seconds: float
    item: str
    order: str


@dataclass
class Demo:
    """What the steps share."""

    book: Book
    sim: AmazonSimulator
    clock: Clock
    tell: Callable[[str], None]
    progress: Progress | None
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))
    levels_sent: int = 0
    item: str = ""
    order: str = ""

    @property
    def world(self) -> World:
        """The connector's outside: the real one, but for the clock."""
        buckets = LedgerBuckets(self.book.engine, self.clock.now)
        return World(self.clock.now, self.clock.sleep, buckets, patience=3600)

    def task(self, name: str) -> sync.RunResult:
        """Run a task of the connection; anything but a clean run ends the demo."""
        result = sync.run(self.book, NAME, name, self.world, progress=self.progress)
        if result.error is not None:
            raise result.error
        if result.outcome != "ok":
            raise Bug(f"The task {name} of the demo ended {result.outcome}: {result.note}")
        return result


def play(home: Path, tell: Callable[[str], None], progress: Progress | None = None) -> Ending:
    """Play the day in a new ledger in `home`, telling each step. The connection is left disabled: its Amazon is
    gone afterwards."""
    clock = Clock()
    began, here = time.monotonic(), clock.now()
    sim = AmazonSimulator(SEED, clock.now)
    sim.fill(ITEMS, SEED, fba=0.1)
    with new_book(home, COMPANY, clock) as book, serve(sim) as url:
        demo = Demo(book, sim, clock, tell, progress)
        tell(f"A simulated Amazon with {len(sim.listings)} listings answers on {url}.")
        for step in STEPS:
            step(demo, url)
        sides = compare(home, sim, demo.levels_sent)
        with book.transaction() as t:
            connections.disable(t, NAME)
    sides.append(readable_names(home, sim))
    return Ending(sides, time.monotonic() - began, (clock.now() - here).total_seconds(), demo.item, demo.order)


def new_book(home: Path, company: str, clock: Clock, ledger: str = "demo") -> Book:
    """The books of a company with one warehouse, `Main`, in an empty folder; `ledger` is its id."""
    store = credentials.KeyStore("file", str(home / "master.key"), ledger)
    credentials.create_master_key(store)
    create(home, NewCompany(company, "US", "America/New_York", "USD"), store, clock.now)
    book = open_book(home, "demo", clock.now)
    with book.transaction() as t:
        stock.add_warehouse(t, "Main")
    return book


# ---- the steps -------------------------------------------------------------------------------------------


def _connect(demo: Demo, url: str) -> None:
    account = connect(demo.book, demo.sim, url, demo.world)
    demo.tell(f"Connected to the account {account.external_id}, plan {account.plan}.")


def connect(book: Book, sim: AmazonSimulator, url: str, world: World) -> Account:
    """Connect a company to its account at the simulated Amazon, and enable it."""
    given = {"client_id": sim.client_id, "client_secret": sim.client_secret, "refresh_token": sim.refresh_token}
    shop = sim.marketplaces[0]
    terms = Terms(NAME, "NA", sim.seller_id, (shop,), shop, endpoint=url)
    account = sync.check("amazon", terms, given, world)
    new = NewConnection(
        name=NAME, kind="amazon", external_id=account.external_id, region="NA", marketplaces=(shop,),
        home_marketplace=shop, warehouses=("Main",), consent_scope="demo", endpoint=url, adopt_new=True,
    )  # fmt: skip
    with book.transaction() as t:
        connections.add(t, new, given, book.master_key())
        connections.enable(t, NAME)
    return account


def _take_over(demo: Demo, _: str) -> None:
    _buyers_order(demo, ORDERS_BEFORE)
    found = demo.task("items").items
    units = views.counts(demo.book.home)["units_on_hand"]
    demo.tell(f"{found} listings became items, variations under their parents, with {units} units of opening stock.")


def _sell(demo: Demo, _: str) -> None:
    _buyers_order(demo, ORDERS_AFTER)
    found = demo.task("orders").orders
    demo.tell(f"{found} orders came in, {ORDERS_BEFORE} of them older than the ledger; recipients are sealed.")


def _buyers_order(demo: Demo, wanted: int) -> None:
    """Orders of one or two lines; every tenth is not paid yet."""
    placed = 0
    while placed < wanted:
        on_sale = [listing.sku for listing in demo.sim.listings.values() if listing.quantity]
        skus = demo.chance.sample(on_sale, demo.chance.choice((1, 1, 2)))
        lines = [(sku, demo.chance.choice((1, 1, 1, 2))) for sku in skus]
        try:
            demo.sim.place_order(lines, "PENDING" if placed % 10 == 9 else "UNSHIPPED")
        except SoldOut:
            continue
        placed += 1
        demo.clock.sleep(demo.chance.randint(5, 90))


def _receive(demo: Demo, _: str) -> None:
    demo.item = next(sku for sku, listing in demo.sim.listings.items() if listing.quantity == 0)
    with demo.book.transaction() as t:
        stock.receive(t, demo.item, "Main", 12, "delivery note 4711")
    demo.tell(f"12 units of {demo.item}, which was sold out, arrived from the supplier.")


def _ship(demo: Demo, _: str) -> None:
    demo.order = _oldest_ready(demo)
    with demo.book.transaction() as t:
        orders.pick(t, demo.order)
        orders.ship(t, demo.order, [orders.NewPackage("UPS", "1Z999AA10123456784")])
    demo.task("shipments")
    demo.tell(f"Order {demo.order} was picked and shipped, and Amazon was told its tracking number.")


def _cancel(demo: Demo, _: str) -> None:
    number = _oldest_ready(demo)
    demo.sim.request_cancel(number)
    demo.task("orders")
    with demo.book.transaction() as t:
        order_changes.cancel(t, number, "buyer_request")
    demo.task("cancellations")
    demo.clock.sleep(demo.sim.feed_seconds + 60)
    demo.task("cancellations")
    demo.task("orders")
    demo.tell(f"The buyer of {number} asked to cancel; Amazon carried it out and its units are free again.")


def _oldest_ready(demo: Demo) -> str:
    found = views.orders(demo.book.home, state="ready", limit=1000)
    return str(found.rows[-1][found.columns.index("number")])


def _tell_stock(demo: Demo, _: str) -> None:
    demo.levels_sent = demo.task("stock").sent
    demo.task("verify")
    demo.tell(f"{demo.levels_sent} stock levels went to Amazon and were read back.")


STEPS = (_connect, _take_over, _sell, _receive, _ship, _cancel, _tell_stock)
