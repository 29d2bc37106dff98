"""The operations zenv uses, with their published default rates (requests per second, burst).

The rates are those of the models' usage plan tables (github.com/amzn/selling-partner-api-models); the
answer's `x-amzn-RateLimit-Limit` header corrects them at run time. `JSON_LISTINGS_FEED` has a plan of its
own: 5 feeds in 5 minutes (https://developer-docs.amazon.com/sp-api/changelog, "feed size and rate limit
changes", May 2025).
"""

from __future__ import annotations

from zenv.connectors.http import Operation

ORDERS_ROLE = "Inventory and Order Tracking"
LISTINGS_ROLE = "Product Listing"
RECIPIENT_ROLE = "Direct-to-Consumer Delivery (Restricted)"
BUYER_ROLE = "Tax Invoicing (Restricted)"

_LISTINGS = "/listings/2021-08-01/items/{seller}"
_FEEDS = "/feeds/2021-06-30"
_REPORTS = "/reports/2021-06-30"
_ORDERS = "/orders/2026-01-01/orders"

TOKEN = Operation("lwaToken", "POST", "/auth/o2/token", answers=("access_token", "expires_in"))
EXCHANGE_CODE = Operation(
    "lwaExchangeCode", "POST", "/auth/o2/token", answers=("access_token", "refresh_token"), repeatable=False
)

GET_ACCOUNT = Operation("getAccount", "GET", "/sellers/v1/account", 0.016, 15, ("payload",))
GET_PARTICIPATIONS = Operation(
    "getMarketplaceParticipations", "GET", "/sellers/v1/marketplaceParticipations", 0.016, 15, ("payload",)
)

SEARCH_LISTINGS = Operation(
    "searchListingsItems", "GET", _LISTINGS, 5, 5, ("numberOfResults", "items"), role=LISTINGS_ROLE
)
GET_LISTING = Operation("getListingsItem", "GET", _LISTINGS + "/{sku}", 5, 10, ("sku",), role=LISTINGS_ROLE)
PATCH_LISTING = Operation(
    "patchListingsItem",
    "PATCH",
    _LISTINGS + "/{sku}",
    5,
    5,
    ("sku", "status"),
    repeatable=False,
    role=LISTINGS_ROLE,
)

CREATE_FEED_DOCUMENT = Operation(
    "createFeedDocument", "POST", _FEEDS + "/documents", 0.5, 15, ("feedDocumentId", "url"), success=201
)
CREATE_FEED = Operation("createFeed", "POST", _FEEDS + "/feeds", 0.0083, 15, ("feedId",), success=202, repeatable=False)
CREATE_LISTINGS_FEED = Operation(
    "createFeed.JSON_LISTINGS_FEED",
    "POST",
    _FEEDS + "/feeds",
    5 / 300,
    5,
    ("feedId",),
    success=202,
    repeatable=False,
    role=LISTINGS_ROLE,
)
GET_FEED = Operation("getFeed", "GET", _FEEDS + "/feeds/{feed}", 2, 15, ("feedId", "processingStatus"))
GET_FEEDS = Operation("getFeeds", "GET", _FEEDS + "/feeds", 0.0222, 10, ("feeds",))
GET_FEED_DOCUMENT = Operation(
    "getFeedDocument", "GET", _FEEDS + "/documents/{document}", 0.0222, 10, ("feedDocumentId", "url")
)

CREATE_REPORT = Operation(
    "createReport", "POST", _REPORTS + "/reports", 0.0167, 15, ("reportId",), success=202, repeatable=False
)
GET_REPORT = Operation("getReport", "GET", _REPORTS + "/reports/{report}", 2, 15, ("reportId", "processingStatus"))
GET_REPORTS = Operation("getReports", "GET", _REPORTS + "/reports", 0.0222, 10, ("reports",))
GET_REPORT_DOCUMENT = Operation(
    "getReportDocument", "GET", _REPORTS + "/documents/{document}", 0.0167, 15, ("reportDocumentId", "url")
)

SEARCH_ORDERS = Operation("searchOrders", "GET", _ORDERS, 0.0056, 20, ("orders",), role=ORDERS_ROLE)
GET_ORDER = Operation("getOrder", "GET", _ORDERS + "/{order}", 0.5, 30, ("order",), role=ORDERS_ROLE)
CONFIRM_SHIPMENT = Operation(
    "confirmShipment",
    "POST",
    "/orders/v0/orders/{order}/shipmentConfirmation",
    2,
    10,
    success=204,
    repeatable=False,
    role=ORDERS_ROLE,
)

SANDBOX_PLAN = (5.0, 15)
"""https://developer-docs.amazon.com/sp-api/docs/the-selling-partner-api-sandbox: every operation alike."""
