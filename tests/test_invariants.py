"""The auditor finds each broken promise, so that its silence after every other test means something.

The damage is done past SQLite's own rules, as only a fault or another tool could. `tests/test_mending.py` mends it.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests import books
from tests.books import PERSON, line, order, package, record
from zenv.facts import OrderFact
from zenv.ledger import audit, connections, invariants, order_changes, orders, recipients, runs, sqlite, stock
from zenv.ledger.book import Book
from zenv.ledger.invariants import append_only


def make_busy(book: Book) -> Book:
    """Stock in two warehouses, an order that is picked, one that is part shipped, one that waits, one that is being
    cancelled, one shipped and confirmed; a recipient, a cursor, a bucket, a run."""
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 10)
    amazon = books.connect(book)
    books.list_(book, amazon, "LAMP")
    record(book, amazon, order("A-1", line("LAMP", 4)), order("A-2", line("LAMP", 3)), order("A-3", line("LAMP", 99)),
           order("A-4", line("BULB", 1)), order("A-5", line("LAMP", 1)))  # fmt: skip
    with book.transaction() as t:
        orders.pick(t, "A-1")
        order_changes.cancel(t, "A-4", "no_stock")
        stock.transfer(t, "LAMP", "Main", "Side", 1)
        recipients.record(t, amazon, [replace(PERSON, order="A-1")])
        connections.move_cursor(t, amazon, "orders", '{"since": "2026-03-02T08:00:00Z"}')
    books.ship(book, "A-2", {"LAMP": 1})
    books.ship(book, "A-5", tracking="T5")
    books.send(book, amazon, "shipment")
    books.ship(book, "A-2", {"LAMP": 1}, tracking="T6")
    sqlite_buckets(book)
    return book


def sqlite_buckets(book: Book) -> None:
    from zenv.ledger.buckets import LedgerBuckets

    LedgerBuckets(book.engine, book.clock).take("orders", 1.0, 10)


@pytest.fixture
def busy(book: Book) -> Book:
    return make_busy(book)


@dataclass(frozen=True)
class Damage:
    """Statements past all rules, or something done to the files, and the check that has to see it."""

    check: str
    sql: str = ""


NO_TRIGGERS = "DROP TRIGGER movement_is_never_changed; DROP TRIGGER movement_is_never_deleted;"
NO_UNIQUE = """
PRAGMA writable_schema=ON;
DELETE FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_customer_order_%';
UPDATE sqlite_master SET sql = replace(replace(sql, 'UNIQUE (number),', ''),
 'CONSTRAINT one_order_per_remote_id UNIQUE (connection_id, remote_id),', '') WHERE name = 'customer_order';
