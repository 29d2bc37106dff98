"""The one way out: every request of every connector goes through a `Wire`, which knows what may be repeated.

A request without effect (`Operation.repeatable`) is tried again with exponential back-off and full
jitter. One with an effect is sent once: when its answer is lost after bytes may have left, `Unanswered`
says so and the caller looks the effect up. What a remote refused without doing it (429, an expired token)
is asked again in both cases. A success is only the documented status with a JSON object that holds the
documented keys; an HTML page, half a body or an empty object is never taken for an empty answer. Errors
and log lines carry the operation, the status, the remote's error code and its request id: no body, no
query, no address of a document, no token.
"""

from __future__ import annotations

import logging
import random
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from zenv.connectors.answers import asks_to_wait, error_code, json_object, speaks_of_token
from zenv.connectors.base import World
from zenv.connectors.hosts import checked_address, user_agent
from zenv.errors import (
    BadReply,
    LoginNeeded,
    NotFound,
    Refused,
    RemoteNote,
    Throttled,
    Unanswered,
    Unreachable,
    ZenvError,
)

log = logging.getLogger("zenv.http")

ATTEMPTS = 4
LONGEST_BACK_OFF = 30.0
SHORTEST_PAUSE = 0.001
LARGEST_ANSWER = 64 * 2**20
LONGEST_ANSWER = 180.0
"""Seconds after which an answer that drips is given up; every single read has its own, shorter limit."""
TIMEOUT = httpx.Timeout(30.0, connect=10.0)

# RFC 6749 section 5.2 and https://developer-docs.amazon.com/sp-api/docs/authorization-errors
LOGIN_CODES = frozenset({"invalid_grant", "invalid_client", "unauthorized_client", "access_denied"})
# nothing has left yet when one of these is raised
NOTHING_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)

Authorise = Callable[[bool], Mapping[str, str]]
"""Headers that log a request in; True asks for a new token because the last one was refused."""


@dataclass(frozen=True)
class Operation:
    """One operation of a remote: where it is, what it may cost, what a good answer looks like.

    `rate` is in requests per second, `burst` the size of the bucket; 0 means the remote names no limit.
    `answers` are keys without which an answer makes no sense. `role` is the permission a 403 asks for.
    """

    name: str
    method: str
    path: str
    rate: float = 0.0
    burst: int = 0
    answers: tuple[str, ...] = ()
    success: int = 200
    repeatable: bool = True
    role: str = ""


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def request_id(self) -> str:
        return str(self.headers.get("x-amzn-requestid", ""))[:80]


class _TokenRefused(Exception):
    """The access token is not good any more; the request was not carried out."""

    def __init__(self, note: RemoteNote) -> None:
        super().__init__(note.operation)
        self.note = note


class _TooMuch(Exception):
    """More bytes or more time than any honest answer takes."""


