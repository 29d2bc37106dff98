"""Tables that are only ever added to: a trigger refuses anything else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection

from zenv.ledger import audit
from zenv.ledger.invariants.finding import Finding, mend

APPEND_ONLY = {"movement": "movements are append-only", "audit": "the audit trail is append-only"}
"""Table -> what SQLite says to whoever wants to change one of its rows."""


def triggers() -> Iterator[tuple[str, str]]:
    """Name and text of every trigger that keeps a table append-only."""
    for table, words in APPEND_ONLY.items():
        for name, deed in ((f"{table}_is_never_changed", "UPDATE"), (f"{table}_is_never_deleted", "DELETE")):
            yield name, f"CREATE TRIGGER {name} BEFORE {deed} ON {table} BEGIN SELECT RAISE(ABORT, '{words}'); END"


def missing_triggers(sql: Connection) -> list[tuple[str, str]]:
    """Those that are not there, or say something else."""
    found = sql.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    there = {row.name: row.sql for row in found}
    return [(name, wanted) for name, wanted in triggers() if " ".join(str(there.get(name)).split()) != wanted]


def trail_is_a_chain(sql: Connection, _: datetime) -> list[Finding]:
    """I12: no entry of the audit trail was changed or taken out past zenv."""
    return [
        Finding("audit", f"entry {number}", "it does not follow from the entry before it", "zenv audit verify")
        for number in audit.broken(sql)
    ]


def history_cannot_be_changed(sql: Connection, _: datetime) -> list[Finding]:
    """I12: what is append-only refuses to be changed or deleted."""
    return [
        Finding("triggers", name, "rows could be changed without anybody noticing", mend("triggers"))
        for name, _ in missing_triggers(sql)
    ]
