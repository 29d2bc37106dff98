"""What we owe each remote: one row per subject, without content.

    pending -> sending -> (gone)             the effect is certain
                       -> sent -> (gone)     the remote answers later
                       -> unknown            the answer was lost: look it up first
                       -> parked             refused; a person decides

Queuing a subject again raises its revision; a receipt settles only the revision it answers, so a change booked
while a message is on the wire is never lost. `sending` is committed before the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Update, and_, bindparam, case, or_, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.errors import NotFound
from zenv.facts import Receipt
from zenv.ledger.models import Listing, Message
from zenv.ledger.transaction import AnyRow, Transaction, among, in_chunks, row, table
from zenv.privacy import strip_control

messages, listings = table(Message), table(Listing)

LEASE = timedelta(minutes=5)
"""Longer than any single call may take: after it, the process that was sending is taken for dead."""


@dataclass(frozen=True)
class Owed:
    """A row of the outbox as its sender needs it."""

    id: int
    connection: int
    kind: str
    subject: int
    revision: int
    attempts: int
    remote_ref: str


def queue(t: Transaction, owed: Iterable[tuple[int, str, int]]) -> None:
    """Owe these (connection, kind, subject). A parked one is tried again, one under way is sent again after."""
    rows = [
        row(Message, connection_id=connection, kind=kind, subject=subject, queued_at=t.now)
        for connection, kind, subject in owed
    ]
    t.many(_queue, rows)


_queue = insert_or_update(messages)
_queue = _queue.on_conflict_do_update(
    index_elements=["connection_id", "kind", "subject"],
    set_={
        "revision": messages.c.revision + 1,
        "state": case((messages.c.state == "parked", "pending"), else_=messages.c.state),
    },
    # One that still waits is worked out when it is sent: it says the newest thing already.
    where=messages.c.state != "pending",
)


def claim(t: Transaction, connection: int, kind: str, limit: int) -> list[Owed]:
    """Take the messages that may be sent now; they are `sending` until a receipt comes or the lease ends."""
    free = and_(
        messages.c.connection_id == connection,
        messages.c.kind == kind,
        messages.c.state == "pending",
        or_(messages.c.not_before.is_(None), messages.c.not_before <= t.now),
    )
    taken = _read(t.sql, select(messages).where(free).order_by(messages.c.queued_at, messages.c.id).limit(limit))
    for chunk in in_chunks([owed.id for owed in taken]):
        t.sql.execute(
            messages.update()
            .where(messages.c.id.in_(chunk))
            .values(state="sending", sent_revision=messages.c.revision, attempts=messages.c.attempts + 1,
                    lease_until=t.now + LEASE, reason="")
        )  # fmt: skip
    return taken


def expire_leases(t: Transaction, connection: int) -> None:
    """A sender died: what it was sending may or may not have had its effect. Of a stock level that means: nobody
    knows what the channel shows, so whatever it is told next is a difference."""
    died = (messages.c.connection_id == connection, messages.c.state == "sending", messages.c.lease_until < t.now)
    shown = select(messages.c.subject).where(*died, messages.c.kind == "stock_level")
    t.sql.execute(listings.update().where(listings.c.id.in_(shown)).values(submitted=None, submitted_handling=None))
    t.sql.execute(messages.update().where(*died).values(state="unknown", lease_until=None))


def wake(t: Transaction, connection: int, reason: str | None = None) -> None:
    """What waits for its time may be sent now; only what waits for this reason, if one is given."""
    waits = [messages.c.connection_id == connection, messages.c.state == "pending", messages.c.not_before.is_not(None)]
    if reason is not None:
        waits.append(messages.c.reason == reason)
    t.sql.execute(messages.update().where(*waits).values(not_before=None))


def pending(sql: Connection, connection: int, kind: str) -> list[Owed]:
    """Messages that wait to be sent."""
    return _in_state(sql, connection, kind, "pending")


def unknown(sql: Connection, connection: int, kind: str) -> list[Owed]:
    """Messages whose answer was lost."""
    return _in_state(sql, connection, kind, "unknown")


def under_way(sql: Connection, connection: int, kind: str) -> dict[str, list[Owed]]:
    """Messages the remote will answer later, by the remote's reference."""
    found: dict[str, list[Owed]] = {}
    for owed in _in_state(sql, connection, kind, "sent"):
        found.setdefault(owed.remote_ref, []).append(owed)
    return found


def _in_state(sql: Connection, connection: int, kind: str, state: str) -> list[Owed]:
    of_kind = and_(messages.c.connection_id == connection, messages.c.kind == kind, messages.c.state == state)
    return _read(sql, select(messages).where(of_kind).order_by(messages.c.id))


def _read(sql: Connection, query: Select[Any]) -> list[Owed]:
    return [
        Owed(found.id, found.connection_id, found.kind, found.subject, found.revision, found.attempts,
             found.remote_ref)
        for found in sql.execute(query)
    ]  # fmt: skip


def drop(t: Transaction, owed: Iterable[Owed]) -> None:
    """Nothing is owed any more, unless the subject was queued again meanwhile."""
    _done(t, [one.id for one in owed])


