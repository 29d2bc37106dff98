"""A face whose ledger cannot be written, and callers that do not finish what they say: others are served meanwhile, and
it goes on by itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from tests import books
from tests.zfn import companies, faces
from tests.zfn.faces import Face
from zenv import wire
from zenv.ledger import sqlite
from zenv.ledger.book import Book
from zenv.ledger.zfn import standing
from zenv.server import limits

SAYS = b"PUT /zfn/1/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %s\r\ncontent-type: application/json\r\n"


def orders(number: str) -> dict[str, Any]:
    """An order, as it goes over the wire."""
    return wire.HandedOrders(orders=[companies.order(number, ("LAMP", 1))]).model_dump(mode="json")


@contextmanager
def impatient(book: Book) -> Iterator[None]:
    """Whoever opens the ledger from now on waits a moment only for its lock."""

    def briefly(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA busy_timeout=100").close()

    book.engine.dispose()
    event.listen(book.engine, "connect", briefly)
    try:
        yield
    finally:
        event.remove(book.engine, "connect", briefly)


@contextmanager
def locked(book: Book) -> Iterator[None]:
    """Somebody else keeps the ledger's write lock."""
    other = sqlite.module.connect(book.home / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE").close()
    try:
        yield
    finally:
        other.close()


@contextmanager
def full(book: Book) -> Iterator[None]:
    """The disk takes not a page more."""

    def no_more(connection: Any, _: Any) -> None:
        ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
        connection.execute(f"PRAGMA max_page_count={pages}").close()

    book.engine.dispose()
    event.listen(book.engine, "connect", no_more)
    try:
        yield
    finally:
        event.remove(book.engine, "connect", no_more)
        book.engine.dispose()


def test_a_ledger_that_is_locked_is_said_to_be_busy_and_read_all_the_same(face: Face) -> None:
    client, token = face.link()
    companies.share(face.book, client, "LAMP")
    face.good("GET", "/events", token)
    with impatient(face.book):
        with locked(face.book):
            answer = face("PUT", "/orders", token, json=orders("1"))
            assert (answer.status_code, answer.json()["code"]) == (503, "busy") and answer.headers["retry-after"] == "5"
            assert [one["sku"] for one in face.good("GET", "/items", token)["items"]] == ["LAMP"]
        assert face.good("PUT", "/orders", token, json=orders("1"))["answers"][0]["outcome"] == "taken"
    assert books.ask(face.book, "SELECT number FROM orders") == [("CO-1-1",)]


def test_a_full_disk_is_said_to_be_busy_nothing_is_kept_by_halves_and_it_goes_on(face: Face) -> None:
    client, token = face.link()
    companies.share(face.book, client, "LAMP")
    many = {"orders": [orders(f"{number}")["orders"][0] for number in range(100)]}
    with full(face.book):
        answer = face("PUT", "/orders", token, json=many)
        assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert answer.headers["retry-after"] == "60" and "disk" not in answer.text
        assert [one["sku"] for one in face.good("GET", "/items", token)["items"]] == ["LAMP"]
    assert books.ask(face.book, "SELECT number FROM orders") == []
    assert len(face.good("PUT", "/orders", token, json=many)["answers"]) == 100
    assert len(books.ask(face.book, "SELECT number FROM orders")) == 100


def test_who_never_sends_the_body_holds_up_nobody_and_is_hung_up_on(
    face: Face, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BODY_S", 1.0)
    client, token = face.link()
    companies.share(face.book, client, "LAMP")
    callers = [_begun(face, token) for _ in range(60)]
    assert face.good("GET", "/link", token)["state"] == "linked"
    assert face.good("PUT", "/orders", token, json=orders("1"))["answers"][0]["outcome"] == "taken"
    for caller in callers:
        said = b""
        while more := caller.recv(4096):
            said += more
        assert said.startswith(b"HTTP/1.1 408 ") and b"connection: close" in said.lower()
        caller.close()
    assert books.ask(face.book, "SELECT number FROM orders") == [("CO-1-1",)]


def _begun(face: Face, token: str) -> socket.socket:
    """Somebody who says that an order comes, and half of it."""
    with face.book.reading() as sql:
        certificate = standing.read(sql).certificate
    plain = socket.create_connection(("127.0.0.1", face.port), timeout=20)
    caller = faces.trusting(certificate).wrap_socket(plain, server_hostname="127.0.0.1")
    caller.sendall(SAYS % token.encode() + b'content-length: 1000\r\n\r\n{"orders": [')
    return caller
