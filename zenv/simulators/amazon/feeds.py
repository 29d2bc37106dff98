"""The Feeds API: one queue per seller, one feed at a time, effects when a feed completes (models#4823)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from . import documents
from .faults import quota_exceeded
from .feed_acknowledgement import acknowledge
from .feed_listings import Unreadable, apply_listings
from .jobs import listed, places_of, timestamps
from .limits import LISTINGS_FEED
from .names import words
from .records import Fault, Feed
from .state import State
from .storefront import Storefront
from .wire import Answer, Call, invalid, missing

LISTINGS = "JSON_LISTINGS_FEED"
ACKNOWLEDGEMENT = "POST_ORDER_ACKNOWLEDGEMENT_DATA"
STUCK_SECONDS = 8 * 3600.0
# since 31 July 2025 these end FATAL (docs feeds-api-best-practices)
LEGACY = frozenset(
    words("""POST_PRODUCT_DATA POST_INVENTORY_AVAILABILITY_DATA POST_PRODUCT_OVERRIDES_DATA
    POST_PRODUCT_PRICING_DATA POST_PRODUCT_IMAGE_DATA POST_PRODUCT_RELATIONSHIP_DATA
    POST_FLAT_FILE_INVLOADER_DATA POST_FLAT_FILE_LISTINGS_DATA POST_FLAT_FILE_BOOKLOADER_DATA
    POST_FLAT_FILE_CONVERGENCE_LISTINGS_DATA POST_FLAT_FILE_PRICEANDQUANTITYONLY_UPDATE_DATA
    POST_UIEE_BOOKLOADER_DATA""")
)


def create_document(sim: State, call: Call) -> Answer:
    """createFeedDocument: 201, an id good for two days and a URL good for five minutes."""
    content_type = call.json().get("contentType")
    if not isinstance(content_type, str) or not content_type:
        raise invalid("contentType is required.")
    document = documents.store(sim, content_type, call.at, None)
    url = documents.link(sim, call, document, "PUT")
    return Answer(201, {"feedDocumentId": document.document_id, "url": url})


def create(sim: Storefront, call: Call, fault: Fault | None = None) -> Answer:
    """createFeed: 202 and an id."""
    body = call.json()
    feed_type = body.get("feedType")
    if feed_type not in (LISTINGS, ACKNOWLEDGEMENT) and feed_type not in LEGACY:
        raise invalid(f"Feed type {feed_type} is not allowed.")
    if feed_type == LISTINGS and sim.limits and not sim.throttle.take(LISTINGS_FEED, call.at):
        raise quota_exceeded()
    feed = Feed(
        feed_id=f"{60000000000 + sim.serial()}",
        feed_type=feed_type,
        marketplaces=places_of(sim, body),
        document_id=_input_document(sim, call, body),
        created=call.at,
        fatal=feed_type in LEGACY,
    )
    if fault is not None:
        _hit(feed, fault)
    sim.feeds[feed.feed_id] = feed
    _start_next(sim, call.at)
    return Answer(202, {"feedId": feed.feed_id})


def _hit(feed: Feed, fault: Fault) -> None:
    if fault.name == "fatal_feed":
        feed.fatal, feed.applied_before_fatal = True, int(fault.detail.get("applied", 0))
    if fault.name == "stuck_feed":
        feed.extra_seconds = float(fault.detail.get("seconds", STUCK_SECONDS))


def _input_document(sim: State, call: Call, body: dict[str, Any]) -> str:
    document = sim.documents.get(str(body.get("inputFeedDocumentId")))
    if document is None or call.at > document.created + timedelta(days=documents.DOCUMENT_DAYS):
        raise invalid("inputFeedDocumentId is not known or older than two days.")
    if document.body is None:
        raise invalid("Nothing was uploaded to inputFeedDocumentId.")
    return document.document_id


def _start_next(sim: Storefront, at: datetime) -> None:
    feeds = sim._feeds.values()
    if any(feed.status == "IN_PROGRESS" for feed in feeds):
        return
    waiting = next((feed for feed in feeds if feed.status == "IN_QUEUE"), None)
    if waiting is None:
        return
    waiting.status, waiting.started = "IN_PROGRESS", at
    seconds = sim.feed_seconds + waiting.extra_seconds
    sim.clock.at(at + timedelta(seconds=seconds), lambda moment: _finish(sim, waiting, moment))


def _finish(sim: Storefront, feed: Feed, at: datetime) -> None:
    """Apply the feed, write its processing report, and take the next one."""
    body = sim.documents[feed.document_id].body or b""
    apply = acknowledge if feed.feed_type == ACKNOWLEDGEMENT else apply_listings
    try:
        if feed.feed_type in LEGACY:
            raise Unreadable(f"{feed.feed_type} is no longer processed")
        result = apply(sim, feed, body, at)
        feed.status = "FATAL" if feed.fatal else "DONE"
    except Unreadable as problem:
        sim.violate("createFeed", feed.feed_id, str(problem))
        feed.status = "FATAL"
    feed.ended = at
    if feed.status == "DONE":
        content_type = "text/xml" if feed.feed_type == ACKNOWLEDGEMENT else "application/json"
        feed.result_id = documents.store(sim, content_type, at, result, gzipped=True).document_id
    _start_next(sim, at)


def _shown(feed: Feed) -> dict[str, Any]:
    shown = {"feedId": feed.feed_id, "feedType": feed.feed_type, **timestamps(feed)}
    return shown | ({"resultFeedDocumentId": feed.result_id} if feed.result_id else {})


def _feed(sim: State, call: Call) -> Feed:
    feed = sim.feeds.get(call.params["feedId"])
    if feed is None:
        raise missing(f"Feed {call.params['feedId']}")
    return feed


def get(sim: State, call: Call) -> Answer:
    """getFeed."""
    return Answer(200, _shown(_feed(sim, call)))


def get_many(sim: State, call: Call) -> Answer:
    """getFeeds."""
    page, token = listed(sim, call, sim.feeds, "feedTypes", lambda feed: feed.feed_type)
    content: dict[str, Any] = {"feeds": [_shown(feed) for feed in page]}
    return Answer(200, content | ({"nextToken": token} if token else {}))


def cancel(sim: State, call: Call) -> Answer:
    """cancelFeed: only while it waits."""
    feed = _feed(sim, call)
    if feed.status != "IN_QUEUE":
        raise invalid(f"The feed is {feed.status}.", broken_rule=False)
    feed.status, feed.ended = "CANCELLED", call.at
    return Answer(200)


def document(sim: State, call: Call) -> Answer:
    """getFeedDocument."""
    document_id = call.params["feedDocumentId"]
    if document_id not in sim.documents:
        raise missing(f"Feed document {document_id}")
    return documents.described(sim, call, sim.documents[document_id], "feedDocumentId")
