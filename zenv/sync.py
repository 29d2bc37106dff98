"""Running one task of one connection: pull and record, then send what is owed and settle.

Network and transactions never overlap: a page is fetched, then recorded in one transaction together with its
cursor; a message is claimed and committed, then sent, then its receipt is committed. Whatever stops in between is
found by the next run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event
from typing import TypedDict, Unpack

from zenv import connectors, delivery, pulling
from zenv.connectors.base import Connector, Task, Terms, World
from zenv.errors import (
    BadInput,
    Busy,
    KeyUnavailable,
    LinkOver,
    LoginNeeded,
    NotFound,
    Refused,
    Stopped,
    Throttled,
    ZenvError,
)
from zenv.facts import Account
from zenv.ledger import breaker, connections, outbox, runs, schedule
from zenv.ledger.book import Book
from zenv.ledger.buckets import LedgerBuckets
from zenv.ledger.runs import Tally
from zenv.ledger.transaction import AnyRow, Transaction
from zenv.pulling import Job, Progress

log = logging.getLogger("zenv.sync")

NOW = "sync now"
"""The worker of a run that a person or a script asked for."""

Work = Callable[[Job, Task], None]


@dataclass(frozen=True)
class RunResult:
    """What a run did, and how it ended: ok, partial, failed, not begun."""

    run: int
    connection: str
    task: str
    outcome: str
    items: int = 0
    items_failed: int = 0
    orders: int = 0
    orders_failed: int = 0
    sent: int = 0
    failed: int = 0
    note: str = ""
    error: ZenvError | None = None


def check(kind: str, terms: Terms, secrets: Mapping[str, str], world: World) -> Account:
    """Ask the remote who we are, before anything is stored (A1, H5)."""
    connector = connectors.load(kind)(terms, secrets, world)
    try:
        return connector.check()
    finally:
        connector.close()


def world_of(book: Book, patience: float = 60.0, stop: Event | None = None) -> World:
    """The real world, with the ledger's clock and buckets. Sleeping ends with Stopped when `stop` is set."""
    sleep = time.sleep if stop is None else lambda seconds: _sleep(stop, seconds)
    return World(book.clock, sleep, LedgerBuckets(book.engine, book.clock), patience)


def _sleep(stop: Event, seconds: float) -> None:
    if stop.wait(seconds):
        raise Stopped("The run was told to stop; the next one goes on from here.")


def open_connector(book: Book, name: str, world: World | None = None) -> Connector:
    """The connector of a saved connection, with its secrets opened."""
    with book.reading() as sql:
        found = connections.find(sql, name)
        secrets = connections.open_secrets(sql, name, book.master_key)
    return connectors.load(found.kind)(terms_of(found), secrets, world or world_of(book))


def terms_of(found: AnyRow) -> Terms:
    """The settings of a connection as its connector wants them."""
    return Terms(
        name=found.name, region=found.region, seller_id=found.external_id,
        marketplaces=tuple(found.marketplaces.split(",")), home_marketplace=found.home_marketplace,
        endpoint=found.endpoint, sandbox=found.sandbox, handling_days=found.handling_days,
        with_fulfilled=found.with_fulfilled,
    )  # fmt: skip


# ---- runs that were asked for ----------------------------------------------------------------------------


class How(TypedDict, total=False):
    """How a run goes that a person or a script asks for: who watches, what stops it between two steps, and until when
    (`time.monotonic`) it waits for a task that is running elsewhere."""

    progress: Progress | None
    stop: Event | None
    deadline: float


def run_all(book: Book, name: str, world: World | None = None, yes_to_zero: bool = False,
            **how: Unpack[How]) -> list[RunResult]:  # fmt: skip
    """Every task of a connection, in the connector's order; a task that fails does not stop the others, unless
    they would fare no better (`ENDS_ALL`)."""
    tasks = _tasks_while_linked(book, name)
    return _each(name, tasks, lambda task: run(book, name, task.name, world, yes_to_zero, **how))


def _tasks_while_linked(book: Book, name: str) -> Iterator[Task]:
    """The tasks of a connection; once the first has ended the link to a provider, there are no more."""
    for place, task in enumerate(tasks_of(book, name)):
        if place:
            with book.reading() as sql:
                found = connections.find(sql, name)
            if (found.kind, found.status) == ("zfn", "removed"):
                return
        yield task


ENDS_ALL = (LoginNeeded, KeyUnavailable, Busy)
"""Refused credentials, a key that cannot be read, a lock that somebody holds, a stop."""


def _each(name: str, tasks: Iterable[Task], one: Callable[[Task], RunResult]) -> list[RunResult]:
    """Run one after the other. What keeps the first from beginning is raised; another becomes the last result."""
    results: list[RunResult] = []
    for task in tasks:
        try:
            results.append(one(task))
        except ZenvError as error:
            if not results:
                raise
            return [*results, not_begun(name, task.name, error)]
        if isinstance(results[-1].error, ENDS_ALL):
            break
    return results


