"""Which task of which connection is due: the same for the daemon, cron and people.

The durable part (when each task is due, who has claimed it) lies in the ledger (zenv.ledger.schedule); here it meets
the tasks that the connectors and housekeeping name. What runs them is the crew (zenv.crew).
"""

from __future__ import annotations

from datetime import timedelta

from zenv import connectors, housekeeping, sync
from zenv.connectors.base import Task
from zenv.errors import NotFound
from zenv.ledger import attendance, connections, runs, schedule
from zenv.ledger.book import Book
from zenv.ledger.schedule import Bound
from zenv.ledger.transaction import AnyRow
from zenv.sync import RunResult

HOUSEKEEPING = housekeeping.NAME
REDACTION = "redaction"


def bounds(book: Book) -> list[Bound]:
    """Every task of every connection that is enabled, and of zenv itself, with its documented longest interval."""
    with book.reading() as sql:
        enabled = [found for found in connections.standing(sql) if found.status in ("active", "needs_login")]
    return housekeeping.bounds() + [
        bound(found, task) for found in enabled for task in connectors.load(found.kind).tasks
    ]


def bound(found: AnyRow, task: Task) -> Bound:
    """A task's bound for this connection; high-frequency updates have a shorter one (A16, A17)."""
    if task.frequent and found.high_frequency:
        return Bound(found.id, task.name, task.frequent)
    return Bound(found.id, task.name, task.longest, task.at_midnight)


def plan(book: Book) -> None:
    """See to it that each task has its row in the schedule."""
    wanted, zone = bounds(book), book.company.time_zone
    with book.reading() as sql:
        planned = schedule.is_planned(sql, wanted, book.clock())
    if not planned:
        with book.transaction() as t:
            schedule.plan(t, wanted, zone)


def enable(book: Book, name: str) -> None:
    """From now on a connection's tasks run; what it has missed is due at once (F5, H83)."""
    with book.transaction() as t:
        connections.enable(t, name)
        schedule.hurry(t, connections.find(t.sql, name).id)
    plan(book)


def take_over(book: Book, who: str) -> int:
    """Whoever knows that the worker before is dead (the daemon holds its lock): what it was at is over, and due again
    now. How many runs that were."""
    with book.transaction() as t:
        left = runs.abandon(t, who)
        for connection, task in left:
            schedule.hurry(t, connection, task)
    return len(left)


def come_to_work(book: Book, who: str) -> None:
    """Plan, and after any time off let redaction come first: who was away cannot know what has fallen due."""
    plan(book)
    with book.reading() as sql:
        seen = attendance.last_seen(sql)
    if seen is None or book.clock() - seen > attendance.TIME_OFF:
        with book.transaction() as t:
            schedule.hurry(t, None, REDACTION)
            attendance.sign(t, who)


def choose_interval(book: Book, name: str, task: str, every: timedelta | None) -> None:
    """The owner's own, shorter interval for a task of a connection or of housekeeping; None takes it back."""
    plan(book)
    with book.transaction() as t:
        owner = None if name == housekeeping.NAME else connections.find(t.sql, name).id
        schedule.choose_interval(t, owner, task, every)


def do_chores(book: Book, task: str | None = None) -> list[RunResult]:
    """Do housekeeping now, all of it or one chore, whether due or not. Raises NotFound for one there is not, Busy
    when it is being done."""
    if task is not None and task not in housekeeping.CHORES:
        raise NotFound(f"There is no task {task!r}.", "give one of: " + ", ".join(housekeeping.CHORES))
    results = []
    for name in [task] if task else housekeeping.CHORES:
        with book.transaction() as t:
            run = runs.begin(t, None, name, runs.worker(sync.NOW))
        results.append(as_result(housekeeping.perform(book, name, run)))
    return results


def as_result(done: housekeeping.Chored) -> RunResult:
    """A chore's ending as that of any run."""
    outcome = "failed" if done.error else "ok"
    return RunResult(done.run, housekeeping.NAME, done.task, outcome, note=done.note, error=done.error)
