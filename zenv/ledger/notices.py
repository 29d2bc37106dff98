"""Things a person must look at that no table shows by itself; one per (kind, subject)."""

from __future__ import annotations

from collections.abc import Collection
from shlex import quote

from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.errors import NotFound
from zenv.ledger.models import Notice
from zenv.ledger.transaction import Transaction, row, table

notices = table(Notice)


def notice(t: Transaction, kind: str, subject: str, text: str, command: str = "") -> None:
    """Put it on the inbox; said again, it is shown again with its newer text."""
    settle_with = command or f"zenv inbox settle {quote(kind)} {quote(subject)}"
    entry = insert_or_update(notices).values(
        row(Notice, kind=kind, subject=subject, text=text, command=settle_with, noticed_at=t.now)
    )
    t.sql.execute(
        entry.on_conflict_do_update(
            index_elements=["kind", "subject"],
            set_={"text": text, "command": settle_with, "noticed_at": t.now, "settled_at": None},
        )
    )


def settle_notice(t: Transaction, kind: str, subject: str) -> None:
    """The person has dealt with it; raises NotFound when there is no such open entry."""
    if not withdraw(t, kind, subject):
        raise NotFound(f"The inbox has no {kind} for {subject} that can be settled by hand.", "zenv inbox")


def only_these(t: Transaction, kind: str, subjects: Collection[str]) -> None:
    """Of this kind nothing else holds any more."""
    gone = (notices.c.kind == kind, notices.c.settled_at.is_(None), notices.c.subject.not_in(subjects))
    t.sql.execute(notices.update().where(*gone).values(settled_at=t.now))


def withdraw(t: Transaction, kind: str, subject: str) -> bool:
    """What it says no longer holds, or was answered; whether there was such an open entry."""
    open_one = (notices.c.kind == kind, notices.c.subject == subject, notices.c.settled_at.is_(None))
    return bool(t.sql.execute(notices.update().where(*open_one).values(settled_at=t.now)).rowcount)
