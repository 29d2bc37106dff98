"""The auditor finds each broken promise, so that its silence after every other test means something.

The damage is done with triggers and foreign keys switched off, as only a fault could.
"""

from __future__ import annotations

import pytest
from sqlalchemy import Connection

from tests import books
from tests.books import line, order, record
from zenv.ledger import invariants, orders, sqlite
from zenv.ledger.book import Book


@pytest.fixture
def busy(book: Book) -> Book:
    """Stock, an order that is picked, one that is part shipped, one that waits."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 10)
    record(book, books.connect(book), order("A-1", line("LAMP", 4)), order("A-2", line("LAMP", 3)),
           order("A-3", line("LAMP", 99)))  # fmt: skip
    with book.transaction() as t:
        orders.pick(t, "A-1")
    books.ship(book, "A-2", {"LAMP": 1})
    return book


DAMAGE = {
    "a level that is not the sum of its movements": ("UPDATE level SET on_hand = on_hand + 1", "levels"),
    "a movement that vanished": ("DELETE FROM movement WHERE reason = 'received'", "levels"),
    "a level that vanished": ("DELETE FROM level", "levels"),
    "more reserved than there is": ("UPDATE level SET on_hand = 1", "reservations"),
    "more reserved than is open": ("UPDATE reservation SET quantity = quantity + 1", "reservations"),
    "picked units that nobody picked": ("UPDATE reservation SET picked = 0", "reservations"),
    "reservations of a cancelled order": ("UPDATE customer_order SET state = 'cancelled'", "orders"),
    "an open order that calls itself shipped": ("UPDATE customer_order SET state = 'shipped'", "orders"),
    "a package fuller than what was shipped": ("UPDATE shipment_line SET quantity = 3", "shipments"),
    "a row without its parent": ("DELETE FROM customer_order WHERE number = 'A-3'", "file"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_the_auditor_finds(busy: Book, damage: str) -> None:
    statement, check = DAMAGE[damage]
    assert books.findings(busy) == []
    backup = (busy.home / "ledger.db", busy.home / "ledger.good")
    busy.close()
    backup[1].write_bytes(backup[0].read_bytes())
    harm(busy, statement)
    found = invariants.check_all(busy)
    busy.close()
    backup[0].write_bytes(backup[1].read_bytes())
    assert check in {finding.check for finding in found}
    assert all(finding.text and finding.command for finding in found)


def harm(book: Book, statement: str) -> None:
    raw = sqlite.module.connect(book.home / "ledger.db")
    raw.executescript(
        "PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON;"
        " DROP TRIGGER movement_is_never_changed; DROP TRIGGER movement_is_never_deleted;"
    )
    raw.execute(statement)
    raw.commit()
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    raw.close()


def test_every_check_of_the_list_is_a_function_with_a_sentence() -> None:
    assert all(check.__doc__ for check in invariants.CHECKS)


def test_checking_changes_nothing(busy: Book) -> None:
    watching = sqlite.read_only(busy.home / "ledger.db")
    before = watching.execute("PRAGMA data_version").fetchall()
    invariants.check_all(busy)
    assert watching.execute("PRAGMA data_version").fetchall() == before
    watching.close()


def test_a_sound_but_empty_ledger_has_no_findings(book: Book) -> None:
    def quiet(sql: Connection) -> list[invariants.Finding]:
        return [finding for check in invariants.CHECKS for finding in check(sql)]

    with book.reading() as sql:
        assert quiet(sql) == []
