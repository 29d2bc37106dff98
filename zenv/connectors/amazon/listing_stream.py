"""The items of a seller: all of them once, then every few hours the new ones; and a sweep of what is live.

Up to 1,000 items the first import is a plain search. Above that it is one report, which lacks variations
(`needs_detail`); its id waits in the cursor, so a kill does not lose the place in Amazon's queue. Later
runs ask for what was created since the watermark. Items younger than an hour may lack their summaries
(selling-partner-api-models#2701), so they hold the watermark back, at most that hour.

Cursors: {"report", "asked", "total"} while a report is prepared, {"since"} afterwards, {} to begin anew;
{"reached", "began"} in the middle of a sweep.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.listings import CAP, LIVE, WHOLE, Payload, listing_or_bad, pages_after, search
from zenv.connectors.amazon.listings_report import REPORT_TYPE, read_listings
from zenv.connectors.amazon.reading import batches, count, parse_time, rows, stamp
from zenv.connectors.amazon.regions import SHOPS
from zenv.connectors.amazon.reports import Report, open_report, request_report, wait_for_report
from zenv.connectors.amazon.tables import charset_of
from zenv.connectors.amazon.windows import BEGINNING, Found, Window, sweep
from zenv.errors import BadInput, NotFound
from zenv.facts import BadRecord, Fact, Page

OVERLAP = timedelta(minutes=10)
YOUNG = timedelta(hours=1)
REPORT_AGE = timedelta(hours=6)
"""A listing report may be a copy of up to six hours ago (developer-docs, report-type-values-inventory)."""
REPORT_PAGE = 500
SWEEP_LIFE = timedelta(hours=20)


def pull_listings(api: Api, position: str | None) -> Iterator[Page]:
    """New items since the cursor; all items when it is None."""
    cursor = _read_cursor(position)
    if "since" in cursor:
        yield from _new_items(api, parse_time(cursor["since"]))
    elif "report" in cursor:
        yield from _by_report(api, cursor)
    else:
        yield from _all_items(api)


def _read_cursor(position: str | None) -> dict[str, Any]:
    try:
        cursor = json.loads(position or "{}")
        for name in {"since", "asked", "reached", "began"} & set(cursor):
            parse_time(cursor[name])
    except (ValueError, TypeError):
        raise BadInput("The cursor of the items cannot be read.", "zenv doctor") from None
    return dict(cursor)


def _since(moment: datetime) -> str:
    return json.dumps({"since": stamp(moment)})


def _facts(api: Api, items: Sequence[Payload]) -> list[Fact]:
    return [listing_or_bad(item, api.home, api.wire.sent_at) for item in items]


def _all_items(api: Api) -> Iterator[Page]:
    began = api.wire.now()
    params = {"includedData": WHOLE, "sortBy": "createdDate", "sortOrder": "ASC"}
    first = search(api, **params)
    total = count(first, "numberOfResults") or 0
    if total > CAP:
        yield from _by_report(api, {"asked": stamp(began), "total": total})
        return
    read, young = 0, False
    for answer in pages_after(api, first, **params):
        items = rows(answer, "items")
        read, young = read + len(items), young or _has_young(items)
        yield Page(_facts(api, items), None, read, total)
    why = "" if total else f"Amazon lists no item of this seller in {SHOPS[api.home].domain}"
    yield Page((), _since(began - YOUNG if young else began), read, total, why)


def _has_young(items: Sequence[Payload]) -> bool:
    return any(not rows(item, "summaries") for item in items)


def _new_items(api: Api, since: datetime) -> Iterator[Page]:
    now, read, young = api.wire.now(), 0, False
    for found in sweep(api, Window(since - OVERLAP, now), WHOLE):
        read, young = read + len(found.items), young or _has_young(found.items)
        cursor = None
        if found.reached:
            reached = min(found.reached, now - YOUNG) if young else found.reached
            cursor = _since(max(since, reached))
        why = f"Amazon has no item created since {stamp(since - OVERLAP)}" if cursor and not read else ""
        yield Page([*_facts(api, found.items), *_missed(found)], cursor, read, why_empty=why)


def period_listings(api: Api, since: datetime, until: datetime) -> Iterator[Page]:
    """The items created in a period, both ends included."""
    read, end = 0, min(until, api.wire.now())
    for found in sweep(api, Window(since, end), WHOLE) if since <= end else ():
        read += len(found.items)
        yield Page([*_facts(api, found.items), *_missed(found)], None, read)


def _missed(found: Found) -> list[BadRecord]:
    if not found.missed:
        return []
    reason = f"{found.missed} items created in the same two seconds are beyond what a search shows"
    return [BadRecord("window", f"created {found.reached:%Y-%m-%d %H:%M:%S}", reason)]


def _by_report(api: Api, cursor: dict[str, Any]) -> Iterator[Page]:
    total = cursor.get("total")
    if "report" not in cursor:
        options = {"preferredReportDocumentLocale": "en_US"}
        cursor = {**cursor, "report": request_report(api, REPORT_TYPE, [api.home], options=options)}
        yield Page((), json.dumps(cursor), 0, total)
    try:
        report = wait_for_report(api, cursor["report"])
    except NotFound:
        yield Page((), "{}", why_empty="Amazon has forgotten the report; the next run asks for a new one")
        return
    if report.status == "DONE":
        yield from _report_pages(api, report, total)
        yield Page((), _since(parse_time(cursor["asked"]) - REPORT_AGE))
    elif report.status in ("IN_QUEUE", "IN_PROGRESS"):
        yield Page((), None, 0, total, "Amazon is still preparing the report; the next run looks again")
    else:
        why = f"Amazon gave no report ({report.status}); what is known stays, the next run asks again"
        yield Page((), "{}", 0, total, why)


def _report_pages(api: Api, report: Report, total: int | None) -> Iterator[Page]:
    read = 0
    with open_report(api, report.document) as document:
        listings = read_listings(
            document.chunks,
            currency=SHOPS[api.home].currency,
            charset=charset_of(document.content_type),
            observed_at=report.created,
        )
        for facts in batches(listings, REPORT_PAGE):
            read += len(facts)
            yield Page(facts, None, read, max(total or 0, read))


def pull_live(api: Api, position: str | None) -> Iterator[Page]:
    """What every item shows at Amazon now, to set beside what it was told. A sweep that broke off goes on."""
    cursor, now = _read_cursor(position), api.wire.now()
    goes_on = "reached" in cursor and now - parse_time(cursor["began"]) < SWEEP_LIFE
    began = cursor["began"] if goes_on else stamp(now)
    window = Window(parse_time(cursor["reached"]) if goes_on else BEGINNING, now)
    read, total = 0, count(search(api, **window.query(), pageSize="1"), "numberOfResults")
    for found in sweep(api, window, LIVE):
        read, place = read + len(found.items), None
        if found.reached:
            done = found.reached == window.end
            place = "{}" if done else json.dumps({"reached": stamp(found.reached), "began": began})
        yield Page([*_facts(api, found.items), *_missed(found)], place, read, total)
