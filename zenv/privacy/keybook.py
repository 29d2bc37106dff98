"""Personal data sealed under a key per order, and the book of those keys.

Overwriting an address does not erase it: copies stay in free disk blocks and in backups. So every order's personal
data is sealed before it is first written, and its key lives in a small file of its own, `keys.db`, that no backup
holds. Without the key every copy of the sealed data is unreadable, wherever it lies.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zenv import credentials
from zenv.errors import Bug, Busy, DiskTrouble, KeyUnavailable, Refused, SettingsError, WrongLedger, ZenvError
from zenv.privacy.files import private_file

if TYPE_CHECKING:
    from sqlite3 import Connection, Error
    from types import ModuleType

REDACTED = "REDACTED"
PERSONAL_FIELDS = ("name", "company", "line1", "line2", "line3", "phone", "email", "gift_message")
APPLICATION_ID = 0x7A656E6B  # "zenk"
FORMAT = 3
BUSY_TIMEOUT_S = 10.0
MARKS = "customer marks"
"""The key that customers' marks are made with lies among those of orders, and is wrapped anew with them."""

# With a TRUNCATE journal and secure_delete a destroyed key is gone from the files at commit, without a VACUUM
# (measured: 0 of 24,000 left, SQLite 3.40 and 3.53; one in ten with secure_delete off, pysqlite3's default).
_PRAGMAS = (
    "PRAGMA journal_mode = TRUNCATE",
    "PRAGMA secure_delete = ON",
    "PRAGMA synchronous = EXTRA",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
)
_NEW_BOOK = (
    "CREATE TABLE order_key (key_id TEXT PRIMARY KEY, wrapped BLOB NOT NULL, made_at TEXT NOT NULL) STRICT",
    f"PRAGMA application_id = {APPLICATION_ID}",
)
# Format 2: the fingerprint of the master key that all rows are wrapped under; '' where no rotation ever was.
_SECOND = (
    "CREATE TABLE wrapped_under (one INTEGER PRIMARY KEY CHECK (one = 1), fingerprint TEXT NOT NULL) STRICT",
    "INSERT INTO wrapped_under VALUES (1, '')",
    "PRAGMA user_version = 2",
)
# Format 3: which keys were destroyed on purpose (by a digest of their id), and by what customers are recognised.
_THIRD = (
    "CREATE TABLE destroyed_key (digest BLOB PRIMARY KEY) STRICT, WITHOUT ROWID",
    "CREATE TABLE customer_mark (mark BLOB PRIMARY KEY, pseudonym TEXT NOT NULL UNIQUE, since TEXT NOT NULL) STRICT",
    f"PRAGMA user_version = {FORMAT}",
)


