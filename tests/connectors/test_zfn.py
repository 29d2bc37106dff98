"""The connector to a provider keeps the contract, against the real face over HTTPS, with faults on the wire between."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import books
from tests.connectors.contract import ConnectorContract, FarSide
from tests.connectors.wire_faults import FaultServer
from tests.connectors.world import HandClock, MemoryBuckets
from tests.zfn import provider_face
from tests.zfn.provider_face import DEPOT, Provider
from zenv import wire
from zenv.company_code import CompanyCode, read_code
from zenv.connectors.base import Connector, Terms, World
from zenv.connectors.zfn import pinning
from zenv.connectors.zfn.connector import ZfnConnector
from zenv.errors import Bug, Refused
from zenv.facts import (
    Announcement,
    BookedFact,
    HandedFact,
    Handover,
    ItemShare,
    LevelsFact,
    ListingFact,
    OrderFact,
)
from zenv.ledger import connections, stock
from zenv.ledger.book import Book
from zenv.ledger.catalog import NewItem
from zenv.ledger.stock import Move
from zenv.ledger.zfn import client_items, standing, tokens
from zenv.server import serving

PERSONS = ("Marker-Name", "Marker-Street", "Marker-Phone", "Marker-Gift")
ON_SOCKETS = {
    "throttled": "429 for 7 seconds",
    "html_error": "502 page",
    "half_body": "half a body",
    "truncated": "truncated JSON",
    "wrong_type": "a page of HTML",
    "reset": "reset before an answer",
    "lost": "closed before an answer",
    "redirect": "redirect",
}


def trouble(status: int, code: str) -> httpx.Response:
    said = wire.Trouble(title="No.", status=status, code=code)
    return httpx.Response(status, json=said.model_dump(), headers={"content-type": "application/problem+json"})


INSTEAD = {
    "server_error": trouble(500, "bug"),
    "empty": httpx.Response(200, json={}),
    "odd_400": trouble(400, "bad request"),
    "expired": trouble(401, "unknown token"),
}


class Upstream:
    """The provider's face, or these answers in its place."""

    def __init__(self, code: CompanyCode) -> None:
        self.client = pinning.client_for(code, "face")
        self.base = f"https://{code.address}"
        self.instead: list[httpx.Response] = []

    def request(self, method: str, path: str, **about: Any) -> httpx.Response:
        return self.instead.pop() if self.instead else self.client.request(method, self.base + path, **about)

    def close(self) -> None:
        self.client.close()


@contextmanager
def between(served: Provider, context: ssl.SSLContext) -> Iterator[tuple[FaultServer, Upstream, str]]:
    """A fault server that holds the provider's key, in front of its face; with the code that leads to it."""
    server, code = FaultServer(), read_code(served.code)
    upstream = Upstream(code)
    server.upstream = upstream  # type: ignore[assignment]
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server, upstream, str(CompanyCode(f"127.0.0.1:{server.server_address[1]}", code.company, code.pin))
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
        upstream.close()


@pytest.fixture
def served(blank_home: Path, tmp_path: Path, clock: books.Clock) -> Iterator[Provider]:
    with books.opened(books.home_like(blank_home, tmp_path / "provider"), clock) as book:
        books.do(book, stock.add_warehouse, "Main")
        with provider_face.provider(book) as found:
            yield found


@pytest.fixture
def secrets(book: Book, served: Provider) -> dict[str, str]:
    """The secrets of a client that is linked; it has shared LAMP, of which the provider booked two pages."""
    books.add_items(book, "LAMP")
    provider_face.link(book, served)
    for _ in range(2):
        served.book.clock.later(minutes=1)  # type: ignore[attr-defined]
        with served.book.transaction() as t:
            shelf, item = t.place(stock.warehouse_id(t.sql, "Main"), "on_hand"), stock.item_id(t.sql, "1-LAMP")
            stock.move(t, [Move(item, 1, shelf, 1, "received") for _ in range(1001)])
    with book.reading() as sql:
        return connections.open_secrets(sql, DEPOT, book.master_key)


def connector(code: str, secrets: dict[str, str], patience: float = 600.0) -> ZfnConnector:
    """As a new process would make it."""
    clock = HandClock()
    terms = Terms(DEPOT, "", "", (), "", endpoint=code)
    return ZfnConnector(terms, secrets, World(clock.now, clock.sleep, MemoryBuckets(clock.now), patience))


