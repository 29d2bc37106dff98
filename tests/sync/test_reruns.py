"""The records of a run are fetched again: exactly these, none twice, as a new entry of the history (H65, H67)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests import books
from tests.sync.shop import set_stock, sim_of
from tests.year.company import PATIENT, Company
from zenv import sync
from zenv.errors import Busy, NotFound, Refused
from zenv.ledger import connections, orders, runs, views

HOUR = 3600.0


def rerun(shop: Company, run: int) -> sync.RunResult:
    return sync.rerun(shop.book, run, shop.world(PATIENT))


def asked_since(shop: Company, mark: int) -> tuple[list[str], list[str], set[str]]:
    """The orders asked for by number (in order), the SKUs asked for, and all operations, since a mark in the log."""
    seen = sim_of(shop).requests[mark:]
    numbers = [one.path.split("/")[-1] for one in seen if one.operation == "getOrder"]
    skus = [sku for one in seen if one.operation == "searchListingsItems" for sku in _skus(one.query)]
    return numbers, skus, {one.operation for one in seen} - {"lwaToken"}


def _skus(query: dict[str, Sequence[str]]) -> list[str]:
    return query["identifiers"][0].split(",") if "identifiers" in query else ["all of them"]


def cursors(shop: Company) -> dict[str, str]:
    return dict(shop.rows("SELECT stream, position FROM cursor"))


def test_H65_a_rerun_asks_for_exactly_the_records_of_that_run_and_moves_no_cursor(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    earlier = sim.place_order([("MUG", 1)])
    shop.clock.wind(600)
    shop.run("a", "orders")
    wanted = [sim.place_order([("MUG", 1)]), sim.place_order([("POT-1", 1)], "PENDING")]
    shop.clock.wind(600)
    first = shop.run("a", "orders")
    later = sim.place_order([("MUG", 1)])
    shop.clock.wind(600)
    before, mark = cursors(shop), len(sim.requests)
    again = rerun(shop, first.run)
    assert (again.outcome, again.task) == ("ok", "orders")
    numbers, skus, operations = asked_since(shop, mark)
    assert sorted(set(numbers)) == sorted(wanted) and operations == {"getOrder"} and skus == []
    assert len(numbers) == 3  # each order once, and the recipient of the one that is to be shipped
    assert cursors(shop) == before
    assert earlier not in numbers and later not in numbers
    assert later not in {number for (number,) in books.ask(shop.book, "SELECT number FROM orders")}


def test_H65_a_rerun_of_an_import_of_items_asks_for_these_items_in_full(shop: Company) -> None:
    sim = sim_of(shop)
    first = shop.run("a", "items")
    shop.clock.wind(HOUR)
    sim.add_listing("LATER", quantity=1)
    sim.change_quantity("MUG", 19)
    mark = len(sim.requests)
    again = rerun(shop, first.run)
    numbers, skus, operations = asked_since(shop, mark)
    assert (sorted(skus), numbers, operations) == (["MUG", "POT-1", "POT-2"], [], {"searchListingsItems"})
    assert again.items == 1  # what is as it was is no news
    assert dict(books.ask(shop.book, "SELECT sku, live FROM listings"))["MUG"] == 19
    assert views.items(shop.home, "LATER").rows == []


def test_H67_a_rerun_doubles_nothing_updates_and_is_a_new_entry_that_names_the_old(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    number = sim.place_order([("MUG", 2)])
    shop.clock.wind(600)
    first = shop.run("a", "orders")
    sim.request_cancel(number)
    for _ in range(2):
        shop.clock.wind(600)
        again = rerun(shop, first.run)
        assert again.run != first.run
        assert views.run(shop.home, again.run)["again"] == first.run
    assert again.orders == 0
    assert views.run(shop.home, first.run)["again"] is None
    assert books.counts(shop.book, number) == [("MUG", 2, 0, 0)]
    assert books.available(shop.book, "MUG") == 18
    assert ("cancel request", number) in books.inbox(shop.book)
    assert len(shop.rows("SELECT id FROM customer_order")) == 1


def test_H65_a_rerun_can_be_run_again_itself(in_step: Company) -> None:
    shop, number = in_step, sim_of(in_step).place_order([("MUG", 2)])
    shop.clock.wind(600)
    again = rerun(shop, shop.run("a", "orders").run)
    mark = len(sim_of(shop).requests)
    rerun(shop, again.run)
    assert set(asked_since(shop, mark)[0]) == {number}


def test_H65_a_rerun_heals_what_the_run_had_set_aside(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    sim.models = None
    odd, good = (sim.place_order([("MUG", 1)]) for _ in range(2))
    sim.orders[odd].status = "ON_THE_MOON"
    shop.clock.wind(600)
    first = shop.run("a", "orders")
    assert (first.outcome, first.orders, first.orders_failed) == ("partial", 1, 1)
    still = rerun(shop, first.run)
    assert (still.outcome, still.orders_failed) == ("partial", 1)
    assert [row[0] for row in shop.rows("SELECT run_id FROM run_failure WHERE settled_at IS NULL")] == [still.run]
    sim.orders[odd].status = "UNSHIPPED"
    sim.book.touch(sim.orders[odd], sim.now())
    assert rerun(shop, first.run).outcome == "ok"
    assert shop.rows("SELECT 1 FROM run_failure WHERE settled_at IS NULL") == []
    assert {books.state(shop.book, number) for number in (odd, good)} == {"ready"}
    assert ("failed record", f"order {odd}") not in books.inbox(shop.book)
    sim.violations.clear()  # a status no model knows


def test_a_listing_that_could_not_be_compared_can_be_fetched_again(in_step: Company) -> None:
    """A sweep of what is live looks at everything; what it could not take is fetched again, and only that."""
    shop, sim = in_step, sim_of(in_step)
    with shop.book.transaction() as t:
        t.sql.exec_driver_sql("CREATE TRIGGER odd BEFORE UPDATE ON listing WHEN NEW.sku = 'MUG'"
                              " BEGIN SELECT RAISE(ABORT, 'no mugs today'); END")  # fmt: skip
    sim.change_quantity("MUG", 19)
    shop.clock.wind(HOUR)
    swept = shop.run("a", "verify")
    assert (swept.outcome, swept.items_failed) == ("partial", 1)
    with shop.book.transaction() as t:
        t.sql.exec_driver_sql("DROP TRIGGER odd")
    mark = len(sim.requests)
    assert rerun(shop, swept.run).outcome == "ok"
    assert asked_since(shop, mark)[1] == ["MUG"]
    assert shop.rows("SELECT 1 FROM run_failure WHERE settled_at IS NULL") == []


def test_what_was_sent_is_not_sent_again_by_a_rerun(in_step: Company) -> None:
    shop, sim = in_step, sim_of(in_step)
    number = sim.place_order([("MUG", 2)])
    shop.clock.wind(600)
    shop.run("a", "orders")
    with shop.book.transaction() as t:
        orders.ship(t, number, [orders.NewPackage("UPS", "1Z9")])
    set_stock(shop, POT_1=3)
    told = [shop.run("a", "shipments"), shop.run("a", "stock")]
    assert [one.sent > 0 for one in told] == [True, True]
    mark = len(sim.requests)
    with pytest.raises(Refused, match="brought no record"):
        rerun(shop, told[0].run)
    shop.clock.wind(600)
    rerun(shop, told[1].run)  # it had read the orders first
    assert asked_since(shop, mark)[2] == {"getOrder"}
    assert len(sim.confirmations) == 1


def test_a_run_without_records_and_one_there_is_not_are_refused_with_the_reason(in_step: Company) -> None:
    shop = in_step
    empty = shop.run("a", "orders")
    asked = len(sim_of(shop).requests)
    with pytest.raises(Refused, match=f"Run {empty.run} brought no record"):
        rerun(shop, empty.run)
    with pytest.raises(NotFound, match="no run 999"):
        rerun(shop, 999)
    with shop.book.transaction() as t:
        chore = runs.begin(t, None, "redaction")
        runs.end(t, chore, "ok", runs.Tally())
    with pytest.raises(Refused, match="housekeeping"):
        rerun(shop, chore)
    assert len(sim_of(shop).requests) == asked
    assert len(views.runs(shop.home).rows) == chore


def test_a_rerun_of_a_removed_account_is_refused(in_step: Company) -> None:
    shop = in_step
    sim_of(shop).place_order([("MUG", 1)])
    shop.clock.wind(600)
    first = shop.run("a", "orders")
    with shop.book.transaction() as t:
        connections.remove(t, "a")
    with pytest.raises(Refused, match="removed"):
        rerun(shop, first.run)


def test_a_rerun_takes_the_place_of_its_task(in_step: Company) -> None:
    shop = in_step
    sim_of(shop).place_order([("MUG", 1)])
    shop.clock.wind(600)
    first = shop.run("a", "orders")
    with shop.book.transaction() as t:
        other = runs.begin(t, 1, "orders")
    with pytest.raises(Busy, match="orders"):
        rerun(shop, first.run)
    with shop.book.transaction() as t:
        runs.end(t, other, "ok", runs.Tally())
    assert rerun(shop, first.run).outcome == "ok"
