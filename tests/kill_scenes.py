"""The scenes of the kill sweep: a task, the books and the Amazon it finds, and what must be true when it has run again.

The oracle is the simulated Amazon, which lives on in the test's process and counts effects, and the books as they
were before the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests import books, killing
from tests.year.company import Clock
from zenv import crew, sync
from zenv.connectors.base import World
from zenv.ledger import connections, order_changes, orders, recipients, runs, schedule, sqlite, stock
from zenv.ledger.book import Book
from zenv.ledger.buckets import LedgerBuckets
from zenv.simulators.amazon import AmazonSimulator

ORDERS = 5
"""With pages of three: two pages."""
HOUR, DAY = 3600.0, 86_400.0


@dataclass
class Stage:
    """One simulator on one address, set up anew for every kill: what it does follows from its seed."""

    sim: AmazonSimulator
    url: str
    clock: Clock
    folder: Path

    def anew(self) -> None:
        """Amazon as it is before zenv comes: three old listings, five orders. No limits and no report that takes
        long, as time stands still while a process dies."""
        self.clock.now = Clock().now - timedelta(days=3 * 300)
        self.sim.__init__(7, self.clock, limits=False, report_seconds=0)  # type: ignore[misc]  # it is served already
        for sku in ("POT", "MUG", "JUG"):
            self.sim.add_listing(sku, quantity=9)
            self.clock.wind(300 * DAY)
        for number in range(ORDERS):
            self.sim.place_order([("POT" if number % 2 else "MUG", 2)])
            self.clock.wind(1)
        self.clock.wind(60)

    def before(self, scene: Scene, query: str) -> list[tuple[Any, ...]]:
        """What the books of a scene say before its run."""
        connection = sqlite.read_only(self.folder / scene.name / "ledger.db")
        try:
            return list(connection.execute(query))
        finally:
            connection.close()


def nothing(*_: object) -> None:
    """A new connection; nothing happens meanwhile; nothing to look at."""


@dataclass(frozen=True)
class Scene:
    """`prepare` makes the books, `meanwhile` is what happens at Amazon then. After a kill `at_once` must hold, and
    `judge` after at most `rounds` more runs. CI kills at every `step`-th boundary."""

    name: str
    task: str
    prepare: Callable[[Book, Stage], None]
    judge: Callable[[Book, Stage], None]
    at_once: Callable[[Book, Stage], None] = nothing
    meanwhile: Callable[[Stage], None] = nothing
    changes: tuple[str, ...] = ()
    rounds: int = 3
    step: int = 11
    boundaries: int = 70
    """There are more than so many."""


def world_of(book: Book, stage: Stage) -> World:
    return World(stage.clock, stage.clock.wind, LedgerBuckets(book.engine, stage.clock), 10**7)


def read_everything(book: Book, stage: Stage) -> None:
    """Orders and items as they are at Amazon."""
    for task in ("items", "stock"):
        assert sync.run(book, "a", task, world_of(book, stage)).outcome == "ok"


# ---- an import of two pages ------------------------------------------------------------------------------


def the_cursor_has_not_passed_a_row(book: Book, stage: Stage) -> None:
    """I8: right after the kill, what the cursor says was read is in the books."""
    with book.reading() as sql:
        owner = connections.find(sql, "a").id
        claimed = killing.cursor_says(connections.cursor(sql, owner, "orders"))
    there = len(books.ask(book, "SELECT number FROM orders"))
    assert there >= {"nothing": 0, "half": 3, "all": ORDERS}[claimed], f"{claimed} was read, {there} orders are there"


def every_order_once(book: Book, stage: Stage) -> None:
    """I1, I2: each order with its lines and its recipient."""
    lines = books.ask(book, "SELECT number, sku, quantity FROM order_lines")
    theirs = [(o.order_id, line.sku, line.quantity) for o in stage.sim.orders.values() for line in o.lines]
    assert sorted(lines) == sorted(theirs)
    with book.reading() as sql:
        for order, number in sql.exec_driver_sql("SELECT id, number FROM customer_order").all():
            known = recipients.recipient(sql, book.keys, order)
            assert known["name"] == stage.sim.orders[number].recipient["name"]


IMPORT = Scene("orders", "orders", nothing, every_order_once, the_cursor_has_not_passed_a_row)

# ---- items, by search and by report ----------------------------------------------------------------------


def the_whole_shelf(book: Book, stage: Stage) -> None:
    """F6, I5: each listing is an item once, and opens with what lies there: nine of each, also of what is ordered."""
    assert dict(books.ask(book, "SELECT sku, item FROM listings")) == {sku: sku for sku in stage.sim.listings}
    levels = books.ask(book, "SELECT sku, on_hand FROM levels WHERE warehouse = 'Main' ORDER BY sku")
    assert levels == [("JUG", 9), ("MUG", 9), ("POT", 9)]
    assert books.ask(book, "SELECT SUM(reserved) FROM open_lines") == [(2 * ORDERS,)]
    with book.reading() as sql:
        assert sql.exec_driver_sql("SELECT COUNT(*) FROM listing WHERE needs_detail").scalar() == 0


ITEMS = Scene("items", "items", nothing, the_whole_shelf, rounds=1, step=61)
REPORT = Scene("items by report", "items", nothing, the_whole_shelf, changes=(killing.BY_REPORT,), rounds=1, step=67)

# ---- a look at everything --------------------------------------------------------------------------------


def edited_at_amazon(stage: Stage) -> None:
    """In Seller Central, the oldest listing and the newest."""
    stage.sim.change_quantity("POT", 3)
    stage.sim.change_quantity("JUG", 4)


def the_edits_are_seen(book: Book, stage: Stage) -> None:
    """F15: what Amazon shows is in the books, for every listing."""
    shown = {sku: one.quantity for sku, one in stage.sim.listings.items()}
    assert dict(books.ask(book, "SELECT sku, live FROM listings")) == shown


VERIFY = Scene("verify", "verify", read_everything, the_edits_are_seen, meanwhile=edited_at_amazon, rounds=1, step=67)

# ---- two packages ----------------------------------------------------------------------------------------


def two_packages(book: Book, stage: Stage) -> None:
    """One of a whole order, one of half an order: a repeat under another number would find units to confirm."""
    read_everything(book, stage)
    whole, half = sorted(number for (number,) in books.ask(book, "SELECT number FROM orders"))[:2]
    sku = books.ask(book, "SELECT sku FROM order_lines WHERE number = ?", half)[0][0]
    with book.transaction() as t:
        orders.ship(t, whole, [orders.NewPackage("UPS", "1ZWHOLE")])
        orders.ship(t, half, [orders.NewPackage("UPS", "1ZHALF", lines={sku: 1})])


def each_package_confirmed_once(book: Book, stage: Stage) -> None:
    """I3, I4."""
    seen = sorted((said.tracking, sum(said.items.values()), said.edit) for said in stage.sim.confirmations)
    assert seen == [("1ZHALF", 1, False), ("1ZWHOLE", 2, False)]
    assert set(books.ask(book, "SELECT told FROM shipments")) == {("confirmed",)}
    assert books.ask(book, "SELECT * FROM messages WHERE kind = 'shipment'") == []


SHIPMENTS = Scene("shipments", "shipments", two_packages, each_package_confirmed_once)

# ---- one cancellation ------------------------------------------------------------------------------------


def one_cancellation(book: Book, stage: Stage) -> None:
    read_everything(book, stage)
    with book.transaction() as t:
        order_changes.cancel(t, min(stage.sim.orders), "no_stock")


def cancelled_once(book: Book, stage: Stage) -> None:
    """I3, I4."""
    assert [(one.order_id, one.by) for one in stage.sim.cancellations] == [(min(stage.sim.orders), "MERCHANT")]
    assert books.ask(book, "SELECT * FROM messages WHERE kind = 'cancellation'") == []


CANCELLATION = Scene("cancellations", "cancellations", one_cancellation, cancelled_once)

# ---- three quantities ------------------------------------------------------------------------------------


def three_counts(book: Book, stage: Stage) -> None:
    """Little is left of one item, which goes by PATCH; the others go by feed."""
    read_everything(book, stage)
    with book.transaction() as t:
        for sku, counted in (("POT", 5), ("MUG", 20), ("JUG", 30)):
            stock.book_count(t, sku, "Main", counted)


def Amazon_shows_what_is_offered(book: Book, stage: Stage) -> None:
    """Each quantity with its handling time, and nothing is owed any more."""
    held = {sku: (one.quantity, one.submitted[0].get("lead_time_to_ship_max_days"))
            for sku, one in stage.sim.listings.items()}  # fmt: skip
    assert held == {"POT": (1, 2), "MUG": (14, 2), "JUG": (30, 2)}
    assert set(books.ask(book, "SELECT stock_state FROM listings")) == {("applied",)}
    assert books.ask(book, "SELECT * FROM messages") == []
    assert (stage.sim.channel_accidents, stage.sim.handling_resets) == ([], [])


STOCK = Scene("stock", "stock", three_counts, Amazon_shows_what_is_offered)

# ---- forgetting people -----------------------------------------------------------------------------------


def shipped_a_month_ago(book: Book, stage: Stage) -> None:
    """All five recipients are known, and their orders left 29 days ago."""
    read_everything(book, stage)
    assert sync.run(book, "a", "orders", world_of(book, stage)).outcome == "ok"
    with book.transaction() as t:
        for number in stage.sim.orders:
            orders.ship(t, number, [orders.NewPackage("UPS", f"1Z{number}")])
    stage.clock.wind(29 * DAY)


def nobody_can_be_read_any_more(book: Book, stage: Stage) -> None:
    """I7: neither in the books nor in a copy of them from before, however it is looked at."""
    with book.reading() as sql:
        assert sql.exec_driver_sql("SELECT COUNT(*) FROM personal WHERE LENGTH(sealed) > 0").scalar() == 0
    copy = stage.before(REDACTION, "SELECT key_id, sealed FROM personal")
    assert len(copy) == ORDERS
    for person in book.keys.open_many(copy):
        assert set(person.values()) == {"REDACTED"}
    everything = b"".join(path.read_bytes() for path in book.home.rglob("*") if path.is_file())
    for order in stage.sim.orders.values():
        assert str(order.recipient["name"]).encode() not in everything
    assert len(books.ask(book, "SELECT 1 FROM orders WHERE state = 'shipped'")) == ORDERS


REDACTION = Scene("redaction", "redaction", shipped_a_month_ago, nobody_can_be_read_any_more, step=7, boundaries=35)

# ---- old history -----------------------------------------------------------------------------------------


def old_and_young_runs(book: Book, stage: Stage) -> None:
    """A first import of 40 days ago, and what was asked since yesterday."""
    read_everything(book, stage)
    stage.clock.wind(40 * DAY)
    read_everything(book, stage)
    stage.clock.wind(DAY)


def only_the_old_runs_are_gone(book: Book, stage: Stage) -> None:
    """H64."""
    limit = (stage.clock() - timedelta(days=32)).isoformat(" ")[:19]
    before = stage.before(HISTORY, f"SELECT id FROM run WHERE started_at > '{limit}'")
    with book.reading() as sql:
        left = sql.exec_driver_sql("SELECT id FROM run WHERE connection_id IS NOT NULL").all()
        kept = sql.exec_driver_sql("SELECT COUNT(*) FROM run_records WHERE run_id NOT IN (SELECT id FROM run)").scalar()
    assert [tuple(row) for row in left] == before and len(before) == 2
    assert kept == 0


HISTORY = Scene("history", "history", old_and_young_runs, only_the_old_runs_are_gone, step=5, boundaries=15)

# ---- what is due -----------------------------------------------------------------------------------------


def an_hour_after_everything_ran(book: Book, stage: Stage) -> None:
    """Two packages have left since; orders, cancellations and shipments are due."""
    outcomes = [result.outcome for result in crew.run_due(book, world=world_of(book, stage))]
    assert outcomes == ["ok"] * 6
    two_packages(book, stage)
    stage.clock.wind(HOUR)


def sold_meanwhile(stage: Stage) -> None:
    """An order that only the next look can find. What was told before is at Amazon, as it was served anew."""
    stage.sim.place_order([("JUG", 1)])
    stage.clock.wind(60)


CLAIMS = """
SELECT s.task, s.next_at, s.last_at, EXISTS (
         SELECT 1 FROM run r WHERE r.connection_id IS s.connection_id AND r.task = s.task AND r.started_at = s.last_at)
  FROM scheduled_task s
