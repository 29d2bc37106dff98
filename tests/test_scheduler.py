"""The crew: what is due runs once, in its order, without a burst; whoever else looks at the same schedule runs nothing
twice. On the real connector and a simulated Amazon, whose log of requests and effects is the oracle."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests import books
from tests.sync.shop import calls, every_request, new_sim, no_transaction
from tests.year.company import PATIENT, Clock, Company, company, connect
from zenv import crew
from zenv.crew import Crew
from zenv.errors import KeyUnavailable
from zenv.ledger import attendance, connections, orders, recipients, runs, stock, views
from zenv.simulators.amazon import AmazonSimulator

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
TASKS = ["orders", "items", "cancellations", "shipments", "stock", "verify"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@contextmanager
def shops(clock: Clock, folder: Path, names: str = "a") -> Iterator[Company]:
    """A company with a connection per letter, each to a seller of its own with one listing and one order."""
    sims = [AmazonSimulator(7 + n, clock) if n else new_sim(clock) for n, _ in enumerate(names)]
    for sim in sims:
        sim.add_listing("POT", name="A pot", quantity=50)
    clock.wind(2 * HOUR)
    with ExitStack() as stack:
        c = stack.enter_context(company(sims, clock, ("Main", "Side"), folder=folder))
        stack.enter_context(every_request(no_transaction(c.book)))
        for shop in c.shops:
            connect(c.book, shop.name, shop.sim, shop.url, adopt_new=True)
            shop.sim.place_order([("POT", 1)])
        clock.wind(MINUTE)
        yield c
        assert books.findings(c.book) == []


@pytest.fixture
def shop(clock: Clock, tmp_path: Path) -> Iterator[Company]:
    with shops(clock, tmp_path) as c:
        yield c


@dataclass
class Ticks:
    """A daemon's ticks without the daemon."""

    company: Company

    def __post_init__(self) -> None:
        self.results: list[Any] = []
        self.crew = Crew(self.company.book, "daemon", self.company.world(PATIENT), self.results.append)

    def until_quiet(self, most: int = 200) -> int:
        """Tick until nothing begins any more; how many connections began."""
        begun = 0
        for _ in range(most):
            started = self.crew.start_one()
            begun += started
            self.wait()
            if not started:
                return begun
        raise AssertionError("it never came to rest")

    def wait(self) -> None:
        """Until nobody is at work."""
        while self.crew.at_work():
            time.sleep(0.01)

    def day(self, hours: float = 24.0) -> None:
        """Some ticks a minute."""
        for _ in range(int(hours * 60)):
            self.company.clock.wind(MINUTE)
            while self.crew.start_one():
                self.wait()
            books.do(self.company.book, attendance.sign, "daemon")


def history(c: Company) -> list[tuple[str, str, str]]:
    """(connection, task, outcome) of all runs, oldest first; housekeeping has no connection."""
    query = ("SELECT COALESCE(c.name, ''), r.task, r.outcome FROM run r"
             " LEFT JOIN connection c ON c.id = r.connection_id ORDER BY r.id")  # fmt: skip
    return [tuple(row) for row in c.rows(query)]


def of_a(c: Company) -> list[str]:
    return [task for name, task, _ in history(c) if name == "a"]


# ---- what runs, and when ---------------------------------------------------------------------------------


def test_F5_everything_runs_at_once_after_enabling_and_redaction_before_it(shop: Company) -> None:
    ticks = Ticks(shop)
    ticks.until_quiet()
    assert history(shop)[0] == ("", "redaction", "ok")
    assert of_a(shop) == TASKS
    assert {outcome for _, _, outcome in history(shop)} == {"ok"}


def test_A11_to_A17_over_two_days_no_task_ever_breaks_its_bound(shop: Company) -> None:
    ticks = Ticks(shop)
    ticks.day(48)
    query = "SELECT task, strftime('%s', started_at) FROM run WHERE connection_id = 1 ORDER BY id"
    started: dict[str, list[int]] = {}
    for task, at in shop.rows(query):
        started.setdefault(task, []).append(int(at))
    longest = {task: max(b - a for a, b in pairwise(at)) for task, at in started.items()}
    assert longest["orders"] <= 15 * MINUTE
    assert max(longest["cancellations"], longest["shipments"]) <= HOUR
    assert longest["items"] <= 4 * HOUR
    assert longest["stock"] <= DAY and longest["verify"] <= DAY
    assert len(started["orders"]) < 48 * 60 / 11  # and none much more often than it has to
    assert views.schedule(shop.home, "a").rows[0][1:3] == ("a", "orders")


