"""The orders of the whole region in one walk: all that changed since the watermark, page by page.

The watermark moves only with the last page, to the horizon Amazon named on the first one and never past
the start of the run; in between the cursor holds the token of the next page, so that a walk of hours
survives a kill. No status is filtered, so cancellations and shipments arrive the same way as new orders.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.operations import SEARCH_ORDERS
from zenv.connectors.amazon.order_cursor import FIRST_IMPORT, OVERLAP, OrderCursor, read_order_cursor
from zenv.connectors.amazon.order_lookup import get_order
from zenv.connectors.amazon.orders import OPEN, order_id, order_or_bad
from zenv.connectors.amazon.orders_report import REPORT_TYPE, read_shipped_orders
from zenv.connectors.amazon.reading import batches, moment, rows, stamp, text
from zenv.connectors.amazon.reports import open_report, request_report, wait_for_report
from zenv.connectors.amazon.tables import charset_of
from zenv.errors import BadReply, NotFound
from zenv.facts import BadRecord, Page

log = logging.getLogger("zenv.amazon")

DATASETS = "FULFILLMENT,PROCEEDS,CANCELLATION,PAYMENT,PACKAGES"
FEWER_DATASETS = "FULFILLMENT,CANCELLATION"
HISTORY_PAGE = 500
"""Orders of the history that are recorded together."""
BEHIND = timedelta(minutes=2)
"""What Amazon's index may lag when it names no horizon (the model's bound for every ...Before)."""


def pull_orders(api: Api, position: str | None) -> Iterator[Page]:
    """Walk from where the cursor says. Raises what `Wire.call` raises; then the cursor has not passed the
    trouble."""
    cursor = read_order_cursor(position, api.world.now())
    if cursor.report is None:
        resumed, with_history = bool(cursor.token), cursor.after is not None and api.terms.with_fulfilled
        cursor = yield from _walk(api, cursor, with_history)
        if resumed and cursor.report is None and _behind(api, cursor):
            cursor = yield from _walk(api, cursor, False)
    if cursor.report is not None:
        yield from _history(api, cursor)


def _behind(api: Api, cursor: OrderCursor) -> bool:
    """A walk begun by an earlier run ends at that run's horizon; whoever tells stock now needs the present."""
    return cursor.since is not None and api.wire.now() - cursor.since > OVERLAP


def _walk(api: Api, cursor: OrderCursor, then_history: bool) -> Generator[Page, None, OrderCursor]:
    started, read, guard = api.world.now(), 0, _CycleGuard()
    window = cursor.query()
    while True:
        answer, cursor = _next_page(api, cursor)
        found = rows(answer, "orders")
        token = text(answer, "pagination", "nextToken")
        horizon = cursor.horizon or _horizon(answer, min(started, api.wire.now()))
        if guard.goes_round([order_id(order) for order in found], token):
            yield Page((), cursor.beginning().dumps(), read)
            raise BadReply("Amazon repeats the same page of orders; the next run begins the walk anew.")
        read += len(found)
        cursor = cursor.turned(token, horizon, api.world.now())
        if then_history and not token:
            cursor = replace(cursor, report="", start=started - FIRST_IMPORT)
        why = "" if read else f"Amazon has no order for {' '.join('='.join(w) for w in window.items())}"
        yield Page([order_or_bad(order) for order in found], cursor.dumps(), read, why_empty=why)
        if not token:
            return cursor


def period_orders(api: Api, since: datetime, until: datetime) -> Iterator[Page]:
    """The orders placed in a period, both ends included, whatever became of them: which of the ended ones are wanted
    is known where the known ones are."""
    window, read, guard, token = _period(api, since, until), 0, _CycleGuard(), None
    while token != "":
        answer = _with_fewer_if_refused(api, window, token or "")
        found, token = rows(answer, "orders"), text(answer, "pagination", "nextToken")
        if guard.goes_round([order_id(order) for order in found], token):
            raise BadReply("Amazon repeats the same page of orders.")
        facts = [fact for fact in map(order_or_bad, found) if isinstance(fact, BadRecord) or fact.placed_at <= until]
        read += len(facts)
        yield Page(facts, None, read)


def _period(api: Api, since: datetime, until: datetime) -> dict[str, str]:
    """createdBefore has to lie two minutes back (the model's note): without it Amazon tells what it has by now."""
    window = {"createdAfter": stamp(since)}
    return window if until > api.wire.now() - BEHIND else window | {"createdBefore": stamp(until)}


