"""Killing a process at each of its SQL statements: fork, count what SQLite is about to run, kill -9 at the n-th."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event

from tests import books
from zenv.ledger.book import Book


def killed_at(statement: int, home: Path, act: Callable[[Book], object]) -> bool:
    """Do `act` on the book of `home` in a process that dies right before its n-th statement; whether it died.

    The child opens the book by itself: SQLite connections do not survive a fork.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _count_down(statement, home, act)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the child failed by itself"
    return False


def _count_down(left: int, home: Path, act: Callable[[Book], object]) -> None:
    with books.opened_any(home) as book:
        book.engine.dispose()  # the next connection is made with the counter in it

        @event.listens_for(book.engine, "connect")
        def _watch(connection: Any, _: Any) -> None:
            connection.set_trace_callback(_die)

        def _die(_: str) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

        act(book)
