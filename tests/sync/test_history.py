"""What the history of runs says, and how long it is kept (H62 to H64, C1)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import books
from tests.sync.shop import run_all, sim_of
from tests.year.company import Company
from zenv.errors import NotFound
from zenv.facts import BadRecord
from zenv.ledger import runs, views
from zenv.ledger.book import Book

MONTH, TWO_MONTHS = timedelta(days=31), timedelta(days=62)
SECOND = timedelta(seconds=1)
COUNTS = ("task", "outcome", "items", "items_failed", "orders", "orders_failed")
AGES = st.sampled_from((MONTH, TWO_MONTHS)).flatmap(
    lambda around: st.integers(-3 * 86400, 3 * 86400).map(lambda by: around + by * SECOND)
)
NEAR = st.sampled_from([at + by for at in (MONTH, TWO_MONTHS) for by in (-SECOND, timedelta(0), SECOND)])


def old_run(book: Book, clock: books.Clock, age: timedelta, outcome: str, aside: str = "") -> int:
    """A run that ended so long ago; `aside`: a record was set aside, and is `open` or has come `good` since."""
    now = clock.now
    clock.now = now - age
    with book.transaction() as t:
        run = runs.begin(t, 1, "orders")
        runs.remember(t, run, [BadRecord("order", "A-9", "odd")])
        if aside:
            runs.set_aside(t, run, [BadRecord("order", f"A-{run}", "odd")])
        if aside == "good":
            runs.came_good(t, 1, "order", [f"A-{run}"])
        if outcome != "running":
            runs.end(t, run, outcome, runs.Tally())
    clock.now = now
    return run


def kept(book: Book) -> set[int]:
    with book.transaction() as t:
        runs.prune(t)
    return {run for (run,) in books.ask(book, "SELECT run FROM runs")}


@given(st.lists(st.tuples(AGES | NEAR, st.sampled_from(["ok", "partial", "failed", "abandoned"]),
                          st.sampled_from(["", "", "open", "good"])), min_size=1, max_size=6))  # fmt: skip
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_H64_good_runs_are_kept_a_month_others_two_and_neither_less(
    book: Book, clock: books.Clock, ages: list[tuple[timedelta, str, str]]
) -> None:
    if not books.ask(book, "SELECT 1 FROM connections"):
        books.connect(book)
    before = {run for (run,) in books.ask(book, "SELECT run FROM runs")}
    made = {old_run(book, clock, *about): about for about in ages}
    gone = before | made.keys() - kept(book)
    for run, (age, outcome, aside) in made.items():
        too_old = age > (MONTH if outcome == "ok" else TWO_MONTHS)
        assert (run in gone) == (too_old and aside != "open"), (age, outcome, aside)
    with book.transaction() as t:  # what still waits does not pile up from example to example
        for run, (_, _, aside) in made.items():
            if aside == "open":
                runs.came_good(t, 1, "order", [f"A-{run}"])
    for table in ("run_failure", "run_records"):
        with book.reading() as sql:
            orphans = f"SELECT COUNT(*) FROM {table} WHERE run_id NOT IN (SELECT id FROM run)"
            assert sql.exec_driver_sql(orphans).scalar_one() == 0


def test_H64_a_run_whose_process_died_is_forgotten_two_months_after_its_lease(book: Book, clock: books.Clock) -> None:
    books.connect(book)
    old_run(book, clock, TWO_MONTHS + runs.LEASE + SECOND, "running")
    assert kept(book) == set()
    younger = old_run(book, clock, TWO_MONTHS + SECOND, "running")
    assert kept(book) == {younger}
    with book.transaction() as t:
        runs.end(t, younger, "abandoned", runs.Tally())


def test_H62_H63_every_run_says_whose_it_was_when_and_how_many_items_and_orders_it_brought_or_not(
    shop: Company,
) -> None:
    sim = sim_of(shop)
    sim.models = None
    odd, _, _ = (sim.place_order([("MUG", 1)]) for _ in range(3))
    sim.add_listing("BAD\x07BELL", name="Unprintable", quantity=1)
    shop.clock.wind(7200)
    run_all(shop)
    sim.orders[odd].status = "ON_THE_MOON"
    sim.book.touch(sim.orders[odd], sim.now())
    shop.clock.wind(600)
    result = shop.run("a", "orders")
    history = books.dicts(views.runs(shop.home, "a"))
    counts = {one["run"]: tuple(one[name] for name in COUNTS) for one in history if one["task"] in ("orders", "items")}
    assert list(counts.values()) == [
        ("orders", "partial", 0, 0, 0, 1), ("items", "partial", 3, 1, 0, 0), ("orders", "ok", 0, 0, 3, 0),
    ]  # fmt: skip
    assert all(one["connection"] == "a" and one["started_at"] <= one["ended_at"] for one in history)
    assert all(one["worker"].startswith("sync now ") for one in history)
    assert (result.orders_failed, result.items_failed) == (1, 0)
    ((reference, reason),) = [row[3:5] for row in views.run_failures(shop.home, result.run).rows]
    assert reference == odd and "ON_THE_MOON" in reason
    sim.violations.clear()


def test_a_run_of_zenv_itself_stands_in_the_history_as_housekeeping(book: Book) -> None:
    with book.transaction() as t:
        run = runs.begin(t, None, "redaction", runs.worker("daemon"))
        runs.end(t, run, "ok", runs.Tally(notes=["nobody had to be forgotten"]))
    assert views.run(book.home, run)["connection"] == "housekeeping"
    assert [one["task"] for one in books.dicts(views.runs(book.home, "housekeeping"))] == ["redaction"]


def test_a_run_there_is_not_is_named(book: Book) -> None:
    with pytest.raises(NotFound, match="no run 7"):
        views.run(book.home, 7)
