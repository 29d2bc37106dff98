"""The face of a provider over real HTTPS: who is let in, what is answered, and what is not."""

from __future__ import annotations

import json
import logging
import socket
import ssl
from contextlib import suppress
from typing import Any

import pytest

from tests import books
from tests.books import Clock, do
from tests.daemons import until
from tests.zfn import companies
from tests.zfn.companies import new_token, order, request
from tests.zfn.faces import Face
from zenv import wire
from zenv.company_code import read_code
from zenv.ledger import orders
from zenv.ledger.zfn import clients, standing
from zenv.server import limits
from zenv.server.limits import LOCAL, Limits, source_of


def body(said: Any) -> dict[str, Any]:
    """A type of the wire as it is sent."""
    found: dict[str, Any] = said.model_dump(mode="json")
    return found


def test_a_whole_link_from_the_request_to_the_first_order(face: Face) -> None:
    code = standing.invite(face.book)
    assert face.good("GET", f"/company/{code.company}") == {"company": "Lamp Shop"}
    said, token = request(), new_token()
    digits = face.good("POST", "/requests", json=body(said))["fingerprint"]
    assert face.good("GET", "/link", said.secret) | {"fingerprint": digits} == {
        "state": "pending", "provider": "Lamp Shop", "fingerprint": digits, "client": None, "head": 0,
        "restores": 0, "token_expires_at": None,
    }  # fmt: skip
    assert face.code("POST", "/link/token", said.secret, json={"token": token}) == (403, "not linked")
    companies.accept(face.book, 1)
    assert face.good("GET", "/link", said.secret)["state"] == "linked"
    until = face.good("POST", "/link/token", said.secret, json={"token": token})
    assert face.good("POST", "/link/token", said.secret, json={"token": token}) == until, "a lost answer is given again"
    assert face.good("GET", "/link", token)["client"] == 1

    items = {"items": [{"sku": "LAMP", "name": "A lamp"}]}
    assert face.good("PUT", "/items", token, json=items)["answers"][0]["number"] == "1-LAMP"
    books.receive(face.book, "1-LAMP", 3)
    told = face.good("PUT", "/orders", token, json={"orders": [body(order("7", ("LAMP", 1)))]})
    assert told["answers"][0] | {"outcome": "taken", "number": "CO-1-7"} == told["answers"][0]
    do(face.book, orders.pick, "CO-1-7")
    said_again = face.good("GET", "/events", token)
    assert [one["movements"][0]["reason"] for one in said_again["booked"]] == ["received", "picked"] or (
        len(said_again["booked"]) == 1  # the clock stands still: one moment, one transaction
    )
    assert said_again["head"] == 2
    levels = face.good("GET", "/levels", token, params={"entry": 2})["levels"]
    assert levels == [{"sku": "LAMP", "on_hand": 2, "picked": 1, "in_transit": 0}]
    assert face.good("GET", "/orders/c:7", token)["order"] == "c:7"
    assert face.good("GET", "/items", token)["items"][0]["sku"] == "LAMP"
    assert face.good("GET", "/changes", token) == {"changes": [], "more": False}


def test_the_secret_of_a_request_is_good_for_one_exchange_and_nothing_more(face: Face) -> None:
    said = request()
    face.good("POST", "/requests", json=body(said))
    assert face.code("GET", "/items", said.secret) == (403, "not linked")
    companies.accept(face.book, 1)
    face.good("POST", "/link/token", said.secret, json={"token": new_token()})
    assert face.code("GET", "/link", said.secret) == (401, "no access")
    assert face.code("POST", "/link/token", said.secret, json={"token": new_token()}) == (409, "refused")


def test_Z24_a_denial_is_visible_to_whoever_asked(face: Face) -> None:
    said = request()
    face.good("POST", "/requests", json=body(said))
    assert face.code("POST", "/requests", json=body(request())) == (409, "request waits")
    do(face.book, clients.deny, 1)
    assert face.good("GET", "/link", said.secret)["state"] == "denied"


def test_Z18_who_is_no_provider_looks_like_nobody(face: Face) -> None:
    company = standing.invite(face.book).company
    assert face.code("GET", "/company/somebody-else") == (404, "not found")
    unknown = face("GET", "/company/somebody-else").content
    do(face.book, standing.choose_plan, "standard")
    before = companies.content(face.book)
    assert face("GET", f"/company/{company}").content == unknown
    assert face.code("POST", "/requests", json=body(request())) == (404, "not found")
    assert companies.content(face.book) == before


