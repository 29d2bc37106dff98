"""The operations of a fulfilment provider, as its clients call them. Each is one operation of the ledger."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from zenv import wire
from zenv.company_code import company_of
from zenv.errors import Refused, ZenvError
from zenv.ledger import audit, inbounds, outbox
from zenv.ledger.inbounds import rows
from zenv.ledger.zfn import clients, feed, shared_items, standing, taking, tokens
from zenv.server import trouble
from zenv.server.access import OPEN, AtTheDesk, Caller, Desk, Guarded, Known
from zenv.server.limits import Gate, Limits
from zenv.server.trouble import Declined

router = APIRouter(prefix=wire.PREFIX, route_class=Guarded)

Entry = Annotated[int, Query(ge=0, le=2**53)]
Digest = Annotated[str, Query(pattern=r"^([0-9a-f]{32})?$")]
After = Annotated[str, Query(max_length=200)]


# ---- linking ---------------------------------------------------------------------------------------------


@router.get("/company/{company}", tags=[OPEN])
def read_company(company: str, desk: AtTheDesk) -> wire.Provider:
    """Whether this company takes requests: the provider's name, if it does."""
    with desk.book.reading() as sql:
        _demand_provider(sql)
        if company != company_of(desk.book.company.ledger_id):
            raise Declined("not found")
        return wire.Provider(company=standing.company_name(sql)[:200])


@router.post("/requests", tags=[OPEN], status_code=202)
def request_connection(said: wire.Request, desk: AtTheDesk, request: Request) -> wire.Requested:
    """Ask to become a client. The same secret asks once."""
    request.state.costly = True  # anybody can do this, so nobody may do it often
    with desk.book.transaction() as t:
        _demand_provider(t.sql)
        try:
            digits = clients.ask(t, desk.pepper, standing.code(t.sql), said)
        except Refused:
            raise Declined("request waits") from None
    return wire.Requested(fingerprint=digits)


def _demand_provider(sql: Any) -> None:
    """Whoever is no provider looks like nobody (Z18)."""
    try:
        standing.demand_provider(sql)
    except Refused:
        raise Declined("not found") from None


@router.get("/link", tags=[tokens.LINK, tokens.REQUEST])
def read_link(caller: Known) -> wire.LinkState:
    """How the link stands: of a request, or of a client."""
    return _of_request(caller) if caller.request is not None else _of_client(caller)


def _of_request(caller: Caller) -> wire.LinkState:
    asked: Any = caller.request
    state: Any = "linked" if asked.state == "accepted" else asked.state
    return wire.LinkState(state=state, provider=caller.book.company.name[:200], fingerprint=asked.fingerprint,
                          client=asked.client_id)  # fmt: skip


def _of_client(caller: Caller) -> wire.LinkState:
    _number(caller)
    with caller.book.reading() as sql:
        client = clients.by_id(sql, caller.known.id)
        return wire.LinkState(
            state=client.state, provider=caller.book.company.name[:200], fingerprint=client.fingerprint,
            client=client.id, head=feed.head(sql, client).entry, restores=audit.times(sql, "restored"),
            token_expires_at=caller.token.expires_at,
        )  # fmt: skip


@router.post("/link/token", tags=[tokens.REQUEST])
def exchange_secret(said: wire.NewToken, caller: Known) -> wire.Issued:
    """Exchange the secret of an accepted request against a token. Asked again with the same token, the same answer."""
    if caller.request is None or caller.request.state != "accepted":
        raise Declined("not linked")
    with caller.book.transaction() as t:
        secret = tokens.check_again(t.sql, caller.token.id)
        return wire.Issued(expires_at=tokens.exchange(t, caller.desk.pepper, secret, said.token))


@router.post("/link/tokens", tags=[tokens.LINK])
def rotate_token(said: wire.NewToken, caller: Known) -> wire.Issued:
    """A new token; the old one is good for one more day."""
    with caller.acting() as (t, _):
        return wire.Issued(expires_at=tokens.rotate(t, caller.desk.pepper, caller.token, said.token))


@router.put("/link/parting", tags=[tokens.LINK])
def part(said: wire.Parting, caller: Known) -> wire.LinkState:
    """Take leave: first the connection, then the warehouse. 409 names what is outstanding."""
    with caller.acting() as (t, client):
        left = clients.part(t, client, said.stage)
    if left:
        raise Declined("outstanding", left)
    return _of_client(caller)


# ---- what the client says --------------------------------------------------------------------------------


@router.put("/items", tags=["items"])
def share_items(said: wire.SharedItems, caller: Known) -> wire.Answers:
    """Share items; those that are known follow what is said."""
    with caller.acting() as (t, client):
        return wire.Answers(answers=shared_items.take(t, client, said.items))


