"""What is being done: cursors, runs, rate limits; and what must not be there: persons past their time, plaintext."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from zenv.ledger import redaction
from zenv.ledger.buckets import MOST_TOKENS
from zenv.ledger.invariants.finding import Finding, mend
from zenv.ledger.transaction import as_stored

AHEAD = timedelta(hours=1)
"""Clocks differ; by more than this nothing is read that has not happened yet."""


def cursors_can_be_read(sql: Connection, now: datetime) -> list[Finding]:
    """I8: every cursor is what a connector wrote, and claims to have read nothing that has not happened yet."""
    query = "SELECT c.name, k.stream, k.position FROM cursor k JOIN connection c ON c.id = k.connection_id"
    found = [(f"{row.stream} of {row.name}", cursor_trouble(row.position, now)) for row in sql.execute(text(query))]
    return [Finding("cursors", subject, trouble, mend("cursors")) for subject, trouble in found if trouble]


def cursor_trouble(position: str, now: datetime) -> str:
    """What is wrong with a cursor; nothing, if it can be used."""
    try:
        said = json.loads(position)
    except ValueError:
        return "it cannot be read"
    ahead = [time for time in _times(said) if time > now + AHEAD]
    return f"it says that everything was read until {max(ahead):%Y-%m-%d %H:%M}, which has not come" if ahead else ""


def _times(said: Any) -> Iterator[datetime]:
    """Every word in a cursor that is a time. Only its connector knows what the rest of it means."""
    for word in said.values() if isinstance(said, dict) else ():
        if isinstance(word, str) and len(word) >= len("2026-03-02T08:00"):
            try:
                time = datetime.fromisoformat(word)
            except ValueError:
                continue  # a token or a number of a report
            yield time if time.tzinfo else time.replace(tzinfo=UTC)


def no_run_is_dead(sql: Connection, now: datetime) -> list[Finding]:
    """I9: no run calls itself running after its lease, and no two do the same task of the same connection."""
    return [
        Finding("runs", f"run {row.id}", f"{row.task} {row.trouble}", mend("runs"))
        for row in sql.execute(text(DEAD_RUNS), {"now": as_stored(now)})
    ]


DEAD_RUNS = """
SELECT r.id, r.task, 'calls itself running, but nobody does it any more' AS trouble
  FROM run r WHERE r.outcome = 'running' AND (r.lease_until IS NULL OR r.lease_until < :now)
UNION ALL
SELECT MIN(r.id), r.task, 'is running twice'
  FROM run r WHERE r.outcome = 'running' AND r.lease_until >= :now
 GROUP BY COALESCE(r.connection_id, 0), r.task HAVING COUNT(*) > 1
"""


def buckets_can_be_emptied_and_filled(sql: Connection, now: datetime) -> list[Finding]:
    """I11: no bucket lets more through than any remote does, or nothing for longer than a day."""
    about = {"most": MOST_TOKENS, "now": now.timestamp(), "day": timedelta(days=1).total_seconds()}
    return [
        Finding("buckets", row.key, "it holds what no rate limit gives, or is closed for days", mend("buckets"))
        for row in sql.execute(text(BUCKETS), about)
    ]


# A clock that was set back takes the end of a wait along with it (buckets).
BUCKETS = """
SELECT key FROM rate_bucket
 WHERE NOT (tokens BETWEEN 0 AND :most AND rate > 0 AND rate <= :most AND closed_until - MAX(at, :now) <= :day)
"""


def persons_are_gone_on_time(sql: Connection, now: datetime) -> list[Finding]:
    """I7: nobody is kept longer than 30 days after their order has ended."""
    return [
        Finding("persons", number, "its recipient should have been forgotten", "zenv sync now housekeeping redaction")
        for number in redaction.overdue(sql, now)
    ]


def nothing_lies_open(sql: Connection, _: datetime) -> list[Finding]:
    """I13: credentials and persons are there only sealed (the version byte of a seal says so)."""
    return [
        Finding("seals", row.subject, f"{row.what} is not sealed", mend("seals")) for row in sql.execute(text(UNSEALED))
    ]


UNSEALED = """
SELECT 'secret' AS place, s.connection_id AS owner, c.name AS subject, s.field AS what
  FROM secret s JOIN connection c ON c.id = s.connection_id
 WHERE SUBSTR(s.sealed, 1, 1) <> x'01' OR LENGTH(s.sealed) < 29
UNION ALL
SELECT 'personal', p.order_id, o.number, 'its recipient'
  FROM personal p JOIN customer_order o ON o.id = p.order_id
 WHERE LENGTH(p.sealed) > 0 AND (SUBSTR(p.sealed, 1, 1) <> x'01' OR LENGTH(p.sealed) < 29)
UNION ALL
SELECT 'standing', s.id, 'provider', 'the key by which clients know us' FROM standing s
 WHERE LENGTH(s.sealed) > 0 AND (SUBSTR(s.sealed, 1, 1) <> x'01' OR LENGTH(s.sealed) < 29)
"""
