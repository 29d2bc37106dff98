"""Moving and rotating the master key beside other processes, while a daemon runs, and where it cannot be done."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.books import PERSON
from tests.key_books import SECRETS, Place, a_place, keyring_of_files, mark_of, no_key_given, opens, person, tell  # noqa: F401  # fixtures
from tests.test_privacy import FIRST_FORMAT
from zenv import credentials, privacy
from zenv.errors import Busy, KeyUnavailable, Refused
from zenv.ledger import connections, home, keys
from zenv.privacy import KeyBook

# --- beside others ----------------------------------------------------------------------------------------


def test_a_process_that_knows_the_old_key_goes_on_with_the_new_one(place: Place) -> None:
    with place.opened() as early, place.opened() as book:
        opens(early)
        keys.rotate(book)
        tell(early, "A-3")  # a new order key, wrapped by a process that has the old master key in mind
        opens(early)
    with place.opened() as late:
        opens(late)
        assert person(late, "A-3") == PERSON.personal()


def test_a_key_that_is_rotated_between_two_looks_is_read_again(place: Place) -> None:
    with place.opened() as book, place.opened() as other:
        opens(book)
        asked: list[str] = []

        def rotated_meanwhile(fingerprint: str) -> credentials.Key:
            if not asked:
                keys.rotate(other)
            asked.append(fingerprint)
            return book.key(fingerprint)

        book.keys = KeyBook(book.home / home.KEYS, rotated_meanwhile)
        assert person(book, "A-1") == PERSON.personal()
        assert len(set(asked)) == 2


def test_two_rotations_one_after_the_other_leave_one_key(place: Place) -> None:
    seen = set()
    for _ in range(2):
        with place.opened() as book:
            seen.add(keys.rotate(book))
            opens(book)
    assert len(seen) == 2
    assert sorted(path.name for path in place.folder.iterdir()) == ["file.key", "home"]


def test_a_rotated_key_leaves_no_copy_of_the_old_one(place: Place) -> None:
    old = place.store("file")
    line_of_old = credentials.key_line(credentials.read_key(old)).encode()
    with place.opened() as book:
        wrapped = rows_of(place.home / home.KEYS)
        keys.rotate(book)
    left = b"".join(path.read_bytes() for path in place.folder.rglob("*") if path.is_file())
    assert line_of_old not in left
    assert rows_of(place.home / home.KEYS).keys() == wrapped.keys()
    assert [row for row in wrapped.values() if row in left] == [], "a key wrapped under the old master key"


def rows_of(path: Path) -> dict[str, bytes]:
    connection = sqlite3.connect(path)
    try:
        return dict(connection.execute("SELECT key_id, wrapped FROM order_key").fetchall())
    finally:
        connection.close()


def test_while_a_daemon_runs_nothing_is_rotated(place: Place) -> None:
    assert not home.daemon_is_running(place.home)
    assert not (place.home / home.DAEMON_LOCK).exists(), "asking made the file"
    with (place.home / home.DAEMON_LOCK).open("w") as held, place.opened() as book:
        assert not home.daemon_is_running(place.home), "a lock file that nobody holds"
        fcntl.flock(held, fcntl.LOCK_EX)
        assert home.daemon_is_running(place.home)
        before = book.key_place()
        with pytest.raises(Busy, match="daemon is running"):
            keys.rotate(book)
        assert book.key_place() == before
        fcntl.flock(held, fcntl.LOCK_UN)
        assert not home.daemon_is_running(place.home)
        keys.rotate(book)


def test_two_rotations_at_once_are_not_possible(place: Place) -> None:
    with home.alone(place.home / home.KEY_LOCK, ""), place.opened() as book:
        for attempt in (lambda: keys.rotate(book), lambda: keys.move(book, place.store("keyring"))):
            with pytest.raises(Busy, match="another zenv is moving or rotating"):
                attempt()


def test_a_backup_of_before_a_rotation_opens_with_the_key_of_its_time(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = credentials.key_line(credentials.read_key(place.store("file")))
    backup = place.folder / "backup.db"
    shutil.copy(place.home / home.LEDGER, backup)
    with place.opened() as book:
        keys.rotate(book)
    for name in (home.LEDGER, home.KEYS):
        for path in place.home.glob(f"{name}*"):
            path.unlink()
    backup.rename(place.home / home.LEDGER)
    monkeypatch.setenv("ZENV_KEY", line)
    with place.opened() as book:
        with book.reading() as sql:
            assert connections.open_secrets(sql, "amazon", book.master_key) == SECRETS
        assert person(book, "A-1") == privacy.redacted()
        tell(book, "A-3")
        assert person(book, "A-3") == PERSON.personal()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_in_the_service_s_home_is_the_service_s(place: Place) -> None:
    (place.home / home.KEYS).unlink()
    os.chown(place.home, 65534, 65534)
    with place.opened() as book:
        keys.rotate(book)
    made = (place.home / home.KEYS, place.home / home.KEY_LOCK)
    assert [path.stat().st_uid for path in made] == [65534, 65534]
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}


# --- what cannot be rotated -------------------------------------------------------------------------------


def test_a_key_behind_a_command_is_not_rotated(place: Place) -> None:
    copy = place.folder / "copy"
    shutil.copy(place.folder / "file.key", copy)
    argv = credentials.KeyStore("command", json.dumps(["cat", str(copy)]), "rotating")
    with place.opened() as book:
        assert keys.move(book, argv) == []
        with pytest.raises(Refused, match="behind a command"):
            keys.rotate(book)
        opens(book)


def test_a_key_given_from_outside_is_not_rotated(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZENV_KEY_FILE", str(place.folder / "file.key"))
    with place.opened() as book, pytest.raises(Refused, match="from outside"):
        keys.rotate(book)


def test_a_secret_that_does_not_open_stops_a_rotation_before_it_begins(place: Place) -> None:
    with sqlite3.connect(place.home / "ledger.db") as other:
        other.execute("UPDATE secret SET sealed = x'01' WHERE field = 'client_id'")
    other.close()
    with place.opened() as book, pytest.raises(KeyUnavailable, match="damaged"):
        keys.rotate(book)
    assert not credentials.holds_key(place.store("file").next())
    with place.opened() as book:
        assert person(book, "A-1") == PERSON.personal()


def test_the_environment_s_stand_in_for_a_secret_is_not_sealed_by_a_rotation(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZENV_SECRET_AMAZON_CLIENT_ID", "for this process only")
    with place.opened() as book:
        keys.rotate(book)
    monkeypatch.delenv("ZENV_SECRET_AMAZON_CLIENT_ID")
    with place.opened() as book:
        opens(book)


# --- the file of the keys ---------------------------------------------------------------------------------


def test_a_key_book_of_the_first_format_is_brought_up_to_date_where_it_lies(place: Place) -> None:
    connection = sqlite3.connect(place.home / home.KEYS)
    connection.executescript(FIRST_FORMAT)
    connection.close()
    with place.opened() as book:
        opens(book)
        assert mark_of(place.home / home.KEYS) == ""
        keys.rotate(book)
        opens(book)


def test_a_rotation_without_any_order_key_is_one_too(place: Place) -> None:
    with place.opened() as book:
        for name in (home.KEYS, f"{home.KEYS}-journal"):
            (place.home / name).unlink()
        fingerprint = keys.rotate(book)
        assert mark_of(place.home / home.KEYS) == fingerprint
        assert person(book, "A-1") == privacy.redacted()
