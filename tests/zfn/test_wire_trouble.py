"""A provider, or something in between, that answers as it should not: whole runs of a client against it. Nothing is
lost and nothing doubled, the error is of its class, and no secret and no person is in any of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests import books
from tests.connectors.test_zfn import Upstream, between, trouble
from tests.connectors.wire_faults import FaultServer
from tests.zfn import provider_face
from tests.zfn.provider_face import DEPOT, Provider
from zenv import comparing
from zenv.connectors import http
from zenv.errors import BadReply, LoginNeeded, NotFound, Refused, Throttled, Unreachable, ZenvError
from zenv.ledger import connections, orders, stock
from zenv.ledger.book import Book
from zenv.ledger.zfn import standing
from zenv.server import serving

OFTEN = 10_000
LOST_ANSWERS = ("half a body", "truncated JSON", "a page of HTML", "closed before an answer", "half a head")
"""What was asked for is done, or not, and the client cannot know."""


def wait(status: int, code: str, seconds: str) -> httpx.Response:
    """An answer that says when to come again."""
    found = trouble(status, code)
    found.headers["retry-after"] = seconds
    return found


ANSWERS: dict[str, tuple[httpx.Response, type[ZenvError]]] = {
    "400": (trouble(400, "bad request"), BadReply),
    "401": (trouble(401, "no access"), LoginNeeded),
    "403": (trouble(403, "not linked"), Refused),
    "404": (trouble(404, "not found"), NotFound),
    "409": (trouble(409, "refused"), Refused),
    "429": (wait(429, "too many", "700"), Throttled),
    "500": (trouble(500, "bug"), Unreachable),
    "503": (trouble(503, "busy"), Unreachable),
    "503 for a while": (wait(503, "busy", "700"), Throttled),
    "an empty object": (httpx.Response(200, json={}), BadReply),
    "a list": (httpx.Response(200, json=[1]), Unreachable),
    "a lie": (httpx.Response(200, json={"answers": [], "state": "linked"}), BadReply),
    "a redirect": (httpx.Response(307, headers={"location": "https://127.0.0.1:9/else"}), Unreachable),
    "another page": (httpx.Response(200, text="<html>Welcome</html>"), Unreachable),
}
FAULTS = ("reset before an answer", "half a body", "truncated JSON", "a slow drip", "no HTTP at all", "502 page")
CASES = [(name, kind) for name, (_, kind) in ANSWERS.items()] + [(name, Unreachable) for name in FAULTS]


@dataclass
class Way:
    """A client whose way to its provider leads past somebody who may answer in its place."""

    client: Book
    served: Provider
    server: FaultServer
    upstream: Upstream

    def spoil(self, name: str, times: int = OFTEN) -> None:
        """From now on requests end like that."""
        if name in ANSWERS:
            self.upstream.instead[:] = [ANSWERS[name][0]] * times
        else:
            self.server.faults[:] = [name] * times

    def heal(self) -> None:
        """From now on the provider answers; what had to wait has waited."""
        self.upstream.instead.clear()
        self.server.faults.clear()
        self.client.clock.later(minutes=40)  # type: ignore[attr-defined]
        with self.client.transaction() as t:
            if connections.find(t.sql, DEPOT).status == "needs_login":
                connections.enable(t, DEPOT)

    def both_agree(self) -> None:
        """The order is at the provider once, its goods in the client's books, and nothing is owed."""
        for task in ("provider", "handover"):
            result = provider_face.run(self.client, task)
            assert result.outcome == "ok", result
        assert books.ask(self.served.book, "SELECT number, state FROM orders") == [("CO-1-M-1", "ready")]
        assert books.held(self.served.book, "CO-1-M-1") == [("LAMP", "Main", 2, 0)]
        assert books.shelf(self.client, "LAMP", DEPOT) == (5, 0, 0)
        assert comparing.compare_provider(self.client, DEPOT, provider_face.world(self.client)) == []
        assert {kind for kind, _, _ in books.owed(self.client)} == set()
        assert books.findings(self.client) + books.findings(self.served.book) == []


@pytest.fixture
def way(book: Book, blank_home: Path, tmp_path: Path, clock: books.Clock) -> Iterator[Way]:
    """Linked; an order with a person waits to be handed over, and the provider has taken goods in."""
    with books.opened(books.home_like(blank_home, tmp_path / "provider"), clock) as theirs:
        books.do(theirs, stock.add_warehouse, "Main")
        books.add_items(book, "LAMP")
        with provider_face.provider(theirs) as served:
            context = serving.tls(theirs, standing.prepare(theirs))
            with between(served, context) as (server, upstream, code):
                served.code = code
                provider_face.link(book, served)
                order = orders.NewOrder([orders.NewLine("LAMP", 2)], "M-1", recipient=books.PERSON, ship_from=DEPOT)
                books.do(book, orders.create_order, order)
                provider_face.receive(served, "LAMP", 5)
                clock.later(minutes=1)
                yield Way(book, served, server, upstream)


def secrets_of(book: Book) -> list[str]:
    """What opens the provider's door."""
    with book.reading() as sql:
        return list(connections.open_secrets(sql, DEPOT, book.master_key).values())


def demand_discreet(way: Way, said: str) -> None:
    """No person and no secret of ours is in there."""
    markers = [value for value in books.PERSON.personal().values() if value.startswith("Marker")]
    for marker in (*markers, books.PERSON.phone, *secrets_of(way.client)):
        assert marker not in said


@pytest.mark.parametrize(("name", "error"), CASES)
def test_whatever_is_answered_nothing_is_lost_or_doubled(
    way: Way, name: str, error: type[ZenvError], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(http, "LONGEST_ANSWER", 0.2)
    caplog.set_level(logging.DEBUG)
    for task in ("handover", "provider"):
        way.spoil(name)
        result = provider_face.run(way.client, task)
        assert isinstance(result.error, error), (task, result)
        assert result.outcome == ("partial" if error is Throttled else "failed")
        assert [kind for kind, _, _ in books.owed(way.client)] == ["order"]
        assert books.shelf(way.client, "LAMP", DEPOT) == (0, 0, 0)
        demand_discreet(way, caplog.text + repr(result) + str(result.error) + result.error.hint)
        way.heal()
    way.both_agree()


@pytest.mark.parametrize("name", LOST_ANSWERS)
def test_I14_an_order_whose_answer_was_lost_is_there_once(way: Way, name: str) -> None:
    for times in (1, 3, OFTEN):
        way.spoil(name, times)
        provider_face.run(way.client, "handover")
        way.heal()
    way.both_agree()


def test_a_request_that_is_too_large_wherever_it_is_split_is_said_on_the_inbox(way: Way) -> None:
    """The provider's proxy takes nothing: the order is not lost, a person decides."""
    way.upstream.instead[:] = [trouble(413, "too large")] * OFTEN
    provider_face.run(way.client, "handover")
    assert ("returned", "M-1") in books.inbox(way.client)
    assert books.state(way.client, "M-1") == "ready" and books.held(way.client, "M-1") == [("LAMP", None, 0, 0)]


def test_a_short_wait_is_waited_out(way: Way) -> None:
    way.upstream.instead[:] = [wait(429, "too many", "7"), wait(503, "busy", "5")]
    assert provider_face.run(way.client, "handover").outcome == "ok"
    way.both_agree()
