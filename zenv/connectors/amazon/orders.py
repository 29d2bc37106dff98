"""An Order of Amazon's Orders API 2026-01-01 as facts: the order without a person, and the person apart.

The person is read by an allow-list: what is not named in `recipient_fact` never leaves the payload.
Amounts and packages that the answer leaves out are None and (), which means "not said". Source of every
path: the model orders_2026-01-01.json in github.com/amzn/selling-partner-api-models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenv.connectors.amazon.reading import (
    Unreadable,
    count,
    moment,
    money,
    needed,
    needed_moment,
    part,
    rows,
    sku_of,
    text,
    words,
)
from zenv.facts import (
    BadRecord,
    ChannelState,
    FulfilledBy,
    Money,
    OrderFact,
    OrderLineFact,
    PackageFact,
    RecipientFact,
)

Payload = Mapping[str, Any]

STATES: Mapping[str, ChannelState] = {
    "PENDING_AVAILABILITY": "pending",
    "PENDING": "pending",
    "UNSHIPPED": "ready",
    "PARTIALLY_SHIPPED": "part_shipped",
    "SHIPPED": "shipped",
    "CANCELLED": "cancelled",
    "UNFULFILLABLE": "unfulfillable",
}
OPEN = ("PENDING_AVAILABILITY", "PENDING", "UNSHIPPED", "PARTIALLY_SHIPPED")
CHANNELS: Mapping[str, FulfilledBy] = {"MERCHANT": "merchant", "AMAZON": "channel"}
PAID = "Paid"
REPLACED = ("REPLACEMENT_ORIGINAL_ID", "EXCHANGE_ORIGINAL_ID")


def order_or_bad(payload: Payload) -> OrderFact | BadRecord:
    """The order, or why it cannot be read: one odd order never stops the others."""
    try:
        return order_fact(payload)
    except Unreadable as error:
        return BadRecord("order", order_id(payload), str(error))


def order_id(payload: Payload) -> str:
    """The order's id, "" when even that makes no sense."""
    value = payload.get("orderId")
    return value[:60] if isinstance(value, str) and value.isprintable() else ""


def order_fact(payload: Payload) -> OrderFact:
    """Translate a whole order. Raises Unreadable."""
    status = needed(payload, "fulfillment", "fulfillmentStatus")
    if status not in STATES:
        raise Unreadable(f"the status {status[:40]!r} is not known to this version of zenv")
    lines = tuple(_line(item, status) for item in rows(payload, "orderItems"))
    if not lines:
        raise Unreadable("orderItems is missing")
    remote_id = needed(payload, "orderId")
    return OrderFact(
        remote_id=remote_id,
        placed_at=needed_moment(payload, "createdTime"),
        updated_at=needed_moment(payload, "lastUpdatedTime"),
        state=STATES[status],
        channel_status=status,
        fulfilled_by=_fulfilled_by(payload),
        marketplace=text(payload, "salesChannel", "marketplaceId"),
        lines=lines,
        seller_reference=_seller_reference(payload, remote_id),
        ship_by=moment(payload, "fulfillment", "shipByWindow", "latestDateTime"),
        deliver_by=moment(payload, "fulfillment", "deliverByWindow", "latestDateTime"),
        service_level=text(payload, "fulfillment", "fulfillmentServiceLevel"),
        total=money(payload, "proceeds", "grandTotal"),
        # Amazon takes the payment before it asks a merchant to ship
        payment="" if STATES[status] == "pending" else PAID,
        cancelled_by=_cancelled_by(payload),
        programs=words(payload, "programs"),
        packages=tuple(_package(package) for package in rows(payload, "packages")),
        replaces=_replaces(payload),
    )


def _fulfilled_by(payload: Payload) -> FulfilledBy:
    word = needed(payload, "fulfillment", "fulfilledBy")
    if word not in CHANNELS:
        raise Unreadable(f"fulfilledBy {word[:40]!r} is not known to this version of zenv")
    return CHANNELS[word]


