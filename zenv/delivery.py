"""Sending what a connection is owed: look up what was lost, follow what is under way, then send what is new.

`sending` is committed before the call, so a kill leaves a row whose effect may have happened; such a row is looked
up at the remote, never repeated blindly. Stock levels are absolute, so for them sending again is the look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from zenv import connectors
from zenv.connectors.base import Connector
from zenv.errors import LoginNeeded, Stopped, Unanswered, Unreachable, ZenvError
from zenv.facts import (
    Announcement,
    Cancellation,
    Farewell,
    Handover,
    ItemShare,
    Message,
    Receipt,
    RequestLink,
    ShipmentNotice,
    StockLevel,
)
from zenv.ledger import connections, messages, outbox
from zenv.ledger.book import Book
from zenv.ledger.notices import notice, withdraw
from zenv.ledger.outbox import Owed
from zenv.ledger.runs import Tally
from zenv.ledger.transaction import AnyRow, Transaction

AT_ONCE = {"stock_level": 100_000, "shipment": 50, "cancellation": 500, "link": 1, "item": 10_000, "inbound": 1000,
           "order": 1000}  # fmt: skip
BOOKED_TOGETHER = {"stock_level": 500, "shipment": 1, "cancellation": 500, "link": 1, "item": 200, "inbound": 200,
                   "order": 200}  # fmt: skip
"""Receipts per commit: a shipment's is committed at once, because losing it costs a look-up."""

PAUSE_SECONDS = 60.0
ZEROS_ALWAYS_FINE = 10
ZEROS_SHARE = 0.2
"""More listings than this share going to 0 at once looks like an accident, not like sales."""
HELD_BACK = "held back: too many would go to 0"


@dataclass(frozen=True)
class Planned:
    """What a run would tell a channel (C16, C17): `was` is what it was last told or showed."""

    kind: str
    subject: str
    was: str
    becomes: str


def deliver(book: Book, owner: AnyRow, connector: Connector, kind: str, tally: Tally, yes_to_zero: bool,
            go_on: Callable[[], None]) -> None:  # fmt: skip
    """Settle and send the messages of one kind. `go_on` is asked between two steps and raises Stopped."""
    with book.transaction() as t:
        outbox.expire_leases(t, owner.id)
        if yes_to_zero:
            # Said right after reading the inbox: the pause of what was held back has not passed yet.
            outbox.wake(t, owner.id, HELD_BACK)
            withdraw(t, "mass zero", owner.name)
    _look_up(book, owner, connector, kind)
    _follow(book, owner, connector, kind)
    while True:
        go_on()
        sent, built = _claim(book, owner, kind, yes_to_zero, tally)
        if not sent:
            return
        if built:
            _push(book, connector, kind, sent, built, tally, go_on)


def _look_up(book: Book, owner: AnyRow, connector: Connector, kind: str) -> None:
    with book.reading() as sql:
        lost = outbox.unknown(sql, owner.id, kind)
        built = messages.build(sql, kind, lost, book.keys)
    by_key = {owed.id: owed for owed in lost}
    for owed in lost:
        message = built.get(owed.id)
        if message is None:
            receipt = Receipt(owed.id, "done")
        elif isinstance(message, StockLevel):
            receipt = Receipt(owed.id, "retry")
        else:
            receipt = connector.find(message)
        with book.transaction() as t:
            messages.book_receipts(t, kind, by_key, built, [receipt])


def _follow(book: Book, owner: AnyRow, connector: Connector, kind: str) -> None:
    with book.reading() as sql:
        under_way = outbox.under_way(sql, owner.id, kind)
        built = {ref: _as_sent(book, sql, kind, owed) for ref, owed in under_way.items()}
    for ref, owed in under_way.items():
        by_key = {one.id: one for one in owed}
        # What has nothing to say any more (the order is seen cancelled) needs no answer either.
        overtaken = [Receipt(key, "done") for key in by_key if key not in built[ref]]
        answered = list(connector.follow(ref, list(built[ref].values()))) if built[ref] else []
        _book(book, kind, by_key, {}, overtaken + answered)


def _as_sent(book: Book, sql: Any, kind: str, owed: Sequence[Owed]) -> dict[int, Message]:
    """The messages as they were sent."""
    return messages.as_submitted(sql, owed) if kind == "stock_level" else messages.build(sql, kind, owed, book.keys)


