"""An order as `orders_2026-01-01` shows it: each dataset only when it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .clock import stamp
from .marketplaces import MARKETPLACES
from .names import words
from .records import Line, Order, Package

DATASETS = frozenset(
    words("""BUYER RECIPIENT PROCEEDS EXPENSE PROMOTION CANCELLATION FULFILLMENT PACKAGES TAX PAYMENT
    FULFILLMENT_ORDERS""")
)
STATUSES = frozenset(words("PENDING_AVAILABILITY PENDING UNSHIPPED PARTIALLY_SHIPPED SHIPPED CANCELLED UNFULFILLABLE"))


def order_json(order: Order, datasets: set[str]) -> dict[str, Any]:
    """One order with the datasets asked for."""
    place = MARKETPLACES[order.marketplace]
    shown: dict[str, Any] = {
        "orderId": order.order_id,
        "createdTime": stamp(order.created),
        "lastUpdatedTime": stamp(order.updated),
        "programs": order.programs,
        "salesChannel": {
            "channelName": "AMAZON",
            "marketplaceId": order.marketplace,
            "marketplaceName": place.name,
        },
        "orderItems": [_line(order, line, datasets) for line in order.lines],
    }
    if order.seller_order_id:
        shown["orderAliases"] = [{"aliasId": order.seller_order_id, "aliasType": "SELLER_ORDER_ID"}]
    for dataset, build in _ORDER_DATASETS.items():
        if dataset in datasets:
            shown |= build(order)
    return shown


def _money(order: Order, amount: Decimal) -> dict[str, str]:
    return {"amount": f"{amount:.2f}", "currencyCode": MARKETPLACES[order.marketplace].currency}


def _total(order: Order) -> Decimal:
    return sum((line.price * line.quantity for line in order.lines), order.shipping_price)


def _buyer(order: Order) -> dict[str, Any]:
    hidden = {"buyerEmail"} if order.fulfilled_by == "AMAZON" else set()
    return {"buyer": {name: value for name, value in order.buyer.items() if name not in hidden}}


def _recipient(order: Order) -> dict[str, Any]:
    """The address is there once the order is to be shipped; Amazon's own orders show no phone."""
    if order.status in ("PENDING", "PENDING_AVAILABILITY", "CANCELLED"):
        return {}
    hidden = {"phone"} if order.fulfilled_by == "AMAZON" else set()
    address = {name: value for name, value in order.recipient.items() if name not in hidden}
    return {"recipient": {"deliveryAddress": address}}


def _proceeds(order: Order) -> dict[str, Any]:
    if order.status == "PENDING":
        return {}
    return {"proceeds": {"grandTotal": _money(order, _total(order))}}


def _payment(order: Order) -> dict[str, Any]:
    if order.status == "PENDING":
        return {}
    execution = {"paymentMethod": "CreditCard", "paymentAmount": _money(order, _total(order))}
    return {"payment": {"paymentExecutions": [execution]}}


def _fulfillment(order: Order) -> dict[str, Any]:
    return {
        "fulfillment": {
            "fulfillmentStatus": order.status,
            "fulfilledBy": order.fulfilled_by,
            "fulfillmentServiceLevel": order.service_level,
            "shipByWindow": {
                "earliestDateTime": stamp(order.created),
                "latestDateTime": stamp(order.ship_by),
            },
            "deliverByWindow": {
                "earliestDateTime": stamp(order.ship_by),
                "latestDateTime": stamp(order.deliver_by),
            },
        }
    }


def _packages(order: Order) -> dict[str, Any]:
    if order.fulfilled_by == "AMAZON":
        return {}
    return {"packages": [_package(package) for package in order.packages.values()]}


def _package(package: Package) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "packageReferenceId": package.reference,
        "createdTime": stamp(package.created),
        "packageStatus": {"status": package.status},
        "carrier": package.carrier,
        "shipTime": stamp(package.shipped_at),
        "trackingNumber": package.tracking,
        "packageItems": [{"orderItemId": item, "quantity": count} for item, count in package.items.items()],
    }
    if package.service:
        shown["shippingService"] = package.service
    return shown


_ORDER_DATASETS: dict[str, Callable[[Order], dict[str, Any]]] = {
    "BUYER": _buyer,
    "RECIPIENT": _recipient,
    "PROCEEDS": _proceeds,
    "PAYMENT": _payment,
    "FULFILLMENT": _fulfillment,
    "PACKAGES": _packages,
}


def _line(order: Order, line: Line, datasets: set[str]) -> dict[str, Any]:
    product: dict[str, Any] = {
        "asin": line.asin,
        "title": line.title,
        "sellerSku": line.sku,
        "condition": {"conditionType": "NEW", "conditionSubtype": "NEW"},
    }
    shown: dict[str, Any] = {
        "orderItemId": line.item_id,
        "quantityOrdered": line.quantity,
        "product": product,
    }
    if order.status != "PENDING":
        product["price"] = {"unitPrice": _money(order, line.price)}
        if "PROCEEDS" in datasets:
            shown["proceeds"] = _line_proceeds(order, line)
    if "FULFILLMENT" in datasets:
        shown["fulfillment"] = _line_fulfillment(line)
    if "CANCELLATION" in datasets and (cancellation := _line_cancellation(line)):
        shown["cancellation"] = cancellation
    return shown


def _line_proceeds(order: Order, line: Line) -> dict[str, Any]:
    total = _money(order, line.price * line.quantity)
    return {"proceedsTotal": total, "breakdowns": [{"type": "ITEM", "subtotal": total}]}


def _line_fulfillment(line: Line) -> dict[str, Any]:
    shown: dict[str, Any] = {"quantityFulfilled": line.shipped, "quantityUnfulfilled": line.unshipped}
    if line.gift_message:
        shown["packing"] = {"giftOption": {"giftMessage": line.gift_message, "giftWrapLevel": "Classic"}}
    return shown


def _line_cancellation(line: Line) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if line.cancel_request:
        shown["cancellationRequest"] = {"requester": "BUYER", "cancelReason": line.cancel_request}
    if line.cancelled_by:
        shown["cancellationExecution"] = {
            "cancelledBy": line.cancelled_by,
            "cancelReason": line.cancel_reason,
        }
    return shown
