"""Token buckets: never more than the rate allows over any time, however many ask, whatever the clock does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import books
from zenv.ledger.book import Book
from zenv.ledger.buckets import LedgerBuckets

KEY = "eu/app/seller/searchOrders"


@pytest.fixture
def buckets(book: Book, clock: books.Clock) -> LedgerBuckets:
    return LedgerBuckets(book.engine, clock)


def taken(buckets: LedgerBuckets, tries: int, rate: float = 1.0, burst: int = 10) -> int:
    """How many of so many tries at one moment get a token."""
    return sum(buckets.take(KEY, rate, burst) == 0 for _ in range(tries))


def test_a_bucket_never_seen_starts_half_full(buckets: LedgerBuckets) -> None:
    assert taken(buckets, 20) == 5


def test_a_bucket_of_burst_one_gives_its_token_at_once(buckets: LedgerBuckets) -> None:
    assert taken(buckets, 3, rate=0.0167, burst=1) == 1


def test_an_empty_bucket_says_how_long_until_the_next_token(buckets: LedgerBuckets, clock: books.Clock) -> None:
    taken(buckets, 20, rate=0.5)
    assert buckets.take(KEY, 0.5, 10) == pytest.approx(2.0)
    clock.later(seconds=1)
    assert buckets.take(KEY, 0.5, 10) == pytest.approx(1.0)
    clock.later(seconds=1)
    assert buckets.take(KEY, 0.5, 10) == 0


def test_a_bucket_fills_to_its_burst_and_no_further(buckets: LedgerBuckets, clock: books.Clock) -> None:
    taken(buckets, 20)
    clock.later(days=30)
    assert taken(buckets, 50) == 10


def test_buckets_are_apart(buckets: LedgerBuckets) -> None:
    taken(buckets, 20)
    assert buckets.take("another", 1.0, 10) == 0


def test_C7_the_rate_a_remote_names_holds_from_then_on_in_every_process(
    buckets: LedgerBuckets, book: Book, clock: books.Clock
) -> None:
    taken(buckets, 20, rate=1.0)
    buckets.learned(KEY, 0.2)
    other = LedgerBuckets(book.engine, clock)
    clock.later(seconds=10)
    assert taken(other, 20, rate=1.0) == 2


@pytest.mark.parametrize("nonsense", [0.0, -1.0])
def test_a_rate_that_is_none_is_not_learned(buckets: LedgerBuckets, clock: books.Clock, nonsense: float) -> None:
    taken(buckets, 20)
    buckets.learned(KEY, nonsense)
    clock.later(seconds=3)
    assert taken(buckets, 20) == 3


def test_C7_after_a_refusal_nobody_asks_until_the_time_is_over(
    buckets: LedgerBuckets, book: Book, clock: books.Clock
) -> None:
    taken(buckets, 1)
    buckets.drained(KEY, 30.0)
    other = LedgerBuckets(book.engine, clock)
    assert other.take(KEY, 1.0, 10) == pytest.approx(30.0)
    clock.later(seconds=29)
    assert taken(other, 20) == 0
    clock.later(seconds=1)
    assert taken(other, 20) >= 1


def test_a_shorter_wait_of_another_process_does_not_open_a_closed_bucket(buckets: LedgerBuckets) -> None:
    taken(buckets, 1)
    buckets.drained(KEY, 30.0)
    buckets.drained(KEY, 5.0)
    assert buckets.take(KEY, 1.0, 10) == pytest.approx(30.0)


def test_a_clock_set_back_neither_fills_nor_empties_a_bucket(buckets: LedgerBuckets, clock: books.Clock) -> None:
    assert taken(buckets, 3) == 3
    clock.later(days=-1)
    assert taken(buckets, 20) == 2
    clock.later(seconds=4)
    assert taken(buckets, 20) == 4


def test_a_clock_that_is_set_back_does_not_keep_a_bucket_closed_for_longer(
    buckets: LedgerBuckets, clock: books.Clock
) -> None:
    taken(buckets, 1)
    buckets.drained(KEY, 30.0)
    clock.later(days=-1)
    assert buckets.take(KEY, 1.0, 10) <= 30.0
    clock.later(seconds=30)
    assert buckets.take(KEY, 1.0, 10) == 0


@given(
    rate=st.floats(0.05, 10),
    burst=st.integers(1, 20),
    waits=st.lists(st.floats(-50, 50), min_size=1, max_size=30),
)
def test_C7_never_more_tokens_than_rate_times_time_plus_burst(
    blank_home: object, tmp_path_factory: pytest.TempPathFactory, rate: float, burst: int, waits: list[float]
) -> None:
    home = books.home_like(blank_home, tmp_path_factory.mktemp("bucket") / "home")  # type: ignore[arg-type]
    clock = books.Clock()
    with books.opened(home, clock) as book:
        buckets = LedgerBuckets(book.engine, clock)
        got, passed = 0, 0.0
        for wait in waits:
            got += taken(buckets, 3, rate, burst)
            clock.later(seconds=wait)
            passed += max(0.0, wait)  # a clock that goes back gives nothing; what it repeats has truly passed
            assert got <= rate * passed + burst + 1e-6
