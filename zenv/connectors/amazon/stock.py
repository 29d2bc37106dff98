"""Telling Amazon how many units are for sale: the urgent few by PATCH, the many by feed, never one SKU by both.

Quantity and handling time always go together, with the operation `merge`: `replace` resets the handling time, and
the handling time alone is not taken (selling-partner-api-models#2530, #4841). Nothing but a pure merchant item is
ever pushed: a quantity opens a second, merchant leg on an item in Amazon's warehouses (#2633). Both paths only
accept; what is live is read back. In a feed a message's id is the key of our message, so that its report needs no
memory. Sources: https://developer-docs.amazon.com/sp-api/docs/merge-a-listing and
https://developer-docs.amazon.com/sp-api/docs/feeds-api-best-practices
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.delivery import one_by_one, stopped
from zenv.connectors.amazon.feeds import LISTINGS_FEED, submit_feed
from zenv.connectors.amazon.listings import LIVE, MERCHANT_CHANNEL, get_listing, listing_fact
from zenv.connectors.amazon.operations import PATCH_LISTING
from zenv.connectors.amazon.reading import rows, text
from zenv.errors import BadReply, Bug, Unanswered, ZenvError
from zenv.facts import Receipt, StockLevel

MOST_PATCHES = 1500
"""Five minutes of the patch budget of 5 a second."""
MOST_MESSAGES = 25_000
MOST_BYTES = 10 * 2**20 - 1
CONTENT_TYPE = "application/json; charset=UTF-8"
ANY_TYPE = "PRODUCT"
"""The product type that fits every offer-only update (docs: merge-a-listing)."""
LARGEST_QUANTITY = 2**31 - 1
LARGEST_MESSAGE_ID = 2**31 - 1
HEALING = 900.0
"""Seconds to wait after a 400 for a request that is well-formed: such outages heal (models#5365)."""

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def push_stock(api: Api, levels: Sequence[StockLevel]) -> Iterator[Receipt]:
    """Tell these levels: `done` when a PATCH was accepted, `submitted` under `feed:ID` when it went by feed."""
    fit: list[StockLevel] = []
    for level, problem in _sorted_out(levels):
        if problem:
            yield Receipt(level.key, "refused", reason=problem)
        else:
            fit.append(level)
    urgent, rest = _split(fit, api.terms.urgent_below)
    try:
        yield from one_by_one(urgent, lambda level: _patch(api, level))
    except ZenvError as error:
        yield from stopped(rest, error)
        raise
    yield from _feed(api, rest)


def _sorted_out(levels: Sequence[StockLevel]) -> Iterator[tuple[StockLevel, str]]:
    """Each level with what forbids telling it, "" when nothing does."""
    seen: set[str] = set()
    for level in levels:
        problem = ""
        if level.fulfilled_by != "merchant":
            problem = "it is (also) fulfilled by Amazon; a quantity would open a second, merchant leg"
        elif not 0 <= level.quantity <= LARGEST_QUANTITY:
            problem = "its quantity is not one Amazon can take"
        elif level.sku in seen:
            problem = "its SKU stands twice in this push"
        seen.add(level.sku)
        yield level, problem


def _split(levels: Sequence[StockLevel], urgent_below: int) -> tuple[list[StockLevel], list[StockLevel]]:
    """What goes by PATCH, riskiest first (nothing left, then little left), and what goes by feed."""
    by_risk = sorted(levels, key=lambda level: level.quantity)
    if len(by_risk) <= MOST_PATCHES:
        return by_risk, []
    urgent = sum(level.quantity == 0 or level.quantity < urgent_below for level in by_risk)
    cut = min(urgent, MOST_PATCHES)
    return by_risk[:cut], by_risk[cut:]


def _patches(level: StockLevel) -> list[dict[str, Any]]:
    offer = {
        "fulfillment_channel_code": MERCHANT_CHANNEL,
        "quantity": level.quantity,
        "lead_time_to_ship_max_days": level.handling_days,
    }
    return [{"op": "merge", "path": "/attributes/fulfillment_availability", "value": [offer]}]


def _patch(api: Api, level: StockLevel) -> Receipt:
    body = {"productType": level.product_type or ANY_TYPE, "patches": _patches(level)}
    try:
        answer = api.call(PATCH_LISTING, {"sku": level.sku}, params={"marketplaceIds": api.home}, json=body)
    except BadReply as error:
        return Receipt(level.key, "retry", reason=error.message, wait=HEALING)
    status = text(answer, "status")
    if status == "ACCEPTED":
        return Receipt(level.key, "done")
    if status == "INVALID":
        codes = (text(issue, "code") for issue in rows(answer, "issues") if issue.get("severity") == "ERROR")
        return Receipt(level.key, "refused", reason=refusal(codes))
    return Receipt(level.key, "unknown", reason=f"Amazon answered {status[:40]!r}")


def refusal(codes: Iterable[str]) -> str:
    """The reason for the person: Amazon's issue codes, which its documentation explains."""
    return f"Amazon refused it: issue {', '.join(dict.fromkeys(filter(None, codes))) or 'without a code'}"


def _feed(api: Api, levels: Sequence[StockLevel]) -> Iterator[Receipt]:
    waiting = {level.key: level for level in levels}
    known: list[str] = []
    for keys, content in feed_documents(levels, api.terms.seller_id):
        try:
            feed = submit_feed(api, LISTINGS_FEED, content, CONTENT_TYPE, [api.home], known)
        except Unanswered as error:
            # a quantity that is told twice is the same quantity
            yield from stopped([waiting.pop(key) for key in keys], error)
            continue
        except ZenvError as error:
            yield from stopped(waiting.values(), error)
            raise
        known.append(feed)
        for key in keys:
            del waiting[key]
            yield Receipt(key, "submitted", f"feed:{feed}")


def feed_documents(levels: Iterable[StockLevel], seller_id: str) -> Iterator[tuple[list[int], bytes]]:
    """The levels as JSON_LISTINGS_FEED documents of at most 25,000 messages and less than 10 MiB.

    Yields the keys of a document's messages and its UTF-8 bytes; a message's id is its level's key, from 1 up.
    """
    header = _encode({"sellerId": seller_id, "version": "2.0", "issueLocale": "en_US"})
    start = f'{{"header":{header},"messages":['.encode()
    keys: list[int] = []
    content = bytearray(start)
    for level in levels:
        message = _feed_message(level)
        if len(keys) == MOST_MESSAGES or len(content) + len(message) + 3 > MOST_BYTES:
            yield keys, _closed(content)
            keys, content = [], bytearray(start)
        content += b"," + message if keys else message
        keys.append(level.key)
    if keys:
        yield keys, _closed(content)


def _closed(content: bytearray) -> bytes:
    content += b"]}"
    return bytes(content)


def _feed_message(level: StockLevel) -> bytes:
    if not 1 <= level.key <= LARGEST_MESSAGE_ID:
        raise Bug(f"The key {level.key} cannot number a message of a feed.")
    message = {
        "messageId": level.key,
        "sku": level.sku,
        "operationType": "PATCH",
        "productType": level.product_type or ANY_TYPE,
        "patches": _patches(level),
    }
    return _encode(message).encode()


def read_listings_report(content: bytes, keys: Iterable[int]) -> Iterator[Receipt]:
    """What a feed's processing report says of the messages with these keys. Raises Unreadable, ValueError.

    A message without an error was accepted, unless the report has an error that names no message.
    """
    report = json.loads(content)
    codes: dict[int | None, list[str]] = {}
    for issue in rows(report, "issues"):
        if issue.get("severity") == "ERROR":
            codes.setdefault(issue.get("messageId"), []).append(text(issue, "code"))
    for key in keys:
        if key in codes:
            yield Receipt(key, "refused", reason=refusal(codes[key]))
        elif None in codes:
            yield Receipt(key, "unknown", reason=refusal(codes[None]))
        else:
            yield Receipt(key, "done")


def find_stock(api: Api, level: StockLevel) -> Receipt:
    """Whether Amazon shows this quantity now."""
    item = get_listing(api, level.sku, LIVE)
    if item is None:
        return Receipt(level.key, "refused", reason="Amazon has no item with this SKU")
    live = listing_fact(item, api.home, api.world.now()).quantity
    return Receipt(level.key, "done" if live == level.quantity else "retry")
