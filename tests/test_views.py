"""The read contract: the views and their columns stay what they are, and reading never writes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests import books
from tests.books import PERSON, line, order, record
from tests.zfn import companies, linked
from zenv.errors import BadInput, NotFound, WrongLedger
from zenv.facts import BadRecord
from zenv.ledger import attendance, inbounds, orders, papers, recipients, runs, schedule, sqlite, views
from zenv.ledger.book import Book

GOLDEN = Path(__file__).with_name("view_columns.txt")


@pytest.fixture
def full(book: Book) -> Book:
    """A book with something in every view."""
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 10)
    amazon = books.connect(book)
    books.list_(book, amazon, "LAMP")
    books.list_(book, amazon, "UNKNOWN")
    record(book, amazon, order("A-1", line("LAMP", 2), line("BULB", 1, 2), payment="Paid"))
    books.ship(book, "A-1", {"LAMP": 1})
    with book.transaction() as t:
        books.stock.transfer(t, "LAMP", "Main", "Side", 1)
        inbounds.request(t, "Main", "Side", {"LAMP": 1})
        schedule.plan(t, [schedule.Bound(amazon, "orders", timedelta(minutes=15))], "UTC")
        attendance.sign(t, "daemon", new=True)
        run = runs.begin(t, amazon, "orders")
        runs.set_aside(t, run, [BadRecord("order", "A-9", "no date")])
        runs.end(t, run, "partial", runs.Tally(failed=1))
        recipients.record(t, amazon, [replace(PERSON, order="A-1")])
    papers.keep(book, 1, None, "carrier_label", b"%PDF-1.7")
    linked.link(book, "LAMP")
    books.make_order(book, ("LAMP", 1), number="1001", recipient=PERSON, ship_from=linked.DEPOT)
    companies.make_provider(book)
    companies.link(book)
    return book


def all_views(book: Book) -> dict[str, tuple[str, ...]]:
    names = [row[0] for row in books.ask(book, "SELECT name FROM sqlite_master WHERE type = 'view' ORDER BY name")]
    return {name: views.rows(book.home, f'SELECT * FROM "{name}"').columns for name in names}


def test_every_view_can_be_read_and_has_the_columns_it_always_had(full: Book) -> None:
    """After a deliberate change of the contract: ZENV_WRITE_GOLDEN=1 pytest tests/test_views.py, and say so in
    the changelog."""
    now = "".join(f"{view}: {' '.join(columns)}\n" for view, columns in all_views(full).items())
    if os.environ.get("ZENV_WRITE_GOLDEN"):
        GOLDEN.write_text(now)
    assert now == GOLDEN.read_text()


def test_the_views_made_are_the_views_written_down(full: Book) -> None:
    text = Path(views.__file__).with_name("views.sql").read_text()
    assert sorted(all_views(full)) == sorted(word.split()[0] for word in text.split("CREATE VIEW ")[1:])


def test_every_view_has_a_row_to_show(full: Book) -> None:
    empty = [name for name in all_views(full) if not views.rows(full.home, f'SELECT * FROM "{name}"').rows]
    assert empty == []


def test_each_question_of_a_list_command_is_answered(full: Book) -> None:
    home = full.home
    for found in (
        views.items(home, "LA"), views.listings(home, item="LAMP"), views.levels(home, "LAMP", "Main"),
        views.levels_as_of(home, "2026-12-31", "LAMP"), views.movements(home, "LAMP"), views.transfers(home),
        views.warehouses(home), views.orders(home, state="part_shipped", connection="amazon", search="A-"),
        views.order_lines(home, "A-1"), views.order_comments(home, "A-1"), views.shipments(home, "A-1"),
        views.connections(home), views.runs(home, "amazon"), views.run_failures(home, 1),
        views.messages(home, "amazon"), views.inbox(home), views.inbounds(home), views.inbound_lines(home, "TO-1"),
    ):  # fmt: skip
        assert found.rows and len(found.rows[0]) == len(found.columns)
    assert views.item(home, "LAMP")["on_hand"] == 8
    assert views.order(home, "A-1")["open"] == 2
    assert views.connection(home, "amazon")["status"] == "active"
    assert views.inbox_count(home) == len(views.inbox(home).rows)
    assert views.counts(home)["orders_part_shipped"] == 1


@pytest.mark.parametrize("ask", [views.item, views.order, views.connection])
def test_what_does_not_exist_is_named(full: Book, ask: object) -> None:
    with pytest.raises(NotFound, match="'no %'"):
        ask(full.home, "no %")  # type: ignore[operator]


def test_searching_takes_percent_and_underscore_as_they_are_written(full: Book) -> None:
    books.add_items(full, "100%", "A_B", "AXB")
    assert [row[0] for row in views.items(full.home, "%").rows] == ["100%"]
    assert [row[0] for row in views.items(full.home, "A_B").rows] == ["A_B"]


# ---- zenv sql --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "SELECT sku, on_hand FROM levels WHERE sku = 'LAMP' AND warehouse = 'Main'",
        "  select sku, on_hand from levels where sku='LAMP' and warehouse='Main';",
        "WITH l AS (SELECT * FROM levels) SELECT sku, on_hand FROM l WHERE sku = 'LAMP' AND warehouse = 'Main'",
        "-- what is where\nSELECT sku, on_hand FROM levels WHERE sku = 'LAMP' AND warehouse = 'Main'",
        "/* what */ SELECT sku, on_hand FROM levels WHERE sku = 'LAMP' AND warehouse = 'Main'",
    ],
)
def test_a_users_own_query_is_answered(full: Book, query: str) -> None:
    assert views.sql(full.home, query) == views.Table(("sku", "on_hand"), [("LAMP", 8)])


WRITES = [
    "UPDATE item SET name = 'x'",
    "DELETE FROM item",
    "INSERT INTO item (sku) VALUES ('x')",
    "DROP TABLE item",
    "CREATE TABLE mine (a)",
    "CREATE TEMP TABLE mine (a)",
    "PRAGMA query_only=OFF",
    "PRAGMA user_version=9",
    "ATTACH ':memory:' AS other",
    "VACUUM INTO '/tmp/zenv-copy.db'",
    "VACUUM",
    "BEGIN IMMEDIATE",
    "WITH x AS (SELECT 1) DELETE FROM item",
    "WITH x AS (SELECT 1) INSERT INTO item (sku) SELECT 'x'",
    "SELECT 1; DELETE FROM item",
    "EXPLAIN SELECT 1; DROP TABLE item",
    "SELECT * FROM nowhere",
    "SELECT",
    "",
    " \n",
    "-- only a remark",
    "SELECT load_extension('x')",
    "SELECT writefile('/tmp/zenv-x', 'x')",
]


@pytest.mark.parametrize("query", WRITES)
def test_a_query_that_is_more_than_a_question_is_refused_and_changes_nothing(full: Book, query: str) -> None:
    full.close()
    before = content(full.home)
    with pytest.raises(BadInput):
        views.sql(full.home, query)
    assert content(full.home) == before
    assert not Path("/tmp/zenv-copy.db").exists()


def content(home: Path) -> dict[str, str]:
    """Every file of a home that a write would change; the WAL's index is only a reader's note."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(home.rglob("*"))
        if file.is_file() and not file.name.endswith("-shm") and file.stat().st_size
    }


