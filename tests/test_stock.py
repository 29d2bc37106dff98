"""Stock changes by movements alone: each has two ends, none is ever changed, and the levels are their sum."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import DatabaseError

from tests import books
from tests.books import ask, shelf
from zenv.errors import BadInput, NotFound, Refused, ZenvError
from zenv.ledger import stock, views
from zenv.ledger.book import Book
from zenv.ledger.models import OUTSIDE


@pytest.fixture
def lamps(book: Book) -> Book:
    """An item LAMP, ten of which are in Main."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 10)
    return book


# ---- booking ---------------------------------------------------------------------------------------------


def test_received_units_come_from_the_supplier_and_stand_on_the_shelf(lamps: Book) -> None:
    assert shelf(lamps, "LAMP") == (10, 0, 0)
    assert ask(lamps, "SELECT sku, quantity, source, destination, reason, actor FROM movements") == [
        ("LAMP", 10, "supplier", "Main on_hand", "received", "tester")
    ]


def test_reference_and_note_stand_in_the_history_without_control_characters(lamps: Book) -> None:
    with lamps.transaction() as t:
        stock.receive(t, "LAMP", "Main", 1, reference="PO\x1b[31m 7", note="two\nlines")
    assert ask(lamps, "SELECT reference, note FROM movements WHERE quantity = 1") == [("PO[31m 7", "two lines")]


def test_C6_an_adjustment_needs_a_reason_and_the_history_shows_it(lamps: Book) -> None:
    for nothing in ("", "  ", "\x00\x07"):
        with pytest.raises(BadInput, match="reason"), lamps.transaction() as t:
            stock.adjust(t, "LAMP", "Main", -1, nothing)
    with lamps.transaction() as t:
        stock.adjust(t, "LAMP", "Main", -3, "broken glass")
    assert shelf(lamps, "LAMP") == (7, 0, 0)
    assert ask(lamps, "SELECT source, destination, note FROM movements WHERE reason = 'adjusted'") == [
        ("Main on_hand", "adjustment", "broken glass")
    ]


def test_a_count_shows_its_difference_and_books_it_only_when_told_to(lamps: Book) -> None:
    with lamps.reading() as sql:
        found = stock.count_difference(sql, "LAMP", "Main", 8)
    assert found == stock.Count("LAMP", "Main", expected=10, counted=8, difference=-2)
    assert shelf(lamps, "LAMP") == (10, 0, 0)
    with lamps.transaction() as t:
        stock.book_count(t, "LAMP", "Main", 8, "shelf 4")
    assert shelf(lamps, "LAMP") == (8, 0, 0)
    assert books.movements(lamps, "LAMP")[-1] == ("counted", 2)


def test_a_count_that_finds_what_is_there_books_nothing(lamps: Book) -> None:
    with lamps.transaction() as t:
        assert stock.book_count(t, "LAMP", "Main", 10).difference == 0
    assert len(books.movements(lamps, "LAMP")) == 1


def test_a_count_to_zero_empties_the_shelf(lamps: Book) -> None:
    with lamps.transaction() as t:
        stock.book_count(t, "LAMP", "Main", 0)
    assert shelf(lamps, "LAMP") == (0, 0, 0)


def test_a_transfer_is_in_transit_at_its_destination_until_it_arrives(lamps: Book) -> None:
    with lamps.transaction() as t:
        number = stock.transfer(t, "LAMP", "Main", "Side", 4)
    assert (shelf(lamps, "LAMP"), shelf(lamps, "LAMP", "Side")) == ((6, 0, 0), (0, 0, 4))
    with lamps.transaction() as t:
        stock.arrive(t, number, 3)
    assert shelf(lamps, "LAMP", "Side") == (3, 0, 1)
    assert books.dicts(views.transfers(lamps.home))[0]["under_way"] == 1
    with lamps.transaction() as t:
        stock.arrive(t, number)
    assert shelf(lamps, "LAMP", "Side") == (4, 0, 0)
    assert views.transfers(lamps.home).rows == []


def test_more_than_is_under_way_cannot_arrive(lamps: Book) -> None:
    with lamps.transaction() as t:
        number = stock.transfer(t, "LAMP", "Main", "Side", 4)
    for units in (5, 0, -1):
        with pytest.raises(BadInput, match="4 units are under way"), lamps.transaction() as t:
            stock.arrive(t, number, units)
    with pytest.raises(NotFound), lamps.transaction() as t:
        stock.arrive(t, number + 1)


def test_a_transfer_may_arrive_at_once_but_not_where_it_started(lamps: Book) -> None:
    with lamps.transaction() as t:
        stock.transfer(t, "LAMP", "Main", "Side", 4, arrives_now=True)
    assert shelf(lamps, "LAMP", "Side") == (4, 0, 0)
    with pytest.raises(BadInput), lamps.transaction() as t:
        stock.transfer(t, "LAMP", "Main", "Main", 1)


# ---- refusals --------------------------------------------------------------------------------------------


