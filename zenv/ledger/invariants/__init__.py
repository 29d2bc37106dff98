"""What must always be true of the books: small checks, run by `zenv doctor` and by the tests alike.

Each answers with findings and changes nothing. I1 to I13 are the numbers of the promises; I1 and what the remote shows
of I4 need the remote (`compare_orders`). Checks of the BOOKS say whether a copy is worth keeping; those of the WORK
what is going on: a dead run says nothing against a backup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, NullPool, create_engine
from sqlalchemy.exc import DatabaseError

from zenv.errors import Busy, DiskTrouble
from zenv.ledger import sqlite
from zenv.ledger.home import LEDGER
from zenv.ledger.invariants import append_only, file, folder, goods, schema, trade, work
from zenv.ledger.invariants.finding import RESTORE, Finding
from zenv.ledger.invariants.remote import compare_orders

if TYPE_CHECKING:
    from zenv.ledger.book import Book

__all__ = ["BOOKS", "CHECKS", "WORK", "Finding", "check_all", "check_copy", "compare_orders"]

Check = Callable[[Connection, datetime], list[Finding]]

BOOKS: tuple[Check, ...] = (
    file.file_is_sound,
    schema.rules_are_those_of_this_version,
    schema.views_say_what_this_version_says,
    file.no_order_is_there_twice,
    append_only.history_cannot_be_changed,
    file.movements_are_a_chain,
    goods.levels_are_the_fold_of_movements,
    goods.transfers_are_their_movements,
    goods.inbound_lines_are_their_movements,
    trade.packages_hold_lines_of_their_own_order,
    trade.shipped_counts_are_their_packages,
    trade.states_follow_lines,
    goods.nothing_is_reserved_twice,
    goods.reservations_belong_to_open_lines,
    goods.begun_lines_get_their_rest,
)
WORK: tuple[Check, ...] = (
    append_only.trail_is_a_chain,
    trade.nothing_is_owed_twice,
    trade.every_package_is_told_or_owed,
    goods.provider_warehouses_are_shared,
    work.cursors_can_be_read,
    work.no_run_is_dead,
    work.buckets_can_be_emptied_and_filled,
    work.persons_are_gone_on_time,
    work.nothing_lies_open,
)
CHECKS = BOOKS + WORK


def check_all(book: Book) -> list[Finding]:
    """Every finding of every check, those first that the others may follow from."""
    with book.reading() as sql:
        found = check(sql, book.clock())
    return found + folder.files_are_their_owners_alone(book.home)


def check(sql: Connection, now: datetime, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """The findings of these checks. Where the file is so damaged that a question has no answer, that is one."""
    findings: list[Finding] = []
    for one in checks:
        try:
            findings += one(sql, now)
        except DatabaseError as error:
            if not isinstance(error.orig, Exception) or isinstance(sqlite.plain(error.orig), Busy | DiskTrouble):
                raise
            findings.append(Finding("file", LEDGER, f"{one.__name__}: {error.orig}", RESTORE))
        except (TypeError, ValueError) as error:  # a number where text should be
            findings.append(Finding("file", LEDGER, f"{one.__name__}: {error}", RESTORE))
    return findings


def check_copy(path: Path, now: datetime, checks: Sequence[Check] = BOOKS) -> list[Finding]:
    """What is wrong with the books in a file that nobody has open, which is only read."""
    engine = create_engine("sqlite://", module=sqlite.module, creator=lambda: _only_asked(path), poolclass=NullPool)
    try:
        with engine.connect() as sql:
            return check(sql, now, checks)
    finally:
        engine.dispose()


def _only_asked(path: Path) -> Any:
    # Opened with mode=ro, SQLite 3.53 leaves the CHECK constraints out of its integrity check.
    connection = sqlite.module.connect(path)
    connection.execute("PRAGMA query_only=ON").close()
    return connection
