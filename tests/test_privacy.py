"""Keys of orders in a real SQLite file, and redaction by destroying them."""

from __future__ import annotations

import multiprocessing
import sqlite3
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from zenv import credentials, privacy
from zenv.errors import Bug, Busy, KeyUnavailable, Refused, SettingsError, WrongLedger
from zenv.facts import PERSONAL_FIELDS
from zenv.privacy import REDACTED, KeyBook, keybook

MASTER = bytes(range(32))
FIRST_FORMAT = "DROP TABLE wrapped_under; DROP TABLE destroyed_key; DROP TABLE customer_mark; PRAGMA user_version = 1"
PERSON = dict.fromkeys(privacy.PERSONAL_FIELDS, "") | {
    "name": "Marker-Name-Żółć",
    "line1": "Marker-Street 1",
    "phone": "Marker-Phone",
    "email": "marker@marketplace.amazon.example",
}


@pytest.fixture
def book(tmp_path: Path) -> KeyBook:
    return KeyBook(tmp_path / "keys.db", lambda _: MASTER)


def wrapped_keys(path: Path) -> dict[str, bytes]:
    lib = privacy.sqlite_library()
    connection = lib.connect(path)
    rows = connection.execute("SELECT key_id, wrapped FROM order_key").fetchall()
    connection.close()
    return dict(rows)


def bytes_in(folder: Path) -> bytes:
    """Every byte of every file in the folder: the key book, its journal, and whatever else was left."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# --- keys


def test_what_was_sealed_opens_in_another_process_of_the_same_ledger(book: KeyBook) -> None:
    key_id = book.new_key()
    sealed = book.seal(key_id, PERSON)
    assert KeyBook(book.path, lambda _: MASTER).open(key_id, sealed) == PERSON
    assert b"arker" not in sealed
    assert b"arker" not in bytes_in(book.path.parent)


def test_a_later_change_of_the_person_is_sealed_under_the_same_key(book: KeyBook) -> None:
    key_id = book.new_key()
    book.seal(key_id, PERSON)
    moved = PERSON | {"line1": "Marker-Street 2"}
    assert book.open(key_id, book.seal(key_id, moved)) == moved


def test_many_orders_are_opened_in_their_order_redacted_ones_among_them(book: KeyBook) -> None:
    key_ids = book.new_keys(5)
    kept = [(key_id, book.seal(key_id, PERSON | {"name": key_id})) for key_id in key_ids]
    book.destroy([key_ids[1], key_ids[3]])
    shown = [person["name"] for person in book.open_many(reversed(kept))]
    assert shown == [key_ids[4], REDACTED, key_ids[2], REDACTED, key_ids[0]]


def test_new_keys_are_on_the_disk_before_their_ids_are_known(book: KeyBook) -> None:
    key_ids = book.new_keys(3)
    assert wrapped_keys(book.path).keys() == set(key_ids)


def test_keys_lie_wrapped_and_a_wrapped_key_opens_for_no_other_order(book: KeyBook) -> None:
    one, other = book.new_keys(2)
    sealed = book.seal(other, PERSON)
    connection = sqlite3.connect(book.path)
    connection.execute(
        "UPDATE order_key SET wrapped = (SELECT wrapped FROM order_key WHERE key_id = ?) WHERE key_id = ?",
        (one, other),
    )
    connection.commit()
    connection.close()
    with pytest.raises(KeyUnavailable, match="moved"):
        book.open(other, sealed)


def test_personal_data_does_not_open_under_the_key_of_another_order(book: KeyBook) -> None:
    one, other = book.new_keys(2)
    with pytest.raises(KeyUnavailable) as caught:
        book.open(other, book.seal(one, PERSON))
    assert "arker" not in "".join(traceback.format_exception(caught.value))


def test_a_key_book_of_another_master_key_stays_closed(book: KeyBook) -> None:
    key_id = book.new_key()
    sealed = book.seal(key_id, PERSON)
    with pytest.raises(KeyUnavailable):
        KeyBook(book.path, lambda _: bytes(32)).open(key_id, sealed)


def test_a_field_that_redaction_does_not_know_is_not_sealed(book: KeyBook) -> None:
    with pytest.raises(Bug) as caught:
        book.seal(book.new_key(), {"nickname": "Marker"})
    assert "arker" not in str(caught.value)


def test_the_sealed_fields_are_the_personal_fields_of_a_recipient() -> None:
    assert privacy.PERSONAL_FIELDS == PERSONAL_FIELDS


# --- a new master key


NEW_MASTER = bytes(range(1, 33))


def of(*masters: bytes) -> Callable[[str], bytes]:
    """A key store that holds these master keys, the ledger's own first."""
    by_fingerprint = {credentials.key_check(master): master for master in masters}
    return lambda fingerprint: by_fingerprint[fingerprint] if fingerprint else masters[0]


