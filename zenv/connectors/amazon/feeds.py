"""Feeds: a document is put down, a feed is made of it, and minutes or hours later a report tells what came of it.

A feed whose `createFeed` answer was lost is looked for, since making it twice would do its work twice.
Source: https://developer-docs.amazon.com/sp-api/docs/feeds-api-best-practices
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.operations import (
    CREATE_FEED,
    CREATE_FEED_DOCUMENT,
    CREATE_LISTINGS_FEED,
    GET_FEED,
    GET_FEED_DOCUMENT,
    GET_FEEDS,
)
from zenv.connectors.amazon.reading import needed, rows, stamp, text
from zenv.connectors.documents import download, upload
from zenv.errors import Unanswered

LISTINGS_FEED = "JSON_LISTINGS_FEED"
OPEN = ("IN_QUEUE", "IN_PROGRESS")
LARGEST_RESULT = 256 * 2**20
SHOWING = 5.0
"""Seconds until a feed that was just made shows in the list of feeds."""


class FeedState(NamedTuple):
    """IN_QUEUE, IN_PROGRESS, DONE, CANCELLED or FATAL, and the report's document once there is one."""

    status: str
    document: str


def submit_feed(
    api: Api,
    kind: str,
    content: bytes,
    content_type: str,
    marketplaces: Sequence[str],
    known: Collection[str] = (),
) -> str:
    """Hand a feed in; the answer is its id. `known` are feeds of this kind that are certainly others.

    Raises Unanswered when nobody can tell whether it was made; other errors mean that it was not.
    """
    place = api.call(CREATE_FEED_DOCUMENT, json={"contentType": content_type})
    upload(api.wire, "uploadFeed", needed(place, "url"), content, content_type)
    operation = CREATE_LISTINGS_FEED if kind == LISTINGS_FEED else CREATE_FEED
    body = {
        "feedType": kind,
        "marketplaceIds": list(marketplaces),
        "inputFeedDocumentId": needed(place, "feedDocumentId"),
    }
    begun = api.wire.now()
    try:
        return needed(api.call(operation, json=body), "feedId")
    except Unanswered:
        api.world.sleep(SHOWING)
        found = [feed for feed in feeds_since(api, kind, begun) if feed not in known]
        if len(found) != 1:
            raise
        return found[0]


def feeds_since(api: Api, kind: str, since: datetime, *statuses: str) -> list[str]:
    """The ids of the feeds of a kind made since a moment (to the second), of the named statuses if any."""
    start = since.replace(microsecond=0) - timedelta(seconds=1)
    params = {"feedTypes": kind, "createdSince": stamp(start), "pageSize": "100"}
    if statuses:
        params["processingStatuses"] = ",".join(statuses)
    return [needed(feed, "feedId") for feed in rows(api.call(GET_FEEDS, params=params), "feeds")]


def feed_state(api: Api, feed: str) -> FeedState:
    """How far a feed is. Raises NotFound when Amazon does not know it (any more)."""
    answer = api.call(GET_FEED, {"feed": feed})
    return FeedState(needed(answer, "processingStatus"), text(answer, "resultFeedDocumentId"))


def feed_result(api: Api, document: str) -> bytes:
    """The processing report of a feed."""
    place = api.call(GET_FEED_DOCUMENT, {"document": document})
    with download(api.wire, "downloadFeedResult", needed(place, "url"), most=LARGEST_RESULT) as found:
        return b"".join(found.chunks)
