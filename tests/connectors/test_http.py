"""The one HTTP client: what is repeated, what is not, what an answer counts as, and what is never told."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from tests.connectors.world import HandClock, MemoryBuckets
from zenv import __version__
from zenv.connectors.base import World
from zenv.connectors.hosts import checked_address
from zenv.connectors.http import ATTEMPTS, Operation, Wire, new_client, segment
from zenv.errors import (
    BadReply,
    LoginNeeded,
    NotFound,
    Refused,
    SettingsError,
    Throttled,
    Unanswered,
    Unreachable,
    ZenvError,
)

READ = Operation("getThing", "GET", "/things/{thing}", 2.0, 5, answers=("thing",), role="Thing Keeper")
CHANGE = Operation("changeThing", "POST", "/things/{thing}", 2.0, 5, answers=("thing",), repeatable=False)
TELL = Operation("tellThing", "POST", "/things/{thing}", success=204, repeatable=False)

Answer = httpx.Response | Exception
GOOD = {"thing": 1}


class Server:
    """Answers requests from a list, the last answer for ever."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        # what httpx unpacked for us is packed again, as it would travel; a stream, because it can be read but once
        packed = gzip.compress(answer.content) if "content-encoding" in answer.headers else answer.content
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(packed))


def answer(status: int = 200, content: Any = GOOD, **headers: str) -> httpx.Response:
    return httpx.Response(status, json=content, headers={name.replace("_", "-"): v for name, v in headers.items()})


def refusal(status: int, code: str, details: str = "") -> httpx.Response:
    return answer(status, {"errors": [{"code": code, "message": "Jane Roe, 1 Main Street", "details": details}]})


def html(status: int) -> httpx.Response:
    return httpx.Response(status, html="<html>Service Unavailable</html>")


def wire(server: Server, clock: HandClock, authorise: Callable[[bool], dict[str, str]] | None = None) -> Wire:
    world = World(clock.now, clock.sleep, MemoryBuckets(clock.now), patience=60.0)
    client = new_client(httpx.MockTransport(server))
    return Wire(
        client,
        world,
        "https://api.example",
        remote="Thing Co",
        account="EU|a|b",
        authorise=authorise,
        login_hint="log in",
    )


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def test_a_good_answer_is_its_json_object(clock: HandClock) -> None:
    server = Server(answer())
    assert wire(server, clock).call(READ, {"thing": "a/b %+"}, params={"token": "a+/="}) == GOOD
    assert server.requests[0].url.raw_path == b"/things/a%2Fb%20%25%2B?token=a%2B%2F%3D"
    assert server.requests[0].headers["user-agent"].startswith(f"zenv/{__version__} (Language=Python/3.")


def test_a_segment_of_dots_cannot_climb_the_path() -> None:
    assert (segment(".."), segment("a.b"), segment("ü,1")) == ("%2E%2E", "a.b", "%C3%BC%2C1")


@pytest.mark.parametrize(
    "bad",
    [
        html(503),
        html(200),
        httpx.Response(200, json=[1]),
        httpx.Response(200, content=b'{"thing": 1', headers={"content-type": "application/json"}),
        httpx.Response(200, content=b""),
        answer(500, {}),
        httpx.Response(302, headers={"location": "https://elsewhere.example"}),
        html(404),
        html(403),
        httpx.ReadTimeout("x"),
        httpx.ConnectTimeout("x"),
        httpx.ReadError("x"),
        httpx.RemoteProtocolError("x"),
    ],
)
def test_trouble_on_a_read_is_tried_again_and_then_unreachable(clock: HandClock, bad: Answer) -> None:
    assert wire(Server(bad, answer()), clock).call(READ, {"thing": "1"}) == GOOD
    server = Server(bad)
    with pytest.raises(Unreachable) as caught:
        wire(server, clock).call(READ, {"thing": "1"})
    assert not isinstance(caught.value, Unanswered)
    assert len(server.requests) == ATTEMPTS


@pytest.mark.parametrize(
    "bad",
    [
        html(503),
        html(200),
        answer(200, {}),
        answer(201),
        httpx.Response(302, headers={"location": "https://elsewhere.example"}),
        httpx.ReadTimeout("x"),
        httpx.WriteError("x"),
        httpx.RemoteProtocolError("x"),
    ],
)
def test_a_lost_answer_to_a_change_is_unanswered_and_never_repeated(clock: HandClock, bad: Answer) -> None:
    server = Server(bad, answer())
    with pytest.raises(Unanswered):
        wire(server, clock).call(CHANGE, {"thing": "1"}, json={"a": 1})
    assert len(server.requests) == 1


