"""Why the person of one order is kept, or is not, and until when: the policy told for one order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from zenv.ledger import customers, policy, redaction
from zenv.ledger.redaction import Held, orders, personal


@dataclass(frozen=True)
class Explained:
    """An order, what is kept of its person, the rule, and the times. `why` says it in words."""

    number: str
    person: str
    papers: int
    customer: str
    entry: str
    rule: str
    days: int | None
    ended_at: datetime | None
    redacted_from: datetime | None
    due_at: datetime | None
    why: str


def explain(sql: Connection, number: str, now: datetime) -> Explained:
    """The policy, told for this order. Raises NotFound."""
    (held,) = redaction.look_at(sql, [number])
    term, entry = policy.terms_of(sql)[held.source], policy.ENTRIES[policy.TERM_OF[held.source]]
    person = _person(sql, held)
    return Explained(
        number, person, held.papers, customers.pseudonym_of(sql, held.id), entry.name, entry.rule, term.days,
        held.ended_at, term.planned(held.ended_at), held.due_at, _why(sql, held, person, term, now),
    )  # fmt: skip


def _person(sql: Connection, held: Held) -> str:
    if redaction.is_redacted(sql, held.id):
        return "redacted"
    there = sql.execute(select(personal.c.order_id).where(personal.c.order_id == held.id)).first()
    return "kept" if there is not None else "never known"


def _why(sql: Connection, held: Held, person: str, term: policy.Term, now: datetime) -> str:
    if person != "kept" and not held.papers:
        return "nobody is kept" if person == "redacted" else "nobody was ever told of it"
    if term.days is None:
        return "orders from there are kept until you choose days: zenv privacy set own-recipients DAYS"
    if held.due_at is None:
        return "the order has not ended, so its time does not run yet"
    late = "; that is past" if now > held.due_at else ""
    return f"it was {_ending(sql, held)}, and {term.days} days later the person must be gone{late}"


def _ending(sql: Connection, held: Held) -> str:
    found = sql.execute(
        select(orders.c.shipped_at, orders.c.completed_at, orders.c.cancelled_at).where(orders.c.id == held.id)
    ).one()
    return next(str(name).removesuffix("_at") for name, at in found._mapping.items() if at == held.ended_at)
