"""Every operation tried with another company's token: nothing of the other is read, nothing of the other is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests import books
from tests.books import do
from tests.zfn import companies
from tests.zfn.companies import new_token, order
from tests.zfn.faces import Face
from zenv import wire
from zenv.ledger import orders
from zenv.ledger.zfn import taking
from zenv.server.description import document

MARKED = "ONLY-ACME"
"""In everything that the first client has."""


def operations() -> list[tuple[str, str]]:
    """All of them, as the document names them."""
    return [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]


@pytest.fixture
def two(face: Face) -> tuple[Face, str, str]:
    """A client with goods, orders, an inbound and something to hear; another one that has nothing; their tokens."""
    acme, token = face.link()
    companies.share(face.book, acme, MARKED)
    companies.stock_of(face.book, acme, **{MARKED: 5})
    inbound = {"inbound": f"c:{MARKED}", "kind": "purchase", "number": MARKED, "version": 1,
               "lines": [{"line": "1", "sku": MARKED, "quantity": 3}]}  # fmt: skip
    face.good("PUT", "/inbounds", token, json={"inbounds": [inbound]})
    companies.hand(face.book, acme, order(MARKED, (MARKED, 1)))
    do(face.book, taking.enter, "Acme", orders.NewOrder([orders.NewLine(f"1-{MARKED}", 1)], number=f"P-{MARKED}"))
    _, foreign = face.link("other")
    return face, token, foreign


def requests(path: str) -> Iterator[dict[str, Any]]:
    """What a foreign client might ask an operation for: each thing of the other by its name, its key, its mark."""
    names = [f"c:{MARKED}", f"p:P-{MARKED}", "CO-1-ONLY-ACME", "1"]
    if "{" in path:
        for name in names:
            yield {"path": path.replace("{order}", name).replace("{inbound}", name).replace("{company}", name)}
        return
    plain = order(MARKED, (MARKED, 1), version=9, cancelled=True).model_dump(mode="json")
    inbound = {"inbound": f"c:{MARKED}", "kind": "purchase", "number": MARKED, "version": 9, "cancelled": True,
               "lines": [{"line": "1", "sku": MARKED, "quantity": 1}]}  # fmt: skip
    bodies: dict[str, list[Any]] = {
        "/orders": [{"orders": [plain]}, {"orders": [plain | {"order": f"p:P-{MARKED}"}]}],
        "/inbounds": [{"inbounds": [inbound]}],
        "/items": [{"items": []}],
        "/changes/seen": [{"seen": [[key, revision] for key in range(1, 9) for revision in range(1, 4)]}],
        "/link/token": [{"token": new_token()}],
        "/link/tokens": [{"token": new_token()}],
        "/link/parting": [{"stage": "deactivated"}],
        "/requests": [],
    }
    for body in bodies.get(path.removeprefix(wire.PREFIX), [None]):
        yield {"path": path, "json": body}
    yield {"path": path, "params": {"entry": 1, "after": ""}}


def of_acme(face: Face) -> Any:
    """Everything that is the first client's, as the ledger has it."""
    queries = (
        "SELECT number, state, open FROM orders WHERE connection = 'Acme' ORDER BY number",
        "SELECT number, state, units FROM inbounds WHERE client = 'Acme'",
        "SELECT sku, on_hand, name FROM items WHERE client = 'Acme'",
        "SELECT kind, subject FROM messages WHERE connection = 'Acme'",
        "SELECT state, owed FROM clients WHERE name = 'Acme'",
    )
    return [books.ask(face.book, query) for query in queries]


@pytest.mark.parametrize(("method", "path"), operations())
def test_Z7_a_foreign_token_reads_nothing_and_changes_nothing(
    two: tuple[Face, str, str], method: str, path: str
) -> None:
    face, _, foreign = two
    before = of_acme(face)
    assert all(before), "there is something to be read in each"
    for said in requests(path):
        way = said.pop("path")
        answer = face.http.request(method, way, headers={"authorization": f"Bearer {foreign}"}, **said)
        assert answer.status_code < 500
        echoed = json.dumps(said.get("json"))
        assert MARKED not in answer.text or MARKED in echoed, (way, answer.text)
        if "{" in path and answer.status_code != 405:
            assert answer.status_code == 404
    assert of_acme(face) == before


def test_the_same_questions_by_whose_they_are_are_answered(two: tuple[Face, str, str]) -> None:
    """Or the test above would pass with a face that answers nothing."""
    face, token, _ = two
    named = (f"/orders/c:{MARKED}", f"/orders/p:P-{MARKED}", f"/inbounds/c:{MARKED}")
    for path in (*named, "/items", "/events", "/levels", "/changes"):
        assert MARKED in json.dumps(face.good("GET", path, token)), path


def test_an_answer_to_a_foreign_order_of_the_same_number_tells_nothing_of_the_other(two: tuple[Face, str, str]) -> None:
    face, _, foreign = two
    face.good("PUT", "/items", foreign, json={"items": [{"sku": MARKED}]})
    said = order(MARKED, (MARKED, 1)).model_dump(mode="json")
    (answer,) = face.good("PUT", "/orders", foreign, json={"orders": [said]})["answers"]
    assert answer["number"] == f"CO-2-{MARKED}"
    assert face.good("GET", "/levels", foreign)["levels"] == []
