"""Replayed, forged, expired and revoked requests over real HTTPS: nothing changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests import books
from tests.books import Clock, do
from tests.zfn import companies
from tests.zfn.companies import new_token, order, request
from tests.zfn.faces import Face
from zenv.ledger import orders
from zenv.ledger.zfn import clients, taking, tokens


def writes(face: Face) -> list[tuple[str, str, Any]]:
    """One write of each kind, as a client makes it."""
    goods = [{"line": "1", "sku": "LAMP", "quantity": 3}]
    inbound = {"inbound": "c:P1", "kind": "purchase", "number": "1", "version": 1, "lines": goods}
    return [
        ("PUT", "/items", {"items": [{"sku": "LAMP", "name": "A lamp"}]}),
        ("PUT", "/orders", {"orders": [order("7", ("LAMP", 1)).model_dump(mode="json")]}),
        ("PUT", "/inbounds", {"inbounds": [inbound]}),
        ("POST", "/changes/seen", {"seen": [[1, 1]]}),
        ("POST", "/link/tokens", {"token": new_token()}),
    ]


@pytest.fixture
def linked(face: Face) -> tuple[Face, str]:
    _, token = face.link()
    return face, token


def test_I14_each_write_said_again_changes_nothing(linked: tuple[Face, str], clock: Clock) -> None:
    face, token = linked
    said = writes(face)
    for method, path, body in said:
        face.good(method, path, token, json=body)
    books.receive(face.book, "1-LAMP", 5)
    do(face.book, taking.enter, "Acme", orders.NewOrder([orders.NewLine("1-LAMP", 1)]))
    face.good("GET", "/changes", token)
    before = companies.content(face.book)
    clock.later(hours=3)
    for _ in range(2):
        for method, path, body in said:
            face.good(method, path, token, json=body)
    assert companies.content(face.book) == before


def test_I14_an_old_order_replayed_after_it_was_shipped_ships_nothing_again(linked: tuple[Face, str]) -> None:
    face, token = linked
    (items, first, *_), second = writes(face), order("7", ("LAMP", 2), version=2).model_dump(mode="json")
    for method, path, body in (items, first):
        face.good(method, path, token, json=body)
    books.receive(face.book, "1-LAMP", 9)
    face.good("PUT", "/orders", token, json={"orders": [second]})
    books.ship(face.book, "CO-1-7")
    before = companies.content(face.book)
    for body in (first[2], {"orders": [second]}):
        face.good("PUT", "/orders", token, json=body)
    assert companies.content(face.book) == before


@pytest.mark.parametrize("why", ["forged", "unknown", "expired", "revoked", "none"])
def test_a_token_that_is_not_good_changes_nothing(linked: tuple[Face, str], clock: Clock, why: str) -> None:
    face, token = linked
    shown = {"forged": token[:-3] + "AAA", "unknown": new_token(), "none": ""}.get(why, token)
    if why == "expired":
        clock.later(days=366)
    if why == "revoked":
        do(face.book, tokens.revoke, 1)
    before = companies.content(face.book)
    for method, path, body in writes(face):
        assert face.code(method, path, shown, json=body) == (401, "no access")
    assert companies.content(face.book) == before


def test_an_old_token_is_dead_a_day_after_its_rotation(linked: tuple[Face, str], clock: Clock) -> None:
    face, old = linked
    new = new_token()
    face.good("POST", "/link/tokens", old, json={"token": new})
    assert face.good("GET", "/link", old) and face.good("GET", "/link", new)
    clock.later(days=1)
    assert face.code("GET", "/link", old) == (401, "no access")
    assert face.good("GET", "/link", new)


def test_a_request_replayed_after_it_was_decided_makes_no_second_one(face: Face) -> None:
    said = request().model_dump(mode="json") | {"secret": request().secret}
    first = face.good("POST", "/requests", json=said)
    do(face.book, clients.deny, 1)
    before = companies.content(face.book)
    assert face.good("POST", "/requests", json=said) == first
    assert companies.content(face.book) == before


def test_a_request_with_somebody_elses_public_id_is_refused(face: Face) -> None:
    theirs = request()
    face.good("POST", "/requests", json=theirs.model_dump(mode="json") | {"secret": theirs.secret})
    mine = request("other", secret=theirs.secret[:22] + new_token()[22:])
    answer = face.code("POST", "/requests", json=mine.model_dump(mode="json") | {"secret": mine.secret})
    assert answer == (409, "request waits")
    assert len(companies.book_requests(face.book)) == 1
