"""Kill -9 at the n-th boundary of a run, then see whether the next run simply goes on.

The work is done by a forked child that everything is imported into already; it kills itself before or after the
n-th SQL statement, before the n-th commit, or before or after the n-th HTTP call. The simulated Amazon lives in
the parent and survives. The hooks are here; the product has none.
"""

from __future__ import annotations

import os
import shutil
import signal
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx
from sqlalchemy import Engine, event

from tests.year.company import Clock, Company, Shop
from zenv.ledger.book import open_book
from zenv.simulators.amazon import AmazonSimulator, serve

HANGS = 60
"""Seconds after which a child that is neither dead nor done is taken for stuck."""


@dataclass(frozen=True)
class Scenario:
    """What is killed: how the other side looks at the beginning, what is run, what must be true at once after the
    kill, and what must be true when the same task has run once more."""

    name: str
    other_side: Callable[[Clock], AmazonSimulator]
    prepare: Callable[[Company], None]
    task: str
    at_once: Callable[[Company], None]
    in_the_end: Callable[[Company], None]


@dataclass(frozen=True)
class Stage:
    """A scenario made ready: a home that is only ever copied, and the port its connection knows."""

    scenario: Scenario
    home: Path
    port: int
    now: Clock


def killed_at(stage: Stage, boundary: int, folder: Path) -> bool:
    """Kill the run at this boundary, look, run again, look. False when the run ended before the boundary came."""
    clock = Clock()
    clock.now = stage.now.now
    home = folder / "home"
    shutil.copytree(stage.home, home)
    home.chmod(0o700)
    sim = stage.scenario.other_side(clock)
    with serve(sim, stage.port) as url:
        died = _die(home, clock, stage.scenario.task, boundary)
        with open_book(home, "next run", clock) as book:
            company = Company(home, book, clock, [Shop("a", sim, url)])
            stage.scenario.at_once(company)
            clock.wind(3600)
            result = company.run("a", stage.scenario.task)
            assert result.outcome == "ok", result
            stage.scenario.in_the_end(company)
    shutil.rmtree(home)
    return died


def _die(home: Path, clock: Clock, task: str, boundary: int) -> bool:
    """Run a task in a child that dies at the boundary. Whether it died."""
    with warnings.catch_warnings():
        # Python 3.12 warns of forking beside threads: the only other thread is the idle server
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _child(home, clock, task, boundary)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True
    assert status == 0, f"the child ended with {status}"
    return False


def _child(home: Path, clock: Clock, task: str, boundary: int) -> None:
    signal.alarm(HANGS)
    code = 1
    try:
        with boundaries(_killer(boundary)), open_book(home, "doomed", clock) as book:
            code = 0 if Company(home, book, clock).run("a", task).outcome == "ok" else 2
    finally:
        os._exit(code)


def _killer(boundary: int) -> Callable[[], None]:
    passed = count(1)

    def at_boundary() -> None:
        if next(passed) == boundary:
            os.kill(os.getpid(), signal.SIGKILL)

    return at_boundary


@contextmanager
def boundaries(at_boundary: Callable[[], None]) -> Iterator[None]:
    """Call `at_boundary` around every SQL statement and HTTP call and before every commit."""
    original = httpx.HTTPTransport.handle_request

    def handle(self: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
        at_boundary()
        answer = original(self, request)
        at_boundary()
        return answer

    def listen(*_: object) -> None:
        at_boundary()

    events = ("before_cursor_execute", "after_cursor_execute", "commit")
    for name in events:
        event.listen(Engine, name, listen)
    httpx.HTTPTransport.handle_request = handle  # type: ignore[method-assign]  # the one place all requests pass
    try:
        yield
    finally:
        httpx.HTTPTransport.handle_request = original  # type: ignore[method-assign]
        for name in events:
            event.remove(Engine, name, listen)
