"""Personal data: sealed under a key per order, redacted by destroying that key.

Overwriting an address does not erase it: copies stay in free disk blocks and in backups. So every order's
personal data is sealed before it is first written, and its key lives in a small file of its own, `keys.db`,
that no backup holds. Without the key every copy of the sealed data is unreadable, wherever it lies. The rest
of this module guards the side doors: file modes, control characters, log lines.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenv import credentials
from zenv.errors import Bug, Busy, DiskTrouble, Refused, SettingsError, WrongLedger, ZenvError

if TYPE_CHECKING:
    import logging
    from sqlite3 import Connection, Error
    from types import ModuleType

REDACTED = "REDACTED"
PERSONAL_FIELDS = ("name", "company", "line1", "line2", "line3", "phone", "email", "gift_message")
APPLICATION_ID = 0x7A656E6B  # "zenk"
FORMAT = 1
BUSY_TIMEOUT_S = 10.0

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
    f"PRAGMA user_version = {FORMAT}",
)


class KeyBook:
    """The keys of orders, each wrapped under the master key, in the SQLite file `path` (made when missing).

    Safe in threads and processes: every call is one short transaction on a connection of its own.
    `master_key` is called when the first key is wrapped or unwrapped: redacted orders need no key store.
    """

    def __init__(self, path: Path, master_key: Callable[[], bytes]) -> None:
        self.path = path
        self._master_key = master_key
        self._wrapping: bytes | None = None
        self._fresh: dict[str, bytes] = {}

    def new_key(self) -> str:
        """The id of a new key, on the disk before this returns: first the key, then the ledger that names it.

        A key whose order was never written is harmless; an order whose key was never written would be lost.
        """
        return self.new_keys(1)[0]

    def new_keys(self, count: int) -> list[str]:
        """The ids of `count` new keys, made in one commit. Raises Busy, DiskTrouble, KeyUnavailable."""
        from datetime import UTC, datetime

        keys = {os.urandom(16).hex(): os.urandom(credentials.MASTER_KEY_BYTES) for _ in range(count)}
        made_at = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [(key_id, self._wrap(key_id, key), made_at) for key_id, key in keys.items()]
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO order_key (key_id, wrapped, made_at) VALUES (?, ?, ?)", rows)
            connection.execute("COMMIT")
        self._fresh = keys  # sealing a page of new orders then needs no look-up for each
        return list(keys)

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

    def destroy(self, key_ids: Iterable[str]) -> int:
        """Destroy keys for ever; how many there were. Destroying a key twice is no error."""
        self._fresh = {}
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            gone = connection.executemany("DELETE FROM order_key WHERE key_id = ?", [(k,) for k in key_ids])
            count = max(gone.rowcount, 0)
            connection.execute("COMMIT")
        return count

    def _keys(self, key_ids: list[str]) -> list[bytes | None]:
        with self._connection() as connection:
            rows = [
                connection.execute("SELECT wrapped FROM order_key WHERE key_id = ?", (key_id,)).fetchone()
                for key_id in key_ids
            ]
        return [row and self._unwrap(key_id, row[0]) for key_id, row in zip(key_ids, rows, strict=True)]

    def _wrap(self, key_id: str, key: bytes) -> bytes:
        return credentials.seal(self._wrapping_key(), key, _wrapped_place(key_id))

    def _unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        return credentials.unseal(self._wrapping_key(), wrapped, _wrapped_place(key_id))

    def _wrapping_key(self) -> bytes:
        if self._wrapping is None:
            self._wrapping = credentials.sub_key(self._master_key(), "personal")
        return self._wrapping

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


def _marks(connection: Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _make_book(connection: Connection) -> None:
    """Under the write lock, and only in an empty file: another process may just have made it."""
    connection.execute("BEGIN IMMEDIATE")
    if not connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        for statement in _NEW_BOOK:
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


# --- files ------------------------------------------------------------------------------------------------

_making_a_file = threading.Lock()


def private_folder(path: Path) -> Path:
    """`path`, made with mode 0700 (parents too) when missing. SettingsError when others can write into it."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the folder {path} cannot be made: {error.strerror}") from None
    if not path.is_dir():
        raise SettingsError(f"{path} is not a folder")
    if path.stat().st_mode & 0o022:
        raise SettingsError(f"other users can write into {path}", f"Run: chmod go-w {path}")
    return path


