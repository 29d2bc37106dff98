"""What is read of a provider: its items, what it has to tell, and the journal of our goods there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from pydantic import ValidationError

from zenv import wire
from zenv.connectors.http import Operation
from zenv.connectors.zfn.api import CHANGES, EVENTS, INBOUND, ITEMS, LEVELS, ORDER, SEEN, Api, M, ask
from zenv.errors import BadReply, NotFound, Refused
from zenv.facts import (
    BadRecord,
    BookedFact,
    Fact,
    HandedFact,
    InboundFact,
    LevelsFact,
    ListingFact,
    OrderFact,
    OrderLineFact,
    Page,
)

HISTORY_CHANGED = "history changed"
"""The code of a 409: the provider's journal is no longer the one that was read."""
BEGINNING = wire.Mark(entry=0)
READ_EVERY = timedelta(days=1)


def read_catalogue(api: Api, cursor: str | None) -> Iterator[Page]:
    """All items once a day: what the provider makes or changes meanwhile, it tells by itself."""
    now = api.world.now()
    if cursor is not None and now - datetime.fromisoformat(json.loads(cursor)["read_at"]) < READ_EVERY:
        yield Page((), why_empty="its catalogue was read less than a day ago")
        return
    yield from read_items(api)
    yield Page((), json.dumps({"read_at": now.isoformat()}))


def read_items(api: Api) -> Iterator[Page]:
    """All items that the provider has for us, by SKU."""
    after = ""
    while True:
        page = ask(api.wire, ITEMS, wire.ItemPage, params={"after": after})
        yield Page([listing(item) for item in page.items])
        if not page.more or not page.items:
            return
        after = page.items[-1].sku


def listing(item: wire.SharedItem) -> ListingFact:
    """An item as the provider lists it. How many there are the journal says."""
    return ListingFact(
        item.sku, name=item.name, gtin=item.gtin, attributes=item.attributes, fulfilled_by="channel",
        status="active" if item.active else "inactive",
    )  # fmt: skip


def read_changes(api: Api) -> Iterator[Page]:
    """What the provider has to tell, the oldest first. The code after `yield` runs once the page is in the books: only
    then the provider may forget it."""
    while True:
        page = ask(api.wire, CHANGES, wire.Changes)
        if page.changes:
            yield Page([_told(api, change) for change in page.changes])
            seen = wire.Seen(seen=[(change.key, change.revision) for change in page.changes])
            api.wire.call(SEEN, json=seen.model_dump(mode="json"))
        if not page.more or not page.changes:
            return


def _told(api: Api, change: wire.Change) -> Fact:
    if change.item is not None:
        return listing(change.item)
    if change.order is not None:
        return order(api, change.order)
    if change.inbound is not None:
        return InboundFact(change.inbound)
    return BadRecord("change", str(change.key), "it says nothing")


def order(api: Api, state: wire.OrderState) -> Fact:
    """An order that the provider entered for us, without its person: its units are ours, and nobody else's to be sold;
    or one of ours as it stands there."""
    side, _ = wire.number_in(state.order)
    if side == "c":
        return HandedFact(state)
    status = "CANCELLED" if state.cancelled else ("ON HOLD" if state.hold else "OPEN")
    lines = tuple(
        OrderLineFact(line.line, line.sku, line.quantity, name=line.name, cancelled=line.cancelled)
        for line in state.lines
    )
    return OrderFact(
        state.order, state.placed_at, api.world.now(), "cancelled" if state.cancelled else "ready", status,
        fulfilled_by="merchant", marketplace="", lines=lines, ship_by=state.ship_by, service_level=state.service_level,
    )  # fmt: skip


def fetch_orders(api: Api, references: Sequence[str]) -> Iterator[Page]:
    """Orders by their references."""
    yield Page([_named(api, "order", reference, _order) for reference in references])


def fetch_inbounds(api: Api, references: Sequence[str]) -> Iterator[Page]:
    """Inbounds by their references."""
    yield Page([_named(api, "inbound", reference, _inbound) for reference in references])


def _named(api: Api, kind: str, reference: str, read: Callable[[Api, str], Fact]) -> Fact:
    try:
        return read(api, reference)
    except NotFound:
        return BadRecord(kind, reference, f"{api.name} does not know it")


def _order(api: Api, reference: str) -> Fact:
    return order(api, ask(api.wire, ORDER, wire.OrderState, {"order": reference}))


def _inbound(api: Api, reference: str) -> Fact:
    return InboundFact(ask(api.wire, INBOUND, wire.InboundState, {"inbound": reference}))


def fetch_items(api: Api, skus: Sequence[str]) -> Iterator[Page]:
    """Items by their SKUs."""
    wanted = set(skus)
    for page in read_items(api):
        yield Page([fact for fact in page.facts if isinstance(fact, ListingFact) and fact.sku in wanted])


# ---- the journal -----------------------------------------------------------------------------------------


def read_events(api: Api, mark: wire.Mark) -> Iterator[Page]:
    """What was booked after a mark, each page with the mark behind it."""
    while True:
        events = _at(api, EVENTS, wire.Events, mark)
        if not events.booked:
            return
        facts = [BookedFact(booked) for booked in events.booked]
        yield Page(facts, events.until.model_dump_json(), events.until.entry, events.head)
        mark = events.until
        if mark.entry >= events.head:
            return


def fetch_levels(api: Api, references: Sequence[str]) -> Iterator[Page]:
    """Levels right after a mark, which is the page's cursor. `references` are the mark (empty: the newest entry) and
    the SKUs that are asked for; none: all."""
    said, *skus = references
    mark = read_mark(said) if said else None
    found: list[wire.LevelOf] = []
    while True:
        page = _at(api, LEVELS, wire.Levels, mark, after=found[-1].sku if found else "")
        found, mark = found + page.levels, page.at
        if not page.more or not page.levels:
            break
    wanted = set(skus)
    levels = tuple(level for level in found if level.sku in wanted or not skus)
    yield Page([LevelsFact(levels, tuple(skus) if skus else None)], page.at.model_dump_json())


def read_mark(cursor: str | None) -> wire.Mark:
    """A cursor of the journal as a mark; the beginning where nothing was read yet."""
    if not cursor:
        return BEGINNING
    try:
        return wire.Mark.model_validate_json(cursor)
    except ValidationError:
        raise BadReply("The mark of the journal is damaged.", "zenv doctor") from None


def _at(api: Api, operation: Operation, answer: type[M], mark: wire.Mark | None, **params: str) -> M:
    asked = params | ({"entry": str(mark.entry), "digest": mark.digest} if mark is not None else {})
    try:
        return ask(api.wire, operation, answer, params=asked)
    except Refused as error:
        if error.remote is None or error.remote.code != HISTORY_CHANGED:
            raise
        changed = Refused(
            f"{api.name} has another history than the one that was read: it went back to a backup. Nothing was changed "
            "here.",
            f"zenv zfn reimport {api.name}",
        )
        changed.remote = error.remote
        raise changed from None
