"""Restoring: the books travel back in time, and the world outside has gone on.

A copy of the backup is made ready beside the ledger: brought to this version, and with everything marked that may
have happened since. Then the present file gets a second name among the backups, and the copy takes its place in one
rename. A kill at any moment leaves the present ledger or the restored one, whole.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import text

from zenv.errors import BadInput, Busy, DiskTrouble, NotFound, Refused, WrongLedger
from zenv.ledger import audit, invariants, migrations, outbox, sqlite
from zenv.ledger.backup import look_at, sync
from zenv.ledger.book import Book, open_book
from zenv.ledger.home import BACKUPS, DAEMON_LOCK, LEDGER, alone, daemon_is_running
from zenv.ledger.invariants.finding import RESTORE
from zenv.ledger.transaction import Transaction, as_stored
from zenv.privacy import private_folder

WORKSHOP = ".restoring-"
BESIDE = ("", "-wal", "-shm", "-journal")
"""The ledger, and what SQLite lays beside it."""


@dataclass(frozen=True)
class Difference:
    """The present ledger beside the one to be restored; None where the present one cannot be read."""

    what: str
    now: int | str | None
    then: int | str


@dataclass(frozen=True)
class Restored:
    """What was restored, where the replaced file is kept (empty: there was none), and what is to be looked up."""

    file: str
    replaced: str
    orders: int
    movements: int
    looked_up: int
    connections: tuple[str, ...]
    findings: int


def compare(home: Path, file: Path, other_ledger: bool = False) -> list[Difference]:
    """What restoring would change. Raises what `restore` raises for a file that cannot be restored."""
    then = _checked(home, file, other_ledger)
    now = _present(home)
    named = {"company": "name", "schema": "schema", "orders": "orders", "movements": "movements"}
    return [Difference(what, now.get(name) if now else None, then[name]) for what, name in named.items()]


def restore(home: Path, file: Path, clock: Callable[[], datetime], other_ledger: bool = False) -> Restored:
    """Put the ledger in `file` in the place of the present one, which is kept.

    Raises Busy while a daemon or another process has the ledger open, NotFound without the file, WrongLedger when
    it is damaged, newer or no ledger, Refused when it is another company's and `other_ledger` does not say so.
    """
    private_folder(home)
    with _nobody_else(home):
        _checked(home, file, other_ledger)
        _clear_up(home)
        workshop = private_folder(home / f"{WORKSHOP}{uuid.uuid4().hex}")
        try:
            looked_up, names = _made_ready(workshop, file, clock)
            about, findings = look_at(workshop / LEDGER), _findings(workshop / LEDGER, file, clock())
            replaced = _swap(home, workshop / LEDGER, clock())
        finally:
            shutil.rmtree(workshop)
    return Restored(str(file), replaced, about["orders"], about["movements"], looked_up, names, findings)


@contextmanager
def _nobody_else(home: Path) -> Iterator[None]:
    """No daemon runs, none starts meanwhile, and nobody else restores."""
    running = "The daemon works on this ledger, or somebody else restores it."
    if daemon_is_running(home):
        raise Busy(running, "Stop the daemon, then run the command again.")
    with alone(home / DAEMON_LOCK, running):
        yield


def _checked(home: Path, file: Path, other_ledger: bool) -> dict[str, int | str]:
    if not file.is_file():
        raise NotFound(f"There is no file {file}.", "zenv restore")
    if (home / LEDGER).exists() and file.samefile(home / LEDGER):
        raise BadInput(f"{file} is the present ledger.", "zenv restore")
    then = look_at(file)
    if then["schema"] > migrations.NEWEST:
        raise WrongLedger(f"{file} was written by a newer zenv (schema {then['schema']}); nothing was changed.",
                          "pip install --upgrade zenv")  # fmt: skip
    _check_sound(file)
    now = _present(home)
    if now and now["ledger_id"] != then["ledger_id"] and not other_ledger:
        raise Refused(f"{file} is the ledger of {then['name']}, not a backup of this one; nothing was changed.",
                      "add --other-ledger to put it here all the same")  # fmt: skip
    return then


def _check_sound(file: Path) -> None:
    connection = sqlite.open_ours(file)
    try:
        said = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        orphan = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite.module.DatabaseError as error:
        raise sqlite.plain(error) from None
    finally:
        connection.close()
    if said != "ok" or orphan is not None:
        raise _damaged(file)


def _findings(ready: Path, file: Path, now: datetime) -> int:
    """How much is to be mended afterwards; what cannot be is refused: there may be an older backup without it."""
    found = invariants.check_copy(ready, now)
    if any(finding.command == RESTORE for finding in found):
        raise _damaged(file)
    return len(found)


def _damaged(file: Path) -> WrongLedger:
    return WrongLedger(f"{file} is damaged itself; nothing was changed.", "zenv restore")


def _present(home: Path) -> dict[str, int | str] | None:
    """What the present ledger says of itself; None when there is none or it cannot be read."""
    if not (home / LEDGER).is_file():
        return None
    try:
        return look_at(home / LEDGER)
    except (WrongLedger, DiskTrouble):
        return None  # that is why it is to be replaced


def _clear_up(home: Path) -> None:
    """What a killed restore left: its workshop, and a second name of the ledger that was never replaced."""
    for workshop in home.glob(f"{WORKSHOP}*"):
        shutil.rmtree(workshop)
    for end in BESIDE:
        living = home / f"{LEDGER}{end}"
        for second in (home / BACKUPS).glob(f"replaced-*.db{end}"):
            if living.exists() and second.samefile(living):
                second.unlink()


# ---- the copy --------------------------------------------------------------------------------------------


def _made_ready(workshop: Path, file: Path, clock: Callable[[], datetime]) -> tuple[int, tuple[str, ...]]:
    """A ledger in the workshop that knows it has been away; how much is to be looked up, and its connections."""
    _copy(file, workshop / LEDGER)
    with open_book(workshop, "zenv restore", clock) as book:
        with book.transaction() as t:
            looked_up = say_what_is_uncertain(t)
            audit.record(t, "restored", file.name)
            names = t.sql.execute(text("SELECT name FROM connection WHERE status <> 'removed' ORDER BY name")).scalars()
            connections = tuple(names)
        _into_one_file(book)
    sync(workshop / LEDGER)
    return looked_up, connections


def _copy(file: Path, target: Path) -> None:
    sqlite.make_private(target)
    connection = sqlite.open_ours(file)
    try:
        connection.execute("PRAGMA query_only=OFF").close()  # it counts the copy as a change; the file stays read-only
        connection.execute("VACUUM INTO ?", (str(target),)).close()
    except sqlite.module.DatabaseError as error:
        raise sqlite.plain(error) from None
    finally:
        connection.close()


# A provider heeds only what is newer than all it has heard: more than what was said since the backup.
OVERTAKEN = (
    "UPDATE fulfilment SET version = version + 1000, told = told + CASE WHEN told = version THEN 1000 ELSE 0 END"
    " WHERE state <> 'taken'",
    "UPDATE inbound SET version = version + 1000, told = told + CASE WHEN told = version THEN 1000 ELSE 0 END"
    " WHERE version > 0 AND connection_id IN (SELECT id FROM connection WHERE kind = 'zfn')",
)


def say_what_is_uncertain(t: Transaction) -> int:
    """Since the backup was made packages may have been told, quantities changed, runs begun: all of it is looked up
    or told again. How many messages are looked up first.

    Here tables of several subjects are written, as in a mend: no operation travels in time.
    """
    looked_up = outbox.doubt(t)
    t.sql.execute(text("UPDATE listing SET submitted = NULL, submitted_handling = NULL, applied_at = NULL"))
    t.touch(*t.sql.execute(text("SELECT DISTINCT item_id FROM listing WHERE item_id IS NOT NULL")).scalars())
    for told in OVERTAKEN:
        t.sql.execute(text(told))
    now = {"now": as_stored(t.now)}
    t.sql.execute(text("UPDATE run SET outcome = 'abandoned', ended_at = :now, lease_until = NULL"
                       " WHERE outcome = 'running'"), now)  # fmt: skip
    t.sql.execute(text("UPDATE scheduled_task SET next_at = :now"), now)
    return looked_up


def _into_one_file(book: Book) -> None:
    """A rename moves one file: nothing may be left in a write-ahead log beside it."""
    book.engine.dispose()
    connection = sqlite.module.connect(book.home / LEDGER)
    try:
        (mode,) = connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    finally:
        connection.close()
    if mode != "delete":
        raise Busy("Somebody has opened the copy that is being made ready. Nothing was changed.")


# ---- the swap --------------------------------------------------------------------------------------------


def _swap(home: Path, ready: Path, now: datetime) -> str:
    """Give the present file its second name, then rename the new one over it; the second name."""
    folder = private_folder(home / BACKUPS)
    if not any((home / f"{LEDGER}{end}").exists() for end in BESIDE):
        _put(ready, home)
        return ""
    replaced = folder / f"replaced-{now:%Y%m%dT%H%M%S%f}Z.db"
    with _held(home / LEDGER) as whole:
        for end in BESIDE[:1] if whole else BESIDE:
            if (home / f"{LEDGER}{end}").exists():
                folder.joinpath(f"{replaced.name}{end}").hardlink_to(home / f"{LEDGER}{end}")
        sync(folder)
        for end in BESIDE[1:] if not whole else ():
            # Left beside the new file, an old log would be played into it.
            (home / f"{LEDGER}{end}").unlink(missing_ok=True)
        _put(ready, home)
    return str(replaced)


def _put(ready: Path, home: Path) -> None:
    ready.replace(home / LEDGER)
    sync(home)


@contextmanager
def _held(ledger: Path) -> Iterator[bool]:
    """Hold the present ledger so that nobody else can use it, with its log checkpointed into it; whether that was
    possible. A damaged one cannot be held, but nobody can use it either. Raises Busy."""
    connection = sqlite.module.connect(ledger, isolation_level=None, timeout=2) if ledger.exists() else None
    try:
        yield connection is not None and _exclusively(connection)
    finally:
        if connection is not None:
            connection.close()


def _exclusively(connection: Any) -> bool:
    """A write-ahead log is left only by whoever is alone with the file; the lock then stays until the swap is done."""
    try:
        for statement in ("PRAGMA locking_mode=EXCLUSIVE", "PRAGMA journal_mode=DELETE", "BEGIN EXCLUSIVE"):
            connection.execute(statement).fetchall()
    except sqlite.module.DatabaseError as error:
        trouble = sqlite.plain(error)
        if isinstance(trouble, Busy):
            raise Busy("Another zenv has the ledger open. Nothing was changed.", "Run the command again.") from None
        return False
    return True