class KeyBook:
    """The keys of orders, each wrapped under the master key, in the SQLite file `path` (made when missing).

    Safe in threads and processes: every call is one short transaction on a connection of its own.
    `master_key` gives the key with a fingerprint, or for "" the ledger's own. It is called when the first key is
    wrapped or unwrapped (redacted orders need no key store), and again once the file says that all its keys were
    wrapped anew (`zenv key rotate`, here or in another process).
    """

    def __init__(self, path: Path, master_key: Callable[[str], credentials.Key]) -> None:
        self.path = path
        self._master_key = master_key
        self._known: tuple[str, bytes] | None = None
        self._fresh: dict[str, bytes] = {}

    def new_key(self) -> str:
        """The id of a new key, on the disk before this returns: first the key, then the ledger that names it.

        A key whose order was never written is harmless; an order whose key was never written would be lost.
        """
        return self.new_keys(1)[0]

    def new_keys(self, count: int) -> list[str]:
        """The ids of `count` new keys, made in one commit. Raises Busy, DiskTrouble, KeyUnavailable."""
        keys = {os.urandom(16).hex(): os.urandom(credentials.MASTER_KEY_BYTES) for _ in range(count)}
        if not self._written(keys) and not self._written(keys):
            raise Busy("the master key is being rotated", "Nothing was changed. Run the command again.")
        self._fresh = keys  # sealing a page of new orders then needs no look-up for each
        return list(keys)

    def _written(self, keys: dict[str, bytes]) -> bool:
        """Write new keys; False, with nothing written, when the master key we know is no longer the file's."""
        from datetime import UTC, datetime

        fingerprint, wrapping = self._known or self._wrapping_key(self._rows([])[0])
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(key_id, _wrapped(wrapping, key_id, key), made_at) for key_id, key in keys.items()]
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            if _wrapped_under(connection) not in ("", fingerprint):
                self._known = None
                return False
            connection.executemany("INSERT OR IGNORE INTO order_key VALUES (?, ?, ?)", rows)
            connection.execute("UPDATE wrapped_under SET fingerprint = ?", (fingerprint,))
            connection.execute("COMMIT")
        return True

    def seal(self, key_id: str, data: dict[str, str]) -> bytes:
        """Personal data of one order, ready to be stored. Refused when its key was destroyed."""
        import json

        if not data.keys() <= set(PERSONAL_FIELDS):
            raise Bug("a field is to be sealed that redaction does not know")
        key = self._fresh.pop(key_id, None) or self._keys([key_id])[0]
        if key is None:
            raise Refused("this order is redacted: its personal data is not kept again", "Look it up at the channel.")
        return credentials.seal(key, json.dumps(data).encode(), _sealed_place(key_id))

    def open(self, key_id: str, sealed: bytes) -> dict[str, str]:
        """What was sealed; with the key gone, every personal field as REDACTED."""
        return self.open_many([(key_id, sealed)])[0]

    def open_many(self, kept: Iterable[tuple[str, bytes]]) -> list[dict[str, str]]:
        """As `open`, for many orders at the price of one connection, in the same order."""
        pairs = list(kept)
        keys = self._keys([key_id for key_id, _ in pairs])
        return [_opened(key, key_id, sealed) for key, (key_id, sealed) in zip(keys, pairs, strict=True)]

    def seal_bytes(self, key_id: str, content: bytes, bound_to: str) -> bytes:
        """A paper of one order, sealed under the order's key for its place. Refused when that was destroyed."""
        return credentials.seal(self._key_of_paper(key_id), content, f"{bound_to}|{key_id}")

    def open_bytes(self, key_id: str, sealed: bytes, bound_to: str) -> bytes:
        """What `seal_bytes` was given. Refused when the key was destroyed, KeyUnavailable for damaged bytes."""
        return credentials.unseal(self._key_of_paper(key_id), sealed, f"{bound_to}|{key_id}")

    def _key_of_paper(self, key_id: str) -> bytes:
        (key,) = self._keys([key_id])
        if key is None:
            raise Refused("The key of this order is gone, and with it its recipient and its papers.")
        return key

    def destroy(self, key_ids: Iterable[str]) -> int:
        """Destroy keys for ever; how many there were. Destroying a key twice is no error.

        That they were destroyed is remembered, so that what a kill left undone, or an old backup brought back, can be
        told from a lost `keys.db`.
        """
        self._fresh = {}
        these = list(key_ids)
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            gone = connection.executemany("DELETE FROM order_key WHERE key_id = ?", [(k,) for k in these])
            count = max(gone.rowcount, 0)
            connection.executemany("INSERT OR IGNORE INTO destroyed_key VALUES (?)", [(_digest(k),) for k in these])
            connection.execute("COMMIT")
        return count

    def destroyed(self, key_ids: Iterable[str]) -> set[str]:
        """Those of these keys that were destroyed on purpose."""
        query = "SELECT 1 FROM destroyed_key WHERE digest = ?"
        with self._connection() as connection:
            return {key for key in key_ids if connection.execute(query, (_digest(key),)).fetchone()}

    def kept(self) -> dict[str, bytes]:
        """Every key of an order that is there, as it is wrapped."""
        with self._connection() as connection:
            query = "SELECT key_id, wrapped FROM order_key WHERE key_id <> ?"
            return dict(connection.execute(query, (MARKS,)).fetchall())

    # --- by what a customer is recognised

    def marks(self, emails: Iterable[str]) -> list[bytes]:
        """The mark of each e-mail address: HMAC-SHA256 under a key that, like the marks, is in no backup."""
        import hmac

        key = self._keys([MARKS])[0] or self._new_marking_key()
        return [hmac.digest(key, email.strip().casefold().encode(), "sha256") for email in emails]

    def _new_marking_key(self) -> bytes:
        fresh = {MARKS: os.urandom(credentials.MASTER_KEY_BYTES)}
        if not self._written(fresh):
            self._written(fresh)
        (key,) = self._keys([MARKS])  # another process may have been first
        if key is None:
            raise Busy("the master key is being rotated", "Nothing was changed. Run the command again.")
        return key

    def recognised(self, marks: Iterable[bytes]) -> dict[bytes, tuple[str, str]]:
        """Mark -> pseudonym and since when, of those that are known."""
        query = "SELECT pseudonym, since FROM customer_mark WHERE mark = ?"
        with self._connection() as connection:
            found = {mark: connection.execute(query, (mark,)).fetchone() for mark in marks}
        return {mark: who for mark, who in found.items() if who}

    def remember(self, people: dict[bytes, tuple[str, str]]) -> None:
        """Keep marks with their pseudonyms and since when; whatever had such a pseudonym before has it no longer."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            rows = [(mark, *who) for mark, who in people.items()]
            connection.executemany("INSERT OR REPLACE INTO customer_mark VALUES (?, ?, ?)", rows)
            connection.execute("COMMIT")

    def forget(self, pseudonyms: Iterable[str]) -> None:
        """From now on nobody is recognised as one of these."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("DELETE FROM customer_mark WHERE pseudonym = ?", [(one,) for one in pseudonyms])
            connection.execute("COMMIT")

    def marked(self) -> dict[str, str]:
        """Every pseudonym somebody is recognised by, and since when."""
        with self._connection() as connection:
            return dict(connection.execute("SELECT pseudonym, since FROM customer_mark").fetchall())

    def rewrap(self, new: bytes) -> None:
        """Wrap every key under the master key `new`, in one commit; where that is done already, nothing changes."""
        fingerprint, wrapping = credentials.key_check(new), credentials.sub_key(new, "personal")
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            before = _wrapped_under(connection)
            if before != fingerprint:
                old = self._wrapping_key(before)[1]
                kept = connection.execute("SELECT key_id, wrapped FROM order_key").fetchall()
                rows = [(_wrapped(wrapping, key_id, _unwrapped(old, key_id, row)), key_id) for key_id, row in kept]
                connection.executemany("UPDATE order_key SET wrapped = ? WHERE key_id = ?", rows)
                connection.execute("UPDATE wrapped_under SET fingerprint = ?", (fingerprint,))
            connection.execute("COMMIT")
        self._known = (fingerprint, wrapping)

    def _keys(self, key_ids: list[str]) -> list[bytes | None]:
        fingerprint, rows = self._rows(key_ids)
        if not any(rows):
            return [None] * len(rows)
        try:
            _, wrapping = self._wrapping_key(fingerprint)
        except KeyUnavailable:
            again, rows = self._rows(key_ids)
            if again == fingerprint:
                raise
            _, wrapping = self._wrapping_key(again)  # it was rotated between the two looks
        return [row and _unwrapped(wrapping, key_id, row) for key_id, row in zip(key_ids, rows, strict=True)]

    def _rows(self, key_ids: list[str]) -> tuple[str, list[bytes | None]]:
        """The fingerprint of the master key, and what is wrapped under it (None for a destroyed key)."""
        query = "SELECT wrapped FROM order_key WHERE key_id = ?"
        with self._connection() as connection:
            connection.execute("BEGIN")
            fingerprint = _wrapped_under(connection)
            found = [connection.execute(query, (key_id,)).fetchone() for key_id in key_ids]
        return fingerprint, [row and row[0] for row in found]

    def _wrapping_key(self, fingerprint: str) -> tuple[str, bytes]:
        """The master key's fingerprint and its sub-key for these rows, read anew when we know another's."""
        known = self._known  # another thread may forget it
        if known is None or fingerprint not in ("", known[0]):
            master = self._master_key(fingerprint)
            known = self._known = (credentials.key_check(master), credentials.sub_key(master, "personal"))
        return known

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A connection for one call; a transaction left open by an error is rolled back by closing it."""
        lib = sqlite_library()
        private_file(self.path)
        try:
            with closing(lib.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as connection:
                _prepare(connection, self.path)
                yield connection
        except lib.Error as error:
            raise _told_plainly(error, self.path) from error


def redacted() -> dict[str, str]:
    """Every personal field as it reads after redaction (requirement A38)."""
    return dict.fromkeys(PERSONAL_FIELDS, REDACTED)


def sqlite_library() -> ModuleType:
    """pysqlite3 where it is installed (a SQLite without the WAL-reset bug), else Python's own.

    One process uses one of them: two SQLite libraries drop each other's file locks.
    """
    from importlib import import_module

    try:
        return import_module("pysqlite3")
    except ImportError:
        return import_module("sqlite3")


def _opened(key: bytes | None, key_id: str, sealed: bytes) -> dict[str, str]:
    import json

    if key is None:
        return redacted()
    data: dict[str, str] = json.loads(credentials.unseal(key, sealed, _sealed_place(key_id)))
    return data


def _wrapped(wrapping: bytes, key_id: str, key: bytes) -> bytes:
    return credentials.seal(wrapping, key, _wrapped_place(key_id))


def _unwrapped(wrapping: bytes, key_id: str, wrapped: bytes) -> bytes:
    return credentials.unseal(wrapping, wrapped, _wrapped_place(key_id))


def _digest(key_id: str) -> bytes:
    return hashlib.blake2b(key_id.encode(), digest_size=16).digest()


def _wrapped_under(connection: Connection) -> str:
    return str(connection.execute("SELECT fingerprint FROM wrapped_under").fetchone()[0])


def _wrapped_place(key_id: str) -> str:
    return f"order_key|{key_id}|wrapped"


def _sealed_place(key_id: str) -> str:
    return f"personal|{key_id}"


def _prepare(connection: Connection, path: Path) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    if _marks(connection) == (0, 0):
        _make_book(connection)
    application, version = _marks(connection)
    if application != APPLICATION_ID:
        raise WrongLedger(f"{path} is not a key book of zenv", "Nothing was changed. Check ZENV_HOME.")
    if version > FORMAT:
        raise WrongLedger(f"{path} was written by a newer zenv", "Nothing was changed. Install that version.")
    if version < FORMAT:
        _bring_up_to_date(connection)


def _marks(connection: Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _make_book(connection: Connection) -> None:
    """Under the write lock, and only in an empty file: another process may just have made it."""
    connection.execute("BEGIN IMMEDIATE")
    if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        for statement in (*_NEW_BOOK, *_SECOND, *_THIRD):
            connection.execute(statement)
    connection.execute("COMMIT")


def _bring_up_to_date(connection: Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    version = _marks(connection)[1]  # another process may just have done it
    for statement in (*(_SECOND if version < 2 else ()), *(_THIRD if version < FORMAT else ())):
        connection.execute(statement)
    connection.execute("COMMIT")


def _told_plainly(error: Error, path: Path) -> ZenvError:
    """Our sentence for SQLite's result code (sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (5, 6):
        return Busy(f"another process holds {path}", "Nothing was changed. Run the command again.")
    if code in (10, 11, 13):
        return DiskTrouble(f"{path} cannot be read or written: {error}", "Check the disk's space and health.")
    if code in (3, 8, 14):
        return SettingsError(f"{path} cannot be opened: {error}", "Check its owner and mode.")
    if code == 26:
        return WrongLedger(f"{path} is not a key book of zenv", "Nothing was changed. Check ZENV_HOME.")
    return Bug(f"the key book {path} failed: {error}")