def test_whatever_is_wrong_with_a_token_the_answer_is_the_same(face: Face, clock: Clock) -> None:
    _, token = face.link()
    _, revoked = face.link("other")
    with face.book.transaction() as t:
        from zenv.ledger.zfn import tokens

        tokens.revoke(t, 2)
    wrong = ["", "nonsense", new_token(), token[:-1] + "_" if token[-1] != "_" else token[:-1] + "-", revoked]
    answers = [face("GET", "/items", shown) for shown in wrong]
    answers += [face("GET", "/items", headers={"authorization": f"Basic {token}"})]
    clock.later(days=366)
    answers.append(face("GET", "/items", token))
    assert {(one.status_code, one.content, one.headers["www-authenticate"]) for one in answers} == {
        (401, answers[0].content, "Bearer")
    }


def test_a_client_that_has_parted_only_learns_how_the_link_stands(face: Face) -> None:
    _, token = face.link()
    companies.share(face.book, current(face), "LAMP")
    companies.stock_of(face.book, current(face), LAMP=2)
    answer = face("PUT", "/link/parting", token, json={"stage": "disconnected"})
    assert (answer.status_code, answer.json()["code"]) == (409, "outstanding")
    assert answer.json()["outstanding"] == ["LAMP: 2 on hand"]
    do(face.book, books.stock.adjust, "1-LAMP", "Main", -2, "sent back")
    assert face.good("PUT", "/link/parting", token, json={"stage": "disconnected"})["state"] == "disconnected"
    for method, path in (("GET", "/items"), ("GET", "/events"), ("GET", "/changes")):
        assert face.code(method, path, token) == (403, "not linked")
    assert face.good("GET", "/link", token)["state"] == "disconnected"
    assert face.good("PUT", "/link/parting", token, json={"stage": "deactivated"})["state"] == "deactivated"


def current(face: Face) -> clients.AnyRow:
    with face.book.reading() as sql:
        return clients.by_id(sql, 1)


def test_a_mark_of_another_history_is_a_conflict_with_its_own_code(face: Face) -> None:
    _, token = face.link()
    assert face.code("GET", "/events", token, params={"entry": 1, "digest": "0" * 32}) == (409, "history changed")
    assert face.code("GET", "/levels", token, params={"entry": 1}) == (409, "history changed")


# ---- what is no request ----------------------------------------------------------------------------------


def test_only_json_of_a_sensible_size_is_read(face: Face) -> None:
    _, token = face.link()
    said = json.dumps({"items": []})
    for kind in ("text/plain", "application/json; charset=utf-8", "application/xml", ""):
        headers = {"content-type": kind} if kind else {}
        assert face.code("PUT", "/items", token, content=said, headers=headers)[0] == 415
    headers = {"content-type": "application/json"}
    for content in ("{", "[" * 100_000, "", "null", '{"items": [1e999]}', '{"items": [], "more": 1}', '"\\ud800"'):
        assert face.code("PUT", "/items", token, content=content, headers=headers)[0] in (400, 422), content[:20]
    large = b'{"items": ' + b" " * limits.LARGEST_BODY + b"[]}"
    assert face.code("PUT", "/items", token, content=large, headers=headers) == (413, "too large")
    headers |= {"authorization": f"Bearer {token}"}
    parts = iter([large[:100_000]] * 20)
    with face.http.stream("PUT", f"{wire.PREFIX}/items", content=parts, headers=headers) as answer:
        assert answer.status_code == 413, "chunked, too, where nobody says beforehand how much it is"


def test_a_time_at_the_end_of_the_calendar_is_no_bug(face: Face) -> None:
    _, token = face.link()
    face.good("PUT", "/items", token, json={"items": [{"sku": "LAMP"}]})
    early = "0001-01-01T00:00:00+14:00"
    inbound = {"inbound": "c:P1", "kind": "purchase", "number": "1", "version": 1, "expected_at": early,
               "lines": [{"line": "1", "sku": "LAMP", "quantity": 1}]}  # fmt: skip
    assert face.code("PUT", "/inbounds", token, json={"inbounds": [inbound]}) == (422, "bad input")
    for said_at in (early, "9999-12-31T23:59:59-14:00"):
        items = {"items": [{"sku": "LAMP", "said_at": said_at}]}
        assert face.code("PUT", "/items", token, json=items) == (422, "bad input")


def test_what_is_refused_is_never_quoted(face: Face) -> None:
    _, token = face.link()
    said = body(order("7", ("LAMP", 1)))
    said["recipient"]["name"] = ["Marker Nameson"]
    answer = face("PUT", "/orders", token, json={"orders": [said]})
    assert answer.status_code == 422 and "Marker" not in answer.text


