"""Two processes on one ledger: a daemon beside a person, or two people. Each race is run with real processes that
start every round at the same moment; the planted mutant at the end shows that the race can be lost."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from threading import BrokenBarrierError
from typing import Any

import pytest

from tests import books
from tests.books import line, order
from zenv.errors import Busy, Refused
from zenv.ledger import buckets, connections, order_facts, orders, outbox, runs, stock, views
from zenv.ledger.book import Book

ROUNDS = 40
spawn = multiprocessing.get_context("spawn")


class Pair:
    """Two processes that wait for work; starting them anew for each race would cost more than the races."""

    def __init__(self) -> None:
        self.barrier = spawn.Barrier(2)
        pipes = [spawn.Pipe() for _ in range(2)]
        self.ends = [mine for mine, _ in pipes]
        self.both = [
            spawn.Process(target=_worker, args=(me, theirs, self.barrier), daemon=True)
            for me, (_, theirs) in enumerate(pipes)
        ]
        for one in self.both:
            one.start()

    def race(self, home: Path, work: Callable[..., Any], *given: Any) -> list[Any]:
        """`work(book, me, barrier, *given)` in both at once; what each answered. Raises what the first raised."""
        for end in self.ends:
            end.send((home, work, given))
        said = [end.recv() for end in self.ends]
        self.barrier.reset()
        for answer in sorted(said, key=lambda one: isinstance(one, BrokenBarrierError)):
            if isinstance(answer, BaseException):
                raise answer
        return said


def _worker(me: int, orders_from: Any, barrier: Any) -> None:
    while True:
        told = orders_from.recv()
        if told is None:
            return
        home, work, given = told
        try:
            with books.opened(home, books.Clock(books.MORNING + timedelta(hours=1)), actor=f"process {me}") as book:
                orders_from.send(work(book, me, barrier, *given))
        except BaseException as error:
            barrier.abort()
            orders_from.send(error)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    two = Pair()
    yield two
    for end in two.ends:
        end.send(None)
    for one in two.both:
        one.join()


# ---- two buyers, one unit --------------------------------------------------------------------------------


def buy_the_last_unit(book: Book, me: int, barrier: Any, rounds: int, deferred: bool) -> list[bool]:
    """Each round another item of which there is one: order it, then pick it; whether it was ours."""
    if deferred:
        as_sqlalchemy_begins_by_itself(book)
    won = []
    for number in range(rounds):
        barrier.wait()
        with book.transaction() as t:
            mine = orders.create_order(t, orders.NewOrder([orders.NewLine(f"SKU-{number}", 1)]))
        barrier.wait()
        try:
            with book.transaction() as t:
                orders.pick(t, mine)
            won.append(True)
        except Refused:
            won.append(False)
    return won


def as_sqlalchemy_begins_by_itself(book: Book) -> None:
    """The planted mutant: BEGIN without IMMEDIATE, so that a transaction reads before it has the write lock."""
    book.engine = book.engine.execution_options(reading=True)


@pytest.fixture
def last_units(book: Book) -> Book:
    """One unit each of ROUNDS items."""
    with book.transaction() as t:
        for number in range(ROUNDS):
            books.catalog.add_item(t, books.catalog.NewItem(f"SKU-{number}"))
            stock.receive(t, f"SKU-{number}", "Main", 1)
    return book


def test_C5_two_processes_reserving_the_last_unit_never_both_win(last_units: Book, pair: Pair) -> None:
    first, second = pair.race(last_units.home, buy_the_last_unit, ROUNDS, False)
    assert [a + b for a, b in zip(first, second, strict=True)] == [1] * ROUNDS
    assert books.findings(last_units) == []
    assert len(views.orders(last_units.home, limit=1000).rows) == 2 * ROUNDS  # who lost waits and is not lost


def take_the_last_unit(book: Book, me: int, barrier: Any, rounds: int, deferred: bool) -> list[str]:
    """Each round both take by hand what only one can have."""
    if deferred:
        as_sqlalchemy_begins_by_itself(book)
    outcome = []
    for number in range(rounds):
        barrier.wait()
        try:
            with book.transaction() as t:
                stock.adjust(t, f"SKU-{number}", "Main", -1, f"taken by {me}")
            outcome.append("taken")
        except Refused:
            outcome.append("refused")
    return outcome


def test_C5_two_processes_taking_the_last_unit_get_it_once(last_units: Book, pair: Pair) -> None:
    answers = pair.race(last_units.home, take_the_last_unit, ROUNDS, False)
    assert [sorted(pair) for pair in zip(*answers, strict=True)] == [["refused", "taken"]] * ROUNDS


@pytest.mark.parametrize("race", [buy_the_last_unit, take_the_last_unit])
def test_with_sqlalchemys_own_begin_the_same_race_is_lost(
    last_units: Book, race: Callable[..., Any], pair: Pair
) -> None:
    """Whoever read before the other wrote cannot write any more: SQLite answers at once that it is locked."""
    with pytest.raises(Busy):
        pair.race(last_units.home, race, ROUNDS, True)


# ---- orders ----------------------------------------------------------------------------------------------


def import_the_same_page(book: Book, me: int, barrier: Any, amazon: int, rounds: int) -> int:
    new = 0
    for number in range(rounds):
        page = [order(f"A-{number}-{n}", line("LAMP", 1), payment="Paid") for n in range(3)]
        barrier.wait()
        with book.transaction() as t:
            new += order_facts.record(t, amazon, page)
            connections.move_cursor(t, amazon, "orders", str(number))
    return new


def test_A4_C10_two_processes_importing_the_same_page_make_each_order_once(book: Book, pair: Pair) -> None:
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 1000)
    amazon = books.connect(book)
    answers = pair.race(book.home, import_the_same_page, amazon, 15)
    assert sum(answers) == 45
    assert len(views.orders(book.home, limit=1000).rows) == 45
    assert books.available(book, "LAMP") == 955


# ---- messages and runs -----------------------------------------------------------------------------------


def claim_all(book: Book, me: int, barrier: Any, amazon: int) -> list[int]:
    mine: list[int] = []
    barrier.wait()
    while True:
        with book.transaction() as t:
            taken = outbox.claim(t, amazon, "stock_level", 3)
        if not taken:
            return mine
        mine += [one.id for one in taken]


def test_two_processes_claiming_messages_never_take_one_twice(last_units: Book, pair: Pair) -> None:
    amazon = books.connect(last_units)
    with last_units.transaction() as t:
        shown = [books.ListingFact(f"SKU-{n}", observed_at=books.MORNING) for n in range(ROUNDS)]
        books.listing_facts.record_listings(t, amazon, shown)
    first, second = pair.race(last_units.home, claim_all, amazon)
    assert len(first) + len(second) == len({*first, *second}) == ROUNDS


def begin_each(book: Book, me: int, barrier: Any, amazon: int, rounds: int) -> list[str]:
    said = []
    for number in range(rounds):
        barrier.wait()
        try:
            with book.transaction() as t:
                runs.begin(t, amazon, f"task {number}")
            said.append("running")
        except Busy as busy:
            assert "running already" in busy.message
            said.append("busy")
    return said


def test_one_task_of_one_connection_runs_in_one_process_only(book: Book, pair: Pair) -> None:
    amazon = books.connect(book)
    answers = pair.race(book.home, begin_each, amazon, 20)
    assert [sorted(pair) for pair in zip(*answers, strict=True)] == [["busy", "running"]] * 20


# ---- token buckets ---------------------------------------------------------------------------------------


def take_tokens(book: Book, me: int, barrier: Any, rounds: int) -> int:
    """At each of some moments, 4 seconds apart, ten tries; the clock stands still while both try."""
    now = books.Clock()
    shared, taken = buckets.LedgerBuckets(book.engine, now), 0
    for _ in range(rounds):
        barrier.wait()
        taken += sum(shared.take("key", rate=1.5, burst=8) == 0 for _ in range(10))
        barrier.wait()
        now.later(seconds=4)
    return taken


def test_C7_two_processes_share_one_bucket_to_the_last_token(book: Book, pair: Pair) -> None:
    rounds = 12
    taken = pair.race(book.home, take_tokens, rounds)
    # Half the burst at the start, then what 1.5 tokens a second refill between the rounds: not one more or less.
    assert sum(taken) == 4 + int(1.5 * 4 * (rounds - 1))
    assert all(taken)


# ---- reading and writing ---------------------------------------------------------------------------------


def write_and_read(book: Book, me: int, barrier: Any, rounds: int) -> list[int]:
    """Both move units between the warehouses; every look at them sees all units."""
    seen = []
    barrier.wait()
    for number in range(rounds):
        here, there = ("Main", "Side") if (number + me) % 2 else ("Side", "Main")
        with book.transaction() as t:
            try:
                stock.transfer(t, "LAMP", here, there, 1, arrives_now=True)
            except Refused:
                stock.receive(t, "BULB", "Main", 1)
        seen.append(sum(row[3] for row in views.levels(book.home, "LAMP").rows))
    return seen


def test_a_reader_never_sees_half_a_transaction(book: Book, pair: Pair) -> None:
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 3)
    assert {units for seen in pair.race(book.home, write_and_read, 40) for units in seen} == {3}
