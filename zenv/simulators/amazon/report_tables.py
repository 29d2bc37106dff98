"""The tables inside report documents, column for column; the set differs by account, country and year."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from .clock import stamp
from .marketplaces import MARKETPLACES
from .names import words
from .records import Line, Listing, Order
from .state import State

_BASIC = words("""item-name item-description listing-id seller-sku price quantity open-date image-url
item-is-marketplace product-id-type zshop-shipping-fee item-note item-condition zshop-category1
zshop-browse-path zshop-storefront-feature asin1 asin2 asin3 will-ship-internationally expedited-shipping
zshop-boldface product-id bid-for-featured-placement add-delete pending-quantity fulfillment-channel""")
_BUSINESS = [
    "Business Price",
    "Quantity Price Type",
    *(f"Quantity {what} {step}" for step in range(1, 6) for what in ("Lower Bound", "Price")),
    "Progressive Price Type",
    *(f"Progressive {what} {step}" for step in (1, 2) for what in ("Lower Bound", "Price")),
    "Pricing Action",
]
_TAIL = ["merchant-shipping-group", "status"]
LISTING_COLUMNS: dict[int, list[str]] = {
    27: _BASIC,
    28: [*_BASIC, "merchant-shipping-group"],
    29: _BASIC + _TAIL,
    47: _BASIC + _BUSINESS + _TAIL,
    49: [*_BASIC, *_BUSINESS, *_TAIL, "Minimum order quantity", "Sell remainder"],
}
_ORDER_COLUMNS = words("""amazon-order-id merchant-order-id purchase-date last-updated-date order-status
fulfillment-channel sales-channel order-channel ship-service-level product-name sku asin item-status
quantity currency item-price item-tax shipping-price shipping-tax gift-wrap-price gift-wrap-tax
item-promotion-discount ship-promotion-discount ship-city ship-state ship-postal-code ship-country
promotion-ids is-business-order purchase-order-number price-designation""")
_ORDER_WORDS = {
    "PENDING": "Pending",
    "UNSHIPPED": "Unshipped",
    "CANCELLED": "Cancelled",
    "SHIPPED": "Shipped",
}
_PDT = timezone(timedelta(hours=-7))


def table(columns: list[str], rows: Iterable[list[str]]) -> str:
    """Tab separated text with a header line."""
    return "\r\n".join("\t".join(row) for row in (columns, *rows)) + "\r\n"


def listing_table(sim: State, marketplace: str) -> str | None:
    """GET_MERCHANT_LISTINGS_ALL_DATA for one marketplace; None when there is nothing to tell.

    With 49 columns the rows end two fields early, as reports of 2025 do.
    """
    rows = [_listing_row(sim, one, marketplace) for one in sim.listings.values() if marketplace in one.marketplaces]
    return table(LISTING_COLUMNS[sim.report_columns], rows) if rows else None


def _listing_row(sim: State, listing: Listing, marketplace: str) -> list[str]:
    cells = _listing_cells(listing, marketplace)
    columns = LISTING_COLUMNS[min(sim.report_columns, 47)]
    return [cells.get(column, "") for column in columns]


def _listing_cells(listing: Listing, marketplace: str) -> dict[str, str]:
    kind = "1" if not listing.gtin else "3" if len(listing.gtin) == 12 else "4"
    by_amazon = [code for code in listing.channels if code != "DEFAULT"]
    return {
        "item-name": listing.name,
        "listing-id": listing.listing_id,
        "seller-sku": listing.sku,
        "price": "" if listing.price is None else str(listing.price),
        # rows of Amazon's own warehouses, and of parents, have no quantity
        "quantity": "" if by_amazon or listing.quantity is None else str(listing.quantity),
        "open-date": _open_date(listing.created, marketplace),
        "item-is-marketplace": "y",
        "product-id-type": kind,
        "item-condition": "11",
        "asin1": listing.asin,
        "product-id": listing.gtin or listing.asin,
        "pending-quantity": "" if by_amazon or listing.is_parent else "0",
        "fulfillment-channel": by_amazon[0] if by_amazon else "DEFAULT",
        "merchant-shipping-group": "Migrated Template",
        "status": "Active" if listing.active else "Inactive",
    }


def _open_date(moment: datetime, marketplace: str) -> str:
    if MARKETPLACES[marketplace].country == "GB":
        return moment.strftime("%d/%m/%Y %H:%M:%S GMT")
    return moment.astimezone(_PDT).strftime("%Y-%m-%d %H:%M:%S PDT")


def open_listing_table(sim: State, marketplace: str) -> str | None:
    """GET_FLAT_FILE_OPEN_LISTINGS_DATA: sku, asin, price, quantity."""
    rows = [
        [one.sku, one.asin, str(one.price), "" if one.by_amazon else str(one.quantity)]
        for one in sim.listings.values()
        if one.active and not one.is_parent and marketplace in one.marketplaces
    ]
    return table(["sku", "asin", "price", "quantity"], rows) if rows else None


def order_table(sim: State, places: list[str], start: datetime, end: datetime) -> str | None:
    """GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL: one row an order item."""
    rows = [
        _order_row(order, line)
        for _, order in sim.book.between("updated", (start, 0), end)
        if order.marketplace in places
        for line in order.lines
    ]
    return table(_ORDER_COLUMNS, rows) if rows else None


def _order_row(order: Order, line: Line) -> list[str]:
    pending = order.status == "PENDING"
    cells: dict[str, Any] = {
        "amazon-order-id": order.order_id,
        "merchant-order-id": order.seller_order_id or "",
        "purchase-date": stamp(order.created),
        "last-updated-date": stamp(order.updated),
        "order-status": _ORDER_WORDS.get(order.status, "Shipping"),
        "fulfillment-channel": "Merchant" if order.fulfilled_by == "MERCHANT" else "Amazon",
        "sales-channel": MARKETPLACES[order.marketplace].name,
        "ship-service-level": order.service_level.capitalize(),
        "product-name": line.title,
        "sku": line.sku,
        "asin": line.asin,
        "item-status": "Cancelled" if line.cancelled_by else "Unshipped" if line.unshipped else "Shipped",
        "quantity": 0 if line.cancelled_by else line.quantity,
        "currency": "" if pending else MARKETPLACES[order.marketplace].currency,
        "item-price": "" if pending else line.price * line.quantity,
        "ship-city": "" if pending else order.recipient.get("city", ""),
        "ship-state": "" if pending else order.recipient.get("stateOrRegion", ""),
        "ship-postal-code": "" if pending else order.recipient.get("postalCode", ""),
        "ship-country": order.recipient.get("countryCode", ""),
        "is-business-order": "true" if "AMAZON_BUSINESS" in order.programs else "false",
    }
    return [str(cells.get(column, "")) for column in _ORDER_COLUMNS]
