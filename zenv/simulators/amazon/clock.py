"""The simulator's time: a callable for now, an offset that can be wound forward, and things that fall due."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Deed = Callable[[datetime], None]


class Clock:
    """Reads the time and runs deeds in the order they fall due, each told its own due time."""

    def __init__(self, now: Callable[[], datetime] | None) -> None:
        self._now = now or (lambda: datetime.now(UTC))
        self._offset = timedelta()
        self._due: list[tuple[datetime, int, Deed]] = []
        self._order = itertools.count()
        self._settling = False

    def now(self) -> datetime:
        """The simulator's present, in UTC and cut to milliseconds, the precision Amazon answers with."""
        moment = self._now().astimezone(UTC) + self._offset
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def wind(self, seconds: float) -> None:
        """Move the present forward by so many seconds."""
        if seconds < 0:
            raise ValueError("the clock only winds forward")
        self._offset += timedelta(seconds=seconds)

    def at(self, moment: datetime, deed: Deed) -> None:
        """Let a deed fall due at a moment."""
        heapq.heappush(self._due, (moment, next(self._order), deed))

    def settle(self) -> None:
        """Run what is due by now, in order; a deed may make more due and never runs inside another."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._due and self._due[0][0] <= self.now():
                moment, _, deed = heapq.heappop(self._due)
                deed(moment)
        finally:
            self._settling = False


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    """Read an ISO 8601 date or date-time; without an offset it means UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
