"""Which task of which connection is due, and the crew that runs what is: the same for the daemon, cron and people.

The durable part (when each task is due, who has claimed it) lies in the ledger (zenv.ledger.schedule). A `Crew` gives
each connection a thread of its own, so that one that waits for its rate limit holds up nobody else, and starts at
most one connection at a time: what piled up while the machine slept is caught up once per task, without a burst.
Redaction comes before everything else.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from zenv import connectors, failures, housekeeping, sync
from zenv.connectors.base import Buckets, Task, World
from zenv.errors import Busy, KeyUnavailable, NotFound, ZenvError
from zenv.ledger import attendance, breaker, connections, runs, schedule
from zenv.ledger.book import Book
from zenv.ledger.schedule import Bound
from zenv.ledger.transaction import AnyRow
from zenv.pulling import Progress
from zenv.sync import RunResult

log = logging.getLogger("zenv.schedule")

HOUSEKEEPING = housekeeping.NAME
REDACTION = "redaction"
ALL = object()
FIRST = "first"
"""The worker that redacts; nobody else begins while it is at it."""
Worker = int | str | None
"""A connection's number, None for housekeeping, or FIRST."""
Heard = Callable[[RunResult], object]

SHORT_S = 0.05
STOPPING_S = 40.0
"""A request in flight has so long to end: less than systemd waits, more than a call's own limit."""
STUCK_S = 600.0
"""A worker that gave no sign of life for so long is taken for hung: longer than any single call may last."""


# ---- what has to run -------------------------------------------------------------------------------------


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


# ---- running what is due ---------------------------------------------------------------------------------


def _unheard(result: RunResult) -> None:
    """Nobody waits for results: the history has them."""


def _unwatched(what: str, done: int, total: int | None) -> None:
    """Nobody watches."""


class Crew:
    """Runs what is due, a thread per connection. `who` is the daemon or `sync due`; `book` may be changed for one
    that was opened anew while nobody is at work."""

    def __init__(
        self, book: Book, who: str, world: World | None = None, heard: Heard = _unheard, watch: Progress | None = None
    ) -> None:
        self.book = book
        self.who = who
        self.waiting = ""
        self._world = world
        self._heard = heard
        self._watch = watch or _unwatched
        self._stop = threading.Event()
        self._threads: dict[Worker, threading.Thread] = {}
        self._signs: dict[Worker, float] = {}
        self._key = Patience()

    def start_one(self, until: datetime | None = None) -> bool:
        """Let the connection with the longest overdue task begin, if it is not at work; whether one did. With
        `until`, only what was due by then. Raises what the ledger raises."""
        if self._stop.is_set():
            return False
        if self._busy(FIRST):
            return False
        come_to_work(self.book, self.who)
        found = self._due(until)
        if any(task.task == REDACTION and task.connection_id is None for task in found):
            self._begin(FIRST, until)
            return True
        for task in found:
            if not self._busy(task.connection_id) and self._may_start(task):
                self._begin(task.connection_id, until)
                return True
        return False

    def at_work(self) -> int:
        """How many connections are being worked on."""
        return sum(thread.is_alive() for thread in self._threads.values())

    def stuck(self) -> bool:
        """Whether a worker has given no sign of life for too long."""
        now = time.monotonic()
        # Housekeeping speaks to nobody: it can be slow, on a large ledger, but it cannot hang.
        workers = [(one, sign) for one, sign in self._signs.items() if isinstance(one, int)]
        return any(self._busy(one) and now - sign > STUCK_S for one, sign in workers)

    def stop(self, patience: float) -> bool:
        """Let each request in flight end, and nothing new begin; whether all had ended after `patience` seconds."""
        self._stop.set()
        end = time.monotonic() + patience
        for thread in list(self._threads.values()):
            thread.join(max(0.0, end - time.monotonic()))
        return not self.at_work()

    def ask_again(self) -> None:
        """Do not wait for the next try at the master key."""
        self._key.reset()

    def _due(self, until: datetime | None, worker: object = ALL) -> list[AnyRow]:
        """What is due, all of it or a worker's: a connection's, housekeeping's, redaction alone for the FIRST."""
        now = self.book.clock() if until is None else min(until, self.book.clock())
        with self.book.reading() as sql:
            found = schedule.due(sql, now)
        if worker == FIRST:
            return [one for one in found if one.connection_id is None and one.task == REDACTION]
        return [one for one in found if worker in (ALL, one.connection_id)]

    def _busy(self, worker: Worker) -> bool:
        return worker in self._threads and self._threads[worker].is_alive()

    def _may_start(self, task: AnyRow) -> bool:
        return task.connection_id is None or self._key_is_there()

    def _key_is_there(self) -> bool:
        """Without the master key no connection can run: ask for it, less and less often (operations.md 1.4)."""
        if not self._key.over():
            return False
        try:
            self.book.master_key()
        except KeyUnavailable as error:
            if not self.waiting:
                log.warning("key event=waiting note=%s", json.dumps(error.message))
            self.waiting = error.message
            self._key.longer()
            return False
        self.waiting = ""
        self._key.reset()
        return True

    def _begin(self, worker: Worker, until: datetime | None) -> None:
        self._sign(worker)
        thread = threading.Thread(target=self._work, args=(worker, until), name=f"worker {worker}", daemon=True)
        self._threads[worker] = thread
        thread.start()

    def _work(self, worker: Worker, until: datetime | None) -> None:
        """One worker's due tasks, one after the other. A half-open breaker lets one through."""
        at: AnyRow | None = None
        try:
            while not self._stop.is_set() and (found := self._due(until, worker)):
                at = min(found, key=_place)
                self._sign(worker)
                self._run(at)
                if breaker.half_open(found[0]):
                    return
        except ZenvError as error:  # of the ledger: what was begun is found again when its lease has ended
            self._broke_off(at, error)
        except Exception as bug:
            # A thread's last word would be a traceback, and that may hold data: say where, and let the others go on.
            self._broke_off(at, failures.plain(bug))

    def _broke_off(self, at: AnyRow | None, error: ZenvError | None) -> None:
        """Let whoever waits for the results know: a thread has no exit code."""
        name, task = (at.name or housekeeping.NAME, at.task) if at is not None else ("", "")
        log.warning("run connection=%s task=%s outcome=broken note=%s", name, task, json.dumps(str(error)))
        if at is not None and error is not None:
            self._heard(sync.not_begun(name, task, error))

    def _run(self, found: AnyRow) -> None:
        run = self._claim(found)
        if run is None:
            return
        if found.connection_id is None:
            done = housekeeping.perform(self.book, found.task, run)
            if done.error is not None:  # what goes well is no news: it speaks to nobody
                self._heard(_result(done))
            return
        with self.book.reading() as sql:
            owner = connections.find(sql, found.name)
        task = next(one for one in connectors.load(found.kind).tasks if one.name == found.task)
        self._heard(
            sync.perform(self.book, owner, task, run, sync.whole(), self._world_for(found.connection_id),
                         self._progress_of(found), self._stop)
        )  # fmt: skip

    def _progress_of(self, found: AnyRow) -> Progress:
        def show(what: str, done: int, total: int | None) -> None:
            self._sign(found.connection_id)
            self._watch(f"{found.name} {what}", done, total)

        return show

    def _claim(self, found: AnyRow) -> int | None:
        """The run that was begun; None when somebody else was first, or is at this very task now."""
        try:
            with self.book.transaction() as t:
                if not schedule.claim(t, found):
                    return None
                return runs.begin(t, found.connection_id, found.task, runs.worker(self.who))
        except Busy:
            # Whoever is at it plans the next run at its end.
            with self.book.transaction() as t:
                schedule.claim(t, found)
            return None

    def _world_for(self, connection: int) -> World:
        world = self._world or sync.world_of(self.book, stop=self._stop)

        def sleep(seconds: float) -> None:
            self._sign(connection)
            world.sleep(seconds)
            self._sign(connection)

        return replace(world, sleep=sleep, buckets=Signing(world.buckets, lambda: self._sign(connection)))

    def _sign(self, worker: Worker) -> None:
        self._signs[worker] = time.monotonic()