def test_every_key_is_wrapped_anew_and_what_was_sealed_opens_with_the_new_master_key_alone(book: KeyBook) -> None:
    key_ids = book.new_keys(3)
    sealed = {key_id: book.seal(key_id, PERSON) for key_id in key_ids}
    before = wrapped_keys(book.path)
    book.rewrap(NEW_MASTER)
    after = wrapped_keys(book.path)
    assert after.keys() == before.keys() and not set(after.values()) & set(before.values())
    assert KeyBook(book.path, of(NEW_MASTER)).open_many(sealed.items()) == [PERSON] * 3
    with pytest.raises(KeyError):
        KeyBook(book.path, of(MASTER)).open_many(sealed.items())


def test_wrapping_anew_twice_changes_nothing_the_second_time(book: KeyBook) -> None:
    book.new_key()
    book.rewrap(NEW_MASTER)
    once = wrapped_keys(book.path)
    KeyBook(book.path, of(NEW_MASTER)).rewrap(NEW_MASTER)
    assert wrapped_keys(book.path) == once


def test_a_key_that_does_not_open_stops_the_wrapping_and_all_stay_as_they_were(book: KeyBook) -> None:
    key_ids = book.new_keys(3)
    sealed = book.seal(key_ids[0], PERSON)
    with sqlite3.connect(book.path) as damaged:
        damaged.execute("UPDATE order_key SET wrapped = x'01' WHERE key_id = ?", (key_ids[2],))
    damaged.close()
    before = wrapped_keys(book.path)
    with pytest.raises(KeyUnavailable, match="damaged"):
        book.rewrap(NEW_MASTER)
    assert wrapped_keys(book.path) == before
    assert KeyBook(book.path, of(MASTER)).open(key_ids[0], sealed) == PERSON


def test_a_new_key_is_never_wrapped_under_the_master_key_of_before(book: KeyBook) -> None:
    early = KeyBook(book.path, of(MASTER, NEW_MASTER))
    early.new_key()
    book.rewrap(NEW_MASTER)
    key_id = early.new_key()
    assert KeyBook(book.path, of(NEW_MASTER)).open(key_id, early.seal(key_id, PERSON)) == PERSON


def test_a_process_without_the_new_master_key_makes_no_order_key(book: KeyBook) -> None:
    early = KeyBook(book.path, lambda _: MASTER)
    early.new_key()
    book.rewrap(NEW_MASTER)
    before = wrapped_keys(book.path)
    with pytest.raises(Busy, match="being rotated"):
        early.new_key()
    assert wrapped_keys(book.path) == before


def as_first_format(path: Path) -> None:
    """The file as zenv 0.1 made it."""
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_FORMAT)
    connection.close()


def test_a_key_book_of_the_first_format_is_upgraded_by_whoever_comes_first(book: KeyBook) -> None:
    key_id = book.new_key()
    sealed = book.seal(key_id, PERSON)
    as_first_format(book.path)
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        made = [key_id for ids in pool.starmap(make_keys, [(book.path, 5)] * 3) for key_id in ids]
    assert wrapped_keys(book.path).keys() == {key_id, *made}
    assert book.open(key_id, sealed) == PERSON
    with book._connection() as late:  # it saw the first format, and then waited for the lock
        keybook._bring_up_to_date(late)
    assert book.open(key_id, sealed) == PERSON


# --- redaction


def test_A31_to_A38_with_its_key_gone_every_personal_field_reads_REDACTED(book: KeyBook) -> None:
    key_id = book.new_key()
    sealed = book.seal(key_id, PERSON)
    assert book.destroy([key_id]) == 1
    assert book.open(key_id, sealed) == dict.fromkeys(PERSONAL_FIELDS, "REDACTED")


def test_A38_redacted_orders_are_shown_without_any_key_store(book: KeyBook) -> None:
    def no_key(_: str) -> bytes:
        raise KeyUnavailable("locked")

    key_id = book.new_key()
    sealed = book.seal(key_id, PERSON)
    book.destroy([key_id])
    assert KeyBook(book.path, no_key).open(key_id, sealed) == privacy.redacted()


def test_a_redacted_order_is_not_sealed_again(book: KeyBook) -> None:
    key_id = book.new_key()
    book.destroy([key_id])
    with pytest.raises(Refused, match="redacted"):
        book.seal(key_id, PERSON)


