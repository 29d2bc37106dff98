"""Making and opening a ledger: ours alone, never over something else, and every trouble a clear sentence."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from tests import books
from tests.books import line, order
from tests.kills import killed_at
from zenv import credentials
from zenv.errors import BadInput, Busy, DiskTrouble, KeyUnavailable, NotFound, Refused, SettingsError, WrongLedger
from zenv.ledger import book as ledger
from zenv.ledger import connections, migrations, order_facts, orders, sqlite, stock, views
from zenv.ledger.book import Book, NewCompany
from zenv.ledger.home import APPLICATION_ID, LEDGER


def store_at(path: Path) -> credentials.KeyStore:
    store = credentials.KeyStore("file", str(path), "tests")
    credentials.create_master_key(store)
    return store


def mark(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def raw(home: Path, *statements: str) -> list[tuple[object, ...]]:
    """Statements on the file behind zenv's back; the rows of the last."""
    connection = sqlite.module.connect(home / LEDGER, isolation_level=None)
    try:
        found = [connection.execute(statement).fetchall() for statement in statements]
    finally:
        connection.close()
    return list(found[-1])


# ---- making ----------------------------------------------------------------------------------------------


def test_a_new_home_and_its_files_are_open_to_their_owner_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        home = books.make_home(tmp_path, books.Clock())
        with books.opened(home, books.Clock()) as book:
            with book.transaction() as t:
                stock.add_warehouse(t, "Main")
            modes = {file.name: file.stat().st_mode & 0o777 for file in home.iterdir()}
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o700
    assert LEDGER in modes and set(modes.values()) == {0o600}


def test_a_new_ledger_says_that_it_is_zenvs_and_in_which_version(home: Path) -> None:
    assert raw(home, "PRAGMA application_id") == [(APPLICATION_ID,)]
    assert raw(home, "PRAGMA user_version") == [(migrations.NEWEST,)]
    assert [file.name for file in home.iterdir()] == [LEDGER]


def test_the_company_is_kept_as_it_was_given(book: Book) -> None:
    company = book.company
    assert (company.name, company.country, company.time_zone, company.currency) == (
        "Lamp Shop", "DE", "Europe/Berlin", "EUR",
    )  # fmt: skip
    assert company.created_at == books.MORNING


def test_everything_wrong_with_a_company_is_named_at_once() -> None:
    with pytest.raises(BadInput) as wrong:
        NewCompany(" ", "de", "Europe/Atlantis", "Euro")
    for part in ("name", "'de'", "'Europe/Atlantis'", "'Euro'"):
        assert part in wrong.value.message


@pytest.mark.parametrize("zone", ["", "/etc/passwd", "../Berlin", "Europe"])
def test_a_time_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(BadInput, match="time zone"):
        NewCompany("Shop", "DE", zone, "EUR")


def test_an_existing_ledger_is_never_made_anew(home: Path, tmp_path: Path) -> None:
    before = mark(home / LEDGER)
    with pytest.raises(Refused, match="already"):
        ledger.create(home, books.COMPANY, store_at(tmp_path / "other.key"))
    assert mark(home / LEDGER) == before


def test_without_a_readable_key_nothing_is_made(tmp_path: Path) -> None:
    missing = credentials.KeyStore("file", str(tmp_path / "missing.key"), "tests")
    with pytest.raises(KeyUnavailable):
        ledger.create(tmp_path / "home", books.COMPANY, missing)
    assert list((tmp_path / "home").iterdir()) == []


def test_a_ledger_that_was_being_made_when_the_power_went_can_be_made_again(tmp_path: Path) -> None:
    store = store_at(tmp_path / "zenv.key")
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / f".{LEDGER}.0123").write_bytes(b"half a file")
    ledger.create(home, books.COMPANY, store)
    with books.opened(home, books.Clock()) as book:
        assert books.findings(book) == []


# ---- opening ---------------------------------------------------------------------------------------------


