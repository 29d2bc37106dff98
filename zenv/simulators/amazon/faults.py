"""Named faults: what can go wrong on the way to Amazon, inside it, and on the way back.

Before any effect: `429`, `500`, `503_html`, `expired_token`, `invalid_input` (a 400 that heals,
models#5365), `redirect`, `reset` (the connection is torn down), `slow` (detail `seconds`, real time).
Inside: `duplicate_page` (the page before is answered once more), `shifting_page` (an order not yet
listed changes, so it leaves this walk), `stuck_feed` (detail `seconds`, 8 hours unless said),
`fatal_feed` (detail `applied`: so many messages still take effect), `fatal_report`, `cancelled_report`.
After the effect: `lost_reply` (no answer at all), `half_body`, `truncated_json`, `empty_200`,
`wrong_content_type`.
"""

from __future__ import annotations

from typing import Protocol

from .records import Fault
from .wire import Answer, Call, Refusal, forbidden, invalid

OUTSIDE_THE_API = frozenset({"lwaToken", "consent", "downloadDocument", "uploadDocument"})
_ANY: frozenset[str] = frozenset()
NAMES: dict[str, frozenset[str]] = {
    **dict.fromkeys(("429", "500", "503_html", "expired_token", "invalid_input", "redirect"), _ANY),
    **dict.fromkeys(("reset", "slow", "lost_reply", "half_body", "truncated_json"), _ANY),
    **dict.fromkeys(("empty_200", "wrong_content_type"), _ANY),
    "duplicate_page": frozenset({"searchOrders"}),
    "shifting_page": frozenset({"searchOrders"}),
    "stuck_feed": frozenset({"createFeed"}),
    "fatal_feed": frozenset({"createFeed"}),
    "fatal_report": frozenset({"createReport"}),
    "cancelled_report": frozenset({"createReport"}),
}
_MAINTENANCE = b"<html><head><title>503</title></head><body><h1>Service Unavailable</h1></body></html>"


class HasFaults(Protocol):
    """Whoever keeps armed faults."""

    faults: list[Fault]


def pick(sim: HasFaults, call: Call) -> Fault | None:
    """Take the first armed fault that fits this request; it counts as used."""
    for fault in sim.faults:
        if _fits(fault, call):
            fault.times -= 1
            if fault.times <= 0:
                sim.faults.remove(fault)
            return fault
    return None


def _fits(fault: Fault, call: Call) -> bool:
    if fault.operation is None and call.operation in OUTSIDE_THE_API:
        return False
    if fault.operation not in (None, call.operation):
        return False
    only = NAMES[fault.name]
    if only and call.operation not in only:
        return False
    return not fault.name.endswith("_page") or "paginationToken" in call.query


def quota_exceeded() -> Refusal:
    """429 as Amazon words it (docs#745)."""
    return Refusal(429, "QuotaExceeded", "You exceeded your quota for the requested resource.")


def before_effect(fault: Fault, call: Call) -> Answer | None:
    """The answer of a fault that strikes before anything happened; None when it does not strike here."""
    if fault.name == "429":
        raise quota_exceeded()
    if fault.name == "500":
        raise Refusal(500, "InternalFailure", "We encountered an internal error. Please try again.")
    if fault.name == "expired_token":
        raise forbidden("The access token you provided has expired.")
    if fault.name == "invalid_input":
        raise invalid("One of the parameters is invalid.", broken_rule=False)
    if fault.name == "503_html":
        return Answer(503, _MAINTENANCE, "text/html")
    if fault.name == "redirect":
        return Answer(302, None, "text/html", {"location": f"{call.base_url}/somewhere/else"})
    return None


def after_effect(fault: Fault, answer: Answer) -> Answer:
    """Spoil an answer whose effect has happened."""
    if fault.name == "empty_200":
        return Answer(200, {}, headers=answer.headers)
    if fault.name == "truncated_json":
        body = answer.payload()
        return Answer(answer.status, body[: len(body) * 2 // 3], answer.content_type, answer.headers)
    if fault.name == "wrong_content_type":
        return Answer(answer.status, answer.payload(), "text/html", answer.headers)
    return answer
