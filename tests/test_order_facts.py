"""What a channel says of its orders: once, whatever comes twice, late, or in the wrong order, and every change."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import books
from tests.books import (
    AMAZON,
    HOUR,
    MORNING,
    available,
    changes,
    counts,
    held,
    inbox,
    line,
    order,
    record,
    shelf,
    state,
)
from zenv.ledger import connections, order_changes, orders, stock, views
from zenv.ledger.book import Book


@pytest.fixture
def lamps(book: Book, clock: books.Clock) -> Book:
    """LAMP and BULB, ten of each in Main, and an enabled connection to Amazon, an hour before its first order."""
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 10)
    books.receive(book, "BULB", 10)
    clock.now = MORNING - HOUR
    books.connect(book)
    clock.now = MORNING + HOUR
    return book


# ---- once ------------------------------------------------------------------------------------------------


def test_A4_H59_an_order_reserves_its_units_once_however_often_it_is_told(lamps: Book) -> None:
    told = order("A-1", line("LAMP", 3))
    assert record(lamps, AMAZON, told) == 1
    assert held(lamps, "A-1") == [("LAMP", "Main", 3, 0)]
    assert record(lamps, AMAZON, told) == 0
    assert available(lamps, "LAMP") == 7
    assert len(views.orders(lamps.home).rows) == 1


def test_A4_telling_the_same_again_changes_no_row(lamps: Book) -> None:
    page = [order(f"A-{number}", line("LAMP", 1), line("BULB", 1, 2), payment="Paid") for number in range(5)]
    assert changes(lamps, *page)
    assert not changes(lamps, *page)


def test_an_order_twice_on_one_page_counts_once_and_the_newer_word_holds(lamps: Book) -> None:
    newer = order("A-1", line("LAMP", 2), said=MORNING + HOUR)
    record(lamps, AMAZON, newer, order("A-1", line("LAMP", 5)))
    assert counts(lamps, "A-1") == [("LAMP", 2, 0, 0)]
    record(lamps, AMAZON, order("A-2", line("LAMP", 5)), order("A-2", line("LAMP", 1), said=MORNING + HOUR))
    assert counts(lamps, "A-2") == [("LAMP", 1, 0, 0)]


def test_an_older_word_does_not_undo_a_newer_one(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3, cancelled=3), said=MORNING + HOUR, state="cancelled"))
    assert not changes(lamps, order("A-1", line("LAMP", 3)))
    assert state(lamps, "A-1") == "cancelled"


@given(st.permutations(range(5)))
def test_C10_whatever_the_order_in_which_words_arrive_the_last_one_said_holds(
    blank_home: Any, tmp_path_factory: pytest.TempPathFactory, arrival: list[int]
) -> None:
    said = [
        order("A-1", line("LAMP", 3), state="pending"),
        order("A-1", line("LAMP", 3), said=MORNING + HOUR, payment="Paid"),
        order("A-1", line("LAMP", 4), line("BULB", 1, 2), said=MORNING + 2 * HOUR, payment="Paid"),
        order("A-1", line("LAMP", 4, cancelled=1), line("BULB", 1, 2), said=MORNING + 3 * HOUR, payment="Paid"),
        order("A-1", line("LAMP", 4, cancelled=1), line("BULB", 1, 2, cancelled=1), said=MORNING + 4 * HOUR),
    ]
    home = books.home_like(blank_home, tmp_path_factory.mktemp("permuted") / "home")
    with books.opened(home, books.Clock(MORNING - HOUR)) as book:
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")
        books.add_items(book, "LAMP", "BULB")
        books.receive(book, "LAMP", 10)
        books.connect(book)
        for which in arrival:
            record(book, AMAZON, said[which])
        assert counts(book, "A-1") == [("LAMP", 4, 1, 0), ("BULB", 1, 1, 0)]
        assert state(book, "A-1") == "ready"
        assert held(book, "A-1") == [("LAMP", "Main", 3, 0), ("BULB", None, 0, 0)]
        assert books.findings(book) == []


# ---- every change arrives --------------------------------------------------------------------------------


def test_a_pending_order_reserves_its_units_but_is_not_shipped_until_it_is_paid(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3), state="pending", channel_status="PENDING"))
    assert state(lamps, "A-1") == "pending"
    assert available(lamps, "LAMP") == 7
    with pytest.raises(Exception, match="not paid yet"):
        books.ship(lamps, "A-1")
    record(lamps, AMAZON, order("A-1", line("LAMP", 3), said=MORNING + HOUR, payment="Paid"))
    assert state(lamps, "A-1") == "ready"
    books.ship(lamps, "A-1")


def test_H80_a_paid_order_has_the_comment_Paid_once(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3), payment="Paid"))
    record(lamps, AMAZON, order("A-1", line("LAMP", 2), said=MORNING + HOUR, payment="Paid"))
    assert [row[1] for row in views.order_comments(lamps.home, "A-1").rows] == ["Paid"]


@pytest.mark.parametrize("picked", [False, True])
def test_trap_b_a_smaller_quantity_lets_go_of_the_rest(lamps: Book, picked: bool) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 5)))
    if picked:
        with lamps.transaction() as t:
            orders.pick(t, "A-1")
    record(lamps, AMAZON, order("A-1", line("LAMP", 2), said=MORNING + HOUR))
    assert held(lamps, "A-1") == [("LAMP", "Main", 2, 2 if picked else 0)]
    assert available(lamps, "LAMP") == 8
    record(lamps, AMAZON, order("A-1", line("LAMP", 2, cancelled=1), said=MORNING + 2 * HOUR))
    assert available(lamps, "LAMP") == 9


def test_trap_b_a_larger_quantity_is_reserved_or_waits(lamps: Book, clock: books.Clock) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 5)))
    record(lamps, AMAZON, order("A-1", line("LAMP", 8), said=MORNING + HOUR))
    assert held(lamps, "A-1") == [("LAMP", "Main", 8, 0)]
    record(lamps, AMAZON, order("A-1", line("LAMP", 12), said=MORNING + 2 * HOUR))
    assert held(lamps, "A-1") == [("LAMP", "Main", 8, 0)]
    assert available(lamps, "LAMP") == 0
    books.receive(lamps, "LAMP", 2)
    assert held(lamps, "A-1") == [("LAMP", "Main", 12, 0)]


def test_a_line_that_was_short_and_then_lost_its_shelf_waits_whole_and_is_filled_whole(lamps: Book) -> None:
    books.receive(lamps, "LAMP", 5, "Side")
    with lamps.transaction() as t:
        connections.edit(t, "amazon", warehouses=("Main", "Side"))
    record(lamps, AMAZON, order("A-1", line("LAMP", 10)))
    record(lamps, AMAZON, order("A-1", line("LAMP", 12), said=MORNING + HOUR))
    with lamps.transaction() as t:
        stock.book_count(t, "LAMP", "Main", 4)
    assert held(lamps, "A-1") == [("LAMP", None, 0, 0)]
    books.receive(lamps, "LAMP", 8)
    assert held(lamps, "A-1") == [("LAMP", "Main", 12, 0)]


def test_trap_b_a_line_that_is_added_or_no_longer_named_changes_the_order(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 2)))
    record(lamps, AMAZON, order("A-1", line("LAMP", 2), line("BULB", 4, 2), said=MORNING + HOUR))
    assert held(lamps, "A-1") == [("LAMP", "Main", 2, 0), ("BULB", "Main", 4, 0)]
    record(lamps, AMAZON, order("A-1", line("BULB", 4, 2), said=MORNING + 2 * HOUR))
    assert counts(lamps, "A-1") == [("LAMP", 2, 2, 0), ("BULB", 4, 0, 0)]
    assert available(lamps, "LAMP") == 10


def test_the_channels_own_word_and_dates_are_followed(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 1), ship_by=MORNING + HOUR))
    later = order("A-1", line("LAMP", 1), said=MORNING + HOUR, ship_by=MORNING + 5 * HOUR,
                  channel_status="UNSHIPPED (verified)")  # fmt: skip
    record(lamps, AMAZON, later)
    shown = views.order(lamps.home, "A-1")
    assert shown["channel_status"] == "UNSHIPPED (verified)"
    assert shown["ship_by"] == "2026-03-02 13:00:00.000000"


def test_A13_a_buyers_wish_to_cancel_is_on_the_inbox_until_it_is_dealt_with(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 1)))
    record(lamps, AMAZON, order("A-1", line("LAMP", 1, buyer_wants_cancel="changed my mind"), said=MORNING + HOUR))
    assert ("cancel request", "A-1") in inbox(lamps)
    with lamps.transaction() as t:
        order_changes.cancel(t, "A-1", "buyer_request")
    assert ("cancel request", "A-1") not in inbox(lamps)


def test_a_cancelled_order_that_the_channel_opens_again_is_filled_again(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 2, cancelled=2), state="cancelled"))
    record(lamps, AMAZON, order("A-1", line("LAMP", 2), said=MORNING + HOUR))
    assert state(lamps, "A-1") == "ready"
    assert held(lamps, "A-1") == [("LAMP", "Main", 2, 0)]


# ---- cancelled -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", ["cancelled", "unfulfillable"])
def test_trap_c_an_order_first_seen_cancelled_is_never_live(lamps: Book, ended: Any) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3), state=ended))
    assert state(lamps, "A-1") == "cancelled"
    assert available(lamps, "LAMP") == 10
    assert views.order(lamps.home, "A-1")["open"] == 0


@pytest.mark.parametrize("stage", ["pending", "reserved", "on hold", "picked"])
def test_C13_a_channels_cancellation_at_any_stage_frees_the_units_once(lamps: Book, stage: str) -> None:
    first = "pending" if stage == "pending" else "ready"
    record(lamps, AMAZON, order("A-1", line("LAMP", 3), state=first))
    with lamps.transaction() as t:
        if stage == "picked":
            orders.pick(t, "A-1")
        if stage == "on hold":
            orders.hold(t, "A-1", "wait")
    gone = order("A-1", line("LAMP", 3), said=MORNING + HOUR, state="cancelled")
    record(lamps, AMAZON, gone)
    assert state(lamps, "A-1") == "cancelled"
    assert shelf(lamps, "LAMP") == (10, 0, 0)
    assert available(lamps, "LAMP") == 10
    assert not changes(lamps, gone)


def test_C13_units_that_a_cancellation_frees_go_to_who_waits(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 10)), order("A-2", line("LAMP", 10), at=MORNING + HOUR))
    record(lamps, AMAZON, order("A-1", line("LAMP", 10), said=MORNING + HOUR, state="cancelled"))
    assert held(lamps, "A-2") == [("LAMP", "Main", 10, 0)]


def test_C13_a_cancellation_of_the_open_rest_leaves_what_was_shipped(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3)))
    books.ship(lamps, "A-1", {"LAMP": 1})
    rest = order("A-1", line("LAMP", 3, shipped=1, cancelled=2), said=MORNING + HOUR, state="shipped")
    record(lamps, AMAZON, rest)
    assert counts(lamps, "A-1") == [("LAMP", 3, 2, 1)]
    assert state(lamps, "A-1") == "shipped"
    assert shelf(lamps, "LAMP") == (9, 0, 0)


@pytest.mark.parametrize("completed", [False, True])
def test_a_cancellation_after_the_package_left_is_a_matter_for_a_person(lamps: Book, completed: bool) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3)))
    books.ship(lamps, "A-1")
    if completed:
        with lamps.transaction() as t:
            orders.complete(t, "A-1")
    record(lamps, AMAZON, order("A-1", line("LAMP", 3, cancelled=3), said=MORNING + HOUR, state="cancelled"))
    assert ("late cancel", "A-1") in inbox(lamps)
    assert state(lamps, "A-1") == ("completed" if completed else "shipped")
    assert shelf(lamps, "LAMP") == (7, 0, 0)


# ---- odd ones --------------------------------------------------------------------------------------------


def test_a_replacement_order_of_price_0_is_an_order_like_any_other(lamps: Book) -> None:
    from zenv.facts import Money, OrderLineFact

    free = OrderLineFact("L1", "LAMP", 1, price=Money(0, "EUR"))
    record(lamps, AMAZON, order("A-2", free, total=Money(0, "EUR"), replaces="A-1"))
    assert held(lamps, "A-2") == [("LAMP", "Main", 1, 0)]
    assert views.order(lamps.home, "A-2")["total"] == 0
    assert books.dicts(views.order_lines(lamps.home, "A-2"))[0]["price"] == 0


def test_A19_two_sellers_may_have_the_same_order_number_and_so_may_a_manual_order(lamps: Book) -> None:
    second = books.connect(lamps, "second")
    assert books.make_order(lamps, ("LAMP", 1), number="A-1") == "A-1"
    record(lamps, AMAZON, order("A-1", line("LAMP", 2)))
    record(lamps, second, order("A-1", line("LAMP", 3)))
    numbers = [row[0] for row in views.orders(lamps.home, search="A-1").rows]
    assert len(set(numbers)) == 3
    assert available(lamps, "LAMP") == 4
    record(lamps, second, order("A-1", line("LAMP", 1), said=MORNING + HOUR))
    assert available(lamps, "LAMP") == 6


def test_control_characters_of_a_channel_do_not_reach_the_books(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 1, name="La\x1b[31mmp")))
    assert books.dicts(views.order_lines(lamps.home, "A-1"))[0]["name"] == "La[31mmp"


def test_a_page_that_cannot_be_recorded_leaves_nothing_behind(lamps: Book) -> None:
    from sqlalchemy.exc import IntegrityError

    with pytest.raises(IntegrityError):
        record(lamps, AMAZON, order("A-1", line("LAMP", 1)), order("A-2", line("LAMP", 1), line("BULB", 1)))
    assert views.orders(lamps.home).rows == []
    assert available(lamps, "LAMP") == 10


def test_an_empty_page_is_nothing(lamps: Book) -> None:
    assert record(lamps, AMAZON) == 0


def test_an_order_without_lines_is_kept(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", state="pending"))
    assert state(lamps, "A-1") == "pending"
    record(lamps, AMAZON, order("A-1", line("LAMP", 1), said=MORNING + HOUR))
    assert held(lamps, "A-1") == [("LAMP", "Main", 1, 0)]


def test_the_newest_orders_are_shown_first_and_found_by_a_part_of_their_number(lamps: Book) -> None:
    record(lamps, AMAZON, *(order(f"A-{n}", line("LAMP", 1), at=MORNING + n * HOUR) for n in range(3)))
    assert [row[0] for row in views.orders(lamps.home).rows] == ["A-2", "A-1", "A-0"]
    assert [row[0] for row in views.orders(lamps.home, search="-1").rows] == ["A-1"]
    assert views.orders(lamps.home, search="%").rows == []