def _with_fewer_if_refused(api: Api, window: dict[str, str], token: str, **more: str) -> dict[str, Any]:
    """A page of a search. includedData may change between the pages of a walk; some sets answered 400 for a day and
    healed (selling-partner-api-models#5365)."""
    try:
        return _search(api, window, DATASETS, token, **more)
    except BadReply as refusal:
        if refusal.remote is None or refusal.remote.status != 400:
            raise
        log.warning("operation=searchOrders code=%s again with fewer datasets", refusal.remote.code)
        return _search(api, window, FEWER_DATASETS, token, **more)


def _next_page(api: Api, cursor: OrderCursor) -> tuple[dict[str, Any], OrderCursor]:
    """The page the cursor points at, and the cursor that asked for it: a token Amazon no longer takes is
    dropped."""
    only_open = {"fulfillmentStatuses": ",".join(OPEN)} if cursor.after else {}
    try:
        return _with_fewer_if_refused(api, cursor.query(), cursor.token, **only_open), cursor
    except BadReply as refusal:
        if not cursor.token or refusal.remote is None or refusal.remote.status != 400:
            raise
    cursor = cursor.beginning()
    return _search(api, cursor.query(), DATASETS, "", **only_open), cursor


def _search(api: Api, window: dict[str, str], datasets: str, token: str, **more: str) -> dict[str, Any]:
    """One page. But for the datasets, the parameters are those of the walk's first page (models#5144)."""
    params = {
        **window,
        "marketplaceIds": ",".join(api.marketplaces),
        "fulfilledBy": "MERCHANT",
        "maxResultsPerPage": "100",
        "includedData": datasets,
        **more,
    }
    return api.call(SEARCH_ORDERS, params=params | ({"paginationToken": token} if token else {}))


def _horizon(answer: dict[str, Any], started: datetime) -> datetime:
    """Until when the answer is complete: Amazon's own word, never later than the run began."""
    told = moment(answer, "lastUpdatedBefore") or moment(answer, "createdBefore")
    return min(told, started) if told else started - BEHIND


class _CycleGuard:
    """Notices a walk that goes round, be it with one token or with ever new ones (selling-partner-api-models#2297). A
    page that is answered twice is no reason to stop."""

    def __init__(self) -> None:
        self._tokens: set[str] = set()
        self._seen: Counter[str] = Counter()

    def goes_round(self, ids: Sequence[str], token: str) -> bool:
        """Whether this page shows that the walk will not end."""
        times = min((self._seen[one] for one in ids), default=2)
        repeats = token in self._tokens and times >= 2
        self._seen.update(set(ids))
        self._tokens.update({token} - {""})
        return repeats or (times >= 5 and bool(token))


def _history(api: Api, cursor: OrderCursor) -> Iterator[Page]:
    """The shipped orders of the last month by report; whatever comes of it, the changes since then are
    read on."""
    done = OrderCursor(since=cursor.since).dumps()
    if not cursor.report:
        report = request_report(api, REPORT_TYPE, api.marketplaces, since=cursor.start, until=cursor.since)
        cursor = replace(cursor, report=report)
        yield Page((), cursor.dumps())
    try:
        state = wait_for_report(api, cursor.report or "")
    except NotFound:
        yield Page((), done, why_empty="Amazon has forgotten the report of the order history")
        return
    if state.status in ("IN_QUEUE", "IN_PROGRESS"):
        yield Page((), None, why_empty="Amazon is still preparing the order history; the next run looks again")
    elif state.status == "DONE":
        yield from _history_pages(api, state.document)
        yield Page((), done)
    else:
        yield Page((), done, why_empty=f"Amazon gave no order history ({state.status})")


def _history_pages(api: Api, document: str) -> Iterator[Page]:
    read = 0
    with open_report(api, document) as found:
        orders = read_shipped_orders(found.chunks, charset_of(found.content_type))
        for facts in batches(orders, HISTORY_PAGE):
            read += len(facts)
            yield Page(facts, None, read)


def fetch_orders(api: Api, ids: Sequence[str]) -> Iterator[Page]:
    """Exactly these orders, one page each; one Amazon does not know becomes a BadRecord."""
    for index, one in enumerate(ids, start=1):
        try:
            fact = order_or_bad(get_order(api, one, DATASETS))
        except NotFound:
            fact = BadRecord("order", one, "Amazon does not know this order")
        yield Page([fact], None, index, len(ids))