def test_what_is_not_there_cannot_be_taken_and_nothing_is_booked(lamps: Book) -> None:
    before = ask(lamps, "SELECT COUNT(*) FROM movements")
    for take in (
        lambda t: stock.adjust(t, "LAMP", "Main", -11, "typing error"),
        lambda t: stock.adjust(t, "LAMP", "Side", -1, "never was there"),
        lambda t: stock.transfer(t, "LAMP", "Main", "Side", 11),
    ):
        with pytest.raises(Refused, match="nothing was booked"), lamps.transaction() as t:
            take(t)
    assert ask(lamps, "SELECT COUNT(*) FROM movements") == before
    assert shelf(lamps, "LAMP") == (10, 0, 0)


def test_a_refusal_that_is_caught_inside_the_transaction_has_booked_nothing_either(lamps: Book) -> None:
    with lamps.transaction() as t:
        with pytest.raises(Refused):
            stock.adjust(t, "LAMP", "Main", -11, "typing error")
        stock.adjust(t, "LAMP", "Main", -1, "broken")
    assert books.movements(lamps, "LAMP") == [("received", 10), ("adjusted", 1)]


@pytest.mark.parametrize("quantity", [0, -1, -(10**9), 10**9 + 1, 10**18, 2**63])
def test_absurd_quantities_are_refused_before_anything_is_booked(lamps: Book, quantity: int) -> None:
    for book_it in (
        lambda t: stock.receive(t, "LAMP", "Main", quantity),
        lambda t: stock.transfer(t, "LAMP", "Main", "Side", quantity),
    ):
        with pytest.raises(BadInput, match="sensible"), lamps.transaction() as t:
            book_it(t)
    if abs(quantity) > 10**9 or quantity == 0:
        with pytest.raises(BadInput, match="sensible"), lamps.transaction() as t:
            stock.adjust(t, "LAMP", "Main", quantity, "why not")
    if quantity:
        with pytest.raises(BadInput), lamps.transaction() as t:
            stock.book_count(t, "LAMP", "Main", quantity)
    assert len(books.movements(lamps, "LAMP")) == 1


def test_an_unknown_sku_or_warehouse_is_named_with_the_command_that_lists_them(lamps: Book) -> None:
    with pytest.raises(NotFound, match="'NOPE'") as no_item, lamps.transaction() as t:
        stock.receive(t, "NOPE", "Main", 1)
    assert no_item.value.hint == "zenv items list"
    with pytest.raises(NotFound, match="'Attic'") as no_warehouse, lamps.transaction() as t:
        stock.receive(t, "LAMP", "Attic", 1)
    assert no_warehouse.value.hint == "zenv warehouses list"


def test_without_a_name_the_only_own_warehouse_is_meant_and_several_are_named(home: Path, clock: books.Clock) -> None:
    with books.opened(home, clock) as book:
        books.add_items(book, "LAMP")
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")
            stock.add_warehouse(t, "Amazon's", kind="fba")
        with book.transaction() as t:
            stock.receive(t, "LAMP", None, 1)
        with book.transaction() as t:
            stock.add_warehouse(t, "Side")
        with pytest.raises(BadInput, match="Main, Side"), book.transaction() as t:
            stock.receive(t, "LAMP", None, 1)
        with pytest.raises(Refused, match="not an own, active warehouse"), book.transaction() as t:
            stock.receive(t, "LAMP", "Amazon's", 1)


@pytest.mark.parametrize("statement", ["UPDATE movement SET quantity = 99", "DELETE FROM movement"])
def test_C6_no_statement_can_change_or_delete_a_movement(lamps: Book, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), lamps.transaction() as t:
        t.sql.exec_driver_sql(statement)
    assert books.movements(lamps, "LAMP") == [("received", 10)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE level SET on_hand = -1",
        "INSERT INTO movement (at, item_id, source_id, destination_id, quantity, reason, reference, actor, note)"
        " VALUES ('', 1, 1, 1, 1, 'received', '', '', '')",
        "INSERT INTO movement (at, item_id, source_id, destination_id, quantity, reason, reference, actor, note)"
        " VALUES ('', 1, 1, 5, 0, 'received', '', '', '')",
        "UPDATE level SET on_hand = 'ten'",
        "INSERT INTO place (warehouse_id, state) VALUES (NULL, 'on_hand')",
    ],
)
def test_the_tables_themselves_refuse_what_breaks_a_rule(lamps: Book, statement: str) -> None:
    with pytest.raises(DatabaseError), lamps.transaction() as t:
        t.sql.exec_driver_sql(statement)


# ---- warehouses ------------------------------------------------------------------------------------------


