"""`zenv zfn compare` finds a planted difference and names the first entry of the journal that explains it."""

from __future__ import annotations

import pytest

from tests import books
from tests.zfn.provider_face import DEPOT, Provider, link, receive, run, world
from zenv import comparing, reimport
from zenv.errors import Refused
from zenv.ledger import connections, orders, stock
from zenv.ledger.book import Book
from zenv.ledger.invariants import Finding
from zenv.ledger.models import Mirrored
from zenv.ledger.stock import Move


@pytest.fixture
def linked(book: Book, served: Provider) -> int:
    """Two receipts of LAMP, a correction, an order that was shipped: all of it read."""
    books.add_items(book, "LAMP", "BULB")
    found = link(book, served)
    receive(served, "LAMP", 7)
    receive(served, "BULB", 2)
    books.do(served.book, stock.adjust, "1-LAMP", "Main", -1, "broken")
    run(book)
    new = orders.NewOrder([orders.NewLine("LAMP", 2)], "1001", recipient=books.PERSON, ship_from=DEPOT)
    books.do(book, orders.create_order, new)
    run(book, "handover")
    books.ship(served.book, "CO-1-1001")
    run(book)
    return int(found.connection_id)


def compare(book: Book) -> list[Finding]:
    return comparing.compare_provider(book, DEPOT, world(book))


def test_books_that_tell_the_same_story_differ_in_nothing(book: Book, served: Provider, linked: int) -> None:
    assert books.shelf(book, "LAMP", DEPOT) == (4, 0, 0)
    assert compare(book) == []


def test_what_the_provider_did_since_then_is_no_difference(
    book: Book, served: Provider, linked: int, clock: books.Clock
) -> None:
    new = orders.NewOrder([orders.NewLine("BULB", 2)], "1002", recipient=books.PERSON, ship_from=DEPOT)
    books.do(book, orders.create_order, new)
    run(book, "handover")
    clock.later(seconds=1)
    receive(served, "LAMP", 100)
    books.ship(served.book, "CO-1-1002")
    assert compare(book) == []


def test_a_movement_that_nobody_booked_there_is_found(book: Book, served: Provider, linked: int) -> None:
    plant(book, linked, "LAMP", 1, repeats=None)
    (found,) = compare(book)
    assert found.subject == "LAMP" and "has 4 on hand and 0 picked, here are 5 on hand and 0 picked" in found.text
    assert "something else was booked" in found.text
    assert found.command == f"zenv zfn reimport '{DEPOT}'"
    mend(book)


def test_the_first_entry_that_differs_is_named(book: Book, served: Provider, linked: int) -> None:
    plant(book, linked, "LAMP", 1, repeats=3)
    (found,) = compare(book)
    assert "first at entry 3: 1 adjusted (on_hand to adjustment) there, nothing here" in found.text
    mend(book)


def test_a_package_that_is_missing_here_is_found(book: Book, served: Provider, linked: int, clock: books.Clock) -> None:
    clock.later(seconds=1)
    new = orders.NewOrder([orders.NewLine("BULB", 2)], "1002", recipient=books.PERSON, ship_from=DEPOT)
    books.do(book, orders.create_order, new)
    run(book, "handover")
    books.ship(served.book, "CO-1-1002")
    before = cursor(book)
    run(book)
    assert compare(book) == []
    with book.transaction() as t:
        connections.move_cursor(t, linked, "events", before)
    assert [found.check for found in compare(book)] == ["provider_level", "provider_shipped"]
    mend(book)


def cursor(book: Book) -> str:
    ((position,),) = books.ask(book, "SELECT position FROM cursor WHERE stream = 'events'")
    return str(position)


def test_compare_changes_nothing(book: Book, served: Provider, linked: int) -> None:
    before = books.ask(book, "SELECT COUNT(*) FROM movement"), books.ask(book, "SELECT * FROM cursor")
    compare(book)
    assert (books.ask(book, "SELECT COUNT(*) FROM movement"), books.ask(book, "SELECT * FROM cursor")) == before


def test_a_warehouse_without_a_live_connection_cannot_be_compared(book: Book, served: Provider) -> None:
    with pytest.raises(Refused):
        comparing.compare_provider(book, "Main", world(book))


def plant(book: Book, connection: int, sku: str, units: int, repeats: int | None) -> None:
    """Book units into the mirror that the provider does not have, as a damaged mirror would."""
    with book.transaction() as t:
        here = t.place(stock.warehouse_id(t.sql, DEPOT), "on_hand")
        stock.move(t, [Move(stock.item_id(t.sql, sku), 3, here, units, "adjusted")])
        if repeats is not None:
            last = t.sql.exec_driver_sql("SELECT MAX(id) FROM movement").scalar_one()
            t.insert(Mirrored, [{"movement_id": last, "connection_id": connection, "entry": repeats}])


def mend(book: Book) -> None:
    """The command that a finding names."""
    reimport.reimport_items(book, DEPOT, world(book))
    assert compare(book) == []
