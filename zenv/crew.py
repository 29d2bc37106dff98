"""The crew that runs what is due: a thread per connection, so that one that waits for its rate limit holds up nobody
else. At most one connection begins at a time: what piled up while the machine slept is caught up once per task,
without a burst. Redaction comes before everything else.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from zenv import connectors, failures, housekeeping, scheduler, sync
from zenv.connectors.base import Buckets, World
from zenv.errors import Busy, KeyUnavailable, ZenvError
from zenv.ledger import attendance, breaker, connections, runs, schedule
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow
from zenv.pulling import Progress
from zenv.sync import RunResult

log = logging.getLogger("zenv.crew")

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
        scheduler.come_to_work(self.book, self.who)
        found = self._due(until)
        if any(task.task == scheduler.REDACTION and task.connection_id is None for task in found):
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
            return [one for one in found if one.connection_id is None and one.task == scheduler.REDACTION]
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
                self._heard(scheduler.as_result(done))
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
    scheduler.come_to_work(book, crew.who)
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