def test_A16_stock_runs_at_the_companys_midnight(shop: Company) -> None:
    Ticks(shop).day(48)
    at = [row[0] for row in shop.rows("SELECT started_at FROM run WHERE task = 'stock' ORDER BY id")][1:]
    assert len(at) == 2 and {text[11:16] for text in at} <= {"05:00", "05:01"}  # midnight in New York


def test_A17_with_high_frequency_updates_stock_runs_every_ten_minutes(shop: Company) -> None:
    ticks = Ticks(shop)
    ticks.until_quiet()
    with shop.book.transaction() as t:
        connections.edit(t, "a", high_frequency=True)
    ticks.day(1)
    count = of_a(shop).count("stock") - 1
    assert 6 <= count <= 8


def test_stock_is_told_only_after_the_orders_were_read_in_the_same_run(shop: Company) -> None:
    ticks = Ticks(shop)
    ticks.until_quiet()
    sim = shop.shops[0].sim
    for _ in range(4):  # bought, and the stock moved, moments before midnight
        sim.place_order([("POT", 3)])
    with shop.book.transaction() as t:
        stock.adjust(t, "POT", "Main", -1, "broken")
    sim.requests.clear()
    shop.clock.wind(DAY)
    assert shop.run("a", "stock").outcome == "ok"
    asked = [seen.operation for seen in sim.requests]
    assert "searchOrders" in asked
    pushes = [n for n, name in enumerate(asked) if name in ("patchListingsItem", "createFeed")]
    assert pushes and asked.index("searchOrders") < pushes[0]


def test_when_the_orders_cannot_be_read_stock_is_not_told(shop: Company) -> None:
    ticks = Ticks(shop)
    ticks.until_quiet()
    sim = shop.shops[0].sim
    with shop.book.transaction() as t:
        stock.adjust(t, "POT", "Main", -1, "broken")
    sim.fault("500", "searchOrders", times=50)
    shop.clock.wind(DAY)
    sim.requests.clear()
    assert shop.run("a", "stock").outcome == "failed"
    assert not calls(sim, "patchListingsItem") and not calls(sim, "createFeed")


def test_nine_hours_of_sleep_lead_to_one_catch_up_per_task_one_connection_at_a_time(
    clock: Clock, tmp_path: Path
) -> None:
    with shops(clock, tmp_path, "ab") as c:
        ticks = Ticks(c)
        ticks.until_quiet()
        ticks.day(1)
        before = Counter(history(c))
        clock.wind(9 * HOUR)
        for begun in (0, 1):  # a tick for redaction, then a tick for each connection
            assert ticks.crew.start_one()
            ticks.wait()
            assert len({name for name, _, _ in (Counter(history(c)) - before)} - {""}) == begun
        ticks.until_quiet()
        caught_up = Counter(history(c)) - before
        assert set(caught_up.values()) == {1}
        usual = {(name, task) for name, task, _ in caught_up if name}
        assert usual == {(name, task) for name in "ab" for task in ("orders", "items", "cancellations", "shipments")}
        assert caught_up["", "redaction", "ok"] == 1


# ---- trouble ---------------------------------------------------------------------------------------------


def test_C3_an_outage_opens_the_breaker_is_shown_and_ends_by_itself(shop: Company) -> None:
    ticks = Ticks(shop)
    ticks.until_quiet()
    sim = shop.shops[0].sim
    sim.fault("503_html", times=10_000)
    ticks.day(6)
    asked = len(sim.requests)
    ((failures, still_open),) = shop.rows("SELECT failures, open_until > ? FROM breaker", str(shop.clock())[:26])
    assert failures >= 5 and still_open
    ticks.day(1)
    assert len(sim.requests) - asked < 40  # one run is let through now and then
    assert shop.rows("SELECT status FROM connection")[0][0] == "active"
    sim.faults.clear()
    number = sim.place_order([("POT", 1)])
    ticks.day(2)
    assert books.state(shop.book, number) == "ready"
    assert shop.rows("SELECT failures, open_until FROM breaker") == [(0, None)]


def test_one_connection_in_trouble_holds_up_no_other(clock: Clock, tmp_path: Path) -> None:
    with shops(clock, tmp_path, "ab") as c:
        ticks = Ticks(c)
        ticks.until_quiet()
        c.shops[0].sim.fault("500", times=10_000)
        number = c.shops[1].sim.place_order([("POT", 1)])
        ticks.day(1)
        assert books.state(c.book, number) == "ready"


