"""Each fault, as a client on the wire meets it: what it sees, and what has really happened."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator
from zenv.simulators.amazon.faults import NAMES

BEFORE_ANY_EFFECT = {
    "429": (429, "QuotaExceeded"),
    "500": (500, "InternalFailure"),
    "503_html": (503, "<html>"),
    "expired_token": (403, "expired"),
    "invalid_input": (400, "InvalidInput"),
    "redirect": (302, ""),
}


@pytest.fixture
def order_id(sim: AmazonSimulator) -> str:
    """An order of two mugs."""
    sim.add_listing("MUG", quantity=500)
    return sim.place_order([("MUG", 2)])


def confirm(api: Api, order_id: str) -> httpx.Response:
    """Confirm all of it."""
    return api.confirm(order_id, {api.sim.orders[order_id].lines[0].item_id: 2})


def pages(api: Api, most: int = 50) -> list[list[str]]:
    """Order ids page by page."""
    found: list[list[str]] = []
    query: dict[str, Any] = {"maxResultsPerPage": 10}
    while len(found) < most:
        answer = api.orders(**query).json()
        found.append([order["orderId"] for order in answer["orders"]])
        if "pagination" not in answer:
            break
        query["paginationToken"] = answer["pagination"]["nextToken"]
    return found


@pytest.mark.parametrize("name", BEFORE_ANY_EFFECT)
def test_a_fault_before_any_effect_strikes_once_and_leaves_no_trace(
    sim: AmazonSimulator, api: Api, order_id: str, name: str
) -> None:
    status, text = BEFORE_ANY_EFFECT[name]
    sim.fault(name)
    answer = confirm(api, order_id)
    assert answer.status_code == status
    assert text in answer.text
    assert not sim.confirmations
    assert sim.requests[-1].fault == name
    assert confirm(api, order_id).status_code == 204
    assert len(sim.confirmations) == 1
    assert not sim.violations


def test_a_reset_connection_has_no_effect(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    sim.fault("reset")
    with pytest.raises(httpx.TransportError):
        confirm(api, order_id)
    assert not sim.confirmations
    assert sim.requests[-1].status == 0


def test_a_lost_reply_has_its_effect(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    sim.fault("lost_reply", "confirmShipment")
    with pytest.raises(httpx.RemoteProtocolError):
        confirm(api, order_id)
    assert len(sim.confirmations) == 1
    assert sim.orders[order_id].status == "SHIPPED"
    assert [package["packageReferenceId"] for package in api.order(order_id)["packages"]] == ["1"]
    assert sim.requests[-2].status == 204


def test_a_lost_reply_to_create_feed_leaves_a_feed(sim: AmazonSimulator, api: Api) -> None:
    document_id = api.upload(b"{}")
    sim.fault("lost_reply", "createFeed")
    with pytest.raises(httpx.RemoteProtocolError):
        api.create_feed(document_id)
    assert len(sim.feeds) == 1


def test_half_a_body_is_a_broken_connection(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    sim.fault("half_body", "searchOrders")
    with pytest.raises(httpx.RemoteProtocolError):
        api.orders()
    assert len(api.orders().json()["orders"]) == 1


def test_truncated_json_arrives_whole_but_cannot_be_read(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    sim.fault("truncated_json", "searchOrders")
    answer = api.orders()
    assert answer.status_code == 200
    with pytest.raises(ValueError, match=r"."):
        answer.json()


def test_an_empty_200_says_nothing(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    sim.fault("empty_200")
    answer = api.orders()
    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["x-amzn-requestid"] == sim.requests[-1].request_id


def test_a_wrong_content_type_keeps_the_body(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    sim.fault("wrong_content_type")
    answer = api.orders()
    assert answer.headers["content-type"].startswith("text/html")
    assert len(answer.json()["orders"]) == 1


def test_a_slow_answer_comes_late(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    sim.fault("slow", seconds=0.3)
    with pytest.raises(httpx.ReadTimeout):
        api.get("/sellers/v1/account", timeout=0.05)
    sim.fault("slow", seconds=0.1)
    started = time.monotonic()
    assert api.get("/sellers/v1/account").status_code == 200
    assert time.monotonic() - started >= 0.1


def test_a_fault_waits_for_its_operation_and_counts_its_times(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    sim.fault("500", "getOrder", times=2)
    assert api.orders().status_code == 200
    path = f"/orders/2026-01-01/orders/{order_id}"
    assert [api.get(path).status_code for _ in range(3)] == [500, 500, 200]


def test_a_fault_for_any_operation_spares_login_and_documents(sim: AmazonSimulator, api: Api) -> None:
    sim.fault("500")
    assert api.token().status_code == 200
    assert api.orders().status_code == 500
    sim.fault("503_html", "lwaToken")
    assert api.token().status_code == 503
    assert api.token().status_code == 200


def test_a_duplicate_page_repeats_orders_but_loses_none(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    placed = [order_id] + [sim.place_order([("MUG", 1)]) for _ in range(34)]
    sim.fault("duplicate_page")
    found = pages(api)
    assert [len(page) for page in found] == [10, 10, 10, 10, 5]
    assert found[1] == found[0]
    assert found[0] + found[2] + found[3] + found[4] == placed


def test_pages_can_repeat_for_ever(sim: AmazonSimulator, api: Api, order_id: str) -> None:
    for _ in range(15):
        sim.place_order([("MUG", 1)])
    sim.fault("duplicate_page", times=1000)
    found = pages(api, most=10)
    assert len(found) == 10
    assert all(page == found[0] for page in found)


def test_an_order_that_changes_between_pages_leaves_the_walk_but_not_the_next_one(
    sim: AmazonSimulator, api: Api, order_id: str
) -> None:
    placed = [order_id] + [sim.place_order([("MUG", 1)]) for _ in range(24)]
    sim.wind(1)
    horizon = api.orders(maxResultsPerPage=10).json()["lastUpdatedBefore"]
    sim.fault("shifting_page")
    sim.horizon_seconds = 1
    found = [one for page in pages(api) for one in page]
    assert sorted(found) == sorted(set(placed) - {placed[10]})
    sim.wind(1)
    later = api.orders(lastUpdatedAfter=horizon).json()["orders"]
    assert [order["orderId"] for order in later] == [placed[10]]


def test_an_unknown_fault_is_refused(sim: AmazonSimulator) -> None:
    with pytest.raises(ValueError, match="no fault is called typo"):
        sim.fault("typo")
    assert set(BEFORE_ANY_EFFECT) < set(NAMES)


def test_a_download_can_break_too(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG")
    body = {"reportType": "GET_MERCHANT_LISTINGS_ALL_DATA", "marketplaceIds": sim.marketplaces}
    report_id = api.post("/reports/2021-06-30/reports", json=body).json()["reportId"]
    sim.wind(30)
    document_id = sim.reports[report_id].document_id or ""
    sim.fault("half_body", "downloadDocument")
    with pytest.raises(httpx.RemoteProtocolError):
        api.fetch("reports", document_id)
    assert api.fetch("reports", document_id).startswith(b"item-name")
