"""When tasks are due: the documented intervals are bounds, midnight is the company's, and a clock that is set back
silences nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import books
from zenv.errors import BadInput, BadReply, LoginNeeded, NotFound, Stopped, Throttled, Unreachable
from zenv.ledger import breaker, connections, schedule
from zenv.ledger.book import Book
from zenv.ledger.schedule import Bound

ZONES = ("Europe/Berlin", "America/New_York", "Africa/Cairo", "America/Havana", "America/Santiago", "Asia/Beirut",
         "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu", "UTC")  # fmt: skip
"""Cairo, Havana, Santiago and Beirut change their clocks at midnight: it is left out, or comes twice."""

QUARTER = timedelta(minutes=15)
ORDERS = Bound(1, "orders", QUARTER)
STOCK = Bound(1, "stock", timedelta(hours=24), at_midnight=True)
moments = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))


# ---- the arithmetic --------------------------------------------------------------------------------------


@given(moments, st.sampled_from(ZONES))
def test_A16_the_next_midnight_is_the_first_moment_of_the_next_day(moment: datetime, zone: str) -> None:
    found = schedule.midnight_after(moment, zone)
    local, before = found.astimezone(ZoneInfo(zone)), (found - timedelta(seconds=1)).astimezone(ZoneInfo(zone))
    assert found > moment
    assert before.date() < local.date()
    assert before.date() == moment.astimezone(ZoneInfo(zone)).date()


@pytest.mark.parametrize("zone", [zone for zone in ZONES if zone != "Pacific/Apia"])
def test_A16_every_day_of_three_years_has_exactly_one_midnight(zone: str) -> None:
    at, days = datetime(2025, 1, 1, 12, tzinfo=UTC), []
    for _ in range(3 * 365):
        at = schedule.midnight_after(at, zone)
        days.append(at.astimezone(ZoneInfo(zone)).date())
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]


def test_A16_both_changes_of_the_clock_in_Berlin() -> None:
    spring = schedule.midnight_after(datetime(2026, 3, 29, 12, tzinfo=UTC), "Europe/Berlin")
    autumn = schedule.midnight_after(datetime(2026, 10, 25, 12, tzinfo=UTC), "Europe/Berlin")
    assert spring == datetime(2026, 3, 29, 22, tzinfo=UTC)  # the day that APScheduler's cron trigger leaves out
    assert autumn == datetime(2026, 10, 25, 23, tzinfo=UTC)


def planned(**about: Any) -> Any:
    usual = {"connection_id": 1, "task": "orders", "longest": 900, "every": None, "at_midnight": False}
    return SimpleNamespace(**(usual | about))


@given(moments, st.integers(60, 86_400), st.integers(1, 50), st.sampled_from(["orders", "items", "verify"]))
def test_A11_a_run_is_planned_before_its_bound_and_not_much_sooner(
    started: datetime, longest: int, owner: int, task: str
) -> None:
    found = planned(connection_id=owner, task=task, longest=longest)
    ahead = (schedule.next_start(found, started, "UTC") - started).total_seconds()
    assert 0.8 * longest <= ahead <= 0.9 * longest
    assert schedule.late_from(found, started, "UTC") == started + timedelta(seconds=longest)


def test_tasks_of_one_interval_drift_apart() -> None:
    starts = {schedule.next_start(planned(connection_id=n), books.MORNING, "UTC") for n in range(20)}
    assert len(starts) == 20


@pytest.mark.parametrize(
    ("length", "said"), [(90, "90 s"), (900, "15 min"), (14_400, "4 h"), (5_400, "90 min"), (60, "1 min")]
)
def test_an_interval_is_said_as_people_say_it(length: int, said: str) -> None:
    assert schedule.spoken(timedelta(seconds=length)) == said


# ---- the rows --------------------------------------------------------------------------------------------


@pytest.fixture
def amazon(book: Book) -> int:
    return books.connect(book)


def plan(book: Book, *bounds: Bound) -> None:
    with book.transaction() as t:
        schedule.plan(t, bounds, "Europe/Berlin")


def due(book: Book) -> list[str]:
    with book.reading() as sql:
        return [found.task for found in schedule.due(sql, book.clock())]


def row(book: Book, task: str) -> Any:
    with book.reading() as sql:
        return sql.exec_driver_sql("SELECT * FROM scheduled_task WHERE task = ?", (task,)).one()


def run(book: Book, task: str, error: Any = None, owner: int | None = 1) -> bool:
    """Claim it, and let it end as it may; whether there was anything to claim."""
    with book.reading() as sql:
        found = [one for one in schedule.due(sql, book.clock()) if one.task == task]
    if not found:
        return False
    with book.transaction() as t:
        assert schedule.claim(t, found[0])
        schedule.ended(t, owner, task, t.now, error, "Europe/Berlin")
        if owner is not None:
            breaker.heard(t, owner, error)
    return True


def test_F5_a_new_task_is_due_at_once_and_then_before_its_bound(book: Book, clock: books.Clock, amazon: int) -> None:
    plan(book, ORDERS, STOCK)
    assert due(book) == ["orders", "stock"]
    assert run(book, "orders") and run(book, "stock")
    assert due(book) == []
    clock.later(minutes=15)
    assert due(book) == ["orders"]
    clock.later(days=1)
    assert set(due(book)) == {"orders", "stock"}


def test_A16_stock_is_due_at_the_companys_midnight(book: Book, clock: books.Clock, amazon: int) -> None:
    plan(book, STOCK)
    run(book, "stock")
    clock.now = datetime(2026, 3, 2, 22, 59, 59, tzinfo=UTC)
    assert due(book) == []
    clock.later(seconds=1)
    assert due(book) == ["stock"]


def test_A17_high_frequency_updates_bind_the_task_to_ten_minutes_and_off_brings_midnight_back(
    book: Book, clock: books.Clock, amazon: int
) -> None:
    plan(book, STOCK)
    run(book, "stock")
    plan(book, Bound(1, "stock", timedelta(minutes=10)))
    clock.later(minutes=10)
    assert run(book, "stock")
    clock.later(minutes=9)
    assert run(book, "stock")
    plan(book, STOCK)
    clock.later(hours=2)
    assert due(book) == []
    clock.now = datetime(2026, 3, 2, 23, 0, tzinfo=UTC)
    assert due(book) == ["stock"]


def test_A11_shorter_is_a_setting_and_longer_is_refused(book: Book, clock: books.Clock, amazon: int) -> None:
    plan(book, ORDERS)
    for wish, error in ((timedelta(minutes=16), BadInput), (timedelta(seconds=59), BadInput)):
        with pytest.raises(error), book.transaction() as t:
            schedule.choose_interval(t, amazon, "orders", wish)
    with pytest.raises(NotFound), book.transaction() as t:
        schedule.choose_interval(t, amazon, "tea", timedelta(minutes=2))
    with book.transaction() as t:
        schedule.choose_interval(t, amazon, "orders", timedelta(minutes=2))
    assert run(book, "orders")
    clock.later(minutes=2)
    assert run(book, "orders")
    with book.transaction() as t:
        schedule.choose_interval(t, amazon, "orders", None)
    run(book, "orders")
    clock.later(minutes=11)
    assert due(book) == []


def test_who_claims_first_runs_it_and_nobody_else(book: Book, amazon: int) -> None:
    plan(book, ORDERS)
    with book.reading() as sql:
        (seen,) = schedule.due(sql, book.clock())
    with book.transaction() as t:
        assert schedule.claim(t, seen)
    with book.transaction() as t:
        assert not schedule.claim(t, seen)


def test_a_claimed_task_whose_run_never_ended_is_due_again_with_its_lease(
    book: Book, clock: books.Clock, amazon: int
) -> None:
    plan(book, ORDERS)
    with book.reading() as sql:
        (seen,) = schedule.due(sql, book.clock())
    with book.transaction() as t:
        schedule.claim(t, seen)
    clock.later(minutes=14)
    assert due(book) == []
    clock.later(minutes=1)
    assert due(book) == ["orders"]


def test_H82_a_disabled_connection_has_nothing_due_and_enabling_fills_the_gap(
    book: Book, clock: books.Clock, amazon: int
) -> None:
    plan(book, ORDERS, STOCK)
    run(book, "orders")
    books.do(book, connections.disable, "amazon")
    clock.later(days=3)
    assert due(book) == []
    books.do(book, connections.enable, "amazon")
    assert set(due(book)) == {"orders", "stock"}


def test_a_connection_that_waits_for_a_login_has_nothing_due(book: Book, amazon: int) -> None:
    plan(book, ORDERS)
    run(book, "orders", LoginNeeded("no"))
    books.do(book, connections.needs_login, amazon)
    assert due(book) == []


# ---- trouble ---------------------------------------------------------------------------------------------


def test_what_is_throttled_waits_as_long_as_the_remote_says(book: Book, clock: books.Clock, amazon: int) -> None:
    plan(book, ORDERS)
    run(book, "orders", Throttled("wait", 90.0))
    found = row(book, "orders")
    assert (found.waits, found.failures) == ("throttled", 0)
    clock.later(seconds=89)
    assert due(book) == []
    clock.later(seconds=1)
    assert due(book) == ["orders"]


def test_failures_are_retried_ever_more_slowly_but_never_beyond_the_interval(
    book: Book, clock: books.Clock, amazon: int
) -> None:
    plan(book, Bound(amazon, "items", timedelta(minutes=10)))
    pauses = []
    for _ in range(6):
        with book.transaction() as t:
            schedule.ended(t, amazon, "items", t.now, BadReply("odd"), "UTC")
        pauses.append(
            (datetime.fromisoformat(row(book, "items").next_at).replace(tzinfo=UTC) - clock.now).seconds // 60
        )
    assert pauses == [1, 2, 4, 8, 10, 10]
    assert row(book, "items").failures == 6
    with book.transaction() as t:
        schedule.ended(t, amazon, "items", t.now, None, "UTC")
    assert (row(book, "items").failures, row(book, "items").waits) == (0, "")


def test_a_run_that_was_told_to_stop_is_due_at_once(book: Book, amazon: int) -> None:
    plan(book, ORDERS)
    run(book, "orders", Stopped("off"))
    assert due(book) == ["orders"]


@pytest.mark.parametrize(("bound", "hours"), [(ORDERS, 1), (ORDERS, 9600), (STOCK, 9600)])
def test_a_clock_that_was_set_back_silences_nothing(
    book: Book, clock: books.Clock, amazon: int, bound: Bound, hours: int
) -> None:
    clock.later(hours=hours)
    plan(book, bound)
    run(book, bound.task)
    clock.later(hours=-hours)
    assert due(book) == []
    plan(book, bound)
    assert due(book) == [bound.task]


def test_a_midnight_that_comes_again_because_the_clock_was_set_back_is_not_run_twice(
    book: Book, clock: books.Clock, amazon: int
) -> None:
    clock.now = datetime(2026, 3, 2, 23, 0, 1, tzinfo=UTC)
    plan(book, STOCK)
    assert run(book, "stock")
    clock.later(minutes=-30)
    plan(book, STOCK)
    clock.later(minutes=31)
    assert due(book) == []
    clock.later(hours=24)
    assert due(book) == ["stock"]


# ---- the breaker -----------------------------------------------------------------------------------------


def fail(book: Book, error: Any, times: int = 1) -> None:
    for _ in range(times):
        with book.transaction() as t:
            breaker.heard(t, books.AMAZON, error)


def let_through(book: Book) -> list[tuple[str, bool]]:
    with book.reading() as sql:
        return [(found.task, breaker.half_open(found)) for found in schedule.due(sql, book.clock())]


def test_C3_a_breaker_opens_after_five_failures_lets_one_through_and_closes_by_itself(
    book: Book, clock: books.Clock, amazon: int
) -> None:
    plan(book, ORDERS)
    fail(book, Unreachable("away"), 4)
    assert let_through(book) == [("orders", False)]
    fail(book, Unreachable("away"))
    assert let_through(book) == []
    clock.later(minutes=5)
    assert let_through(book) == [("orders", True)]
    fail(book, Unreachable("away"))
    clock.later(minutes=9)
    assert let_through(book) == []
    clock.later(minutes=1)
    assert let_through(book) == [("orders", True)]
    fail(book, None)
    assert let_through(book) == [("orders", False)]
    with book.reading() as sql:
        assert connections.status(sql, amazon) == "active"


def test_a_breaker_never_stays_open_longer_than_an_hour(book: Book, clock: books.Clock, amazon: int) -> None:
    plan(book, ORDERS)
    fail(book, Unreachable("away"), 60)
    clock.later(hours=1)
    assert let_through(book) == [("orders", True)]


@pytest.mark.parametrize("error", [LoginNeeded("no"), Throttled("wait", 5), Stopped("off")])
def test_what_does_not_speak_against_the_remote_does_not_count(book: Book, amazon: int, error: Any) -> None:
    plan(book, ORDERS)
    fail(book, error, 10)
    assert let_through(book) == [("orders", False)]


def test_dates_of_this_file_are_days_of_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day in (date(2026, 3, 29), date(2026, 10, 25)):
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=berlin)
        assert noon.utcoffset() != (noon - timedelta(days=1)).utcoffset()