def test_a_warehouse_that_holds_units_cannot_be_closed_wherever_in_it_they_are(lamps: Book) -> None:
    with lamps.transaction() as t:
        number = stock.transfer(t, "LAMP", "Main", "Side", 10)
    with pytest.raises(Refused, match="still holds 10 units"), lamps.transaction() as t:
        stock.deactivate_warehouse(t, "Side")
    with lamps.transaction() as t:
        stock.arrive(t, number)
        stock.transfer(t, "LAMP", "Side", "Main", 10, arrives_now=True)
        stock.deactivate_warehouse(t, "Side")
    with pytest.raises(Refused), lamps.transaction() as t:
        stock.receive(t, "LAMP", "Side", 1)
    with lamps.transaction() as t:
        stock.reactivate_warehouse(t, "Side")
        stock.receive(t, "LAMP", "Side", 1)
    assert shelf(lamps, "LAMP", "Side") == (1, 0, 0)


def test_A25_a_warehouse_that_a_connection_is_served_from_cannot_be_closed(book: Book) -> None:
    books.connect(book, "amazon", warehouses=("Side",))
    with pytest.raises(Refused, match="amazon"), book.transaction() as t:
        stock.deactivate_warehouse(t, "Side")
    with book.transaction() as t:
        stock.deactivate_warehouse(t, "Main")


def test_a_warehouse_is_renamed_and_ranked_and_names_stay_unique(book: Book) -> None:
    with book.transaction() as t:
        stock.edit_warehouse(t, "Side", new_name="Annex", rank=1)
    assert [row[0] for row in views.warehouses(book.home).rows] == ["Annex", "Main"]
    with pytest.raises(Refused, match="Main already"), book.transaction() as t:
        stock.edit_warehouse(t, "Annex", new_name="Main")
    with pytest.raises(Refused, match="Main already"), book.transaction() as t:
        stock.add_warehouse(t, " Main ")
    for nothing in ("", "\t"):
        with pytest.raises(BadInput), book.transaction() as t:
            stock.add_warehouse(t, nothing)
        with pytest.raises(BadInput), book.transaction() as t:
            stock.edit_warehouse(t, "Annex", new_name=nothing)
    with pytest.raises(BadInput), book.transaction() as t:
        stock.edit_warehouse(t, "Annex")


def test_a_place_is_known_in_the_transaction_that_adds_its_warehouse(lamps: Book) -> None:
    with lamps.transaction() as t:
        stock.receive(t, "LAMP", "Main", 1)
        stock.add_warehouse(t, "Third")
        stock.receive(t, "LAMP", "Third", 2)
    assert shelf(lamps, "LAMP", "Third") == (2, 0, 0)


# ---- arithmetic ------------------------------------------------------------------------------------------

operations = st.lists(
    st.tuples(
        st.sampled_from(["receive", "adjust", "count", "transfer", "arrive"]),
        st.sampled_from(["LAMP", "BULB"]),
        st.sampled_from([("Main", "Side"), ("Side", "Main")]),
        st.integers(-3, 12),
    ),
    max_size=25,
)


@contextmanager
def fresh(blank: Path, folder: Path, clock: books.Clock) -> Iterator[Book]:
    with books.opened(books.home_like(blank, folder / "home"), clock) as book:
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")
            stock.add_warehouse(t, "Side")
        books.add_items(book, "LAMP", "BULB")
        yield book


def apply(book: Book, kind: str, sku: str, ends: tuple[str, str], units: int) -> None:
    with book.transaction() as t:
        if kind == "receive":
            stock.receive(t, sku, ends[0], units)
        elif kind == "adjust":
            stock.adjust(t, sku, ends[0], units, "random")
        elif kind == "count":
            stock.book_count(t, sku, ends[0], units)
        elif kind == "transfer":
            stock.transfer(t, sku, *ends, units, arrives_now=units % 2 == 0)
        else:
            stock.arrive(t, units, None)


@given(operations)
def test_levels_are_the_sum_of_movements_and_as_of_shows_what_they_were_then(
    blank_home: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, tuple[str, str], int]]
) -> None:
    clock = books.Clock()
    with fresh(blank_home, tmp_path_factory.mktemp("levels"), clock) as book:
        remembered = []
        for step in steps:
            with suppress(ZenvError):  # refused: the levels must then be what they were
                apply(book, *step)
            remembered.append((clock.now, without_empty(views.levels(book.home))))
            clock.later(microseconds=1)
        assert books.findings(book) == []
        for at, levels in remembered:
            assert views.levels_as_of(book.home, f"{at:%Y-%m-%d %H:%M:%S.%f}").rows == levels
        assert units_unaccounted_for(book) == 0


def without_empty(found: views.Table) -> list[tuple[object, ...]]:
    return [row for row in found.rows if any(row[3:])]


def units_unaccounted_for(book: Book) -> int:
    """What entered from outside and did not leave again, less what stands in the warehouses."""
    outside = tuple(OUTSIDE.values())
    ((inside,),) = ask(book, "SELECT COALESCE(SUM(on_hand + picked + in_transit), 0) FROM levels")
    ((entered,),) = ask(
        book,
        f"SELECT COALESCE(SUM(CASE WHEN source_id IN {outside} THEN quantity ELSE -quantity END), 0) FROM movement"
        f" WHERE source_id IN {outside} OR destination_id IN {outside}",
    )
    return int(entered) - int(inside)
