"""searchOrders and getOrder of `orders_2026-01-01`: a walk through the book, oldest change first."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from .clock import parse_time, stamp
from .marketplaces import MARKETPLACES
from .order_json import DATASETS, STATUSES, order_json
from .orderbook import Key
from .records import Fault, Order
from .sandbox import sandbox_order, sandbox_orders
from .state import DELIVERY_ROLE, ORDERS_ROLE, TAX_ROLE, State
from .wire import Answer, Call, forbidden, invalid, missing

TOKEN_HOURS = 24
# what a token does not tie down (model, paginationToken)
_FREE = ("paginationToken", "maxResultsPerPage", "includedData")
_MARK = "2+/"


@dataclass(slots=True)
class _Walk:
    """A search being paged through: where this page and the one before start, and the horizon."""

    field: str
    start: Key
    until: datetime
    before: Key | None = None


def search(sim: State, call: Call, fault: Fault | None = None) -> Answer:
    """searchOrders. An order that changes during the walk leaves it: the next search has it."""
    if sim.sandbox:
        return sandbox_orders(call)
    filters = _filters(call)
    datasets = _allowed_datasets(sim, call)
    size = call.whole("maxResultsPerPage", 100, 100)
    walk = _walk(sim, call)
    if fault is not None and fault.name == "shifting_page":
        _shift(sim, walk, filters)
    again = fault is not None and fault.name == "duplicate_page" and walk.before is not None
    page, following = _page(sim, walk, filters, size, from_key=walk.before if again else None)
    content: dict[str, Any] = {"orders": [order_json(order, datasets) for order in page]}
    if again:
        following = walk.start
    if following is not None:
        before = walk.before if again else walk.start
        content["pagination"] = {"nextToken": _token(call, walk, following, before)}
    content["createdBefore" if walk.field == "created" else "lastUpdatedBefore"] = stamp(walk.until)
    return Answer(200, content)


def get(sim: State, call: Call) -> Answer:
    """getOrder."""
    if sim.sandbox:
        return sandbox_order(call)
    datasets = _allowed_datasets(sim, call)
    order = sim.orders.get(call.params["orderId"])
    if order is None:
        raise missing(f"Order {call.params['orderId']}")
    return Answer(200, {"order": order_json(order, datasets)})


def _allowed_datasets(sim: State, call: Call) -> set[str]:
    """The datasets asked for, as far as the application's roles reach (docs: orders-api-migration-guide)."""
    if ORDERS_ROLE not in sim.roles:
        raise forbidden(f"The application lacks the role {ORDERS_ROLE}.")
    asked = set(call.many("includedData", DATASETS))
    for dataset, role in (("RECIPIENT", DELIVERY_ROLE), ("BUYER", TAX_ROLE)):
        if dataset in asked and role not in sim.roles:
            if sim.missing_role == "403":
                raise forbidden(f"The application lacks the role {role}.")
            asked.discard(dataset)
    return asked


def _filters(call: Call) -> dict[str, set[str]]:
    places = call.many("marketplaceIds", most=50)
    if strange := [place for place in places if place not in MARKETPLACES]:
        # models#5295: an id of a non-Amazon channel is answered with 403
        raise forbidden(f"Marketplace {strange[0]} is not accessible.", broken_rule=True)
    return {
        "status": set(call.many("fulfillmentStatuses", STATUSES)),
        "fulfilled_by": set(call.many("fulfilledBy", frozenset({"MERCHANT", "AMAZON"}))),
        "marketplace": set(places),
    }


def _fits(order: Order, filters: dict[str, set[str]]) -> bool:
    return all(not wanted or getattr(order, field) in wanted for field, wanted in filters.items())


def _walk(sim: State, call: Call) -> _Walk:
    window = _window(sim, call)
    token = call.one("paginationToken")
    return window if token is None else _resume(call, token)


def _window(sim: State, call: Call) -> _Walk:
    created, updated = call.time("createdAfter"), call.time("lastUpdatedAfter")
    if (created is None) == (updated is None):
        raise invalid("Exactly one of createdAfter and lastUpdatedAfter must be provided.")
    wrong_twin = call.one("lastUpdatedBefore" if created else "createdBefore")
    if wrong_twin is not None:
        raise invalid("A ...Before of the other kind cannot be combined with this ...After.")
    after = created or updated
    assert after is not None
    until = call.time("createdBefore" if created else "lastUpdatedBefore")
    if until is not None and (until < after or until > call.at - timedelta(minutes=2)):
        raise invalid("...Before must be after ...After and at least two minutes before the request.")
    horizon = until or call.at - timedelta(seconds=sim.horizon_seconds)
    return _Walk("created" if created else "updated", (after, 0), horizon)


def _page(
    sim: State, walk: _Walk, filters: dict[str, set[str]], size: int, from_key: Key | None
) -> tuple[list[Order], Key | None]:
    """The orders of one page and the key of the order after it."""
    entries = sim.book.between(walk.field, from_key or walk.start, walk.until)
    found = list(islice(((key, order) for key, order in entries if _fits(order, filters)), size + 1))
    following = found[size][0] if len(found) > size else None
    return [order for _, order in found[:size]], following


def _shift(sim: State, walk: _Walk, filters: dict[str, set[str]]) -> None:
    """Let the first order of the coming page change, as if its buyer had just touched it."""
    upcoming, _ = _page(sim, walk, filters, 1, None)
    for order in upcoming:
        sim.book.touch(order, sim.now())


def _bound(call: Call) -> str:
    kept = {name: values for name, values in call.query.items() if name not in _FREE}
    return json.dumps(kept, sort_keys=True)


def _token(call: Call, walk: _Walk, following: Key, before: Key | None) -> str:
    """An opaque token; it holds characters that break when it is not URL-encoded."""
    kept = {
        "query": _bound(call),
        "issued": stamp(call.at),
        "field": walk.field,
        "until": stamp(walk.until),
        "start": [stamp(following[0]), following[1]],
        "before": [stamp(before[0]), before[1]] if before else None,
    }
    return _MARK + base64.b64encode(zlib.compress(json.dumps(kept).encode())).decode()


def _resume(call: Call, token: str) -> _Walk:
    try:
        kept = json.loads(zlib.decompress(base64.b64decode(token.removeprefix(_MARK), validate=True)))
    except (ValueError, zlib.error):
        raise invalid("The paginationToken is not valid.") from None
    if kept["query"] != _bound(call):
        raise invalid("The paginationToken belongs to other parameters.")
    if call.at > parse_time(kept["issued"]) + timedelta(hours=TOKEN_HOURS):
        raise invalid("The paginationToken has expired.", broken_rule=False)
    before = kept["before"]
    return _Walk(
        kept["field"],
        (parse_time(kept["start"][0]), kept["start"][1]),
        parse_time(kept["until"]),
        (parse_time(before[0]), before[1]) if before else None,
    )