def _claim(
    book: Book, owner: AnyRow, kind: str, yes_to_zero: bool, tally: Tally
) -> tuple[dict[int, Owed], dict[int, Message]]:
    """Take what is to be sent; what has nothing to say any more is dropped in the same transaction."""
    with book.transaction() as t:
        claimed = {owed.id: owed for owed in outbox.claim(t, owner.id, kind, AT_ONCE[kind])}
        built = messages.build(t.sql, kind, list(claimed.values()), t.keys)
        outbox.drop(t, [owed for key, owed in claimed.items() if key not in built])
        if kind == "stock_level" and not yes_to_zero:
            held = _suspicious_zeros(built, messages.count_told(t.sql, owner.id))
            if held:
                _hold_back(t, owner, held, tally)
            built = {key: message for key, message in built.items() if key not in held}
    return claimed, built


def _suspicious_zeros(built: Mapping[int, Message], offered: int) -> set[int]:
    zeros = {
        key
        for key, message in built.items()
        if isinstance(message, StockLevel) and message.quantity == 0 and message.live != 0
    }
    allowed = max(ZEROS_ALWAYS_FINE, int(offered * ZEROS_SHARE))
    return zeros if len(zeros) > allowed else set()


def _hold_back(t: Transaction, owner: AnyRow, held: Iterable[int], tally: Tally) -> None:
    keys = list(held)
    outbox.settle(t, [Receipt(key, "retry", reason=HELD_BACK, wait=600) for key in keys])
    said = f"{len(keys)} listings of {owner.name} would go to 0 at once; they were held back"
    notice(t, "mass zero", owner.name, said, f"zenv sync now {owner.name} stock --yes-to-zero")
    tally.notes.append(said)
    tally.failed += len(keys)


def _push(
    book: Book, connector: Connector, kind: str, sent: Mapping[int, Owed], built: Mapping[int, Message], tally: Tally,
    go_on: Callable[[], None],
) -> None:  # fmt: skip
    waiting = dict(built)
    receipts: list[Receipt] = []
    try:
        for receipt in connector.push(list(built.values())):
            del waiting[receipt.key]
            receipts.append(_not_at_once(receipt))
            tally.sent += receipt.outcome in ("done", "submitted")
            tally.failed += receipt.outcome == "refused"
            if len(receipts) >= BOOKED_TOGETHER[kind]:
                _book(book, kind, sent, built, receipts)
                receipts = []
                go_on()
    except ZenvError as error:
        # Whatever has no receipt: surely without effect when the remote said so, else to be looked up.
        surely_not = isinstance(error, (LoginNeeded, Stopped)) or (
            isinstance(error, Unreachable) and not isinstance(error, Unanswered)
        )
        outcome: Literal["retry", "unknown"] = "retry" if surely_not else "unknown"
        receipts += [_not_at_once(Receipt(key, outcome, reason=error.message)) for key in waiting]
        raise
    finally:
        _book(book, kind, sent, built, receipts)


def _not_at_once(receipt: Receipt) -> Receipt:
    """What was just refused for now is not sent again within the same run."""
    again = receipt.outcome == "retry" and receipt.wait < PAUSE_SECONDS
    return replace(receipt, wait=PAUSE_SECONDS) if again else receipt


def _book(
    book: Book, kind: str, sent: Mapping[int, Owed], built: Mapping[int, Message], receipts: Sequence[Receipt]
) -> None:
    if receipts:
        with book.transaction() as t:
            messages.book_receipts(t, kind, sent, built, receipts)


def plan(book: Book, connection: int) -> list[Planned]:
    """What the next run would tell the channel, without telling it."""
    planned = []
    with book.reading() as sql:
        tasks = connectors.load(connections.kind(sql, connection)).tasks
        for kind in (kind for kind in AT_ONCE if any(kind in task.tells for task in tasks)):
            owed = outbox.pending(sql, connection, kind)
            built = messages.build(sql, kind, owed, book.keys)
            planned += [_planned(kind, message) for message in built.values()]
    return planned


def _planned(kind: str, message: Message) -> Planned:
    if isinstance(message, StockLevel):
        was = "" if message.live is None else str(message.live)
        return Planned(kind, message.sku, was, f"{message.quantity} in {message.handling_days} days")
    subject, becomes = SPOKEN[type(message)](message)
    return Planned(kind, subject, "", becomes)


SPOKEN: dict[type, Callable[[Any], tuple[str, str]]] = {
    ShipmentNotice: lambda message: (message.order, message.tracking),
    Cancellation: lambda message: (message.order, message.reason),
    ItemShare: lambda message: (message.item.sku, "active" if message.item.active else "inactive"),
    Handover: lambda message: (message.order.order, "cancelled" if message.order.cancelled else "to be shipped"),
    Announcement: lambda message: (message.inbound.number, "cancelled" if message.inbound.cancelled else "to arrive"),
    RequestLink: lambda message: (message.warehouse, "requested"),
    Farewell: lambda message: ("link", message.stage),
}
"""The subject of a message, and what the remote would be told of it."""
