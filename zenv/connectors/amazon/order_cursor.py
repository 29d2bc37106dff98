"""How far the stream of orders has been read, as the string the ledger keeps (amazon.md 4.4).

{"after"}                      the first import: open orders created since `after` {"since"}
changes since `since`, read again from 5 minutes before ... + token, horizon, token_at in the middle
of either: the next page, good for a day, and where `since` will be when the last page has come
{"since", "report", "start"}   the first import's history is being prepared; then on with `since`
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

from zenv.connectors.amazon.reading import parse_time, stamp
from zenv.errors import BadInput

OVERLAP = timedelta(minutes=5)
FIRST_IMPORT = timedelta(days=30)
TIMES = ("after", "since", "horizon", "token_at", "start")
TOKEN_LIFE = timedelta(hours=23)
"""A paginationToken expires after 24 hours; one that is nearly so old is not worth a call of three
minutes."""


@dataclass(frozen=True)
class OrderCursor:
    """A position in the stream of orders; times are in UTC, None where they do not apply."""

    after: datetime | None = None
    since: datetime | None = None
    token: str = ""
    horizon: datetime | None = None
    token_at: datetime | None = None
    report: str | None = None
    start: datetime | None = None

    def dumps(self) -> str:
        """The string for the ledger."""
        told = {name: value for name, value in asdict(self).items() if value not in (None, "")}
        if self.report is not None:
            told["report"] = self.report
        return json.dumps({k: stamp(v) if isinstance(v, datetime) else v for k, v in told.items()})

    def beginning(self) -> OrderCursor:
        """The same walk from its first page. The horizon stays: what ended since the walk first began may not be
        shown by this one any more, and is read as a change since then."""
        return replace(self, token="", token_at=None)

    def turned(self, token: str, horizon: datetime, now: datetime) -> OrderCursor:
        """After a page with this next token; "" after the last page, from where the next run reads
        changes."""
        if token:
            return replace(self, token=token, horizon=horizon, token_at=now)
        return OrderCursor(since=max(horizon, self.since) if self.since else horizon)

    def query(self) -> dict[str, str]:
        """The time window of the walk, the same for every page of it."""
        if self.since:
            return {"lastUpdatedAfter": stamp(self.since - OVERLAP)}
        return {"createdAfter": stamp(self.after)} if self.after else {}


def read_order_cursor(text: str | None, now: datetime) -> OrderCursor:
    """The position in `text`; None is the very first import. A token past its life is dropped. Raises
    BadInput."""
    if text is None:
        return OrderCursor(after=now - FIRST_IMPORT)
    try:
        found = json.loads(text)
        after, since, horizon, token_at, start = (_time(found, name) for name in TIMES)
        cursor = OrderCursor(after, since, str(found.get("token", "")), horizon, token_at, found.get("report"), start)
    except (ValueError, TypeError, AttributeError, OverflowError):
        raise BadInput("The cursor of the orders cannot be read.", "zenv doctor") from None
    if not (cursor.since or cursor.after):
        raise BadInput("The cursor of the orders says no time.", "zenv doctor")
    fresh = cursor.token_at is not None and now - cursor.token_at < TOKEN_LIFE
    return cursor if fresh else cursor.beginning()


def _time(found: dict[str, str], name: str) -> datetime | None:
    return parse_time(found[name]) if name in found else None
