"""zenv's own tasks, which speak to nobody: forgetting people on time, a backup, a look at the ledger, old history."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType

from zenv.errors import ZenvError
from zenv.ledger import backup, connections, invariants, redaction, runs, schedule
from zenv.ledger.book import Book
from zenv.ledger.notices import notice, only_these
from zenv.ledger.runs import Tally

log = logging.getLogger("zenv.housekeeping")

NAME = connections.OURSELVES


@dataclass(frozen=True)
class Chore:
    """One task of zenv itself; `do` answers with what is to be said of it."""

    longest: timedelta
    do: Callable[[Book], str]


def _redact(book: Book) -> str:
    count = redaction.redact_due(book)
    return f"the recipients of {count} orders were forgotten" if count else "nobody had to be forgotten"


def _prune(book: Book) -> str:
    with book.transaction() as t:
        count = runs.prune(t)
    return f"{count} old runs were taken out of the history" if count else "no run is old enough to be forgotten"


def _back_up(book: Book) -> str:
    made = backup.make_on_record(book)
    return f"a copy of {made.orders} orders and {made.movements} movements was proved sound and kept"


def _check(book: Book) -> str:
    """What of doctor's list a backup does not prove; what is found comes to the inbox."""
    with book.reading() as sql:
        found = invariants.check(sql, book.clock(), invariants.WORK)
    with book.transaction() as t:
        only_these(t, "doctor", [f"{one.check} {one.subject}" for one in found])
        for one in found:
            notice(t, "doctor", f"{one.check} {one.subject}", one.text, one.command)
    return f"{len(found)} things were found" if found else "nothing was found wrong"


CHORES: Mapping[str, Chore] = MappingProxyType(
    {
        "redaction": Chore(timedelta(hours=24), _redact),
        "backup": Chore(timedelta(hours=24), _back_up),
        "check": Chore(timedelta(hours=24), _check),
        "history": Chore(timedelta(hours=24), _prune),
    }
)
"""In this order. All of them run at midnight; redaction also first thing after any time off."""


def bounds() -> list[schedule.Bound]:
    """When each chore has to run."""
    return [schedule.Bound(None, name, chore.longest, at_midnight=True) for name, chore in CHORES.items()]


@dataclass(frozen=True)
class Chored:
    """How a chore went: what is to be said of it, and what stopped it."""

    run: int
    task: str
    note: str
    error: ZenvError | None = None


def perform(book: Book, name: str, run: int) -> Chored:
    """Do a chore whose run has begun, and write down how it ended. A bug is written down and goes up."""
    try:
        done = Chored(run, name, CHORES[name].do(book))
    except ZenvError as caught:
        done = Chored(run, name, caught.message, caught)
    except BaseException as bug:
        said = f"it broke off: {type(bug).__name__}"
        _finish(book, Chored(run, name, said, ZenvError(said)))
        raise
    _finish(book, done)
    return done


def _finish(book: Book, done: Chored) -> None:
    outcome = "failed" if done.error else "ok"
    with book.transaction() as t:
        started = runs.end(t, done.run, outcome, Tally(notes=[done.note]))
        schedule.ended(t, None, done.task, started, done.error, book.company.time_zone)
    log.info("run connection=%s task=%s run=%d outcome=%s", NAME, done.task, done.run, outcome)
