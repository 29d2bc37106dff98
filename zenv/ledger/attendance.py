"""Who keeps the schedule, the daemon or `zenv sync due`, and when they were last seen at it."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.ledger.models import Attendance
from zenv.ledger.transaction import AnyRow, Transaction, row, table

attendance = table(Attendance)

SIGN_EVERY = timedelta(minutes=1)
"""How often the daemon writes that it is there: each time costs a commit."""
TIME_OFF = timedelta(hours=1)
"""Nobody was there for so long: what may not wait (redaction) comes first."""


def sign(t: Transaction, who: str, state: str = "", new: bool = False) -> None:
    """`who` is at work; `new` says it has just begun."""
    begun = {"started_at": t.now, "host": socket.gethostname(), "pid": os.getpid()}
    seen = {"seen_at": t.now, "ended_at": None, "state": state} | (begun if new else {})
    entry = insert_or_update(attendance).values(row(Attendance, who=who, **(begun | seen)))
    t.sql.execute(entry.on_conflict_do_update(index_elements=["who"], set_=seen))


def sign_off(t: Transaction, who: str) -> None:
    """`who` has ended in good order."""
    t.sql.execute(attendance.update().where(attendance.c.who == who).values(ended_at=t.now, seen_at=t.now, state=""))


def last_seen(sql: Connection) -> datetime | None:
    """When anybody was last at it; None when nobody ever was."""
    found: datetime | None = sql.execute(select(func.max(attendance.c.seen_at))).scalar()
    return found


def of(sql: Connection, who: str) -> AnyRow | None:
    """The entry of `who`."""
    return sql.execute(select(attendance).where(attendance.c.who == who)).one_or_none()
