"""Restoring: the old ledger or the restored one, never none; and nothing is told twice because of it."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import books
from tests.cli_driver import ROOT, Zenv
from tests.test_invariants import make_busy
from zenv import credentials
from zenv.errors import BadInput, Busy, NotFound, Refused, WrongLedger
from zenv.ledger import backup, migrations, restore, sqlite
from zenv.ledger import book as ledger
from zenv.ledger.book import Book
from zenv.ledger.db import make_engine

SEED = int(os.environ.get("ZENV_SEED", "1"))


@pytest.fixture
def busy(book: Book) -> Book:
    return make_busy(book)


@pytest.fixture
def copy(busy: Book, clock: books.Clock) -> Path:
    """A backup; after it twenty units more were received, and the book is closed."""
    made = backup.make(busy)
    clock.later(hours=1)
    books.receive(busy, "LAMP", 20)
    busy.close()
    return Path(made.path)


def received(home: Path) -> int:
    """Units of the ledger in `home`, which must be sound."""
    with books.opened(home, books.Clock(books.MORNING + 2 * books.HOUR)) as book:
        assert books.findings(book) == []
        return int(books.ask(book, "SELECT SUM(quantity) FROM movements WHERE reason = 'received'")[0][0])


def test_H84_the_books_are_as_they_were_and_the_replaced_ones_are_kept(busy: Book, copy: Path, clock: Any) -> None:
    assert received(busy.home) == 30
    done = restore.restore(busy.home, copy, clock)
    assert received(busy.home) == 10
    assert (done.orders, done.connections, done.findings) == (5, ("amazon",), 0)
    with sqlite_open(Path(done.replaced)) as kept:
        assert kept.execute("SELECT SUM(quantity) FROM movement WHERE reason = 'received'").fetchone() == (30,)
        assert kept.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert Path(done.replaced).stat().st_mode & 0o777 == 0o600
    clock.later(hours=1)
    restore.restore(busy.home, Path(done.replaced), clock)  # and back again
    assert received(busy.home) == 30
    assert not list(busy.home.glob(".restoring-*"))


def sqlite_open(path: Path) -> Any:
    from contextlib import closing

    return closing(sqlite.read_only(path))


# ---- what may have happened since ------------------------------------------------------------------------


def test_what_may_have_been_told_since_is_looked_up_and_everything_else_is_told_again(
    busy: Book, copy: Path, clock: Any
) -> None:
    with busy.transaction() as t:
        t.sql.exec_driver_sql("INSERT INTO run VALUES (50, 1, 'orders', '', NULL, '2026-03-02 08:00:00.000000', NULL,"
                              " '2126-03-02 08:15:00.000000', 'running', 0, 0, 0, 0, 0, 0, '')")  # fmt: skip
        t.sql.exec_driver_sql("INSERT INTO scheduled_task VALUES (NULL, 1, 'orders', 3600, 0, NULL, '2126-01-01"
                              " 00:00:00.000000', '2126-01-01 00:00:00.000000', NULL, NULL, 0, '')")  # fmt: skip
        t.sql.exec_driver_sql("UPDATE listing SET submitted = 3, submitted_handling = 2")
        t.sql.exec_driver_sql("DELETE FROM message WHERE kind = 'stock_level'")
    running = backup.make(busy, busy.home / "running.db")
    busy.close()
    done = restore.restore(busy.home, Path(running.path), clock)
    assert done.looked_up == 2
    assert books.owed(busy) == {("shipment", "A-2/2", "unknown"), ("cancellation", "A-4", "unknown"),
                                ("stock_level", "LAMP", "pending")}  # fmt: skip
    assert set(books.ask(busy, "SELECT submitted FROM listings")) == {(None,)}
    assert books.ask(busy, "SELECT outcome FROM run") == [("abandoned",)]
    assert books.ask(busy, "SELECT next_at FROM scheduled_task") == [("2026-03-02 09:00:00.000000",)]
    with busy.transaction() as t:
        t.sql.exec_driver_sql("DELETE FROM scheduled_task")


# ---- who is in the way -----------------------------------------------------------------------------------


def test_a_running_daemon_is_in_the_way(busy: Book, copy: Path) -> None:
    with open(busy.home / "daemon.lock", "w") as lock:
        os.chmod(lock.fileno(), 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        answer = Zenv(busy.home)("restore", str(copy), "--yes")
    assert answer.code == 75 and "daemon" in answer.err
    assert received(busy.home) == 30


IDLE = """
import sys
from pathlib import Path
from tests import books
with books.opened(Path(sys.argv[1]), books.Clock()) as book:
    books.ask(book, "SELECT 1")
    with book.reading() as sql:
        sql.exec_driver_sql("SELECT COUNT(*) FROM item").scalar_one()
    print("open", flush=True)
    sys.stdin.readline()
    try:
        books.add_items(book, "LATE")
        print("written")
    except Exception as error:
        print(type(error).__name__)
