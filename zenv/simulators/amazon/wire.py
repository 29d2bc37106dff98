"""One request in, one answer out: a face sees a `Call` and gives an `Answer` or raises a `Refusal`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .clock import parse_time


class Refusal(Exception):
    """An error answer. `broken_rule` marks what a correct client never sends; it becomes a violation."""

    def __init__(self, status: int, code: str, message: str, details: str = "", *, broken_rule: bool = False) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.details = details
        self.broken_rule = broken_rule

    def body(self) -> dict[str, Any]:
        """The error list, the same in the old and the new APIs."""
        return {"errors": [{"code": self.code, "message": str(self), "details": self.details}]}


def invalid(message: str, *, broken_rule: bool = True) -> Refusal:
    """400 InvalidInput."""
    return Refusal(400, "InvalidInput", message, broken_rule=broken_rule)


def forbidden(details: str, *, broken_rule: bool = False) -> Refusal:
    """403 Unauthorized, as the API's door answers for tokens and roles."""
    message = "Access to requested resource is denied."
    return Refusal(403, "Unauthorized", message, details, broken_rule=broken_rule)


def missing(what: str) -> Refusal:
    """404 NotFound."""
    return Refusal(404, "NotFound", f"{what} was not found.")


@dataclass(slots=True)
class Answer:
    """An answer: `content` is a JSON value, bytes, or None for an empty body."""

    status: int = 200
    content: Any = None
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def payload(self) -> bytes:
        """The body as bytes."""
        if self.content is None:
            return b""
        if isinstance(self.content, bytes):
            return self.content
        return json.dumps(self.content, separators=(",", ":")).encode()


@dataclass(slots=True)
class Call:
    """A request, already matched to an operation; `params` are the decoded path segments."""

    operation: str
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    request_id: str
    base_url: str
    params: dict[str, str] = field(default_factory=dict)

    def one(self, name: str) -> str | None:
        """A query parameter that may stand once."""
        values = self.query.get(name, [])
        if len(values) > 1:
            raise invalid(f"{name} stands more than once.")
        return values[0] if values else None

    def need(self, name: str) -> str:
        """A query parameter that must stand."""
        value = self.one(name)
        if not value:
            raise invalid(f"{name} is required.")
        return value

    def many(self, name: str, allowed: frozenset[str] | None = None, most: int | None = None) -> list[str]:
        """A comma separated query array; a value outside `allowed`, or more than `most`, is refused."""
        text = self.one(name)
        values = text.split(",") if text else []
        strange = [value for value in values if allowed is not None and value not in allowed]
        if strange:
            raise invalid(f"Invalid value for {name}: {strange[0]}.")
        if most is not None and len(values) > most:
            raise invalid(f"{name} holds more than {most} values.")
        return values

    def choice(self, name: str, allowed: tuple[str, ...], default: str) -> str:
        """A query parameter out of a closed set."""
        value = self.one(name) or default
        if value not in allowed:
            raise invalid(f"Invalid value for {name}: {value}.")
        return value

    def time(self, name: str) -> datetime | None:
        """A query date-time."""
        text = self.one(name)
        if text is None:
            return None
        try:
            return parse_time(text)
        except ValueError:
            raise invalid(f"{name} is not an ISO 8601 date-time.") from None

    def whole(self, name: str, default: int, most: int) -> int:
        """A whole number between 1 and `most`."""
        text = self.one(name)
        if text is None:
            return default
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise invalid(f"{name} must be between 1 and {most}.")
        return int(text)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object."""
        try:
            content = json.loads(self.body)
        except ValueError:
            raise invalid("The request body is not JSON.") from None
        if not isinstance(content, dict):
            raise invalid("The request body is not an object.")
        return content
