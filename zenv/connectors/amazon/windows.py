"""Windows of creation time: a search shows 1,000 items at most, so a window with more is cut in half.

Both ends of a search window are inclusive ("at or after", "at or before" in the model), so two halves
that share their middle miss nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.listings import CAP, Payload, key_of, pages_after, search
from zenv.connectors.amazon.reading import count, rows, stamp

NARROWEST = timedelta(seconds=2)
BEGINNING = datetime(1995, 1, 1, tzinfo=UTC)
"""Before Amazon's first listing."""


@dataclass(frozen=True)
class Window:
    """From `start` to `end`, both included."""

    start: datetime
    end: datetime

    def halves(self) -> tuple[Window, Window] | None:
        """The earlier and the later half; None when it is too narrow to cut."""
        width = self.end - self.start
        if width <= NARROWEST:
            return None
        middle = self.start + width / 2
        return Window(self.start, middle), Window(middle, self.end)

    def query(self) -> dict[str, str]:
        """The window as parameters of a search."""
        return {"createdAfter": stamp(self.start), "createdBefore": stamp(self.end)}


@dataclass(frozen=True)
class Found:
    """A page of items. `reached` is the end of a window that is now read to its end; `missed` are items
    of it that Amazon has but does not let anyone page through."""

    items: list[Payload]
    reached: datetime | None = None
    missed: int = 0


def sweep(api: Api, window: Window, datasets: str) -> Iterator[Found]:
    """All items created in a window, earliest windows first."""
    waiting = [window]
    while waiting:
        current = waiting.pop()
        params = {**current.query(), "includedData": datasets, "sortBy": "createdDate", "sortOrder": "ASC"}
        answer = search(api, **params)
        total = count(answer, "numberOfResults") or 0
        halves = current.halves() if total > CAP else None
        if halves:
            waiting += reversed(halves)
        else:
            yield from _read(api, current, answer, total, params)


def _read(api: Api, window: Window, answer: dict[str, Any], total: int, params: dict[str, str]) -> Iterator[Found]:
    seen: set[str] = set()
    for page in pages_after(api, answer, **params):
        yield _unseen(page, seen)
    if total > CAP:
        # more in two seconds than can be paged through: both ends of the alphabet show another thousand each
        for order in ("ASC", "DESC"):
            turned = {**params, "sortBy": "sku", "sortOrder": order}
            for page in pages_after(api, search(api, **turned), **turned):
                yield _unseen(page, seen)
    yield Found([], window.end, max(0, total - len(seen)) if total > CAP else 0)


def _unseen(page: dict[str, Any], seen: set[str]) -> Found:
    items = [item for item in rows(page, "items") if key_of(item) not in seen]
    seen.update(map(key_of, items))
    return Found(items)
