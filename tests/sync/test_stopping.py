"""A run ends between two steps when it is told to or its connection is disabled, and goes on from there (H81 to H83);
by itself no run ever disables a connection (C3)."""

from __future__ import annotations

import json
from collections.abc import Callable
from threading import Event
from typing import Any

import httpx
import pytest

from tests import books, killing
from tests.sync.shop import calls, connection_id, every_request, run_all, set_stock, sim_of
from tests.year.company import PATIENT, Company
from tests.year.mutants import changed
from zenv import sync
from zenv.errors import Busy, KeyUnavailable, Stopped
from zenv.ledger import book as ledger
from zenv.ledger import connections, listings, runs, schedule, views

HOUR = 3600.0


def after(count: int, what: str, act: Callable[[], object]) -> Callable[[httpx.Request], None]:
    """A watch that acts before the n-th request whose path holds `what`."""
    left = [count]

    def watch(request: httpx.Request) -> None:
        if what in request.url.path:
            left[0] -= 1
            if left[0] == 0:
                act()

    return watch


def elsewhere(shop: Company, operation: Callable[..., object]) -> Callable[[], object]:
    """What another process does with the connection: through a ledger opened anew."""

    def act() -> None:
        with ledger.open_book(shop.home, "another", shop.clock) as book, book.transaction() as t:
            operation(t, "a")

    return act


def cursor(shop: Company) -> dict[str, Any]:
    with shop.book.reading() as sql:
        return dict(json.loads(connections.cursor(sql, connection_id(shop), "orders") or "{}"))


