"""Who calls, and what they may do. Every operation starts from the client's row that the token leads to: nothing of
another client can be named.

Whatever is wrong with a token, the answer is the same, after the same work.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from zenv.errors import Busy
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow, Transaction
from zenv.ledger.zfn import clients, tokens
from zenv.server.trouble import Declined

OPEN = "open"
"""The tag of operations that need no token; all others are tagged with the scopes that open them."""


@dataclass(frozen=True, repr=False)
class Desk:
    """What the face works with."""

    book: Book
    pepper: bytes


@dataclass(frozen=True, repr=False)
class Caller:
    """Who showed a token: a client of ours, or a company whose request made this secret."""

    desk: Desk
    token: AnyRow
    client: AnyRow | None = None
    request: AnyRow | None = None

    @property
    def book(self) -> Book:
        """The ledger."""
        return self.desk.book

    @property
    def known(self) -> AnyRow:
        """The client; whoever only has a request's secret is none."""
        if self.client is None:
            raise Declined("not linked")
        return self.client

    @contextmanager
    def acting(self) -> Iterator[tuple[Transaction, AnyRow]]:
        """A transaction in which the client's import user acts, with the client's row as it is now."""
        with self.book.transaction() as t:
            client = clients.by_id(t.sql, self.known.id)
            if client.state != self.known.state:
                raise Declined("not linked")
            t.actor = client.import_user
            yield t, client


def admit(desk: Desk, header: str, scopes: Collection[str]) -> Caller:
    """Who shows this token, if it is good for one of these scopes."""
    scheme, _, token = header.partition(" ")
    with desk.book.reading() as sql:
        found = tokens.check(sql, desk.pepper, token if scheme.lower() == "bearer" else "", desk.book.clock())
        if found is None:
            raise _no_access()
        allowed = set(found.scopes.split())
        if found.used_for and not set(scopes) <= {tokens.REQUEST}:
            raise _no_access()  # a secret that was exchanged is good for the same exchange, and nothing else
        if not allowed & set(scopes):
            raise Declined("not linked")
        asked = clients.request_of(sql, found.id) if tokens.REQUEST in allowed else None
        client = clients.by_id(sql, found.client_id) if tokens.REQUEST not in allowed else None
    _note(desk, found)
    return Caller(desk, found, client, asked)


def _no_access() -> Declined:
    return Declined("no access", headers={"WWW-Authenticate": "Bearer"})


def _note(desk: Desk, found: AnyRow) -> None:
    """Write down, once an hour, that the token is in use; not at the price of the request."""
    if not tokens.is_noted(found, desk.book.clock()):
        with suppress(Busy), desk.book.transaction() as t:
            tokens.used(t, found.id)


class Guarded(APIRoute):
    """An operation behind its scopes. The token is looked at before anything of the body is read."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The operation, guarded."""
        answer = super().get_route_handler()
        scopes = [str(tag) for tag in self.tags]

        async def guarded(request: Request) -> Response:
            if scopes != [OPEN]:
                header = request.headers.get("authorization", "")
                caller = await run_in_threadpool(admit, request.app.state.desk, header, scopes)
                request.state.caller = caller
                request.state.client = caller.token.client_id or "-"
            if self.body_field is not None and request.headers.get("content-type", "") != "application/json":
                raise Declined("not json")
            return await answer(request)

        return guarded


def _caller(request: Request) -> Caller:
    found: Caller = request.state.caller
    return found


def _desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


Known = Annotated[Caller, Depends(_caller)]
AtTheDesk = Annotated[Desk, Depends(_desk)]
