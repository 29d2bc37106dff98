"""Cancelling orders the merchant ships: by the acknowledgement feed, all of a run in one.

There is no public REST operation: `cancelOrder` stood in Amazon's model three times and was taken out three times.
`ROUTES` is where it goes when it stays. The feed answers later, and the truth is the order itself: the next poll
shows it CANCELLED. Source: https://developer-docs.amazon.com/sp-api/docs/order-feed-type-values; the XSD of the
reasons was not at hand.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.delivery import stopped
from zenv.connectors.amazon.feeds import OPEN, feeds_since, submit_feed
from zenv.connectors.amazon.order_lookup import get_order
from zenv.connectors.amazon.orders import order_fact
from zenv.connectors.amazon.reading import Unreadable
from zenv.errors import NotFound, Unanswered, ZenvError
from zenv.facts import Cancellation, Receipt

FEED = "POST_ORDER_ACKNOWLEDGEMENT_DATA"
CONTENT_TYPE = "text/xml; charset=UTF-8"
REASONS = {
    "no_stock": "NoInventory",
    "buyer_request": "BuyerCanceled",
    "address_undeliverable": "ShippingAddressUndeliverable",
    "exchange": "CustomerExchange",
    "wrong_price": "PricingError",
}
LONGEST_FEED = timedelta(hours=24)


def push_cancellations(api: Api, cancellations: Sequence[Cancellation]) -> Iterator[Receipt]:
    """Ask Amazon to cancel these orders: `submitted` under `cancel-feed:ID`."""
    fit: list[Cancellation] = []
    for cancellation in cancellations:
        if cancellation.reason not in REASONS or not cancellation.lines:
            reason = f"an order is cancelled with all its lines, for one of: {', '.join(REASONS)}"
            yield Receipt(cancellation.key, "refused", reason=reason)
        else:
            fit.append(cancellation)
    if fit:
        yield from ROUTES["feed"](api, fit)


def _by_feed(api: Api, cancellations: Sequence[Cancellation]) -> Iterator[Receipt]:
    content = acknowledgement(cancellations, api.terms.seller_id)
    try:
        feed = submit_feed(api, FEED, content, CONTENT_TYPE, api.marketplaces)
    except Unanswered as error:
        for cancellation in cancellations:
            yield Receipt(cancellation.key, "unknown", reason=error.message)
        return
    except ZenvError as error:
        yield from stopped(cancellations, error)
        raise
    for cancellation in cancellations:
        yield Receipt(cancellation.key, "submitted", f"cancel-feed:{feed}")


ROUTES: dict[str, Callable[[Api, Sequence[Cancellation]], Iterator[Receipt]]] = {"feed": _by_feed}


def acknowledgement(cancellations: Iterable[Cancellation], seller_id: str) -> bytes:
    """The OrderAcknowledgement feed; StatusCode Failure with a reason for every line is a cancellation."""
    envelope = ET.Element(
        "AmazonEnvelope",
        {
            "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
            "xsi:noNamespaceSchemaLocation": "amzn-envelope.xsd",
        },
    )
    header = ET.SubElement(envelope, "Header")
    _text(header, "DocumentVersion", "1.01")
    _text(header, "MerchantIdentifier", seller_id)
    _text(envelope, "MessageType", "OrderAcknowledgement")
    for cancellation in cancellations:
        message = ET.SubElement(envelope, "Message")
        _text(message, "MessageID", str(cancellation.key))
        _acknowledge(ET.SubElement(message, "OrderAcknowledgement"), cancellation)
    return bytes(ET.tostring(envelope, encoding="UTF-8", xml_declaration=True))


def _acknowledge(parent: ET.Element, cancellation: Cancellation) -> None:
    _text(parent, "AmazonOrderID", cancellation.order)
    _text(parent, "StatusCode", "Failure")
    for line in cancellation.lines:
        item = ET.SubElement(parent, "Item")
        _text(item, "AmazonOrderItemCode", line)
        _text(item, "CancelReason", REASONS[cancellation.reason])


def _text(parent: ET.Element, tag: str, value: str) -> None:
    ET.SubElement(parent, tag).text = value


def read_cancel_report(content: bytes, keys: Iterable[int]) -> Iterator[Receipt]:
    """What the ProcessingReport says of the messages with these keys. Raises Unreadable.

    It lists what went wrong; a message it does not list was carried out.
    """
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise Unreadable("the processing report declares a document type")
    try:
        root = ET.fromstring(content)
    except ET.ParseError:
        raise Unreadable("the processing report is not XML") from None
    report = root.find(".//ProcessingReport")
    if report is None:
        raise Unreadable("there is no ProcessingReport")
    wrong = {
        result.findtext("MessageID", ""): result.findtext("ResultMessageCode", "")
        for result in report.iter("Result")
        if result.findtext("ResultCode", "") == "Error"
    }
    for key in keys:
        code = wrong.get(str(key), wrong.get("0"))  # 0 stands for the feed as a whole
        if code is None:
            yield Receipt(key, "done")
        else:
            yield Receipt(key, "refused", reason=f"Amazon refused to cancel: code {code[:20] or 'unknown'}")


def find_cancellation(api: Api, cancellation: Cancellation) -> Receipt:
    """Whether the order is cancelled; `unknown` as long as a feed that may do it is open, then `retry`."""
    try:
        order = order_fact(get_order(api, cancellation.order, "FULFILLMENT,CANCELLATION"))
    except NotFound as error:
        return Receipt(cancellation.key, "refused", reason=error.message)
    if order.state == "cancelled":
        return Receipt(cancellation.key, "done")
    if order.state in ("shipped", "part_shipped"):
        return Receipt(cancellation.key, "refused", reason="Amazon shows the order as shipped")
    if feeds_since(api, FEED, api.wire.now() - LONGEST_FEED, *OPEN):
        return Receipt(cancellation.key, "unknown", reason="Amazon is still working on cancellations", wait=600.0)
    return Receipt(cancellation.key, "retry")