"""


def who_claims_a_task_runs_it(book: Book, stage: Stage) -> None:
    """F5, I9: whatever was claimed has its run, and comes again at the latest when that run is taken for dead."""
    with book.reading() as sql:
        claimed = sql.exec_driver_sql(CLAIMS).all()
        running = sql.execute(runs.runs.select().where(runs.runs.c.outcome == "running")).all()
        planned = {(one.connection_id, one.task): one.next_at for one in sql.execute(schedule.tasks.select())}
    assert [task for task, _, _, has_run in claimed if not has_run] == []
    for run in running:
        assert planned[run.connection_id, run.task] <= run.lease_until, f"{run.task} is planned too late"


def everything_was_done(book: Book, stage: Stage) -> None:
    """Once, and within the lease of a run that died."""
    each_package_confirmed_once(book, stage)
    assert {number for (number,) in books.ask(book, "SELECT number FROM orders")} == set(stage.sim.orders)
    assert books.ask(book, "SELECT task FROM schedule WHERE late_at < ?", str(stage.clock())[:19]) == []
    with book.reading() as sql:
        again = {found.task for found in schedule.due(sql, stage.clock() + timedelta(hours=25))}
    assert again >= {"orders", "items", "cancellations", "shipments", "stock", "verify", "redaction", "history"}


DUE = Scene("due", killing.DUE, an_hour_after_everything_ran, everything_was_done, who_claims_a_task_runs_it,
            sold_meanwhile, rounds=1, step=53, boundaries=150)  # fmt: skip