def test_a_task_that_is_running_elsewhere_is_left_to_whoever_runs_it(shop: Company) -> None:
    ticks = Ticks(shop)
    ticks.until_quiet()
    shop.clock.wind(15 * MINUTE)
    with shop.book.transaction() as t:
        theirs = runs.begin(t, 1, "orders", "sync now elsewhere 1")
    ticks.until_quiet()
    assert of_a(shop).count("orders") == 2
    with shop.book.transaction() as t:
        runs.end(t, theirs, "ok", runs.Tally())
    shop.clock.wind(15 * MINUTE)
    ticks.until_quiet()
    assert of_a(shop).count("orders") == 3


def test_A8_H82_disabled_nothing_runs_and_enabling_fills_the_gap(shop: Company) -> None:
    ticks = Ticks(shop)
    ticks.until_quiet()
    sim = shop.shops[0].sim
    books.do(shop.book, connections.disable, "a")
    placed = {sim.place_order([("POT", 1)]) for _ in range(3)}
    sim.requests.clear()
    ticks.day(3)
    assert sim.requests == []
    books.do(shop.book, connections.enable, "a")
    ticks.until_quiet()
    assert {books.state(shop.book, number) for number in placed} == {"ready"}


def test_without_the_master_key_nothing_runs_but_redaction_and_it_goes_on_when_the_key_is_there(
    shop: Company,
) -> None:
    key = next(shop.home.parent.glob("*.key"))
    hidden = key.rename(key.with_suffix(".away"))
    ticks = Ticks(shop)
    ticks.until_quiet()
    assert {name for name, _, _ in history(shop)} == {""}
    assert "key" in ticks.crew.waiting
    with pytest.raises(KeyUnavailable):
        crew.run_due(shop.book, world=shop.world(PATIENT))
    hidden.rename(key)
    ticks.crew.ask_again()  # the next try comes after 5 s of real time
    ticks.until_quiet()
    assert of_a(shop) == TASKS
    assert ticks.crew.waiting == ""


def test_told_to_stop_a_crew_begins_nothing_more_and_the_next_goes_on(shop: Company) -> None:
    ticks = Ticks(shop)
    assert ticks.crew.stop(1.0)
    ticks.until_quiet()
    assert of_a(shop) == []
    Ticks(shop).until_quiet()
    assert of_a(shop) == TASKS


# ---- sync due --------------------------------------------------------------------------------------------


def test_sync_due_runs_what_is_due_once_and_comes_back(shop: Company) -> None:
    world = shop.world(PATIENT)
    assert [result.task for result in crew.run_due(shop.book, world=world)] == TASKS
    assert crew.run_due(shop.book, world=world) == []
    shop.clock.wind(15 * MINUTE)
    assert [result.task for result in crew.run_due(shop.book, world=world)] == ["orders"]
    with shop.book.reading() as sql:
        kept = attendance.of(sql, "sync due")
    assert kept is not None and kept.ended_at is not None


def test_I7_after_45_days_off_people_are_forgotten_before_anything_is_asked(shop: Company) -> None:
    """The order's recipient was fetched and is 45 days old when zenv is started again."""
    crew.run_due(shop.book, world=shop.world(PATIENT))
    sim = shop.shops[0].sim
    number = next(iter(sim.orders))
    with shop.book.transaction() as t:
        orders.ship(t, number, [orders.NewPackage("UPS", "1Z1")])
    shop.run("a", "shipments")
    assert person(shop, number)["name"] not in ("", "REDACTED")
    shop.clock.wind(45 * DAY)
    asked_while_known = []
    with every_request(lambda request: asked_while_known.append(person(shop, number)["name"])):
        crew.run_due(shop.book, world=shop.world(PATIENT))
    assert asked_while_known and set(asked_while_known) == {"REDACTED"}


def person(c: Company, number: str) -> dict[str, str]:
    with c.book.reading() as sql:
        order = sql.exec_driver_sql("SELECT id FROM customer_order WHERE number = ?", (number,)).scalar_one()
        return recipients.recipient(sql, c.book.keys, order)


def test_F20_a_sync_by_hand_plans_the_next_run_too(shop: Company) -> None:
    crew.run_due(shop.book, world=shop.world(PATIENT))
    shop.clock.wind(10 * MINUTE)
    shop.run("a", "orders")
    shop.clock.wind(10 * MINUTE)
    assert crew.run_due(shop.book, world=shop.world(PATIENT)) == []
