"""Telling providers at once what a command has just made due, while a person waits (2.1.4, 2.1.8): only where one is
owed something, with little patience, and never as a failure of the command. What is not told now stays owed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from zenv import sync
from zenv.connectors.base import World
from zenv.errors import Busy, ZenvError
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow
from zenv.ledger.zfn import links
from zenv.ledger.zfn.handing import HANDOVER

PATIENCE_S = 2.0
"""The longest wait for a provider's rate limit."""
SHORT_S = 0.2
"""The longest pause before a request is tried again."""


@dataclass(frozen=True)
class Waits:
    """What a provider could not be told now: how many messages, and why."""

    connection: str
    owed: int
    why: str


def at_once(book: Book, world: World | None = None) -> list[Waits]:
    """Tell each provider that is owed something; those that still are. Costs one look where none is."""
    with book.reading() as sql:
        owing = links.owing(sql)
    return [waits for found in owing if (waits := _tell(book, found, world)) is not None]


def _tell(book: Book, found: AnyRow, world: World | None) -> Waits | None:
    if not found.at_once or (found.open_until is not None and found.open_until > book.clock()):
        return Waits(found.name, found.owed, "it was out of reach a moment ago")
    world = world or replace(sync.world_of(book, PATIENCE_S), sleep=_briefly(time.sleep))
    try:
        error = sync.run(book, found.name, HANDOVER, world).error
    except Busy:
        return None  # somebody else is telling it this moment
    except ZenvError as caught:
        error = caught
    if error is None:
        return None
    with book.reading() as sql:
        left = next((one.owed for one in links.owing(sql) if one.name == found.name), 0)
    return Waits(found.name, left, error.message) if left else None


def _briefly(sleep: Callable[[float], None]) -> Callable[[float], None]:
    return lambda seconds: sleep(min(seconds, SHORT_S))


def in_words(waits: Waits) -> str:
    """One line for whoever gave the command."""
    things = "1 thing waits" if waits.owed == 1 else f"{waits.owed} things wait"
    return f"{things} for {waits.connection}; told when it answers ({waits.why})"
