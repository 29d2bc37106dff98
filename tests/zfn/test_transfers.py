"""Transfers stage by stage: allocate, pick, ship, receive; requests; and what is set aside for them on a shelf."""

from __future__ import annotations

import pytest

from tests import books
from tests.books import do, line, order, record
from tests.zfn.two_books import state
from zenv.errors import BadInput, Refused
from zenv.ledger import inbounds, mending, stock, why
from zenv.ledger.book import Book


@pytest.fixture
def lamps(book: Book) -> Book:
    """10 LAMP in Main."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 10)
    return book


def begun(book: Book, units: int = 4, *stages: str) -> str:
    """A transfer from Main to Side, as far as these stages."""
    number = str(do(book, inbounds.transfer, "Main", "Side", {"LAMP": units}))
    for stage in stages:
        do(book, getattr(inbounds, stage), number)
    return number


def line_of(book: Book, number: str) -> tuple[int, ...]:
    """(allocated, picked, sent, received)."""
    found = "SELECT allocated, picked, sent, received FROM inbound_lines WHERE number = ?"
    return tuple(books.ask(book, found, number)[0])


def test_N13_a_transfer_goes_from_stage_to_stage(lamps: Book) -> None:
    number = begun(lamps)
    assert number == "TO-1" and state(lamps, number) == ("open", 4, 0, 0)
    assert do(lamps, inbounds.allocate, number) == 4
    assert books.shelf(lamps, "LAMP") == (10, 0, 0) and books.available(lamps, "LAMP") == 6
    assert do(lamps, inbounds.pick, number) == 4
    assert books.shelf(lamps, "LAMP") == (6, 4, 0) and line_of(lamps, number) == (0, 4, 0, 0)
    assert do(lamps, inbounds.ship, number) == 4
    assert (books.shelf(lamps, "LAMP"), books.shelf(lamps, "LAMP", "Side")) == ((6, 0, 0), (0, 0, 4))
    assert state(lamps, number) == ("shipped", 4, 4, 0)
    assert do(lamps, inbounds.receive, number, {"LAMP": 1}) == 1
    assert do(lamps, inbounds.receive, number) == 3
    assert books.shelf(lamps, "LAMP", "Side") == (4, 0, 0) and state(lamps, number) == ("closed", 4, 4, 4)


def test_N13_no_stage_is_left_out(lamps: Book) -> None:
    number = begun(lamps)
    for stage, step in ((inbounds.pick, "allocate"), (inbounds.ship, "pick"), (inbounds.receive, "ship")):
        with pytest.raises(Refused) as refused:
            do(lamps, stage, number)
        assert refused.value.hint == f"zenv inbound {step} {number}"
    do(lamps, inbounds.allocate, number)
    for stage in (inbounds.ship, inbounds.receive, inbounds.complete):
        with pytest.raises(Refused):
            do(lamps, stage, number)
    do(lamps, inbounds.pick, number)
    with pytest.raises(Refused, match="waits to be picked"):
        do(lamps, inbounds.pick, number)


def test_a_transfer_is_set_aside_whole_or_not_at_all(lamps: Book) -> None:
    books.add_items(lamps, "BULB")
    number = do(lamps, inbounds.transfer, "Main", "Side", {"LAMP": 4, "BULB": 1})
    with pytest.raises(Refused, match="BULB 1 units are missing and 0 are free"):
        do(lamps, inbounds.allocate, number)
    assert {row[0] for row in books.ask(lamps, "SELECT allocated FROM inbound_lines")} == {0}


def test_what_is_set_aside_is_neither_reserved_nor_offered_nor_set_aside_again(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    begun(lamps, 7, "allocate")
    assert books.offers(lamps, amazon) == {"LAMP": 3}
    record(lamps, amazon, order("A-1", line("LAMP", 4)))
    assert books.held(lamps, "A-1") == [("LAMP", None, 0, 0)]
    with pytest.raises(Refused, match="3 are free"):
        begun(lamps, 4, "allocate")


def test_what_is_set_aside_is_a_term_of_what_is_available_and_of_what_is_offered(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    books.make_order(lamps, ("LAMP", 1))
    begun(lamps, 7, "allocate")
    with lamps.reading() as sql:
        found = {one.subject: one for one in why.explain(sql, "LAMP")}
    for subject in ("LAMP available", "LAMP offered on amazon"):
        terms = {term.label: term.quantity for term in found[subject].terms}
        assert (terms["set aside for transfers"], found[subject].number) == (-7, 2)
    assert books.available(lamps, "LAMP") == 2 and books.offers(lamps, amazon) == {"LAMP": 2}


def test_a_transfer_takes_no_units_that_an_order_has(lamps: Book) -> None:
    books.make_order(lamps, ("LAMP", 8))
    with pytest.raises(Refused, match="2 are free"):
        begun(lamps, 3, "allocate")


def test_a_count_that_finds_less_takes_from_transfers_first_the_youngest_before_the_others(lamps: Book) -> None:
    order = books.make_order(lamps, ("LAMP", 3))
    old, young = begun(lamps, 3, "allocate"), begun(lamps, 3, "allocate")
    do(lamps, stock.book_count, "LAMP", "Main", 5)
    assert (line_of(lamps, old)[0], line_of(lamps, young)[0]) == (2, 0)
    assert books.held(lamps, order) == [("LAMP", "Main", 3, 0)]
    with pytest.raises(Refused, match="set aside"):
        do(lamps, inbounds.pick, old)
    books.receive(lamps, "LAMP", 1)
    assert do(lamps, inbounds.allocate, old) == 3


def test_a_cancelled_transfer_puts_everything_back(lamps: Book) -> None:
    for number in (begun(lamps, 4, "allocate"), begun(lamps, 4, "allocate", "pick")):
        do(lamps, inbounds.cancel, number)
        assert state(lamps, number)[0] == "cancelled" and line_of(lamps, number) == (0, 0, 0, 0)
    assert books.shelf(lamps, "LAMP") == (10, 0, 0) and books.available(lamps, "LAMP") == 10
    shipped = begun(lamps, 4, "allocate", "pick", "ship")
    with pytest.raises(Refused, match="under way"):
        do(lamps, inbounds.cancel, shipped)


def test_C19_what_never_arrived_is_written_off_when_it_is_complete(lamps: Book) -> None:
    number = begun(lamps, 4, "allocate", "pick", "ship")
    do(lamps, inbounds.receive, number, {"LAMP": 3})
    assert do(lamps, inbounds.complete, number) == 1
    assert books.shelf(lamps, "LAMP", "Side") == (3, 0, 0) and state(lamps, number) == ("closed", 4, 4, 3)
    assert books.ask(lamps, "SELECT quantity, note FROM movements WHERE reason = 'adjusted'") == [
        (1, "received 3 of 4")
    ]


def test_more_than_left_does_not_arrive(lamps: Book) -> None:
    number = begun(lamps, 4, "allocate", "pick", "ship")
    with pytest.raises(BadInput, match="4 x LAMP are under way, not 5"):
        do(lamps, inbounds.receive, number, {"LAMP": 5})


def test_Z45_a_request_waits_on_the_inbox_until_it_is_accepted(lamps: Book) -> None:
    number = do(lamps, inbounds.request, "Main", "Side", {"LAMP": 4})
    assert ("transfer request", number) in books.inbox(lamps) and state(lamps, number)[0] == "requested"
    with pytest.raises(Refused) as refused:
        do(lamps, inbounds.pick, number)
    assert refused.value.hint == f"zenv inbound allocate {number}"
    do(lamps, inbounds.allocate, number)
    assert state(lamps, number)[0] == "open" and ("transfer request", number) not in books.inbox(lamps)


def test_a_request_may_be_turned_down(lamps: Book) -> None:
    number = do(lamps, inbounds.request, "Main", "Side", {"LAMP": 4})
    do(lamps, inbounds.cancel, number)
    assert state(lamps, number)[0] == "cancelled" and books.inbox(lamps) == set()


def test_a_transfer_needs_two_warehouses(lamps: Book) -> None:
    with pytest.raises(BadInput, match="two different"):
        do(lamps, inbounds.transfer, "Main", "Main", {"LAMP": 1})


@pytest.mark.parametrize("damage", ["picked = 3", "picked = 3, sent = 1", "received = 1"])
def test_doctor_finds_and_mends_a_transfer_that_says_what_its_movements_do_not(lamps: Book, damage: str) -> None:
    order = books.make_order(lamps, ("LAMP", 2))
    number = begun(lamps, 4, "allocate", "pick")
    with lamps.transaction() as t:
        t.sql.exec_driver_sql(f"UPDATE inbound_line SET {damage}")
    assert f"inbounds inbound {number}" in {found.split(":")[0] for found in books.findings(lamps)}
    mending.mend(lamps, "inbounds")
    assert books.findings(lamps) == [] and line_of(lamps, number) == (0, 4, 0, 0)
    assert books.held(lamps, order) == [("LAMP", "Main", 2, 0)]


def test_mending_reservations_leaves_what_was_picked_for_a_transfer(lamps: Book) -> None:
    books.make_order(lamps, ("LAMP", 2))
    number = begun(lamps, 4, "allocate", "pick")
    with lamps.transaction() as t:
        t.sql.exec_driver_sql("UPDATE reservation SET quantity = 50")
    mending.mend(lamps, "reservations")
    assert books.shelf(lamps, "LAMP") == (6, 4, 0) and line_of(lamps, number) == (0, 4, 0, 0)
    assert books.findings(lamps) == []
