"""A breaker per connection: when its runs fail one after the other it is left alone for a while, then one run is let
through to see. It is shown, it closes by itself, and it never disables a connection (C3)."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.errors import BadInput, BadReply, NotFound, Refused, Throttled, Unreachable, ZenvError
from zenv.ledger.models import Breaker
from zenv.ledger.transaction import AnyRow, Transaction, table

breakers = table(Breaker)

OPENS_AFTER = 5
"""Failed runs in a row, of whichever task: one that goes well starts the count anew."""
FIRST_PAUSE = timedelta(minutes=5)
LONGEST_PAUSE = timedelta(hours=1)

COUNTED = (Unreachable, BadReply, NotFound, Refused, BadInput)
"""What speaks against the remote. A full disk, a key that does not open or a stop say nothing about it."""


def heard(t: Transaction, connection: int, error: ZenvError | None) -> None:
    """How a run of this connection ended."""
    found = t.sql.execute(select(breakers).where(breakers.c.connection_id == connection)).one_or_none()
    if error is None or isinstance(error, Throttled):
        if found is not None and found.failures:
            _write(t, connection, failures=0, opened_at=None, open_until=None, why="")
    elif isinstance(error, COUNTED):
        _write(t, connection, **_after_failure(found, error, t.now))


def _after_failure(found: AnyRow | None, error: ZenvError, now: datetime) -> dict[str, object]:
    failures = (found.failures if found is not None else 0) + 1
    opened_at = found.opened_at if found is not None else None
    if failures < OPENS_AFTER:
        return {"failures": failures, "opened_at": None, "open_until": None, "why": error.message}
    pause = min(FIRST_PAUSE * 2 ** min(failures - OPENS_AFTER, 10), LONGEST_PAUSE)
    return {"failures": failures, "opened_at": opened_at or now, "open_until": now + pause, "why": error.message}


def _write(t: Transaction, connection: int, **values: object) -> None:
    entry = insert_or_update(breakers).values(connection_id=connection, **values)
    t.sql.execute(entry.on_conflict_do_update(index_elements=["connection_id"], set_=values))


def half_open(found: AnyRow) -> bool:
    """Whether a due task (a row of `schedule.due`) is let through only to see whether the remote is back."""
    return found.open_until is not None
