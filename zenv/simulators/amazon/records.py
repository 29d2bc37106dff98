"""What the simulated Amazon remembers: plain records, and one record for each effect a request had."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any


class SoldOut(Exception):
    """A buyer asked for more units than the listing's live merchant quantity."""


@dataclass(slots=True)
class Listing:
    """One SKU of the seller; `channels` is what is live, `submitted` what was sent last (models#5327)."""

    sku: str
    name: str
    asin: str
    listing_id: str
    created: datetime
    updated: datetime
    gtin: str | None = None
    marketplaces: list[str] = field(default_factory=list)
    channels: dict[str, int | None] = field(default_factory=dict)
    submitted: list[dict[str, Any]] = field(default_factory=list)
    attributes: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    lead_time: int | None = None
    price: Decimal | None = None
    product_type: str = "PRODUCT"
    parent_sku: str | None = None
    child_skus: list[str] = field(default_factory=list)
    variation: dict[str, str] = field(default_factory=dict)
    theme: str | None = None
    is_parent: bool = False
    active: bool = True
    issues: list[dict[str, Any]] = field(default_factory=list)

    @property
    def quantity(self) -> int | None:
        """The live merchant-fulfilled quantity; None when the SKU has no merchant leg."""
        return self.channels.get("DEFAULT")

    @property
    def by_amazon(self) -> bool:
        """Whether Amazon's own warehouses fulfil this SKU."""
        return any(code != "DEFAULT" for code in self.channels)

    @property
    def statuses(self) -> list[str]:
        """BUYABLE and DISCOVERABLE as the listing stands now."""
        if not self.active or self.is_parent:
            return ["DISCOVERABLE"] if self.active else []
        sellable = self.by_amazon or (self.quantity or 0) > 0
        return ["BUYABLE", "DISCOVERABLE"] if sellable else ["DISCOVERABLE"]


@dataclass(slots=True)
class Line:
    """One order item."""

    item_id: str
    sku: str
    quantity: int
    asin: str
    title: str
    price: Decimal
    shipped: int = 0
    gift_message: str | None = None
    cancel_request: str | None = None
    cancelled_by: str | None = None
    cancel_reason: str | None = None

    @property
    def unshipped(self) -> int:
        """Units neither shipped nor cancelled."""
        return 0 if self.cancelled_by else self.quantity - self.shipped


@dataclass(slots=True)
class Package:
    """One package the seller told Amazon about."""

    reference: str
    carrier: str
    tracking: str
    service: str | None
    shipped_at: datetime
    created: datetime
    items: dict[str, int]
    status: str = "SHIPPED"


@dataclass(slots=True)
class Order:
    """One customer order; `version` tells the index which of its entries is the living one."""

    order_id: str
    status: str
    fulfilled_by: str
    marketplace: str
    created: datetime
    updated: datetime
    lines: list[Line]
    recipient: dict[str, Any]
    buyer: dict[str, Any]
    service_level: str
    ship_by: datetime
    deliver_by: datetime
    shipping_price: Decimal
    programs: list[str] = field(default_factory=list)
    seller_order_id: str | None = None
    packages: dict[str, Package] = field(default_factory=dict)
    version: int = 0


@dataclass(slots=True)
class Document:
    """The body of a feed, a feed's result or a report, as it lies in the document store."""

    document_id: str
    content_type: str
    created: datetime
    body: bytes | None = None
    gzipped: bool = False


@dataclass(slots=True)
class Link:
    """A pre-signed URL: whoever holds it may get or put the document for five minutes."""

    document_id: str
    verb: str
    issued: datetime
    encoding_header: bool = False


@dataclass(slots=True)
class Feed:
    """One submitted feed in the seller's single queue."""

    feed_id: str
    feed_type: str
    marketplaces: list[str]
    document_id: str
    created: datetime
    status: str = "IN_QUEUE"
    started: datetime | None = None
    ended: datetime | None = None
    result_id: str | None = None
    extra_seconds: float = 0.0
    fatal: bool = False
    applied_before_fatal: int = 0


@dataclass(slots=True)
class Report:
    """One requested report."""

    report_id: str
    report_type: str
    marketplaces: list[str]
    created: datetime
    start: datetime | None = None
    end: datetime | None = None
    status: str = "IN_QUEUE"
    started: datetime | None = None
    ended: datetime | None = None
    document_id: str | None = None
    outcome: str | None = None


@dataclass(slots=True)
class SeenRequest:
    """One request that reached the simulator; `status` is the answer meant, 0 when it hung up before any."""

    operation: str
    method: str
    path: str
    at: datetime
    request_id: str
    query: dict[str, list[str]]
    status: int = 0
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """An EFFECT: a package was confirmed (`edit` False) or an existing package was changed (`edit` True)."""

    order_id: str
    reference: str
    carrier: str
    tracking: str
    items: dict[str, int]
    at: datetime
    edit: bool
    request_id: str


@dataclass(frozen=True, slots=True)
class Cancellation:
    """An EFFECT: an order was cancelled, by BUYER, MERCHANT or AMAZON; `feed_id` when a feed did it."""

    order_id: str
    by: str
    reason: str
    at: datetime
    feed_id: str | None = None


@dataclass(frozen=True, slots=True)
class QuantityChange:
    """An EFFECT: the live merchant quantity of a SKU changed.

    `source` is patch, feed, edit, order or cancel; `reference` is the submission, feed or order id behind it.
    """

    sku: str
    before: int | None
    after: int | None
    at: datetime
    source: str
    reference: str


@dataclass(frozen=True, slots=True)
class ListingAccident:
    """Something a submission did that no seller wants: a second channel, a handling time reset."""

    sku: str
    at: datetime
    source: str
    reference: str
    what: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A request, or an answer of ours, that broke the published model or a documented rule."""

    operation: str
    request_id: str
    at: datetime
    problem: str


@dataclass(slots=True)
class Fault:
    """A fault armed for the next `times` matching requests."""

    name: str
    operation: str | None
    times: int
    detail: dict[str, Any] = field(default_factory=dict)
