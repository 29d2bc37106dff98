"""Everything the simulated Amazon holds, behind one lock: settings, account, world and what happened."""

from __future__ import annotations

import functools
import random
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from .clock import Clock
from .limits import Throttle
from .marketplaces import MARKETPLACES, US
from .orderbook import OrderBook
from .records import (
    Cancellation,
    Confirmation,
    Document,
    Fault,
    Feed,
    Link,
    Listing,
    ListingAccident,
    Order,
    QuantityChange,
    Report,
    SeenRequest,
    Violation,
)

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="State")

ORDERS_ROLE = "Inventory and Order Tracking"
LISTING_ROLE = "Product Listing"
DELIVERY_ROLE = "Direct-to-Consumer Delivery (Restricted)"
TAX_ROLE = "Tax Invoicing (Restricted)"


def locked(
    method: Callable[Concatenate[S, P], R],
) -> Callable[Concatenate[S, P], R]:
    """Hold the lock and let whatever is due happen first; tests and the server run in different threads."""

    @functools.wraps(method)
    def held(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with self.lock:
            self.clock.settle()
            return method(self, *args, **kwargs)

    return held


class State:
    """The account, its world and the log of what happened. A test may set plain attributes at any time."""

    def __init__(
        self,
        seed: int = 7,
        now: Callable[[], datetime] | None = None,
        *,
        limits: bool = True,
        feed_seconds: float = 120,
        report_seconds: float = 30,
        publish_seconds: float = 0,
        token_seconds: int = 3600,
        models: Path | None = None,
    ) -> None:
        self.lock = threading.RLock()
        self.rng = random.Random(seed)
        self.clock = Clock(now)
        self.limits = limits
        self.feed_seconds = feed_seconds
        self.report_seconds = report_seconds
        self.publish_seconds = publish_seconds
        self.token_seconds = token_seconds
        self.models = models
        self._account()
        self._settings()
        self._world()
        self._log()

    def _account(self) -> None:
        self.seller_id = f"A{self._code(13)}"
        self.client_id = f"amzn1.application-oa2-client.{self._code(32).lower()}"
        self.client_secret = f"amzn1.oa2-cs.v1.{self._code(64).lower()}"
        self.refresh_token = f"Atzr|{self._code(80)}"
        self.application_id = f"amzn1.sp.solution.{self._code(32).lower()}"
        self.selling_plan = "PROFESSIONAL"
        self.store_name = "The Polite Teapot Company"
        self.marketplaces = [US]
        self.roles = {ORDERS_ROLE, LISTING_ROLE, DELIVERY_ROLE, TAX_ROLE}

    def _settings(self) -> None:
        # what a missing role does to BUYER and RECIPIENT is not documented: "403" or "omit"
        self.missing_role = "403"
        # how far searchOrders stays behind the present when the request names no ...Before
        self.horizon_seconds = 0.0
        # models#2701: for some minutes a new listing has no summaries and no relationships
        self.young_seconds = 0.0
        self.report_columns = 29
        self.report_encoding = "utf-8"
        self.report_gzip = True
        self.max_lead_time = 30
        self.sandbox = False

    def _world(self) -> None:
        self._listings: dict[str, Listing] = {}
        self.book = OrderBook()
        self._feeds: dict[str, Feed] = {}
        self._reports: dict[str, Report] = {}
        self.documents: dict[str, Document] = {}
        self.links: dict[str, Link] = {}
        self.tokens: dict[str, tuple[datetime, str]] = {}
        self.granted_refresh_tokens: set[str] = set()
        self.revoked_refresh_tokens: set[str] = set()
        self.consent_codes: dict[str, tuple[datetime, str]] = {}
        self.searches: dict[str, tuple[str, list[str], int]] = {}
        self.throttle = Throttle()
        self.faults: list[Fault] = []
        self._serial = 0

    def _log(self) -> None:
        self.requests: list[SeenRequest] = []
        self.confirmations: list[Confirmation] = []
        self.cancellations: list[Cancellation] = []
        self.quantity_changes: list[QuantityChange] = []
        self.channel_accidents: list[ListingAccident] = []
        self.handling_resets: list[ListingAccident] = []
        self.violations: list[Violation] = []

    def _code(self, length: int) -> str:
        return "".join(self.rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=length))

    def serial(self) -> int:
        """A number never given before by this simulator."""
        self._serial += 1
        return self._serial

    def new_id(self, prefix: str) -> str:
        """An identifier with a readable prefix, distinct and hard to guess."""
        return f"{prefix}{self.serial():04d}.{self._code(16).lower()}"

    def now(self) -> datetime:
        """The simulator's present, UTC."""
        return self.clock.now()

    @property
    def listings(self) -> dict[str, Listing]:
        """Listings by SKU, as they are live now."""
        with self.lock:
            self.clock.settle()
            return self._listings

    @property
    def orders(self) -> dict[str, Order]:
        """Orders by id, as they are now."""
        with self.lock:
            self.clock.settle()
            return self.book.orders

    @property
    def feeds(self) -> dict[str, Feed]:
        """Feeds by id, as they are now."""
        with self.lock:
            self.clock.settle()
            return self._feeds

    @property
    def reports(self) -> dict[str, Report]:
        """Reports by id, as they are now."""
        with self.lock:
            self.clock.settle()
            return self._reports

    def violate(self, operation: str, request_id: str, problem: str) -> None:
        """Write down a broken rule."""
        self.violations.append(Violation(operation, request_id, self.now(), problem))

    def channel_of(self, marketplace: str) -> str:
        """The code of Amazon's own warehouses for a marketplace, as AMAZON_NA."""
        return MARKETPLACES[marketplace].channel

    def summary(self) -> dict[str, Any]:
        """Counts, for the control face and for a person."""
        with self.lock:
            statuses = [order.status for order in self.orders.values()]
            return {
                "now": self.now().isoformat(),
                "listings": len(self.listings),
                "orders": {status: statuses.count(status) for status in sorted(set(statuses))},
                "feeds": {feed.feed_id: feed.status for feed in self.feeds.values()},
                "reports": {report.report_id: report.status for report in self.reports.values()},
                "requests": len(self.requests),
                "confirmations": len(self.confirmations),
                "cancellations": len(self.cancellations),
                "quantity_changes": len(self.quantity_changes),
                "channel_accidents": len(self.channel_accidents),
                "handling_resets": len(self.handling_resets),
                "violations": [violation.problem for violation in self.violations],
                "faults": {fault.name: fault.times for fault in self.faults},
            }
