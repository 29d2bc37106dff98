"""The published usage plans as token buckets on the simulator's clock (as the models give them)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

RATES: dict[str, tuple[float, int]] = {
    "getMarketplaceParticipations": (0.016, 15),
    "getAccount": (0.016, 15),
    "searchListingsItems": (5, 5),
    "getListingsItem": (5, 10),
    "patchListingsItem": (5, 5),
    "createFeed": (0.0083, 15),
    "createFeedDocument": (0.5, 15),
    "getFeed": (2, 15),
    "cancelFeed": (2, 15),
    "getFeeds": (0.0222, 10),
    "getFeedDocument": (0.0222, 10),
    "createReport": (0.0167, 15),
    "getReportDocument": (0.0167, 15),
    "getReport": (2, 15),
    "getReports": (0.0222, 10),
    "cancelReport": (0.0222, 10),
    "searchOrders": (0.0056, 20),
    "getOrder": (0.5, 30),
    "confirmShipment": (2, 10),
}
# changelog "feed size and rate limit changes for the JSON_LISTINGS_FEED", May 2025: 5 in 5 minutes a region
LISTINGS_FEED = "createFeed JSON_LISTINGS_FEED"
EXTRA: dict[str, tuple[float, int]] = {LISTINGS_FEED: (5 / 300, 5)}
SANDBOX_RATE = (5.0, 15)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled: datetime


class Throttle:
    """One bucket per operation; the simulator serves one application and one seller."""

    def __init__(self) -> None:
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, at: datetime, sandbox: bool = False) -> bool:
        """Take one token; False when the bucket is empty."""
        plan = RATES.get(name) or EXTRA.get(name)
        if plan is None:
            return True
        rate, burst = SANDBOX_RATE if sandbox else plan
        bucket = self._buckets.setdefault(name, _Bucket(float(burst), at))
        passed = max(0.0, (at - bucket.filled).total_seconds())
        bucket.tokens = min(float(burst), bucket.tokens + passed * rate)
        bucket.filled = at
        # a hair of tolerance: a client that waits exactly 1/rate seconds must not fail on float rounding
        if bucket.tokens < 1 - 1e-6:
            return False
        bucket.tokens -= 1
        return True