class TestZfn(ConnectorContract):
    """Its journal is the stream: two pages of it wait. It has no dates, no roles and no persons to read."""

    test_every_task_that_says_so_has_a_period = None  # type: ignore[assignment]
    test_H70_both_ends_of_a_period_belong_to_it = None  # type: ignore[assignment]
    test_a_period_before_or_after_all_records_is_empty = None  # type: ignore[assignment]
    test_a_record_of_a_period_with_an_unknown_word_is_set_aside_and_the_others_arrive = None  # type: ignore[assignment]
    test_a_record_with_an_unknown_word_is_set_aside_and_the_others_arrive = None  # type: ignore[assignment]
    test_a_missing_role_is_named = None  # type: ignore[assignment]
    test_a_person_has_no_printable_form = None  # type: ignore[assignment]

    @pytest.fixture
    def far_side(self, served: Provider, secrets: dict[str, str]) -> Iterator[FarSide]:
        context = serving.tls(served.book, standing.prepare(served.book))
        with between(served, context) as (server, upstream, code):

            def fault(name: str, times: int) -> None:
                server.faults.clear()
                upstream.instead.clear()
                if name in ON_SOCKETS:
                    server.faults.extend([ON_SOCKETS[name]] * times)
                else:
                    upstream.instead.extend([INSTEAD[name]] * times)

            def revoke() -> None:
                books.do(served.book, tokens.revoke, 1)

            made: list[ZfnConnector] = []

            def connect() -> ZfnConnector:
                made.append(connector(code, secrets))
                return made[-1]

            yield FarSide(
                connect=connect, stream="events", fault=fault, revoke=revoke, take_role=lambda: "",
                spoil_record=lambda: None, refs=(), secrets=tuple(secrets.values()), persons=PERSONS, push=push,
                period=(books.MORNING, books.MORNING),
            )  # fmt: skip
            for one in made:
                one.close()

    def test_check_says_who_we_are(self, far_side: FarSide) -> None:
        account = far_side.connect().check()
        assert (account.external_id, account.plan) == ("Lamp Shop", "zfn")

    def test_every_stream_its_tasks_name_can_be_pulled_and_ends_with_a_cursor(self, far_side: FarSide) -> None:
        """The journal has a mark, the catalogue its day: others are whole each time, or gone once they were seen."""
        one = far_side.connect()
        for stream in {stream for task in one.tasks for stream in task.streams}:
            cursors = [page.cursor for page in one.pull(stream, None)]
            assert (set(cursors) <= {None}) == (stream not in ("events", "catalogue"))

    def test_the_catalogue_is_read_once_a_day(self, far_side: FarSide) -> None:
        one = far_side.connect()
        *_, last = one.pull("catalogue", None)
        (again,) = one.pull("catalogue", last.cursor)
        assert again.cursor is None and "less than a day ago" in again.why_empty
        yesterday = json.dumps({"read_at": (books.MORNING - 9600 * books.HOUR).isoformat()})
        assert len(list(one.pull("catalogue", yesterday))) > 1


def handed(number: str, quantity: int = 1) -> wire.HandedOrder:
    return wire.HandedOrder(
        order=wire.reference("c", number), version=1, placed_at=books.MORNING,
        lines=[wire.HandedLine(line="1", sku="LAMP", quantity=quantity)],
        recipient=wire.Recipient(name=PERSONS[0], line1=PERSONS[1], phone=PERSONS[2], gift_message=PERSONS[3]),
    )  # fmt: skip


def push(one: Connector) -> None:
    list(one.push([ItemShare(1, wire.SharedItem(sku="LAMP"))]))
    list(one.push([Handover(2, handed("1001"))]))
    goods = [wire.InboundGoods(line="1", sku="LAMP", quantity=1)]
    said = wire.AnnouncedInbound(inbound="c:1", kind="purchase", number="1", version=1, lines=goods)
    list(one.push([Announcement(3, said)]))


# ---- what it translates ----------------------------------------------------------------------------------


@pytest.fixture
def linked(served: Provider, secrets: dict[str, str]) -> Iterator[ZfnConnector]:
    made = connector(served.code, secrets)
    yield made
    made.close()


def test_N7_the_tasks_run_at_most_every_30_minutes() -> None:
    assert {task.name: task.longest.total_seconds() / 60 for task in ZfnConnector.tasks} == {
        "provider": 30,
        "handover": 30,
    }


def test_a_snapshot_is_answered_under_the_providers_number_and_told_twice_is_told_once(linked: ZfnConnector) -> None:
    for _ in range(2):
        (receipt,) = linked.push([Handover(7, handed("1001"))])
        assert (receipt.key, receipt.outcome, receipt.remote_ref) == (7, "done", "CO-1-1001")
    assert linked.find(Handover(7, handed("1001"))).outcome == "retry"