def test_unknown_ways_and_methods_are_named_so_and_nothing_tells_of_the_server(face: Face) -> None:
    _, token = face.link()
    assert face.code("DELETE", "/items", token) == (405, "not allowed")
    assert face.code("GET", "/nothing", token) == (404, "not found")
    for path in ("/docs", "/openapi.json", "/redoc"):
        assert face.http.get(path).status_code == 404
    assert "server" not in face("GET", "/items", token).headers


def test_plain_http_is_not_spoken_and_old_tls_neither(face: Face) -> None:
    with socket.create_connection(("127.0.0.1", face.port), timeout=5) as plain:
        plain.sendall(b"GET /zfn/1/link HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionError):
            assert not plain.recv(100).startswith(b"HTTP/")
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", face.port), timeout=5) as raw, pytest.raises(ssl.SSLError):
        old.wrap_socket(raw)


def test_the_certificate_is_the_one_that_the_code_pins(face: Face) -> None:
    from zenv.connectors.zfn.pinning import certificate_at, key_in, pin_of

    code = read_code(str(standing.invite(face.book)))
    assert pin_of(key_in(certificate_at(f"127.0.0.1:{face.port}", "x"), "x")) == code.pin


# ---- how often -------------------------------------------------------------------------------------------


def test_who_guesses_tokens_is_told_to_wait_and_others_are_not(face: Face) -> None:
    statuses = [face("GET", "/link", new_token()) for _ in range(25)]
    assert [one.status_code for one in statuses].count(401) == 20
    assert statuses[-1].status_code == 429 and int(statuses[-1].headers["retry-after"]) >= 1


def test_a_bucket_fills_up_again_and_forgets_whoever_stays_away() -> None:
    now = [0.0]
    found = Limits(lambda: now[0])
    assert [found.wait("a") for _ in range(500)] == [0] * 500
    assert found.wait("a") == 1 and found.wait("b") == 0
    now[0] = 1.0
    assert [found.wait("a") for _ in range(50)] == [0] * 50
    now[0] = 1000.0
    for number in range(limits.MOST_SOURCES + 10):
        found.wait(str(number))
    assert len(found.requests.tokens) <= limits.MOST_SOURCES


@pytest.mark.parametrize(("peer", "forwarded", "proxy", "source"), [
    ("203.0.113.5", None, None, "203.0.113.5"),
    ("203.0.113.5", "198.51.100.1", None, "203.0.113.5"),
    ("127.0.0.1", "1.1.1.1, 198.51.100.1", "127.0.0.1", "198.51.100.1"),
    ("127.0.0.9", "198.51.100.1", "127.0.0.1", "127.0.0.9"),
    ("", "198.51.100.1", "", "198.51.100.1"),
    ("127.0.0.1", None, "127.0.0.1", LOCAL),
    ("127.0.0.1", "nonsense", "127.0.0.1", LOCAL),
    ("2001:db8:1:2:3:4:5:6", None, None, "2001:db8:1:2::/64"),
    ("::ffff:203.0.113.5", None, None, "203.0.113.5"),
])  # fmt: skip
def test_a_source_is_an_address_and_a_forwarded_one_is_believed_of_our_proxy_only(
    peer: str, forwarded: str | None, proxy: str | None, source: str
) -> None:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    assert source_of({"client": (peer, 1) if peer else None, "headers": headers}, proxy) == source


# ---- the log ---------------------------------------------------------------------------------------------


def test_a_line_per_request_names_the_way_the_status_and_the_client_and_nothing_else(
    face: Face, caplog: pytest.LogCaptureFixture
) -> None:
    _, token = face.link()
    with caplog.at_level(logging.INFO, "zenv.server"):
        face("GET", "/orders/c:Marker", token, params={"Marker": "1"})
        face("PUT", "/orders", token, json={"orders": [body(order("7", ("LAMP", 1)))]})

    def lines() -> list[str]:
        return [one.getMessage() for one in caplog.records if one.name == "zenv.server"]

    until(lambda: len(lines()) == 2)  # a line is written once the answer has left
    assert lines() == [
        f"request method=GET route={wire.PREFIX}/orders/{{order:path}} status=404 client=1 source=127.0.0.1",
        f"request method=PUT route={wire.PREFIX}/orders status=200 client=1",
    ]
    assert token not in caplog.text and "Marker" not in caplog.text


def test_a_bug_is_answered_without_its_text_and_written_down_without_it(
    face: Face, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = face.link()

    def broken(*_: object) -> None:
        raise RuntimeError("Marker Nameson")

    monkeypatch.setattr("zenv.ledger.zfn.feed.item_page", broken)
    assert face.code("GET", "/items", token) == (500, "bug")
    until(lambda: "RuntimeError" in caplog.text)
    assert "Marker" not in caplog.text
