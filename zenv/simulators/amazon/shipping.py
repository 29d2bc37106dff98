"""confirmShipment of `ordersV0`: a call tells one package; the same reference edits it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from .clock import parse_time
from .records import Confirmation, Line, Order, Package
from .state import State
from .wire import Answer, Call, Refusal, invalid, missing

_TEXTS = ("packageReferenceId", "carrierCode", "trackingNumber", "shipDate")


def confirm(sim: State, call: Call) -> Answer:
    """POST /orders/v0/orders/{orderId}/shipmentConfirmation: 204."""
    order = sim.orders.get(call.params["orderId"])
    if order is None:
        raise missing(f"Order {call.params['orderId']}")
    detail = _detail(call, order)
    items = _items(detail)
    shipped_at = _ship_date(order, call.at, detail["shipDate"])
    if order.status in ("PENDING", "CANCELLED") or order.fulfilled_by != "MERCHANT":
        raise invalid(f"The order cannot be shipped by the seller: {order.status}.", broken_rule=False)
    former = order.packages.get(detail["packageReferenceId"])
    _check_quantities(order, items, former)
    package = Package(
        reference=detail["packageReferenceId"],
        carrier=str(detail["carrierName"] if detail["carrierCode"] == "Other" else detail["carrierCode"]),
        tracking=detail["trackingNumber"],
        service=detail.get("shippingMethod"),
        shipped_at=shipped_at,
        created=former.created if former else call.at,
        items=items,
    )
    _carry_out(sim, call, order, package, edit=former is not None)
    return Answer(204)


def _detail(call: Call, order: Order) -> dict[str, Any]:
    body = call.json()
    detail = body.get("packageDetail")
    if body.get("marketplaceId") != order.marketplace or not isinstance(detail, dict):
        raise invalid("The order's marketplaceId and a packageDetail are required.")
    for name in _TEXTS:
        if name not in detail:
            raise invalid(f"packageDetail.{name} is required.")
        if not isinstance(detail[name], str):
            # since January 2026 a JSON number is refused (models#5094)
            raise invalid(f"The request has fields with invalid type [packageDetail.{name}].")
    reference = detail["packageReferenceId"]
    if not reference.isdecimal() or int(reference) == 0:
        raise invalid("packageReferenceId must be a positive number.")
    if detail["carrierCode"] == "Other" and not detail.get("carrierName"):
        raise invalid("carrierName is required when carrierCode is Other.")
    return detail


def _items(detail: dict[str, Any]) -> dict[str, int]:
    entries = detail.get("orderItems")
    if not isinstance(entries, list) or not entries:
        raise invalid("packageDetail.orderItems is required.")
    items: dict[str, int] = {}
    for entry in entries:
        item_id, quantity = entry.get("orderItemId"), entry.get("quantity")
        if not isinstance(item_id, str) or type(quantity) is not int or quantity < 1:
            raise invalid("An order item needs an orderItemId and a quantity of at least 1.")
        items[item_id] = items.get(item_id, 0) + quantity
    return items


def _ship_date(order: Order, now: datetime, text: str) -> datetime:
    try:
        moment = parse_time(text)
    except ValueError:
        raise invalid("shipDate is not an ISO 8601 date-time.") from None
    # [unverified] the page does not say how far off a ship date may be; a day of tolerance covers time zones
    if not order.created - timedelta(days=1) <= moment <= now + timedelta(days=1):
        raise invalid("shipDate lies before the purchase or in the future.", broken_rule=False)
    return moment


def _check_quantities(order: Order, items: dict[str, int], former: Package | None) -> None:
    lines = {line.item_id: line for line in order.lines}
    if former is None and all(line.unshipped == 0 for line in order.lines):
        message = "We are not finding a matching package or the order is already fulfilled."
        raise Refusal(400, "PackageToUpdateNotFound", message)
    for item_id, quantity in items.items():
        if item_id not in lines:
            raise invalid(f"Order item {item_id} is not in the order.", broken_rule=False)
        if quantity > _room(lines[item_id], former):
            raise invalid(f"More units of {item_id} than are left to ship.", broken_rule=False)


def _room(line: Line, former: Package | None) -> int:
    return line.unshipped + (former.items.get(line.item_id, 0) if former else 0)


def _carry_out(sim: State, call: Call, order: Order, package: Package, *, edit: bool) -> None:
    former = order.packages.get(package.reference)
    for line in order.lines:
        before = former.items.get(line.item_id, 0) if former else 0
        line.shipped += package.items.get(line.item_id, 0) - before
    order.packages[package.reference] = package
    order.status = "PARTIALLY_SHIPPED" if any(line.unshipped for line in order.lines) else "SHIPPED"
    sim.book.touch(order, call.at)
    sim.confirmations.append(
        Confirmation(
            order_id=order.order_id,
            reference=package.reference,
            carrier=package.carrier,
            tracking=package.tracking,
            items=dict(package.items),
            at=call.at,
            edit=edit,
            request_id=call.request_id,
        )
    )