@pytest.mark.parametrize("nothing_left", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.PoolTimeout("x")])
def test_a_change_that_never_left_is_unreachable_not_unanswered(clock: HandClock, nothing_left: Exception) -> None:
    with pytest.raises(Unreachable) as caught:
        wire(Server(nothing_left), clock).call(CHANGE, {"thing": "1"})
    assert not isinstance(caught.value, Unanswered)


def test_a_204_is_enough_where_it_is_documented_and_a_200_is_not(clock: HandClock) -> None:
    assert wire(Server(httpx.Response(204)), clock).call(TELL, {"thing": "1"}) == {}
    with pytest.raises(Unanswered):
        wire(Server(answer(200, {})), clock).call(TELL, {"thing": "1"})


def test_an_empty_object_where_keys_are_required_is_a_bad_reply(clock: HandClock) -> None:
    with pytest.raises(BadReply, match="without thing"):
        wire(Server(answer(200, {})), clock).call(READ, {"thing": "1"})


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        (refusal(400, "InvalidInput"), BadReply),
        (refusal(413, "TooLarge"), BadReply),
        (refusal(404, "NotFound"), NotFound),
        (refusal(403, "Unauthorized"), Refused),
        (answer(400, {"error": "invalid_grant", "error_description": "Jane Roe"}), LoginNeeded),
        (answer(401, {"error": "invalid_client"}), LoginNeeded),
    ],
)
@pytest.mark.parametrize("operation", [READ, CHANGE])
def test_a_refusal_is_final_and_carries_the_code_but_not_the_text(
    clock: HandClock, bad: httpx.Response, kind: type[ZenvError], operation: Operation
) -> None:
    bad.headers["x-amzn-RequestId"] = "req-1"
    server = Server(bad)
    with pytest.raises(kind) as caught:
        wire(server, clock).call(operation, {"thing": "1"})
    note = caught.value.remote
    assert note is not None and (note.operation, note.status, note.request_id) == (
        operation.name,
        bad.status_code,
        "req-1",
    )
    assert note.code
    assert "Jane" not in repr(caught.value) + caught.value.hint
    assert len(server.requests) == 1


def test_a_403_names_the_role_it_takes(clock: HandClock) -> None:
    with pytest.raises(Refused, match="Thing Keeper"):
        wire(Server(refusal(403, "Unauthorized")), clock).call(READ, {"thing": "1"})


class Tokens:
    """Hands out numbered tokens and remembers when a new one was asked for."""

    def __init__(self) -> None:
        self.number = 1

    def __call__(self, renew: bool) -> dict[str, str]:
        self.number += renew
        return {"x-token": str(self.number)}


@pytest.mark.parametrize("operation", [READ, CHANGE])
def test_an_expired_token_is_renewed_once_and_the_request_repeated(clock: HandClock, operation: Operation) -> None:
    server = Server(refusal(403, "Unauthorized", "The access token you provided has expired."), answer())
    assert wire(server, clock, Tokens()).call(operation, {"thing": "1"}) == GOOD
    assert [request.headers["x-token"] for request in server.requests] == ["1", "2"]


def test_a_token_that_is_refused_twice_needs_a_login(clock: HandClock) -> None:
    server = Server(refusal(401, "Unauthorized"))
    with pytest.raises(LoginNeeded) as caught:
        wire(server, clock, Tokens()).call(READ, {"thing": "1"})
    assert caught.value.hint == "log in"
    assert len(server.requests) == 2


def test_a_token_spent_and_gone_again_later_is_renewed_by_each_call(clock: HandClock) -> None:
    expired = refusal(403, "Unauthorized", "The access token you provided has expired.")
    server = Server(expired, answer(), expired, answer())
    one = wire(server, clock, Tokens())
    assert one.call(READ, {"thing": "1"}) == one.call(READ, {"thing": "1"}) == GOOD


@pytest.mark.parametrize("operation", [READ, CHANGE])
def test_C7_a_429_is_waited_out_and_asked_again(clock: HandClock, operation: Operation) -> None:
    server = Server(refusal(429, "QuotaExceeded"), answer())
    assert wire(server, clock).call(operation, {"thing": "1"}) == GOOD
    assert sum(clock.slept) >= 1 / operation.rate


