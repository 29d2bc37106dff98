"""Killing one of two companies in the middle of what they do together: the client or a command of the provider's at its
n-th boundary (`tests.killing`), or the process that serves the provider's face.

A face counts from the moment it listens: each SQL statement and commit, each statement on the file of keys, and the
moment before an answer leaves. Whatever dies is a process of a fork server and has a clock of its own.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from tests import killing
from tests.killing import forks
from tests.year.company import Clock
from tests.year.mutants import Change, change, changed
from tests.zfn import deeds
from zenv import delivery, joining, pulling
from zenv.connectors.base import World
from zenv.connectors.zfn import api, streams
from zenv.connectors.zfn.connector import ZfnConnector
from zenv.ledger import book as ledger
from zenv.ledger import orders
from zenv.ledger.buckets import LedgerBuckets
from zenv.ledger.zfn import clients, journal, taking
from zenv.server import serving

forks.set_forkserver_preload(["zenv.connectors.amazon.connector", "zenv.connectors.zfn.connector", "tests.zfn.kills"])

MARK_FIRST = "the mark of the journal is committed before what was read"
SEEN_FIRST = "the provider may forget what it told before that is in the books"
SETTLED_FIRST = "a receipt is settled before it is booked"
TAKEN_AS_TOLD = "a message whose answer was lost is taken for told"
ASKED_TWICE = "a request that comes again is another one"
SECRET_SPENT = "a secret whose exchange was not answered is the end of the link"
TOLD_FIRST = "a new token is told before it is kept"
NEXT_FORGOTTEN = "a new token that was told is not shown until that was answered"
ACCEPTED_IN_TWO = "a client is made in one transaction and its request decided in another"
PACKAGE_ALONE = "a package is booked in one transaction and its units in another"
NUMBERED_LATER = "an order is taken in one transaction and numbered in another"

_JOURNAL = "    with job.book.transaction() as t:\n        bad = journal.record("
_END = "    with job.book.transaction() as t:\n        _end_page(t, job, page, stream)\n"
_SEEN = '            api.wire.call(SEEN, json=seen.model_dump(mode="json"))\n'
_TOLD = "            yield Page([_told(api, change) for change in page.changes])\n"
_RECEIPTS = "        with book.transaction() as t:\n            messages.book_receipts("
_SETTLED = (
    "        with book.transaction() as t:\n"
    "            outbox.settle(t, [messages._settled_as(kind, one) for one in receipts])\n"
)
_COMMIT = '    t.sql.exec_driver_sql("COMMIT")\n    t.sql.exec_driver_sql("BEGIN IMMEDIATE")\n'
_DECIDED, _LEAVES = "    tokens.belongs_to(t, asked.token_id, key)\n", "    depart(t, departures)\n"
_NUMBERED = "    _number(t, books.client, "

CHANGES: dict[str, tuple[Change, ...]] = {
    MARK_FIRST: (
        change(pulling._record_journal, (_JOURNAL, _END + _JOURNAL)),
        change(journal.record, ("    if booked[0]", "    if False and booked[0]")),
    ),
    SEEN_FIRST: (change(streams.read_changes, (_TOLD, ""), (_SEEN, _SEEN + _TOLD)),),
    SETTLED_FIRST: (change(delivery._book, (_RECEIPTS, _SETTLED + _RECEIPTS)),),
    TAKEN_AS_TOLD: (change(ZfnConnector.find, ('"retry"', '"done"')),),
    ASKED_TWICE: (change(clients.ask, ("    if known is not None:", "    if False:")),),
    SECRET_SPENT: (change(api.read_link, ("        return _known_by_token(api)", "        return None")),),
    TOLD_FIRST: (change(joining.rotate, ("kept.get(links.NEXT_TOKEN) or _next_token(book, link)", "new_token()")),),
    NEXT_FORGOTTEN: (change(api._token, (" if again else None", " if again and False else None")),),
    ACCEPTED_IN_TWO: (change(clients.accept, (_DECIDED, _COMMIT + _DECIDED)),),
    PACKAGE_ALONE: (change(orders._ship_one, (_LEAVES, _COMMIT + _LEAVES)),),
    NUMBERED_LATER: (change(taking._record, (_NUMBERED, _COMMIT + _NUMBERED)),),
}
"""Changes to the product by name, as in `tests.killing`."""


@dataclass(frozen=True)
class Deed:
    """One of `tests.zfn.deeds`, done on the books in `home` at `now`, in a product with these `CHANGES`."""

    home: Path
    name: str
    now: datetime
    code: str = ""
    changes: tuple[str, ...] = ()

    def do(self, clock: Clock) -> None:
        """Do it on a clock of one's own. Raises what the product raises."""
        with product(self.changes), ledger.open_book(self.home, "clerk", clock) as book:
            world = World(clock, clock.wind, LedgerBuckets(book.engine, clock), 10**7)
            deeds.BY_NAME[self.name](book, world, self.code)


