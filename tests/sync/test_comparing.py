"""The books held against the channel: what was lost or never told is found, named, and mended by the command named."""

from __future__ import annotations

import shlex
from datetime import datetime, timedelta

from tests.sync.shop import calls, set_stock, sim_of
from tests.year.company import Company
from zenv import comparing, sync
from zenv.ledger import orders
from zenv.ledger.invariants import Finding

HOUR = 3600.0


def differences(shop: Company) -> list[Finding]:
    until = shop.clock()
    return comparing.compare(shop.book, "a", until - timedelta(days=20), until, shop.world(10**7))


def forget(shop: Company, number: str) -> None:
    """Take an order out of the books behind zenv's back."""
    with shop.book.transaction() as t:
        (order,) = t.sql.exec_driver_sql("SELECT id FROM customer_order WHERE number = ?", (number,)).one()
        lines = f"SELECT id FROM order_line WHERE order_id = {order}"
        t.sql.exec_driver_sql(f"DELETE FROM reservation WHERE line_id IN ({lines})")
        for table in ("order_line", "personal", "order_customer", "order_comment"):
            t.sql.exec_driver_sql(f"DELETE FROM {table} WHERE order_id = {order}")
        t.sql.exec_driver_sql(f"DELETE FROM customer_order WHERE id = {order}")


def test_books_that_are_in_step_differ_in_nothing_and_are_not_changed(in_step: Company) -> None:
    sim_of(in_step).place_order([("MUG", 1)])
    in_step.clock.wind(600)
    in_step.run("a", "orders")
    in_step.clock.wind(HOUR)
    before = in_step.rows("SELECT COUNT(*) FROM run")
    assert differences(in_step) == []
    assert in_step.rows("SELECT COUNT(*) FROM run") == before


def test_I1_an_order_that_the_books_lost_is_found_and_its_command_brings_it_back(in_step: Company) -> None:
    set_stock(in_step, MUG=20)
    number = sim_of(in_step).place_order([("MUG", 1)])
    in_step.clock.wind(600)
    in_step.run("a", "orders")
    in_step.clock.wind(HOUR)
    in_step.run("a", "orders")
    forget(in_step, number)
    (lost,) = differences(in_step)
    assert (lost.check, lost.subject) == ("lost", number)
    mended(in_step, lost.command)
    assert differences(in_step) == []
    assert in_step.rows("SELECT number FROM customer_order") == [(number,)]


def mended(shop: Company, command: str) -> None:
    """What `zenv sync now NAME orders --since DAY --until DAY` does."""
    words = shlex.split(command)
    assert words[:5] == ["zenv", "sync", "now", "a", "orders"]
    since, until = (datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (words[6], words[8]))
    sync.run_period(shop.book, "a", "orders", since, until + timedelta(days=1), shop.world(10**7))


def test_I4_a_package_that_only_the_books_call_confirmed_is_found(in_step: Company) -> None:
    sim = sim_of(in_step)
    number = sim.place_order([("MUG", 1)])
    in_step.clock.wind(600)
    in_step.run("a", "orders")
    with in_step.book.transaction() as t:
        orders.ship(t, number, [orders.NewPackage("UPS", "1Z1")])
        t.sql.exec_driver_sql("UPDATE shipment SET confirmed_at = '2026-01-01 12:00:00.000000'")
        t.sql.exec_driver_sql("DELETE FROM message WHERE kind = 'shipment'")
    in_step.clock.wind(HOUR)
    found = differences(in_step)
    assert ("untold", f"{number}/1") in {(one.check, one.subject) for one in found}
    assert calls(sim, "confirmShipment") == []
