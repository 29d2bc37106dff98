"""(g) Catching up on 50,000 orders after an outage: what Amazon's documented rates allow, and how much of that time
zenv is busy. The clock is wound by hand, so that a day of waiting costs nothing; zenv waits for every token."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta
from pathlib import Path

from bench import ledgers
from bench.measure import heading, say
from zenv import sync
from zenv.connectors.base import World
from zenv.ledger.book import Book, open_book
from zenv.ledger.buckets import LedgerBuckets
from zenv.simulators.amazon import AmazonSimulator, serve

ITEMS = 500
NAMES = ("client_id", "client_secret", "refresh_token")
OUTAGE = timedelta(hours=12)
PATIENT = 10**9


class Clock:
    """The clock of the books and of the simulator; sleeping winds it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def wind(self, seconds: float) -> None:
        """Go forward, to the next millisecond."""
        self.now += timedelta(milliseconds=math.ceil(seconds * 1000))


def run(quick: bool) -> None:
    """Read everything once, lose the network, sell, come back."""
    count = 300 if quick else 50_000
    clock = Clock(ledgers.NOW)
    sim = AmazonSimulator(7, clock)
    skus = [sim.add_listing(f"SKU-{number:05d}", quantity=1_000_000).sku for number in range(ITEMS)]
    heading(f"(g) catching up on {count:,} orders after {OUTAGE.total_seconds() / 3600:.0f} hours without network")
    with serve(sim) as url, ledgers.scratch() as folder:
        secrets = {name: getattr(sim, name) for name in NAMES}
        ledgers.new_book(folder / "home", clock(), url, sim.seller_id, secrets).close()
        with open_book(folder / "home", clock=clock) as book:
            _all(book, clock)
            _sell(sim, clock, skus, count)
            _caught_up(book, clock, count, folder / "home")
    assert sim.violations == [], sim.violations[:3]


def _all(book: Book, clock: Clock) -> None:
    clock.wind(7200)
    for result in sync.run_all(book, ledgers.CONNECTION, _world(book, clock)):
        assert result.outcome == "ok", result


def _world(book: Book, clock: Clock) -> World:
    return World(clock, clock.wind, LedgerBuckets(book.engine, clock), PATIENT)


def _sell(sim: AmazonSimulator, clock: Clock, skus: list[str], count: int) -> None:
    for number in range(count):
        clock.wind(OUTAGE.total_seconds() / count)
        sim.place_order([(skus[(number * 7 + place * 131) % ITEMS], 1 + place % 2) for place in range(3)])


def _caught_up(book: Book, clock: Clock, count: int, home: Path) -> None:
    orders = _measured("orders, and the 200 most urgent recipients", book, clock, "orders")
    stock = _measured("stock of every item that was sold", book, clock, "stock")
    with book.reading() as sql:
        kept = sql.exec_driver_sql("SELECT COUNT(*) FROM customer_order").scalar_one()
    assert kept == count, f"{kept} of {count} orders are in the ledger"
    busy, allowed = orders[0] + stock[0], orders[1] + stock[1]
    say("busy of the time that the documented rates take", f"{100 * busy / allowed:.2f} %", "the simulator included")
    say("orders a busy second", f"{count / orders[0]:,.0f}")


def _measured(what: str, book: Book, clock: Clock, task: str) -> tuple[float, float]:
    """(busy, allowed) seconds of one run that goes to its end."""
    begun, cpu = clock.now, time.process_time()
    result = sync.run(book, ledgers.CONNECTION, task, _world(book, clock))
    assert result.outcome == "ok", result
    busy, allowed = time.process_time() - cpu, (clock.now - begun).total_seconds()
    say(what, f"{busy:,.1f} s busy", f"{allowed / 3600:,.1f} h allowed")
    return busy, allowed
