"""The Reports API of the simulated Amazon, down to the bytes of the document."""

from __future__ import annotations

import csv
import gzip
import io
from typing import Any

import pytest

from tests.simulators.client import Api
from zenv.simulators.amazon import AmazonSimulator

US = "ATVPDKIKX0DER"
ALL_LISTINGS = "GET_MERCHANT_LISTINGS_ALL_DATA"
ORDERS = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"
REPORTS = "/reports/2021-06-30/reports"


def create(api: Api, report_type: str = ALL_LISTINGS, **more: str) -> str:
    """createReport; the report id."""
    body = {"reportType": report_type, "marketplaceIds": [US]} | more
    answer = api.post(REPORTS, json=body)
    assert answer.status_code == 202, answer.text
    report_id: str = answer.json()["reportId"]
    return report_id


def state(api: Api, report_id: str) -> dict[str, Any]:
    """getReport."""
    report: dict[str, Any] = api.get(f"{REPORTS}/{report_id}").raise_for_status().json()
    return report


def rows(api: Api, report_type: str = ALL_LISTINGS, encoding: str = "utf-8", **more: str) -> list[dict[str, str]]:
    """Ask for a report, wait for it and read its rows."""
    report_id = create(api, report_type, **more)
    api.sim.wind(api.sim.report_seconds)
    text = api.fetch("reports", state(api, report_id)["reportDocumentId"]).decode(encoding)
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def test_a_report_is_queued_then_worked_on_then_done(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG")
    report_id = create(api)
    assert state(api, report_id)["processingStatus"] == "IN_QUEUE"
    sim.wind(10)
    assert state(api, report_id)["processingStatus"] == "IN_PROGRESS"
    sim.wind(20)
    done = state(api, report_id)
    assert done["processingStatus"] == "DONE"
    assert done["processingEndTime"] == "2026-09-01T12:00:30.000Z"
    assert not sim.violations


def test_the_listing_report_shows_what_is_live(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", name="A mug", quantity=5, gtin="4006381333931", price="7.50")
    sim.add_listing("FBA", fulfillment_channel="AMAZON_NA", gtin="042100005264")
    sim.add_listing("CAP", is_parent=True)
    sim.add_listing("OFF", active=False)
    mug, fba, cap, off = rows(api)
    assert (mug["item-name"], mug["seller-sku"], mug["quantity"], mug["price"]) == ("A mug", "MUG", "5", "7.50")
    assert (mug["product-id-type"], mug["product-id"]) == ("4", "4006381333931")
    assert mug["open-date"] == "2026-09-01 05:00:00 PDT"
    assert (fba["quantity"], fba["fulfillment-channel"], fba["product-id-type"]) == ("", "AMAZON_NA", "3")
    assert (cap["quantity"], cap["price"]) == ("", "")
    assert (off["status"], off["product-id-type"], off["product-id"]) == ("Inactive", "1", off["asin1"])


@pytest.mark.parametrize("columns", [27, 28, 29, 47, 49])
def test_the_columns_vary_as_they_do_between_accounts(sim: AmazonSimulator, api: Api, columns: int) -> None:
    sim.report_columns = columns
    sim.add_listing("MUG", quantity=5)
    report_id = create(api)
    sim.wind(30)
    head, row = api.fetch("reports", state(api, report_id)["reportDocumentId"]).decode().splitlines()
    assert len(head.split("\t")) == columns
    assert len(row.split("\t")) == min(columns, 47)
    assert ("status" in head.split("\t")) == (columns >= 29)
    assert dict(zip(head.split("\t"), row.split("\t"), strict=False))["quantity"] == "5"


@pytest.mark.parametrize(
    ("encoding", "name"), [("cp1252", "Crème brûlée €"), ("utf-8", "Crème brûlée €"), ("Shift_JIS", "急須")]
)
def test_the_document_says_its_encoding(sim: AmazonSimulator, api: Api, encoding: str, name: str) -> None:
    sim.report_encoding = encoding
    sim.add_listing("MUG", name=name)
    report_id = create(api)
    sim.wind(30)
    document = api.get(f"/reports/2021-06-30/documents/{state(api, report_id)['reportDocumentId']}").json()
    with api.anonymous() as plain:
        answer = plain.get(document["url"])
    assert answer.headers["content-type"] == f"text/plain; charset={encoding}"
    assert "content-encoding" not in answer.headers
    assert document["compressionAlgorithm"] == "GZIP"
    assert name in gzip.decompress(answer.content).decode(encoding)


def test_a_document_may_lie_there_uncompressed(sim: AmazonSimulator, api: Api) -> None:
    sim.report_gzip = False
    sim.add_listing("MUG")
    report_id = create(api)
    sim.wind(30)
    document = api.get(f"/reports/2021-06-30/documents/{state(api, report_id)['reportDocumentId']}").json()
    assert "compressionAlgorithm" not in document
    with api.anonymous() as plain:
        assert plain.get(document["url"]).text.startswith("item-name\t")


def test_a_presigned_url_lives_five_minutes_and_wants_no_token(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG")
    report_id = create(api)
    sim.wind(30)
    path = f"/reports/2021-06-30/documents/{state(api, report_id)['reportDocumentId']}"
    url = api.get(path).json()["url"]
    with api.anonymous() as plain:
        assert plain.get(url).status_code == 200
        assert plain.get(url.replace("Signature=", "Signature=0")).status_code == 403
        assert plain.put(url, content=b"x").status_code == 403
        sim.wind(301)
        assert "Request has expired" in plain.get(url).text
    assert not sim.violations
    assert api.get(api.get(path).json()["url"]).status_code == 403
    assert "a token was sent along" in sim.violations[0].problem


def test_a_report_without_data_is_cancelled(sim: AmazonSimulator, api: Api) -> None:
    report_id = create(api)
    sim.wind(30)
    assert state(api, report_id)["processingStatus"] == "CANCELLED"
    assert "reportDocumentId" not in state(api, report_id)


@pytest.mark.parametrize(("fault", "status"), [("fatal_report", "FATAL"), ("cancelled_report", "CANCELLED")])
def test_a_report_can_fail(sim: AmazonSimulator, api: Api, fault: str, status: str) -> None:
    sim.add_listing("MUG")
    sim.fault(fault)
    failed, fine = create(api), create(api)
    sim.wind(30)
    assert state(api, failed)["processingStatus"] == status
    assert state(api, fine)["processingStatus"] == "DONE"


def test_a_waiting_report_can_be_cancelled(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG")
    report_id = create(api)
    assert api.delete(f"{REPORTS}/{report_id}").status_code == 200
    sim.wind(30)
    assert state(api, report_id)["processingStatus"] == "CANCELLED"
    assert api.delete(f"{REPORTS}/{report_id}").status_code == 400
    assert not sim.violations


def test_reports_are_listed_newest_first_and_paged_by_a_lone_token(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG")
    made = [create(api) for _ in range(3)]
    first = api.get(REPORTS, params={"reportTypes": ALL_LISTINGS, "pageSize": 2}).json()
    assert [report["reportId"] for report in first["reports"]] == made[:0:-1]
    second = api.get(REPORTS, params={"nextToken": first["nextToken"]}).json()
    assert [report["reportId"] for report in second["reports"]] == made[:1]
    assert "nextToken" not in second
    assert not sim.violations
    assert api.get(REPORTS, params={"nextToken": first["nextToken"], "pageSize": 2}).status_code == 400
    assert api.get(REPORTS).status_code == 400


def test_the_order_report_has_a_row_per_item_within_30_days(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=9)
    sim.add_listing("HAT", quantity=9)
    order_id = sim.place_order([("MUG", 2), ("HAT", 1)])
    span = {"dataStartTime": "2026-08-31T00:00:00Z", "dataEndTime": "2026-09-02T00:00:00Z"}
    mug, hat = rows(api, ORDERS, **span)
    assert mug["amazon-order-id"] == hat["amazon-order-id"] == order_id
    assert (mug["sku"], mug["quantity"], mug["item-price"], mug["order-status"]) == ("MUG", "2", "39.98", "Unshipped")
    assert "recipient-name" not in mug
    too_long = create(api, ORDERS, dataStartTime="2026-07-01T00:00:00Z")
    sim.wind(30)
    assert state(api, too_long)["processingStatus"] == "FATAL"


def test_the_open_listings_report_is_the_short_one(sim: AmazonSimulator, api: Api) -> None:
    sim.add_listing("MUG", quantity=4)
    sim.add_listing("OFF", active=False)
    (row,) = rows(api, "GET_FLAT_FILE_OPEN_LISTINGS_DATA")
    assert row == {"sku": "MUG", "asin": sim.listings["MUG"].asin, "price": "19.99", "quantity": "4"}


def test_an_unknown_report_type_is_400(sim: AmazonSimulator, api: Api) -> None:
    body = {"reportType": "GET_EVERYTHING", "marketplaceIds": [US]}
    assert api.post(REPORTS, json=body).status_code == 400