def known(shop: Company) -> set[str]:
    return {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")}


# ---- disabled and enabled --------------------------------------------------------------------------------


def test_H81_an_account_disabled_between_two_pages_ends_its_run_there_and_H83_goes_on_when_enabled(
    shop: Company,
) -> None:
    sim = sim_of(shop)
    placed = {sim.place_order([("MUG", 1)]) for _ in range(8)}
    shop.clock.wind(60)
    with (
        changed(*killing.CHANGES[killing.SMALL]),
        every_request(after(2, "/orders", elsewhere(shop, connections.disable))),
    ):
        result = shop.run("a", "orders")
    assert (result.outcome, result.orders) == ("partial", 6)  # the page that was asked for when it happened came in
    assert isinstance(result.error, Stopped) and "inactive" in result.note and "nothing was lost" in result.note
    assert len(calls(sim, "searchOrders")) == 2 and calls(sim, "getOrder") == []
    assert cursor(shop)["token"]
    assert views.connection(shop.home, "a")["status"] == "inactive"
    asked = len(sim.requests)
    while_away = sim.place_order([("MUG", 1)])
    sim.cancel(min(placed))
    shop.clock.wind(HOUR)
    with pytest.raises(sync.Refused):
        shop.run("a", "orders")
    assert len(sim.requests) == asked
    with shop.book.transaction() as t:
        connections.enable(t, "a")
    with changed(*killing.CHANGES[killing.SMALL]):
        assert shop.run("a", "orders").outcome == "ok"
    assert known(shop) == placed | {while_away}
    walk = [seen.query for seen in calls(sim, "searchOrders") if "createdAfter" in seen.query]
    assert ["paginationToken" in query for query in walk] == [False, True, True]  # no page was asked for twice
    assert books.state(shop.book, min(placed)) == "cancelled"


def test_H82_disabling_keeps_data_links_and_cursors(in_step: Company) -> None:
    shop = in_step
    with shop.book.transaction() as t:
        listings.unlink(t, "POT-1")
        listings.link(t, "POT-1", "POT-2")
    kept = (
        "stream, position FROM cursor",
        "sku, item_id FROM listing",
        "sku, name FROM item",
        "item_id, on_hand FROM level",
    )
    asking = [f"SELECT {what} ORDER BY 1" for what in kept]
    before = [shop.rows(query) for query in asking]
    with shop.book.transaction() as t:
        connections.disable(t, "a")
    with shop.book.transaction() as t:
        connections.enable(t, "a")
    assert [shop.rows(query) for query in asking] == before


def test_H81_nothing_is_told_to_an_account_that_was_disabled_while_its_orders_were_read(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    set_stock(shop, POT_1=2)
    told = len(calls(sim, "patchListingsItem"))
    with every_request(after(1, "/orders", elsewhere(shop, connections.disable))):
        result = shop.run("a", "stock")
    assert result.outcome == "partial" and result.sent == 0
    assert len(calls(sim, "patchListingsItem")) == told
    with shop.book.transaction() as t:
        connections.enable(t, "a")
    assert shop.run("a", "stock").sent == 1
    assert sim.listings["POT-1"].quantity == 2


def test_H81_run_all_ends_with_the_run_that_was_stopped(shop: Company) -> None:
    with every_request(after(1, "/orders", elsewhere(shop, connections.disable))):
        results = run_all(shop)
    assert [(one.task, one.outcome) for one in results] == [("orders", "partial")]


def test_an_account_disabled_before_a_rerun_or_a_period_asks_for_the_next_batch_ends_it_too(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    for _ in range(5):
        sim.place_order([("MUG", 1)])
    shop.clock.wind(600)
    first = shop.run("a", "orders")
    asked = len(calls(sim, "getOrder"))
    with every_request(after(1, "/orders/", elsewhere(shop, connections.disable))):
        result = sync.rerun(shop.book, first.run, shop.world(PATIENT))
    assert result.outcome == "partial" and len(calls(sim, "getOrder")) == asked + 1


def test_C3_no_number_of_failures_disables_an_account(shop: Company) -> None:
    sim = sim_of(shop)
    sim.fault("503_html", "searchOrders", times=100_000)
    for _ in range(100):
        assert shop.run("a", "orders").outcome == "failed"
        shop.clock.wind(60)
    assert views.connection(shop.home, "a")["status"] == "active"
    assert len(views.runs(shop.home, "a", 1000).rows) == 100
    sim.faults.clear()
    number = sim.place_order([("MUG", 1)])
    shop.clock.wind(HOUR)
    assert shop.run("a", "orders").orders == 1
    assert books.state(shop.book, number) == "ready"


# ---- told to stop ----------------------------------------------------------------------------------------


def test_a_run_that_is_told_to_stop_ends_between_two_pages_and_the_next_goes_on(shop: Company) -> None:
    sim, stop = sim_of(shop), Event()
    placed = {sim.place_order([("MUG", 1)]) for _ in range(8)}
    shop.clock.wind(60)
    with changed(*killing.CHANGES[killing.SMALL]):
        with every_request(after(2, "/orders", stop.set)):
            results = run_all(shop, stop=stop)
        assert [(one.task, one.outcome, one.orders) for one in results] == [("orders", "partial", 6)]
        assert "told to stop" in results[0].note
        shop.clock.wind(60)
        assert shop.run("a", "orders").outcome == "ok"
    assert known(shop) == placed


@pytest.mark.parametrize(("raised", "outcome"), [(KeyboardInterrupt, "partial"), (SystemExit, "partial"),
                                                 (RuntimeError, "failed"), (MemoryError, "failed")])  # fmt: skip
def test_a_run_that_is_broken_off_is_written_down_and_leaves_the_task_free(
    shop: Company, raised: type[BaseException], outcome: str
) -> None:
    def burst() -> None:
        raise raised("Marker Nameson")

    with pytest.raises(raised), every_request(after(1, "/orders", burst)):
        shop.run("a", "orders")
    (shown,) = books.dicts(views.runs(shop.home, "a"))
    assert shown["outcome"] == outcome and shown["ended_at"] is not None
    assert "Marker" not in shown["note"]
    assert shop.run("a", "orders").outcome == "ok"


def test_a_run_that_breaks_off_while_the_ledger_is_locked_still_raises_what_broke_it(
    shop: Company, caplog: pytest.LogCaptureFixture
) -> None:
    def burst() -> None:
        other = ledger.open_book(shop.home, "another", shop.clock)
        locks.append((other, other.transaction()))
        locks[0][1].__enter__()
        raise KeyboardInterrupt

    locks: list[Any] = []
    with (
        ledger.open_book(shop.home, "clerk", shop.clock, busy_seconds=0) as hasty,
        pytest.raises(KeyboardInterrupt),
        every_request(after(1, "/orders", burst)),
    ):
        sync.run(hasty, "a", "orders", shop.world())
    locks[0][1].__exit__(None, None, None)
    locks[0][0].close()
    assert "could not be written down" in caplog.text
    shop.clock.wind(16 * 60)  # its lease is over
    assert shop.run("a", "orders").outcome == "ok"


# ---- the key ---------------------------------------------------------------------------------------------


def test_a_key_that_cannot_be_read_leaves_an_entry_and_ends_the_other_tasks_too(shop: Company) -> None:
    (shop.home.parent / "zenv.key").rename(shop.home.parent / "away")
    results = run_all(shop)
    assert [(one.task, one.outcome) for one in results] == [("orders", "failed")]
    assert isinstance(results[0].error, KeyUnavailable)
    (shown,) = books.dicts(views.runs(shop.home, "a"))
    assert (shown["outcome"], shown["note"]) == ("failed", results[0].error.message)
    assert sim_of(shop).requests == []
    (shop.home.parent / "away").rename(shop.home.parent / "zenv.key")
    assert shop.run("a", "orders").outcome == "ok"


# ---- a task that is running elsewhere --------------------------------------------------------------------


def test_what_is_busy_after_other_tasks_is_the_last_result(shop: Company) -> None:
    with shop.book.transaction() as t:
        runs.begin(t, connection_id(shop), "cancellations")
    results = run_all(shop)
    assert [(one.task, one.outcome) for one in results] == [
        ("orders", "ok"), ("items", "ok"), ("cancellations", "not begun"),
    ]  # fmt: skip
    assert isinstance(results[-1].error, Busy) and results[-1].run == 0
    assert len(views.runs(shop.home, "a").rows) == 3


def test_H83_enabled_again_every_task_is_due_at_once(in_step: Company) -> None:
    shop, tasks = in_step, sync.tasks_of(in_step.book, "a")
    with shop.book.transaction() as t:
        bounds = [schedule.Bound(connection_id(shop), task.name, task.longest) for task in tasks]
        schedule.plan(t, bounds, "UTC")
    run_all(shop)
    with shop.book.transaction() as t:
        connections.disable(t, "a")
    with shop.book.transaction() as t:
        connections.enable(t, "a")
        schedule.hurry(t, connection_id(shop))
    with shop.book.reading() as sql:
        assert len(schedule.due(sql, shop.clock.now)) == len(bounds)