"""


@pytest.mark.skipif(not sqlite.wal_is_safe(sqlite.module.sqlite_version_info), reason="only a WAL knows its readers")
def test_another_process_that_has_the_ledger_open_is_in_the_way(busy: Book, copy: Path) -> None:
    idle = subprocess.Popen([sys.executable, "-c", IDLE, str(busy.home)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, text=True, cwd=ROOT)  # fmt: skip
    assert idle.stdout is not None and idle.stdout.readline() == "open\n"
    answer = Zenv(busy.home)("restore", str(copy), "--yes")
    assert answer.code == 75 and "open" in answer.err
    assert idle.communicate("go on\n")[0] == "written\n"
    assert received(busy.home) == 30
    assert not list((busy.home / "backups").glob("replaced-*"))
    Zenv(busy.home).good("restore", str(copy), "--yes")
    assert received(busy.home) == 10


def test_it_asks_at_a_terminal_and_wants_a_yes_elsewhere(busy: Book, copy: Path) -> None:
    zenv = Zenv(busy.home)
    answer = zenv("restore", str(copy))
    assert answer.code == 2 and received(busy.home) == 30
    answer = zenv.at_terminal("restore", str(copy), typed=("n",))
    assert "Replace the present ledger?" in answer.out and received(busy.home) == 30
    answer = zenv.at_terminal("restore", str(copy), typed=("y",))
    assert answer.code == 0 and received(busy.home) == 10
    assert "zenv sync now amazon" in answer.out and "count what was received" in answer.out


# ---- what is restored ------------------------------------------------------------------------------------


def test_what_is_no_good_backup_is_refused_before_anything_changes(busy: Book, copy: Path, tmp_path: Path) -> None:
    zenv = Zenv(busy.home)
    damaged, foreign, newer = (Path(shutil.copy(copy, tmp_path / name)) for name in ("d.db", "f.db", "n.db"))
    with open(damaged, "r+b") as file:
        file.seek(20 * 4096)
        file.write(os.urandom(4096))
    for path, pragma in ((foreign, "application_id=1"), (newer, "user_version=99")):
        raw = sqlite.module.connect(path)
        raw.execute(f"PRAGMA {pragma}").close()
        raw.commit()
        raw.close()
    (tmp_path / "t.db").write_text("Dear diary")
    codes = {path.name: zenv("restore", str(path), "--yes").code for path in sorted(tmp_path.glob("?.db"))}
    assert codes == dict.fromkeys(("d.db", "f.db", "n.db", "t.db"), WrongLedger.exit_code)
    assert zenv("restore", str(tmp_path / "none.db"), "--yes").code == NotFound.exit_code
    assert zenv("restore", str(busy.home / "ledger.db"), "--yes").code == BadInput.exit_code
    assert received(busy.home) == 30 and not list((busy.home / "backups").glob("replaced-*"))


def test_the_ledger_of_another_company_is_taken_only_on_demand(busy: Book, copy: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    home = make_other(tmp_path / "other")
    with pytest.raises(Refused, match="not a backup"):
        restore.restore(home, copy, books.Clock())
    restore.restore(home, copy, books.Clock(), other_ledger=True)
    assert len(list((home / "backups").glob("replaced-*"))) == 1


def make_other(folder: Path) -> Path:
    store = credentials.KeyStore("file", str(folder / "zenv.key"), "another")
    credentials.create_master_key(store)
    ledger.create(folder / "home", books.COMPANY, store, books.Clock())
    return folder / "home"


def test_an_older_backup_is_brought_up_to_date_on_the_way(busy: Book, copy: Path, tmp_path: Path, clock: Any) -> None:
    old = tmp_path / "ledger.db"
    engine = make_engine(old)
    with engine.connect() as sql:
        sql.exec_driver_sql(f"PRAGMA application_id={ledger.APPLICATION_ID}")
        sql.commit()
    migrations.upgrade(engine, tmp_path, clock(), target="0001")
    with engine.begin() as sql:
        found = busy.company
        sql.exec_driver_sql(
            "INSERT INTO company VALUES (1, ?, 'Old name', 'DE', 'Europe/Berlin', 'EUR', ?, ?, ?, '2026-01-01')",
            (found.ledger_id, found.key_kind, found.key_detail, found.key_fingerprint),
        )
    engine.dispose()
    busy.close()
    assert backup.look_at(old)["schema"] == 1
    restore.restore(busy.home, old, clock)
    assert backup.look_at(busy.home / "ledger.db") == backup.look_at(old) | {"schema": migrations.NEWEST}
    assert len(list((busy.home / "backups").glob("ledger-schema*"))) == 0


# ---- what it replaces ------------------------------------------------------------------------------------


def _garbage(home: Path) -> None:
    (home / "ledger.db").write_bytes(b"\x00garbage" * 5000)


def _no_header(home: Path) -> None:
    with open(home / "ledger.db", "r+b") as file:
        file.write(b"\xff" * 100)


def _torn(home: Path) -> None:
    os.truncate(home / "ledger.db", 5000)


def _empty(home: Path) -> None:
    os.truncate(home / "ledger.db", 0)


@pytest.mark.parametrize("spoil", [_garbage, _no_header, _torn, _empty])
def test_a_damaged_ledger_is_replaced_and_kept_byte_for_byte(
    busy: Book, copy: Path, clock: Any, spoil: Callable[[Path], None]
) -> None:
    spoil(busy.home)
    (busy.home / "ledger.db-wal").write_bytes(b"what was left of a log")
    content = (busy.home / "ledger.db").read_bytes()
    done = restore.restore(busy.home, copy, clock)
    assert received(busy.home) == 10
    if spoil is not _empty:  # an empty file is an empty database to SQLite: there is nothing to keep of its log
        assert Path(done.replaced).read_bytes() == content
        assert Path(f"{done.replaced}-wal").read_bytes() == b"what was left of a log"


def test_where_there_is_no_ledger_any_more_the_backup_becomes_it(busy: Book, copy: Path, clock: Any) -> None:
    (busy.home / "ledger.db").unlink()
    done = restore.restore(busy.home, copy, clock)
    assert done.replaced == "" and received(busy.home) == 10


def test_a_log_that_lies_beside_a_missing_ledger_is_not_played_into_the_restored_one(
    busy: Book, copy: Path, clock: Any
) -> None:
    idle = books.opened(busy.home, books.Clock(books.MORNING + books.HOUR))
    books.receive(idle, "LAMP", 7)
    log = (busy.home / "ledger.db-wal").read_bytes()
    assert len(log) > 1000
    idle.close()
    (busy.home / "ledger.db").unlink()
    (busy.home / "ledger.db-wal").write_bytes(log)
    done = restore.restore(busy.home, copy, clock)
    assert received(busy.home) == 10
    assert Path(f"{done.replaced}-wal").read_bytes() == log


def test_on_a_new_machine_the_home_is_made(copy: Path, tmp_path: Path, clock: Any) -> None:
    home = tmp_path / "elsewhere" / "home"
    restore.restore(home, copy, clock)
    assert received(home) == 10 and home.stat().st_mode & 0o777 == 0o700


# ---- kill -9 ---------------------------------------------------------------------------------------------


def killed_at_line(number: int, home: Path, copy: Path) -> bool:
    """Restore in a process that dies before the n-th line of zenv/ledger/restore.py that it runs; whether it died."""
    child = os.fork()
    if child == 0:
        left, code = number, 1

        def line(frame: Any, event: str, _: Any) -> Any:
            nonlocal left
            if event == "line":
                left -= 1
                if left <= 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return line

        try:
            sys.settrace(lambda frame, *_: line if frame.f_code.co_filename == restore.__file__ else None)
            restore.restore(home, copy, books.Clock(books.MORNING + books.HOUR))
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0, "the child failed by itself"
    return os.WIFSIGNALED(status)


def sweep(busy: Book, copy: Path, folder: Path, first: int, step: int) -> list[int]:
    """What was received in the ledger that each kill left."""
    outcomes, number = [], first
    while True:
        home = books.home_like(busy.home, folder / f"killed {number}")
        died = killed_at_line(number, home, copy)
        outcomes.append(received(home))
        restore.restore(home, copy, books.Clock(books.MORNING + 2 * books.HOUR))
        assert received(home) == 10
        assert not list(home.glob(".restoring-*"))
        for kept in (home / "backups").glob("replaced-*"):
            assert not kept.samefile(home / "ledger.db")
        shutil.rmtree(home)
        if not died:
            return outcomes
        number += step


def test_H84_a_kill_at_a_seeded_portion_of_its_lines_leaves_the_old_ledger_or_the_new_one(
    busy: Book, copy: Path, tmp_path: Path
) -> None:
    outcomes = sweep(busy, copy, tmp_path, random.Random(SEED).randint(1, 13), 13)
    assert outcomes == sorted(outcomes, reverse=True) and outcomes[0] == 30 and outcomes[-1] == 10


@pytest.mark.whole
def test_H84_a_kill_at_each_of_its_lines_leaves_the_old_ledger_or_the_new_one(
    busy: Book, copy: Path, tmp_path: Path
) -> None:
    outcomes = sweep(busy, copy, tmp_path, 1, 1)
    assert outcomes == sorted(outcomes, reverse=True) and {30, 10} == set(outcomes) and len(outcomes) > 100


def test_a_process_that_opened_the_replaced_file_cannot_write_into_it_unnoticed(busy: Book, copy: Path) -> None:
    """It waited for the lock while the file was replaced under it."""
    raw = sqlite.module.connect(busy.home / "ledger.db", isolation_level=None, timeout=0)
    raw.execute("PRAGMA journal_mode=TRUNCATE").fetchall()
    restore.restore(busy.home, copy, books.Clock(books.MORNING + books.HOUR))
    with pytest.raises(sqlite.module.OperationalError, match="readonly"):
        raw.execute("UPDATE item SET name = 'late'")
    raw.close()
    assert received(busy.home) == 10


def test_the_daemon_cannot_start_while_a_ledger_is_restored(busy: Book, copy: Path) -> None:
    with restore._nobody_else(busy.home), pytest.raises(Busy):
        restore.restore(busy.home, copy, books.Clock())
