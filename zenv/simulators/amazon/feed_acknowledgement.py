"""POST_ORDER_ACKNOWLEDGEMENT_DATA: XML in which StatusCode Failure cancels an order.

OrderAcknowledgement.xsd itself was not at hand: element names and the list of reasons are those that
other people's code uses.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import datetime

from .feed_listings import Unreadable
from .names import words
from .records import Feed, Order
from .storefront import Storefront

REASONS = frozenset(
    words("""NoInventory BuyerCanceled ShippingAddressUndeliverable CustomerExchange PricingError
    GeneralAdjustment CarrierCreditDecision RiskAssessmentInformationNotValid CarrierCoverageFailure
    CustomerReturn MerchandiseNotReceived""")
)
Result = tuple[str, str, str]


def acknowledge(sim: Storefront, feed: Feed, body: bytes, at: datetime) -> bytes:
    """Work through the messages; returns the ProcessingReport. Raises Unreadable."""
    envelope = _envelope(sim, body)
    messages = envelope.findall("Message")
    if feed.fatal:
        messages = messages[: feed.applied_before_fatal]
    errors: list[Result] = []
    for message in messages:
        number = message.findtext("MessageID", "")
        part = message.find("OrderAcknowledgement")
        problem = "no OrderAcknowledgement" if part is None else _one(sim, feed, part, at)
        if problem:
            order_id = "" if part is None else part.findtext("AmazonOrderID", "")
            errors.append((number, order_id, problem))
    return _report(sim, feed, len(messages), errors)


def _envelope(sim: Storefront, body: bytes) -> ET.Element:
    try:
        envelope = ET.fromstring(body)
    except ET.ParseError:
        raise Unreadable("the feed is not XML") from None
    if envelope.findtext("Header/MerchantIdentifier") != sim.seller_id:
        raise Unreadable("the feed's MerchantIdentifier is not this seller")
    if envelope.findtext("MessageType") != "OrderAcknowledgement":
        raise Unreadable("the feed's MessageType is not OrderAcknowledgement")
    return envelope


def _one(sim: Storefront, feed: Feed, part: ET.Element, at: datetime) -> str | None:
    """Carry one message out; returns what is wrong with it."""
    order = sim.orders.get(part.findtext("AmazonOrderID", ""))
    status = part.findtext("StatusCode")
    if order is None:
        return "The order id is not valid for this seller."
    if status == "Success":
        order.seller_order_id = part.findtext("MerchantOrderID") or order.seller_order_id
        sim.book.touch(order, at)
        return None
    if status != "Failure":
        return "StatusCode must be Success or Failure."
    return _cancel(sim, feed, order, part, at)


def _cancel(sim: Storefront, feed: Feed, order: Order, part: ET.Element, at: datetime) -> str | None:
    items = part.findall("Item")
    reasons = {item.findtext("CancelReason", "") for item in items}
    if {item.findtext("AmazonOrderItemCode") for item in items} != {line.item_id for line in order.lines}:
        return "Every item of the order must be named; part of an order cannot be cancelled."
    if strange := reasons - REASONS:
        return f"CancelReason {sorted(strange)[0]!r} is not valid."
    if order.fulfilled_by != "MERCHANT":
        return "An order fulfilled by Amazon cannot be cancelled by the seller."
    if order.status != "UNSHIPPED":
        return f"The order cannot be cancelled: it is {order.status}."
    sim.cancel_order(order, "MERCHANT", sorted(reasons)[0], at, feed.feed_id)
    return None


def _report(sim: Storefront, feed: Feed, processed: int, errors: list[Result]) -> bytes:
    root = ET.Element("AmazonEnvelope")
    header = ET.SubElement(root, "Header")
    _text(header, "DocumentVersion", "1.02")
    _text(header, "MerchantIdentifier", sim.seller_id)
    _text(root, "MessageType", "ProcessingReport")
    message = ET.SubElement(root, "Message")
    _text(message, "MessageID", "1")
    report = ET.SubElement(message, "ProcessingReport")
    _text(report, "DocumentTransactionID", feed.feed_id)
    _text(report, "StatusCode", "Complete")
    summary = ET.SubElement(report, "ProcessingSummary")
    _text(summary, "MessagesProcessed", str(processed))
    _text(summary, "MessagesSuccessful", str(processed - len(errors)))
    _text(summary, "MessagesWithError", str(len(errors)))
    _text(summary, "MessagesWithWarning", "0")
    for error in errors:
        _result(report, error)
    body: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return body


def _result(report: ET.Element, error: Result) -> None:
    number, order_id, problem = error
    result = ET.SubElement(report, "Result")
    _text(result, "MessageID", number)
    _text(result, "ResultCode", "Error")
    _text(result, "ResultMessageCode", "18028")
    _text(result, "ResultDescription", problem)
    _text(ET.SubElement(result, "AdditionalInfo"), "AmazonOrderID", order_id)


def _text(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text
