"""Copies of the ledger: consistent while others write, proved sound before they are called a backup.

SQLite itself writes the copy (`VACUUM INTO`): a plain copy of a file that is being written is torn, and opening the
living file besides SQLite drops its locks. `keys.db` is never copied: whoever is redacted is so in every backup.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenv.errors import BadInput, DiskTrouble, Refused, WrongLedger, ZenvError
from zenv.ledger import audit, invariants, sqlite
from zenv.ledger.book import Book
from zenv.ledger.db import plain_errors
from zenv.ledger.home import BACKUPS, LEDGER
from zenv.privacy import private_folder

KEPT = 7
"""So many backups of its own zenv keeps, unless told otherwise."""
OURS = re.compile(r"ledger-\d{8}T\d{6}Z\.db")
"""The name zenv gives by itself; no other file is ever removed."""

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True)
class Backup:
    """A copy that was proved sound; `bytes` of the file."""

    path: str
    bytes: int
    orders: int
    movements: int


@dataclass(frozen=True)
class Kept:
    """A file a ledger could be restored from; without numbers where it cannot be read."""

    file: str
    made_at: str
    bytes: int
    schema: int | None
    orders: int | None
    movements: int | None
    ledger: str


def make(book: Book, path: Path | None = None, keep: int = KEPT, progress: Progress | None = None) -> Backup:
    """Copy the ledger to `path`, or into the folder of backups, of which the newest `keep` stay.

    Raises BadInput for a place that is none, DiskTrouble when the disk has no room, Refused when the file is there
    already or the ledger is not sound: a copy of broken books must not push out a good one.
    """
    if keep < 1:
        raise BadInput(f"{keep} backups cannot be kept.", "give 1 or more")
    tell = progress or _nobody
    target = path.expanduser().absolute() if path is not None else _next_path(book)
    _check_place(book, target)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
    try:
        tell("copying", 0, 3)
        _copy(book, unfinished)
        tell("proving", 1, 3)
        made = _proved(book, unfinished, target)
        unfinished.rename(target)
        sync(target.parent)
    finally:
        unfinished.unlink(missing_ok=True)
    tell("done", 3, 3)
    if path is None:
        _let_go(target, keep)
    return made


def make_on_record(book: Book, path: Path | None = None, keep: int = KEPT, progress: Progress | None = None) -> Backup:
    """`make`, and the audit trail says that a copy was begun: the copy tells of itself."""
    with book.transaction() as t:
        audit.record(t, "began backup", path.name if path is not None else "")
    return make(book, path, keep, progress)


def _nobody(what: str, done: int, total: int | None) -> None:
    """Nobody watches."""


def _next_path(book: Book) -> Path:
    folder = private_folder(book.home / BACKUPS)
    return folder / f"ledger-{book.clock():%Y%m%dT%H%M%SZ}.db"


def _check_place(book: Book, target: Path) -> None:
    if not target.parent.is_dir():
        raise BadInput(f"There is no folder {target.parent}.")
    if target.exists():
        raise Refused(f"There is a file {target} already; it was left as it is.", "zenv backup FILE")
    with book.reading() as sql:
        pages, size = (int(sql.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in ("page_count", "page_size"))
    free = shutil.disk_usage(target.parent).free
    if free < pages * size:
        raise DiskTrouble(f"The backup needs {pages * size:,} bytes in {target.parent}, where {free:,} are free.",
                          "Make room, or give another place: zenv backup FILE")  # fmt: skip


def _copy(book: Book, unfinished: Path) -> None:
    sqlite.make_private(unfinished)
    with plain_errors(), book.engine.connect() as sql:
        driver = sql.connection.driver_connection
        assert driver is not None
        # Past SQLAlchemy, which would begin a transaction first: inside one this is not allowed.
        driver.execute("VACUUM INTO ?", (str(unfinished),)).close()
    sync(unfinished)


def _proved(book: Book, unfinished: Path, target: Path) -> Backup:
    broken = invariants.check_copy(unfinished, book.clock())
    if broken:
        raise Refused(f"The books are not sound ({broken[0].subject}: {broken[0].text}), so the copy was not kept. "
                      "Older backups were left as they are.", "zenv doctor")  # fmt: skip
    facts = look_at(unfinished)
    return Backup(str(target), unfinished.stat().st_size, facts["orders"], facts["movements"])


def _let_go(made: Path, keep: int) -> None:
    """Remove the oldest of zenv's own, never the one just made, whatever its name says of the time."""
    others = sorted(
        (path for path in made.parent.iterdir() if OURS.fullmatch(path.name) and path != made), reverse=True
    )
    for path in others[keep - 1 :]:
        path.unlink()


def sync(path: Path) -> None:
    """Wait until a file or folder of ours (never the living ledger) is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---- what there is ---------------------------------------------------------------------------------------


def kept(home: Path) -> list[Kept]:
    """The files in the folder of backups, newest first: zenv's own, those from before an upgrade, replaced ones."""
    folder = home / BACKUPS
    there = (path for path in folder.glob("*.db") if not path.name.startswith("."))
    # A restore that was killed may have left the living ledger a second name there.
    living = home / LEDGER
    found = [path for path in there if not (living.exists() and path.samefile(living))]
    return [
        _described(path) for path in sorted(found, key=lambda path: (path.stat().st_mtime, path.name), reverse=True)
    ]


def _described(path: Path) -> Kept:
    from datetime import UTC, datetime

    facts = path.stat()
    made_at = datetime.fromtimestamp(facts.st_mtime, UTC).isoformat(" ", "seconds")
    try:
        about = look_at(path)
    except (WrongLedger, DiskTrouble) as trouble:
        return Kept(str(path), made_at, facts.st_size, None, None, None, trouble.message)
    return Kept(str(path), made_at, facts.st_size, about["schema"], about["orders"], about["movements"], about["name"])


def look_at(path: Path) -> dict[str, Any]:
    """What a ledger file that nobody has open says of itself: ledger_id, name, schema, orders, movements.

    Raises WrongLedger when it is damaged or another program's, DiskTrouble when it cannot be read.
    """
    connection = None
    try:
        connection = sqlite.open_ours(path)
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        said = connection.execute(
            "SELECT ledger_id, name, (SELECT COUNT(*) FROM customer_order), (SELECT COUNT(*) FROM movement)"
            " FROM company"
        ).fetchone()
    except sqlite.module.DatabaseError as error:
        trouble = sqlite.plain(error)
        raise (trouble if isinstance(trouble, ZenvError) else WrongLedger(f"{path} is damaged.")) from None
    finally:
        if connection is not None:
            connection.close()
    if said is None:
        raise WrongLedger(f"{path} holds no company; it was left as it was.")
    return dict(zip(("ledger_id", "name", "orders", "movements"), said, strict=True)) | {"schema": schema}
