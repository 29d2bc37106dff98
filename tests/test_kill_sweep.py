"""No order lost or taken twice, no package told twice, whatever instruction a run is killed at (promise 1).

CI kills at every few boundaries, beginning at one drawn from the seed; the whole kills at each. Both ask the
simulated Amazon what really happened.
"""

from __future__ import annotations

import json
import os
import random
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.killing import Scenario, Stage, killed_at
from tests.year import mutants
from tests.year.company import Clock, Company, company, connect, scratch
from zenv import sync
from zenv.ledger import invariants, orders, outbox
from zenv.simulators.amazon import AmazonSimulator

SEED = int(os.environ.get("ZENV_KILL_SEED", "20261122"))
EVERY = 9
"""CI kills at each so many-th boundary."""
FURTHEST = 2000
"""No run here has so many boundaries."""


# ---- what is killed --------------------------------------------------------------------------------------


def four_orders(clock: Clock) -> AmazonSimulator:
    """A seller with four listings and an order of three units of each."""
    sim = AmazonSimulator(5, clock, limits=False)
    for n in range(4):
        sim.add_listing(f"SKU-{n}", quantity=10)
    clock.wind(60)
    for n in range(4):
        sim.place_order([(f"SKU-{n}", 3)])
        clock.wind(60)
    return sim


def items_only(c: Company) -> None:
    """The books know the items, and where the orders begin, but no order yet."""
    c.run("a", "items")
    with c.book.transaction() as t:
        for table in ("reservation", "order_comment", "order_line", "customer_order", "cursor"):
            t.sql.exec_driver_sql(f"DELETE FROM {table}")


def orders_agree_with_cursor(c: Company) -> None:
    """The cursor says exactly what is recorded: nothing, the first page of two, or all four."""
    nothing_wrong(c)
    found = c.rows("SELECT position FROM cursor WHERE stream = 'orders'")
    position = json.loads(found[0][0]) if found else {}
    expected = 0 if not position else 2 if position.get("token") else 4
    assert order_count(c) == expected, f"{order_count(c)} orders beside the cursor {position}"


def every_order_once(c: Company) -> None:
    nothing_wrong(c)
    theirs = {(o.order_id, line.item_id, line.sku, 3) for o in c.shops[0].sim.orders.values() for line in o.lines}
    ours = [tuple(row) for row in c.rows("SELECT number, line, sku, quantity FROM order_lines")]
    assert len(ours) == len(theirs) and set(ours) == theirs
    assert c.rows("SELECT COUNT(*) FROM personal")[0][0] == 4
    reserved = "SELECT SUM(reserved) FROM order_lines"
    assert c.rows(reserved)[0][0] == 12


def two_packages_wait(c: Company) -> None:
    """A part of two orders has left, and Amazon is still to be told."""
    c.run("a", "orders")
    c.run("a", "items")
    for place, number in enumerate(sorted(c.shops[0].sim.orders)[:2]):
        sku = c.shops[0].sim.orders[number].lines[0].sku
        with c.book.transaction() as t:
            orders.ship(t, number, [orders.NewPackage("UPS", f"T{place}", lines={sku: 1})])


def told_at_most_once(c: Company) -> None:
    nothing_wrong(c)
    said = Counter(one.tracking for one in c.shops[0].sim.confirmations)
    assert all(times == 1 for times in said.values()), said


def told_exactly_once(c: Company) -> None:
    nothing_wrong(c)
    said = c.shops[0].sim.confirmations
    assert sorted(one.tracking for one in said) == ["T0", "T1"] and not any(one.edit for one in said), said
    assert all(list(one.items.values()) == [1] for one in said)
    nothing_owed(c)


def levels_wait(c: Company) -> None:
    """All four listings are to be told their stock."""
    c.run("a", "orders")
    c.run("a", "items")


def live_is_what_is_free(c: Company) -> None:
    nothing_wrong(c)
    assert {sku: one.quantity for sku, one in c.shops[0].sim.listings.items()} == {f"SKU-{n}": 7 for n in range(4)}
    nothing_owed(c)