def test_a_429_that_never_ends_is_throttled_after_the_patience(clock: HandClock) -> None:
    server = Server(refusal(429, "QuotaExceeded"))
    with pytest.raises(Throttled) as caught:
        wire(server, clock).call(READ, {"thing": "1"})
    assert caught.value.wait > 0
    assert sum(clock.slept) <= 60
    assert len(server.requests) < 20


def test_retry_after_is_kept_whether_seconds_or_a_date(clock: HandClock) -> None:
    now = clock.now()
    dated = answer(
        429,
        date=format_datetime(now, usegmt=True),
        retry_after=format_datetime(now + timedelta(seconds=40), usegmt=True),
    )
    for asked, least in ((answer(429, retry_after="30"), 30), (dated, 40)):
        clock.slept.clear()
        wire(Server(asked, answer()), clock).call(READ, {"thing": "1"})
        assert sum(clock.slept) >= least


def test_an_empty_bucket_is_waited_for_and_a_wait_beyond_the_patience_is_throttled(clock: HandClock) -> None:
    slow = Operation("slowThing", "GET", "/slow", 0.01, 1, answers=("thing",))
    server = Server(answer())
    one = wire(server, clock)
    one.call(slow)
    with pytest.raises(Throttled) as caught:
        one.call(slow)
    assert 99 < caught.value.wait <= 100
    assert len(server.requests) == 1 and not clock.slept
    for _ in range(8):
        one.call(READ, {"thing": "1"})
    assert sum(clock.slept) == pytest.approx(1.5, abs=0.1)


def test_the_rate_the_remote_names_is_learned(clock: HandClock) -> None:
    one = wire(Server(answer(x_amzn_ratelimit_limit="0.25")), clock)
    one.call(READ, {"thing": "1"})
    assert one.world.buckets.rates == {"EU|a|b|getThing": 0.25}  # type: ignore[attr-defined]


def test_the_present_is_never_later_than_the_remotes(clock: HandClock) -> None:
    for seconds, expected in ((-300, -300), (300, 0)):
        remote = clock.now() + timedelta(seconds=seconds)
        one = wire(Server(answer(date=format_datetime(remote, usegmt=True))), clock)
        one.call(READ, {"thing": "1"})
        assert one.now() == clock.now() + timedelta(seconds=expected)


def test_the_log_has_one_line_a_call_with_nothing_but_names_and_numbers(
    clock: HandClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server = Server(html(503), answer(x_amzn_RequestId="req-9"))
    wire(server, clock, lambda renew: {"x-token": "SECRET"}).call(READ, {"thing": "SKU9"}, params={"q": "QUERY9"})
    lines = [record.getMessage() for record in caplog.records if record.name == "zenv.http"]
    assert [line.split(" ms=")[0] for line in lines] == [
        "operation=getThing status=503 request_id=-",
        "operation=getThing status=200 request_id=req-9",
    ]
    assert not any(marker in caplog.text for marker in ("SECRET", "SKU9", "QUERY9", "api.example"))


def test_a_body_that_is_too_long_is_given_up(clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zenv.connectors.http.LARGEST_ANSWER", 100)
    long = httpx.Response(200, content=json.dumps({"thing": "x" * 200}), headers={"content-type": "application/json"})
    with pytest.raises(Unreachable):
        wire(Server(long), clock).call(READ, {"thing": "1"})


@pytest.mark.parametrize(
    "address",
    [
        "http://api.example",
        "http://169.254.169.254",
        "https://10.0.0.1",
        "https://[::ffff:127.0.0.1]",
        "https://user:word@api.example",
        "ftp://127.0.0.1",
        "https://",
        "nonsense",
        "https://api.example:0",
        "https://[broken",
    ],
)
def test_only_https_to_a_name_or_this_machine_is_spoken_to(address: str) -> None:
    with pytest.raises(SettingsError):
        checked_address(address)


@pytest.mark.parametrize("address", ["https://api.example/x?y=1", "http://127.0.0.1:4411", "http://localhost:1"])
def test_https_and_loopback_are_spoken_to(address: str) -> None:
    assert checked_address(address) == address


def test_a_remote_elsewhere_cannot_send_us_to_this_machine() -> None:
    with pytest.raises(SettingsError) as caught:
        checked_address("http://127.0.0.1/steal?signature=secret", loopback=False)
    assert "signature" not in str(caught.value)
