"""Reports: asked for, waited for, read as a stream.

A report takes minutes, so its id goes into the cursor as soon as it is known. CANCELLED means that there was
no data or that it was asked for too often, never that the seller has nothing
(https://developer-docs.amazon.com/sp-api/docs/reports-faq).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.operations import CREATE_REPORT, GET_REPORT, GET_REPORT_DOCUMENT, GET_REPORTS
from zenv.connectors.amazon.reading import needed, needed_moment, rows, stamp, text
from zenv.connectors.documents import Document, download
from zenv.errors import Unanswered

PAUSES = (15.0, 30.0, *(60.0,) * 29)
"""Seconds between two looks at a report: half an hour in all, then the next run looks again."""
LARGEST_REPORT = 2**31


class Report(NamedTuple):
    """A report's state (IN_QUEUE, IN_PROGRESS, DONE, CANCELLED, FATAL), its document once DONE, and its
    age."""

    status: str
    document: str
    created: datetime


def request_report(
    api: Api,
    kind: str,
    marketplaces: Sequence[str],
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    options: dict[str, str] | None = None,
) -> str:
    """Ask for a report; the answer is its id. When the answer is lost, the newest one of this kind is
    ours."""
    body: dict[str, Any] = {"reportType": kind, "marketplaceIds": list(marketplaces)}
    if since and until:
        body |= {"dataStartTime": stamp(since), "dataEndTime": stamp(until)}
    if options:
        body["reportOptions"] = options
    begun = api.wire.now()
    try:
        return needed(api.call(CREATE_REPORT, json=body), "reportId")
    except Unanswered:
        found = _newest(api, kind, begun - timedelta(minutes=1))
        if not found:
            raise
        return found


def _newest(api: Api, kind: str, since: datetime) -> str:
    answer = api.call(GET_REPORTS, params={"reportTypes": kind, "createdSince": stamp(since)})
    found = sorted(rows(answer, "reports"), key=lambda report: text(report, "createdTime"))
    return needed(found[-1], "reportId") if found else ""


def wait_for_report(api: Api, report_id: str) -> Report:
    """Look at a report until it is finished, at most half an hour. Raises NotFound when Amazon forgot it."""
    report = _look(api, report_id)
    for pause in PAUSES:
        if report.status not in ("IN_QUEUE", "IN_PROGRESS"):
            break
        api.world.sleep(pause)
        report = _look(api, report_id)
    return report


def _look(api: Api, report_id: str) -> Report:
    answer = api.call(GET_REPORT, {"report": report_id})
    return Report(
        needed(answer, "processingStatus"),
        text(answer, "reportDocumentId"),
        needed_moment(answer, "createdTime"),
    )


@contextmanager
def open_report(api: Api, document: str) -> Iterator[Document]:
    """The document of a report that is DONE. Its address is good for five minutes, so it is read at once."""
    answer = api.call(GET_REPORT_DOCUMENT, {"document": document})
    with download(api.wire, "downloadReport", needed(answer, "url"), most=LARGEST_REPORT) as found:
        yield found
