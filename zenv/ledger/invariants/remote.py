"""The books against what a remote says of its orders: whoever has asked it, a test or `zenv doctor`, hands it in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from zenv.facts import OrderFact
from zenv.ledger.invariants.finding import Finding, mend
from zenv.ledger.order_facts import ENDED, baseline
from zenv.ledger.transaction import AnyRow

OVERLAP = timedelta(minutes=5)
"""What is younger than this is read by the next run anyway."""

OPEN = ("pending", "ready", "part_shipped")
ENDS = {"shipped": ("shipped", "completed"), "cancelled": ("cancelled", "shipped"),
        "unfulfillable": ("cancelled", "shipped")}  # fmt: skip
"""What an order may be here once it has ended there; units that had left before a cancellation stay shipped."""


def compare_orders(sql: Connection, connection: int, facts: Iterable[OrderFact]) -> list[Finding]:
    """I1 and I4: every order the remote had before our cursor is here and in the same state, and it shows every
    package that we take for confirmed. `connection` is its id; `facts` are the remote's orders as they are now."""
    owner = sql.execute(text(OWNER), {"id": connection}).one()
    until = _read_until(owner.position)
    if until is None:
        return []  # the first import has not ended: nothing was promised yet
    ours = {row.remote_id: row for row in sql.execute(text(ORDERS), {"id": connection})}
    packages = sql.execute(text(CONFIRMED), {"id": connection}).all()
    findings: list[Finding] = []
    for fact in facts:
        if fact.updated_at <= until:
            findings += _of_order(owner, ours.get(fact.remote_id), fact)
        findings += _of_packages([one for one in packages if one.remote_id == fact.remote_id], fact)
    return findings


OWNER = """
SELECT c.name, c.created_at, c.opened_at, c.with_fulfilled, k.position
  FROM connection c LEFT JOIN cursor k ON k.connection_id = c.id AND k.stream = 'orders' WHERE c.id = :id
"""
ORDERS = """
SELECT o.remote_id, o.number, o.state,
       EXISTS (SELECT 1 FROM message m WHERE m.connection_id = o.connection_id AND m.kind = 'shipment'
                  AND m.subject IN (SELECT s.id FROM shipment s WHERE s.order_id = o.id)) AS owed
  FROM customer_order o WHERE o.connection_id = :id
"""
CONFIRMED = """
SELECT o.remote_id, o.number, s.reference, s.tracking
  FROM shipment s JOIN customer_order o ON o.id = s.order_id
 WHERE o.connection_id = :id AND s.confirmed_at IS NOT NULL AND NOT s.elsewhere
"""


def _read_until(position: str | None) -> datetime | None:
    since = json.loads(position or "{}").get("since")
    return datetime.fromisoformat(since).astimezone(UTC) - OVERLAP if since else None


def _of_order(owner: AnyRow, ours: AnyRow | None, fact: OrderFact) -> list[Finding]:
    again = _read_again(owner.name, fact)
    if ours is None:
        wanted = owner.with_fulfilled or fact.state not in ENDED or fact.placed_at >= _opened(owner)
        lost = Finding("lost", fact.remote_id, f"{owner.name} has this order and the books do not", again)
        return [lost] if wanted else []
    if ours.state in _may_be(fact, bool(ours.owed)):
        return []
    return [Finding("differs", ours.number, f"it is {ours.state} here and {fact.state} at {owner.name}", again)]


def _may_be(fact: OrderFact, owed: bool) -> tuple[str, ...]:
    if fact.state in ENDS:
        return ENDS[fact.state]
    # What has left here and is still to be told is open there.
    same = OPEN if fact.state == "pending" else OPEN[1:]
    return (*same, "shipped", "completed") if owed else same


def _opened(owner: AnyRow) -> datetime:
    said = datetime.fromisoformat(baseline(owner))  # type: ignore[arg-type]  # plain SQL hands times over as text
    return said.replace(tzinfo=UTC)


def _read_again(name: str, fact: OrderFact) -> str:
    """Orders of a period are chosen by when they were placed, in the company's time zone."""
    since, until = fact.placed_at - timedelta(days=1), fact.placed_at + timedelta(days=1)
    return f"zenv sync now {name} orders --since {since:%Y-%m-%d} --until {until:%Y-%m-%d}"


def _of_packages(ours: list[AnyRow], fact: OrderFact) -> Iterator[Finding]:
    shown = {(package.reference, package.tracking) for package in fact.packages}
    known_by_packages = bool(shown) or fact.state in OPEN  # a report says `shipped` without any package
    for package in ours if known_by_packages else ():
        if (package.reference, package.tracking) not in shown:
            subject = f"{package.number}/{package.reference}"
            yield Finding("untold", subject, "it is confirmed here, and the channel does not show it",
                          f"{mend('packages')} {subject}")  # fmt: skip
