"""A chosen period is read again: exactly what belongs to it, without moving a cursor (H68 to H71, H75)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests import books
from tests.sync.shop import calls, connection_id, opened, run_all, sim_of
from tests.year.company import PATIENT, Clock, Company
from zenv import sync
from zenv.errors import BadInput, LoginNeeded, NotFound, Refused, Throttled
from zenv.ledger import connections, schedule, views
from zenv.simulators.amazon import AmazonSimulator

HOUR = 3600.0
DAY = 24 * HOUR
MOMENT = timedelta(milliseconds=1)


def read(shop: Company, task: str | None, since: datetime, until: datetime) -> list[sync.RunResult]:
    return sync.run_period(shop.book, "a", task, since, until, shop.world(PATIENT))


def cursors(shop: Company) -> dict[str, str]:
    return dict(shop.rows("SELECT stream, position FROM cursor"))


def known(shop: Company) -> set[str]:
    return {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")}


def placed(shop: Company, number: str) -> datetime:
    return sim_of(shop).orders[number].created


# ---- what belongs to it ----------------------------------------------------------------------------------


def test_H70_orders_of_a_period_are_those_placed_in_it_with_both_ends(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    numbers = []
    for _ in range(4):
        numbers.append(sim.place_order([("MUG", 1)]))
        shop.clock.wind(HOUR)
    (result,) = read(shop, "orders", placed(shop, numbers[1]), placed(shop, numbers[2]))
    assert (result.outcome, result.task, result.orders) == ("ok", "orders", 2)
    assert known(shop) == set(numbers[1:3])
    (result,) = read(shop, "orders", placed(shop, numbers[0]) + MOMENT, placed(shop, numbers[3]) - MOMENT)
    assert (known(shop), result.orders) == (set(numbers[1:3]), 0)


def test_H69_a_period_moves_no_cursor_and_what_it_brought_comes_not_twice(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    number = sim.place_order([("MUG", 2)])
    sim.add_listing("BOWL", quantity=3)
    shop.clock.wind(HOUR)
    before = cursors(shop)
    results = read(shop, None, shop.clock.now - timedelta(hours=2), shop.clock.now)
    assert [(one.task, one.outcome, one.items, one.orders) for one in results] == [
        ("orders", "ok", 0, 1), ("items", "ok", 1, 0),
    ]  # fmt: skip
    assert cursors(shop) == before
    asked = len(calls(sim, "getOrder"))
    assert {one.outcome for one in run_all(shop)} == {"ok"}
    assert len(calls(sim, "getOrder")) == asked == 1  # whom the parcel goes to is asked once
    assert books.counts(shop.book, number) == [("MUG", 2, 0, 0)]
    assert books.available(shop.book, "MUG") == 18


def test_H68_items_of_a_period_are_those_whose_listing_was_created_in_it(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    for sku in ("BOWL", "DISH", "LID"):
        sim.add_listing(sku, quantity=3)
        shop.clock.wind(HOUR)
    (result,) = read(shop, "items", sim.listings["BOWL"].created + MOMENT, sim.listings["DISH"].created)
    assert (result.outcome, result.items) == ("ok", 1)
    assert {sku for (sku,) in books.ask(shop.book, "SELECT sku FROM listings")} == {"POT-1", "POT-2", "MUG", "DISH"}
    assert views.items(shop.home, "DISH").rows


def test_nothing_is_sent_by_a_period(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    with shop.book.transaction() as t:
        books.stock.book_count(t, "MUG", "Main", 3)
    told = len(calls(sim, "patchListingsItem"))
    read(shop, None, shop.clock.now - timedelta(days=1), shop.clock.now)
    assert len(calls(sim, "patchListingsItem")) == told
    assert ("stock_level", "MUG", "pending") in books.owed(shop.book)


def test_C1_the_history_says_which_period_was_read_and_why_it_brought_nothing(in_step: Company) -> None:
    shop, day = in_step, timedelta(days=1)
    (empty,) = read(shop, "orders", shop.clock.now - 3 * day, shop.clock.now - 2 * day)
    assert "0 orders placed from 2025-12-29 12:" in empty.note and "to 2025-12-30 12:" in empty.note
    assert "0 orders placed" in books.dicts(views.runs(shop.home, "a", 1))[0]["note"]


def test_H70_a_period_that_reaches_into_the_last_two_minutes_ends_where_it_says(in_step: Company) -> None:
    """Amazon takes no end that is younger; what it tells beyond it is left for the next run."""
    shop, sim = in_step, sim_of(in_step)
    numbers = []
    for _ in range(3):
        numbers.append(sim.place_order([("MUG", 1)]))
        shop.clock.wind(10)
    read(shop, "orders", placed(shop, numbers[0]) + MOMENT, placed(shop, numbers[1]))
    assert known(shop) == {numbers[1]}
    assert "createdBefore" not in calls(sim, "searchOrders")[-1].query


# ---- which of the ended ones are wanted ------------------------------------------------------------------


def test_H75_a_period_brings_no_old_fulfilled_order_unless_both_are_wanted(
    sim: AmazonSimulator, clock: Clock, tmp_path: Any
) -> None:
    gone, cancelled, still_open = (sim.place_order([("MUG", 1)]) for _ in range(3))
    sim.ship_elsewhere(gone)
    sim.cancel(cancelled)
    begun = clock.now
    clock.wind(40 * DAY)  # older than the first import looks
    with opened(sim, clock, tmp_path) as shop:
        run_all(shop)
        assert known(shop) == set()
        clock.wind(HOUR)
        (result,) = read(shop, "orders", begun - timedelta(hours=1), begun + timedelta(hours=1))
        assert (known(shop), result.orders) == ({still_open}, 1)
        shelf = books.shelf(shop.book, "MUG")
        (result,) = read(shop, "orders", begun - timedelta(hours=1), begun + timedelta(hours=1))
        assert result.orders == 0 and "left out (open ones only)" in result.note
        with shop.book.transaction() as t:
            connections.edit(t, "a", with_fulfilled=True)
        (result,) = read(shop, "orders", begun - timedelta(hours=1), begun + timedelta(hours=1))
        assert {still_open, gone} <= known(shop)
        assert books.state(shop.book, gone) == "shipped"
        assert books.shelf(shop.book, "MUG") == shelf  # history moves nothing


def test_H75_with_open_only_a_period_brings_known_orders_up_to_date_whatever_became_of_them(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    shipped, cancelled = (sim.place_order([("MUG", 1)]) for _ in range(2))
    begun = shop.clock.now
    shop.clock.wind(60)
    shop.run("a", "orders")
    sim.ship_elsewhere(shipped)
    sim.cancel(cancelled)
    shop.clock.wind(HOUR)
    (result,) = read(shop, "orders", begun, begun)
    assert result.orders == 2
    assert [books.state(shop.book, number) for number in (shipped, cancelled)] == ["shipped", "cancelled"]
    assert books.shelf(shop.book, "MUG") == (19, 0, 0)


def test_H75_an_order_that_left_the_shelf_since_we_began_is_brought_whatever_the_preference(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    number = sim.place_order([("MUG", 2)])
    sim.ship_elsewhere(number)
    shop.clock.wind(HOUR)
    read(shop, "orders", shop.clock.now - timedelta(hours=2), shop.clock.now)
    assert books.state(shop.book, number) == "shipped"
    assert books.shelf(shop.book, "MUG") == (18, 0, 0)


# ---- what is refused -------------------------------------------------------------------------------------


def test_H70_a_period_that_ends_before_it_starts_or_has_not_begun_is_refused(shop: Company) -> None:
    now, day = shop.clock.now, timedelta(days=1)
    with pytest.raises(BadInput, match="ends before it starts"):
        read(shop, "orders", now - day, now - 2 * day)
    with pytest.raises(BadInput, match="not begun"):
        read(shop, "orders", now + day, now + 2 * day)
    assert sim_of(shop).requests == []
    assert views.runs(shop.home, "a").rows == []


@pytest.mark.parametrize("task", ["stock", "shipments", "cancellations", "verify"])
def test_H68_a_period_is_for_orders_and_items_only(shop: Company, task: str) -> None:
    with pytest.raises(BadInput, match=f"orders and items; {task} is not"):
        read(shop, task, shop.clock.now - timedelta(days=1), shop.clock.now)
    assert sim_of(shop).requests == []


def test_a_period_of_a_task_or_a_connection_that_is_not_there_is_named(shop: Company) -> None:
    with pytest.raises(NotFound, match="laundry"):
        read(shop, "laundry", shop.clock.now, shop.clock.now)
    with shop.book.transaction() as t:
        connections.disable(t, "a")
    with pytest.raises(Refused, match="inactive"):
        read(shop, "orders", shop.clock.now, shop.clock.now)


# ---- trouble ---------------------------------------------------------------------------------------------


def test_a_login_that_is_refused_ends_the_period_with_its_first_task(in_step: Company) -> None:
    sim_of(in_step).revoke()
    results = read(in_step, None, in_step.clock.now - timedelta(days=1), in_step.clock.now)
    assert [(one.task, one.outcome) for one in results] == [("orders", "failed")]
    assert isinstance(results[0].error, LoginNeeded)


def test_a_throttled_period_keeps_what_it_has(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    number = sim.place_order([("MUG", 1)])
    shop.clock.wind(HOUR)
    sim.fault("429", "getOrder")
    (result,) = sync.run_period(shop.book, "a", "orders", placed(shop, number), shop.clock.now, shop.world(0))
    assert result.outcome == "partial" and isinstance(result.error, Throttled)
    assert known(shop) == {number}


def test_A14_a_period_is_not_the_task_that_is_due_and_does_not_put_it_off(in_step: Company) -> None:
    """Reading last week again every ten minutes must not keep the new orders out."""
    shop = in_step
    with shop.book.transaction() as t:
        schedule.plan(t, [schedule.Bound(connection_id(shop), "orders", timedelta(minutes=15))], "UTC")
    shop.run("a", "orders")
    ((ok_at, late_at),) = shop.rows("SELECT last_ok_at, late_at FROM scheduled_task")
    shop.clock.wind(600)
    read(shop, "orders", shop.clock.now - timedelta(days=7), shop.clock.now - timedelta(days=6))
    assert shop.rows("SELECT last_ok_at, late_at FROM scheduled_task") == [(ok_at, late_at)]
    with shop.book.reading() as sql:
        assert [task.task for task in schedule.due(sql, shop.clock.now)] == ["orders"]
