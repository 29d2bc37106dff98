"""`zenv privacy verify`: look everywhere for what must not be there, and plant nothing.

What was redacted has no key, no sealed bytes, no paper and no mark; what is still kept opens, and what comes out of it
stands in no file, no backup and no temporary file in the clear. What was destroyed for good cannot be looked for: that
its key is gone is the proof.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text

from zenv.errors import KeyUnavailable
from zenv.ledger import audit, columns, customers, proof_files, redaction
from zenv.ledger.book import Book
from zenv.ledger.home import LABELS
from zenv.ledger.invariants.append_only import APPEND_ONLY
from zenv.ledger.invariants.finding import Finding
from zenv.ledger.models import Order, Paper, Personal
from zenv.ledger.proof_files import Needle
from zenv.ledger.redaction import REMOVED
from zenv.ledger.transaction import Transaction, table
from zenv.privacy import REDACTED

orders, personal, papers = table(Order), table(Personal), table(Paper)

REDACT = "zenv sync now housekeeping redaction"
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+")
PHONE = re.compile(r"(?<![\w+])\+\d[\d ()/.-]{7,}\d")
CLEAR = "zenv privacy clear --yes"
SHORTEST = 6
"""A shorter word stands by chance in any file."""
MOST_PEOPLE = 5000


@dataclass(frozen=True)
class Proof:
    """What was found, and how much was looked at: files, their bytes, words looked for in them, and how many people
    these words are of, of how many."""

    findings: list[Finding]
    files: int
    bytes: int
    words: int
    people: int
    people_kept: int


def verify(book: Book) -> Proof:
    """Look everywhere. Changes nothing."""
    with book.reading() as sql:
        kept = book.keys.kept()
        findings = [*_overdue(sql, book), *_orders(sql, book, kept), *_papers(sql, book), *_texts(sql)]
        findings += [Finding("marks", who, "their customer is still recognised", CLEAR)
                     for who in customers.stale_marks(sql, book.keys.marked())]  # fmt: skip
        orphans = _orphans(sql, kept)
        count = _people(sql)
    if orphans:
        said = f"{len(orphans)} keys belong to no order"
        findings.append(Finding("keys", "keys.db", said, CLEAR))
    needles, closed = _needles(book)
    searched = proof_files.search(book.home, needles, kept)
    every = [*findings, *closed, *searched.findings]
    people = len({needle.order for needle in needles})
    return Proof(every, searched.files, searched.bytes, len(needles), people, count)


@dataclass(frozen=True)
class Cleared:
    """What was taken away: keys of no order, marks nobody should be recognised by, addresses out of sentences."""

    keys: int
    marks: int
    texts: int


def clear(book: Book) -> Cleared:
    """Take away what `verify` finds and no redaction would: see Cleared. (Changes sentences of several subjects.)"""
    with book.transaction() as t:  # under the write lock nobody is between a key and its order
        orphans = _orphans(t.sql, t.keys.kept())
        t.keys.destroy(orphans)
        stale = customers.stale_marks(t.sql, t.keys.marked())
        t.keys.forget(stale)
        done = Cleared(len(orphans), len(stale), _mask(t))
        if done != Cleared(0, 0, 0):
            audit.record(t, "cleared", detail=f"{done.keys} keys, {done.marks} marks, {done.texts} sentences")
    return done


def _orphans(sql: Connection, kept: dict[str, bytes]) -> list[str]:
    return sorted(kept.keys() - set(sql.execute(select(personal.c.key_id)).scalars()))


def _overdue(sql: Connection, book: Book) -> list[Finding]:
    return [Finding("overdue", number, "somebody is kept past their time", REDACT)
            for number in redaction.overdue(sql, book.clock())]  # fmt: skip


def _orders(sql: Connection, book: Book, kept: dict[str, bytes]) -> Iterator[Finding]:
    """A redacted order has no key; a destroyed key has left nothing sealed under it."""
    query = select(orders.c.number, personal.c.key_id, personal.c.sealed != REMOVED).join(
        personal, personal.c.order_id == orders.c.id
    )
    found = sql.execute(query.order_by(orders.c.number)).all()
    left = book.keys.destroyed(key for _, key, sealed in found if sealed)
    for number, key, sealed in found:
        if not sealed and key in kept:
            yield Finding("keys", number, "it is redacted, and its key is there", f"zenv privacy redact {number} --yes")
        if sealed and key in left:
            yield Finding("bytes", number, "its key is destroyed, and what it sealed is there", REDACT)


def _papers(sql: Connection, book: Book) -> Iterator[Finding]:
    query = select(orders.c.number, papers.c.file, papers.c.destroyed_at, func.length(personal.c.sealed)).join(
        papers, papers.c.order_id == orders.c.id
    ).outerjoin(personal, personal.c.order_id == orders.c.id)  # fmt: skip
    named = set()
    for number, file, destroyed, sealed in sql.execute(query):
        named.add(file)
        if destroyed is None and sealed == 0:
            yield Finding("papers", number, "it is redacted, and a paper of it is kept", REDACT)
    folder = book.home / LABELS
    there = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    for name in there:
        if name not in named:
            yield Finding("papers", f"{LABELS}/{name}", "no order names this file", REDACT)


def _texts(sql: Connection) -> Iterator[Finding]:
    """Addresses and numbers where sentences stand. What was found is not repeated."""
    for name, column, number, _ in _suspicious(sql):
        stays = "; it is append-only, so it stays" if name in APPEND_ONLY else ""
        what = f"it holds an e-mail address or a phone number{stays}"
        yield Finding("text", f"{name}.{column} {number}", what, "zenv audit list" if stays else CLEAR)


def _suspicious(sql: Connection) -> Iterator[tuple[str, str, int, str]]:
    accounts = set(sql.execute(text("SELECT name FROM connection")).scalars())
    for name, column in columns.free_text():
        # The names are constants of `columns`.
        likely = f"SELECT rowid, {column} FROM {name} WHERE {column} LIKE '%@%' OR {column} LIKE '%+%'"
        for number, said in sql.execute(text(likely)).all():
            if masked(said, accounts) != said:
                yield name, column, number, said


def masked(said: str, accounts: Collection[str]) -> str:
    """A sentence with REDACTED for addresses and phone numbers. An order's number may end in @ACCOUNT."""

    def mask(found: re.Match[str]) -> str:
        place = found.group().partition("@")[2]
        return found.group() if any(place == one or place.startswith(f"{one}-") for one in accounts) else REDACTED

    return PHONE.sub(REDACTED, EMAIL.sub(mask, said))


