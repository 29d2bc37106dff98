"""kill -9 at every boundary of a run, then the same task again unharmed: nothing is lost and nothing happens twice.

The simulated Amazon lives on in this process and counts effects. CI takes every k-th boundary from a seeded offset
(printed when it fails); `pytest -m whole` takes them all. The mutants show that the sweep would notice.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest

from tests import books, killing
from tests.killing import BLIND, CURSOR_FIRST, LEVELS_TAKEN_AS_TOLD, NOT_CLAIMED, SMALL, Errand
from tests.year.company import Clock, connect, new_books
from zenv import sync
from zenv.connectors.base import World
from zenv.ledger import book as ledger
from zenv.ledger import connections, orders, recipients, stock
from zenv.ledger.book import Book
from zenv.ledger.buckets import LedgerBuckets
from zenv.simulators.amazon import AmazonSimulator, serve

SEED = int(os.environ.get("ZENV_SEED", "1"))
ORDERS = 5
"""With pages of three: two pages."""
AFTER_THE_LEASES = 20 * 60.0
HOUR = 3600.0


@dataclass
class Stage:
    """One simulator on one address, set up anew for every kill: what it does follows from its seed."""

    sim: AmazonSimulator
    url: str
    clock: Clock
    folder: Path

    def anew(self) -> None:
        """Amazon as it is before zenv comes: two listings, five orders. No limits, as time stands still while a
        process dies."""
        self.clock.now = Clock().now
        self.sim.__init__(7, self.clock, limits=False)  # type: ignore[misc]  # served already, so it must stay the same
        for sku in ("POT", "MUG", "JUG"):
            self.sim.add_listing(sku, quantity=9)
        self.clock.wind(2 * HOUR)
        for number in range(ORDERS):
            self.sim.place_order([("POT" if number % 2 else "MUG", 2)])
            self.clock.wind(1)
        self.clock.wind(60)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    clock = Clock()
    sim = AmazonSimulator(7, clock)
    with serve(sim) as url:
        yield Stage(sim, url, clock, tmp_path_factory.mktemp("kills"))


@dataclass(frozen=True)
class Scene:
    """A task, the books before it, and what must be true when it has run again."""

    task: str
    prepare: Callable[[Book, Stage], None]
    judge: Callable[[Book, Stage], None]
    at_once: Callable[[Book, Stage], None] = lambda book, stage: None


def act(scene: Scene, stage: Stage, boundary: int, changes: tuple[str, ...]) -> bool:
    """One kill and what came after it; whether there was a boundary with this number."""
    stage.anew()
    begun = _books_before(scene, stage)
    home = stage.folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(stage.folder / scene.task, home)
    stage.clock.now = begun
    died = killing.killed(Errand(home, scene.task, begun, (SMALL, *changes)), boundary)
    with ledger.open_book(home, "doctor", stage.clock) as book:
        assert books.findings(book) == []
        scene.at_once(book, stage)
        _run_again(scene, stage, book, changes)
        assert books.findings(book) == []
        assert stage.sim.violations == []
        scene.judge(book, stage)
    return died


_BEGUN: dict[str, datetime] = {}


def _books_before(scene: Scene, stage: Stage) -> datetime:
    """Make the books of a scene once; they are only ever copied. When they were left."""
    where = stage.folder / scene.task
    if not where.exists():
        folder = stage.folder / f"of {scene.task}"
        folder.mkdir()
        new_books(folder, stage.clock, ("Main",)).rename(where)
        with ledger.open_book(where, "clerk", stage.clock) as book:
            connect(book, "a", stage.sim, stage.url, adopt_new=True)
            scene.prepare(book, stage)
        _BEGUN[scene.task] = stage.clock.now
        stage.anew()  # what was asked while the books were made is forgotten
    return _BEGUN[scene.task]


def _run_again(scene: Scene, stage: Stage, book: Book, changes: tuple[str, ...]) -> None:
    """Unharmed, in this process, until nothing is owed any more: what becomes of a feed is told later."""
    for _ in range(3):
        stage.clock.wind(AFTER_THE_LEASES)
        result = Errand(book.home, scene.task, stage.clock.now, (SMALL, *changes)).run(stage.clock)
        assert result.outcome == "ok", result
        if not _waits_to_be_heard(book):
            return


def _waits_to_be_heard(book: Book) -> bool:
    told = books.ask(book, "SELECT 1 FROM listings WHERE submitted IS NOT NULL AND applied_at IS NULL")
    return bool(told or books.ask(book, "SELECT 1 FROM messages"))


def read_everything(book: Book, stage: Stage) -> None:
    """Orders and items as they are at Amazon."""
    world = World(stage.clock, stage.clock.wind, LedgerBuckets(book.engine, stage.clock), 10**7)
    for task in ("items", "stock"):
        assert sync.run(book, "a", task, world).outcome == "ok"


# ---- an import of two pages ------------------------------------------------------------------------------


def nothing(book: Book, stage: Stage) -> None:
    """A new connection."""


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


IMPORT = Scene("orders", nothing, every_order_once, the_cursor_has_not_passed_a_row)

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


SHIPMENTS = Scene("shipments", two_packages, each_package_confirmed_once)

# ---- a cancellation --------------------------------------------------------------------------------------


def one_cancellation(book: Book, stage: Stage) -> None:
    """Goes by feed, and what came of it is told later."""
    read_everything(book, stage)
    with book.transaction() as t:
        orders.cancel(t, min(stage.sim.orders), "no_stock")


def cancelled_once(book: Book, stage: Stage) -> None:
    """I3, I4."""
    assert [(one.order_id, one.by) for one in stage.sim.cancellations] == [(min(stage.sim.orders), "MERCHANT")]
    assert books.ask(book, "SELECT * FROM messages WHERE kind = 'cancellation'") == []


CANCELLATION = Scene("cancellations", one_cancellation, cancelled_once)

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


STOCK = Scene("stock", three_counts, Amazon_shows_what_is_offered)

# ---- the sweep -------------------------------------------------------------------------------------------

SCENES = pytest.mark.parametrize("scene", [IMPORT, SHIPMENTS, CANCELLATION, STOCK], ids=lambda scene: scene.task)
STEP = 11


def sweep(scene: Scene, stage: Stage, first: int, step: int, changes: tuple[str, ...] = ()) -> int:
    """Kill at every `step`-th boundary from the `first` on, until a run survives; at how many it died."""
    boundary, kills = first, 0
    while True:
        try:
            if not act(scene, stage, boundary, changes):
                return kills
        except AssertionError as error:
            where = f"killed at boundary {boundary} of {scene.task} (ZENV_SEED={SEED})"
            raise AssertionError(f"{where}: {error}") from error
        kills, boundary = kills + 1, boundary + step


@SCENES
def test_I1_to_I10_hold_after_a_kill_at_a_seeded_portion_of_the_boundaries(scene: Scene, stage: Stage) -> None:
    assert sweep(scene, stage, random.Random(SEED).randint(1, STEP), STEP) > 5


@pytest.mark.whole
@SCENES
def test_I1_to_I10_hold_after_a_kill_at_each_boundary(scene: Scene, stage: Stage) -> None:
    assert sweep(scene, stage, 1, 1) > 70


@pytest.mark.parametrize(
    ("scene", "mutant"),
    [(IMPORT, CURSOR_FIRST), (SHIPMENTS, NOT_CLAIMED), (SHIPMENTS, BLIND), (STOCK, LEVELS_TAKEN_AS_TOLD)],
    ids=lambda value: value if isinstance(value, str) else value.task,
)
def test_the_sweep_notices_a_planted_bug(scene: Scene, mutant: str, stage: Stage) -> None:
    with pytest.raises(AssertionError, match="killed at boundary") as noticed:
        for first in random.Random(SEED).sample(range(1, STEP + 1), STEP):
            sweep(scene, stage, first, STEP, (mutant,))
    print(noticed.value)
