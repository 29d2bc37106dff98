"""Joining a provider and parting from it: the steps of a link that need both the ledger and the provider.

Nothing is written before the provider was found by its code; the request itself is written first and then told, so that
a kill in between leaves a request that is told by the next run.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from zenv import sync
from zenv.company_code import fingerprint, read_code
from zenv.connectors.base import Terms, World
from zenv.errors import Busy, Refused
from zenv.facts import Farewell
from zenv.ledger import connections
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow
from zenv.ledger.zfn import leftovers, links
from zenv.ledger.zfn.handing import HANDOVER


@dataclass(frozen=True)
class Requested:
    """A request that waits for the provider; `told` is off while it has not reached it yet."""

    warehouse: str
    provider: str
    fingerprint: str
    told: bool


def new_token() -> str:
    """A token: its public id, and 256 random bits (`wire.Secret`)."""
    return f"zenv_{secrets.token_hex(8)}_{secrets.token_urlsafe(32)}"


def request(book: Book, warehouse: str, code: str, world: World | None = None) -> Requested:
    """Ask a provider to keep this saved warehouse for us (Z16 to Z19). Asked again while it waits, nothing new is made.

    Raises NotFound, BadInput, Refused and Unreachable with nothing written.
    """
    at = read_code(code)
    with book.reading() as sql:
        waiting = links.pending(sql, warehouse, str(at))
        if waiting is None:
            links.demand_free(sql, warehouse, book.actor)
    if waiting is None:
        world = world or sync.world_of(book)
        provider = sync.check("zfn", _terms(warehouse, str(at)), {}, world).external_id
        secret, us = new_token(), book.company.ledger_id
        asked = links.Ask(warehouse, at, provider, fingerprint(at, us, secret), secret, new_token())
        master = book.master_key()
        with book.transaction() as t:
            links.request(t, asked, master)
    return _told(book, warehouse, world)


def _terms(name: str, code: str) -> Terms:
    return Terms(name=name, region="", seller_id="", marketplaces=(), home_marketplace="", endpoint=code)


def _told(book: Book, warehouse: str, world: World | None) -> Requested:
    """Have the request told now. Raises Refused where the provider does not take it."""
    with book.reading() as sql:
        link = links.latest(sql, warehouse)
    try:
        error = sync.run(book, link.connection, HANDOVER, world).error
    except Busy as busy:  # somebody else is telling it this moment
        error = busy
    with book.reading() as sql:
        link = links.latest(sql, warehouse)
    if link.state == "denied":
        raise Refused(f"{link.provider} did not take the request of {warehouse}; it may be sent again.", "zenv inbox")
    return Requested(warehouse, link.provider, link.fingerprint, error is None)


def disconnect(book: Book, warehouse: str, world: World | None = None) -> str:
    """End the connection of a warehouse that holds nothing any more, after a look at what the provider did last; the
    provider's name. Raises Refused with what is left (Z37, Z38), Unreachable; then nothing was changed."""
    with book.reading() as sql:
        link = links.demand_linked(sql, warehouse)
    result = sync.run(book, link.connection, "provider", world)
    if result.error is not None:
        raise result.error
    with book.reading() as sql:
        leftovers.demand_none(sql, link)
    _say_farewell(book, link, world)
    with book.transaction() as t:
        links.disconnected(t, link.connection_id)
    return str(link.provider)


def _say_farewell(book: Book, link: AnyRow, world: World | None) -> None:
    connector = sync.open_connector(book, link.connection, world)
    try:
        (receipt,) = connector.push([Farewell(0, "disconnected")])
    finally:
        connector.close()
    if receipt.outcome != "done":
        raise Refused(
            f"{link.provider} does not let {link.warehouse} go yet ({receipt.reason}); it stays connected.",
            "Ask the provider what is still open there; `zenv zfn clients` shows it to them.",
        )


def rotate(book: Book, warehouse: str, world: World | None = None) -> str:
    """Have the provider know us by a new token; the old one stays good for a day. The provider's name. Sealed before it
    is told, the new one is never lost: after a kill the same one is told again."""
    from zenv.connectors.zfn.connector import show_new_token

    with book.reading() as sql:
        link = links.demand_linked(sql, warehouse)
        kept = connections.open_secrets(sql, link.connection, book.master_key)
        found = connections.find(sql, link.connection)
    token = kept.get(links.NEXT_TOKEN) or _next_token(book, link)
    expires_at = show_new_token(sync.terms_of(found), _with(kept, token), world or sync.world_of(book), token)
    master = book.master_key()
    with book.transaction() as t:
        links.rotated(t, link.connection_id, token, expires_at, master)
    return str(link.provider)


def _with(kept: Mapping[str, str], token: str) -> Mapping[str, str]:
    return {**kept, links.NEXT_TOKEN: token}


def _next_token(book: Book, link: AnyRow) -> str:
    token, master = new_token(), book.master_key()
    with book.transaction() as t:
        connections.keep_secrets(t, link.connection_id, {links.NEXT_TOKEN: token}, master)
    return token