def test_destroying_twice_or_nothing_is_no_error(book: KeyBook) -> None:
    key_id = book.new_key()
    assert [book.destroy([key_id]), book.destroy([key_id]), book.destroy([])] == [1, 0, 0]


def test_no_byte_of_a_destroyed_key_stays_in_the_files(book: KeyBook) -> None:
    key_ids = book.new_keys(400)
    key_ids += [book.new_key() for _ in range(20)]
    before = wrapped_keys(book.path)
    gone = key_ids[::3]
    for start in range(0, len(gone), 7):
        book.destroy(gone[start : start + 7])
    left = bytes_in(book.path.parent)
    assert [key_id for key_id in gone if key_id.encode() in left] == []
    assert [key_id for key_id in gone if before[key_id][20:44] in left] == []
    kept = set(key_ids) - set(gone)
    assert all(before[key_id] in left for key_id in kept), "the search itself finds nothing"


def test_a_copy_of_the_sealed_data_stays_closed_once_the_key_is_gone(book: KeyBook, tmp_path: Path) -> None:
    """A backup holds the ledger but no keys: restored beside a new key book, it shows nobody."""
    key_id = book.new_key()
    backup = book.seal(key_id, PERSON)
    restored = KeyBook(tmp_path / "restored" / "keys.db", lambda _: MASTER)
    restored.path.parent.mkdir(mode=0o700)
    assert restored.open(key_id, backup) == privacy.redacted()


# --- the file


def test_the_key_book_and_its_journal_are_closed_to_other_users(book: KeyBook) -> None:
    book.new_key()
    assert {path.name for path in book.path.parent.iterdir()} == {"keys.db", "keys.db-journal"}
    assert {path.stat().st_mode & 0o777 for path in book.path.parent.iterdir()} == {0o600}


def test_a_key_book_that_others_can_open_is_refused(book: KeyBook) -> None:
    book.new_key()
    book.path.chmod(0o640)
    with pytest.raises(SettingsError, match="other users can open"):
        book.new_key()


def test_another_programs_database_is_left_alone(book: KeyBook) -> None:
    connection = sqlite3.connect(book.path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    book.path.chmod(0o600)
    with pytest.raises(WrongLedger, match="not a key book"):
        book.new_key()
    assert b"order_key" not in book.path.read_bytes()


def test_a_file_that_is_no_database_is_left_alone(book: KeyBook) -> None:
    book.path.write_text("shopping list\n" * 100)
    book.path.chmod(0o600)
    with pytest.raises(WrongLedger):
        book.new_key()
    assert book.path.read_text() == "shopping list\n" * 100


def test_a_key_book_of_a_newer_zenv_is_left_alone(book: KeyBook) -> None:
    book.new_key()
    connection = sqlite3.connect(book.path)
    connection.execute(f"PRAGMA user_version = {keybook.FORMAT + 1}")
    connection.close()
    with pytest.raises(WrongLedger, match="newer zenv"):
        book.new_key()


def test_a_key_book_held_by_another_process_is_busy(book: KeyBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keybook, "BUSY_TIMEOUT_S", 0.05)
    book.new_key()
    holder = privacy.sqlite_library().connect(book.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Busy, match="another process"):
        book.new_key()
    holder.close()
    book.new_key()


def test_a_missing_folder_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be made"):
        KeyBook(tmp_path / "nowhere" / "keys.db", lambda _: MASTER).new_key()


def make_keys(path: Path, count: int) -> list[str]:
    book = KeyBook(path, lambda _: MASTER)
    return [book.new_key() for _ in range(count)]


def test_processes_make_keys_in_one_new_book_at_once_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "keys.db"
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        made = [key_id for ids in pool.starmap(make_keys, [(path, 25)] * 3) for key_id in ids]
    assert len(made) == 75
    assert wrapped_keys(path).keys() == set(made)


def test_nothing_of_a_person_or_a_key_shows_in_reprs_and_errors(book: KeyBook) -> None:
    key_id = book.new_key()
    assert MASTER.hex() not in repr(book)
    book.path.chmod(0o640)
    with pytest.raises(SettingsError) as caught:
        book.seal(key_id, PERSON) and book.open(key_id, b"")
    assert "arker" not in "".join(traceback.format_exception(caught.value))


def test_a_key_is_never_taken_from_the_wrong_purpose(book: KeyBook) -> None:
    """Who gets at the secrets' sub-key cannot open personal data with it."""
    key_id = book.new_key()
    wrapped = wrapped_keys(book.path)[key_id]
    with pytest.raises(KeyUnavailable):
        credentials.unseal(credentials.sub_key(MASTER, "secrets"), wrapped, f"order_key|{key_id}|wrapped")