@contextmanager
def product(changes: tuple[str, ...]) -> Iterator[None]:
    """The product with these changes."""
    with ExitStack() as stack:
        for name in changes:
            stack.enter_context(changed(*CHANGES[name]))
        yield


class Shared(Clock):
    """A clock that a process which was given it reads, too."""

    def __init__(self) -> None:
        self._micros = forks.Value("q", 0)
        super().__init__()

    @property
    def now(self) -> datetime:
        """What it shows."""
        return EPOCH + timedelta(microseconds=self._micros.value)

    @now.setter
    def now(self, shown: datetime) -> None:
        self._micros.value = (shown - EPOCH) // timedelta(microseconds=1)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(now: datetime) -> Clock:
    """A clock that shows this time."""
    clock = Clock()
    clock.now = now
    return clock


# ---- whoever does something dies -------------------------------------------------------------------------


def killed(deed: Deed, boundary: int, edges: bool = False) -> bool:
    """Do it in a process that dies at its n-th boundary, or (`edges`) at the n-th commit or end of a request; whether
    it died."""
    process = forks.Process(target=_victim, args=(deed, boundary, edges))
    process.start()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise killing.FailedByItself(f"exit code {process.exitcode}")
    return process.exitcode != 0


def _victim(deed: Deed, boundary: int, edges: bool) -> None:
    tick = _counter(boundary)
    _watch(tick, edges)
    killing._watch_http(tick, tick)
    deed.do(at(deed.now))


def _watch(tick: Callable[[], None], edges: bool) -> None:
    if edges:
        event.listen(Engine, "commit", lambda _: tick())
    else:
        killing._watch_sql(tick)
        killing._watch_keys(tick)


def _counter(boundary: int) -> Callable[[], None]:
    left = boundary

    def tick() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return tick


# ---- the face dies ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Face:
    """The provider's face, as a process of its own; `boundary` is where it dies, if it does."""

    home: Path
    port: int
    clock: Clock
    changes: tuple[str, ...] = ()
    boundary: int = 0
    edges: bool = False

    @contextmanager
    def served(self) -> Iterator[Callable[[float], bool]]:
        """Serve it; what this gives says whether it has died of itself, waiting for that so many seconds."""
        listens = forks.Event()
        process = forks.Process(target=_serve, args=(self, listens), daemon=True)
        process.start()
        assert listens.wait(60), "the face does not listen"

        def has_died(within: float) -> bool:
            process.join(within)
            return not process.is_alive()

        try:
            yield has_died
        finally:
            process.kill()
            process.join()


def _serve(it: Face, listens: Any) -> None:
    logging.disable()
    with product(it.changes), ledger.open_book(it.home, "face", it.clock) as book:
        where = serving.Where(f"127.0.0.1:{it.port}")
        config = serving.configured(book, where)
        tick = _counter(it.boundary)
        config.app = _Counted(config.app, tick)

        def listening() -> None:
            _watch(tick, it.edges)
            listens.set()

        serving.Server(config, listening).run([serving.bind(where)])


class _Counted:
    """The application, with a boundary before each part of an answer."""

    def __init__(self, app: Any, tick: Callable[[], None]) -> None:
        self.app, self.tick = app, tick

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            self.tick()
            await send(message)

        await self.app(scope, receive, sending)