def private_file(path: Path) -> Path:
    """`path`, made empty with mode 0600 when missing. SettingsError when it is not a file of ours alone.

    Files that SQLite lays beside it (journal, WAL) take its mode.
    """
    import stat

    # Closing a file drops this process's SQLite locks on it, so no thread may open it while another makes it.
    with _making_a_file:
        facts = _lstat_or_make(path)
    if not stat.S_ISREG(facts.st_mode):
        raise SettingsError(f"{path} is not a regular file")
    if facts.st_mode & 0o077:
        raise SettingsError(f"other users can open {path}", f"Run: chmod 600 {path}")
    return path


def _lstat_or_make(path: Path) -> os.stat_result:
    try:
        if not os.path.lexists(path):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600))
    except FileExistsError:
        pass  # another process made it this moment
    except OSError as error:
        raise SettingsError(f"{path} cannot be made: {error.strerror}") from None
    return os.lstat(path)


# --- text and logs ----------------------------------------------------------------------------------------

_BLANKS = re.compile(r"[\t\n\v\f\r\x85]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_MASKS = (
    (re.compile(r"(/[^\s?\"'<>]*)\?[^\s\"'<>]+"), r"\1?***"),  # query strings: signed URLs, tokens
    (re.compile(r"(://)[^\s/@]+@"), r"\1***@"),  # user:password in a URL
    (re.compile(r"\b(Atz[ar])\|[^\s\"'&,<>]+"), r"\1|***"),  # Login with Amazon's access and refresh tokens
    (re.compile(r"\bamzn1\.oa2-cs\.[\w.]+"), "amzn1.oa2-cs.***"),  # and its client secrets
)


def strip_control(text: str) -> str:
    """`text` without C0 and C1 control characters, so that a remote's data cannot steer a terminal.

    A run of line breaks or tabs becomes one space, to keep the words beside it apart.
    """
    return _CONTROLS.sub("", _BLANKS.sub(" ", text))


class RedactingFilter:
    """The last net under the log: masks query strings, tokens and the secrets it was told of."""

    def __init__(self, known_secrets: Iterable[str] = ()) -> None:
        self._known: set[str] = set()
        for secret in known_secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Mask `secret` from now on, URL-quoted too; one below 4 characters would hide plain words."""
        from urllib.parse import quote

        if len(secret) >= 4:
            self._known |= {secret, quote(secret, safe="")}

    def clean(self, text: str) -> str:
        """`text` with what must not be read replaced by ***."""
        for secret in sorted(self._known, key=len, reverse=True):
            text = text.replace(secret, "***")
        for pattern, mask in _MASKS:
            text = pattern.sub(mask, text)
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean a record's message, traceback and stack in place. Always lets the record through."""
        record.msg, record.args = self.clean(_message(record)), None
        if record.exc_info:
            record.exc_text = self.clean(_traceback(record.exc_info))
            record.exc_info = None  # or a handler could render the traceback anew, unmasked
        if record.stack_info:
            record.stack_info = self.clean(record.stack_info)
        return True


def quiet_libraries(known_secrets: Iterable[str] = ()) -> RedactingFilter:
    """Stop httpx from logging URLs, and put a RedactingFilter under every log line of this process.

    It is installed where records are made: a filter on the root logger would miss the records of other
    loggers, and one on its handlers would miss handlers that are added later.
    """
    import logging

    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    net = RedactingFilter(known_secrets)

    def redacted_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = logging.LogRecord(*args, **kwargs)
        net.filter(record)
        return record

    logging.setLogRecordFactory(redacted_record)
    return net


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # a wrong log call must not stop the work it reports on; logging's own handlers do the same
        return f"a log line could not be put together: {record.msg!r}"


def _traceback(exc_info: tuple[object, ...]) -> str:
    import traceback

    error = exc_info[1]
    return "".join(traceback.format_exception(error)).rstrip() if isinstance(error, BaseException) else ""
