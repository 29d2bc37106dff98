"""The Feeds API of the simulated Amazon: uploads, the queue, and what feeds do when they complete."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.shared_files import SPAPI, needs_spapi
from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator
from zenv.simulators.amazon.judge import Judge

FEEDS = "/feeds/2021-06-30/feeds"
ACKNOWLEDGEMENT = "POST_ORDER_ACKNOWLEDGEMENT_DATA"
XML = "text/xml; charset=UTF-8"


def merge(sku: str, quantity: object, number: int = 1) -> dict[str, Any]:
    """A message that merges a quantity."""
    value = [{"fulfillment_channel_code": "DEFAULT", "quantity": quantity}]
    patch = {"op": "merge", "path": "/attributes/fulfillment_availability", "value": value}
    return {
        "messageId": number,
        "sku": sku,
        "operationType": "PATCH",
        "productType": "PRODUCT",
        "patches": [patch],
    }


def feed_body(sim: AmazonSimulator, messages: list[dict[str, Any]]) -> bytes:
    """A listings feed."""
    header = {"sellerId": sim.seller_id, "version": "2.0", "issueLocale": "en_US"}
    return json.dumps({"header": header, "messages": messages}).encode()


def submit(api: Api, *messages: dict[str, Any]) -> str:
    """Upload and create a listings feed; the feed id."""
    answer = api.create_feed(api.upload(feed_body(api.sim, list(messages))))
    assert answer.status_code == 202, answer.text
    feed_id: str = answer.json()["feedId"]
    return feed_id


def state(api: Api, feed_id: str) -> dict[str, Any]:
    """getFeed."""
    feed: dict[str, Any] = api.get(f"{FEEDS}/{feed_id}").raise_for_status().json()
    return feed


def report(api: Api, feed_id: str) -> dict[str, Any]:
    """The processing report of a listings feed."""
    content: dict[str, Any] = json.loads(api.fetch("feeds", state(api, feed_id)["resultFeedDocumentId"]))
    return content


def test_a_feed_takes_its_time_and_then_applies_in_order(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    feed_id = submit(api, merge("MUG", 7, 1), merge("MUG", 8, 2))
    assert state(api, feed_id)["processingStatus"] == "IN_PROGRESS"
    sim.wind(119)
    assert sim.listings["MUG"].quantity == 5
    sim.wind(1)
    assert state(api, feed_id)["processingStatus"] == "DONE"
    assert sim.listings["MUG"].quantity == 8
    assert [(c.after, c.source, c.reference) for c in sim.quantity_changes] == [
        (7, "feed", feed_id),
        (8, "feed", feed_id),
    ]
    assert report(api, feed_id)["summary"] == {
        "errors": 0,
        "warnings": 0,
        "messagesProcessed": 2,
        "messagesAccepted": 2,
        "messagesInvalid": 0,
    }
    assert not sim.violations


def test_feeds_wait_in_one_queue(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    first, second = submit(api, merge("MUG", 1)), submit(api, merge("MUG", 2))
    assert state(api, second)["processingStatus"] == "IN_QUEUE"
    sim.wind(120)
    assert sim.listings["MUG"].quantity == 1
    assert [state(api, one)["processingStatus"] for one in (first, second)] == ["DONE", "IN_PROGRESS"]
    sim.wind(120)
    assert sim.listings["MUG"].quantity == 2
    assert state(api, second)["processingEndTime"] == "2026-09-01T12:04:00.000Z"


def test_a_report_that_ends_after_a_feed_shows_all_of_it_however_far_the_clock_jumps(
    sim: AmazonSimulator, api: Api
) -> None:
    sim.add_listing("MUG", quantity=5)
    sim.report_seconds = 121
    submit(api, merge("MUG", 7))
    body = {"reportType": "GET_FLAT_FILE_OPEN_LISTINGS_DATA", "marketplaceIds": sim.marketplaces}
    report_id = api.post("/reports/2021-06-30/reports", json=body).json()["reportId"]
    sim.wind(500)
    text = api.fetch("reports", sim.reports[report_id].document_id or "").decode()
    assert text.splitlines()[1].split("\t")[3] == "7"


def test_an_older_feed_overwrites_a_newer_patch(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    submit(api, merge("MUG", 9))
    sim.wind(60)
    api.patch_quantity("MUG", quantity=0)
    assert sim.listings["MUG"].quantity == 0
    sim.wind(60)
    assert sim.listings["MUG"].quantity == 9


def test_each_invalid_message_has_its_issue_and_the_others_apply(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    feed_id = submit(api, merge("NONE", 1, 1), merge("MUG", 3, 2), merge("MUG", -1, 3))
    sim.wind(120)
    content = report(api, feed_id)
    assert [(issue["messageId"], issue["sku"], issue["code"]) for issue in content["issues"]] == [
        (1, "NONE", "13013"),
        (3, "MUG", "90244"),
    ]
    assert (content["summary"]["messagesAccepted"], content["summary"]["messagesInvalid"]) == (1, 2)
    assert content["header"]["feedId"] == feed_id
    assert sim.listings["MUG"].quantity == 3


@needs_spapi
def test_the_processing_report_obeys_amazons_schema(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    feed_id = submit(api, merge("NONE", 1, 1), merge("MUG", 3, 2))
    sim.wind(120)
    content = report(api, feed_id)
    judge = Judge(Path(SPAPI))
    assert judge.document_problems("listings-feed-processing-report-schema-v2", content) == []
    assert judge.document_problems("listings-feed-processing-report-schema-v2", content | {"issues": 1})


@needs_spapi
def test_a_feed_that_breaks_amazons_schema_is_noted(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG")
    submit(api, merge("MUG", 3) | {"attributes": {"color": [{"value": "red"}]}})
    assert any("$.messages[0]" in violation.problem for violation in sim.violations)


def test_message_ids_are_distinct_and_forms_complete(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    nameless = merge("MUG", 4, 3) | {"productType": ""}
    feed_id = submit(api, merge("MUG", 1, 1), merge("MUG", 2, 1), nameless)
    sim.wind(120)
    assert report(api, feed_id)["summary"]["messagesInvalid"] == 3
    assert sim.listings["MUG"].quantity == 5


def test_partial_updates_replace_and_deletes_delete(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5, lead_time=2)
    sim.add_listing("OLD")
    availability = [{"fulfillment_channel_code": "DEFAULT", "quantity": 6}]
    update = {
        "messageId": 1,
        "sku": "MUG",
        "operationType": "PARTIAL_UPDATE",
        "productType": "PRODUCT",
        "attributes": {"fulfillment_availability": availability},
    }
    submit(api, update, {"messageId": 2, "sku": "OLD", "operationType": "DELETE"})
    sim.wind(120)
    assert (sim.listings["MUG"].quantity, sim.listings["MUG"].lead_time) == (6, None)
    assert len(sim.handling_resets) == 1
    assert "OLD" not in sim.listings
    assert not sim.violations


def test_25000_messages_fit_and_one_more_is_fatal(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    messages = [merge("MUG", number % 50, number) for number in range(1, 25_002)]
    full, over = submit(api, *messages[:-1]), submit(api, *messages)
    sim.wind(240)
    assert report(api, full)["summary"]["messagesAccepted"] == 25_000
    assert state(api, over)["processingStatus"] == "FATAL"


@pytest.mark.parametrize("body", [b"{", b'{"header": {"sellerId": "AOTHER", "version": "2.0"}, "messages": []}'])
def test_a_feed_that_cannot_be_read_is_fatal(sim: AmazonSimulator, api: Api, body: bytes) -> None:
    feed_id = api.create_feed(api.upload(body)).json()["feedId"]
    sim.wind(120)
    assert state(api, feed_id)["processingStatus"] == "FATAL"
    assert "resultFeedDocumentId" not in state(api, feed_id)
    assert sim.violations


def test_an_upload_needs_the_announced_content_type(sim: AmazonSimulator, api: Api) -> None:
    made = api.post("/feeds/2021-06-30/documents", json={"contentType": XML}).json()
    with api.anonymous() as plain:
        assert plain.put(made["url"], content=b"<a/>", headers={"content-type": "text/xml"}).status_code == 403
        assert "Content-Type" in sim.violations[0].problem
        sim.wind(301)
        answer = plain.put(made["url"], content=b"<a/>", headers={"content-type": XML})
    assert (answer.status_code, "expired" in answer.text) == (403, True)
    assert api.create_feed(made["feedDocumentId"], ACKNOWLEDGEMENT).status_code == 400


def test_a_document_can_be_used_for_two_days(sim: AmazonSimulator, api: Api) -> None:
    document_id = api.upload(b"<a/>", XML)
    sim.wind(2 * 24 * 3600 + 1)
    api.login()
    assert api.create_feed(document_id, ACKNOWLEDGEMENT).status_code == 400


def test_a_waiting_feed_can_be_cancelled_a_started_one_not(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    first, second = submit(api, merge("MUG", 1)), submit(api, merge("MUG", 2))
    assert api.delete(f"{FEEDS}/{first}").status_code == 400
    assert api.delete(f"{FEEDS}/{second}").status_code == 200
    sim.wind(300)
    assert state(api, second)["processingStatus"] == "CANCELLED"
    assert sim.listings["MUG"].quantity == 1


def test_feeds_are_listed(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG")
    made = [submit(api, merge("MUG", number)) for number in range(3)]
    query = {"feedTypes": "JSON_LISTINGS_FEED", "processingStatuses": "IN_QUEUE"}
    listed = api.get(FEEDS, params=query).json()["feeds"]
    assert [feed["feedId"] for feed in listed] == made[:0:-1]
    assert api.get(FEEDS, params={"feedTypes": ACKNOWLEDGEMENT}).json() == {"feeds": []}
    assert not sim.violations


def test_a_feed_may_be_stuck_for_hours_and_holds_up_the_queue(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    sim.fault("stuck_feed", seconds=3600)
    stuck, waiting = submit(api, merge("MUG", 1)), submit(api, merge("MUG", 2))
    sim.wind(3600)
    api.login()
    assert [state(api, one)["processingStatus"] for one in (stuck, waiting)] == ["IN_PROGRESS", "IN_QUEUE"]
    sim.wind(240)
    assert [state(api, one)["processingStatus"] for one in (stuck, waiting)] == ["DONE", "DONE"]


def test_a_fatal_feed_may_have_applied_some(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=5)
    sim.add_listing("HAT", quantity=5)
    sim.fault("fatal_feed", applied=1)
    feed_id = submit(api, merge("MUG", 1, 1), merge("HAT", 1, 2))
    sim.wind(120)
    assert state(api, feed_id)["processingStatus"] == "FATAL"
    assert (sim.listings["MUG"].quantity, sim.listings["HAT"].quantity) == (1, 5)
    assert not sim.violations


def test_a_legacy_inventory_feed_is_fatal(sim: AmazonSimulator, api: Api) -> None:
    feed_id = api.create_feed(api.upload(b"<a/>", XML), "POST_INVENTORY_AVAILABILITY_DATA").json()["feedId"]
    sim.wind(120)
    assert state(api, feed_id)["processingStatus"] == "FATAL"


def acknowledgement(sim: AmazonSimulator, *cancelled: tuple[str, str]) -> bytes:
    """An acknowledgement feed that cancels orders, each for a reason."""
    messages = []
    for number, (order_id, reason) in enumerate(cancelled, 1):
        lines = sim.orders[order_id].lines if order_id in sim.orders else []
        items = "".join(
            f"<Item><AmazonOrderItemCode>{line.item_id}</AmazonOrderItemCode>"
            f"<CancelReason>{reason}</CancelReason></Item>"
            for line in lines
        )
        messages.append(
            f"<Message><MessageID>{number}</MessageID><OrderAcknowledgement>"
            f"<AmazonOrderID>{order_id}</AmazonOrderID><StatusCode>Failure</StatusCode>{items}"
            "</OrderAcknowledgement></Message>"
        )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><AmazonEnvelope><Header><DocumentVersion>1.01</DocumentVersion>'
        f"<MerchantIdentifier>{sim.seller_id}</MerchantIdentifier></Header>"
        f"<MessageType>OrderAcknowledgement</MessageType>{''.join(messages)}</AmazonEnvelope>"
    ).encode()


def test_the_acknowledgement_feed_cancels_orders(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=9)
    good, bad_reason, shipped, pending = (sim.place_order([("MUG", 1)]) for _ in range(4))
    sim.ship_elsewhere(shipped)
    theirs = sim.place_order([("MUG", 1)], fulfilled_by="AMAZON")
    wishes = [(good, "NoInventory"), (bad_reason, "Bored"), (shipped, "NoInventory"), (theirs, "NoInventory")]
    body = acknowledgement(sim, *wishes, ("111-1111111-1111111", "NoInventory"))
    feed_id = api.create_feed(api.upload(body, XML), ACKNOWLEDGEMENT).json()["feedId"]
    assert sim.orders[good].status == "UNSHIPPED"
    sim.wind(120)
    assert sim.orders[good].status == "CANCELLED"
    assert sim.orders[pending].status == "UNSHIPPED"
    assert [(c.order_id, c.by, c.reason, c.feed_id) for c in sim.cancellations] == [
        (good, "MERCHANT", "NoInventory", feed_id)
    ]
    executed = api.order(good)["orderItems"][0]["cancellation"]["cancellationExecution"]
    assert executed == {"cancelledBy": "MERCHANT", "cancelReason": "NoInventory"}
    result = ET.fromstring(api.fetch("feeds", state(api, feed_id)["resultFeedDocumentId"]))
    summary = result.find("Message/ProcessingReport/ProcessingSummary")
    assert summary is not None
    assert [child.text for child in summary] == ["5", "1", "4", "0"]
    problems = result.findall("Message/ProcessingReport/Result")
    assert [problem.findtext("MessageID") for problem in problems] == ["2", "3", "4", "5"]
    assert {problem.findtext("ResultCode") for problem in problems} == {"Error"}
    assert not sim.violations
