"""What a channel says of orders we did not ship, that ended before our time, or that name what we do not know."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

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
    owed,
    package,
    record,
    shelf,
    state,
)
from zenv.ledger import connections, listings, orders, views
from zenv.ledger.book import Book

BEFORE = MORNING - timedelta(days=1)


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


# ---- shipped without us ----------------------------------------------------------------------------------


def test_what_was_shipped_elsewhere_leaves_the_shelf_once_and_is_told_to_nobody(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3)))
    gone = order("A-1", line("LAMP", 3, shipped=3), said=MORNING + HOUR, state="shipped",
                 packages=(package("77", "T9"),))  # fmt: skip
    record(lamps, AMAZON, gone)
    assert state(lamps, "A-1") == "shipped"
    assert shelf(lamps, "LAMP") == (7, 0, 0)
    (shown,) = books.dicts(views.shipments(lamps.home, "A-1"))
    assert (shown["package"], shown["tracking"], shown["units"], shown["told"]) == ("77", "T9", 3, "shipped elsewhere")
    assert {kind for kind, _, _ in owed(lamps)} <= {"stock_level"}
    assert not changes(lamps, gone)
    again = order("A-1", line("LAMP", 3, shipped=3), said=MORNING + 2 * HOUR, state="shipped",
                  packages=(package("77", "T9", "OUT_FOR_DELIVERY"),))  # fmt: skip
    record(lamps, AMAZON, again)
    assert shelf(lamps, "LAMP") == (7, 0, 0)
    assert len(views.shipments(lamps.home, "A-1").rows) == 1


def test_what_was_picked_and_then_shipped_elsewhere_leaves_the_pickers_hands(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3)))
    with lamps.transaction() as t:
        orders.pick(t, "A-1")
    record(lamps, AMAZON, order("A-1", line("LAMP", 3, shipped=2), said=MORNING + HOUR, state="part_shipped"))
    assert state(lamps, "A-1") == "part_shipped"
    assert shelf(lamps, "LAMP") == (7, 1, 0)


def test_a_report_that_says_only_shipped_means_all_of_it(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3), line("BULB", 1, 2)))
    record(lamps, AMAZON, order("A-1", line("LAMP", 3), line("BULB", 1, 2), said=MORNING + HOUR, state="shipped"))
    assert counts(lamps, "A-1") == [("LAMP", 3, 0, 3), ("BULB", 1, 0, 1)]


def test_an_order_first_seen_shipped_after_the_opening_leaves_the_shelf(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3, shipped=3), state="shipped"))
    assert state(lamps, "A-1") == "shipped"
    assert shelf(lamps, "LAMP") == (7, 0, 0)


def test_our_own_package_told_back_is_confirmed_and_moves_nothing_again(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3)))
    books.ship(lamps, "A-1", tracking="T1")
    back = order("A-1", line("LAMP", 3, shipped=3), said=MORNING + HOUR, state="shipped",
                 packages=(package("1", "T1"),))  # fmt: skip
    record(lamps, AMAZON, back)
    assert shelf(lamps, "LAMP") == (7, 0, 0)
    (shown,) = books.dicts(views.shipments(lamps.home, "A-1"))
    assert (shown["told"], shown["units"]) == ("confirmed", 3)
    assert books.send(lamps, AMAZON, "shipment") == []
    assert not [kind for kind, _, _ in owed(lamps) if kind == "shipment"]


def test_a_package_of_the_same_number_but_another_tracking_is_not_taken_for_ours(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 3)))
    books.ship(lamps, "A-1", {"LAMP": 1}, tracking="T1")
    told = order("A-1", line("LAMP", 3, shipped=1), said=MORNING + HOUR, state="part_shipped",
                 packages=(package("1", "OTHER"),))  # fmt: skip
    record(lamps, AMAZON, told)
    assert books.dicts(views.shipments(lamps.home, "A-1"))[0]["told"] == "pending"


def test_units_shipped_elsewhere_that_were_not_on_the_shelf_are_on_the_inbox(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 12)))
    record(lamps, AMAZON, order("A-1", line("LAMP", 12, shipped=12), said=MORNING + HOUR, state="shipped"))
    assert shelf(lamps, "LAMP") == (0, 0, 0)
    assert state(lamps, "A-1") == "shipped"
    assert ("short", "A-1/LAMP") in inbox(lamps)


def test_units_shipped_elsewhere_by_two_orders_share_what_the_shelf_held(lamps: Book) -> None:
    record(lamps, AMAZON, *(order(f"A-{n}", line("LAMP", 6, shipped=6), state="shipped") for n in (1, 2)))
    assert shelf(lamps, "LAMP") == (0, 0, 0)
    assert {subject for kind, subject in inbox(lamps) if kind == "short"} == {"A-2/LAMP"}


def test_trap_f_an_order_the_channel_fulfils_takes_nothing_from_our_shelf(lamps: Book) -> None:
    for number, (said, shipped) in enumerate([("ready", 0), ("part_shipped", 1), ("shipped", 3)]):
        told = order("F-1", line("LAMP", 3, shipped=shipped), said=MORNING + number * HOUR, state=said,
                     fulfilled_by="channel")  # fmt: skip
        record(lamps, AMAZON, told)
        assert shelf(lamps, "LAMP") == (10, 0, 0)
        assert available(lamps, "LAMP") == 10
    record(lamps, AMAZON, order("F-2", line("BULB", 3), state="shipped", fulfilled_by="channel"))
    assert state(lamps, "F-1") == state(lamps, "F-2") == "shipped"
    assert counts(lamps, "F-2") == [("BULB", 3, 0, 3)]
    assert shelf(lamps, "BULB") == (10, 0, 0)
    assert not [kind for kind, _ in inbox(lamps) if kind in ("short", "backorder")]
    assert {row["warehouse"] for row in books.dicts(views.shipments(lamps.home, "F-1"))} == {None}


# ---- completed -------------------------------------------------------------------------------------------


def test_F17_an_order_whose_packages_are_all_delivered_is_completed(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 2)))
    books.ship(lamps, "A-1", {"LAMP": 1}, tracking="T1")
    books.ship(lamps, "A-1", {"LAMP": 1}, tracking="T2")
    one = order("A-1", line("LAMP", 2, shipped=2), said=MORNING + HOUR, state="shipped",
                packages=(package("1", "T1", "DELIVERED"), package("2", "T2")))  # fmt: skip
    record(lamps, AMAZON, one)
    assert state(lamps, "A-1") == "shipped"
    both = order("A-1", line("LAMP", 2, shipped=2), said=MORNING + 2 * HOUR, state="shipped",
                 packages=(package("1", "T1", "DELIVERED"), package("2", "T2", "DELIVERED")))  # fmt: skip
    record(lamps, AMAZON, both)
    assert state(lamps, "A-1") == "completed"
    assert views.order(lamps.home, "A-1")["completed_at"] is not None


def test_F17_shipped_elsewhere_and_delivered_may_be_one_piece_of_news(lamps: Book) -> None:
    delivered = (package("1", "T1", "DELIVERED"),)
    record(lamps, AMAZON, order("A-1", line("LAMP", 2)))
    record(lamps, AMAZON, order("A-1", line("LAMP", 2, shipped=2), said=MORNING + HOUR, state="shipped",
                                packages=delivered))  # fmt: skip
    record(lamps, AMAZON, order("A-2", line("LAMP", 2, shipped=2), state="shipped", packages=delivered))
    assert state(lamps, "A-1") == state(lamps, "A-2") == "completed"


def test_a_delivered_package_does_not_complete_an_order_with_open_units(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 2)))
    books.ship(lamps, "A-1", {"LAMP": 1}, tracking="T1")
    record(lamps, AMAZON, order("A-1", line("LAMP", 2, shipped=1), said=MORNING + HOUR, state="part_shipped",
                                packages=(package("1", "T1", "DELIVERED"),)))  # fmt: skip
    assert state(lamps, "A-1") == "part_shipped"


# ---- before our time -------------------------------------------------------------------------------------


def test_H75_orders_that_ended_before_we_began_are_left_out_unless_they_are_wanted(lamps: Book) -> None:
    old = [order("A-1", line("LAMP", 3, shipped=3), at=BEFORE, state="shipped"),
           order("A-2", line("LAMP", 3), at=BEFORE, state="cancelled")]  # fmt: skip
    assert record(lamps, AMAZON, *old) == 0
    assert views.orders(lamps.home).rows == []
    with lamps.transaction() as t:
        connections.edit(t, "amazon", with_fulfilled=True)
    assert record(lamps, AMAZON, *old) == 2
    assert (state(lamps, "A-1"), state(lamps, "A-2")) == ("shipped", "cancelled")
    assert counts(lamps, "A-1") == [("LAMP", 3, 0, 3)]
    assert shelf(lamps, "LAMP") == (10, 0, 0)
    assert views.shipments(lamps.home, "A-1").rows == []


def test_what_had_left_before_the_opening_is_history_and_the_open_rest_is_ours(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 5, shipped=2), at=BEFORE, state="part_shipped"))
    assert state(lamps, "A-1") == "part_shipped"
    assert counts(lamps, "A-1") == [("LAMP", 5, 0, 2)]
    assert shelf(lamps, "LAMP") == (10, 0, 0)
    assert held(lamps, "A-1") == [("LAMP", "Main", 3, 0)]
    record(lamps, AMAZON, order("A-1", line("LAMP", 5, shipped=5), at=BEFORE, said=MORNING + HOUR, state="shipped"))
    assert shelf(lamps, "LAMP") == (7, 0, 0)


def test_H75_news_of_an_old_order_moves_nothing_either(lamps: Book) -> None:
    with lamps.transaction() as t:
        connections.edit(t, "amazon", with_fulfilled=True)
    record(lamps, AMAZON, order("A-1", line("LAMP", 3, shipped=3), at=BEFORE, state="shipped"))
    record(lamps, AMAZON, order("A-1", line("LAMP", 3, shipped=3), at=BEFORE, said=MORNING, state="shipped",
                                packages=(package("1", status="DELIVERED"),)))  # fmt: skip
    assert state(lamps, "A-1") == "completed"
    assert shelf(lamps, "LAMP") == (10, 0, 0)


def test_F6_units_sold_before_the_opening_stock_was_taken_are_on_the_shelf_beside_it(
    book: Book, clock: books.Clock
) -> None:
    books.connect(book, adopt_new=True)
    books.list_(book, AMAZON, "LAMP", quantity=7)
    assert shelf(book, "LAMP") == (7, 0, 0)
    clock.later(minutes=5)
    record(book, AMAZON, order("A-1", line("LAMP", 3), at=MORNING - HOUR))
    assert shelf(book, "LAMP") == (10, 0, 0)
    assert available(book, "LAMP") == 7
    record(book, AMAZON, order("A-1", line("LAMP", 3), at=MORNING - HOUR, said=MORNING, payment="Paid"))
    assert shelf(book, "LAMP") == (10, 0, 0)
    record(book, AMAZON, order("A-2", line("LAMP", 1), at=clock.now))
    assert shelf(book, "LAMP") == (10, 0, 0)
    assert available(book, "LAMP") == 6


@pytest.mark.parametrize("about", [{"state": "cancelled"}, {"state": "shipped"}, {"fulfilled_by": "channel"}])
def test_F6_what_was_no_longer_open_or_not_ours_is_not_added_to_the_opening(book: Book, about: dict[str, Any]) -> None:
    books.connect(book, adopt_new=True, with_fulfilled=True)
    books.list_(book, AMAZON, "LAMP", quantity=7)
    record(book, AMAZON, order("A-1", line("LAMP", 3), at=MORNING - HOUR, **about))
    assert shelf(book, "LAMP") == (7, 0, 0)


# ---- lines without an item -------------------------------------------------------------------------------


def test_trap_d_an_order_of_an_unknown_sku_is_kept_beside_the_others_and_waits(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("MYSTERY", 2), line("LAMP", 1, 2)), order("A-2", line("BULB", 1)))
    assert held(lamps, "A-1") == [("MYSTERY", None, 0, 0), ("LAMP", "Main", 1, 0)]
    assert state(lamps, "A-2") == "ready"
    assert ("unlinked", "amazon") in inbox(lamps)


def test_H23_a_waiting_line_is_filled_when_its_listing_is_linked(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("MYSTERY", 2)))
    with lamps.transaction() as t:
        assert listings.link(t, "MYSTERY", "LAMP") == 1
    assert held(lamps, "A-1") == [("MYSTERY", "Main", 2, 0)]
    assert available(lamps, "LAMP") == 8
    books.ship(lamps, "A-1")
    assert shelf(lamps, "LAMP") == (8, 0, 0)


def test_a_line_shipped_while_it_had_no_item_is_counted_and_told_to_a_person(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("MYSTERY", 2, shipped=2), state="shipped"))
    assert state(lamps, "A-1") == "shipped"
    assert ("unlinked", "A-1/MYSTERY") in inbox(lamps)


def test_a_line_added_later_is_linked_like_any_other(lamps: Book) -> None:
    record(lamps, AMAZON, order("A-1", line("LAMP", 1)))
    record(lamps, AMAZON, order("A-1", line("LAMP", 1), line("MYSTERY", 1, 2), said=MORNING + HOUR))
    assert held(lamps, "A-1") == [("LAMP", "Main", 1, 0), ("MYSTERY", None, 0, 0)]