def not_begun(name: str, task: str, error: ZenvError) -> RunResult:
    """The result of a run that could not begin: it has no number, and no place in the history."""
    return RunResult(0, name, task, "not begun", 0, 0, 0, 0, 0, 0, error.message, error)


def tasks_of(book: Book, name: str) -> Sequence[Task]:
    """The tasks of a connection's connector."""
    with book.reading() as sql:
        kind = connections.find(sql, name).kind
    return connectors.load(kind).tasks


def run(book: Book, name: str, task: str, world: World | None = None, yes_to_zero: bool = False,
        **how: Unpack[How]) -> RunResult:  # fmt: skip
    """Run one task. Trouble with the remote ends in the result, not in an exception; the record stays in the
    history. Raises Refused for a connection that is not enabled, Busy when the task is running already."""
    number, found, wanted = begin(book, name, _task(book, name, task), **how)
    return perform(book, found, wanted, number, whole(yes_to_zero), world, how.get("progress"), how.get("stop"))


def run_period(book: Book, name: str, task: str | None, since: datetime, until: datetime,
               world: World | None = None, **how: Unpack[How]) -> list[RunResult]:  # fmt: skip
    """Read again what was placed or created from `since` to `until`, both included (H68 to H71): the orders, the
    items, or both. No cursor moves. Raises BadInput for a period that ends before it starts or has not begun, and for
    a task that has none."""
    if until < since:
        raise BadInput("The period ends before it starts.", "give a --since that is not after --until")
    if since > book.clock():
        raise BadInput("The period has not begun yet.", "give a --since that lies in the past")
    wanted = [_task(book, name, task)] if task else tasks_of(book, name)
    dated = [one for one in wanted if one.dated]
    if not dated:
        raise BadInput(f"A period can be chosen for what is read by its date, orders and items; {task or name} is not.",
                       f"zenv sync now {name} {task or ''}".strip())  # fmt: skip

    def work(job: Job, task: Task) -> None:
        pulling.pull_period(job, task.dated, since, until)

    return _each(name, dated, lambda one: run_part(book, name, one, work, world, **how))


def rerun(book: Book, number: int, world: World | None = None, **how: Unpack[How]) -> RunResult:
    """Fetch exactly the records of an earlier run again (H65, H67): a new entry of the history that names the old
    one. Nothing is doubled: what is known already is brought up to date. What was sent is not sent again."""
    old, name, records = _remembered(book, number)
    known = {one.name: one for one in tasks_of(book, name)}

    def work(job: Job, task: Task) -> None:
        job.items_stay = task.name not in known
        pulling.fetch_again(job, records)

    return run_part(book, name, known.get(old.task) or Task(old.task, timedelta()), work, world, number, **how)


def _remembered(book: Book, number: int) -> tuple[AnyRow, str, Sequence[tuple[str, Sequence[str]]]]:
    """An earlier run, the connection it was of, and the records it brought. Raises Refused when there are none."""
    with book.reading() as sql:
        old = runs.find(sql, number)
        records = list(runs.remembered(sql, number))
        names = {found.id: found.name for found in connections.standing(sql)}
    if old.connection_id is None:
        raise Refused(f"Run {number} was zenv's own housekeeping; it fetched nothing.", "zenv sync history")
    if old.connection_id not in names:
        raise Refused(f"Run {number} was of an account that was removed.", "zenv connections list")
    if not records:
        raise Refused(f"Run {number} brought no record that could be fetched again.", f"zenv sync show {number}")
    return old, names[old.connection_id], records


def run_part(book: Book, name: str, task: Task, work: Work, world: World | None = None, again: int | None = None,
             **how: Unpack[How]) -> RunResult:  # fmt: skip
    """Do other work in the place of a task, which meanwhile runs nowhere else; when that is due stays as it is."""
    number, found, task = begin(book, name, task, again, **how)
    stop = how.get("stop")
    world = world or world_of(book, LONG_PATIENCE, stop)
    return perform(book, found, task, number, work, world, how.get("progress"), stop, part=True)


LONG_PATIENCE = 600.0
"""What was asked for is waited for, as it has no cursor from which a later run would go on: a page of orders comes
every three minutes, once the first twenty have been read."""


def begin(book: Book, name: str, task: Task, again: int | None = None,
          **how: Unpack[How]) -> tuple[int, AnyRow, Task]:  # fmt: skip
    """Begin a run: its number, the connection, the task. Raises LoginNeeded, Refused; Busy when the task is running
    elsewhere for longer than this one waits."""
    found, deadline = _enabled(book, name), how.get("deadline", 0.0)
    while True:
        try:
            with book.transaction() as t:
                return runs.begin(t, found.id, task.name, runs.worker(NOW), again), found, task
        except Busy:
            left = deadline - time.monotonic()
            if left <= 0:
                raise
            _pause(how.get("stop"), min(left, LOOK_EVERY))


