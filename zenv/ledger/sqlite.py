"""Which SQLite is used, and how a file of ours is opened.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL file that several processes share (sqlite.org/wal.html, "WAL-reset
bug"), which is exactly a daemon beside a command. So the write-ahead log is used only with a mended library
(the `pysqlite3` wheel bundles one); elsewhere the ledger keeps a rollback journal.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from zenv.errors import Busy, DiskTrouble, WrongLedger
from zenv.ledger.home import APPLICATION_ID

try:
    import pysqlite3 as sqlite3
except ImportError:  # no wheel for this platform: the standard library's, with the safe journal
    import sqlite3

module: Any = sqlite3


def wal_is_safe(version: tuple[int, int, int]) -> bool:
    """Whether this version has the mended WAL reset."""
    return version >= (3, 51, 3) or (3, 50, 7) <= version < (3, 51, 0) or (3, 44, 6) <= version < (3, 45, 0)


def prepare(connection: Any, busy_seconds: float) -> None:
    """Set every connection up alike: our own BEGIN, foreign keys, erasing deletes, durable commits."""
    connection.isolation_level = None
    wal = wal_is_safe(module.sqlite_version_info)
    for pragma in (
        f"busy_timeout={int(busy_seconds * 1000)}",
        f"journal_mode={'WAL' if wal else 'TRUNCATE'}",
        f"synchronous={'FULL' if wal else 'EXTRA'}",
        "foreign_keys=ON",
        "trusted_schema=OFF",
        "secure_delete=ON",
        "cell_size_check=ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def read_only(path: Path) -> Any:
    """A plain connection that cannot write, for list commands and `zenv sql`."""
    connection = module.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=10)
    connection.execute("PRAGMA query_only=ON").close()
    return connection


def open_ours(path: Path) -> Any:
    """A connection that cannot write, to a ledger. Raises WrongLedger for another program's file, which is only
    read: our usual way of opening would change it."""
    connection = read_only(path.absolute())
    try:
        application = connection.execute("PRAGMA application_id").fetchone()[0]
    except module.DatabaseError as error:
        connection.close()
        raise plain(error) from None
    if application != APPLICATION_ID:
        connection.close()
        raise WrongLedger(
            "This file is not a zenv ledger; it was left as it was.", "Choose another folder with --home."
        )
    return connection


def plain(error: Exception) -> Exception:
    """What SQLite says of locks, disks and broken files, as an error a person can act on; else `error` itself."""
    said, operational = str(error), isinstance(error, module.OperationalError)
    if not operational:
        if "not a database" in said or "malformed" in said:
            return WrongLedger(
                "The ledger file is damaged.", "Bring back a backup; the damaged file is kept: zenv restore"
            )
        return error
    if "locked" in said or "busy" in said:
        return Busy("Another zenv is writing to the ledger. Nothing was changed.", "Run the command again.")
    if "disk" in said or "full" in said or "I/O" in said:
        return DiskTrouble(
            f"The disk of the ledger does not take the change ({said}). Nothing was changed.",
            "Make room on the disk, then run the command again.",
        )
    if "readonly" in said or "unable to open" in said:
        return DiskTrouble("The ledger file cannot be written.", "Check who owns the folder.")
    return error


def make_private(path: Path) -> None:
    """Create the file 0600 before SQLite does it 0644; the journal files follow its mode."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600))
