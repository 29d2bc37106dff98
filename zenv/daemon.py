"""`zenv daemon run`: one process that keeps the schedule for as long as it lives.

The tick looks every few seconds what is due, signs the attendance, and only then tells the watchdog that all is well.
APScheduler calls it, by the wall clock; a clock that is set back, or a sleep, would silence that. So the main thread
is the guard: it compares the wall clock with the monotonic one and makes the tick due when they part. It also hears
the signals: SIGTERM and SIGINT end the daemon after the request in flight, a second one at once; SIGHUP looks at the
ledger anew.

Nothing here waits with time.sleep, for a signal has to be heard.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from zoneinfo import ZoneInfo

from zenv import __version__, crew, failures, scheduler, sdnotify
from zenv.errors import Bug, Busy, DiskTrouble, KeyLocked, KeyUnavailable, NotFound, SettingsError
from zenv.ledger import attendance, views
from zenv.ledger.book import Book, open_book
from zenv.ledger.home import DAEMON_LOCK, LEDGER, daemon_is_running
from zenv.loglines import fields, log_to_stderr

log = logging.getLogger("zenv.daemon")

WHO = "daemon"
TICK_S = 5.0
GUARD_S = 2.0
"""So often the guard looks at the two clocks, and so far they may part."""
BUSY_S = 30.0
"""Longer than a command waits for the ledger's lock: nobody is there to run the daemon's work again."""
ENDS = (signal.SIGTERM, signal.SIGINT)


# ---- only one --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Running:
    """Who holds the lock, as they wrote it there themselves; unknown for the moment in which they write it."""

    pid: int | None = None
    since: datetime | None = None

    def __str__(self) -> str:
        if self.pid is None or self.since is None:
            return "the daemon is already running"
        local = self.since.astimezone()
        same_day = local.date() == datetime.now().astimezone().date()
        return f"the daemon is already running (pid {self.pid}, since {local:{'%H:%M' if same_day else '%F %H:%M'}})"


def running(home: Path) -> Running | None:
    """The daemon that keeps this ledger; None when none does."""
    return _who(home) if daemon_is_running(home) else None


def _who(home: Path) -> Running:
    try:
        told = json.loads((home / DAEMON_LOCK).read_text("utf-8"))
        return Running(int(told["pid"]), datetime.fromisoformat(told["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Running()  # it is being written this moment; the lock is what counts


def last_signature(home: Path) -> dict[str, Any]:
    """What the daemon last wrote of itself into the ledger (views.attendance); empty when there was never one."""
    found = views.attendance(home)
    entries = (dict(zip(found.columns, values, strict=True)) for values in found.rows)
    return next((entry for entry in entries if entry["who"] == WHO), {})


@contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the lock of this home's daemon; the kernel gives it back however we end. Busy when another holds it."""
    if not (home / LEDGER).is_file():
        raise NotFound(f"There is no ledger in {home}.", "zenv init")
    descriptor = os.open(home / DAEMON_LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not _locked(descriptor):
            raise Busy(f"{_who(home)}. Nothing was changed.", "zenv daemon status")
        told = json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat(timespec="seconds")})
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, told.encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _locked(descriptor: int) -> bool:
    """Take the lock; a few tries, because whoever asks if a daemon runs holds it for an instant."""
    import fcntl

    pause = threading.Event()
    for _ in range(5):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            pause.wait(0.05)
    return False


# ---- the ledger, looked at before it is trusted ----------------------------------------------------------


def open_checked(home: Path) -> Book:
    """The ledger, open, with settings that a daemon can work by. Raises what is wrong with them."""
    book = open_book(home, WHO, busy_seconds=BUSY_S)
    try:
        _check(book)
    except BaseException:
        book.close()
        raise
    return book


def _check(book: Book) -> None:
    """The time zone is one, every connection's kind and every interval is known. The key is another matter: it can
    be waited for."""
    zone = book.company.time_zone
    try:
        ZoneInfo(zone)
    except (OSError, ValueError, KeyError):
        raise SettingsError(f"{zone!r} is not a time zone.", "Restore a backup: zenv restore") from None
    scheduler.plan(book)


# ---- the daemon ------------------------------------------------------------------------------------------


class Guard:
    """Notices that the wall clock and the monotonic one have parted: it was set, or the machine slept."""

    def __init__(self) -> None:
        self._apart = self._difference()

    def stepped(self) -> float:
        """By how many seconds, since it was last noticed; 0 for less than GUARD_S."""
        now = self._difference()
        step, self._apart = (now - self._apart, now) if abs(now - self._apart) > GUARD_S else (0.0, self._apart)
        return step

    @staticmethod
    def _difference() -> float:
        return time.time() - time.monotonic()


def tick_s() -> float:
    """The time between two ticks; half of what the watchdog waits, where it waits less than usual."""
    within = sdnotify.watchdog_s()
    return TICK_S if within is None else min(TICK_S, within / 2)


