"""Time, the runs of zenv, and the trouble on the way to Amazon.

Faults are drawn for reads and for writes apart: where both are drawn from one list, lost writes hardly happen
(measured in facts/operations.md 3.5). People go on while a request is on the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.year import deeds
from tests.year.company import PATIENT, Shop
from tests.year.deeds import Year
from zenv.sync import RunResult

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
EITHER = ("429", "500", "503_html", "half_body", "truncated_json", "lost_reply", "reset", "invalid_input", "empty_200")
READS = {
    "searchOrders": (*EITHER, "expired_token", "duplicate_page", "shifting_page"),
    "getOrder": (*EITHER, "expired_token"),
    "searchListingsItems": (*EITHER, "expired_token"),
    "getFeed": EITHER,
    "getFeedDocument": EITHER,
    "getFeeds": EITHER,
    "lwaToken": ("500", "503_html", "reset"),
}
WRITES = {
    "patchListingsItem": (*EITHER, "expired_token"),
    "confirmShipment": (*EITHER, "expired_token", "lost_reply", "half_body", "reset"),
    "createFeed": (*EITHER, "stuck_feed", "fatal_feed", "lost_reply"),
    "createFeedDocument": EITHER,
    "uploadDocument": ("500", "reset", "lost_reply"),
}
OFTEN = 5
"""More often than zenv asks again: the run has to give up."""
TASKS = ("orders", "orders", "items", "cancellations", "shipments", "shipments", "stock", "stock")
ALL_TASKS = ("orders", "items", "cancellations", "shipments", "stock")


def wait(y: Year) -> None:
    """Nothing happens for a while."""
    y.company.clock.wind(y.rng.choice((2 * MINUTE, 10 * MINUTE, HOUR, 5 * HOUR, DAY, 3 * DAY)))


def arm(y: Year, shop: Shop) -> None:
    """Prepare trouble: for reads and for writes each by its own dice."""
    for faults in (READS, WRITES):
        if y.rng.random() < 0.4:
            operation = y.rng.choice(sorted(faults))
            name = y.rng.choice(faults[operation])
            times = 1 if name == "expired_token" or y.rng.random() < 0.5 else OFTEN
            detail = {"applied": y.rng.randint(0, 2)} if name == "fatal_feed" else {}
            shop.sim.fault(name, operation, times, **detail)
            y.tell(f"{shop.name}: {operation} will suffer {name} x {times}")


def run_something(y: Year) -> None:
    """One task of one shop, over a network that may be bad."""
    shop, task = y.shop(), y.rng.choice(TASKS)
    shop.sim.faults.clear()
    arm(y, shop)
    run(y, shop, task, patience=y.rng.choice((MINUTE, 10 * MINUTE)))


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
    y.company.clock.wind(HOUR)
    y.calm = True
    yield
    y.calm = False


@contextmanager
def wire_watched(on_request: Callable[[], None]) -> Iterator[None]:
    """Call `on_request` while each HTTP request is on the wire: the remote has done it, we do not know yet."""
    original = httpx.HTTPTransport.handle_request

    def handle(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        try:
            return original(self, request)
        finally:
            on_request()

    httpx.HTTPTransport.handle_request = handle  # type: ignore[method-assign]  # the one place all requests pass
    try:
        yield
    finally:
        httpx.HTTPTransport.handle_request = original  # type: ignore[method-assign]


def people_go_on(y: Year) -> Callable[[], None]:
    """What happens while a request is on the wire. No transaction may be open then (design 5.1)."""
    busy: list[Any] = []

    def on_request() -> None:
        assert y.company.book.engine.pool.checkedout() == 0, "a transaction is open during an HTTP request"  # type: ignore[attr-defined]
        if not (busy or y.calm) and y.rng.random() < 0.04:
            busy.append(True)
            y.company.clock.wind(0.1)
            y.tell("meanwhile:")
            y.rng.choice((deeds.receive, deeds.receive, deeds.buy, deeds.give_up))(y)
            y.company.clock.wind(0.1)
            busy.clear()

    return on_request