def nothing_wrong(c: Company) -> None:
    """The auditor and the other side have nothing to say."""
    assert invariants.check_all(c.book) == []
    assert not c.shops[0].sim.violations


def nothing_owed(c: Company) -> None:
    assert c.rows("SELECT kind, subject, state FROM messages") == []


def order_count(c: Company) -> int:
    return int(c.rows("SELECT COUNT(*) FROM customer_order")[0][0])


IMPORT = Scenario("an order import of two pages", four_orders, items_only, "orders", orders_agree_with_cursor, every_order_once)
SHIPMENTS = Scenario("a push of two shipments", four_orders, two_packages_wait, "shipments", told_at_most_once, told_exactly_once)
STOCK = Scenario("a stock push", four_orders, levels_wait, "stock", nothing_wrong, live_is_what_is_free)
SCENARIOS = (IMPORT, SHIPMENTS, STOCK)


# ---- how it is killed ------------------------------------------------------------------------------------


@pytest.fixture
def folder() -> Iterator[Path]:
    with mutants.small_pages(), scratch() as place:
        yield place


def staged(scenario: Scenario, folder: Path) -> Stage:
    """Make the books of a scenario ready. A free port is chosen once: the connection remembers it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    clock = Clock()
    (folder / "stage").mkdir()
    with company([scenario.other_side(clock)], clock, folder=folder / "stage") as c:
        connect(c.book, "a", c.shops[0].sim, c.shops[0].url, adopt_new=True)
        c.clock.wind(60)
        scenario.prepare(c)
        with c.book.transaction() as t:
            t.sql.exec_driver_sql("UPDATE connection SET endpoint = ?", (f"http://127.0.0.1:{port}",))
    return Stage(scenario, folder / "stage" / "home", port, clock)


def sweep(stage: Stage, first: int, step: int, folder: Path) -> int:
    """Kill at boundaries `first`, `first` + `step`, ... until a run survives. How often it was killed."""
    kills = 0
    for boundary in range(first, FURTHEST, step):
        try:
            if not killed_at(stage, boundary, folder):
                return kills
        except AssertionError as error:
            raise AssertionError(f"{stage.scenario.name}, killed at boundary {boundary}: {error}") from error
        kills += 1
    raise AssertionError("the run never ended")


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_run_killed_at_some_boundaries_is_simply_continued(scenario: Scenario, folder: Path) -> None:
    first = random.Random(f"{SEED} {scenario.name}").randint(1, EVERY)
    assert sweep(staged(scenario, folder), first, EVERY, folder) > 5


@pytest.mark.whole
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_run_killed_at_any_boundary_is_simply_continued(scenario: Scenario, folder: Path) -> None:
    assert sweep(staged(scenario, folder), 1, 1, folder) > 50


# ---- it would have been found ----------------------------------------------------------------------------

CURSOR_FIRST = mutants.change(
    sync.record_page,
    ("with job.book.transaction() as t:\n            changed = _record(",
     "with job.book.transaction() as t:\n            _move(t, job, stream, page.cursor)\n"
     "        with job.book.transaction() as t:\n            changed = _record("),
)  # fmt: skip
NOT_SENDING = mutants.change(outbox.claim, ('state="sending"', 'state="pending"'))
PLANTED = {
    "the cursor is committed before the rows": (IMPORT, (CURSOR_FIRST,)),
    "sending is not committed before the call": (SHIPMENTS, (NOT_SENDING,)),
    "a lost answer is repeated under a new number": (
        SHIPMENTS, mutants.MUTANTS["a lost answer is repeated under a new number"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTED)
def test_the_sweep_finds_the_planted_bug(name: str, folder: Path) -> None:
    scenario, changes = PLANTED[name]
    stage = staged(scenario, folder)
    with mutants.changed(*changes), pytest.raises(AssertionError, match="killed at boundary") as found:
        sweep(stage, 1, 3, folder)
    print(f"{name}: {found.value}")