PRAGMA writable_schema=RESET;
"""
COPY = ("number, connection_id, remote_id, state, channel_status, hold, cancelling, cancel_reason, buyer_wants_cancel,"
        " fulfilled_by, marketplace, service_level, placed_at, updated_at, recorded_at, currency, city, region,"
        " postcode, country, replaces, digest, entered_by")  # fmt: skip

DAMAGE = {
    "I2 an order twice": Damage("twice", NO_UNIQUE + f"INSERT INTO customer_order ({COPY}) SELECT {COPY}"
                                " FROM customer_order WHERE number = 'A-3'"),
    "I3 a message about nothing": Damage("messages", "INSERT INTO message SELECT 99, connection_id, 'shipment', 999,"
                                         " 1, 'pending', 0, 0, NULL, NULL, '', '', queued_at FROM message LIMIT 1"),
    "I4 a package nobody will be told of": Damage("messages", "DELETE FROM message WHERE kind = 'shipment'"),
    "I4 a package that calls itself shipped elsewhere": Damage("messages", "UPDATE shipment SET elsewhere = 1"
                                                               " WHERE confirmed_at IS NULL"),
    "I4 a cancellation nobody will be told of": Damage("messages", "DELETE FROM message WHERE kind = 'cancellation'"),
    "I5 a level that is not the sum of its movements": Damage("levels", "UPDATE level SET on_hand = on_hand + 1"),
    "I5 a movement that vanished": Damage("levels", NO_TRIGGERS + "DELETE FROM movement WHERE reason = 'received'"),
    "I5 the newest movement that vanished": Damage("levels", NO_TRIGGERS + "DELETE FROM movement WHERE id ="
                                                   " (SELECT MAX(id) FROM movement)"),
    "I5 a level that vanished": Damage("levels", "DELETE FROM level"),
    "I5 a movement that was changed with its level": Damage(
        "chain", NO_TRIGGERS + "UPDATE movement SET quantity = 11 WHERE reason = 'received';"
        " UPDATE level SET on_hand = on_hand + 1 WHERE warehouse_id = 1"),
    "I5 a note that was changed": Damage("chain", NO_TRIGGERS + "UPDATE movement SET note = 'nothing' WHERE id = 2"),
    "I5 a transfer that says more than its movements": Damage("transfers", "UPDATE transfer SET quantity = 2"),
    "I6 more reserved than there is": Damage("reservations", "UPDATE reservation SET quantity = 50 WHERE picked = 0"),
    "I6 more reserved than is open": Damage("reservations", "UPDATE reservation SET quantity = quantity + 1"),
    "I6 picked units that nobody picked": Damage("reservations", "UPDATE reservation SET picked = 0"),
    "I6 a line that waits for what lies free": Damage("reservations", "UPDATE order_line SET quantity = 4"
                                                      " WHERE order_id = 1; UPDATE reservation SET quantity = 2"
                                                      " WHERE line_id = 1; UPDATE reservation SET picked = 2"
                                                      " WHERE line_id = 1; UPDATE level SET picked = 2, on_hand ="
                                                      " on_hand + 2 WHERE picked > 0"),
    "I6 reserved units of another item": Damage("reservations", "UPDATE reservation SET item_id = 2 WHERE picked = 0"),
    "reservations of a cancelled order": Damage("orders", "UPDATE customer_order SET state = 'cancelled'"),
    "an open order that calls itself shipped": Damage("orders", "UPDATE customer_order SET state = 'shipped'"),
    "an open order that calls itself completed": Damage("orders", "UPDATE customer_order SET state = 'completed'"),
    "a shipped order that calls itself open": Damage("orders", "UPDATE customer_order SET state = 'ready'"),
    "a package fuller than what was shipped": Damage("shipments", "UPDATE shipment_line SET quantity = 3"),
    "a package emptier than what was shipped": Damage("shipments", "DELETE FROM shipment_line WHERE shipment_id = 1"),
    "a line that forgot what left": Damage("shipments", "UPDATE order_line SET shipped = 0"),
    "a package with another order's line": Damage("shipments", "UPDATE shipment_line SET line_id = 1"
                                                  " WHERE shipment_id = 2"),
    "I7 a person who was to be forgotten": Damage("persons", "UPDATE customer_order SET shipped_at ="
                                                  " '2026-01-02 08:00:00.000000' WHERE number = 'A-1'"),
    "I8 a cursor that is garbage": Damage("cursors", "UPDATE cursor SET position = '{\"since'"),
    "I8 a cursor in the future": Damage("cursors", "UPDATE cursor SET position = '{\"since\": \"2126-03-02T08:00Z\"}'"),
    "I9 a dead run": Damage("runs", "INSERT INTO run VALUES (50, 1, 'orders', '', NULL, '2026-03-01 08:00:00.000000',"
                            " NULL, '2026-03-01 08:15:00.000000', 'running', 0, 0, 0, 0, 0, 0, '')"),
    "I9 two runs of one task": Damage("runs", "INSERT INTO run SELECT value, 1, 'orders', '', NULL,"
                                      " '2026-03-01 08:00:00.000000', NULL, '2126-03-01 08:15:00.000000', 'running',"
                                      " 0, 0, 0, 0, 0, 0, '' FROM json_each('[50, 51]')"),
    "I10 a row without its parent": Damage("file", "DELETE FROM customer_order WHERE number = 'A-3'"),
    "I10 a row its table does not allow": Damage("file", "UPDATE order_line SET shipped = -1 WHERE id = 3"),
    "I10 a view that says something else": Damage(
        "views", "DROP VIEW levels; CREATE VIEW levels AS SELECT 'LAMP' AS sku, 'Lamp' AS name, 'Main' AS warehouse,"
        " 7 AS on_hand, 0 AS picked, 0 AS in_transit"),
    "I10 a rule that lets more through": Damage(
        "file", "PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql = replace(sql, 'quantity > 0', 'quantity > 8')"
        " WHERE name = 'transfer'; PRAGMA writable_schema=RESET"),
    "I11 a bucket without end": Damage("buckets", "UPDATE rate_bucket SET tokens = 1e9"),
    "I11 a bucket closed for years": Damage("buckets", "UPDATE rate_bucket SET closed_until = 9e9"),
    "I11 a bucket that never fills": Damage("buckets", "UPDATE rate_bucket SET rate = 0"),
    "I12 movements that can be deleted": Damage("triggers", "DROP TRIGGER movement_is_never_deleted"),
    "I12 a trigger that lets all through": Damage(
        "triggers", "DROP TRIGGER movement_is_never_changed; CREATE TRIGGER movement_is_never_changed BEFORE UPDATE"
        " ON movement WHEN 0 BEGIN SELECT RAISE(ABORT, 'movements are append-only'); END"),
    "I13 a credential in plain text": Damage("seals", "UPDATE secret SET sealed = CAST('made-up' AS BLOB)"
                                             " WHERE field = 'client_secret'"),
    "I13 a recipient in plain text": Damage("seals", "UPDATE personal SET sealed = CAST('{\"name\": \"Marker Nameson,"
                                            " living somewhere\"}' AS BLOB)"),
    "I13 a provider's key in plain text": Damage("seals", "INSERT INTO standing VALUES (1, 'enterprise', 'granted', '',"
                                                 " '', 'own', 0, '', CAST('made-up' AS BLOB))"),
}  # fmt: skip


def harm(home: Path, statements: str) -> None:
    raw = sqlite.module.connect(home / "ledger.db")
    raw.executescript("PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON;" + statements)
    raw.commit()
    raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    raw.close()


@pytest.fixture(scope="module")
def busy_home(blank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a busy ledger, only ever copied."""
    home = books.home_like(blank_home, tmp_path_factory.mktemp("busy") / "home")
    with books.opened(home, books.Clock()) as book:
        with book.transaction() as t:
            stock.add_warehouse(t, "Main", rank=10)
            stock.add_warehouse(t, "Side", rank=20)
        make_busy(book)
    return home


