"""The file as SQLite sees it, and the movements as a chain."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from zenv.ledger import chain
from zenv.ledger.home import LEDGER
from zenv.ledger.invariants.finding import RESTORE, Finding, mend

SHOWN = 20
"""A file that is damaged all over is not described line by line."""


def file_is_sound(sql: Connection, _: datetime) -> list[Finding]:
    """I10: SQLite itself finds nothing wrong with the file, and every row has its parent."""
    said = sql.exec_driver_sql(f"PRAGMA integrity_check({SHOWN})").scalars().all()
    orphans = sql.exec_driver_sql("PRAGMA foreign_key_check").fetchmany(SHOWN)
    damaged = [Finding("file", LEDGER, line, RESTORE) for line in said if line != "ok"]
    return damaged + [Finding("file", str(row[0]), "a row without its parent", RESTORE) for row in orphans]


def no_order_is_there_twice(sql: Connection, _: datetime) -> list[Finding]:
    """I2: one order per number and per remote id, also where the index that should keep it so is damaged."""
    return [
        Finding("twice", str(number), f"{count} orders bear this number", RESTORE)
        for query in TWICE
        for number, count in sql.exec_driver_sql(query)
    ]


# A + before a column keeps SQLite from asking the index.
TWICE = (
    "SELECT MIN(number), COUNT(*) FROM customer_order WHERE +connection_id IS NOT NULL"
    " GROUP BY +connection_id, +remote_id HAVING COUNT(*) > 1",
    "SELECT +number, COUNT(*) FROM customer_order NOT INDEXED GROUP BY +number HAVING COUNT(*) > 1",
)


def movements_are_a_chain(sql: Connection, _: datetime) -> list[Finding]:
    """I5: every movement follows from the one before it; none was changed, taken out or put in between."""
    return [
        Finding("chain", f"movement {number}", "it does not follow from the movement before it", mend("chain"))
        for number in chain.broken(sql)[:SHOWN]
    ]
