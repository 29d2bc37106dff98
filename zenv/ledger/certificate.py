"""A signed statement of who was forgotten: which orders, which fields, when it was due, when it was done.

Signed with Ed25519. The private key is derived from the master key, so it needs no place of its own; a rotated master
key signs with another one, and what was signed before stays true. Nobody's data is in it: orders, dates, counts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from zenv import credentials
from zenv.errors import BadInput
from zenv.ledger import audit, policy, redaction
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

VERSION = 1
UNSIGNED = "signature"


@dataclass(frozen=True)
class Checked:
    """A certificate whose signature fits: whose it is, what it covers, and the key that signed it."""

    company: str
    since: str
    until: str
    orders: int
    late: int
    overdue: int
    public_key: str


def issue(book: Book, since: datetime, until: datetime) -> dict[str, Any]:
    """What was redacted between two moments, and what was overdue at the end of it, signed. KeyUnavailable."""
    key = _private_key(book.master_key())
    with book.transaction() as t:
        audit.record(t, "issued certificate", detail=f"from {since:%Y-%m-%d} until {until:%Y-%m-%d}")
    with book.reading() as sql:
        document = _statement(sql, book, since, until) | {"public_key": _public(key)}
    return document | {UNSIGNED: key.sign(canonical(document)).hex()}


def public_key(book: Book) -> str:
    """The key that certificates of this ledger are checked with, in hex."""
    return _public(_private_key(book.master_key()))


def check(document: Mapping[str, Any], known_key: str = "") -> Checked:
    """Prove a certificate, without any ledger. BadInput where it was changed, or signed with another key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    said = {name: value for name, value in document.items() if name != UNSIGNED}
    try:
        signer, signature = str(document["public_key"]), bytes.fromhex(document[UNSIGNED])
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer)).verify(signature, canonical(said))
        counts = document["counts"]
        found = Checked(document["company"], document["since"], document["until"], int(counts["orders"]),
                        int(counts["late"]), int(counts["overdue"]), signer)  # fmt: skip
    except InvalidSignature:
        raise BadInput("The certificate was changed after it was signed.") from None
    except (KeyError, TypeError, ValueError):
        raise BadInput("This is no certificate of zenv.") from None
    if known_key and known_key.strip().lower() != signer:
        raise BadInput("The certificate was signed with another key than the one you were given.")
    return found


def canonical(document: Mapping[str, Any]) -> bytes:
    """The bytes that are signed: JSON with sorted names and no blanks, in UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _statement(sql: Connection, book: Book, since: datetime, until: datetime) -> dict[str, Any]:
    orders = [_order(entry) for entry in audit.of_action(sql, redaction.ACTION, since, until)]
    overdue = redaction.overdue(sql, book.clock())
    return {
        "zenv_certificate": VERSION,
        "ledger": book.key_place()[0].name,
        "company": book.company.name,
        "since": _time(since),
        "until": _time(until),
        "issued_at": _time(book.clock()),
        "policy": [vars(line) for line in policy.standing(sql)],
        "counts": {"orders": len(orders), "late": sum(one["late"] == "yes" for one in orders), "overdue": len(overdue)},
        "orders": orders,
        "overdue": overdue,
        "audit_entries": audit.count(sql),
        "audit_head": audit.last(sql).hex(),
    }


def _order(entry: AnyRow) -> dict[str, Any]:
    """What the audit trail says of one redaction (`redaction` writes it as name=value words)."""
    said = dict(word.partition("=")[::2] for word in entry.detail.split())
    fields = said.get("fields", "none")
    return {
        "number": entry.subject,
        "fields": [] if fields == "none" else fields.split(","),
        "papers": int(said.get("papers", "0")),
        "source": said.get("source", ""),
        "due": said.get("due", "none"),
        "done": _time(entry.at),
        "late": said.get("late", "no"),
        "why": said.get("why", ""),
        "by": entry.actor,
    }


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _private_key(master: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(credentials.sub_key(master, "certificate"))


def _public(key: Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes_raw().hex()
