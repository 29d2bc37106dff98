"""Asking a provider: its operations, by which token we are known, and answers that are what `zenv.wire` says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from zenv import wire
from zenv.company_code import PUBLIC, CompanyCode, read_code
from zenv.connectors.base import Terms, World
from zenv.connectors.http import Operation, Wire
from zenv.connectors.zfn.pinning import client_for
from zenv.errors import BadReply, LoginNeeded

M = TypeVar("M", bound=BaseModel)

# Every write is a snapshot with a version, or names what it makes: to repeat it is to do it once.
COMPANY = Operation("readCompany", "GET", "/company/{company}", answers=("company",))
REQUEST = Operation("requestConnection", "POST", "/requests", answers=("fingerprint",), success=202)
LINK = Operation("readLink", "GET", "/link", answers=("state",))
EXCHANGE = Operation("exchangeSecret", "POST", "/link/token", answers=("expires_at",))
ROTATE = Operation("rotateToken", "POST", "/link/tokens", answers=("expires_at",))
PARTING = Operation("part", "PUT", "/link/parting", answers=("state",))
ITEMS = Operation("readItems", "GET", "/items", answers=("items",))
SHARE = Operation("shareItems", "PUT", "/items", answers=("answers",))
ORDER = Operation("readOrder", "GET", "/orders/{order}", answers=("order",))
ORDERS = Operation("tellOrders", "PUT", "/orders", answers=("answers",))
INBOUND = Operation("readInbound", "GET", "/inbounds/{inbound}", answers=("inbound",))
INBOUNDS = Operation("tellInbounds", "PUT", "/inbounds", answers=("answers",))
EVENTS = Operation("readEvents", "GET", "/events", answers=("booked",))
LEVELS = Operation("readLevels", "GET", "/levels", answers=("levels",))
CHANGES = Operation("readChanges", "GET", "/changes", answers=("changes",))
SEEN = Operation("sayWhatWasSeen", "POST", "/changes/seen", success=204)


@dataclass(frozen=True)
class Api:
    """A provider as its client speaks to it: `wire` shows the token, `request` the secret of our request until that was
    exchanged, `asking` nothing."""

    terms: Terms
    world: World
    code: CompanyCode
    client: httpx.Client
    wire: Wire
    request: Wire | None
    asking: Wire
    secrets: Mapping[str, str]

    @property
    def name(self) -> str:
        """What we call the provider."""
        return self.terms.name


def open_api(terms: Terms, secrets: Mapping[str, str], world: World) -> Api:
    """Find the provider that the company code in `terms.endpoint` names. Raises Unreachable, Refused (another key)."""
    code = read_code(terms.endpoint)
    client = client_for(code, terms.name)

    way_back = f"zenv zfn request --warehouse '{terms.name}' --code CODE"

    def known_by(authorise: Callable[[bool], Mapping[str, str]] | None) -> Wire:
        return Wire(
            client, world, f"https://{code.address}{wire.PREFIX}", remote=terms.name, account=f"zfn|{terms.name}",
            authorise=authorise, login_hint=way_back, pinned=code.pin != PUBLIC,
        )  # fmt: skip

    request = known_by(lambda _: bearer(secrets["request_secret"])) if "request_secret" in secrets else None
    token = known_by(lambda again: _token(secrets, again))
    return Api(terms, world, code, client, token, request, known_by(None), secrets)


def _token(secrets: Mapping[str, str], again: bool) -> Mapping[str, str]:
    """The token; where it was refused, the one that is about to take its place (a rotation that broke off)."""
    following = secrets.get("next_token") if again else None
    return bearer(following or secrets.get("token", ""))


def bearer(token: str) -> Mapping[str, str]:
    """The header that shows a token; none where there is none yet."""
    return {"authorization": f"Bearer {token}"} if token else {}


def ask(
    by: Wire, operation: Operation, answer: type[M], path: Mapping[str, str] | None = None,
    params: Mapping[str, str] | None = None, said: BaseModel | None = None,
) -> M:  # fmt: skip
    """One operation, with its answer as the type it must have. Raises what `Wire.call` does."""
    content = by.call(operation, path, params=params, json=said.model_dump(mode="json") if said is not None else None)
    try:
        return answer.model_validate(content)
    except ValidationError:
        raise BadReply(
            f"{by.remote} answered {operation.name} with what this zenv does not understand.",
            "One of the two may be too old: compare `zenv --version` with the provider.",
        ) from None


def read_link(api: Api) -> wire.LinkState | None:
    """How the link stands there; None while the provider knows nothing of our request. Once it has accepted, the
    request's secret is exchanged for the token that we hold already."""
    if api.request is None:
        return ask(api.wire, LINK, wire.LinkState)
    try:
        state = ask(api.request, LINK, wire.LinkState)
        return _exchanged(api.request, state, api.secrets["token"]) if state.state == "linked" else state
    except LoginNeeded:
        return _known_by_token(api)


def _exchanged(request: Wire, state: wire.LinkState, token: str) -> wire.LinkState:
    issued = ask(request, EXCHANGE, wire.Issued, said=wire.NewToken(token=token))
    return state.model_copy(update={"token_expires_at": issued.expires_at})


def _known_by_token(api: Api) -> wire.LinkState | None:
    """The secret is good no more: it was exchanged and the answer was lost, or the request has not arrived yet."""
    try:
        return ask(api.wire, LINK, wire.LinkState)
    except LoginNeeded:
        return None
