"""The history of runs: every attempt leaves a record, also one that found nothing, and says why (C1).

A running run holds a lease, so that two processes never work on the same task of the same connection at once.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, delete, func, select

from zenv.errors import Busy, NotFound
from zenv.facts import (
    BadRecord,
    BookedFact,
    Fact,
    HandedFact,
    InboundFact,
    LevelsFact,
    LinkFact,
    ListingFact,
    OrderFact,
    RecipientFact,
)
from zenv.ledger.keeping import KEPT, KEPT_FAILED
from zenv.ledger.models import Connection as Account
from zenv.ledger.models import Run, RunFailure, RunRecords
from zenv.ledger.transaction import AnyRow, Transaction, among, row, table
from zenv.privacy import strip_control

runs, failures, records, accounts = table(Run), table(RunFailure), table(RunRecords), table(Account)

LEASE = timedelta(minutes=15)
"""Renewed with every recorded page; after it a run is taken for dead."""

ITEMS = ("listing", "detail", "window")
"""Kinds of records that are items; a `window` of creation times holds more of them than a remote shows."""
FETCHED = ("order", "recipient", "detail", "inbound")
"""Kinds of records that a connector fetches by name."""


@dataclass
class Tally:
    """What a run has done so far. `failed` counts records set aside and messages refused alike."""

    items: int = 0
    items_failed: int = 0
    orders: int = 0
    orders_failed: int = 0
    sent: int = 0
    failed: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, page: Tally) -> None:
        """Count what a page has brought."""
        for name in ("items", "items_failed", "orders", "orders_failed", "failed"):
            setattr(self, name, getattr(self, name) + getattr(page, name))

    def set_aside(self, bad: Sequence[BadRecord]) -> None:
        """Count records that could not be taken."""
        items = sum(record.kind in ITEMS for record in bad)
        self.items_failed += items
        self.orders_failed += len(bad) - items
        self.failed += len(bad)


def worker(who: str) -> str:
    """How a run says who does it: `daemon HOST PID`."""
    return f"{who} {socket.gethostname()} {os.getpid()}"


def begin(t: Transaction, connection: int | None, task: str, worker: str = "", again: int | None = None) -> int:
    """Start a run; raises Busy when the same task of this connection is running. No connection: housekeeping."""
    running = and_(runs.c.connection_id.is_not_distinct_from(connection), runs.c.task == task,
                   runs.c.outcome == "running")  # fmt: skip
    other = t.sql.execute(select(runs.c.id, runs.c.lease_until).where(running)).all()
    # A lease that ends later than any lease can was given before the clock was set back.
    if any(t.now <= found.lease_until <= t.now + LEASE for found in other):
        raise Busy(f"Task {task} of this connection is running already.", "zenv sync history")
    if other:
        t.sql.execute(runs.update().where(running).values(outcome="abandoned", ended_at=t.now, lease_until=None))
    started = row(Run, connection_id=connection, task=task, worker=worker, again=again, started_at=t.now,
                  lease_until=t.now + LEASE)  # fmt: skip
    return int(t.sql.execute(runs.insert().returning(runs.c.id), started).scalar_one())


def renew(t: Transaction, run: int) -> None:
    """The run is alive."""
    t.sql.execute(runs.update().where(runs.c.id == run).values(lease_until=t.now + LEASE))


def abandon(t: Transaction, who: str) -> list[tuple[int | None, str]]:
    """Runs of a worker (`daemon`, or `daemon HOST`) that is surely dead are over: (connection, task) of each."""
    theirs = (runs.c.outcome == "running", runs.c.worker.startswith(f"{who} ", autoescape=True))
    over = runs.update().where(*theirs).values(outcome="abandoned", ended_at=t.now, lease_until=None)
    return [(connection, task) for connection, task in t.sql.execute(over.returning(runs.c.connection_id, runs.c.task))]


def remember(t: Transaction, run: int, facts: Iterable[Fact]) -> None:
    """Which records a page brought, so that exactly these can be fetched again (H65)."""
    by_kind: dict[str, list[str]] = {}
    for fact in facts:
        kind, remote_id = reference(fact)
        # A line of a report that cannot be read has no id, a window of items is no record: nobody can ask for it.
        if remote_id and kind in FETCHED:
            by_kind.setdefault(kind, []).append(remote_id)
    rows = (row(RunRecords, run_id=run, kind=kind, remote_ids=json.dumps(ids)) for kind, ids in by_kind.items())
    t.insert(RunRecords, rows)


def reference(fact: Fact) -> tuple[str, str]:
    """What kind of record a fact is of, as it is fetched, and which."""
    match fact:
        case ListingFact():
            return "detail", fact.sku
        case OrderFact():
            return "order", fact.remote_id
        case RecipientFact():
            return "recipient", fact.order
        case BadRecord():
            return _fetched_as(fact.kind), strip_control(fact.remote_id)
        case HandedFact():
            return "order", fact.state.order
        case InboundFact():
            return "inbound", fact.state.inbound
        case BookedFact():
            return "entry", str(fact.booked.movements[0].entry) if fact.booked.movements else ""
        case LinkFact():
            return "link", fact.state.provider
        case LevelsFact():
            return "levels", ""


def remembered(sql: Connection, run: int) -> Iterator[tuple[str, list[str]]]:
    """The records of a run by kind, each once, in the order they came; also what it set aside."""
    found: dict[str, dict[str, None]] = {}
    brought = select(records.c.kind, records.c.remote_ids).where(records.c.run_id == run).order_by(records.c.id)
    for kind, ids in sql.execute(brought):
        found.setdefault(kind, {}).update(dict.fromkeys(json.loads(ids)))
    aside = select(failures.c.kind, failures.c.remote_id).where(failures.c.run_id == run).order_by(failures.c.id)
    for kind, remote_id in sql.execute(aside):
        if remote_id and (fetched := _fetched_as(kind)) in FETCHED:
            found.setdefault(fetched, {})[remote_id] = None
    yield from ((kind, list(ids)) for kind, ids in found.items())


def _fetched_as(kind: str) -> str:
    return "detail" if kind == "listing" else kind


def find(sql: Connection, run: int) -> AnyRow:
    """A run by its number; raises NotFound."""
    found = sql.execute(select(runs).where(runs.c.id == run)).one_or_none()
    if found is None:
        raise NotFound(f"There is no run {run}.", "zenv sync history")
    return found


def set_aside(t: Transaction, run: int, bad: Sequence[BadRecord]) -> None:
    """Records that could not be taken, each with its reason; an older entry of the same record is settled."""
    connection = _connection_of(t, run)
    for kind in {record.kind for record in bad}:
        came_good(t, connection, kind, [record.remote_id for record in bad if record.kind == kind])
    t.insert(RunFailure, [
        row(RunFailure, run_id=run, kind=record.kind, remote_id=strip_control(record.remote_id),
            reason=strip_control(record.reason)[:500])
        for record in bad
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


def all_came_good(t: Transaction, connection: int, kind: str) -> None:
    """Whatever was set aside of this kind no longer matters."""
    ours = select(runs.c.id).where(runs.c.connection_id == connection)
    waiting = (failures.c.run_id.in_(ours), failures.c.kind == kind, failures.c.settled_at.is_(None))
    t.sql.execute(failures.update().where(*waiting).values(settled_at=t.now))


def end(t: Transaction, run: int, outcome: str, tally: Tally) -> datetime:
    """Write down how the run ended; when it had begun."""
    ended = (
        runs.update()
        .where(runs.c.id == run)
        .values(ended_at=t.now, lease_until=None, outcome=outcome, items=tally.items,
                items_failed=tally.items_failed, orders=tally.orders, orders_failed=tally.orders_failed,
                sent=tally.sent, failed=tally.failed, note=strip_control("; ".join(tally.notes))[:500])
        .returning(runs.c.started_at)
    )  # fmt: skip
    begun: datetime = t.sql.execute(ended).scalar_one()
    return begun


def prune(t: Transaction) -> int:
    """Forget successful runs older than a month and others older than two (H64); how many. A run with a record
    that is still set aside stays: nothing that waits for a person goes away by itself."""
    _bury(t)
    waits = select(failures.c.run_id).where(failures.c.settled_at.is_(None))
    # A run whose process died and whose task never ran again has no end, only the end of its lease.
    over = func.coalesce(runs.c.ended_at, runs.c.lease_until)
    good, bad = and_(runs.c.outcome == "ok", over < t.now - KEPT), over < t.now - KEPT_FAILED
    old = list(t.sql.execute(select(runs.c.id).where(good | bad, runs.c.id.not_in(waits))).scalars())
    _forget(t, old)
    return len(old)


def _bury(t: Transaction) -> None:
    """A run that died just after it had ended its connection is followed by none that would say so."""
    removed = select(accounts.c.id).where(accounts.c.status == "removed")
    dead = (runs.c.outcome == "running", runs.c.lease_until < t.now, runs.c.connection_id.in_(removed))
    t.sql.execute(runs.update().where(*dead).values(outcome="abandoned", ended_at=t.now, lease_until=None))


def _forget(t: Transaction, old: Iterable[int]) -> None:
    old = list(old)
    for owned, column in ((failures, failures.c.run_id), (records, records.c.run_id), (runs, runs.c.id)):
        t.sql.execute(delete(owned).where(among(column, old)))
