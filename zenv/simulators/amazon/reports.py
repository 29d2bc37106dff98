"""The Reports API: asked for, waited for, fetched from the document store."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from . import documents
from .clock import parse_time, stamp
from .jobs import listed, places_of, timestamps
from .records import Fault, Report
from .report_tables import listing_table, open_listing_table, order_table
from .state import State
from .wire import Answer, Call, invalid, missing

ALL_LISTINGS = "GET_MERCHANT_LISTINGS_ALL_DATA"
OPEN_LISTINGS = "GET_FLAT_FILE_OPEN_LISTINGS_DATA"
ORDERS = "GET_FLAT_FILE_ALL_ORDERS_DATA_BY_LAST_UPDATE_GENERAL"
MOST_DAYS = 30
_OUTCOMES = {"fatal_report": "FATAL", "cancelled_report": "CANCELLED"}


def create(sim: State, call: Call, fault: Fault | None = None) -> Answer:
    """createReport: 202 and an id; the report is ready after `report_seconds`."""
    body = call.json()
    if body.get("reportType") not in (ALL_LISTINGS, OPEN_LISTINGS, ORDERS):
        raise invalid(f"Report type {body.get('reportType')} is not allowed.")
    report = Report(
        report_id=f"{50000000000 + sim.serial()}",
        report_type=body["reportType"],
        marketplaces=places_of(sim, body),
        created=call.at,
        start=_time(body, "dataStartTime"),
        end=_time(body, "dataEndTime"),
        outcome=_OUTCOMES.get(fault.name) if fault else None,
    )
    sim.reports[report.report_id] = report
    sim.clock.at(call.at + timedelta(seconds=sim.report_seconds / 3), lambda at: _start(report, at))
    sim.clock.at(call.at + timedelta(seconds=sim.report_seconds), lambda at: _finish(sim, report, at))
    return Answer(202, {"reportId": report.report_id})


def _time(body: dict[str, Any], name: str) -> datetime | None:
    if name not in body:
        return None
    try:
        return parse_time(body[name])
    except (ValueError, TypeError):
        raise invalid(f"{name} is not an ISO 8601 date-time.") from None


def _start(report: Report, at: datetime) -> None:
    if report.status == "IN_QUEUE":
        report.status, report.started = "IN_PROGRESS", at


def _finish(sim: State, report: Report, at: datetime) -> None:
    if report.status == "CANCELLED":
        return
    report.ended = at
    text = None if report.outcome else _text(sim, report, at)
    if text is None:
        # no data to tell is CANCELLED too (docs reports-faq)
        report.status = report.outcome or "CANCELLED"
        return
    encoding = sim.report_encoding
    body = text.encode(encoding, "replace")
    document = documents.store(sim, f"text/plain; charset={encoding}", at, body, gzipped=sim.report_gzip)
    report.status, report.document_id = "DONE", document.document_id


def _text(sim: State, report: Report, at: datetime) -> str | None:
    if report.report_type == ORDERS:
        start, end = report.start or at - timedelta(days=1), report.end or at
        if end - start > timedelta(days=MOST_DAYS):
            report.outcome = "FATAL"
            return None
        return order_table(sim, report.marketplaces, start, end)
    # listing reports honour only the first marketplace (docs report-type-values-inventory)
    build = listing_table if report.report_type == ALL_LISTINGS else open_listing_table
    return build(sim, report.marketplaces[0])


def _shown(report: Report) -> dict[str, Any]:
    shown = {"reportId": report.report_id, "reportType": report.report_type, **timestamps(report)}
    for name, moment in (("dataStartTime", report.start), ("dataEndTime", report.end)):
        if moment:
            shown[name] = stamp(moment)
    if report.document_id:
        shown["reportDocumentId"] = report.document_id
    return shown


def _report(sim: State, call: Call) -> Report:
    report = sim.reports.get(call.params["reportId"])
    if report is None:
        raise missing(f"Report {call.params['reportId']}")
    return report


def get(sim: State, call: Call) -> Answer:
    """getReport."""
    return Answer(200, _shown(_report(sim, call)))


def get_many(sim: State, call: Call) -> Answer:
    """getReports."""
    page, token = listed(sim, call, sim.reports, "reportTypes", lambda report: report.report_type)
    content: dict[str, Any] = {"reports": [_shown(report) for report in page]}
    return Answer(200, content | ({"nextToken": token} if token else {}))


def cancel(sim: State, call: Call) -> Answer:
    """cancelReport: only while it waits."""
    report = _report(sim, call)
    if report.status != "IN_QUEUE":
        raise invalid(f"The report is {report.status}.", broken_rule=False)
    report.status, report.ended = "CANCELLED", call.at
    return Answer(200)


def document(sim: State, call: Call) -> Answer:
    """getReportDocument."""
    document_id = call.params["reportDocumentId"]
    if document_id not in sim.documents:
        raise missing(f"Report document {document_id}")
    return documents.described(sim, call, sim.documents[document_id], "reportDocumentId")
