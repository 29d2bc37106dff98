"""Killing one of two companies in the middle of what they do together: the client or a command of the provider's at its
n-th boundary (`tests.killing`), or the process that serves the provider's face.

A face counts from the moment it listens: each SQL statement and commit, each statement on the file of keys, and the
moment before an answer leaves. Whatever dies is a process of a fork server and has a clock of its own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests import killing
from tests.killing import forks
from tests.year.company import Clock
from tests.year.mutants import Change, change, changed
from tests.zfn import deeds
from zenv import joining, pulling
from zenv.connectors.base import World
from zenv.connectors.zfn import streams
from zenv.ledger import book as ledger
from zenv.ledger import orders
from zenv.ledger.buckets import LedgerBuckets
from zenv.ledger.zfn import arrivals, clients, handing, links, tokens
from zenv.server import access, face, serving

forks.set_forkserver_preload(["zenv.connectors.amazon.connector", "zenv.connectors.zfn.connector", "tests.zfn.kills"])

MARK_FIRST = "the mark of the journal is committed before what was read"
SEEN_FIRST = "the provider may forget what it told before it is in the books"
SETTLED_FIRST = "a receipt is settled before what was wished for is booked"
EXCHANGED_ANEW = "a secret is exchanged once, and the same token is refused the second time"
ACCEPTED_IN_TWO = "a client is made in one transaction and its request decided in another"
PACKAGE_ALONE = "a package is booked and what was set aside for it is not"
VERSION_IGNORED = "what was said again is a new order"
NOT_SEALED_FIRST = "a new token is told before it is kept"
NEXT_FORGOTTEN = "a token that was told and not answered is not shown"
SECRET_DROPPED = "the request's secret is good for nothing once it was exchanged"
DOUBLE_ASKED = "a request that comes again is another one"

_JOURNAL = "        bad = journal.record(t, job.row.id, booked)\n"
_SEEN = "            yield Page([_told(api, change) for change in page.changes])\n"
_ISSUED = "    return wire.Issued("

CHANGES: dict[str, tuple[Change, ...]] = {
    MARK_FIRST: (
        change(pulling._record_journal,
               (_JOURNAL, "        _end_page(t, job, page, stream)\n    with job.book.transaction() as t:\n" + _JOURNAL)),
    ),
}  # fmt: skip
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


def at(now: datetime) -> Clock:
    """A clock that shows this time."""
    clock = Clock()
    clock.now = now
    return clock


# ---- whoever does something dies -------------------------------------------------------------------------


def killed(deed: Deed, boundary: int) -> bool:
    """Do it in a process that dies at its n-th boundary; whether it died."""
    process = forks.Process(target=_victim, args=(deed, boundary))
    process.start()
    process.join()
    if process.exitcode not in (0, -signal.SIGKILL):
        raise killing.FailedByItself(f"exit code {process.exitcode}")
    return process.exitcode != 0


def _victim(deed: Deed, boundary: int) -> None:
    tick = _counter(boundary)
    killing._watch_sql(tick)
    killing._watch_keys(tick)
    killing._watch_http(tick, tick)
    deed.do(at(deed.now))


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
    """The provider's face, as a process of its own; `boundary` is where it dies."""

    home: Path
    port: int
    now: datetime
    changes: tuple[str, ...] = ()
    boundary: int = 0

    @contextmanager
    def served(self) -> Iterator[Callable[[], bool]]:
        """Serve it; what this gives says whether it has died of itself."""
        listens = forks.Event()
        process = forks.Process(target=_serve, args=(self, listens), daemon=True)
        process.start()
        assert listens.wait(60), "the face does not listen"
        try:
            yield lambda: not process.is_alive()
        finally:
            process.kill()
            process.join()


def _serve(it: Face, listens: Any) -> None:
    with product(it.changes), ledger.open_book(it.home, "face", at(it.now)) as book:
        where = serving.Where(f"127.0.0.1:{it.port}")
        config = serving.configured(book, where)
        tick = _counter(it.boundary)
        config.app = _Counted(config.app, tick)

        def listening() -> None:
            killing._watch_sql(tick)
            killing._watch_keys(tick)
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
