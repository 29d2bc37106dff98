"""Promise 2: every number is explained by terms that add up to it, each of them rows anyone can look up."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given

from tests import books
from tests.books import MORNING, line, order, record
from tests.test_orders import step, steps
from zenv.errors import NotFound, ZenvError
from zenv.ledger import orders, stock, why
from zenv.ledger.book import Book


def explained(book: Book, sku: str = "LAMP") -> dict[str, why.Explanation]:
    with book.reading() as sql:
        return {found.subject: found for found in why.explain(sql, sku)}


def sums(found: why.Explanation) -> list[tuple[str, int]]:
    return [(term.label, term.quantity) for term in found.terms]


@pytest.fixture
def lamps(book: Book, clock: books.Clock) -> Book:
    """LAMP in two warehouses, an order for it, one that waits, and a listing with a buffer."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 10)
    books.receive(book, "LAMP", 4, "Side")
    amazon = books.connect(book, buffer=1)
    books.list_(book, amazon, "LAMP")
    record(book, amazon, order("A-1", line("LAMP", 3)))
    with book.transaction() as t:
        stock.adjust(t, "LAMP", "Main", -2, "broken")
    return book


def test_C6_the_shelf_of_each_warehouse_is_its_movements_by_reason(lamps: Book) -> None:
    found = explained(lamps)
    assert found["LAMP on hand in Main"].number == 8
    assert sums(found["LAMP on hand in Main"]) == [("received (1 movements)", 10), ("adjusted (1 movements)", -2)]
    assert sums(found["LAMP on hand in Side"]) == [("received (1 movements)", 4)]


def test_available_is_what_stands_in_all_warehouses_less_what_orders_want(lamps: Book, clock: books.Clock) -> None:
    clock.later(minutes=1)
    waiting = books.make_order(lamps, ("LAMP", 6))
    found = explained(lamps)["LAMP available"]
    assert sums(found) == [
        ("on hand in Main", 8), ("on hand in Side", 4),
        ("order A-1, reserved in Main", -3), (f"order {waiting}, waiting for stock", -6),
    ]  # fmt: skip
    assert found.number == 3


def test_picked_units_have_left_the_shelf_and_are_not_subtracted_again(lamps: Book) -> None:
    with lamps.transaction() as t:
        orders.pick(t, "A-1")
    assert sums(explained(lamps)["LAMP available"]) == [("on hand in Main", 5), ("on hand in Side", 4)]


def test_of_a_line_picked_in_part_only_the_rest_is_subtracted(lamps: Book) -> None:
    with lamps.transaction() as t:
        orders.pick(t, "A-1")
    record(lamps, 1, order("A-1", line("LAMP", 5), said=MORNING + timedelta(hours=1)))
    found = explained(lamps)["LAMP available"]
    assert sums(found)[-1] == ("order A-1, reserved in Main", -2)
    assert found.number == books.available(lamps, "LAMP") == 7


def test_an_offer_names_its_warehouses_reservations_and_buffer(lamps: Book) -> None:
    found = explained(lamps)["LAMP offered on amazon"]
    assert sums(found) == [("on hand in Main", 8), ("reserved in Main", -3), ("buffer of the connection", -1)]
    assert found.number == 4


def test_a_number_that_would_be_below_zero_says_so_in_a_term(lamps: Book) -> None:
    books.make_order(lamps, ("LAMP", 99))
    for subject in ("LAMP available", "LAMP offered on amazon"):
        found = explained(lamps)[subject]
        assert found.number == 0
        assert sums(found)[-1][0] == "never below zero"
        assert sum(units for _, units in sums(found)) == 0


def test_an_unknown_item_is_named(lamps: Book) -> None:
    with pytest.raises(NotFound, match="NOPE"):
        explained(lamps, "NOPE")


@given(steps)
def test_the_terms_of_every_explanation_add_up_to_what_the_views_and_messages_say(
    blank_home: Path, tmp_path_factory: pytest.TempPathFactory, done: list[tuple[str, int, int]]
) -> None:
    home, clock = books.home_like(blank_home, tmp_path_factory.mktemp("why") / "home"), books.Clock()
    with books.opened(home, clock) as book:
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")
            stock.add_warehouse(t, "Side", rank=200)
        books.add_items(book, "LAMP", "BULB")
        amazon = books.connect(book, buffer=2, warehouses=("Main", "Side"))
        books.list_(book, amazon, "LAMP")
        for number, one in enumerate(done):
            clock.later(minutes=1)
            with suppress(ZenvError):  # refused: nothing may have changed
                step(book, *one)
            if number % 4 == 0:
                record(book, amazon, order(f"A-{number}", line("LAMP", 1 + number % 3), at=MORNING + timedelta(1)))
            if number % 3 == 0:
                books.send(book, amazon)
        found = explained(book)
        for explanation in found.values():
            assert sum(term.quantity for term in explanation.terms) == explanation.number
        for warehouse in ("Main", "Side"):
            if (shelf := found.get(f"LAMP on hand in {warehouse}")) is not None:
                assert shelf.number == books.shelf(book, "LAMP", warehouse)[0]
        assert found["LAMP available"].number == books.available(book, "LAMP")
        ((submitted,),) = books.ask(book, "SELECT submitted FROM listings")
        offered = books.offers(book, amazon).get("LAMP", submitted)
        assert found["LAMP offered on amazon"].number == offered