@pytest.mark.parametrize("name", DAMAGE)
def test_the_auditor_finds(busy_home: Path, tmp_path: Path, name: str) -> None:
    home = books.home_like(busy_home, tmp_path / "home")
    with books.opened(home, books.Clock()) as book:
        assert books.findings(book) == []
    harm(home, DAMAGE[name].sql)
    with books.opened(home, books.Clock()) as book:
        found = invariants.check_all(book)
    assert DAMAGE[name].check in {finding.check for finding in found}
    assert all(finding.text and finding.command for finding in found)


def test_I7_a_person_who_is_kept_too_long_is_found(busy: Book, clock: books.Clock) -> None:
    books.ship(busy, "A-1", tracking="T7")
    clock.later(days=30)
    assert "persons" not in {found.check for found in invariants.check_all(busy)}
    clock.later(seconds=1)
    (found,) = (found for found in invariants.check_all(busy) if found.check == "persons")
    assert (found.subject, found.command) == ("A-1", "zenv sync now housekeeping redaction")
    clock.now = books.MORNING


@pytest.mark.parametrize("name", ["ledger.db", "keys.db", "backups", "backups/old.db", ""])
def test_I13_a_file_that_others_can_open_is_found(busy: Book, name: str) -> None:
    path = busy.home / name
    (busy.home / "backups").mkdir(mode=0o700)
    (busy.home / "backups" / "old.db").touch(0o600)
    assert books.findings(busy) == []
    before = path.stat().st_mode
    path.chmod(before | 0o040)
    assert [found.check for found in invariants.check_all(busy)] == ["files"]
    path.chmod(before)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_I13_a_file_of_somebody_else_is_found(busy: Book) -> None:
    os.chown(busy.home / "ledger.db", 12345, -1)
    (found,) = invariants.check_all(busy)
    assert found.command.startswith("sudo chown 0 ")
    os.chown(busy.home / "ledger.db", 0, -1)


def test_I9_a_run_that_is_alive_is_no_finding_until_its_lease_ends(busy: Book, clock: books.Clock) -> None:
    with busy.transaction() as t:
        number = runs.begin(t, books.AMAZON, "orders")
    clock.later(minutes=14)
    assert books.findings(busy) == []
    clock.later(minutes=2)
    assert [found.check for found in invariants.check_all(busy)] == ["runs"]
    with busy.transaction() as t:
        runs.end(t, number, "ok", runs.Tally())


def test_I12_the_table_of_append_only_tables_is_what_a_new_ledger_has(book: Book) -> None:
    with book.reading() as sql:
        assert append_only.missing_triggers(sql) == []
    books.do(book, audit.record, "tried")
    for table in append_only.APPEND_ONLY:
        books.add_items(book, f"FOR-{table}")
        books.receive(book, f"FOR-{table}", 1)
        for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
            with pytest.raises(Exception, match="append-only"), book.transaction() as t:
                t.sql.exec_driver_sql(statement)


def test_an_order_whose_first_line_left_and_whose_second_waits_is_part_shipped_and_sound(book: Book) -> None:
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 2)
    for wanted in ((("LAMP", 1), ("BULB", 1)), (("BULB", 1), ("LAMP", 1))):
        books.ship(book, books.make_order(book, *wanted), {"LAMP": 1})
    assert {state for (state,) in books.ask(book, "SELECT state FROM orders")} == {"part_shipped"}
    assert books.findings(book) == []


def test_every_check_of_the_list_is_a_function_with_a_sentence() -> None:
    assert all(check.__doc__ for check in invariants.CHECKS)


def test_checking_changes_nothing(busy: Book) -> None:
    watching = sqlite.read_only(busy.home / "ledger.db")
    before = watching.execute("PRAGMA data_version").fetchall()
    invariants.check_all(busy)
    assert watching.execute("PRAGMA data_version").fetchall() == before
    watching.close()


