"""Orders as a person handles them: every state, who gets the stock, and stock let go of exactly once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import books
from tests.books import ask, available, do, held, make_order, shelf, ship, state
from zenv.errors import BadInput, NotFound, Refused, ZenvError
from zenv.ledger import order_changes, orders, stock, views
from zenv.ledger.book import Book
from zenv.ledger.orders import NewLine, NewOrder, NewPackage


@pytest.fixture
def lamps(book: Book) -> Book:
    """LAMP and BULB, ten of each in Main."""
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 10)
    books.receive(book, "BULB", 10)
    return book


# ---- making ----------------------------------------------------------------------------------------------


def test_a_new_order_reserves_its_units_and_they_stay_on_the_shelf(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 3), ("BULB", 1))
    assert state(lamps, number) == "ready"
    assert held(lamps, number) == [("LAMP", "Main", 3, 0), ("BULB", "Main", 1, 0)]
    assert shelf(lamps, "LAMP") == (10, 0, 0)
    assert available(lamps, "LAMP") == 7


def test_manual_orders_are_numbered_on_and_a_given_number_is_kept(lamps: Book) -> None:
    assert make_order(lamps, ("LAMP", 1)) == "M-1"
    assert make_order(lamps, ("LAMP", 1), number="M-3") == "M-3"
    assert make_order(lamps, ("LAMP", 1)) == "M-4"
    assert make_order(lamps, ("LAMP", 1), number=" shop/7 ") == "shop/7"
    with pytest.raises(Refused, match="shop/7 already"):
        make_order(lamps, ("LAMP", 1), number="shop/7")


@pytest.mark.parametrize("wrong", [[], [NewLine("LAMP", 0)], [NewLine("LAMP", -1)], [NewLine("LAMP", 10**10)],
                                   [NewLine("LAMP", 1, price=-1)], [NewLine("LAMP", 1, price=2**63)]])  # fmt: skip
def test_a_senseless_order_is_refused_whole(lamps: Book, wrong: list[NewLine]) -> None:
    with pytest.raises(BadInput):
        do(lamps, orders.create_order, NewOrder([NewLine("BULB", 1), *wrong] if wrong else []))
    assert views.orders(lamps.home).rows == []
    assert available(lamps, "BULB") == 10


def test_an_order_of_an_unknown_sku_is_refused_whole(lamps: Book) -> None:
    with pytest.raises(NotFound, match="NOPE"):
        make_order(lamps, ("LAMP", 1), ("NOPE", 1))
    assert views.orders(lamps.home).rows == []


def test_the_total_of_a_manual_order_is_the_sum_of_its_prices_or_unknown(lamps: Book) -> None:
    priced = do(lamps, orders.create_order, NewOrder([NewLine("LAMP", 1, 500), NewLine("BULB", 2, 0)], currency="EUR"))
    unpriced = do(lamps, orders.create_order, NewOrder([NewLine("LAMP", 1, 500), NewLine("BULB", 2)], currency="EUR"))
    assert views.order(lamps.home, priced)["total"] == 500
    assert views.order(lamps.home, unpriced)["total"] is None


# ---- who gets the stock ----------------------------------------------------------------------------------


def test_warehouses_are_used_in_the_order_of_their_rank(lamps: Book) -> None:
    books.receive(lamps, "LAMP", 10, "Side")
    do(lamps, stock.edit_warehouse, "Side", rank=1)
    assert held(lamps, make_order(lamps, ("LAMP", 1))) == [("LAMP", "Side", 1, 0)]


def test_a_line_comes_whole_from_one_warehouse(lamps: Book) -> None:
    books.receive(lamps, "LAMP", 12, "Side")
    assert held(lamps, make_order(lamps, ("LAMP", 11))) == [("LAMP", "Side", 11, 0)]
    assert held(lamps, make_order(lamps, ("LAMP", 11))) == [("LAMP", None, 0, 0)]


def test_a_line_too_large_for_any_shelf_does_not_hold_up_younger_ones(lamps: Book, clock: books.Clock) -> None:
    large = make_order(lamps, ("LAMP", 99))
    clock.later(minutes=1)
    small = make_order(lamps, ("LAMP", 2))
    assert held(lamps, large) == [("LAMP", None, 0, 0)]
    assert held(lamps, small) == [("LAMP", "Main", 2, 0)]
    assert available(lamps, "LAMP") == 0  # somebody waits for more than there is
    assert ("backorder", large) in books.inbox(lamps)


def test_stock_that_arrives_goes_to_the_oldest_order(lamps: Book, clock: books.Clock) -> None:
    books.add_items(lamps, "NEW")
    first = make_order(lamps, ("NEW", 2))
    clock.later(minutes=1)
    second = make_order(lamps, ("NEW", 2))
    books.receive(lamps, "NEW", 2)
    assert (held(lamps, first), held(lamps, second)) == ([("NEW", "Main", 2, 0)], [("NEW", None, 0, 0)])
    books.receive(lamps, "NEW", 2)
    assert held(lamps, second) == [("NEW", "Main", 2, 0)]


@pytest.mark.parametrize("freed_by", ["receive", "adjust", "count", "cancel", "arrive", "deallocate"])
def test_a_waiting_order_is_filled_as_soon_as_units_become_free(lamps: Book, clock: books.Clock, freed_by: str) -> None:
    books.receive(lamps, "LAMP", 4, "Side")
    first = make_order(lamps, ("LAMP", 9))
    clock.later(minutes=1)
    waiting = make_order(lamps, ("LAMP", 6))
    assert held(lamps, waiting) == [("LAMP", None, 0, 0)]
    match freed_by:
        case "receive":
            books.receive(lamps, "LAMP", 5)
        case "adjust":
            do(lamps, stock.adjust, "LAMP", "Main", 5, "found")
        case "count":
            do(lamps, stock.book_count, "LAMP", "Main", 15)
        case "cancel":
            do(lamps, order_changes.cancel, first, "no_stock")
        case "arrive":
            number = do(lamps, stock.transfer, "LAMP", "Side", "Main", 4)
            do(lamps, stock.adjust, "LAMP", "Main", 1, "found")
            assert held(lamps, waiting) == [("LAMP", None, 0, 0)]
            do(lamps, stock.arrive, number)
        case "deallocate":
            do(lamps, orders.deallocate, first)
            assert do(lamps, orders.allocate, waiting, "Main") == 1
    assert held(lamps, waiting) == [("LAMP", "Main", 6, 0)]


def test_a_waiting_order_is_not_filled_by_units_that_went_back_reserved(lamps: Book, clock: books.Clock) -> None:
    first = make_order(lamps, ("LAMP", 9))
    do(lamps, orders.pick, first)
    clock.later(minutes=1)
    waiting = make_order(lamps, ("LAMP", 2))
    do(lamps, orders.unpick, first)
    assert held(lamps, first) == [("LAMP", "Main", 9, 0)]
    assert held(lamps, waiting) == [("LAMP", None, 0, 0)]


@pytest.mark.parametrize("lowered_by", ["count", "adjust", "transfer"])
def test_a_shelf_that_holds_less_than_is_reserved_takes_back_the_youngest(
    lamps: Book, clock: books.Clock, lowered_by: str
) -> None:
    numbers = []
    for _ in range(3):
        numbers.append(make_order(lamps, ("LAMP", 3)))
        clock.later(minutes=1)
    match lowered_by:
        case "count":
            do(lamps, stock.book_count, "LAMP", "Main", 7)
        case "adjust":
            do(lamps, stock.adjust, "LAMP", "Main", -3, "lost")
        case "transfer":
            do(lamps, stock.transfer, "LAMP", "Main", "Side", 3)
    warehouses = [held(lamps, number)[0][1] for number in numbers]
    assert warehouses == ["Main", "Main", None]
    assert state(lamps, numbers[2]) == "ready"
    assert ("backorder", numbers[2]) in books.inbox(lamps)


def test_an_order_whose_stock_was_taken_back_is_filled_from_the_next_warehouse(lamps: Book) -> None:
    books.receive(lamps, "LAMP", 5, "Side")
    number = make_order(lamps, ("LAMP", 5))
    do(lamps, stock.book_count, "LAMP", "Main", 4)
    assert held(lamps, number) == [("LAMP", "Side", 5, 0)]


def test_units_in_the_pickers_hands_are_not_taken_back_by_a_count_of_the_shelf(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 6))
    do(lamps, orders.pick, number)
    do(lamps, stock.book_count, "LAMP", "Main", 0)
    assert held(lamps, number) == [("LAMP", "Main", 6, 6)]
    assert shelf(lamps, "LAMP") == (0, 6, 0)
    ship(lamps, number)
    assert state(lamps, number) == "shipped"


# ---- allocating by hand ----------------------------------------------------------------------------------


def test_an_order_can_be_moved_to_a_chosen_warehouse_if_that_has_its_units(lamps: Book) -> None:
    books.receive(lamps, "LAMP", 3, "Side")
    number = make_order(lamps, ("LAMP", 3))
    assert do(lamps, orders.allocate, number, "Side") == 1
    assert held(lamps, number) == [("LAMP", "Side", 3, 0)]
    with pytest.raises(Refused, match="nothing was changed"):
        do(lamps, orders.allocate, make_order(lamps, ("LAMP", 1)), "Side")


def test_allocating_what_waits_reports_how_many_lines_have_their_stock(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 11), ("BULB", 1))
    assert do(lamps, orders.allocate, number) == 1
    do(lamps, stock.adjust, "LAMP", "Main", 1, "found")
    assert do(lamps, orders.allocate, number) == 2


@pytest.mark.parametrize("picked", [False, True])
def test_a_deallocated_order_gives_up_its_units_picked_or_not_and_waits(lamps: Book, picked: bool) -> None:
    number = make_order(lamps, ("LAMP", 3))
    if picked:
        do(lamps, orders.pick, number)
    do(lamps, orders.deallocate, number)
    assert held(lamps, number) == [("LAMP", None, 0, 0)]
    assert shelf(lamps, "LAMP") == (10, 0, 0)
    assert available(lamps, "LAMP") == 7  # it is still wanted, so it is not offered


# ---- on hold ---------------------------------------------------------------------------------------------


def test_an_order_on_hold_keeps_its_stock_and_is_not_picked_or_shipped(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 3))
    do(lamps, orders.hold, number, "address looks odd")
    assert state(lamps, number) == "on hold"
    assert held(lamps, number) == [("LAMP", "Main", 3, 0)]
    for forbidden in (lambda: do(lamps, orders.pick, number), lambda: ship(lamps, number)):
        with pytest.raises(Refused, match="address looks odd") as refused:
            forbidden()
        assert refused.value.hint == f"zenv orders release {number}"
    do(lamps, orders.release, number)
    assert state(lamps, number) == "ready"
    ship(lamps, number)


def test_a_hold_needs_a_reason_and_a_release_needs_a_hold(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 1))
    for nothing in ("", " ", "\x07"):
        with pytest.raises(BadInput, match="reason"):
            do(lamps, orders.hold, number, nothing)
    with pytest.raises(Refused, match="not on hold"):
        do(lamps, orders.release, number)


# ---- what cannot be done ---------------------------------------------------------------------------------

CHANGES = {
    "hold": lambda t, number: orders.hold(t, number, "why"),
    "release": orders.release,
    "allocate": orders.allocate,
    "deallocate": orders.deallocate,
    "pick": orders.pick,
    "unpick": orders.unpick,
    "ship": lambda t, number: orders.ship(t, number, [NewPackage("DHL", "T")]),
    "cancel": lambda t, number: order_changes.cancel(t, number, "no_stock"),
}


def test_H33_an_order_the_channel_fulfils_can_only_be_read(lamps: Book) -> None:
    connection = books.connect(lamps)
    books.record(lamps, connection, books.order("A-1", books.line("LAMP", 4), fulfilled_by="channel"))
    for change in CHANGES.values():
        with pytest.raises(Refused, match="fulfilled by the channel"):
            do(lamps, change, "A-1")
    assert available(lamps, "LAMP") == 10
    assert held(lamps, "A-1") == [("LAMP", None, 0, 0)]


@pytest.mark.parametrize("ended", ["shipped", "completed", "cancelled"])
def test_an_order_that_has_ended_is_not_changed(lamps: Book, ended: str) -> None:
    number = make_order(lamps, ("LAMP", 1))
    if ended == "cancelled":
        do(lamps, order_changes.cancel, number, "no_stock")
    else:
        ship(lamps, number)
    if ended == "completed":
        do(lamps, orders.complete, number)
    before = ask(lamps, "SELECT * FROM movement")
    for change in CHANGES.values():
        with pytest.raises(Refused, match=ended):
            do(lamps, change, number)
    assert ask(lamps, "SELECT * FROM movement") == before


def test_an_unknown_order_is_named_whatever_is_asked_of_it(lamps: Book) -> None:
    for change in CHANGES.values():
        with pytest.raises(NotFound, match="'NOPE'"):
            do(lamps, change, "NOPE")


def test_H79_a_comment_stands_under_its_order_once(lamps: Book) -> None:
    number = make_order(lamps, ("LAMP", 1))
    do(lamps, orders.comment, number, "called\nback")
    do(lamps, orders.comment, number, "called back")
    with pytest.raises(BadInput):
        do(lamps, orders.comment, number, "\x07")
    assert [row[1] for row in views.order_comments(lamps.home, number).rows] == ["called back"]


# ---- arithmetic ------------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from(["order", "order", "receive", "count", "pick", "unpick", "ship", "cancel", "part", "deallocate",
                         "allocate", "move"]),
        st.integers(0, 5),
        st.integers(1, 6),
    ),
    min_size=3,
    max_size=25,
)  # fmt: skip


def step(book: Book, kind: str, which: int, units: int) -> None:
    number = f"M-{which + 1}"
    with book.transaction() as t:
        match kind:
            case "order":
                orders.create_order(t, NewOrder([NewLine("LAMP", units), NewLine("BULB", 1)]))
            case "receive":
                stock.receive(t, "LAMP", ("Main", "Side")[which % 2], units)
            case "count":
                stock.book_count(t, "LAMP", ("Main", "Side")[which % 2], units)
            case "move":
                stock.transfer(t, "LAMP", "Main", "Side", units, arrives_now=True)
            case "ship":
                orders.ship(t, number, [NewPackage("DHL", "T", lines={"LAMP": units}, warehouse="Main")])
            case "part":
                order_changes.cancel(t, number, "no_stock", {"LAMP": units})
            case "cancel":
                order_changes.cancel(t, number, "no_stock")
            case "allocate":
                orders.allocate(t, number, (None, "Main", "Side")[units % 3])
            case _:
                getattr(orders, kind)(t, number)


@given(steps)
def test_C13_whatever_is_done_to_orders_no_unit_is_reserved_twice_or_lost(
    blank_home: Path, tmp_path_factory: pytest.TempPathFactory, done: list[tuple[str, int, int]]
) -> None:
    home, clock = books.home_like(blank_home, tmp_path_factory.mktemp("orders") / "home"), books.Clock()
    with books.opened(home, clock) as book:
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")
            stock.add_warehouse(t, "Side", rank=200)
        books.add_items(book, "LAMP", "BULB")
        for one in done:
            with suppress(ZenvError):  # refused: nothing may have changed
                step(book, *one)
            clock.later(minutes=1)
            assert books.findings(book) == []
        nobody_waits_for_what_is_free(book)


def nobody_waits_for_what_is_free(book: Book) -> None:
    """After everything of the item is looked at once more, no waiting line would fit on a shelf."""
    with book.transaction() as t:
        stock.receive(t, "BULB", "Side", 1)
        stock.receive(t, "LAMP", "Side", 1)
    free = {row["warehouse"]: row["on_hand"] for row in books.dicts(views.levels(book.home, "LAMP"))}
    for warehouse, units in ask(
        book, "SELECT w.name, SUM(r.quantity - r.picked) FROM reservation r JOIN warehouse w ON w.id = r.warehouse_id"
              " JOIN item i ON i.id = r.item_id WHERE i.sku = 'LAMP' GROUP BY w.id"
    ):  # fmt: skip
        free[warehouse] -= units
    waiting = [row[0] for row in ask(book, "SELECT open FROM open_lines WHERE sku = 'LAMP' AND reserved = 0")]
    assert all(units > max(free.values()) for units in waiting)
