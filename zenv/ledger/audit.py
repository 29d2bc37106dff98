"""The audit trail: who did what that must be answered for, and how it ended. Append-only, chained as movements are,
without personal data, and kept for good: redaction does not touch it.

An entry is written in the transaction of what it tells of, so that neither stands without the other.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, func, select

from zenv.ledger import chain, views
from zenv.ledger.models import Audit
from zenv.ledger.transaction import AnyRow, Transaction, as_stored, row, table
from zenv.privacy import strip_control

audit = table(Audit)

FIELDS = ("at", "actor", "action", "subject", "result", "detail")
Result = Literal["done", "refused", "failed"]


def record(t: Transaction, action: str, subject: str = "", result: Result = "done", detail: str = "") -> None:
    """Write an entry. `action` is a short constant such as `looked at recipient`; `subject` a number or a name of ours,
    never a person's; `detail` counts and words of ours."""
    said = {"action": action, "subject": strip_control(subject)[:200], "result": result,
            "detail": strip_control(detail)[:500]}  # fmt: skip
    digest = chain.link(last(t.sql), (as_stored(t.now), t.actor, *said.values()))
    t.sql.execute(audit.insert(), row(Audit, at=t.now, actor=t.actor, digest=digest, **said))


def times(sql: Connection, action: str) -> int:
    """How often something was done."""
    return int(sql.execute(select(func.count()).where(audit.c.action == action)).scalar_one())


def last(sql: Connection) -> bytes:
    """The digest of the newest entry: whoever keeps it elsewhere can prove later that nothing was taken out."""
    found = sql.exec_driver_sql("SELECT digest FROM audit ORDER BY id DESC LIMIT 1").scalar()
    return chain.BEGINNING if found is None else bytes(found)


def broken(sql: Connection) -> list[int]:
    """The entries whose digest does not follow from the one before them."""
    wrong, before = [], chain.BEGINNING
    found = sql.exec_driver_sql(f"SELECT id, digest, {', '.join(FIELDS)} FROM audit ORDER BY id")
    for number, digest, *values in found:
        if chain.link(before, values) != digest:
            wrong.append(int(number))
        before = bytes(digest)
    return wrong


REMOVED_OLD = "removed old orders"


def removed_until(sql: Connection) -> datetime | None:
    """Orders placed before this have been taken out of the ledger for their age (retention), if any ever were."""
    said = dict(word.partition("=")[::2] for word in last_detail(sql, REMOVED_OLD).split())
    return datetime.fromisoformat(said["until"]) if "until" in said else None


def holds(sql: Connection, digest: bytes) -> bool:
    """Whether an entry has this digest: one that was kept elsewhere still stands where it stood."""
    query = "SELECT 1 FROM audit WHERE digest = ?"
    return digest == chain.BEGINNING or sql.exec_driver_sql(query, (digest,)).first() is not None


def count(sql: Connection) -> int:
    """How many entries there are."""
    return int(sql.exec_driver_sql("SELECT COUNT(*) FROM audit").scalar_one())


def last_detail(sql: Connection, action: str) -> str:
    """The details of the newest entry of one action; empty where there is none."""
    query = select(audit.c.detail).where(audit.c.action == action).order_by(audit.c.id.desc()).limit(1)
    return str(sql.execute(query).scalar() or "")


def of_action(sql: Connection, action: str, since: datetime, until: datetime) -> list[AnyRow]:
    """The entries of one action between two moments, oldest first."""
    wanted = (audit.c.action == action, audit.c.at >= since, audit.c.at <= until)
    return list(sql.execute(select(audit).where(*wanted).order_by(audit.c.id)).all())


def listed(
    home: Path, action: str | None, subject: str | None, actor: str | None, since: str | None, limit: int
) -> views.Table:
    """The newest entries first, those that fit what was asked for."""
    return views.rows(
        home,
        "SELECT entry, at, actor, action, subject, result, detail FROM audit_trail"
        " WHERE (?1 IS NULL OR action = ?1) AND (?2 IS NULL OR subject = ?2) AND (?3 IS NULL OR actor = ?3)"
        " AND (?4 IS NULL OR at >= ?4) ORDER BY entry DESC LIMIT ?5",
        (action, subject, actor, since, limit),
    )
