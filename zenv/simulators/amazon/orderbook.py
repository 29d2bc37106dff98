"""The orders, found by their times: every change appends to an index, so a page costs what the page holds."""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Iterator
from datetime import datetime

from .records import Order

Key = tuple[datetime, int]


class OrderBook:
    """All orders by id, indexed by creation and by last update."""

    def __init__(self) -> None:
        self.orders: dict[str, Order] = {}
        self._created: list[tuple[datetime, int, str]] = []
        self._updated: list[tuple[datetime, int, str]] = []
        self._serial = itertools.count(1)

    def add(self, order: Order) -> None:
        """Take in a new order."""
        self.orders[order.order_id] = order
        insort(self._created, (order.created, next(self._serial), order.order_id))
        self.touch(order, order.updated)

    def touch(self, order: Order, at: datetime) -> None:
        """Note that an order changed; its former index entry goes stale."""
        order.updated = at
        order.version = next(self._serial)
        insort(self._updated, (at, order.version, order.order_id))
        if len(self._updated) > 2 * len(self.orders) + 1000:
            self._updated = [entry for entry in self._updated if self._living(entry)]

    def _living(self, entry: tuple[datetime, int, str]) -> bool:
        return self.orders[entry[2]].version == entry[1]

    def between(self, field: str, start: Key, until: datetime) -> Iterator[tuple[Key, Order]]:
        """Orders whose `created` or `updated` time is from the start key to `until`, oldest first."""
        entries = self._created if field == "created" else self._updated
        for entry in itertools.islice(entries, bisect_left(entries, (*start, "")), None):
            if entry[0] > until:
                return
            if field == "created" or self._living(entry):
                yield (entry[0], entry[1]), self.orders[entry[2]]
