"""Killing a run at its n-th boundary: before and after each SQL statement, before each commit, at each statement on the
file of keys, before and after each HTTP call.

A fork server imports zenv once and forks a process for every kill, so that no lock of the simulator's threads is ever
inherited. The process that dies has a clock of its own, which starts from the time it is told.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, event

from tests.year.company import Clock
from tests.year.mutants import Change, change, changed
from zenv import crew, delivery, housekeeping, privacy, pulling, scheduler, sync
from zenv.connectors.amazon import listing_stream, listings, order_stream, shipments, stock, windows
from zenv.connectors.base import World
from zenv.ledger import book as ledger
from zenv.ledger import outbox, redaction, schedule
from zenv.ledger.buckets import LedgerBuckets

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(["zenv.sync", "zenv.connectors.amazon.connector", "tests.killing"])

SMALL = "small pages and few patches"
BY_REPORT = "more items than a search shows"
CURSOR_FIRST = "the cursor is committed before the rows"
NOT_CLAIMED = "sending is not committed before the call"
BLIND = "a lost answer is repeated blindly, with a new package reference"
LEVELS_TAKEN_AS_TOLD = "a stock level whose answer was lost is taken for told"
ITEMS_READ_TOO_SOON = "the first page of items claims that all of them were read"
DETAILS_ONLY_WITH_ITEMS = "details are fetched only by the run that read the listings"
SWEEP_GOES_TOO_FAR = "a sweep that broke off claims to have come to its end"
KEYS_STAY = "redaction overwrites what is sealed and lets the keys be"
BYTES_FIRST = "what is sealed is removed before its key is destroyed"
PLANNED_FOR_THE_NEXT_SLOT = "a task that begins is planned for its next slot, not for the end of its lease"
PASSED_OVER = "what the disk does not take is passed over"
CLAIMED_APART = "a task is claimed in one transaction and its run begun in another"

_RECORDED = "        with job.book.transaction() as t:\n            changed ="
_MOVED = "        with job.book.transaction() as t:\n            _end_page(t, job, page, stream)\n"

_DESTROYED = "    book.keys.destroy([held.key_id for held in found if held.key_id])\n"
_REMOVED = "            audit.record(t, ACTION, held.number, detail=_detail(t, held, why))\n"
_BEGUN = "            return runs.begin("

CHANGES: dict[str, tuple[Change, ...]] = {
    SMALL: (change(order_stream._search, ('"100"', '"3"')),),
    BY_REPORT: (change(listing_stream._all_items, ("total > CAP", "total > 2")),),
    CURSOR_FIRST: (change(pulling.record_page, (_RECORDED, _MOVED + _RECORDED)),),
    NOT_CLAIMED: (change(outbox.claim, ('state="sending"', 'state="pending"')),),
    BLIND: (
        change(delivery._look_up, ("connector.find(message)", 'Receipt(owed.id, "retry")')),
        change(shipments.confirmation, ("notice.reference,", "str(int(api.world.now().timestamp())),")),
    ),
    LEVELS_TAKEN_AS_TOLD: (change(delivery._look_up, ('Receipt(owed.id, "retry")', 'Receipt(owed.id, "done")')),),
    ITEMS_READ_TOO_SOON: (change(listing_stream._all_items, ("None, read, total)", "_since(began), read, total)")),),
    DETAILS_ONLY_WITH_ITEMS: (
        change(pulling._without_detail, ("DETAILS_AT_ONCE)", "DETAILS_AT_ONCE) if job.tally.items else []")),
    ),
    SWEEP_GOES_TOO_FAR: (change(listing_stream.pull_live, ("stamp(found.reached)", "stamp(window.end)")),),
    KEYS_STAY: (change(redaction._redact, (_DESTROYED, "")),),
    BYTES_FIRST: (change(redaction._redact, (_DESTROYED, ""), (_REMOVED, _REMOVED + _DESTROYED)),),
    PLANNED_FOR_THE_NEXT_SLOT: (
        change(schedule.claim, ("next_at=t.now + LEASE", "next_at=t.now + timedelta(seconds=found.longest)")),
    ),
    PASSED_OVER: (
        change(
            ledger.Book.transaction,
            (
                "with plain_errors()",
                "with __import__('contextlib').suppress("
                "sqlite.module.OperationalError, __import__('sqlalchemy').exc.OperationalError)",
            ),
        ),
    ),
    CLAIMED_APART: (change(crew.Crew._claim, (_BEGUN, "        with self.book.transaction() as t:\n" + _BEGUN)),),
}
"""Changes to the product by name: the process that dies is told the name, for a changed function cannot be sent."""

FEW = ((stock, "MOST_PATCHES", 2), (listings, "BATCH", 2), (windows, "CAP", 2), (redaction, "AT_ONCE", 2),
       (pulling, "DETAILS_AT_ONCE", 2))  # fmt: skip
"""What SMALL makes small besides the pages of orders."""
DUE = "due"
"""Stands for whatever is due, as `zenv sync due` runs it."""


@dataclass(frozen=True)
class Errand:
    """A task of connection `a` on the books in `home`, begun at `now`, in a product with these `CHANGES`."""

    home: Path
    task: str
    now: datetime
    changes: tuple[str, ...] = ()

    def run(self, clock: Clock) -> sync.RunResult:
        """Do it on a clock of one's own; a task of a connection."""
        with self._product(clock) as (book, world):
            return sync.run(book, "a", self.task, world)

    def do(self, clock: Clock) -> list[str]:
        """Do it, whatever it is; how each run that it took ended."""
        with self._product(clock) as (book, world):
            if self.task == DUE:
                return [result.outcome for result in crew.run_due(book, world=world)]
            if self.task in housekeeping.CHORES:
                return [result.outcome for result in scheduler.do_chores(book, self.task)]
            return [sync.run(book, "a", self.task, world).outcome]

    @contextmanager
    def _product(self, clock: Clock) -> Iterator[tuple[ledger.Book, World]]:
        with ExitStack() as stack:
            for name in self.changes:
                stack.enter_context(changed(*CHANGES[name]))
            patch = stack.enter_context(pytest.MonkeyPatch.context())
            for place, name, few in FEW if SMALL in self.changes else ():
                patch.setattr(place, name, few)
            book = stack.enter_context(ledger.open_book(self.home, "clerk", clock))
            yield book, World(clock, clock.wind, LedgerBuckets(book.engine, clock), 10**7)