LOOK_EVERY = 0.5
"""Seconds between two looks whether a task is free."""


def _pause(stop: Event | None, seconds: float) -> None:
    if stop is None:
        time.sleep(seconds)
    else:
        _sleep(stop, seconds)


def _task(book: Book, name: str, task: str) -> Task:
    known = {one.name: one for one in tasks_of(book, name)}
    if task not in known:
        raise NotFound(f"There is no task {task!r}.", "give one of: " + ", ".join(known))
    return known[task]


def _enabled(book: Book, name: str) -> AnyRow:
    with book.reading() as sql:
        found = connections.find(sql, name)
    if found.status == "needs_login":
        raise LoginNeeded(f"{name} does not accept the credentials any more.", connections.way_back(found))
    if found.status != "active":
        raise Refused(f"{name} is {found.status}, so nothing runs.", f"zenv connections enable {name}")
    return found


# ---- one run ---------------------------------------------------------------------------------------------


def whole(yes_to_zero: bool = False) -> Work:
    """All of a task: its streams, then what is owed."""

    def work(job: Job, task: Task) -> None:
        try:
            pulling.pull_task(job, task)
            for kind in task.tells:
                delivery.deliver(job.book, job.row, job.connector, kind, job.tally, yes_to_zero, job.go_on)
        except LinkOver as over:
            job.tally.notes.append(over.message)

    return work


def perform(book: Book, found: AnyRow, task: Task, run: int, work: Work, world: World | None = None,
            progress: Progress | None = None, stop: Event | None = None, part: bool = False) -> RunResult:  # fmt: skip
    """Do the work of a run that has begun, and write down how it ended. What goes wrong with the remote ends in
    the result; a bug, a full disk or Ctrl-C is written down and goes up. With `part` it was not the whole task."""
    going, error = Going(book, found, task, run, part), None
    stopping = stop.is_set if stop is not None else lambda: False
    try:
        with _opened(book, found.name, world or world_of(book, stop=stop)) as connector:
            work(Job(book, found, connector, run, progress, stopping, tally=going.tally), task)
    except ZenvError as caught:
        error = caught
    except BaseException as bug:
        _break_off(going, bug)
        raise
    return _finish(going, error)


@dataclass(frozen=True)
class Going:
    """A run that has begun, as what ends it needs it."""

    book: Book
    found: AnyRow
    task: Task
    run: int
    part: bool
    tally: Tally = field(default_factory=Tally)


@contextmanager
def _opened(book: Book, name: str, world: World) -> Iterator[Connector]:
    connector = open_connector(book, name, world)
    try:
        yield connector
    finally:
        connector.close()


def _break_off(going: Going, bug: BaseException) -> None:
    """Write down a run that ends with what is raised to the caller. It is no failure of the remote."""
    interrupted = isinstance(bug, (KeyboardInterrupt, SystemExit))
    said = f"The run broke off with {type(bug).__name__}; what was recorded stays."
    error = Stopped("The run was interrupted; the next one goes on from here.") if interrupted else ZenvError(said)
    try:
        _finish(going, error)
    except ZenvError as trouble:
        log.warning("run=%d broke off and could not be written down: %s", going.run, trouble.message)


def _finish(going: Going, error: ZenvError | None) -> RunResult:
    tally, found, task = going.tally, going.found, going.task
    if error is not None:
        tally.notes.append(error.message)
    # Throttled is how a large first import looks half-way: what was done stays, the rest is due.
    half_way = isinstance(error, (Throttled, Stopped))
    outcome = "failed" if error and not half_way else ("partial" if tally.failed or error else "ok")
    with going.book.transaction() as t:
        if isinstance(error, LoginNeeded):
            connections.needs_login(t, found.id)
        started = runs.end(t, going.run, outcome, tally)
        _plan_next(t, going, started, error)
        if error or task.streams or tally.sent:  # one that had nothing to send never asked the remote
            breaker.heard(t, found.id, error)
    log.info("run connection=%s task=%s run=%d outcome=%s items=%d orders=%d sent=%d failed=%d", found.name,
             task.name, going.run, outcome, tally.items, tally.orders, tally.sent, tally.failed)  # fmt: skip
    return RunResult(
        going.run, found.name, task.name, outcome, tally.items, tally.items_failed, tally.orders, tally.orders_failed,
        tally.sent, tally.failed, "; ".join(tally.notes), error,
    )  # fmt: skip


def _plan_next(t: Transaction, going: Going, started: datetime, error: ZenvError | None) -> None:
    if going.part:
        # Whoever found the task busy meanwhile left it to this run, which was not the one that is due.
        schedule.hurry(t, going.found.id, going.task.name)
    else:
        schedule.ended(t, going.found.id, going.task.name, started, error, going.book.company.time_zone)


def retry(book: Book, message: int) -> None:
    """Send a parked message again with the next run."""
    with book.transaction() as t:
        outbox.retry(t, message)