def _seller_reference(payload: Payload, remote_id: str) -> str:
    aliases = rows(payload, "orderAliases")
    found = (text(alias, "aliasId") for alias in aliases if alias.get("aliasType") == "SELLER_ORDER_ID")
    return next((reference for reference in found if reference != remote_id), "")


def _cancelled_by(payload: Payload) -> str:
    executions = (
        text(item, "cancellation", "cancellationExecution", "cancelledBy") for item in rows(payload, "orderItems")
    )
    return next(filter(None, executions), "")


def _replaces(payload: Payload) -> str:
    others = (other for other in rows(payload, "associatedOrders") if other.get("associationType") in REPLACED)
    return next((text(other, "orderId") for other in others), "")


def _line(item: Payload, status: str) -> OrderLineFact:
    ordered = count(item, "quantityOrdered")
    if ordered is None:
        raise Unreadable("quantityOrdered is missing")
    shipped = min(count(item, "fulfillment", "quantityFulfilled") or 0, ordered)
    return OrderLineFact(
        remote_id=needed(item, "orderItemId"),
        sku=sku_of(item, "product", "sellerSku"),
        quantity=ordered,
        name=text(item, "product", "title"),
        shipped=shipped,
        cancelled=_cancelled(item, status, ordered, shipped),
        price=money(item, "product", "price", "unitPrice"),
        tax=_tax(item),
        buyer_wants_cancel=_cancel_request(item),
    )


def _cancelled(item: Payload, status: str, ordered: int, shipped: int) -> int:
    """Units that will never be shipped: the model counts what is fulfilled and what is not, the rest is
    cancelled."""
    if STATES[status] == "pending":
        return 0  # nothing is counted before the payment
    executed = part(item, "cancellation", "cancellationExecution") is not None
    if status in ("CANCELLED", "SHIPPED") or executed:
        open_units = 0 if status in ("CANCELLED", "SHIPPED") else count(item, "fulfillment", "quantityUnfulfilled")
        return max(0, ordered - shipped - (open_units or 0))
    unfulfilled = count(item, "fulfillment", "quantityUnfulfilled")
    return 0 if unfulfilled is None else max(0, ordered - shipped - unfulfilled)


def _tax(item: Payload) -> Money | None:
    taxes = (row for row in rows(item, "proceeds", "breakdowns") if row.get("type") == "TAX")
    return next((money(row, "subtotal") for row in taxes), None)


def _cancel_request(item: Payload) -> str:
    request = part(item, "cancellation", "cancellationRequest")
    if request is None:
        return ""
    # Who asks, never why: what a buyer writes there may name them.
    return (text(request, "requester") or "BUYER")[:20]


def _package(package: Payload) -> PackageFact:
    return PackageFact(
        reference=needed(package, "packageReferenceId"),
        carrier=text(package, "carrier"),
        tracking=text(package, "trackingNumber"),
        shipped_at=moment(package, "shipTime"),
        status=text(package, "packageStatus", "status"),
        lines=tuple(
            (needed(item, "orderItemId"), count(item, "quantity") or 0) for item in rows(package, "packageItems")
        ),
    )


def recipient_fact(payload: Payload) -> RecipientFact:
    """The person an order goes to. Raises Unreadable when there is no address to ship to."""
    address = part(payload, "recipient", "deliveryAddress")
    if not address:
        raise Unreadable("Amazon gave no delivery address")
    gifts = (text(item, "fulfillment", "packing", "giftOption", "giftMessage") for item in rows(payload, "orderItems"))
    return RecipientFact(
        order=needed(payload, "orderId"),
        name=text(address, "name"),
        company=text(address, "companyName"),
        line1=text(address, "addressLine1"),
        line2=text(address, "addressLine2"),
        line3=text(address, "addressLine3"),
        phone=text(address, "phone"),
        email=text(payload, "buyer", "buyerEmail"),
        gift_message=" / ".join(dict.fromkeys(filter(None, gifts))),
        city=text(address, "city") or text(address, "municipality"),
        region=text(address, "stateOrRegion") or text(address, "districtOrCounty"),
        postcode=text(address, "postalCode"),
        country=text(address, "countryCode"),
    )
