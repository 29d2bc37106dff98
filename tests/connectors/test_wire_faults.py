"""HTTP that is broken on the wire itself: what a read survives, that a change is never repeated, and an hour of it.

The simulator's own faults (tests/connectors/contract.py) are answers of Amazon; these are what lies between.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import books
from tests.connectors.wire_faults import AFTER, BEFORE, FaultServer, fault_server
from tests.connectors.world import HandClock, MemoryBuckets
from tests.year.company import Clock, company, connect
from zenv.connectors import http
from zenv.connectors.base import World
from zenv.connectors.http import ATTEMPTS, Operation, Wire, new_client
from zenv.crew import Crew
from zenv.errors import Throttled, Unanswered, Unreachable
from zenv.ledger import orders
from zenv.simulators.amazon import AmazonSimulator

SEED = int(os.environ.get("ZENV_SEED", "1"))
READ = Operation("getThing", "GET", "/things", 5.0, 5, answers=("thing",))
CHANGE = Operation("changeThing", "POST", "/things", 5.0, 5, answers=("thing",), repeatable=False)
THROTTLES = ("429 for 7 seconds", "429 until a date")
SPOILT = [name for name in (*BEFORE, *AFTER) if name and name not in THROTTLES]
MINUTE, HOUR = 60.0, 3600.0


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limits of a call are those of the product, made short."""
    monkeypatch.setattr(http, "TIMEOUT", httpx.Timeout(0.25, connect=0.25))
    monkeypatch.setattr(http, "LONGEST_ANSWER", 0.4)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as found:
        yield found


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def wire(server: FaultServer, clock: HandClock) -> Iterator[Wire]:
    with new_client() as client:
        yield wire_to(server.url, client, clock)


def wire_to(url: str, client: httpx.Client, clock: HandClock) -> Wire:
    world = World(clock.now, clock.sleep, MemoryBuckets(clock.now), patience=60.0)
    return Wire(client, world, url, remote="Thing Co", account="EU|a|b")


@pytest.mark.parametrize("fault", SPOILT)
def test_a_read_is_tried_again_and_a_lasting_fault_is_unreachable(server: FaultServer, wire: Wire, fault: str) -> None:
    server.faults = [fault]
    assert wire.call(READ)["thing"] == 1
    assert server.seen == [fault, ""]
    server.faults = [fault] * ATTEMPTS
    with pytest.raises(Unreachable) as caught:
        wire.call(READ)
    assert not isinstance(caught.value, Unanswered)
    # a connection that was closed behind our back costs a try that the server never sees
    assert 1 < len(server.seen[2:]) <= ATTEMPTS and set(server.seen[2:]) == {fault}
    server.faults = []
    assert wire.call(READ)["thing"] == 1  # and whatever it left behind spoils no later call


@pytest.mark.parametrize("fault", SPOILT)
def test_I3_a_change_whose_answer_is_spoilt_is_sent_once_and_is_unanswered(
    server: FaultServer, wire: Wire, fault: str
) -> None:
    server.faults = [fault]
    with pytest.raises(Unanswered):
        wire.call(CHANGE, json={"a": 1})
    assert server.seen == [fault]


@pytest.mark.parametrize(("fault", "least"), [(THROTTLES[0], 7.0), (THROTTLES[1], 8.0)])
@pytest.mark.parametrize("operation", [READ, CHANGE], ids=lambda operation: operation.method)
def test_C7_retry_after_is_kept_on_the_wire_too(
    server: FaultServer, wire: Wire, clock: HandClock, operation: Operation, fault: str, least: float
) -> None:
    server.faults = [fault]
    assert wire.call(operation)["thing"] == 1
    assert sum(clock.slept) >= least
    server.faults = [fault] * 20
    with pytest.raises(Throttled) as caught:
        wire.call(operation)
    assert caught.value.wait > 0


def test_a_host_that_does_not_answer_the_connection_has_been_sent_nothing(clock: HandClock) -> None:
    """The queue of the listener is full, so that the kernel answers no further connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(deaf.getsockname())
        with new_client() as client, pytest.raises(Unreachable) as caught:
            wire_to(f"http://127.0.0.1:{deaf.getsockname()[1]}", client, clock).call(CHANGE)
        for one in waiting:
            one.close()
    assert not isinstance(caught.value, Unanswered)


def test_a_body_longer_than_it_says_is_noticed_or_the_next_answer_is_still_right(
    server: FaultServer, wire: Wire
) -> None:
    """What is too much must never be read as the beginning of the next answer."""
    for _ in range(3):
        server.faults = ["a length that is too short"]
        assert wire.call(READ)["thing"] == 1


# ---- an hour of it, through the crew ---------------------------------------------------------------------

PLAGUE = [name for name in (*BEFORE, *AFTER) if name and "silence" not in name and name != "a slow drip"]


def test_I1_I3_an_hour_of_mixed_faults_on_the_wire_ends_with_everything_in_step(tmp_path: Path) -> None:
    rng, clock = random.Random(SEED), Clock()
    random.seed(SEED)  # the back-off of the connector draws from here
    sim = AmazonSimulator(7, clock)
    sim.add_listing("POT", quantity=50)
    clock.wind(2 * HOUR)
    with company([sim], clock, folder=tmp_path) as c, fault_server(c.shops[0].url) as between:
        connect(c.book, "a", sim, between.url, adopt_new=True)
        for _ in range(6):
            sim.place_order([("POT", 1)])
        crew = Crew(c.book, "daemon", c.world(MINUTE))
        tick(crew, c.clock, 60)
        packed = {}
        for number in range(60):
            between.faults = [rng.choice(PLAGUE) if rng.random() < 0.5 else "" for _ in range(20)]
            if number % 12 == 0:
                sim.place_order([("POT", 1)])
                packed |= pack(c, f"1Z{number}")
            tick(crew, c.clock, 1)
        assert len(set(between.seen)) > len(PLAGUE) // 2, between.seen
        between.faults = []
        tick(crew, c.clock, 180)
        assert {n for (n,) in books.ask(c.book, "SELECT number FROM orders")} == set(sim.orders)
        assert {(one.tracking, one.order_id) for one in sim.confirmations} == set(packed.items())
        assert len(sim.confirmations) == len(packed) > 3
        assert books.findings(c.book) == [] and sim.violations == []
        assert books.ask(c.book, "SELECT task FROM schedule WHERE late_at < ?", str(clock())[:19]) == []


def tick(crew: Crew, clock: Clock, minutes: int) -> None:
    """A look a minute; whatever begins also ends."""
    for _ in range(minutes):
        clock.wind(MINUTE)
        crew.start_one()
        while crew.at_work():
            time.sleep(0.005)


def pack(c, tracking: str) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """An order that can go goes."""
    ready = books.ask(c.book, "SELECT number FROM orders WHERE state = 'ready' ORDER BY number LIMIT 1")
    for (number,) in ready:
        with c.book.transaction() as t:
            orders.ship(t, number, [orders.NewPackage("UPS", tracking)])
        return {tracking: number}
    return {}
