"""Token buckets in the ledger, shared by all processes, so that a daemon and a command never exceed a rate
together (design 5.6). A bucket never seen before starts half full: who knows what was spent elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from sqlalchemy import Connection, Engine, func, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.ledger.db import plain_errors
from zenv.ledger.models import RateBucket
from zenv.ledger.transaction import AnyRow, among, table

buckets = table(RateBucket)

MOST_TOKENS = 1000.0
"""No remote lets more requests through at once, or in a second."""


class LedgerBuckets:
    """`zenv.connectors.base.Buckets` on the table `rate_bucket`."""

    def __init__(self, engine: Engine, clock: Callable[[], datetime]) -> None:
        self.engine = engine
        self.clock = clock

    def take(self, key: str, rate: float, burst: int) -> float:
        """Take one token of a bucket that refills `rate` tokens a second up to `burst`; else seconds to wait."""
        now = self.clock().timestamp()
        with plain_errors(), self.engine.begin() as sql:
            found = sql.execute(select(buckets).where(buckets.c.key == key)).one_or_none()
            rate = found.rate if found is not None else rate
            tokens = _refilled(found, now, rate, burst)
            closed_until = _closed_until(found, now)
            wait = max(0.0, closed_until - now)
            if not wait and tokens < 1:
                wait = (1 - tokens) / rate
            left = tokens if wait else tokens - 1
            now_is = {"tokens": left, "at": now, "closed_until": closed_until}
            entry = insert_or_update(buckets).values(key=key, rate=rate, **now_is)
            sql.execute(entry.on_conflict_do_update(index_elements=["key"], set_=now_is))
        return wait

    def learned(self, key: str, rate: float) -> None:
        """The remote's header says how fast this account may go."""
        if rate > 0:
            with plain_errors(), self.engine.begin() as sql:
                other = (buckets.c.key == key, buckets.c.rate != rate)
                sql.execute(buckets.update().where(*other).values(rate=rate))

    def drained(self, key: str, wait: float) -> None:
        """The remote said no: nothing for `wait` seconds, for any process."""
        with plain_errors(), self.engine.begin() as sql:
            until = self.clock().timestamp() + wait
            longer = func.max(buckets.c.closed_until, until)
            sql.execute(buckets.update().where(buckets.c.key == key).values(tokens=0.0, closed_until=longer))


def _closed_until(found: AnyRow | None, now: float) -> float:
    if found is None:
        return 0.0
    # A clock that was set back takes the end of the wait along with it.
    return float(found.closed_until - max(0.0, found.at - now))


def _refilled(found: AnyRow | None, now: float, rate: float, burst: int) -> float:
    if found is None:
        return max(1.0, burst / 2)
    # A clock that was set back refills nothing rather than emptying the bucket.
    return float(min(burst, found.tokens + max(0.0, now - found.at) * rate))


def forget(sql: Connection, keys: Iterable[str]) -> None:
    """What these buckets say cannot be: they begin anew, half full, at the rate the remote documents."""
    sql.execute(buckets.delete().where(among(buckets.c.key, keys)))
