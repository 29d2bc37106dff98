"""When each task is due, and when it is late: the documented intervals are upper bounds (A11 to A17).

A row per task says when it is started next and when its bound will be broken. Starting a task moves `next_at` from
the value that was read to a later one, in the transaction that begins its run: who moves it, runs it, however many
daemons, cron jobs and people look at the same row. Every end of a run, also of one that was asked for by hand,
plans the next.

Midnights are worked out here: APScheduler's cron trigger leaves out the day after a change to summer time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zlib import crc32
from zoneinfo import ZoneInfo

from sqlalchemy import Connection as Sql
from sqlalchemy import and_, or_, select

from zenv.errors import BadInput, NotFound, Stopped, Throttled, ZenvError
from zenv.ledger.models import Breaker, Connection, ScheduledTask
from zenv.ledger.runs import LEASE
from zenv.ledger.transaction import AnyRow, Transaction, row, table

tasks, connections, breakers = table(ScheduledTask), table(Connection), table(Breaker)

HEADROOM = 0.1
"""A run starts so much of its interval before the bound: it needs time itself, and the clock of the tick is coarse."""
SPREAD = 0.1
"""Two tasks of the same interval drift apart by up to so much of it, so that nothing falls due all at once."""
GRACE = timedelta(minutes=15)
"""A task of midnight is late when it has not run so long after."""
SHORTEST = timedelta(minutes=1)
FIRST_RETRY = timedelta(minutes=1)


@dataclass(frozen=True)
class Bound:
    """A task of a connection (None: housekeeping) with its documented longest interval."""

    connection: int | None
    task: str
    longest: timedelta
    at_midnight: bool = False


# ---- the arithmetic --------------------------------------------------------------------------------------


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def midnight_after(moment: datetime, zone: str) -> datetime:
    """The first instant of the next day in a time zone, in UTC. Where midnight is left out (clocks go forward at
    0:00) it is the moment they do; where it comes twice, the first of the two."""
    local = moment.astimezone(_zone(zone))
    return datetime.combine(local.date() + timedelta(days=1), time(), _zone(zone)).astimezone(UTC)


def next_start(found: AnyRow, started: datetime, zone: str) -> datetime:
    """When a task that was started then is started again, if all goes well."""
    if found.at_midnight and found.every is None:
        return midnight_after(started, zone)
    share = crc32(f"{found.connection_id} {found.task}".encode()) / 2**32
    usual = found.longest * (1 - HEADROOM - SPREAD * share)
    return started + timedelta(seconds=usual if found.every is None else min(found.every, usual))


def late_from(found: AnyRow, started: datetime, zone: str) -> datetime:
    """When a task that last went well at `started` breaks its bound."""
    if found.at_midnight:
        return midnight_after(started, zone) + GRACE
    return started + timedelta(seconds=found.longest)


# ---- keeping the rows ------------------------------------------------------------------------------------


def plan(t: Transaction, bounds: Iterable[Bound], zone: str) -> None:
    """Give each task its row: a new one is due at once (F5), one whose bound has changed is planned anew, one that
    lies further ahead than its interval allows was planned before the clock was set back."""
    bounds = list(bounds)
    known = {(found.connection_id, found.task): found for found in t.sql.execute(select(tasks))}
    for obsolete in _obsolete(known, bounds):
        t.sql.execute(tasks.delete().where(tasks.c.id == obsolete.id))
    for bound in bounds:
        found = known.get((bound.connection, bound.task))
        if found is None:
            _add(t, bound)
        elif (found.longest, found.at_midnight) != (bound.longest.total_seconds(), bound.at_midnight):
            _rebind(t, found, bound, zone)
        elif _beyond(found, t.now):
            ahead = {"next_at": t.now, "late_at": late_from(found, t.now, zone), "waits": ""}
            t.sql.execute(tasks.update().where(tasks.c.id == found.id).values(**ahead))


def is_planned(sql: Sql, bounds: Iterable[Bound], now: datetime) -> bool:
    """Whether `plan` would change nothing, at the price of one look."""
    bounds = list(bounds)
    known = {(found.connection_id, found.task): found for found in sql.execute(select(tasks))}
    return not _obsolete(known, bounds) and all(
        (found := known.get((bound.connection, bound.task))) is not None
        and (found.longest, found.at_midnight) == (bound.longest.total_seconds(), bound.at_midnight)
        and not _beyond(found, now)
        for bound in bounds
    )


def _obsolete(known: Mapping[tuple[int | None, str], AnyRow], bounds: Sequence[Bound]) -> list[AnyRow]:
    """Tasks that an earlier zenv knew. Those of a connection that is not asked about (it is disabled) stay."""
    wanted = {(bound.connection, bound.task) for bound in bounds}
    owners = {connection for connection, _ in wanted}
    return [found for key, found in known.items() if key[0] in owners and key not in wanted]


def _beyond(found: AnyRow, now: datetime) -> bool:
    """Nothing is ever planned so far ahead. A midnight that comes a second time, because the clock went back over it,
    is not run twice."""
    longest = timedelta(seconds=found.longest + 3600 * found.at_midnight)
    return bool(found.next_at > now + max(longest, LEASE))


def _add(t: Transaction, bound: Bound) -> None:
    fresh = row(ScheduledTask, connection_id=bound.connection, task=bound.task, longest=_seconds(bound.longest),
                at_midnight=bound.at_midnight, next_at=t.now, late_at=t.now + bound.longest)  # fmt: skip
    t.insert(ScheduledTask, [fresh])


def _rebind(t: Transaction, found: AnyRow, bound: Bound, zone: str) -> None:
    every = found.every if found.every and found.every <= bound.longest.total_seconds() else None
    sooner = min(found.next_at, t.now + bound.longest)
    now = {"longest": _seconds(bound.longest), "at_midnight": bound.at_midnight, "every": every,
           "next_at": midnight_after(t.now, zone) if bound.at_midnight and every is None else sooner,
           "late_at": t.now + bound.longest + GRACE}  # fmt: skip
    t.sql.execute(tasks.update().where(tasks.c.id == found.id).values(**now))


def _seconds(length: timedelta) -> int:
    return int(length.total_seconds())


def choose_interval(t: Transaction, connection: int | None, task: str, every: timedelta | None) -> None:
    """The owner wants a task more often than it has to be; None takes the wish back. Raises BadInput for an interval
    longer than the documented one, NotFound for a task that is not planned."""
    found = _find(t.sql, connection, task)
    longest = timedelta(seconds=found.longest)
    if every is not None and every > longest:
        raise BadInput(f"{task} has to run at least every {spoken(longest)}; {spoken(every)} is longer.",
                       "give a shorter time")  # fmt: skip
    if every is not None and every < SHORTEST:
        raise BadInput(f"{spoken(every)} is too short for {task}.", f"give at least {spoken(SHORTEST)}")
    t.sql.execute(tasks.update().where(tasks.c.id == found.id).values(every=every and _seconds(every), next_at=t.now))


def spoken(length: timedelta) -> str:
    """An interval as people say it: 90 s, 15 min, 4 h."""
    seconds = _seconds(length)
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _find(sql: Sql, connection: int | None, task: str) -> AnyRow:
    this = (tasks.c.connection_id.is_not_distinct_from(connection), tasks.c.task == task)
    found = sql.execute(select(tasks).where(*this)).one_or_none()
    if found is None:
        raise NotFound(f"No task {task!r} is planned there.", "zenv schedule")
    return found


def hurry(t: Transaction, connection: int | None, task: str | None = None) -> None:
    """Due now: all tasks of a connection, or one."""
    these = [tasks.c.connection_id.is_not_distinct_from(connection), tasks.c.next_at > t.now]
    if task is not None:
        these.append(tasks.c.task == task)
    t.sql.execute(tasks.update().where(*these).values(next_at=t.now, waits=""))


# ---- what is due -----------------------------------------------------------------------------------------


def due(sql: Sql, now: datetime) -> Sequence[AnyRow]:
    """The tasks to start now, the longest overdue first: of housekeeping, and of every active connection that its
    breaker lets through."""
    let_through = or_(breakers.c.open_until.is_(None), breakers.c.open_until <= now)
    return sql.execute(
        select(tasks, connections.c.name, connections.c.kind, breakers.c.open_until)
        .outerjoin(connections, connections.c.id == tasks.c.connection_id)
        .outerjoin(breakers, breakers.c.connection_id == tasks.c.connection_id)
        .where(tasks.c.next_at <= now, or_(tasks.c.connection_id.is_(None), connections.c.status == "active"),
               let_through)
        .order_by(tasks.c.late_at, tasks.c.id)
    ).all()  # fmt: skip


def claim(t: Transaction, found: AnyRow) -> bool:
    """Take a task that was seen to be due; False when somebody else was first. Until its run ends it is planned for
    when it will be taken for dead."""
    unchanged = and_(tasks.c.id == found.id, tasks.c.next_at == found.next_at, tasks.c.next_at <= t.now)
    taken = tasks.update().where(unchanged).values(next_at=t.now + LEASE, last_at=t.now, waits="")
    return t.sql.execute(taken).rowcount == 1


def ended(
    t: Transaction, connection: int | None, task: str, started: datetime, error: ZenvError | None, zone: str
) -> None:
    """A run of this task is over: plan the next. One that has no row (nobody keeps the schedule yet) needs none."""
    this = (tasks.c.connection_id.is_not_distinct_from(connection), tasks.c.task == task)
    found = t.sql.execute(select(tasks).where(*this)).one_or_none()
    if found is None:
        return
    after = _after_trouble(found, error, t.now) if error else _after_success(found, started, zone)
    t.sql.execute(tasks.update().where(tasks.c.id == found.id).values(**after))


def _after_success(found: AnyRow, started: datetime, zone: str) -> dict[str, object]:
    return {"next_at": next_start(found, started, zone), "late_at": late_from(found, started, zone),
            "last_at": started, "last_ok_at": started, "failures": 0, "waits": ""}  # fmt: skip


def _after_trouble(found: AnyRow, error: ZenvError, now: datetime) -> dict[str, object]:
    if isinstance(error, Stopped):
        return {"next_at": now, "waits": "stopped"}
    period = timedelta(seconds=found.every or found.longest)
    if isinstance(error, Throttled):
        # Not sooner than a failure would be tried again, however short the remote says the wait is.
        wait = max(FIRST_RETRY, timedelta(seconds=error.wait))
        return {"next_at": now + min(wait, period), "waits": "throttled"}
    pause = FIRST_RETRY * 2 ** min(found.failures, 16)
    return {"next_at": now + min(pause, period), "failures": found.failures + 1, "waits": "failed"}