def new_client(transport: httpx.BaseTransport | None = None, verify: ssl.SSLContext | None = None) -> httpx.Client:
    """An HTTP client that follows no redirect and reads no proxy or password from its surroundings. `verify` says whom
    it trusts; without it those whom public authorities vouch for."""
    for name in ("httpx", "httpcore"):
        # at INFO they write whole addresses, and those of documents are credentials
        logging.getLogger(name).setLevel(logging.WARNING)
    headers = {"user-agent": user_agent(), "accept-encoding": "gzip, identity"}
    return httpx.Client(
        transport=transport,
        verify=verify or _trusted(),
        trust_env=False,
        follow_redirects=False,
        timeout=TIMEOUT,
        headers=headers,
    )


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted; reading them takes longer than most runs do otherwise."""
    return httpx.create_ssl_context(trust_env=False)


class Wire:
    """One base address of one remote, spoken to in the name of one account.

    `account` is the part of the bucket keys in front of the operation; it must not hold a secret. `plan`
    (rate, burst) stands in for the operations' own limits, as in a sandbox.
    """

    def __init__(
        self,
        client: httpx.Client,
        world: World,
        base: str,
        *,
        remote: str,
        account: str,
        authorise: Authorise | None = None,
        login_hint: str = "",
        plan: tuple[float, int] | None = None,
        pinned: bool = False,
    ) -> None:
        self.client = client
        self.world = world
        # Whom a pinned client speaks to is settled by the key, wherever it is: also in the network next door.
        self.base = (base if pinned else checked_address(base)).rstrip("/")
        self.remote = remote
        self._account = account
        self._authorise = authorise
        self._login_hint = login_hint
        self._plan = plan
        self._skew = timedelta()
        self.sent_at = world.now()
        """When the last request left: what its answer shows was so then, or later."""

    def now(self) -> datetime:
        """The present by the slower of our clock and the remote's: nothing is asked from the future."""
        return self.world.now() + min(self._skew, timedelta())

    def call(
        self,
        operation: Operation,
        path: Mapping[str, str] | None = None,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Carry out one operation; the answer is its JSON object ({} for an operation without an answer).

        Raises Throttled and Unreachable (nothing happened), Unanswered (it may have happened), LoginNeeded,
        Refused (403: a role is missing; 409), NotFound (404), BadReply (another 4xx, or a senseless answer).
        """
        names = {name: segment(value) for name, value in (path or {}).items()}
        address = self.base + operation.path.format(**names)

        def build(headers: Mapping[str, str]) -> httpx.Request:
            return self.client.build_request(
                operation.method, address, params=params, json=json, data=form, headers=headers
            )

        return self._persist(operation, build)

    def _persist(self, operation: Operation, build: Callable[[Mapping[str, str]], httpx.Request]) -> dict[str, Any]:
        waited, tries, attempt, renew, renewed = 0.0, 0, 0, False, False
        while True:
            waited = self._take_token(operation, waited)
            attempt += 1
            # The login tries again by itself: its failure goes up at once.
            headers = self._authorise(renew) if self._authorise else {}
            renew = False
            try:
                return self._once(operation, build(headers), attempt)
            except _TokenRefused as refusal:
                if renewed or self._authorise is None:
                    raise self._login_needed(refusal.note) from None
                renew = renewed = True
            except Throttled as error:
                waited = self._wait(error, waited)
            except Unreachable:
                tries += 1
                if not operation.repeatable or tries >= ATTEMPTS:
                    raise
                self.back_off(tries)

    def _take_token(self, operation: Operation, waited: float) -> float:
        rate, burst = self._plan or (operation.rate, operation.burst)
        while rate and (wait := self.world.buckets.take(self._key(operation), rate, burst)) > 0:
            message = f"{self.remote} allows {operation.name} again in {wait:.0f} s."
            waited = self._wait(Throttled(message, wait, "It goes on by itself at the next run."), waited)
        return waited

    def _wait(self, error: Throttled, waited: float) -> float:
        """Sleep it out, or let it go up when that takes longer than the world's patience."""
        if waited + error.wait > self.world.patience:
            raise error
        # a clock of microseconds may fall a hair short of the token: never ask in a tight loop
        pause = max(error.wait, SHORTEST_PAUSE)
        self.world.sleep(pause)
        return waited + pause

    def back_off(self, tries: int) -> None:
        """Sleep before try number `tries` + 1: exponential, with full jitter."""
        self.world.sleep(random.uniform(0, min(LONGEST_BACK_OFF, 2.0**tries)))

    def _key(self, operation: Operation) -> str:
        return f"{self._account}|{operation.name}"

    def _once(self, operation: Operation, request: httpx.Request, attempt: int) -> dict[str, Any]:
        begun, status, request_id = time.monotonic(), 0, ""
        self.sent_at = self.world.now()
        try:
            answer = self._exchange(operation, request)
            status, request_id = answer.status, answer.request_id
            self._learn(operation, answer)
            return self._judge(operation, answer, attempt)
        finally:
            note_call(operation.name, status, request_id, begun, attempt)

    def _exchange(self, operation: Operation, request: httpx.Request) -> _Answer:
        try:
            response = self.client.send(request, stream=True)
            try:
                return _Answer(response.status_code, response.headers, _bounded_body(response))
            finally:
                response.close()
        except NOTHING_LEFT as cause:
            raise self._unreachable(operation, type(cause).__name__) from None
        except (httpx.HTTPError, httpx.StreamError, _TooMuch) as cause:
            self._lost(RemoteNote(operation.name), operation, type(cause).__name__.lstrip("_"))

    def _learn(self, operation: Operation, answer: _Answer) -> None:
        with suppress(ValueError, TypeError):
            self._skew = parsedate_to_datetime(answer.headers.get("date", "")) - self.world.now()
        with suppress(ValueError):
            rate = float(answer.headers.get("x-amzn-ratelimit-limit", ""))
            if 0 < rate < 10_000:
                self.world.buckets.learned(self._key(operation), rate)

    def _judge(self, operation: Operation, answer: _Answer, attempt: int) -> dict[str, Any]:
        content = json_object(answer.headers.get("content-type", ""), answer.body)
        note = RemoteNote(operation.name, answer.status, error_code(content), answer.request_id)
        if answer.status == operation.success:
            return self._good(operation, note, content)
        if answer.status == 429 or (answer.status == 503 and asks_to_wait(answer.headers)):
            raise _told(note, self._throttled(operation, answer, attempt))
        # a redirect, a 5xx, another 2xx, an error page of something in between: nobody knows what was done
        if answer.status < 400 or answer.status >= 500 or content is None:
            self._lost(note, operation, f"status {answer.status}")
        raise self._refusal(operation, note, speaks_of_token(content))

    def _good(self, operation: Operation, note: RemoteNote, content: dict[str, Any] | None) -> dict[str, Any]:
        if not operation.answers:
            return content or {}
        if content is None:
            self._lost(note, operation, "an answer that is not a JSON object")
        missing = ", ".join(name for name in operation.answers if name not in content)
        if missing and not operation.repeatable:
            self._lost(note, operation, f"an answer without {missing}")
        if missing:
            raise _told(note, BadReply(f"{self.remote} answered {operation.name} without {missing}."))
        return content

    def _refusal(self, operation: Operation, note: RemoteNote, about_token: bool) -> Exception:
        if note.code in LOGIN_CODES:
            return self._login_needed(note)
        if note.status == 401 or (note.status == 403 and about_token):
            return _TokenRefused(note)
        error: ZenvError
        if note.status == 403:
            role = f'; it takes the role "{operation.role}"' if operation.role else ""
            hint = "Add the role to the application, authorise it anew, log in again." if role else ""
            error = Refused(f"{self.remote} does not allow {operation.name}{role}.", hint)
        elif note.status == 404:
            error = NotFound(f"{self.remote} does not know what {operation.name} asks for ({note.code}).")
        elif note.status == 409:
            error = Refused(f"{self.remote} refused {operation.name}: {note.code}.")
        else:
            error = BadReply(f"{self.remote} refused {operation.name}: {note.status} {note.code}.")
        return _told(note, error)

    def _throttled(self, operation: Operation, answer: _Answer, attempt: int) -> Throttled:
        rate = self._plan[0] if self._plan else operation.rate
        # a remote that keeps saying no is asked less and less often
        wait = max(1 / rate if rate else 1.0, min(LONGEST_BACK_OFF, 2.0 ** (attempt - 1)))
        wait = max(wait * random.uniform(1.0, 1.5), _retry_after(answer.headers))
        self.world.buckets.drained(self._key(operation), wait)
        return Throttled(f"{self.remote} asks to wait {wait:.0f} s before {operation.name}.", wait)

    def _lost(self, note: RemoteNote, operation: Operation, why: str) -> NoReturn:
        if operation.repeatable:
            raise _told(note, self._unreachable(operation, why)) from None
        message = f"{operation.name} was sent to {self.remote}, but the answer was lost ({why})."
        hint = "zenv looks up what became of it before it does anything else."
        raise _told(note, Unanswered(message, hint)) from None

    def _unreachable(self, operation: Operation, why: str) -> Unreachable:
        return unreachable(self.remote, operation.name, why)

    def _login_needed(self, note: RemoteNote) -> ZenvError:
        message = f"{self.remote} does not accept the credentials ({note.code or note.status})."
        return _told(note, LoginNeeded(message, self._login_hint))


def unreachable(remote: str, name: str, why: str) -> Unreachable:
    """The error for a remote that is out of order; `why` is in our words, never the remote's text."""
    hint = "Nothing was lost; the next run goes on from here."
    return Unreachable(f"{remote} cannot be reached or is out of order: {name}, {why}.", hint)


def segment(value: str) -> str:
    """A value as one segment of a path: a SKU may hold slashes, percent signs, spaces, or only dots."""
    quoted = quote(value, safe="")
    return quoted.replace(".", "%2E") if not quoted.strip(".") else quoted


def note_call(operation: str, status: int, request_id: str, begun: float, attempt: int) -> None:
    """The one log line of a call; `begun` is a reading of the monotonic clock."""
    milliseconds = round((time.monotonic() - begun) * 1000)
    facts = (operation, status, request_id or "-", milliseconds, attempt)
    log.info("operation=%s status=%s request_id=%s ms=%s attempt=%s", *facts)


def _told(note: RemoteNote, error: ZenvError) -> ZenvError:
    error.remote = note
    return error


def _bounded_body(response: httpx.Response) -> bytes:
    body, end = bytearray(), time.monotonic() + LONGEST_ANSWER
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > LARGEST_ANSWER or time.monotonic() > end:
            raise _TooMuch
    return bytes(body)


def _retry_after(headers: httpx.Headers) -> float:
    """Seconds the remote asks us to wait, from a number or a date; 0 when it does not say."""
    value = headers.get("retry-after", "")
    if value.isdecimal():
        return float(value[:6])
    try:
        pause = parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])
    except (ValueError, TypeError, KeyError):
        return 0.0
    return max(0.0, pause.total_seconds())
