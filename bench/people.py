"""(h) Persons: opening those of a pick list, and forgetting those of many orders, beside the same rows unsealed.

The base keeps the very same fields in a plain table of the same ledger: it reads them with one SELECT, and forgets with
an UPDATE in transactions as large as zenv's. It writes no audit trail and keeps no key, so the ratio is the price of
both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from bench import ledgers
from bench.measure import Candidate, compare, heading, in_turn, say, timed
from zenv.facts import OrderFact, RecipientFact
from zenv.ledger import order_facts, recipients, redaction, sqlite
from zenv.ledger.book import Book, open_book
from zenv.ledger.home import LEDGER
from zenv.ledger.transaction import in_chunks
from zenv.privacy import PERSONAL_FIELDS, REDACTED

LATER = ledgers.NOW + timedelta(days=45)
PAGE = 100
_COLUMNS = ", ".join(PERSONAL_FIELDS)
_TEXTS = ", ".join(f"{name} TEXT NOT NULL" for name in PERSONAL_FIELDS)
_MADE = f"CREATE TABLE plain_person (order_id INTEGER PRIMARY KEY, {_TEXTS}) STRICT"
_FILLED = f"INSERT INTO plain_person VALUES (?, {', '.join('?' * len(PERSONAL_FIELDS))})"
_READ = f"SELECT {_COLUMNS} FROM plain_person WHERE order_id <= ?"
_SEALED = "SELECT key_id, sealed FROM personal WHERE order_id <= ?"
_DUE = ("SELECT p.order_id FROM plain_person p JOIN customer_order o ON o.id = p.order_id"
        f" WHERE p.name <> '{REDACTED}' AND o.shipped_at < ? LIMIT {redaction.AT_ONCE}")  # fmt: skip
_EMPTIED = f"UPDATE plain_person SET {', '.join(f'{name} = ?' for name in PERSONAL_FIELDS)} WHERE order_id = ?"


def run(quick: bool) -> None:
    """A pick list of 500, and 10,000 orders whose day has come."""
    picked, forgotten, rounds = (50, 200, 1) if quick else (500, 10_000, 5)
    with ledgers.scratch() as folder:
        _filled(folder / "base", forgotten)
        heading(f"(h) opening {picked} recipients for a pick list")
        with open_book(folder / "base", "bench", lambda: LATER) as book:
            book.master_key()
            medians = in_turn(_openers(book, picked), rounds * 4)
        compare(medians, "a plain table", {})
        say("a recipient", f"{medians['zenv, all at once'] / picked * 1e6:,.0f} us")
        heading(f"(h) forgetting the recipients of {forgotten:,} orders")
        forget: dict[str, Candidate] = {
            "a plain table": lambda: _overwritten(folder / "base", forgotten),
            "zenv": lambda: _redacted(folder / "base", forgotten),
        }
        medians = in_turn(forget, rounds)
    compare(medians, "a plain table", {})
    say("orders forgotten a second", f"{forgotten / medians['zenv']:,.0f}")


# ---- what there is ---------------------------------------------------------------------------------------


def _filled(home: Path, count: int) -> None:
    """A ledger with so many shipped orders, each with a person, sealed and once more in a plain table."""
    skus = [f"SKU-{number:05d}" for number in range(50)]
    ledgers.stocked(home, skus, quantity=1_000_000)
    facts = ledgers.orders(count, skus, shipped=True, lines=1)
    with open_book(home, "bench", lambda: ledgers.NOW) as book:
        for page in in_chunks(facts, PAGE):
            with book.transaction() as t:
                order_facts.record(t, 1, page)
                recipients.record(t, 1, list(_people(page)))
        with book.reading() as sql:
            ids = {remote: key for remote, key in sql.exec_driver_sql("SELECT remote_id, id FROM customer_order")}
        _plainly(book, [(ids[who.order], *who.personal().values()) for who in _people(facts)])
    ledgers.at_rest(home)


def _people(facts: list[OrderFact]) -> Iterator[RecipientFact]:
    some = RecipientFact(
        order="", name="Somebody Made Up", company="", line1="1 Imaginary Lane", line2="Floor 2", line3="",
        phone="+1 555 0100", email="", gift_message="Many happy returns", city="Salem", region="OR",
        postcode="97301", country="US",
    )  # fmt: skip
    for fact in facts:
        yield replace(some, order=fact.remote_id, email=f"{fact.remote_id}@relay.example")


def _plainly(book: Book, rows: list[tuple[Any, ...]]) -> None:
    with book.engine.begin() as sql:
        sql.exec_driver_sql(_MADE)
        sql.exec_driver_sql(_FILLED, rows)


# ---- opening ---------------------------------------------------------------------------------------------


def _openers(book: Book, count: int) -> dict[str, Candidate]:
    wanted = [dict(zip(PERSONAL_FIELDS, row, strict=True)) for row in _plain(book, count)]
    assert len(wanted) == count

    def measured(read: Any) -> float:
        found: list[Any] = []
        seconds = timed(lambda: found.extend(read(book, count)))
        assert found == wanted, "what was opened is not what was sealed"
        return seconds

    return {
        "a plain table": lambda: measured(lambda *given: [dict(zip(PERSONAL_FIELDS, row, strict=True))
                                                          for row in _plain(*given)]),
        "zenv, all at once": lambda: measured(_opened),
        "zenv, one by one": lambda: measured(_one_by_one),
    }  # fmt: skip


def _plain(book: Book, count: int) -> list[Any]:
    with book.reading() as sql:
        return list(sql.exec_driver_sql(_READ, (count,)))


def _opened(book: Book, count: int) -> list[dict[str, str]]:
    with book.reading() as sql:
        rows = list(sql.exec_driver_sql(_SEALED, (count,)))
    return book.keys.open_many([(key, bytes(box)) for key, box in rows])


def _one_by_one(book: Book, count: int) -> list[dict[str, str]]:
    with book.reading() as sql:
        return [recipients.recipient(sql, book.keys, order) for order in range(1, count + 1)]


# ---- forgetting ------------------------------------------------------------------------------------------


def _redacted(base: Path, count: int) -> float:
    with ledgers.fresh_copy(base) as home, open_book(home, "bench", lambda: LATER) as book:
        seconds = timed(lambda: redaction.redact_due(book))
        opened = _opened(book, 1)
        with book.reading() as sql:
            left = sql.exec_driver_sql("SELECT COUNT(*) FROM personal WHERE sealed <> X''").scalar_one()
    assert left == 0 and set(opened[0].values()) == {REDACTED}, f"{left} of {count} were left"
    return seconds


def _overwritten(base: Path, count: int) -> float:
    with ledgers.fresh_copy(base) as home:
        connection = sqlite.module.connect(home / LEDGER, isolation_level=None)
        sqlite.prepare(connection, busy_seconds=10)
        seconds = timed(lambda: _overwrite(connection, LATER - timedelta(days=28)))
        (done,) = connection.execute(f"SELECT COUNT(*) FROM plain_person WHERE name = '{REDACTED}'").fetchone()
        connection.close()
    assert done == count, f"{done} of {count} were overwritten"
    return seconds


def _overwrite(connection: Any, limit: datetime) -> None:
    gone = (REDACTED,) * len(PERSONAL_FIELDS)
    while due := connection.execute(_DUE, (f"{limit:%Y-%m-%d %H:%M:%S.%f}",)).fetchall():
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_EMPTIED, [(*gone, order) for (order,) in due])
        connection.execute("COMMIT")