class Daemon:
    """The tick and its guard, on the ledger of one home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.stopping = False
        self._heard: SimpleQueue[int] = SimpleQueue()
        self._signed: datetime | None = None
        self._trouble = ""

    def run(self) -> None:
        """From the open ledger to the last signature. Raises what keeps the daemon from starting."""
        with self._signals():
            self.crew = crew.Crew(open_checked(self.home), WHO)
            try:
                self._begin()
                ticker, job = self._ticker()
                self._watch(job)
                self._end(ticker)
            finally:
                self.crew.book.close()

    def _begin(self) -> None:
        if left := scheduler.take_over(self.crew.book, WHO):
            log.info("daemon %s", fields(event="abandoned", runs=left))
        if not self.tick():
            raise Bug(f"The first look at the schedule failed: {self._trouble}", "zenv doctor")
        log.info("daemon %s", fields(event="started", pid=os.getpid(), version=__version__))
        sdnotify.notify("READY=1", f"STATUS={self.status()}")

    # -- signals

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self._hear) for number in (*ENDS, signal.SIGHUP)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _: object) -> None:
        """In the middle of whatever the main thread does: only what may be done there."""
        if number in ENDS and self.stopping:
            os._exit(failures.INTERRUPTED)  # safe: every change is one transaction
        self.stopping = self.stopping or number in ENDS
        self._heard.put(number)

    # -- the main thread: the guard

    def _watch(self, job: Any) -> None:
        guard = Guard()
        while not self.stopping:
            try:
                number = self._heard.get(timeout=GUARD_S)
            except Empty:
                number = 0
            if number == signal.SIGHUP:
                self._reload()
            if step := guard.stepped():
                log.info("daemon %s", fields(event="clock_stepped", seconds=round(step)))
                job.modify(next_run_time=datetime.now(UTC))

    def _reload(self) -> None:
        """Look at the ledger anew, and keep to the old one if it does not stand the look."""
        sdnotify.notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            fresh = open_checked(self.home)
            self._look_for_the_key(fresh)
        except Exception as error:
            why = failures.plain(error) or error
            log.error("daemon %s", fields(event="reload_refused", why=why))
        else:
            # A run that is under way ends on the old one: a closed book opens again for whoever still holds it.
            old, self.crew.book = self.crew.book, fresh
            old.close()
            self.crew.ask_again()
            log.info("daemon %s", fields(event="reloaded"))
        sdnotify.notify("READY=1", f"STATUS={self.status()}")

    def _look_for_the_key(self, book: Book) -> None:
        try:
            book.master_key()
        except KeyLocked:
            return  # it opens by itself one day; each run asks
        except KeyUnavailable:
            if not self.crew.waiting:
                book.close()
                raise

    # -- the tick

    def _ticker(self) -> tuple[Any, Any]:
        """APScheduler with the tick as its one job: no store but memory, what was missed is one tick, never two."""
        from apscheduler.schedulers.background import BackgroundScheduler

        usual = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
        ticker = BackgroundScheduler(timezone=UTC, job_defaults=usual)
        job = ticker.add_job(self.tick, "interval", seconds=tick_s())
        ticker.start()
        return ticker, job

    def tick(self) -> bool:
        """One look at the schedule, and a sign of life to the watchdog if it went well; whether it did."""
        try:
            self._work()
            self._said("")
        except (Busy, DiskTrouble) as trouble:  # of the ledger; it is alive and tries again
            self._said(trouble.message, logging.WARNING)
        except Exception as bug:
            # Nobody hears what a thread raises, and its text may hold data: say where, and let the watchdog act.
            self._said(str(failures.plain(bug)), logging.ERROR)
            return False
        sdnotify.notify("WATCHDOG=1", f"STATUS={self.status()}")
        return True

    def _work(self) -> None:
        if not self.stopping:
            self.crew.start_one()
        self._sign()
        if self.crew.stuck():
            raise Bug("a worker gives no sign of life")

    def _sign(self) -> None:
        """Write once a minute that the daemon is there, and at once after the clock has been set: in whichever
        direction, the last signature is then not of the last minute."""
        now = self.crew.book.clock()
        if self._signed is not None and now - attendance.SIGN_EVERY < self._signed <= now:
            return
        with self.crew.book.transaction() as t:
            attendance.sign(t, WHO, self.crew.waiting, new=self._signed is None)
        self._signed = now

    def _said(self, trouble: str, level: int = logging.INFO) -> None:
        """Log a trouble when it begins and when it is over, not at every tick in between."""
        if trouble != self._trouble:
            event = "trouble" if trouble else "well_again"
            log.log(level, "daemon %s", fields(event=event, **({"why": trouble} if trouble else {})))
        self._trouble = trouble

    def status(self) -> str:
        """The line `systemctl status` shows."""
        if self.crew.waiting:
            return f"waiting for the key ({self.crew.waiting})"
        return self._trouble or f"{self.crew.at_work()} at work"

    # -- the end

    def _end(self, ticker: Any) -> None:
        """Claim nothing, let the request in flight end, sign off; all within what systemd waits."""
        begun = time.monotonic()
        sdnotify.notify("STOPPING=1", "STATUS=letting the request in flight end")
        log.info("daemon %s", fields(event="stopping", at_work=self.crew.at_work()))
        ticker.pause()
        ticker.shutdown()  # waits for a tick under way
        over = self.crew.stop(max(1.0, crew.STOPPING_S - (time.monotonic() - begun)))
        try:
            with self.crew.book.transaction() as t:
                attendance.sign_off(t, WHO)
        except (Busy, DiskTrouble) as trouble:
            log.warning("daemon %s", fields(event="trouble", why=trouble.message))
        log.info("daemon %s", fields(event="stopped", in_good_order=str(over).lower()))


def run(home: Path) -> None:
    """Keep the schedule of this home until told to end. Busy when another daemon does; raises what is wrong with
    the ledger."""
    log_to_stderr()
    with only_one(home):
        Daemon(home).run()
