"""Which request is which operation: method and path template as in the models, and the face that answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from . import documents, feeds, listings, login, orders, reports, sellers, shipping
from .wire import Answer

_ITEMS = "/listings/2021-08-01/items/{sellerId}"
_FEEDS = "/feeds/2021-06-30"
_REPORTS = "/reports/2021-06-30"


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation; `model` is the file of Amazon's that describes it, empty outside the SP-API."""

    name: str
    method: str
    template: str
    handler: Callable[..., Answer]
    model: str = ""
    takes_fault: bool = False

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The decoded path parameters when the path is this operation's."""
        pattern = self.template.split("/")
        if len(pattern) != len(segments):
            return None
        params: dict[str, str] = {}
        for part, segment in zip(pattern, segments, strict=True):
            if part.startswith("{"):
                params[part[1:-1]] = unquote(segment)
            elif part != segment:
                return None
        return params


def _operations() -> list[Operation]:
    rows: list[tuple[Any, ...]] = [
        ("lwaToken", "POST", "/auth/o2/token", login.token),
        ("consent", "GET", "/apps/authorize/consent", login.consent),
        ("downloadDocument", "GET", "/documents/{documentId}", documents.transfer),
        ("uploadDocument", "PUT", "/documents/{documentId}", documents.transfer),
        (
            "getMarketplaceParticipations",
            "GET",
            "/sellers/v1/marketplaceParticipations",
            sellers.participations,
            "sellers",
        ),
        ("getAccount", "GET", "/sellers/v1/account", sellers.account, "sellers"),
        ("searchListingsItems", "GET", _ITEMS, listings.search, "listingsItems_2021-08-01"),
        ("getListingsItem", "GET", _ITEMS + "/{sku}", listings.get, "listingsItems_2021-08-01"),
        ("patchListingsItem", "PATCH", _ITEMS + "/{sku}", listings.patch, "listingsItems_2021-08-01"),
        ("createReport", "POST", _REPORTS + "/reports", reports.create, "reports_2021-06-30", True),
        ("getReports", "GET", _REPORTS + "/reports", reports.get_many, "reports_2021-06-30"),
        ("getReport", "GET", _REPORTS + "/reports/{reportId}", reports.get, "reports_2021-06-30"),
        ("cancelReport", "DELETE", _REPORTS + "/reports/{reportId}", reports.cancel, "reports_2021-06-30"),
        (
            "getReportDocument",
            "GET",
            _REPORTS + "/documents/{reportDocumentId}",
            reports.document,
            "reports_2021-06-30",
        ),
        ("createFeedDocument", "POST", _FEEDS + "/documents", feeds.create_document, "feeds_2021-06-30"),
        ("createFeed", "POST", _FEEDS + "/feeds", feeds.create, "feeds_2021-06-30", True),
        ("getFeeds", "GET", _FEEDS + "/feeds", feeds.get_many, "feeds_2021-06-30"),
        ("getFeed", "GET", _FEEDS + "/feeds/{feedId}", feeds.get, "feeds_2021-06-30"),
        ("cancelFeed", "DELETE", _FEEDS + "/feeds/{feedId}", feeds.cancel, "feeds_2021-06-30"),
        (
            "getFeedDocument",
            "GET",
            _FEEDS + "/documents/{feedDocumentId}",
            feeds.document,
            "feeds_2021-06-30",
        ),
        ("searchOrders", "GET", "/orders/2026-01-01/orders", orders.search, "orders_2026-01-01", True),
        ("getOrder", "GET", "/orders/2026-01-01/orders/{orderId}", orders.get, "orders_2026-01-01"),
        (
            "confirmShipment",
            "POST",
            "/orders/v0/orders/{orderId}/shipmentConfirmation",
            shipping.confirm,
            "ordersV0",
        ),
    ]
    return [Operation(*row) for row in rows]


OPERATIONS = _operations()


def find(method: str, path: str) -> tuple[Operation, dict[str, str]] | None:
    """The operation of a request, by its still encoded path, and its path parameters."""
    segments = path.split("/")
    for operation in OPERATIONS:
        if operation.method == method and (params := operation.match(segments)) is not None:
            return operation, params
    return None
