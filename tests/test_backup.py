"""A backup is whole, sound, private and free of persons, whatever happens while it is made."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests import books
from tests.books import PERSON
from tests.cli_driver import Zenv
from tests.kills import killed_at
from tests.test_invariants import harm, make_busy
from zenv.errors import BadInput, DiskTrouble, Refused
from zenv.facts import PERSONAL_FIELDS
from zenv.ledger import backup, invariants, recipients, restore, sqlite
from zenv.ledger.book import Book

spawn = multiprocessing.get_context("spawn")


@pytest.fixture
def busy(book: Book) -> Book:
    return make_busy(book)


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    copy = sqlite.read_only(path)
    found: list[tuple[Any, ...]] = copy.execute(query).fetchall()
    copy.close()
    return found


# ---- while others write ----------------------------------------------------------------------------------


def _writer(home: Path, committed: Any, stop: Any) -> None:
    """Orders all the time, picked and shipped, until it is told to stop."""
    with books.opened(home, books.Clock()) as book:
        while not stop.is_set():
            number = books.make_order(book, ("LAMP", 1))
            books.ship(book, number)
            books.receive(book, "LAMP", 1)
            committed.value += 1


@contextmanager
def somebody_writes(home: Path) -> Iterator[Any]:
    """How many orders another process has committed so far."""
    committed, stop = spawn.Value("i", 0), spawn.Event()
    process = spawn.Process(target=_writer, args=(home, committed, stop))
    process.start()
    try:
        while committed.value < 5:
            assert process.is_alive()
        yield committed
    finally:
        stop.set()
        process.join()


def backups_while_somebody_writes(book: Book, count: int) -> None:
    """Each holds at least what was committed before it began, and is sound."""
    with somebody_writes(book.home) as committed:
        for number in range(count):
            before = committed.value
            made = backup.make(book, book.home / f"copy {number}.db")
            assert invariants.check_copy(Path(made.path), book.clock()) == []
            assert made.orders >= before
            while committed.value < before + 3:
                pass  # it goes on writing between two backups
        assert committed.value > 3 * count


def test_H84_a_backup_is_consistent_and_complete_while_another_process_writes(book: Book) -> None:
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 10)
    backups_while_somebody_writes(book, 8)


def test_a_plain_copy_of_the_file_would_not_pass(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """The planted mutant: what lies in the write-ahead log is missing, or the copy is torn by a checkpoint."""

    def plain_copy(book: Book, unfinished: Path) -> None:
        shutil.copyfile(book.home / "ledger.db", unfinished)
        unfinished.chmod(0o600)

    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 10)
    monkeypatch.setattr(backup, "_copy", plain_copy)
    with pytest.raises((AssertionError, Refused)):
        backups_while_somebody_writes(book, 8)


# ---- kills and disks -------------------------------------------------------------------------------------


def test_a_kill_at_any_statement_leaves_no_half_backup_and_the_next_one_works(busy: Book, tmp_path: Path) -> None:
    busy.close()
    for statement in range(1, 200):
        home = books.home_like(busy.home, tmp_path / f"killed {statement}")
        died = killed_at(statement, home, backup.make)
        for copy in (home / "backups").glob("*.db"):
            assert invariants.check_copy(copy, books.MORNING) == []
        with books.opened(home, books.Clock(books.MORNING + books.HOUR)) as book:
            backup.make(book)
            assert books.findings(book) == []
        shutil.rmtree(home)
        if not died:
            return
    raise AssertionError("it died at each of 200 statements")


def test_a_disk_that_fills_up_on_the_way_leaves_nothing_behind(busy: Book) -> None:
    busy.close()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
        code = 1
        try:
            with books.opened(busy.home, books.Clock()) as book:
                backup.make(book)
        except DiskTrouble:
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert list((busy.home / "backups").iterdir()) == []


def test_without_room_it_is_not_even_begun(busy: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(busy.home)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DiskTrouble, match="1,000 are free"):
        backup.make(busy)
    assert list((busy.home / "backups").iterdir()) == []


# ---- what it is ------------------------------------------------------------------------------------------


def test_only_its_owner_can_open_it_and_nothing_else_is_left(busy: Book) -> None:
    made = backup.make(busy)
    path = Path(made.path)
    assert path.name == "ledger-20260302T080000Z.db" and list(path.parent.iterdir()) == [path]
    assert (path.parent.stat().st_mode & 0o777, path.stat().st_mode & 0o777) == (0o700, 0o600)
    assert made.bytes == path.stat().st_size
    assert rows(path, "SELECT (SELECT COUNT(*) FROM customer_order), (SELECT COUNT(*) FROM movement)") == [
        (made.orders, made.movements)
    ]
    assert (made.orders, made.movements > 5) == (5, True)


def test_broken_books_make_no_backup_and_push_no_good_one_out(busy: Book, clock: books.Clock) -> None:
    first = backup.make(busy, keep=1)
    clock.later(days=1)
    harm(busy.home, "UPDATE level SET on_hand = on_hand + 1 WHERE warehouse_id = 1")
    with pytest.raises(Refused, match="not sound"):
        backup.make(busy, keep=1)
    assert [str(path) for path in (busy.home / "backups").iterdir()] == [first.path]
    harm(busy.home, "UPDATE level SET on_hand = on_hand - 1 WHERE warehouse_id = 1")


def test_a_dead_run_says_nothing_against_a_backup(busy: Book) -> None:
    harm(busy.home, "INSERT INTO run VALUES (50, 1, 'orders', '', NULL, '2026-03-01 08:00:00.000000', NULL, NULL,"
                    " 'running', 0, 0, 0, 0, 0, 0, '')")  # fmt: skip
    assert Path(backup.make(busy).path).is_file()
    harm(busy.home, "DELETE FROM run")


@pytest.mark.parametrize("place", ["nowhere/copy.db", "ledger.db"])
def test_it_goes_nowhere_that_is_no_folder_and_over_no_file(busy: Book, place: str) -> None:
    with pytest.raises((BadInput, Refused)):
        backup.make(busy, busy.home / place)
    assert books.findings(busy) == []


# ---- how many stay ---------------------------------------------------------------------------------------


def test_the_newest_stay_and_nothing_that_zenv_did_not_name_is_removed(busy: Book, clock: books.Clock) -> None:
    folder = busy.home / "backups"
    folder.mkdir(mode=0o700)
    others = {"ledger-schema1-20250101T000000000000.db", "replaced-20250101T000000000000Z.db", "mine.db",
              "ledger-20250101T000000Z.db.copy", "notes"}  # fmt: skip
    for name in others:
        (folder / name).touch(0o600)
    for _ in range(5):
        backup.make(busy, keep=3)
        clock.later(days=1)
    assert {path.name for path in folder.iterdir()} - others == {f"ledger-2026030{day}T080000Z.db" for day in (4, 5, 6)}
    clock.now = books.MORNING


def test_the_copy_just_made_stays_though_the_clock_was_set_back(busy: Book, clock: books.Clock) -> None:
    for days in (10, 11, 0):
        clock.now = books.MORNING + days * 24 * books.HOUR
        made = backup.make(busy, keep=2)
    left = {path.name for path in (busy.home / "backups").iterdir()}
    assert left == {Path(made.path).name, "ledger-20260313T080000Z.db"}


def test_a_backup_at_a_place_of_ones_own_is_never_counted(busy: Book, clock: books.Clock, tmp_path: Path) -> None:
    for number in range(3):
        backup.make(busy, tmp_path / f"{number}.db", keep=1)
    assert {path.name for path in tmp_path.glob("*.db")} == {"0.db", "1.db", "2.db"}
    with pytest.raises(BadInput):
        backup.make(busy, keep=0)


# ---- persons ---------------------------------------------------------------------------------------------


def test_I13_no_field_of_a_person_and_no_key_is_in_a_backup(busy: Book) -> None:
    made = backup.make(busy)
    content = Path(made.path).read_bytes()
    markers = [getattr(PERSON, field.name) for field in fields(PERSON) if field.name in PERSONAL_FIELDS]
    assert len(markers) == 8
    assert [marker for marker in markers if marker.encode() in content or marker.encode("utf-16-le") in content] == []
    assert b"order_key" not in content
    with busy.reading() as sql:
        assert recipients.recipient(sql, busy.keys, 1)["name"] == PERSON.name  # it was there to be leaked


def test_A38_whoever_was_redacted_since_is_redacted_in_the_restored_backup(busy: Book, clock: books.Clock) -> None:
    made = backup.make(busy)
    busy.keys.destroy(key for (key,) in books.ask(busy, "SELECT key_id FROM personal"))
    busy.close()
    restore.restore(busy.home, Path(made.path), clock)
    with busy.reading() as sql:
        assert set(recipients.recipient(sql, busy.keys, 1).values()) == {"REDACTED"}


# ---- the command -----------------------------------------------------------------------------------------


def test_the_command_says_what_it_made_and_restore_without_a_file_lists_it(busy: Book) -> None:
    zenv = Zenv(busy.home)
    made = zenv.data("backup", "--keep", "2")
    assert made["orders"] == 5 and made["path"].startswith(str(busy.home / "backups"))
    (busy.home / "backups" / "broken.db").write_bytes(b"no database" * 100)
    os.utime(busy.home / "backups" / "broken.db", (0, 0))
    (busy.home / "backups" / "broken.db").chmod(0o600)
    listed = zenv.data("restore")
    assert [(Path(one["file"]).name, one["orders"]) for one in listed] == [(Path(made["path"]).name, 5),
                                                                           ("broken.db", None)]  # fmt: skip
    assert zenv("backup", made["path"]).code == 79


def test_a_recipient_survives_backup_and_restore(busy: Book, clock: books.Clock) -> None:
    made = backup.make(busy)
    with busy.transaction() as t:
        recipients.record(t, books.AMAZON, [replace(PERSON, order="A-3")])
    busy.close()
    restore.restore(busy.home, Path(made.path), clock)
    with busy.reading() as sql:
        assert recipients.recipient(sql, busy.keys, 1)["name"] == PERSON.name
        assert recipients.recipient(sql, busy.keys, 3) == {}
