"""Every run leaves a record, one bad record stops nobody, and what broke off goes on."""

from __future__ import annotations

from typing import Any

import pytest

from tests import books, killing
from tests.sync.shop import calls, connection_id, opened, run_all, sim_of, unknown_recipients
from tests.year.company import Clock, Company, secrets_of
from zenv import sync
from zenv.errors import Busy, LoginNeeded, NotFound, Refused, Throttled
from zenv.ledger import connections, views
from zenv.simulators.amazon import AmazonSimulator

HOUR = 3600.0
US, CANADA = "ATVPDKIKX0DER", "A2EUQ1WTGCTBG2"


def test_C1_a_run_that_finds_nothing_leaves_a_record_that_says_why(shop: Company) -> None:
    result = shop.run("a", "orders")
    assert (result.outcome, result.orders) == ("ok", 0)
    shown = books.dicts(views.runs(shop.home, "a"))[0]
    assert (shown["task"], shown["outcome"]) == ("orders", "ok")
    assert "Amazon has no order for createdAfter=" in shown["note"]


def test_C2_one_unreadable_order_is_set_aside_with_its_reason_and_heals_later(shop: Company) -> None:
    sim = sim_of(shop)
    good, odd, last = (sim.place_order([(sku, 1)]) for sku in ("POT-1", "POT-2", "MUG"))
    sim.models = None
    sim.orders[odd].status = "ON_THE_MOON"
    shop.clock.wind(60)
    # the first import asks for open orders only; the changes after it are asked for whatever their status
    assert shop.run("a", "orders").outcome == "ok"
    sim.book.touch(sim.orders[odd], sim.now())
    shop.clock.wind(600)
    result = shop.run("a", "orders")
    assert (result.outcome, result.failed) == ("partial", 1)
    assert {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")} == {good, last}
    ((kind, reference, reason),) = books.ask(shop.book, "SELECT kind, remote_id, reason FROM run_failures")
    assert (kind, reference) == ("order", odd)
    assert "ON_THE_MOON" in reason
    assert ("failed record", f"order {odd}") in books.inbox(shop.book)

    sim.orders[odd].status = "UNSHIPPED"
    sim.book.touch(sim.orders[odd], sim.now())
    shop.clock.wind(600)
    assert shop.run("a", "orders").outcome == "ok"
    assert books.state(shop.book, odd) == "ready"
    assert ("failed record", f"order {odd}") not in books.inbox(shop.book)
    sim.violations.clear()  # a status no model knows


def test_a_record_the_ledger_refuses_does_not_take_its_page_with_it(shop: Company) -> None:
    sim = sim_of(shop)
    sim.add_listing("BAD\x07BELL", name="Unprintable", quantity=1)
    shop.clock.wind(2 * HOUR)
    result = shop.run("a", "items")
    assert (result.outcome, result.items, result.failed) == ("partial", 3, 1)
    assert {sku for (sku,) in books.ask(shop.book, "SELECT sku FROM items")} == {"POT-1", "POT-2", "MUG"}
    sim.violations.clear()


def test_C2_an_order_the_ledger_itself_refuses_does_not_take_its_page_with_it(shop: Company) -> None:
    sim = sim_of(shop)
    first, refused, last = (sim.place_order([(sku, 1)]) for sku in ("POT-1", "POT-2", "MUG"))
    shop.clock.wind(60)
    with shop.book.transaction() as t:
        t.sql.exec_driver_sql("CREATE TRIGGER odd BEFORE INSERT ON order_line WHEN NEW.sku = 'POT-2'"
                              " BEGIN SELECT RAISE(ABORT, 'no second pots'); END")  # fmt: skip
    result = shop.run("a", "orders")
    assert (result.outcome, result.orders, result.failed) == ("partial", 2, 1)
    assert {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")} == {first, last}
    assert books.ask(shop.book, "SELECT remote_id, reason FROM run_failures") == [(refused, "no second pots")]
    with shop.book.transaction() as t:
        t.sql.exec_driver_sql("DROP TRIGGER odd")
    sim.request_cancel(refused)
    shop.clock.wind(600)
    assert shop.run("a", "orders").outcome == "ok"
    assert books.state(shop.book, refused) == "ready"
    assert ("failed record", f"order {refused}") not in books.inbox(shop.book)


def test_a_throttled_run_is_partial_keeps_what_it_has_and_the_next_goes_on(shop: Company) -> None:
    sim = sim_of(shop)
    placed = {sim.place_order([("MUG", 1)]) for _ in range(3)}
    sim.fault("429", "getOrder")
    shop.clock.wind(60)
    result = shop.run("a", "orders", patience=0)
    assert (result.outcome, result.orders) == ("partial", 3)
    assert isinstance(result.error, Throttled)
    shown = books.dicts(views.runs(shop.home, "a"))[0]
    assert (shown["outcome"], shown["orders"]) == ("partial", 3)
    assert "wait" in shown["note"]
    assert unknown_recipients(shop) == placed
    shop.clock.wind(HOUR)
    assert shop.run("a", "orders").outcome == "ok"
    assert unknown_recipients(shop) == set()


def test_an_outage_is_recorded_and_moves_no_cursor(shop: Company) -> None:
    sim = sim_of(shop)
    number = sim.place_order([("MUG", 1)])
    sim.fault("503_html", "searchOrders", times=50)
    result = shop.run("a", "orders")
    assert result.outcome == "failed"
    with shop.book.reading() as sql:
        assert connections.cursor(sql, connection_id(shop), "orders") is None
    sim.faults.clear()
    shop.clock.wind(HOUR)
    assert shop.run("a", "orders").orders == 1
    assert books.state(shop.book, number) == "ready"


def test_refused_credentials_stop_everything_until_the_user_logs_in_again(shop: Company) -> None:
    sim = sim_of(shop)
    sim.revoke()
    results = run_all(shop)
    assert [(result.task, result.outcome) for result in results] == [("orders", "failed")]
    assert isinstance(results[0].error, LoginNeeded)
    assert ("login", "a") in books.inbox(shop.book)
    with pytest.raises(LoginNeeded):
        shop.run("a", "orders")
    asked = len(sim.requests)
    with shop.book.transaction() as t:
        sim.authorise()
        connections.replace_secrets(t, "a", secrets_of(sim), shop.book.master_key())
    assert len(sim.requests) == asked
    assert shop.run("a", "orders").outcome == "ok"
    assert ("login", "a") not in books.inbox(shop.book)


def test_a_disabled_connection_runs_nothing(shop: Company) -> None:
    with shop.book.transaction() as t:
        connections.disable(t, "a")
    with pytest.raises(Refused, match="inactive"):
        shop.run("a", "orders")
    assert sim_of(shop).requests == []
    assert views.runs(shop.home, "a").rows == []


def test_two_processes_never_run_the_same_task_at_once(shop: Company) -> None:
    number = sim_of(shop).place_order([("MUG", 1)])
    shop.clock.wind(60)
    with killing.held_at_first_request(killing.Errand(shop.home, "orders", shop.clock.now)) as finish:
        with pytest.raises(Busy, match="orders"):
            shop.run("a", "orders")
        shop.clock.wind(60)
        assert shop.run("a", "verify").outcome == "ok"  # another task is free to run
        assert finish() == 0
    assert books.ask(shop.book, "SELECT number FROM orders") == [(number,)]
    shop.clock.wind(600)
    assert shop.run("a", "orders").outcome == "ok"


def test_a_run_that_was_killed_is_taken_for_dead_when_its_lease_has_ended(shop: Company) -> None:
    assert killing.killed(killing.Errand(shop.home, "orders", shop.clock.now), 1, only="http")
    with pytest.raises(Busy):
        shop.run("a", "orders")
    shop.clock.wind(16 * 60)
    assert shop.run("a", "orders").outcome == "ok"
    assert [row["outcome"] for row in books.dicts(views.runs(shop.home, "a"))] == ["ok", "abandoned"]


def test_C9_a_first_import_that_was_killed_goes_on_with_the_page_it_had_come_to(shop: Company) -> None:
    sim = sim_of(shop)
    sim.limits = False  # time stands still here while the other process works
    placed = {sim.place_order([("MUG", 1)]) for _ in range(8)}
    shop.clock.wind(60)
    errand = killing.Errand(shop.home, "orders", shop.clock.now, (killing.SMALL,))
    assert killing.killed(errand, 5, only="http")  # the login, the first page, then right before the second leaves
    assert len(views.orders(shop.home).rows) == 3
    (first,) = calls(sim, "searchOrders")
    assert "paginationToken" not in first.query
    shop.clock.wind(HOUR)
    later = killing.Errand(shop.home, "orders", shop.clock.now, (killing.SMALL,))
    assert later.run(shop.clock).orders == 5
    walk = [seen.query for seen in calls(sim, "searchOrders") if "createdAfter" in seen.query]
    assert ["paginationToken" in query for query in walk] == [False, True, True]  # no page was asked for again
    assert {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")} == placed


def test_F20_one_run_reads_all_marketplaces_of_an_account_also_of_a_period(
    sim: AmazonSimulator, clock: Clock, tmp_path: Any
) -> None:
    sim.marketplaces = [US, CANADA]
    sim.add_listing("POT-CA", quantity=6, marketplace=CANADA)
    clock.wind(HOUR)
    placed = {sim.place_order([("MUG", 1)], marketplace=US), sim.place_order([("POT-CA", 1)], marketplace=CANADA)}
    begun = clock.now
    clock.wind(600)
    with opened(sim, clock, tmp_path) as shop:
        assert shop.run("a", "orders").orders == 2
        assert {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")} == placed
        (result,) = sync.run_period(shop.book, "a", "orders", begun, clock.now, shop.world(10**7))
    assert "2 orders placed" in result.note
    assert {tuple(seen.query["marketplaceIds"]) for seen in calls(sim, "searchOrders")} == {(f"{US},{CANADA}",)}


def test_a_task_nobody_knows_is_refused_with_the_names_of_those_there_are(shop: Company) -> None:
    with pytest.raises(NotFound) as error:
        shop.run("a", "laundry")
    assert "orders" in error.value.hint


def test_the_watch_of_these_tests_notices_an_open_transaction(shop: Company) -> None:
    remote = sync.open_connector(shop.book, "a", shop.world())
    with shop.book.reading(), pytest.raises(AssertionError, match="1 transactions are open"):
        remote.check()
    remote.close()