def test_no_secret_and_no_sealed_person_can_be_read_as_text(full: Book) -> None:
    for table in ("secret", "personal"):
        for row in views.sql(full.home, f"SELECT * FROM {table}").rows:
            assert "made-up" not in repr(row)


# ---- which file ------------------------------------------------------------------------------------------


def test_looking_something_up_without_a_ledger_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        views.items(tmp_path)
    assert missing.value.hint == "zenv init"
    assert list(tmp_path.iterdir()) == []


def test_another_programs_file_is_not_read(tmp_path: Path) -> None:
    other = sqlite.module.connect(tmp_path / "ledger.db")
    other.execute("CREATE TABLE items (sku)")
    other.close()
    with pytest.raises(WrongLedger):
        views.items(tmp_path)
    (tmp_path / "ledger.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(WrongLedger):
        views.items(tmp_path)


def test_a_home_with_odd_letters_is_found(blank_home: Path, tmp_path: Path) -> None:
    home = books.home_like(blank_home, tmp_path / "100% größe ?#&=")
    with books.opened(home, books.Clock()) as book:
        books.add_items(book, "LAMP")
    assert [row[0] for row in views.items(home).rows] == ["LAMP"]
    assert sorted(file.name for file in tmp_path.iterdir()) == ["100% größe ?#&="]


def test_looking_up_loads_no_orm_no_network_and_no_key_store() -> None:
    heavy = ["sqlmodel", "sqlalchemy", "httpx", "keyring", "apscheduler", "cryptography", "pydantic", "alembic"]
    code = f"import json, sys, zenv.ledger.views; print(json.dumps([m for m in {heavy} if m in sys.modules]))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert json.loads(said) == []


def test_a_reader_is_not_held_up_by_a_writer_nor_the_writer_by_readers(full: Book) -> None:
    with full.transaction() as t:
        orders.comment(t, "A-1", "while somebody reads")
        assert views.items(full.home).rows
    assert views.order_comments(full.home, "A-1").rows[-1][1] == "while somebody reads"