def test_where_there_is_no_ledger_the_hint_is_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as missing:
        ledger.open_book(tmp_path / "nowhere")
    assert missing.value.hint == "zenv init"
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("content", [b"", b"not a database at all, " * 99])
def test_a_file_that_is_no_ledger_is_left_as_it_was(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / LEDGER
    file.write_bytes(content)
    with pytest.raises(WrongLedger):
        ledger.open_book(tmp_path)
    assert file.read_bytes() == content


def test_the_database_of_another_program_is_left_as_it_was(tmp_path: Path) -> None:
    raw(tmp_path, "CREATE TABLE company (id)", "PRAGMA application_id=77", "PRAGMA user_version=1")
    before = mark(tmp_path / LEDGER)
    with pytest.raises(WrongLedger, match="not a zenv ledger"):
        ledger.open_book(tmp_path)
    assert mark(tmp_path / LEDGER) == before
    assert [file.name for file in tmp_path.iterdir()] == [LEDGER]


def test_a_ledger_of_a_newer_zenv_is_left_as_it_was(home: Path) -> None:
    raw(home, "PRAGMA user_version=99")
    before = mark(home / LEDGER)
    with pytest.raises(WrongLedger, match="newer zenv") as newer:
        ledger.open_book(home)
    assert "upgrade" in newer.value.hint
    assert mark(home / LEDGER) == before


def test_a_damaged_file_is_recognised_and_nothing_is_written_to_it(home: Path) -> None:
    content = bytearray((home / LEDGER).read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    (home / LEDGER).write_bytes(content)
    with pytest.raises(WrongLedger, match="damaged"), books.opened(home, books.Clock()) as book:
        books.add_items(book, "LAMP")
    with pytest.raises(WrongLedger, match="damaged"):
        views.orders(home)


def test_a_home_that_others_can_write_into_is_refused(home: Path) -> None:
    home.chmod(0o770)
    with pytest.raises(SettingsError, match="other users"):
        ledger.open_book(home)


# ---- keys ------------------------------------------------------------------------------------------------


@pytest.fixture
def with_secrets(tmp_path: Path) -> Path:
    """A home with a connection whose secrets are sealed."""
    home = books.make_home(tmp_path, books.Clock())
    with books.opened(home, books.Clock()) as book:
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")
        books.connect(book)
    return home


@pytest.mark.parametrize("trouble", ["gone", "of another ledger", "readable by others", "cut short"])
def test_with_a_wrong_key_secrets_stay_closed_and_the_rest_can_be_read(with_secrets: Path, trouble: str) -> None:
    key = with_secrets.parent / "zenv.key"
    text = key.read_text()
    key.unlink()
    match trouble:
        case "of another ledger":
            store_at(key)
        case "readable by others":
            key.write_text(text)
            key.chmod(0o644)
        case "cut short":
            key.write_text(text[:20])
            key.chmod(0o600)
    with books.opened(with_secrets, books.Clock()) as book:
        with book.reading() as sql, pytest.raises(KeyUnavailable) as closed:
            connections.open_secrets(sql, "amazon", book.master_key)
        assert closed.value.hint
        assert text.strip()[-20:] not in str(closed.value)
    with books.opened(with_secrets, books.Clock()) as book:
        books.add_items(book, "LAMP")
    assert views.connection(with_secrets, "amazon")["status"] == "active"


# ---- transactions ----------------------------------------------------------------------------------------


def test_a_transaction_that_fails_leaves_nothing_behind(book: Book) -> None:
    with pytest.raises(ZeroDivisionError), book.transaction() as t:
        stock.add_warehouse(t, "Third")
        raise ZeroDivisionError
    assert len(views.warehouses(book.home).rows) == 2
    with book.transaction() as t:
        stock.add_warehouse(t, "Third")
    assert len(views.warehouses(book.home).rows) == 3


@pytest.mark.skipif(
    not sqlite.wal_is_safe(sqlite.module.sqlite_version_info),
    reason="this SQLite's write-ahead log is not safe to use; without it a writer waits for readers",
)
def test_a_reader_sees_one_state_while_others_write(book: Book) -> None:
    books.add_items(book, "LAMP")
    with book.reading() as sql:
        count = "SELECT COUNT(*) FROM item"
        before = sql.exec_driver_sql(count).scalar_one()
        books.add_items(book, "BULB")
        assert sql.exec_driver_sql(count).scalar_one() == before == 1
    assert len(views.items(book.home).rows) == 2


def test_what_is_written_while_reading_is_not_kept(book: Book) -> None:
    with book.reading() as sql:
        sql.exec_driver_sql("UPDATE warehouse SET name = 'x' || name")
    assert [row[0] for row in views.warehouses(book.home).rows] == ["Main", "Side"]


def test_a_lock_that_another_process_keeps_is_busy_and_nothing_was_changed(home: Path) -> None:
    other = sqlite.module.connect(home / LEDGER, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ledger.open_book(home, busy_seconds=0.05) as book:
        with pytest.raises(Busy) as busy, book.transaction() as t:
            stock.add_warehouse(t, "Main")
        assert "again" in busy.value.hint
        assert views.warehouses(home).rows == []
        other.execute("COMMIT")
        other.close()
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")


def test_an_error_of_the_database_repeats_no_value(book: Book) -> None:
    with pytest.raises(IntegrityError) as clash, book.transaction() as t:
        add = "INSERT INTO warehouse (name, kind, rank, active, created_at) VALUES (?, 'own', 1, 1, '')"
        t.sql.exec_driver_sql(add, ("Main",))
    assert "('Main'" not in str(clash.value)


def test_commits_are_durable_and_deletes_erase(book: Book) -> None:
    with book.reading() as sql:
        said = {name: sql.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in
                ("journal_mode", "synchronous", "secure_delete", "foreign_keys", "trusted_schema")}  # fmt: skip
    wal = sqlite.wal_is_safe(sqlite.module.sqlite_version_info)
    assert said == {
        "journal_mode": "wal" if wal else "truncate", "synchronous": 2 if wal else 3, "secure_delete": 1,
        "foreign_keys": 1, "trusted_schema": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("version", "safe"), [
    ((3, 40, 1), False), ((3, 44, 5), False), ((3, 44, 6), True), ((3, 45, 0), False), ((3, 50, 6), False),
    ((3, 50, 7), True), ((3, 51, 0), False), ((3, 51, 2), False), ((3, 51, 3), True), ((3, 53, 0), True),
])  # fmt: skip
def test_the_write_ahead_log_is_used_only_with_a_mended_sqlite(version: tuple[int, int, int], safe: bool) -> None:
    assert sqlite.wal_is_safe(version) is safe


def test_who_acted_stands_in_the_history(home: Path) -> None:
    with ledger.open_book(home, actor="anna") as book:
        books.add_items(book, "LAMP")
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")
        books.receive(book, "LAMP", 1)
    assert [row[0] for row in views.rows(home, "SELECT actor FROM movements").rows] == ["anna"]


# ---- kill -9 ---------------------------------------------------------------------------------------------


def test_a_kill_at_any_statement_of_a_transaction_leaves_all_of_it_or_nothing(book: Book, tmp_path: Path) -> None:
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 5)
    books.connect(book)
    book.close()
    page = [
        order("A-1", line("LAMP", 2, shipped=1), state="part_shipped"),
        order("A-2", line("NEW", 1), payment="Paid"),
    ]

    def import_page(victim: Book) -> None:
        with victim.transaction() as t:
            order_facts.record(t, 1, page)
            connections.move_cursor(t, 1, "orders", '{"page": 1}')

    survived = []
    for statement in range(1, 500):
        home = books.home_like(book.home, tmp_path / f"killed {statement}")
        died = killed_at(statement, home, import_page)
        with books.opened(home, books.Clock()) as after:
            with after.reading() as sql:
                cursor = connections.cursor(sql, 1, "orders")
            assert len(views.orders(home).rows) == (2 if cursor else 0)
            survived.append(bool(cursor))
            if not died:
                break
            import_page(after)
            assert books.counts(after, "A-1") == [("LAMP", 2, 0, 1)]
            assert books.shelf(after, "LAMP") == (4, 0, 0)
            assert books.findings(after) == []
    assert survived == sorted(survived) and survived[-1]
    assert len(survived) > 20


# ---- a full disk -----------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB of our own."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a file system that can be filled needs root")
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", place], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"mounting is not allowed here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill(place: Path) -> Path:
    """A file that takes all the room there is."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass  # full, as intended
    return filler


def make_room(filler: Path, size: int) -> None:
    """Give back so many bytes."""
    os.truncate(filler, filler.stat().st_size - size)


def test_on_a_full_disk_a_change_is_refused_whole_and_goes_through_once_there_is_room(
    small_disk: Path, tmp_path: Path
) -> None:
    home = books.make_home(small_disk, books.Clock())
    with books.opened(home, books.Clock()) as book:
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")
        books.add_items(book, "LAMP")
        books.receive(book, "LAMP", 5)
        filler = fill(small_disk)
        with pytest.raises(DiskTrouble, match="Nothing was changed") as full, book.transaction() as t:
            for number in range(500):
                orders.create_order(t, orders.NewOrder([orders.NewLine("LAMP", 1)], f"N-{number}"))
        assert "room" in full.value.hint
        assert views.orders(home).rows == []
        filler.unlink()
        assert books.make_order(book, ("LAMP", 2)) == "M-1"
        assert books.shelf(book, "LAMP") == (5, 0, 0)
        assert books.findings(book) == []


def test_on_a_full_disk_no_half_ledger_is_left_by_init(small_disk: Path, tmp_path: Path) -> None:
    store = store_at(tmp_path / "zenv.key")
    filler = fill(small_disk)
    make_room(filler, 32 * 1024)
    with pytest.raises(DiskTrouble):
        ledger.create(small_disk / "home", books.COMPANY, store)
    assert list((small_disk / "home").iterdir()) == []
    filler.unlink()
    ledger.create(small_disk / "home", books.COMPANY, store)


def test_on_a_full_disk_an_upgrade_stops_at_its_backup_and_leaves_no_half_of_it(small_disk: Path) -> None:
    home = books.make_home(small_disk, books.Clock())
    filler = fill(small_disk)
    make_room(filler, 96 * 1024)
    with books.opened_any(home) as book, pytest.raises(DiskTrouble), ledger.plain_errors():
        migrations.upgrade(book.engine, home, book.clock())
    assert list((home / "backups").iterdir()) == []
    filler.unlink()
    with books.opened(home, books.Clock()) as book:
        assert books.findings(book) == []
