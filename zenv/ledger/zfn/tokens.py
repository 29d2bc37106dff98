"""The tokens that clients show. We keep a keyed hash of each (HMAC-SHA256 under the pepper) and look it up by its
public id: whoever reads the ledger, or a backup of it, can let nobody in.

A token is 256 random bits, so a slow hash would protect nothing and cost every request a quarter of a second.
"""

from __future__ import annotations

import hmac
import re
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, or_, select

from zenv.errors import Refused
from zenv.ledger.models import LinkToken
from zenv.ledger.transaction import AnyRow, Transaction, row, table

tokens = table(LinkToken)

REQUEST = "request"
LINK = "link"
LINKED = "link items orders inbounds goods"
"""What a linked client may do; one that has parted may only ask how the link stands."""
LASTS = timedelta(days=365)
OVERLAP = timedelta(days=1)
"""So long the old token stays good after a rotation: the answer may have been lost."""
NOTED_EVERY = timedelta(hours=1)

_TOKEN = re.compile(r"zenv_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")


def check(sql: Connection, pepper: bytes, token: str, now: datetime) -> AnyRow | None:
    """The row of a token that is good now; None for any other, after the same work."""
    known = sql.execute(select(tokens).where(tokens.c.id == public_id(token))).one_or_none()
    right = hmac.compare_digest(_hash(pepper, token), known.hash if known is not None else bytes(32))
    if known is None or not right or known.revoked_at is not None or known.expires_at <= now:
        return None
    return known


def check_again(sql: Connection, token_id: str) -> AnyRow:
    """The row of a token that was good a moment ago, as it is under the write lock."""
    return sql.execute(select(tokens).where(tokens.c.id == token_id)).one()


def public_id(token: str) -> str:
    """The public half of a token; empty where it is none."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found else ""


def _hash(pepper: bytes, token: str) -> bytes:
    return hmac.new(pepper, token.encode(), sha256).digest()


def issue(t: Transaction, pepper: bytes, token: str, scopes: str, client: int | None = None) -> datetime:
    """From now on this token is good; until when. Issued again for the same client it stays as it is.

    Raises Refused where the public id is another token's.
    """
    known = t.sql.execute(select(tokens).where(tokens.c.id == public_id(token))).one_or_none()
    if known is None:
        until = t.now + LASTS
        t.insert(LinkToken, [row(LinkToken, id=public_id(token), client_id=client, hash=_hash(pepper, token),
                                 scopes=scopes, issued_at=t.now, expires_at=until)])  # fmt: skip
        return until
    good = check(t.sql, pepper, token, t.now)
    if good is None or good.client_id != client:
        raise Refused("This token cannot be taken; nothing was changed.", "Make another one.")
    expires: datetime = good.expires_at
    return expires


def used(t: Transaction, token_id: str) -> None:
    """Write down that the token was shown."""
    t.sql.execute(tokens.update().where(tokens.c.id == token_id).values(last_used_at=t.now))


def is_noted(found: AnyRow, now: datetime) -> bool:
    """Whether it need not be written down again that the token was shown."""
    return found.last_used_at is not None and now - found.last_used_at < NOTED_EVERY


def exchange(t: Transaction, pepper: bytes, secret: AnyRow, token: str) -> datetime:
    """A request's secret (its row) against a token, once; asked again with the same token, the same answer.

    Raises Refused for another one.
    """
    if secret.used_for and secret.used_for != public_id(token):
        raise Refused("This secret was exchanged already; nothing was changed.")
    until = issue(t, pepper, token, LINKED, secret.client_id)
    t.sql.execute(tokens.update().where(tokens.c.id == secret.id).values(used_for=public_id(token)))
    return until


def rotate(t: Transaction, pepper: bytes, shown: AnyRow, token: str) -> datetime:
    """A new token for the client of `shown`; all others of it are good for one more day."""
    until = issue(t, pepper, token, shown.scopes, shown.client_id)
    others = (tokens.c.client_id == shown.client_id, tokens.c.id != public_id(token),
              tokens.c.expires_at > t.now + OVERLAP, tokens.c.scopes != REQUEST)  # fmt: skip
    t.sql.execute(tokens.update().where(*others).values(expires_at=t.now + OVERLAP))
    return until


def belongs_to(t: Transaction, token_id: str, client: int) -> None:
    """The request of this secret was accepted: it is for this client."""
    t.sql.execute(tokens.update().where(tokens.c.id == token_id).values(client_id=client))


def narrow(t: Transaction, client: int) -> None:
    """The client has parted: its tokens are good for nothing but to ask how the link stands."""
    t.sql.execute(tokens.update().where(tokens.c.client_id == client, tokens.c.scopes != REQUEST).values(scopes=LINK))


def revoke(t: Transaction, client: int) -> None:
    """No token of this client, and no secret of its requests, is good any more."""
    live = (tokens.c.client_id == client, or_(tokens.c.revoked_at.is_(None), tokens.c.revoked_at > t.now))
    t.sql.execute(tokens.update().where(*live).values(revoked_at=t.now))