class FailedByItself(Exception):
    """The run that was to be killed ended in another way."""


def killed(errand: Errand, boundary: int, only: str = "") -> bool:
    """Run it in a process that dies at its n-th boundary, of one kind if `only` says `http`; whether it died."""
    process = forks.Process(target=_victim, args=(errand, boundary, only))
    process.start()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise FailedByItself(f"exit code {process.exitcode}")  # no AssertionError: it proves nothing about a mutant
    return process.exitcode != 0


def _victim(errand: Errand, boundary: int, only: str) -> None:
    left = boundary

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    if only != "http":
        _watch_sql(tick)
        _watch_keys(tick)
    _watch_http(tick, tick)
    outcomes = errand.do(_clock_at(errand.now))
    assert set(outcomes) == {"ok"}, outcomes


def _clock_at(now: datetime) -> Clock:
    clock = Clock()
    clock.now = now
    return clock


def _watch_sql(tick: Callable[[], None]) -> None:
    for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(Engine, name, lambda *_: tick())


def _watch_keys(tick: Callable[[], None]) -> None:
    original = privacy.KeyBook._connection

    @contextmanager
    def watched(self: privacy.KeyBook) -> Iterator[Any]:
        with original(self) as connection:
            connection.set_trace_callback(lambda _: tick())
            yield connection

    privacy.KeyBook._connection = watched  # type: ignore[method-assign]  # in a process that ends with the run


def _watch_http(before: Callable[[], None], after: Callable[[], None]) -> None:
    original = httpx.HTTPTransport.handle_request

    def handle(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        before()
        answer = original(self, request)
        after()
        return answer

    httpx.HTTPTransport.handle_request = handle  # type: ignore[method-assign]  # in a process that ends with the run


@contextmanager
def held_at_first_request(errand: Errand) -> Iterator[Callable[[], int]]:
    """It runs in another process, which has come to its first request and waits there; call what this gives to let
    it go on to its end: its exit code."""
    there, go = forks.Event(), forks.Event()
    process = forks.Process(target=_waiter, args=(errand, there, go))

    def finish() -> int:
        go.set()
        process.join()
        return int(process.exitcode or 0)

    process.start()
    there.wait()
    try:
        yield finish
    finally:
        finish()


def _waiter(errand: Errand, there: Any, go: Any) -> None:
    def before() -> None:
        there.set()
        go.wait()

    _watch_http(before, lambda: None)
    result = errand.run(_clock_at(errand.now))
    assert result.outcome == "ok", result


def cursor_says(position: str | None) -> str:
    """`nothing`, `half` (in the middle of a walk) or `all`: how far a cursor of orders claims to have read."""
    if position is None:
        return "nothing"
    return "half" if "token" in json.loads(position) else "all"