def settle(t: Transaction, receipts: Sequence[Receipt]) -> None:
    """Write down what became of messages."""
    _done(t, [receipt.key for receipt in receipts if receipt.outcome == "done"])
    for receipt in receipts:
        if receipt.outcome != "done":
            _settle(t, receipt)


def _done(t: Transaction, keys: Sequence[int]) -> None:
    """What was queued again meanwhile is still owed."""
    if keys:
        these = among(messages.c.id, keys)
        t.sql.execute(messages.delete().where(these, messages.c.sent_revision == messages.c.revision))
        t.sql.execute(_back_to_pending().where(these))


def _settle(t: Transaction, receipt: Receipt) -> None:
    this, outcome = messages.c.id == receipt.key, receipt.outcome
    if outcome == "retry":
        later = t.now + timedelta(seconds=receipt.wait)
        t.sql.execute(_back_to_pending().where(this).values(not_before=later, reason=strip_control(receipt.reason)))
        return
    if outcome == "refused" and t.sql.execute(_changed_meanwhile().where(this)).rowcount:
        return
    state = {"submitted": "sent", "refused": "parked", "unknown": "unknown"}[outcome]
    t.sql.execute(
        messages.update()
        .where(this)
        .values(state=state, remote_ref=receipt.remote_ref, lease_until=None,
                reason=strip_control(receipt.reason)[:500])
    )  # fmt: skip


def _changed_meanwhile() -> Update:
    """What was refused is no longer what is owed: the newer revision is tried."""
    return _back_to_pending().where(messages.c.sent_revision < messages.c.revision)


def _back_to_pending() -> Update:
    return messages.update().values(state="pending", lease_until=None, remote_ref="", not_before=None)


def retry(t: Transaction, message: int) -> None:
    """A person says: try this parked or waiting message again. One whose answer was lost is looked up first."""
    woken = t.sql.execute(
        _back_to_pending().where(messages.c.id == message, messages.c.state.in_(("parked", "pending")))
    ).rowcount
    if not woken:
        raise NotFound(f"No message {message} is parked.", "zenv inbox")


def doubt(t: Transaction, subjects: Iterable[tuple[int, str, int]] | None = None) -> int:
    """Nobody knows any more whether these packages and cancellations (connection, kind, subject; None: all that are
    owed) were told: each is looked up at its remote before it is told. How many."""
    told = (messages.c.kind != "stock_level", messages.c.state.in_(("pending", "sending", "parked")))
    becomes = messages.update().where(*told).values(state="unknown", lease_until=None, not_before=None, remote_ref="")
    if subjects is None:
        return t.sql.execute(becomes).rowcount
    return sum(t.sql.execute(becomes.where(_about(*subject))).rowcount for subject in subjects)


def _about(connection: int, kind: str, subject: int) -> ColumnElement[bool]:
    return and_(messages.c.connection_id == connection, messages.c.kind == kind, messages.c.subject == subject)


def forget(t: Transaction, numbers: Iterable[int]) -> None:
    """These messages are about nothing there is."""
    t.sql.execute(messages.delete().where(among(messages.c.id, numbers)))


# ---- what waits until it is asked for --------------------------------------------------------------------


def of_connection(sql: Connection, connection: int) -> list[Owed]:
    """All that is owed to a connection."""
    return _read(sql, select(messages).where(messages.c.connection_id == connection).order_by(messages.c.id))


def lay_out(t: Transaction, connection: int, limit: int) -> list[Owed]:
    """What a remote that calls us is shown, the oldest first: it stays owed until the remote says that it has it. The
    revision is a stamp (see `_stamp`)."""
    shown = (messages.c.connection_id == connection, messages.c.state.in_(("pending", "sent")))
    rows = t.sql.execute(select(messages).where(*shown).order_by(messages.c.id).limit(limit)).all()
    for chunk in in_chunks([found.id for found in rows]):
        these = messages.update().where(messages.c.id.in_(chunk))
        t.sql.execute(these.values(state="sent", sent_revision=messages.c.revision))
    return [
        Owed(found.id, found.connection_id, found.kind, found.subject, _stamp(found), found.attempts, found.remote_ref)
        for found in rows
    ]


def _stamp(message: AnyRow) -> int:
    """A revision that no other message ever has, though the database gives numbers of deleted rows again: a remote that
    says twice that it has one must not make us forget another."""
    queued: datetime = message.queued_at
    return (queued - _EPOCH) // timedelta(microseconds=1) + int(message.revision)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def taken(t: Transaction, connection: int, seen: Iterable[tuple[int, int]]) -> int:
    """The remote has these (message, stamp); what was queued again meanwhile stays owed. How many are gone."""
    known = set(seen)
    mine = (messages.c.connection_id == connection, among(messages.c.id, {message for message, _ in known}))
    rows = t.sql.execute(select(messages).where(*mine)).all()
    gone = [{"message": one.id, "known": one.revision} for one in rows if (one.id, _stamp(one)) in known]
    return t.many(_forget_known, gone)


_forget_known = messages.delete().where(
    messages.c.id == bindparam("message"), messages.c.revision == bindparam("known")
)
