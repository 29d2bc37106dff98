"""What became of a feed: nothing while it waits, then a receipt for every message in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zenv.connectors.amazon.api import Api
from zenv.connectors.amazon.cancellations import read_cancel_report
from zenv.connectors.amazon.feeds import OPEN, FeedState, feed_result, feed_state
from zenv.connectors.amazon.reading import Unreadable
from zenv.connectors.amazon.stock import read_listings_report
from zenv.errors import Bug, NotFound
from zenv.facts import Message, Receipt

REPORTS = {"feed": read_listings_report, "cancel-feed": read_cancel_report}


def follow_feed(api: Api, remote_ref: str, messages: Sequence[Message]) -> Iterator[Receipt]:
    """Receipts for messages submitted under `feed:ID` or `cancel-feed:ID`; none while the feed is open.

    FATAL and CANCELLED feeds may have been carried out in part: `unknown`, look each message up.
    """
    kind, _, feed = remote_ref.partition(":")
    if kind not in REPORTS:
        raise Bug(f"Nothing is submitted to Amazon under {kind!r}.")
    try:
        state = feed_state(api, feed)
    except NotFound:
        state = FeedState("forgotten", "")
    if state.status in OPEN:
        return
    if state.status != "DONE" or not state.document:
        reason = f"the feed ended {state.status}" + ("" if state.status != "DONE" else " without a report")
        yield from (Receipt(message.key, "unknown", reason=reason) for message in messages)
        return
    content = feed_result(api, state.document)
    try:
        yield from list(REPORTS[kind](content, [message.key for message in messages]))
    except (Unreadable, ValueError):
        reason = "the feed's processing report cannot be read"
        yield from (Receipt(message.key, "unknown", reason=reason) for message in messages)
