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
from zenv.ledger.transaction import Transaction, among, row, table
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
    connection = _connection_of(t, run)
    for kind in {record.kind for record in records}:
        came_good(t, connection, kind, [record.remote_id for record in records if record.kind == kind])
    t.insert(RunFailure, [
        row(RunFailure, run_id=run, kind=record.kind, remote_id=strip_control(record.remote_id),
            reason=strip_control(record.reason)[:500])
        for record in records
    ])  # fmt: skip


def _connection_of(t: Transaction, run: int) -> int:
    return int(t.sql.execute(select(runs.c.connection_id).where(runs.c.id == run)).scalar_one())


def came_good(t: Transaction, connection: int, kind: str, remote_ids: Sequence[str]) -> None:
    """Records of this connection that were set aside earlier were taken now."""
    waiting = (
        select(failures.c.id, failures.c.remote_id)
        .join(runs, runs.c.id == failures.c.run_id)
        .where(runs.c.connection_id == connection, failures.c.kind == kind, failures.c.settled_at.is_(None))
    )
    taken = set(remote_ids)
    good = [number for number, remote_id in t.sql.execute(waiting).all() if remote_id in taken] if taken else []
    if good:
        t.sql.execute(failures.update().where(among(failures.c.id, good)).values(settled_at=t.now))


def end(t: Transaction, run: int, outcome: str, tally: Tally) -> None:
    """Write down how the run ended."""
    t.sql.execute(
        runs.update()
        .where(runs.c.id == run)
        .values(ended_at=t.now, lease_until=None, outcome=outcome, items=tally.items, orders=tally.orders,
                sent=tally.sent, failed=tally.failed, note=strip_control("; ".join(tally.notes))[:500])
    )  # fmt: skip
