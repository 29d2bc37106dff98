"""Movements form a chain: each carries a digest of itself and of the digest before it.

A trigger keeps programs from changing a movement; the chain notices what goes past SQLite: a flipped bit of the
disk, a page of an older file, a row taken out by another tool. It proves nothing against an owner who computes the
whole chain anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any

from sqlalchemy import Connection

from zenv.ledger.transaction import as_stored

BEGINNING = bytes(16)
FIELDS = ("at", "item_id", "source_id", "destination_id", "quantity", "reason", "reference", "actor", "note")


def link(before: bytes, values: Iterable[Any]) -> bytes:
    """The digest of a movement (its FIELDS as they are stored) that follows the one with the digest `before`."""
    said = "\x1f".join([before.hex(), *map(str, values)])
    return blake2b(said.encode(), digest_size=16).digest()


def last(sql: Connection) -> bytes:
    """The digest of the newest movement. Only under the write lock is it still the newest when it is used."""
    found = sql.exec_driver_sql("SELECT digest FROM movement ORDER BY id DESC LIMIT 1").scalar()
    return BEGINNING if found is None else bytes(found)


def linked(before: bytes, rows: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Rows about to be inserted, in this order, each with its digest."""
    for values in rows:
        at = as_stored(values["at"])
        before = link(before, (at, *(values[name] for name in FIELDS[1:])))
        yield values | {"digest": before}


def broken(sql: Connection) -> list[int]:
    """The movements whose digest does not follow from the one before them."""
    wrong, before = [], BEGINNING
    for number, digest, *values in sql.exec_driver_sql(
        f"SELECT id, digest, {', '.join(FIELDS)} FROM movement ORDER BY id"
    ):
        if link(before, values) != digest:
            wrong.append(int(number))
        before = bytes(digest)
    return wrong