@router.put("/orders", tags=["orders"])
def hand_orders(said: wire.HandedOrders, caller: Known) -> wire.Answers:
    """Hand orders over, change or cancel them."""
    with caller.acting() as (t, client):
        return wire.Answers(answers=taking.take_orders(t, client, said.orders))


@router.put("/inbounds", tags=["inbounds"])
def announce_inbounds(said: wire.AnnouncedInbounds, caller: Known) -> wire.Answers:
    """Announce goods that are to arrive, change or cancel them."""
    with caller.acting() as (t, client):
        return wire.Answers(answers=[inbounds.take(t, client, one) for one in said.inbounds])


# ---- what the client asks --------------------------------------------------------------------------------


@router.get("/items", tags=["items"])
def read_items(caller: Known, after: After = "") -> wire.ItemPage:
    """The client's items, by SKU."""
    with caller.book.reading() as sql:
        return feed.item_page(sql, caller.known, after)


@router.get("/orders/{order:path}", tags=["orders"])
def read_order(order: str, caller: Known) -> wire.OrderState:
    """An order of this client."""
    with caller.book.reading() as sql:
        found = taking.state_of(sql, caller.known, order)
    if found is None:
        raise Declined("not found")
    return found


@router.get("/inbounds/{inbound:path}", tags=["inbounds"])
def read_inbound(inbound: str, caller: Known) -> wire.InboundState:
    """An inbound of this client."""
    with caller.book.reading() as sql:
        found = rows.of_remote(sql, caller.known.connection_id, inbound)
        if found is None:
            raise Declined("not found")
        return inbounds.states(sql, [found.id])[found.id]


@router.get("/events", tags=["goods"])
def read_events(caller: Known, entry: Entry = 0, digest: Digest = "") -> wire.Events:
    """What was booked of the client's goods after a mark. 409 where the mark is of another history."""
    _number(caller)
    with caller.book.reading() as sql:
        return feed.events(sql, caller.known, wire.Mark(entry=entry, digest=digest))


@router.get("/levels", tags=["goods"])
def read_levels(caller: Known, entry: Entry | None = None, digest: Digest = "", after: After = "") -> wire.Levels:
    """What there was of the client's goods right after an entry of the journal; without one, the newest."""
    _number(caller)
    with caller.book.reading() as sql:
        if entry and digest:
            feed.check(sql, caller.known, wire.Mark(entry=entry, digest=digest))
        return feed.levels(sql, caller.known, entry, after)


@router.get("/changes", tags=["goods"])
def read_changes(caller: Known) -> wire.Changes:
    """What we have to tell; it is told again until the client has said that it has it."""
    with caller.book.reading() as sql:
        if not outbox.of_connection(sql, caller.known.connection_id):
            return wire.Changes(changes=[], more=False)
    with caller.acting() as (t, client):
        return feed.changes(t, client)


@router.post("/changes/seen", tags=["goods"], status_code=204)
def say_what_was_seen(said: wire.Seen, caller: Known) -> Response:
    """The client has these in its books."""
    with caller.acting() as (t, client):
        feed.seen(t, client, said.seen)
    return Response(status_code=204)


def _number(caller: Caller) -> None:
    """See to it that every movement of the client's goods has its number."""
    with caller.book.reading() as sql:
        if feed.is_numbered(sql, caller.known):
            return
    with caller.book.transaction() as t:
        feed.number(t, caller.known)


# ---- the application -------------------------------------------------------------------------------------


def application() -> FastAPI:
    """The operations, without a ledger: `app.state.desk` is still to be set."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.include_router(router)
    handlers: dict[Any, Any] = {
        Declined: _declined, feed.HistoryChanged: _history_changed, ZenvError: _zenv_error,
        RequestValidationError: _bad_input, HTTPException: _http_error, Exception: _bug,
    }  # fmt: skip
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)
    return app


def serving(desk: Desk, limits: Limits, behind_proxy: str | None = None) -> ASGIApp:
    """The application behind its gate."""
    app = application()
    app.state.desk = desk
    return Gate(app, limits, behind_proxy)


async def _declined(_: Request, error: Declined) -> Response:
    return trouble.answer(error.code, error.outstanding, error.headers)


async def _history_changed(_: Request, error: feed.HistoryChanged) -> Response:
    return trouble.answer("history changed")


async def _zenv_error(_: Request, error: ZenvError) -> Response:
    return trouble.of_error(error)


async def _bad_input(_: Request, error: RequestValidationError) -> Response:
    return trouble.answer("bad input")  # the error itself would quote what was sent


async def _http_error(_: Request, error: HTTPException) -> Response:
    return trouble.answer(trouble.BY_STATUS.get(error.status_code, "bad request"), headers=error.headers)


async def _bug(_: Request, error: Exception) -> Response:
    return trouble.answer("bug")
