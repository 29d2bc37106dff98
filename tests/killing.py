"""Killing a run at its n-th boundary: before and after each SQL statement, before each commit, before and after each
HTTP call.

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
from zenv import delivery, sync
from zenv.connectors.amazon import order_stream, shipments, stock
from zenv.connectors.base import World
from zenv.ledger import book as ledger
from zenv.ledger import outbox
from zenv.ledger.buckets import LedgerBuckets

forks = multiprocessing.get_context("forkserver")
forks.set_forkserver_preload(["zenv.sync", "zenv.connectors.amazon.connector", "tests.killing"])

SMALL = "small pages and few patches"
CURSOR_FIRST = "the cursor is committed before the rows"
NOT_CLAIMED = "sending is not committed before the call"
BLIND = "a lost answer is repeated blindly, with a new package reference"
LEVELS_TAKEN_AS_TOLD = "a stock level whose answer was lost is taken for told"

_RECORDED = "        with job.book.transaction() as t:\n            changed ="
_MOVED = "        with job.book.transaction() as t:\n            _move(t, job, stream, page.cursor)\n"

CHANGES: dict[str, tuple[Change, ...]] = {
    SMALL: (change(order_stream._search, ('"100"', '"3"')),),
    CURSOR_FIRST: (change(sync.record_page, (_RECORDED, _MOVED + _RECORDED)),),
    NOT_CLAIMED: (change(outbox.claim, ('state="sending"', 'state="pending"')),),
    BLIND: (
        change(delivery._look_up, ("connector.find(message)", 'Receipt(owed.id, "retry")')),
        change(shipments.confirmation, ("notice.reference,", "str(int(api.world.now().timestamp())),")),
    ),
    LEVELS_TAKEN_AS_TOLD: (change(delivery._look_up, ('Receipt(owed.id, "retry")', 'Receipt(owed.id, "done")')),),
}
"""Changes to the product by name: the process that dies is told the name, for a changed function cannot be sent."""


@dataclass(frozen=True)
class Errand:
    """A task of connection `a` on the books in `home`, begun at `now`, in a product with these `CHANGES`."""

    home: Path
    task: str
    now: datetime
    changes: tuple[str, ...] = ()

    def run(self, clock: Clock) -> sync.RunResult:
        """Do it on a clock of one's own."""
        with ExitStack() as stack:
            for name in self.changes:
                stack.enter_context(changed(*CHANGES[name]))
            if SMALL in self.changes:
                stack.enter_context(pytest.MonkeyPatch.context()).setattr(stock, "MOST_PATCHES", 2)
            book = stack.enter_context(ledger.open_book(self.home, "clerk", clock))
            world = World(clock, clock.wind, LedgerBuckets(book.engine, clock), 10**7)
            return sync.run(book, "a", self.task, world)


def killed(errand: Errand, boundary: int, only: str = "") -> bool:
    """Run it in a process that dies at its n-th boundary, of one kind if `only` says `http`; whether it died."""
    process = forks.Process(target=_victim, args=(errand, boundary, only))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), "the run failed by itself"
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
    _watch_http(tick, tick)
    result = errand.run(_clock_at(errand.now))
    assert result.outcome == "ok", result


def _clock_at(now: datetime) -> Clock:
    clock = Clock()
    clock.now = now
    return clock


def _watch_sql(tick: Callable[[], None]) -> None:
    for name in ("before_cursor_execute", "after_cursor_execute", "commit"):
        event.listen(Engine, name, lambda *_: tick())


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