def _mask(t: Transaction) -> int:
    """Take addresses and numbers out of sentences that may be changed; how many."""
    accounts, count = set(t.sql.execute(text("SELECT name FROM connection")).scalars()), 0
    for name, column, number, said in list(_suspicious(t.sql)):
        if name not in APPEND_ONLY:
            change = text(f"UPDATE OR REPLACE {name} SET {column} = :said WHERE rowid = :number")
            count += t.sql.execute(change, {"said": masked(said, accounts), "number": number}).rowcount
    return count


def _people(sql: Connection) -> int:
    return int(sql.execute(select(func.count()).where(func.length(personal.c.sealed) > 0)).scalar_one())


def _needles(book: Book) -> tuple[list[Needle], list[Finding]]:
    """What can still be opened, newest first: each value must stand nowhere in the clear."""
    newest = select(orders.c.number, personal.c.key_id, personal.c.sealed).join(
        personal, personal.c.order_id == orders.c.id
    ).where(personal.c.sealed != REMOVED).order_by(personal.c.fetched_at.desc()).limit(MOST_PEOPLE)  # fmt: skip
    with book.reading() as sql:
        found = sql.execute(newest).all()
    try:
        opened = book.keys.open_many((key, bytes(sealed)) for _, key, sealed in found)
    except KeyUnavailable as closed:
        said = f"recipients cannot be opened, so nobody looked for them in the clear: {closed.message}"
        return [], [Finding("key", "master key", said, closed.hint or "zenv key show")]
    return [
        Needle(number, field, value)
        for (number, _, _), who in zip(found, opened, strict=True)
        for field, value in who.items()
        if len(value.strip()) >= SHORTEST and value != REDACTED
    ], []
