"""Telling Amazon that a package left: confirmShipment, one call a package, read back when the answer is lost.

The operation has no key against repeats. Our number of the package inside the order (`packageReferenceId`, a
positive number sent as a string: selling-partner-api-models#5094) makes a repeat an edit of the same package; and
a refusal may mean that Amazon knows the package already (#5037), so every refusal is read back first.
Source: https://developer-docs.amazon.com/sp-api/docs/orders-api-v0-reference
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.delivery import one_by_one
from zenv.connectors.amazon.operations import CONFIRM_SHIPMENT
from zenv.connectors.amazon.order_lookup import get_order
from zenv.connectors.amazon.orders import order_fact
from zenv.connectors.amazon.reading import stamp
from zenv.errors import BadReply, NotFound
from zenv.facts import OrderFact, PackageFact, Receipt, ShipmentNotice

OTHER = "Other"
# Amazon checks the code against a list that is not in its model; these are named in its pages, and every other
# carrier goes by its name under "Other"
CARRIERS = {
    "ups": "UPS",
    "usps": "USPS",
    "fedex": "FedEx",
    "federalexpress": "FedEx",
    "dhl": "DHL",
    "dpd": "DPD",
    "royalmail": "Royal Mail",
    "hermes": "Hermes",
    "gls": "GLS",
}


def push_shipments(api: Api, notices: Sequence[ShipmentNotice]) -> Iterator[Receipt]:
    """Confirm each package: `done` once Amazon took it or already shows it."""
    return one_by_one(notices, lambda notice: _confirm(api, notice))


def _confirm(api: Api, notice: ShipmentNotice) -> Receipt:
    if problem := _problem(notice):
        return Receipt(notice.key, "refused", reason=problem)
    try:
        api.call(CONFIRM_SHIPMENT, {"order": notice.order}, json=confirmation(api, notice))
    except BadReply as refusal:
        if _shows(_order(api, notice), notice):
            return Receipt(notice.key, "done")
        return Receipt(notice.key, "refused", reason=refusal.message)
    return Receipt(notice.key, "done")


def _problem(notice: ShipmentNotice) -> str:
    """What Amazon is known to refuse, in words that help."""
    if not (notice.reference.isascii() and notice.reference.isdecimal() and int(notice.reference) > 0):
        return "the number of the package is not a positive number"
    if not notice.tracking.strip():
        return "Amazon takes no shipment without a tracking number"
    if not notice.carrier.strip():
        return "Amazon takes no shipment without a carrier"
    if not notice.lines or any(quantity < 1 for _, quantity in notice.lines):
        return "the package holds nothing of the order"
    return ""


def confirmation(api: Api, notice: ShipmentNotice) -> dict[str, Any]:
    """The body of confirmShipment. A ship date before the purchase or in the future is refused, so it is kept
    between the two."""
    code = CARRIERS.get("".join(notice.carrier.split()).lower(), OTHER)
    shipped_at = max(notice.placed_at, min(notice.shipped_at, api.wire.now()))
    detail: dict[str, Any] = {
        "packageReferenceId": notice.reference,
        "carrierCode": code,
        "carrierName": notice.carrier.strip(),
        "trackingNumber": notice.tracking.strip(),
        "shipDate": stamp(shipped_at),
        "orderItems": [{"orderItemId": line, "quantity": quantity} for line, quantity in notice.lines],
    }
    if notice.service:
        detail["shippingMethod"] = notice.service
    return {"marketplaceId": notice.marketplace or api.home, "packageDetail": detail}


def _order(api: Api, notice: ShipmentNotice) -> OrderFact:
    return order_fact(get_order(api, notice.order, "FULFILLMENT,PACKAGES"))


def _shows(order: OrderFact, notice: ShipmentNotice) -> bool:
    return any(_same(package, notice) for package in order.packages)


def _same(package: PackageFact, notice: ShipmentNotice) -> bool:
    """The same tracking with at least our lines; a package that lists no lines must bear our number instead."""
    if "".join(package.tracking.split()).upper() != "".join(notice.tracking.split()).upper():
        return False
    held = dict(package.lines)
    if not held:
        return package.reference == notice.reference
    return all(held.get(line, 0) >= quantity for line, quantity in notice.lines)


def find_shipment(api: Api, notice: ShipmentNotice) -> Receipt:
    """Whether Amazon shows this package; `retry` when it does not, for repeating edits the same package."""
    try:
        order = _order(api, notice)
    except NotFound as error:
        return Receipt(notice.key, "refused", reason=error.message)
    if _shows(order, notice):
        return Receipt(notice.key, "done")
    if order.state == "cancelled":
        return Receipt(notice.key, "refused", reason="the order is cancelled at Amazon")
    return Receipt(notice.key, "retry")
