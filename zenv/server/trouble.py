"""Every answer that is not a success: problem+json (RFC 9457) with one of a few codes, and nothing of what went wrong
inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.responses import Response

from zenv import wire
from zenv.errors import BadInput, Busy, DiskTrouble, NotFound, Refused, SettingsError, ZenvError

MEDIA_TYPE = "application/problem+json"

TITLES: Mapping[str, tuple[int, str]] = {
    "bad request": (400, "This is no request that can be read."),
    "no access": (401, "The token is not accepted."),
    "not linked": (403, "The token is not good for this."),
    "not found": (404, "There is nothing of that name."),
    "not allowed": (405, "That cannot be done here."),
    "too slow": (408, "The rest of the request did not come."),
    "history changed": (409, "The mark is of another history."),
    "request waits": (409, "A request of this company waits already, or too many of others do."),
    "outstanding": (409, "Something has to be done first."),
    "refused": (409, "A rule forbids it; nothing was changed."),
    "too large": (413, "The request is too large."),
    "not json": (415, "The request has to be application/json."),
    "bad input": (422, "Something in the request is not what it should be."),
    "too many": (429, "Too many requests came from there."),
    "bug": (500, "Something broke here; it was written down."),
    "busy": (503, "This cannot be done right now; nothing was changed."),
}
BY_STATUS = {status: code for code, (status, _) in TITLES.items()}


@dataclass(eq=False)
class Declined(Exception):
    """A request ends with one of the codes above."""

    code: str
    outstanding: Sequence[str] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(code: str, outstanding: Sequence[str] = (), headers: Mapping[str, str] | None = None) -> Response:
    """The answer with this code."""
    status, title = TITLES[code]
    said = wire.Trouble(title=title, status=status, code=code, outstanding=list(outstanding))
    return Response(said.model_dump_json(), status, dict(headers or {}), MEDIA_TYPE)


def of_error(error: ZenvError) -> Response:
    """The answer to an error of the ledger's."""
    if isinstance(error, Busy):
        return answer("busy", headers={"Retry-After": "5"})
    if isinstance(error, DiskTrouble | SettingsError):
        return answer("busy", headers={"Retry-After": "60"})
    if isinstance(error, NotFound):
        return answer("not found")
    if isinstance(error, BadInput):
        return answer("bad input")
    return answer("refused" if isinstance(error, Refused) else "bug")
