"""Time, the runs of zenv, and the trouble on the way to Amazon.

Faults are drawn for reads and for writes apart: where both are drawn from one list, lost writes hardly happen
(measured in facts/operations.md 3.5). People go on while a request is on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from tests.year import deeds
from tests.year.company import PATIENT, Company, Shop
from tests.year.deeds import Year
from zenv.sync import RunResult

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
EITHER = ("429", "500", "503_html", "half_body", "truncated_json", "lost_reply", "reset", "invalid_input", "empty_200")
ANY = (*EITHER, "expired_token")
FAULTS = {
    "searchOrders": (*ANY, "duplicate_page", "shifting_page"),
    "getOrder": ANY,
    "searchListingsItems": ANY,
    "getFeed": EITHER,
    "getFeedDocument": EITHER,
    "getFeeds": EITHER,
    "lwaToken": ("500", "503_html", "reset"),
    "patchListingsItem": ANY,
    "confirmShipment": (*ANY, *["lost_reply"] * 6, "reset", "reset", "reset"),
    "createFeed": ("500", "lost_reply", "reset", "stuck_feed", *["fatal_feed"] * 4),
    "createFeedDocument": EITHER,
    "uploadDocument": ("500", "reset", "lost_reply"),
}
READS = {
    "orders": ("searchOrders", "searchOrders", "getOrder", "lwaToken"),
    "items": ("searchOrders", "searchListingsItems"),
    "cancellations": ("getOrder", "getFeed", "getFeedDocument", "getFeeds"),
    "shipments": ("getOrder", "lwaToken"),
    "stock": ("searchOrders", "searchListingsItems", "lwaToken"),
}
WRITES = {
    "orders": (),
    "items": (),
    "cancellations": ("createFeed", "createFeed", "createFeed", "createFeedDocument", "uploadDocument"),
    "shipments": ("confirmShipment",),
    "stock": ("patchListingsItem",),
}
MANY = ("searchOrders", "getOrder", "patchListingsItem")
"""Asked more than once in a run: trouble may begin in the middle."""
OFTEN = 5
"""More often than zenv asks again: the run has to give up."""
TASKS = (
    "orders",
    "orders",
    "orders",
    "orders",
    "items",
    "cancellations",
    "cancellations",
    "shipments",
    "shipments",
    "shipments",
    "stock",
    "stock",
)
ALL_TASKS = ("orders", "items", "cancellations", "shipments", "stock")


def wait(y: Year) -> None:
    """Nothing happens for a while."""
    y.company.clock.wind(y.rng.choice((2 * MINUTE, 10 * MINUTE, HOUR, 5 * HOUR, DAY, 3 * DAY)))


def arm(y: Year, shop: Shop, task: str) -> None:
    """Prepare trouble: for reads and for writes each by its own dice, from the first request on or a later one."""
    for operations in (READS[task], WRITES[task]):
        if operations and y.rng.random() < 0.5:
            operation = y.rng.choice(operations)
            name = y.rng.choice(FAULTS[operation])
            times = 1 if name == "expired_token" or y.rng.random() < 0.3 else OFTEN
            detail = {"applied": y.rng.randint(0, 2)} if name == "fatal_feed" else {}
            later = operation in MANY and y.rng.random() < 0.6
            y.tell(f"{shop.name}: {operation} will suffer {name} x {times}{', later' if later else ''}")
            if later:
                y.later[operation] = lambda o=operation, n=name, t=times, d=detail: shop.sim.fault(n, o, t, **d)  # type: ignore[misc]
            else:
                shop.sim.fault(name, operation, times, **detail)


def run_something(y: Year) -> None:
    """One task of one shop."""
    run_badly(y, y.shop(), y.rng.choice(TASKS))


def busy_hour(y: Year) -> None:
    """A shop sells as fast as it can, and the next run breaks off in the middle of reading it."""
    shop = y.shop()
    for _ in range(5):
        deeds.buy(y, shop)
        y.company.clock.wind(y.rng.choice((3, 8)) * MINUTE)
    shop.sim.faults.clear()
    y.later.clear()
    y.later["searchOrders"] = lambda: shop.sim.fault(
        y.rng.choice(("500", "503_html", "reset", "half_body")), "searchOrders", OFTEN
    )
    run(y, shop, "orders", MINUTE)


def ship_and_tell(y: Year) -> None:
    """Something leaves, and Amazon is told before anything else happens."""
    deeds.ship(y)
    if y.outside.packed:
        try_twice(y, y.company.shop(y.outside.packed[-1].shop), "shipments")


def cancel_and_tell(y: Year) -> None:
    """An order is to be cancelled, and Amazon is asked before anything else happens."""
    if shop := deeds.accept_cancel(y):
        try_twice(y, shop, "cancellations")


def try_twice(y: Year, shop: Shop, task: str) -> None:
    """Whoever sees that it did not work, or is impatient, tries again over a network that is no better."""
    if run_badly(y, shop, task).outcome != "ok" or y.rng.random() < 0.3:
        run_badly(y, shop, task)


def run_badly(y: Year, shop: Shop, task: str) -> RunResult:
    """A task over a network that may be bad."""
    shop.sim.faults.clear()
    y.later.clear()
    arm(y, shop, task)
    return run(y, shop, task, patience=y.rng.choice((MINUTE, 10 * MINUTE)))


def run(y: Year, shop: Shop, task: str, patience: float = PATIENT) -> RunResult:
    """Run a task and write down what came of it."""
    result = y.company.run(shop.name, task, patience)
    y.tell(f"{shop.name}: {task} {result.outcome}, {result.orders} orders, {result.sent} sent. {result.note}")
    return result


@contextmanager
def all_quiet(y: Year) -> Iterator[None]:
    """The network is good, what had to wait has waited long enough, and nobody does anything meanwhile."""
    for shop in y.company.shops:
        shop.sim.faults.clear()
    y.later.clear()
    y.company.clock.wind(HOUR)
    y.calm = True
    yield
    y.calm = False


@contextmanager
def wire_watched(on_request: Callable[[httpx.Request], None]) -> Iterator[None]:
    """Call `on_request` while each HTTP request is on the wire: the remote has done it, we do not know yet."""
    original = httpx.HTTPTransport.handle_request

    def handle(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        try:
            return original(self, request)
        finally:
            on_request(request)

    httpx.HTTPTransport.handle_request = handle  # type: ignore[method-assign]  # the one place all requests pass
    try:
        yield
    finally:
        httpx.HTTPTransport.handle_request = original  # type: ignore[method-assign]


def people_go_on(y: Year) -> Callable[[httpx.Request], None]:
    """What happens while a request is on the wire. No transaction may be open then (design 5.1)."""

    def on_request(request: httpx.Request) -> None:
        assert open_transactions(y.company) == 0, "a transaction is open during an HTTP request"
        shop = next(shop for shop in y.company.shops if str(request.url).startswith(shop.url))
        if spoil := y.later.pop(shop.sim.requests[-1].operation, None):
            spoil()
        if not y.calm and y.rng.random() < (0.3 if request.method == "PATCH" else 0.03):
            y.company.clock.wind(0.1)
            _meanwhile(y, shop, request)
            y.company.clock.wind(0.1)

    return on_request


def open_transactions(company: Company) -> int:
    """How many connections to the ledger are in use."""
    return int(company.book.engine.pool.checkedout())  # type: ignore[attr-defined]  # a QueuePool


def _meanwhile(y: Year, shop: Shop, request: httpx.Request) -> None:
    y.tell("meanwhile:")
    if request.method == "PATCH":
        deeds.receive(y, y.outside.thing[shop.name, request.url.path.split("/")[-1]])
    else:
        y.rng.choice((deeds.receive, deeds.buy, deeds.give_up))(y)
