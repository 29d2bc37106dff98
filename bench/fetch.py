"""(b) From Amazon's answer to the ledger: pages of orders over HTTP, from a simulator in another process."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench import ledgers
from bench.measure import compare, heading, in_turn, say, timed
from zenv import pulling, sync
from zenv.connectors.base import World
from zenv.ledger import connections, runs
from zenv.ledger.book import open_book

ITEMS = 500
NAMES = ("client_id", "client_secret", "refresh_token")


class NoLimits:
    """Buckets that never empty: what is measured is the work, not Amazon's rate limits."""

    def take(self, key: str, rate: float, burst: int) -> float:
        """There is always a token."""
        return 0.0

    def learned(self, key: str, rate: float) -> None:
        """Nothing is kept."""

    def drained(self, key: str, wait: float) -> None:
        """The simulator's limits are off, so this would spoil the measurement."""
        raise AssertionError("the simulator asked to wait")


def run(quick: bool) -> None:
    """Fetch only, fetch and record, and the same again when nothing has changed."""
    count = 300 if quick else 10_000
    heading(f"(b) fetching {count:,} orders of 3 lines over HTTP, 100 a page")
    with ledgers.scratch() as folder, _other_process(count) as pipe:
        _items(folder / "base", *pipe.recv())
        pipe.send("the listings are taken over, let the buyers come")
        pipe.recv()
        medians = in_turn(
            {
                "fetch and translate": lambda: _fetched(folder / "base", count),
                "fetch, translate, record": lambda: _recorded(folder / "base", count)[0],
                "the same again, nothing changed": lambda: _recorded(folder / "base", count)[1],
            },
            rounds=1 if quick else 3,
        )
    compare(medians, "fetch, translate, record", {})
    for name, seconds in medians.items():
        say(f"orders a second: {name}", f"{count / seconds:,.0f}")


@contextmanager
def _other_process(count: int) -> Iterator[Connection]:
    """A simulated Amazon with its limits off. It sends its address and account, waits, and sells."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, count), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        ours.close()
        process.join()


def _serve(pipe: Connection, count: int) -> None:
    from zenv.simulators.amazon import AmazonSimulator, serve

    sim = AmazonSimulator(limits=False)
    skus = [sim.add_listing(f"SKU-{number:05d}", quantity=1_000_000).sku for number in range(ITEMS)]
    with serve(sim) as url:
        pipe.send((url, {"seller": sim.seller_id} | {name: getattr(sim, name) for name in NAMES}))
        pipe.recv()
        for number in range(count):
            sim.place_order([(skus[(number * 7 + place * 131) % ITEMS], 1 + place % 2) for place in range(3)])
        pipe.send("sold")
        with suppress(EOFError):
            pipe.recv()  # until the other end is closed


def _items(home: Path, endpoint: str, about: dict[str, str]) -> None:
    """A ledger that has taken over the listings."""
    secrets = {name: about[name] for name in NAMES}
    ledgers.new_book(home, endpoint=endpoint, seller=about["seller"], secrets=secrets).close()
    with open_book(home) as book:
        result = sync.run(book, ledgers.CONNECTION, "items", _world(book))
        assert (result.outcome, result.items) == ("ok", ITEMS), result
    ledgers.at_rest(home)


def _world(book: Any) -> World:
    return World(book.clock, lambda _: None, NoLimits())


def _fetched(base: Path, count: int) -> float:
    with ledgers.fresh_copy(base) as home, open_book(home) as book:
        connector = sync.open_connector(book, ledgers.CONNECTION, _world(book))
        found: list[int] = []
        seconds = timed(lambda: found.extend(len(page.facts) for page in connector.pull("orders", None)))
        connector.close()
    assert sum(found) == count, f"{sum(found)} of {count} orders came"
    return seconds


def _recorded(base: Path, count: int) -> tuple[float, float]:
    with ledgers.fresh_copy(base) as home, open_book(home) as book:
        connector = sync.open_connector(book, ledgers.CONNECTION, _world(book))
        with book.transaction() as t:
            owner = connections.find(t.sql, ledgers.CONNECTION)
            job = pulling.Job(book, owner, connector, runs.begin(t, owner.id, "orders"))

        def walk() -> None:
            for page in connector.pull("orders", None):
                pulling.record_page(job, page, "orders")

        first, again = timed(walk), timed(walk)
        connector.close()
        with book.reading() as sql:
            kept = sql.exec_driver_sql("SELECT COUNT(*) FROM customer_order").scalar_one()
    assert kept == count, f"{kept} of {count} orders are in the ledger"
    return first, again
