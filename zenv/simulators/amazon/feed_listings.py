"""JSON_LISTINGS_FEED, version 2.0: every message stands alone, the report tells which were invalid."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Any

from .catalogue import Catalogue
from .patches import AVAILABILITY, Origin, issues_of, submit
from .records import Feed

MOST_MESSAGES = 25_000
MOST_BYTES = 10 * 1024 * 1024


class Unreadable(Exception):
    """The feed as a whole cannot be processed; it ends FATAL."""


def apply_listings(sim: Catalogue, feed: Feed, body: bytes, at: datetime) -> bytes:
    """Apply the messages in their order; returns the processing report. Raises Unreadable."""
    messages = _messages(sim, feed, body)
    if feed.fatal:
        messages = messages[: feed.applied_before_fatal]
    times = Counter(message.get("messageId") for message in messages)
    issues: list[dict[str, Any]] = []
    invalid = 0
    for message in messages:
        found = _form_issues(message, times) or _apply(sim, feed, message, at)
        invalid += any(issue["severity"] == "ERROR" for issue in found)
        issues += found
    return _report(sim, feed, len(messages), invalid, issues)


def _messages(sim: Catalogue, feed: Feed, body: bytes) -> list[dict[str, Any]]:
    try:
        content = json.loads(body)
        header, messages = content["header"], content["messages"]
    except (ValueError, KeyError, TypeError):
        raise Unreadable("the feed is not JSON with a header and messages") from None
    if header.get("sellerId") != sim.seller_id or header.get("version") != "2.0":
        raise Unreadable("the feed's header does not name this seller and version 2.0")
    if not isinstance(messages, list) or not 1 <= len(messages) <= MOST_MESSAGES:
        raise Unreadable(f"a feed holds 1 to {MOST_MESSAGES} messages")
    if len(body) > MOST_BYTES:
        sim.violate("createFeed", feed.feed_id, "the feed is larger than 10 MiB")
    return messages


def _form_issues(message: dict[str, Any], times: Counter[Any]) -> list[dict[str, Any]]:
    number, operation = message.get("messageId"), message.get("operationType")
    if type(number) is not int or not 1 <= number <= 2**31 - 1 or times[number] > 1:
        return [_issue(message, "4000003", "messageId must be a distinct whole number.")]
    if not message.get("sku") or operation not in ("UPDATE", "PARTIAL_UPDATE", "PATCH", "DELETE"):
        return [_issue(message, "4000004", "sku and operationType are required.")]
    wanted = {"PATCH": "patches", "UPDATE": "attributes", "PARTIAL_UPDATE": "attributes"}.get(operation)
    if wanted and (not message.get(wanted) or not message.get("productType")):
        return [_issue(message, "4000005", f"{operation} needs productType and {wanted}.")]
    return []


def _issue(message: dict[str, Any], code: str, text: str, attribute: str | None = None) -> dict[str, Any]:
    shown = {"code": code, "severity": "ERROR", "message": text}
    for name in ("messageId", "sku"):
        if message.get(name):
            shown[name] = message[name]
    return shown | ({"attributeName": attribute} if attribute else {})


def _apply(sim: Catalogue, feed: Feed, message: dict[str, Any], at: datetime) -> list[dict[str, Any]]:
    sku = message["sku"]
    if message["operationType"] == "DELETE":
        sim._listings.pop(sku, None)
        return []
    patches = message.get("patches") or _as_patches(message["attributes"])
    problems = issues_of(sim, sku, patches)
    if not problems:
        submit(sim, sku, patches, Origin("feed", feed.feed_id), at)
    return [_issue(message, p["code"], p["message"], p["attributeNames"][0]) for p in problems]


def _as_patches(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    """An UPDATE or PARTIAL_UPDATE puts whole attributes in place, as `replace` does."""
    return [
        {"op": "replace", "path": f"/attributes/{name}", "value": value}
        for name, value in sorted(attributes.items(), key=lambda pair: pair[0] != AVAILABILITY)
    ]


def _report(sim: Catalogue, feed: Feed, processed: int, invalid: int, issues: list[dict[str, Any]]) -> bytes:
    content = {
        "header": {"sellerId": sim.seller_id, "version": "2.0", "feedId": feed.feed_id},
        "issues": issues,
        "summary": {
            "errors": sum(issue["severity"] == "ERROR" for issue in issues),
            "warnings": sum(issue["severity"] == "WARNING" for issue in issues),
            "messagesProcessed": processed,
            "messagesAccepted": processed - invalid,
            "messagesInvalid": invalid,
        },
    }
    return json.dumps(content).encode()