def test_a_sound_but_empty_ledger_has_no_findings(book: Book) -> None:
    with book.reading() as sql:
        assert invariants.check(sql, book.clock()) == []


def test_a_page_that_cannot_be_read_is_a_finding_and_no_crash(busy_home: Path, tmp_path: Path) -> None:
    home = books.home_like(busy_home, tmp_path / "home")
    with open(home / "ledger.db", "r+b") as file:
        root = sqlite_root(home, "order_line")
        file.seek((root - 1) * 4096)
        file.write(b"\xff" * 100)
    with books.opened(home, books.Clock()) as book:
        found = invariants.check_all(book)
    assert {"file"} == {finding.check for finding in found} and {finding.command for finding in found} == {
        "zenv restore"
    }
    shutil.rmtree(home)


def sqlite_root(home: Path, table: str) -> int:
    raw = sqlite.read_only(home / "ledger.db")
    root = int(raw.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()[0])
    raw.close()
    return root


# ---- against the remote ----------------------------------------------------------------------------------


def compared(book: Book, *facts: OrderFact) -> list[tuple[str, str]]:
    with book.reading() as sql:
        return [(one.check, one.subject) for one in invariants.compare_orders(sql, books.AMAZON, facts)]


EARLIER = books.MORNING - timedelta(hours=1)
SHIPPED = {"state": "shipped", "channel_status": "SHIPPED"}


@pytest.fixture
def read(book: Book) -> Book:
    """A-1 open, A-2 shipped and confirmed, A-3 shipped and still to be told; everything read until this morning."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 9)
    amazon = books.connect(book)
    books.list_(book, amazon, "LAMP")
    record(book, amazon, *(order(number, line("LAMP", 1), at=EARLIER) for number in ("A-1", "A-2", "A-3")))
    books.ship(book, "A-2", tracking="T2")
    books.send(book, amazon, "shipment")
    books.ship(book, "A-3", tracking="T3")
    with book.transaction() as t:
        connections.move_cursor(t, amazon, "orders", '{"since": "2026-03-02T08:00:00Z"}')
    return book


def test_I1_books_that_agree_with_the_remote_have_no_findings(read: Book) -> None:
    a2 = order("A-2", line("LAMP", 1), at=EARLIER, packages=(package("1", "T2"),), **SHIPPED)
    facts = (order("A-1", line("LAMP", 1), at=EARLIER), a2, order("A-3", line("LAMP", 1), at=EARLIER))
    assert compared(read, *facts) == []


def test_I1_an_order_that_is_lost_is_found_with_the_days_to_read_again(read: Book) -> None:
    lost = order("A-9", line("LAMP", 1), at=EARLIER)
    with read.reading() as sql:
        (found,) = invariants.compare_orders(sql, books.AMAZON, [lost])
    assert (found.check, found.subject) == ("lost", "A-9")
    assert found.command == "zenv sync now amazon orders --since 2026-03-01 --until 2026-03-03"


def test_I1_what_the_next_run_will_read_is_not_lost(read: Book) -> None:
    assert compared(read, order("A-9", line("LAMP", 1), at=books.MORNING - timedelta(minutes=4))) == []


def test_I1_what_had_ended_before_the_books_began_was_never_wanted(read: Book) -> None:
    assert compared(read, order("A-0", line("LAMP", 1), at=EARLIER, **SHIPPED)) == []


def test_I1_before_the_first_import_has_ended_nothing_is_lost(read: Book) -> None:
    with read.transaction() as t:
        connections.move_cursor(t, books.AMAZON, "orders", '{"after": "2026-02-02T08:00:00Z", "token": "x"}')
    assert compared(read, order("A-9", line("LAMP", 1), at=EARLIER)) == []


@pytest.mark.parametrize(("number", "state"), [("A-1", "shipped"), ("A-1", "cancelled"), ("A-2", "ready")])
def test_I1_a_state_that_differs_is_found(read: Book, number: str, state: str) -> None:
    shown = order(number, line("LAMP", 1), at=EARLIER, state=state, packages=(package("1", "T2"),))
    assert compared(read, shown) == [("differs", number)]


def test_I4_a_package_that_is_confirmed_here_and_not_shown_there_is_found_and_told_again(read: Book) -> None:
    from zenv.ledger import mending

    shown = order("A-2", line("LAMP", 1), at=EARLIER)
    with read.reading() as sql:
        found = invariants.compare_orders(sql, books.AMAZON, [shown])
    assert [(one.check, one.command) for one in found if one.check == "untold"] == [
        ("untold", "zenv doctor mend packages A-2/1")
    ]
    mending.mend(read, "packages", "A-2/1")
    assert ("shipment", "A-2/1", "unknown") in books.owed(read)
    assert compared(read, shown) == []
