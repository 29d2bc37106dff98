"""Orders on their way out: picked, shipped in packages, or cancelled, and stock let go of exactly once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import books
from tests.books import available, counts, do, held, make_order, shelf, ship, state
from zenv.errors import BadInput, Refused
from zenv.ledger import order_changes, orders, views
from zenv.ledger.book import Book
from zenv.ledger.orders import NewPackage


@pytest.fixture
def lamps(book: Book) -> Book:
    """LAMP and BULB, ten of each in Main."""
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 10)
    books.receive(book, "BULB", 10)
    return book


# ---- picking and shipping --------------------------------------------------------------------------------


def test_picking_moves_the_units_off_the_shelf_and_unpicking_brings_them_back(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 3), ("BULB", 2))
    assert do(lamps, orders.pick, number) == 5
    assert shelf(lamps, "LAMP") == (7, 3, 0)
    assert available(lamps, "LAMP") == 7
    with pytest.raises(Refused, match="waiting to be picked"):
        do(lamps, orders.pick, number)
    do(lamps, orders.unpick, number)
    assert shelf(lamps, "LAMP") == (10, 0, 0)
    assert held(lamps, number) == [("LAMP", "Main", 3, 0), ("BULB", "Main", 2, 0)]


def test_a_shipped_order_has_left_the_shelf_and_can_be_completed_once_shipped(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 3))
    with pytest.raises(Refused, match="only a shipped order"):
        do(lamps, orders.complete, number)
    assert ship(lamps, number) == "1"
    assert state(lamps, number) == "shipped"
    assert shelf(lamps, "LAMP") == (7, 0, 0)
    assert available(lamps, "LAMP") == 7
    do(lamps, orders.complete, number)
    do(lamps, orders.complete, number)
    assert state(lamps, number) == "completed"
    assert views.order(lamps.home, number)["completed_at"] is not None


def test_a_picked_order_ships_from_the_pickers_hands(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 3))
    do(lamps, orders.pick, number)
    ship(lamps, number)
    assert shelf(lamps, "LAMP") == (7, 0, 0)
    assert books.movements(lamps, "LAMP") == [("received", 10), ("picked", 3), ("shipped", 3)]


def test_an_order_ships_in_parts_and_each_package_has_its_number(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 3), ("BULB", 2))
    do(lamps, orders.pick, number)
    assert ship(lamps, number, {"LAMP": 2}) == "1"
    assert state(lamps, number) == "part_shipped"
    assert held(lamps, number) == [("LAMP", "Main", 1, 1), ("BULB", "Main", 2, 2)]
    assert ship(lamps, number, {"LAMP": 1, "BULB": 1}) == "2"
    assert state(lamps, number) == "part_shipped"
    assert ship(lamps, number) == "3"
    assert state(lamps, number) == "shipped"
    assert counts(lamps, number) == [("LAMP", 3, 0, 3), ("BULB", 2, 0, 2)]
    assert (shelf(lamps, "LAMP"), shelf(lamps, "BULB")) == ((7, 0, 0), (8, 0, 0))
    assert [row["units"] for row in books.dicts(views.shipments(lamps.home, number))] == [2, 2, 1]


def test_several_packages_leave_in_one_go_or_not_at_all(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 3))
    two = [NewPackage("DHL", "T1", lines={"LAMP": 1}), NewPackage("DHL", "T2", lines={"LAMP": 2})]
    assert do(lamps, orders.ship, number, two) == ["1", "2"]
    assert state(lamps, number) == "shipped"
    other = make_order(lamps, ("LAMP", 3))
    too_many = [NewPackage("DHL", "T1", lines={"LAMP": 2}), NewPackage("DHL", "T2", lines={"LAMP": 2})]
    with pytest.raises(BadInput, match="1 x LAMP"):
        do(lamps, orders.ship, other, too_many)
    assert counts(lamps, other) == [("LAMP", 3, 0, 0)]
    assert shelf(lamps, "LAMP") == (7, 0, 0)


def test_two_lines_of_one_sku_are_shipped_in_their_order(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 2), ("LAMP", 2))
    ship(lamps, number, {"LAMP": 3})
    assert counts(lamps, number) == [("LAMP", 2, 0, 2), ("LAMP", 2, 0, 1)]


@pytest.mark.parametrize("lines", [{"LAMP": 4}, {"LAMP": 0}, {"LAMP": -1}, {"NOPE": 1}, {}, {"LAMP": 1, "BULB": -2}])
def test_a_package_holds_only_what_is_open(lamps: Book, lines: dict[str, int]) -> None:
    number = make_order(lamps, ("LAMP", 3), ("BULB", 3))
    with pytest.raises(BadInput):
        ship(lamps, number, lines)
    assert counts(lamps, number) == [("LAMP", 3, 0, 0), ("BULB", 3, 0, 0)]
    assert shelf(lamps, "LAMP") == (10, 0, 0)


def test_an_order_without_stock_is_not_shipped_from_nowhere(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 11))
    with pytest.raises(Refused, match="not that many units"):
        ship(lamps, number, warehouse="Main")
    with pytest.raises(BadInput, match="Main, Side"):
        ship(lamps, number)
    ship(lamps, number, {"LAMP": 10}, warehouse="Main")
    assert state(lamps, number) == "part_shipped"
    assert shelf(lamps, "LAMP") == (0, 0, 0)


def test_a_package_that_takes_units_another_order_had_reserved_leaves_that_order_waiting(
    lamps: Book, clock: books.Clock
) -> None:
    large = make_order(lamps, ("LAMP", 11))
    clock.later(minutes=1)
    small = make_order(lamps, ("LAMP", 2))
    ship(lamps, large, {"LAMP": 9}, warehouse="Main")
    assert held(lamps, small) == [("LAMP", None, 0, 0)]
    assert available(lamps, "LAMP") == 0


def test_a_package_cannot_have_left_in_the_future(lamps: Book, clock: books.Clock) -> None:
    number = make_order(lamps, ("LAMP", 1))
    with pytest.raises(BadInput, match="future"):
        ship(lamps, number, shipped_at=clock.now + timedelta(seconds=1))
    ship(lamps, number, shipped_at=clock.now - timedelta(days=1))


@pytest.mark.parametrize(("carrier", "tracking"), [("", "T1"), ("DHL", ""), ("\x07", "T1"), ("DHL", " ")])
def test_A7_a_channel_is_told_carrier_and_tracking_so_a_package_without_them_is_refused(
    lamps: Book, carrier: str, tracking: str
) -> None:
    connection = books.connect(lamps)
    books.record(lamps, connection, books.order("A-1", books.line("LAMP", 1)))
    with pytest.raises(BadInput, match="carrier and a tracking"):
        do(lamps, orders.ship, "A-1", [NewPackage(carrier, tracking)])
    manual = make_order(lamps, ("LAMP", 1))
    do(lamps, orders.ship, manual, [NewPackage(carrier, tracking)])


def test_H78_a_package_of_a_channels_order_is_owed_to_it_and_a_manual_one_to_nobody(lamps: Book) -> None:
    connection = books.connect(lamps)
    books.record(lamps, connection, books.order("A-1", books.line("LAMP", 2)))
    ship(lamps, "A-1", {"LAMP": 1})
    ship(lamps, "A-1", {"LAMP": 1}, tracking="T2")
    ship(lamps, make_order(lamps, ("LAMP", 1)))
    assert books.owed(lamps) == {("shipment", "A-1/1", "pending"), ("shipment", "A-1/2", "pending")}
    first, second = books.to_send(lamps, connection, "shipment")
    assert (first.order, first.reference, first.tracking, first.lines) == ("A-1", "1", "T1", (("L1", 1),))
    assert (second.reference, second.tracking, second.shipped_at) == ("2", "T2", books.MORNING)


def test_a_line_linked_to_no_item_is_not_shipped(lamps: Book) -> None:
    connection = books.connect(lamps)
    books.record(lamps, connection, books.order("A-1", books.line("UNKNOWN", 1)))
    with pytest.raises(Refused, match="linked to no item"):
        ship(lamps, "A-1")


# ---- cancelling ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["waiting", "reserved", "on hold", "picked", "part shipped", "part picked"])
def test_C13_a_manual_order_cancelled_at_any_stage_lets_go_of_its_units_exactly_once(lamps: Book, stage: str) -> None:
    number = make_order(lamps, ("LAMP", 11 if stage == "waiting" else 4))
    if stage == "on hold":
        do(lamps, orders.hold, number, "wait")
    if stage in ("picked", "part shipped", "part picked"):
        do(lamps, orders.pick, number)
    if stage == "part shipped":
        ship(lamps, number, {"LAMP": 1})
    if stage == "part picked":
        do(lamps, order_changes.cancel, number, "buyer_request", {"LAMP": 1})
    assert do(lamps, order_changes.cancel, number, "buyer_request") == "cancelled"
    left = 1 if stage == "part shipped" else 0
    assert state(lamps, number) == ("shipped" if left else "cancelled")
    assert shelf(lamps, "LAMP") == (10 - left, 0, 0)
    assert available(lamps, "LAMP") == 10 - left
    with pytest.raises(Refused):
        do(lamps, order_changes.cancel, number, "buyer_request")
    assert shelf(lamps, "LAMP") == (10 - left, 0, 0)


def test_part_of_a_manual_order_is_cancelled(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 4), ("BULB", 1))
    do(lamps, orders.pick, number)
    do(lamps, order_changes.cancel, number, "no_stock", {"LAMP": 3})
    assert state(lamps, number) == "ready"
    assert counts(lamps, number) == [("LAMP", 4, 3, 0), ("BULB", 1, 0, 0)]
    assert held(lamps, number) == [("LAMP", "Main", 1, 1), ("BULB", "Main", 1, 1)]
    assert shelf(lamps, "LAMP") == (9, 1, 0)


@pytest.mark.parametrize("units", [{"LAMP": 5}, {"LAMP": -1}, {"NOPE": 1}, {"LAMP": 0}, {}])
def test_only_open_units_can_be_cancelled(lamps: Book, units: dict[str, int]) -> None:
    number = make_order(lamps, ("LAMP", 4))
    do(lamps, order_changes.cancel, number, "no_stock", {"LAMP": 1})
    with pytest.raises(BadInput):
        do(lamps, order_changes.cancel, number, "no_stock", units)
    assert counts(lamps, number) == [("LAMP", 4, 1, 0)]


def test_a_cancellation_names_one_of_the_reasons_channels_know(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 1))
    with pytest.raises(BadInput, match="no reason") as refused:
        do(lamps, order_changes.cancel, number, "bored")
    assert "buyer_request" in refused.value.hint


def test_a_channels_order_keeps_its_stock_until_the_channel_says_it_is_cancelled(lamps: Book) -> None:
    connection = books.connect(lamps)
    books.record(lamps, connection, books.order("A-1", books.line("LAMP", 4)))
    assert do(lamps, order_changes.cancel, "A-1", "no_stock") == "requested"
    assert state(lamps, "A-1") == "cancelling"
    assert held(lamps, "A-1") == [("LAMP", "Main", 4, 0)]
    for forbidden in (lambda: ship(lamps, "A-1"), lambda: do(lamps, order_changes.cancel, "A-1", "no_stock"),
                      lambda: do(lamps, orders.pick, "A-1")):  # fmt: skip
        with pytest.raises(Refused, match="being cancelled"):
            forbidden()
    (sent,) = books.send(lamps, connection, "cancellation")
    assert (sent.order, sent.lines, sent.reason) == ("A-1", ("L1",), "no_stock")
    assert state(lamps, "A-1") == "cancelling"
    assert held(lamps, "A-1") == [("LAMP", "Main", 4, 0)]
    with pytest.raises(Refused, match="being cancelled"):
        ship(lamps, "A-1")
    later = books.MORNING + timedelta(hours=1)
    gone = books.order("A-1", books.line("LAMP", 4, cancelled=4), said=later, state="cancelled")
    books.record(lamps, connection, gone)
    assert state(lamps, "A-1") == "cancelled"
    assert held(lamps, "A-1") == [("LAMP", None, 0, 0)]
    assert available(lamps, "LAMP") == 10


def test_a_refused_cancellation_is_on_the_inbox_and_the_order_goes_on(lamps: Book) -> None:
    connection = books.connect(lamps)
    books.record(lamps, connection, books.order("A-1", books.line("LAMP", 4)))
    do(lamps, order_changes.cancel, "A-1", "no_stock")
    books.send(lamps, connection, "cancellation", "refused", reason="too late")
    assert ("cancel refused", "A-1") in books.inbox(lamps)
    assert state(lamps, "A-1") == "ready"
    ship(lamps, "A-1")
    assert state(lamps, "A-1") == "shipped"
    assert ("cancel refused", "A-1") not in books.inbox(lamps)


def test_a_refused_cancellation_can_be_asked_for_again(lamps: Book) -> None:
    connection = books.connect(lamps)
    books.record(lamps, connection, books.order("A-1", books.line("LAMP", 4)))
    do(lamps, order_changes.cancel, "A-1", "no_stock")
    books.send(lamps, connection, "cancellation", "refused")
    do(lamps, order_changes.cancel, "A-1", "buyer_request")
    (again,) = books.send(lamps, connection, "cancellation")
    assert again.reason == "buyer_request"


def test_a_channels_order_is_not_cancelled_in_part_or_once_part_has_left(lamps: Book) -> None:
    connection = books.connect(lamps)
    books.record(lamps, connection, books.order("A-1", books.line("LAMP", 4)))
    with pytest.raises(Refused, match="whole orders only"):
        do(lamps, order_changes.cancel, "A-1", "no_stock", {"LAMP": 1})
    ship(lamps, "A-1", {"LAMP": 1})
    with pytest.raises(Refused, match="has been shipped"):
        do(lamps, order_changes.cancel, "A-1", "no_stock")
