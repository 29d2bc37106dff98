"""The history of runs: every attempt leaves a record, also one that found nothing, and says why (C1).

A running run holds a lease, so that two processes never work on the same task of the same connection at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select

from zenv.errors import Busy
from zenv.facts import BadRecord
from zenv.ledger.models import Run, RunFailure
from zenv.ledger.transaction import Transaction, row, table
from zenv.privacy import strip_control

runs, failures = table(Run), table(RunFailure)

LEASE = timedelta(minutes=15)
"""Renewed with every recorded page; after it a run is taken for dead."""


@dataclass
class Tally:
    """What a run has done so far."""

    items: int = 0
    orders: int = 0
    sent: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, page: Tally) -> None:
        """Count what a page has brought."""
        self.items += page.items
        self.orders += page.orders
        self.failed += page.failed


def begin(t: Transaction, connection: int, task: str) -> int:
    """Start a run; raises Busy when the same task of this connection is running."""
    running = (runs.c.connection_id == connection, runs.c.task == task, runs.c.outcome == "running")
    other = t.sql.execute(select(runs.c.id, runs.c.lease_until).where(*running)).all()
    if any(found.lease_until >= t.now for found in other):
        raise Busy(f"Task {task} of this connection is running already.", "zenv sync history")
    if other:
        t.sql.execute(runs.update().where(*running).values(outcome="abandoned", ended_at=t.now))
    started = row(Run, connection_id=connection, task=task, started_at=t.now, lease_until=t.now + LEASE)
    return int(t.sql.execute(runs.insert().returning(runs.c.id), started).scalar_one())


def renew(t: Transaction, run: int) -> None:
    """The run is alive."""
    t.sql.execute(runs.update().where(runs.c.id == run).values(lease_until=t.now + LEASE))


def set_aside(t: Transaction, run: int, records: Sequence[BadRecord]) -> None:
    """Records that could not be taken, each with its reason; an older entry of the same record is settled."""
    for record in records:
        same = (failures.c.kind == record.kind, failures.c.remote_id == record.remote_id)
        t.sql.execute(failures.update().where(*same, failures.c.settled_at.is_(None)).values(settled_at=t.now))
    t.insert(RunFailure, [
        row(RunFailure, run_id=run, kind=record.kind, remote_id=strip_control(record.remote_id),
            reason=strip_control(record.reason)[:500])
        for record in records
    ])  # fmt: skip


def came_good(t: Transaction, kind: str, remote_ids: Sequence[str]) -> None:
    """Records set aside earlier were taken now."""
    if remote_ids:
        open_ones = (failures.c.kind == kind, failures.c.settled_at.is_(None))
        waiting = set(t.sql.execute(select(failures.c.remote_id).where(*open_ones)).scalars())
        good = waiting & set(remote_ids)
        if good:
            t.sql.execute(failures.update().where(*open_ones, failures.c.remote_id.in_(good)).values(settled_at=t.now))


def end(t: Transaction, run: int, outcome: str, tally: Tally) -> None:
    """Write down how the run ended."""
    t.sql.execute(
        runs.update()
        .where(runs.c.id == run)
        .values(ended_at=t.now, lease_until=None, outcome=outcome, items=tally.items, orders=tally.orders,
                sent=tally.sent, failed=tally.failed, note=strip_control("; ".join(tally.notes))[:500])
    )  # fmt: skip