def test_more_messages_than_fit_in_a_request_are_told_in_batches_with_a_receipt_each(linked: ZfnConnector) -> None:
    many = [ItemShare(key, wire.SharedItem(sku=f"S-{key}")) for key in range(wire.MOST_AT_ONCE + 50)]
    receipts = list(linked.push(many))
    assert [receipt.key for receipt in receipts] == [message.key for message in many]
    assert {receipt.outcome for receipt in receipts} == {"done"}
    assert len([fact for page in linked.period("listings", books.MORNING, books.MORNING) for fact in page.facts]) == 251


def test_a_message_that_the_provider_cannot_read_does_not_hold_up_the_others(
    served: Provider, secrets: dict[str, str]
) -> None:
    """A body of more than the provider takes is refused as a whole: it is halved until one stands alone."""
    context = serving.tls(served.book, standing.prepare(served.book))
    long = [f"{number}" * 100 for number in range(10)]
    lines = [wire.HandedLine(line=f"{n}", sku="LAMP", name=long[n % 10], quantity=1) for n in range(1000)]
    with between(served, context) as (_, upstream, code):
        one = connector(code, secrets)
        big = handed("big").model_copy(update={"lines": lines})
        many = [Handover(key, big.model_copy(update={"order": f"c:{key}"})) for key in range(8)]
        receipts = list(one.push(many))
        assert {receipt.key: receipt.outcome for receipt in receipts} == dict.fromkeys(range(8), "done")
        upstream.instead.append(trouble(422, "bad input"))
        (refused,) = one.push([Handover(9, handed("9"))])
        assert (refused.outcome, refused.reason) == ("refused", "the provider cannot read it")
        one.close()


def test_levels_are_those_right_after_a_mark(linked: ZfnConnector, served: Provider) -> None:
    first, *_ = linked.pull("events", None)
    (page,) = linked.fetch("levels", [first.cursor or ""])
    (fact,) = page.facts
    assert isinstance(fact, LevelsFact) and fact.skus is None and page.cursor == first.cursor
    assert [(level.sku, level.on_hand) for level in fact.levels] == [("LAMP", 1001)]
    (newest,) = linked.fetch("levels", ["", "LAMP", "BULB"])
    (now,) = newest.facts
    assert isinstance(now, LevelsFact) and now.skus == ("LAMP", "BULB")
    assert [(level.sku, level.on_hand) for level in now.levels] == [("LAMP", 2002)]
    assert wire.Mark.model_validate_json(newest.cursor or "").entry == 2002


def test_what_the_provider_has_to_tell_is_gone_only_once_it_was_recorded(
    linked: ZfnConnector, served: Provider
) -> None:
    books.do(served.book, client_items.add, NewItem("VASE"), "Lamp Shop")
    walk = linked.pull("changes", None)
    assert next(walk).facts == [ListingFact("VASE", fulfilled_by="channel")]
    assert len(books.owed(served.book)) == 1
    walk.close()  # type: ignore[attr-defined]
    assert len(books.owed(served.book)) == 1
    assert len(list(linked.pull("changes", None))) == 1
    assert books.owed(served.book) == set()


def test_orders_of_ours_and_of_the_provider_are_told_apart(linked: ZfnConnector) -> None:
    from zenv.connectors.zfn import streams

    list(linked.push([Handover(7, handed("1001"))]))
    ((ours,),) = (page.facts for page in linked.fetch("order", ["c:1001"]))
    assert isinstance(ours, HandedFact) and not ours.state.cancelled
    theirs = streams.order(linked._api, ours.state.model_copy(update={"order": "p:77", "cancelled": True}))
    assert isinstance(theirs, OrderFact)
    assert (theirs.remote_id, theirs.state, theirs.fulfilled_by) == ("p:77", "cancelled", "merchant")


def test_a_whole_transaction_of_the_providers_is_one_fact(linked: ZfnConnector) -> None:
    facts = [fact for page in linked.pull("events", None) for fact in page.facts]
    assert [len(fact.booked.movements) for fact in facts if isinstance(fact, BookedFact)] == [1001, 1001]


def test_what_nobody_has_is_a_bug(linked: ZfnConnector) -> None:
    for ask in (linked.pull, linked.period, linked.fetch):
        with pytest.raises(Bug):
            ask("dreams", None, None) if ask == linked.period else ask("dreams", [])  # type: ignore[operator,arg-type]


def test_a_code_of_another_company_is_refused(served: Provider, secrets: dict[str, str]) -> None:
    other = connector(served.code.replace("/tests/", "/others/"), secrets)
    with pytest.raises(Refused):
        other.check()
    other.close()
