"""schemathesis against the face by its own OpenAPI document: never a 5xx, and nothing but what is documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import books
from tests.books import Clock
from tests.zfn import companies
from tests.zfn.faces import Face, served
from zenv.ledger.zfn import standing
from zenv.server.description import document
from zenv.server.limits import Limits

EXAMPLES = 25
DOCUMENT = schemathesis.openapi.from_dict(document())


class Unlimited(Limits):
    """Here everything comes from one source, and much of it fails on purpose."""

    def wait(self, source: str) -> int:
        return 0


@pytest.fixture(scope="module")
def open_to_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Face, requests.Session]]:
    """A provider with a client, and a session that shows the client's token."""
    clock = Clock()
    home = books.make_home(tmp_path_factory.mktemp("fuzz"), clock)
    with books.opened(home, clock) as book:
        with book.transaction() as t:
            books.stock.add_warehouse(t, "Main")
        companies.make_provider(book)
        client, token = companies.link(book, pepper=standing.prepare(book).pepper)
        companies.share(book, client, "LAMP", "0")
        companies.stock_of(book, client, LAMP=1000)
        with served(book, Unlimited()) as face, requests.Session() as session:
            with book.reading() as sql:
                (home.parent / "certificate.pem").write_text(standing.read(sql).certificate)
            session.verify = str(home.parent / "certificate.pem")
            session.headers["Authorization"] = f"Bearer {token}"
            yield face, session
        assert books.findings(book) == []


def operations() -> list[Any]:
    """All of them; the one after which a client may do nothing more comes last."""
    return sorted((found.ok() for found in DOCUMENT.get_all_operations()), key=lambda one: "parting" in one.label)


@pytest.mark.parametrize("operation", operations(), ids=lambda found: found.label)
def test_whatever_is_sent_the_answer_is_a_documented_one(
    open_to_all: tuple[Face, requests.Session], operation: Any
) -> None:
    face, session = open_to_all
    good, bad = (operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)
    few = settings(max_examples=EXAMPLES, derandomize=True, deadline=None, database=None,
                   suppress_health_check=list(HealthCheck))  # fmt: skip

    @few
    @given(case=st.one_of(good, bad))
    def try_it(case: Any) -> None:
        answer = case.call(base_url=str(face.http.base_url), session=session, verify=session.verify)
        assert answer.status_code < 500, case.as_curl_command()
        documented = operation.definition.raw["responses"]
        assert str(answer.status_code) in documented, (answer.status_code, answer.text, case.as_curl_command())

    try_it()


def test_the_document_beside_the_manual_is_what_the_face_is() -> None:
    written = Path(__file__).parents[2] / "docs" / "openapi.json"
    assert written.exists() and json.loads(written.read_text("utf-8")) == document(), "run: python docs/make.py"


def test_N11_no_type_has_a_place_for_money_an_e_mail_address_or_another_client() -> None:
    """What may be shared is a type: what none of them has cannot be told by mistake."""
    names = {name for schema in document()["components"]["schemas"].values() for name in schema.get("properties", {})}
    assert len(names) > 40
    for word in ("price", "cost", "total", "tax", "currency", "mail", "vendor", "supplier_code", "margin"):
        assert not [name for name in names if word in name.lower()], word
