"""(b) Recording pages of orders, beside plain SQLite doing the very same statements.

The statements are taken down in a first pass, with their parameters, as SQLAlchemy hands them to the driver. The
other side then sends them to the same SQLite library, with the same settings, in the same transactions, to a copy of
the same ledger. What is left is the price of working out what to write.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event

from bench import ledgers
from bench.measure import Candidate, Target, compare, heading, in_turn, say, timed
from zenv.facts import OrderFact
from zenv.ledger import order_facts, sqlite
from zenv.ledger.book import Book, open_book
from zenv.ledger.home import LEDGER
from zenv.ledger.transaction import in_chunks

ORDERS_A_PAGE = 100


@dataclass(frozen=True)
class Sent:
    """One call to the driver: a statement, its parameters, and whether they are many rows of them."""

    statement: str
    parameters: Any
    many: bool


def record(book: Book, facts: Sequence[OrderFact]) -> None:
    """Record orders as a run does: a page, a transaction."""
    for page in in_chunks(facts, ORDERS_A_PAGE):
        with book.transaction() as t:
            order_facts.record(t, 1, page)


def run(quick: bool) -> None:
    """Open orders (reservations and outbox), then shipped ones (movements and levels too)."""
    count = 500 if quick else 10_000
    for shipped in (False, True):
        what = "shipped elsewhere: packages, movements, levels, outbox" if shipped else "open: reservations, outbox"
        heading(f"(b) recording {count:,} orders of 3 lines, {what}")
        _measure(count, shipped, rounds=1 if quick else 5)


def _measure(count: int, shipped: bool, rounds: int) -> None:
    skus = [f"SKU-{number:05d}" for number in range(2_000 if count > 1_000 else 200)]
    facts = ledgers.orders(count, skus, shipped)
    with ledgers.scratch() as folder:
        ledgers.stocked(folder / "base", skus, quantity=1_000_000)
        ledgers.at_rest(folder / "base")
        sent, changed = _taken_down(folder / "base", facts)
        medians = in_turn(_candidates(folder / "base", facts, sent), rounds)
    compare(medians, "plain sqlite3, the same statements", {"zenv": Target(most=1.5)})
    again = medians["zenv, unchanged again"]
    say(
        "first run / unchanged again",
        f"{medians['zenv'] / again:.1f} x",
        Target(least=4).judge(medians["zenv"] / again),
    )
    say("orders a second, zenv", f"{count / medians['zenv']:,.0f}", f"again: {count / again:,.0f}")
    statements = sum(len(one.parameters) if one.many else 1 for one in sent) / count
    say("statements and rows changed per order", f"{statements:.1f}", f"{changed / count:.1f} rows")


def _candidates(base: Path, facts: Sequence[OrderFact], sent: Sequence[Sent]) -> dict[str, Candidate]:
    writes = [one for one in sent if not one.statement.lstrip().startswith("SELECT")]
    return {
        "plain sqlite3, the same statements": lambda: _replay(base, sent),
        "plain sqlite3, only what writes": lambda: _replay(base, writes),
        "zenv": lambda: _recorded(base, facts)[0],
        "zenv, unchanged again": lambda: _recorded(base, facts)[1],
    }


def _recorded(base: Path, facts: Sequence[OrderFact]) -> tuple[float, float]:
    """Seconds of the first recording and of the same facts again, which must change no row."""
    with ledgers.fresh_copy(base) as home, open_book(home, "bench", lambda: ledgers.NOW) as book:
        first = timed(lambda: record(book, facts))
        before = _changes(book)
        again = timed(lambda: record(book, facts))
        assert _changes(book) == before, "recording the same facts again changed rows"
    return first, again


def _changes(book: Book) -> int:
    with book.engine.connect() as sql:
        driver: Any = sql.connection.driver_connection
        return int(driver.total_changes)


def _taken_down(base: Path, facts: Sequence[OrderFact]) -> tuple[list[Sent], int]:
    with ledgers.fresh_copy(base) as home, open_book(home, "bench", lambda: ledgers.NOW) as book:
        before = _changes(book)
        with _listening(book) as sent:
            record(book, facts)
        changed = _changes(book) - before
        _check(book, facts)
    return sent, changed


def _check(book: Book, facts: Sequence[OrderFact]) -> None:
    """What was measured did happen: every line reserved or moved, every touched listing owed its level."""
    units = sum(line.quantity for fact in facts for line in fact.lines)
    booked = (
        "SELECT SUM(quantity) FROM reservation UNION ALL SELECT SUM(quantity) FROM movement WHERE reason = 'shipped'"
    )
    with book.reading() as sql:
        done = sum(found or 0 for found in sql.exec_driver_sql(booked).scalars())
        owed = sql.exec_driver_sql("SELECT COUNT(*) FROM message WHERE kind = 'stock_level'").scalar_one()
    assert done == units, f"{done} units reserved or shipped, {units} ordered"
    assert owed == len({line.sku for fact in facts for line in fact.lines}), f"{owed} listings are owed"


@contextmanager
def _listening(book: Book) -> Iterator[list[Sent]]:
    sent: list[Sent] = []

    def take_down(_sql: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: bool) -> None:
        sent.append(Sent(statement, parameters, many))

    def commit(_sql: Any) -> None:
        sent.append(Sent("COMMIT", (), False))

    event.listen(book.engine, "before_cursor_execute", take_down)
    event.listen(book.engine, "commit", commit)
    try:
        yield sent
    finally:
        event.remove(book.engine, "before_cursor_execute", take_down)
        event.remove(book.engine, "commit", commit)


def _replay(base: Path, sent: Sequence[Sent]) -> float:
    with ledgers.fresh_copy(base) as home:
        connection = sqlite.module.connect(home / LEDGER)
        sqlite.prepare(connection, busy_seconds=10)
        seconds = timed(lambda: _send(connection, sent))
        connection.close()
    return seconds


def _send(connection: Any, sent: Sequence[Sent]) -> None:
    cursor = connection.cursor()
    for one in sent:
        if one.many:
            cursor.executemany(one.statement, one.parameters)
        else:
            cursor.execute(one.statement, one.parameters).fetchall()
