"""The master key of a ledger: where it is kept, moving it, and rotating it.

Both are rows of steps that a kill may cut anywhere. After each step the key is found, and the same command run
again goes on: every step first looks whether it was done. (Writes the key's columns of `company`, and `secret`
when its rows are sealed anew.)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from zenv import credentials
from zenv.credentials import KeyStore
from zenv.errors import Busy, KeyUnavailable, Refused
from zenv.ledger import audit
from zenv.ledger.book import Book
from zenv.ledger.connections import connections, secrets
from zenv.ledger.home import KEY_LOCK, alone, daemon_is_running
from zenv.ledger.models import Company
from zenv.ledger.transaction import Transaction, table
from zenv.ledger.zfn import standing

companies = table(Company)

BUSY = "another zenv is moving or rotating the key"


@dataclass(frozen=True)
class Whereabouts:
    """Where a ledger's key is kept, where this process takes it from, and what a rotation has left open."""

    store: KeyStore
    fingerprint: str
    read_from: str
    rotating: bool


def whereabouts(book: Book) -> Whereabouts:
    """Where the key is; nothing is asked of a key store."""
    store, fingerprint = book.key_place()
    with book.reading() as sql:
        rotating = bool(_next_fingerprint(sql))
    return Whereabouts(store, fingerprint, credentials.given_source() or str(store), rotating)


def place_for(book: Book, kind: credentials.Kind, detail: str) -> KeyStore:
    """A place of this kind for this ledger's key."""
    return KeyStore(kind, detail, book.key_place()[0].name)


def export(book: Book, parts: Sequence[str] | None) -> str:
    """The key as one line of text, or with `parts` only these sub-keys of it. That it was given is written down."""
    master = book.master_key()
    line = credentials.part_line(master, parts) if parts is not None else credentials.key_line(master)
    with book.transaction() as t:
        audit.record(t, "exported key", "whole" if parts is None else ", ".join(parts))
    return line


# --- moving -----------------------------------------------------------------------------------------------


def move(book: Book, target: KeyStore) -> list[str]:
    """Keep the key in `target` from now on; what still holds a copy, because zenv could not empty it.

    Raises KeyUnavailable when either place does not open, Refused when `target` holds another key or a rotation is
    unfinished. The old place is emptied last: until then two places hold the key, and never none.
    """
    with alone(book.home / KEY_LOCK, BUSY):
        _refuse_half_rotated(book)
        old = book.key_place()[0]
        credentials.put_key(target, book.master_key())
        with book.transaction() as t:
            t.sql.execute(companies.update().values(key_kind=target.kind, key_detail=target.detail))
            audit.record(t, "moved key", target.kind)
        given = credentials.given_source()
        return [*([given] if given else []), *_emptied(old, target)]


def _refuse_half_rotated(book: Book) -> None:
    with book.reading() as sql:
        if _next_fingerprint(sql):
            raise Refused("a rotation of the key was interrupted; it has to be finished first", "zenv key rotate")


def _emptied(old: KeyStore, target: KeyStore) -> list[str]:
    """The old place in words, where it could not be emptied."""
    if old == target:
        return []
    try:
        return [] if credentials.remove_key(old) else [str(old)]
    except (KeyUnavailable, OSError):  # the key is safe in its new place, and the caller says what was left
        return [str(old)]


# --- rotating ---------------------------------------------------------------------------------------------


def rotate(book: Book) -> str:
    """Put a new master key in the place of the old one, everything sealed anew under it; its fingerprint.

    The new key waits in the slot beside the old one until nothing needs that any more. Raises Busy while a daemon
    runs, Refused where zenv cannot replace the key, KeyUnavailable when it or a secret does not open.
    """
    with alone(book.home / KEY_LOCK, BUSY):
        store = _replaceable(book)
        old = _proved_key(book)
        new = _waiting_key(store)
        _announce(book, new)
        book.keys.rewrap(new)
        _seal_anew(book, old, new)
        credentials.promote_key(store)
    return credentials.key_check(new)


def _replaceable(book: Book) -> KeyStore:
    if daemon_is_running(book.home):
        raise Busy("the daemon is running, and it uses the key", "Stop the daemon, rotate, and start it again.")
    if given := credentials.given_source():
        hint = "Rotate where it is kept, or keep it in a place zenv can write to: zenv key move --to file"
        raise Refused(f"the key is given to this process from outside ({given}); zenv cannot replace it there", hint)
    store = book.key_place()[0]
    store.next()
    return store


def _proved_key(book: Book) -> bytes:
    """The ledger's key, and every secret opens with it: one that does not would stop the rotation half-way."""
    master = book.master_key()
    with book.reading() as sql:
        _resealed(sql, master, master)
        standing.reseal(sql, master, master)
    return master


def _waiting_key(store: KeyStore) -> bytes:
    """The key in the next slot; the one that an interrupted rotation put there, or a new one."""
    slot = store.next()
    if not credentials.holds_key(slot):
        credentials.put_key(slot, os.urandom(credentials.MASTER_KEY_BYTES))
    return credentials.read_key(slot)


def _announce(book: Book, new: bytes) -> None:
    with book.transaction() as t:
        if not _is_own(t, new):
            t.sql.execute(companies.update().values(next_key_fingerprint=credentials.key_check(new)))


def _seal_anew(book: Book, old: bytes, new: bytes) -> None:
    """The connections' secrets and a provider's own under the new key, and the ledger saying so, in one commit."""
    with book.transaction() as t:
        if _is_own(t, new):
            return
        for row in _resealed(t.sql, old, new):
            here = (secrets.c.connection_id == row["connection_id"], secrets.c.field == row["field"])
            t.sql.execute(secrets.update().where(*here).values(sealed=row["sealed"]))
        if (ours := standing.reseal(t.sql, old, new)) is not None:
            standing.replace_sealed(t, ours)
        said = {"key_fingerprint": credentials.key_check(new), "next_key_fingerprint": ""}
        t.sql.execute(companies.update().values(**said))
        audit.record(t, "rotated key", said["key_fingerprint"])


def _resealed(sql: Connection, old: bytes, new: bytes) -> list[dict[str, Any]]:
    """Every secret that is kept, sealed under `new`; KeyUnavailable for one that does not open."""
    query = select(secrets, connections.c.name).join(connections, connections.c.id == secrets.c.connection_id)
    return [
        {"connection_id": row.connection_id, "field": row.field,
         "sealed": credentials.reseal_secret(old, new, row.name, row.field, row.sealed)}
        for row in sql.execute(query).all()
    ]  # fmt: skip


def _is_own(t: Transaction, key: bytes) -> bool:
    own = t.sql.execute(select(companies.c.key_fingerprint)).scalar_one()
    return bool(own == credentials.key_check(key))


def _next_fingerprint(sql: Connection) -> str:
    return str(sql.execute(select(companies.c.next_key_fingerprint)).scalar_one())