@dataclass(frozen=True)
class Signing:
    """Buckets that take each request for a sign of life."""

    buckets: Buckets
    sign: Callable[[], None]

    def take(self, key: str, rate: float, burst: int) -> float:
        """Take one token; see `Buckets`."""
        self.sign()
        return self.buckets.take(key, rate, burst)

    def learned(self, key: str, rate: float) -> None:
        """The remote named its rate."""
        self.buckets.learned(key, rate)

    def drained(self, key: str, wait: float) -> None:
        """The remote said no."""
        self.buckets.drained(key, wait)


def _place(found: AnyRow) -> int:
    """A connection's tasks run in the order in which its connector names them, housekeeping in its own."""
    if found.connection_id is None:
        return list(housekeeping.CHORES).index(found.task)
    return [task.name for task in connectors.load(found.kind).tasks].index(found.task)


@dataclass
class Patience:
    """Tries that grow rarer: after 5 s, 10 s, ... up to 5 min."""

    pause: float = 0.0
    until: float = 0.0

    def over(self) -> bool:
        """Whether it is time for the next try."""
        return time.monotonic() >= self.until

    def longer(self) -> None:
        """It failed: wait, longer than last time."""
        self.pause = min(300.0, self.pause * 2 or 5.0)
        self.until = time.monotonic() + self.pause

    def reset(self) -> None:
        """It went well."""
        self.pause = self.until = 0.0


def run_due(
    book: Book, stop: Callable[[], bool] = lambda: False, world: World | None = None, watch: Progress | None = None
) -> list[RunResult]:
    """Run what is due by now, once, and come back (`zenv sync due`). What somebody else runs is left to them.
    Raises KeyUnavailable when runs were due and the key cannot be had."""
    results: list[RunResult] = []
    crew = Crew(book, "sync due", world, results.append, watch)
    come_to_work(book, crew.who)
    with book.transaction() as t:
        attendance.sign(t, crew.who, new=True)
    until = book.clock()
    try:
        while not stop() and (crew.start_one(until) or crew.at_work()):
            time.sleep(SHORT_S)
    finally:
        crew.stop(STOPPING_S)
        with book.transaction() as t:
            attendance.sign_off(t, crew.who)
    if crew.waiting:
        book.master_key()
    return results


def do_chores(book: Book, task: str | None = None) -> list[RunResult]:
    """Do housekeeping now, all of it or one chore, whether due or not. Raises NotFound for one there is not, Busy
    when it is being done."""
    if task is not None and task not in housekeeping.CHORES:
        raise NotFound(f"There is no task {task!r}.", "give one of: " + ", ".join(housekeeping.CHORES))
    results = []
    for name in [task] if task else housekeeping.CHORES:
        with book.transaction() as t:
            run = runs.begin(t, None, name, runs.worker(sync.NOW))
        results.append(_result(housekeeping.perform(book, name, run)))
    return results


def _result(done: housekeeping.Chored) -> RunResult:
    outcome = "failed" if done.error else "ok"
    return RunResult(done.run, housekeeping.NAME, done.task, outcome, note=done.note, error=done.error)
