"""How long what is kept of people: one table, whose ceilings no setting can pass, and the owner's own shorter terms.

A term runs from the end of an order, the earliest of shipped, completed and cancelled (1.8.a). `due` says when a person
must be gone, `ended_before` the same to SQL; both are made of the same days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import Connection, select
from sqlalchemy.dialects.sqlite import insert as insert_or_update

from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import audit
from zenv.ledger.models import PrivacyTerm
from zenv.ledger.transaction import Transaction, table
from zenv.privacy import strip_control

terms = table(PrivacyTerm)

Source = Literal["amazon", "client", "own"]
"""`client`: orders that we ship for a client (zfn); `own`: orders made by hand, and of channels that make no such rule
(A29)."""

ENDED = "the earliest of shipped, completed, cancelled"


@dataclass(frozen=True)
class Entry:
    """One line of the policy. `days` is the term unless the owner chooses another; None: kept. `margin` days before it
    the daemon redacts. An entry that `follows` another has that one's term; only others can be set."""

    name: str
    source: Source
    what: str
    clock: str
    days: int | None
    ceiling: int | None = None
    margin: int = 0
    follows: str = ""
    rule: str = ""


AMAZON, CLIENT, OWN = "amazon-recipients", "client-recipients", "own-recipients"
PERSON = "name, company, address lines 1-3, phone, e-mail, gift message"
AMAZONS = "Amazon's Data Protection Policy: 30 days at most"
CLIENTS = "a client's customers may be Amazon's: 30 days at most"

POLICY: tuple[Entry, ...] = (
    Entry(AMAZON, "amazon", PERSON, ENDED, 30, 30, 2, rule=AMAZONS),
    Entry("amazon-papers", "amazon", "packing slips and labels", ENDED, 30, 30, 2, AMAZON, AMAZONS),
    Entry("amazon-customers", "amazon", "by what a customer is recognised", "their last order is redacted", 30, 30, 2,
          AMAZON, AMAZONS),
    Entry("amazon-places", "amazon", "city, region, postcode, country", "kept for reports and tax", None),
    Entry("amazon-old-orders", "amazon", "orders, lines, packages, comments; no person", ENDED, 548,
          rule="Amazon: 18 months unless the law asks for more; see zenv privacy old"),
    Entry(CLIENT, "client", PERSON, ENDED, 30, 30, 2, rule=CLIENTS),
    Entry("client-papers", "client", "packing slips and labels", ENDED, 30, 30, 2, CLIENT, CLIENTS),
    Entry("client-customers", "client", "by what a customer is recognised", "their last order is redacted", 30, 30, 2,
          CLIENT, CLIENTS),
    Entry("client-places", "client", "city, region, postcode, country", "kept for reports and tax", None),
    Entry(OWN, "own", PERSON, ENDED, None, margin=1, rule="yours to choose"),
    Entry("own-papers", "own", "packing slips and labels", ENDED, None, None, 1, OWN, "yours to choose"),
    Entry("own-customers", "own", "by what a customer is recognised", "their last order is redacted", None, None, 1,
          OWN, "yours to choose"),
)  # fmt: skip
ENTRIES: Mapping[str, Entry] = {entry.name: entry for entry in POLICY}
TERM_OF: Mapping[Source, str] = {"amazon": AMAZON, "client": CLIENT, "own": OWN}
"""Whose term decides over an order from there."""
SETTABLE = (AMAZON, CLIENT, OWN)
MOST_DAYS = 36_500


@dataclass(frozen=True)
class Term:
    """The term of an order from one source: days until it must be gone (None: kept), and how much earlier it goes."""

    days: int | None
    margin: int

    def due(self, ended: datetime | None) -> datetime | None:
        """When the person must be gone."""
        return None if ended is None or self.days is None else ended + timedelta(days=self.days)

    def planned(self, ended: datetime | None) -> datetime | None:
        """When the daemon sees to it."""
        due = self.due(ended)
        return None if due is None or ended is None else max(ended, due - timedelta(days=self.margin))

    def ended_before(self, now: datetime, early: bool) -> datetime | None:
        """Orders that ended before this have come to their time."""
        if self.days is None:
            return None
        return now - timedelta(days=max(0, self.days - self.margin) if early else self.days)


@dataclass(frozen=True)
class Line:
    """A line of the policy as it stands for this ledger."""

    entry: str
    source: str
    what: str
    clock: str
    days: int | None
    ceiling: int | None
    margin: int
    rule: str


def standing(sql: Connection) -> list[Line]:
    """The policy, with the owner's own terms in it."""
    days = {name: term.days for name, term in _terms_by_entry(sql).items()}
    return [
        Line(one.name, one.source, one.what, one.clock, days.get(one.follows or one.name, one.days), one.ceiling,
             one.margin, one.rule)
        for one in POLICY
    ]  # fmt: skip


def terms_of(sql: Connection) -> dict[Source, Term]:
    """The term of each source."""
    by_entry = _terms_by_entry(sql)
    return {source: by_entry[name] for source, name in TERM_OF.items()}


def _terms_by_entry(sql: Connection) -> dict[str, Term]:
    chosen: dict[str, int] = {entry: days for entry, days in sql.execute(select(terms.c.entry, terms.c.days))}
    return {name: Term(_days(ENTRIES[name], chosen.get(name)), ENTRIES[name].margin) for name in SETTABLE}


def _days(entry: Entry, chosen: int | None) -> int | None:
    """The ceiling holds whatever stands in the table: a row may be written past zenv."""
    if chosen is None:
        return entry.days
    return chosen if entry.ceiling is None else min(chosen, entry.ceiling)


def choose(t: Transaction, name: str, days: int | None) -> None:
    """The owner's own term for an entry; None takes it back. Raises Refused for one above the ceiling (A27)."""
    entry = ENTRIES.get(name)
    if entry is None:
        raise NotFound(f"The policy has no entry {strip_control(name)!r}.", "zenv privacy policy")
    if name not in SETTABLE:
        raise BadInput(f"The term of {name} cannot be set by itself.", f"Set one of: {', '.join(SETTABLE)}.")
    _check(entry, days)
    t.sql.execute(terms.delete().where(terms.c.entry == name))
    if days is not None:
        t.sql.execute(insert_or_update(terms).values(entry=name, days=days, set_at=t.now))
    audit.record(t, "set privacy term", name, detail="default" if days is None else f"{days} days")


def _check(entry: Entry, days: int | None) -> None:
    if days is not None and not 0 <= days <= MOST_DAYS:
        raise BadInput(f"A term of {days} days is not possible.", f"give 0 to {entry.ceiling or MOST_DAYS}")
    if days is not None and entry.ceiling is not None and days > entry.ceiling:
        raise Refused(f"{entry.name} may be kept {entry.ceiling} days at most ({entry.rule}); nothing was changed.",
                      f"zenv privacy set {entry.name} {entry.ceiling}")  # fmt: skip


def in_words(lines: Sequence[Line]) -> list[dict[str, object]]:
    """The policy for a certificate."""
    return [vars(line) for line in lines]
