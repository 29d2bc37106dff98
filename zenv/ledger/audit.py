"""The audit trail: who did what that must be answered for, and how it ended. Append-only, chained as movements are,
without personal data, and kept for good: redaction does not touch it.

An entry is written in the transaction of what it tells of, so that neither stands without the other.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy import Connection

from zenv.ledger import chain
from zenv.ledger.models import Audit
from zenv.ledger.transaction import Transaction, as_stored, row, table
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
