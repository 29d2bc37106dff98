"""Purchase orders to an own warehouse: ordered, received in parts, closed; and what is refused."""

from __future__ import annotations

import pytest

from tests import books
from tests.books import do
from tests.zfn.two_books import state
from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import inbounds, mending, orders, stock
from zenv.ledger.book import Book


@pytest.fixture
def lamps(book: Book) -> Book:
    books.add_items(book, "LAMP", "BULB")
    return book


def lines(book: Book, number: str) -> list[tuple[str, int, int, int]]:
    """(SKU, quantity, received, difference) per line."""
    found = "SELECT sku, quantity, received, difference FROM inbound_lines WHERE number = ? ORDER BY line"
    return [tuple(row) for row in books.ask(book, found, number)]  # type: ignore[misc]


def test_goods_that_were_ordered_are_received_and_close_it(lamps: Book) -> None:
    number = do(lamps, inbounds.order, "Main", {"LAMP": 5, "BULB": 2}, supplier="Lamps Ltd")
    assert number == "PO-1" and state(lamps, "PO-1") == ("open", 7, 0, 0)
    assert do(lamps, inbounds.receive, "PO-1", {"LAMP": 3}) == 3
    assert books.shelf(lamps, "LAMP") == (3, 0, 0) and state(lamps, "PO-1")[0] == "open"
    assert do(lamps, inbounds.receive, "PO-1") == 4
    assert books.shelf(lamps, "LAMP") == (5, 0, 0) and books.shelf(lamps, "BULB") == (2, 0, 0)
    assert state(lamps, "PO-1") == ("closed", 7, 0, 7)
    assert {row[0] for row in books.ask(lamps, "SELECT reference FROM movements")} == {"PO-1"}


def test_waiting_orders_are_filled_by_what_arrives(lamps: Book) -> None:
    waiting = books.make_order(lamps, ("LAMP", 2))
    do(lamps, inbounds.order, "Main", {"LAMP": 2})
    do(lamps, inbounds.receive, "PO-1")
    assert books.held(lamps, waiting) == [("LAMP", "Main", 2, 0)]


def test_N12_an_order_that_is_marked_complete_closes_with_less(lamps: Book) -> None:
    do(lamps, inbounds.order, "Main", {"LAMP": 5})
    do(lamps, inbounds.receive, "PO-1", {"LAMP": 3})
    assert do(lamps, inbounds.complete, "PO-1") == 2
    assert state(lamps, "PO-1")[0] == "closed" and lines(lamps, "PO-1") == [("LAMP", 5, 3, -2)]
    with pytest.raises(Refused, match="PO-1 is closed"):
        do(lamps, inbounds.receive, "PO-1")


def test_C19_more_than_was_ordered_may_come_and_is_shown(lamps: Book) -> None:
    do(lamps, inbounds.order, "Main", {"LAMP": 5})
    do(lamps, inbounds.receive, "PO-1", {"LAMP": 7})
    assert lines(lamps, "PO-1") == [("LAMP", 5, 7, 2)] and state(lamps, "PO-1")[0] == "closed"
    assert books.shelf(lamps, "LAMP") == (7, 0, 0)


def test_it_is_cancelled_only_before_anything_arrived(lamps: Book) -> None:
    do(lamps, inbounds.order, "Main", {"LAMP": 5})
    do(lamps, inbounds.order, "Main", {"LAMP": 5})
    do(lamps, inbounds.receive, "PO-2", {"LAMP": 1})
    do(lamps, inbounds.cancel, "PO-1")
    assert state(lamps, "PO-1")[0] == "cancelled"
    with pytest.raises(Refused, match="have come"):
        do(lamps, inbounds.cancel, "PO-2")


def test_numbers_are_counted_or_given_and_never_name_two_things(lamps: Book) -> None:
    assert do(lamps, inbounds.order, "Main", {"LAMP": 1}, "2026-7") == "PO-2026-7"
    assert do(lamps, inbounds.order, "Main", {"LAMP": 1}, "PO-3") == "PO-3"
    assert [do(lamps, inbounds.order, "Main", {"LAMP": 1}) for _ in range(2)] == ["PO-4", "PO-5"]
    with pytest.raises(Refused, match="in use"):
        do(lamps, inbounds.order, "Main", {"LAMP": 1}, "4")
    books.make_order(lamps, ("LAMP", 1), number="PO-7")
    do(lamps, stock.receive, "BULB", "Main", 1, "PO-6")
    assert do(lamps, inbounds.order, "Main", {"LAMP": 1}) == "PO-8"


def test_a_warehouse_that_still_expects_goods_is_not_closed(lamps: Book) -> None:
    do(lamps, inbounds.order, "Side", {"LAMP": 1})
    with pytest.raises(Refused, match="PO-1 has not ended"):
        do(lamps, stock.deactivate_warehouse, "Side")
    do(lamps, inbounds.cancel, "PO-1")
    do(lamps, stock.deactivate_warehouse, "Side")


def test_its_goods_are_not_received_past_it(lamps: Book) -> None:
    do(lamps, inbounds.order, "Main", {"LAMP": 1})
    with pytest.raises(Refused) as refused:
        do(lamps, stock.receive, "LAMP", "Main", 1, "PO-1")
    assert refused.value.hint == "zenv inbound receive PO-1" and books.shelf(lamps, "LAMP") == (0, 0, 0)


@pytest.mark.parametrize(("wanted", "error"), [({}, BadInput), ({"LAMP": 0}, BadInput), ({"LAMP": 10**10}, BadInput),
                                               ({"NOPE": 1}, NotFound)])  # fmt: skip
def test_what_cannot_be_ordered_leaves_nothing(lamps: Book, wanted: dict[str, int], error: type[Exception]) -> None:
    with pytest.raises(error):
        do(lamps, inbounds.order, "Main", wanted)
    assert books.ask(lamps, "SELECT * FROM inbounds") == []


def test_what_it_does_not_bring_is_not_received(lamps: Book) -> None:
    do(lamps, inbounds.order, "Main", {"LAMP": 1})
    with pytest.raises(BadInput, match="brings no BULB"):
        do(lamps, inbounds.receive, "PO-1", {"BULB": 1})
    with pytest.raises(NotFound):
        do(lamps, inbounds.receive, "PO-9")


def test_its_stages_are_those_of_a_transfer_only(lamps: Book) -> None:
    do(lamps, inbounds.order, "Main", {"LAMP": 1})
    for stage in (inbounds.allocate, inbounds.pick, inbounds.ship):
        with pytest.raises(Refused, match="no transfer"):
            do(lamps, stage, "PO-1")


def test_doctor_finds_and_mends_an_inbound_that_says_what_its_movements_do_not(lamps: Book) -> None:
    do(lamps, inbounds.order, "Main", {"LAMP": 5})
    do(lamps, inbounds.receive, "PO-1", {"LAMP": 3})
    with lamps.transaction() as t:
        t.sql.exec_driver_sql("UPDATE inbound_line SET received = 4")
    assert [found.split(":")[0] for found in books.findings(lamps)] == ["inbounds inbound PO-1"]
    mending.mend(lamps, "inbounds")
    assert lines(lamps, "PO-1") == [("LAMP", 5, 3, -2)]


def test_an_order_of_the_same_number_is_no_finding(lamps: Book) -> None:
    do(lamps, inbounds.order, "Main", {"LAMP": 2})
    do(lamps, inbounds.receive, "PO-1")
    books.make_order(lamps, ("LAMP", 1), number="PO-1")
    do(lamps, orders.pick, "PO-1")
    assert books.findings(lamps) == []
