"""Who sees a warehouse: all users while it is shared; else who keeps it, and administrators (Z44, Z45)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests import books
from tests.books import do
from tests.cli_driver import Zenv
from tests.zfn.linked import DEPOT, link
from zenv.errors import BadInput, NotFound
from zenv.ledger import inbounds, invariants, stock, users, views
from zenv.ledger.book import Book

As = Callable[..., Any]


@pytest.fixture
def acts(book: Book) -> As:
    """`acts("mia", operation, ...)`: boss administers; mia keeps the private warehouse Attic with 5 LAMP; tom is a
    user like any other."""
    books.add_items(book, "LAMP")

    def as_user(name: str, operation: Any, *given: Any, **named: Any) -> Any:
        book.actor, before = name, book.actor
        try:
            return do(book, operation, *given, **named)
        finally:
            book.actor = before

    as_user("boss", users.add, "mia")
    as_user("boss", users.add, "tom")
    as_user("mia", stock.add_warehouse, "Attic", shared=False)
    as_user("mia", stock.receive, "LAMP", "Attic", 5)
    return as_user


@pytest.mark.parametrize(("name", "sees"), [("boss", True), ("mia", True), ("tom", False), ("stranger", False)])
def test_Z45_a_private_warehouse_is_seen_by_its_keeper_and_administrators(
    book: Book, acts: As, name: str, sees: bool
) -> None:
    later = "2999-01-01 00:00:00.000000"
    for shown in (views.warehouses(book.home, name), views.levels(book.home, actor=name),
                  views.levels_as_of(book.home, later, actor=name)):  # fmt: skip
        assert ("Attic" in str(shown.rows)) is sees, shown
    with book.reading() as sql:
        attic = next(row for row in sql.exec_driver_sql("SELECT * FROM warehouse") if row.name == "Attic")
        assert stock.sees(sql, name, attic) is sees


def test_Z45_nobody_else_can_request_a_transfer_from_it_or_learns_that_it_is_there(book: Book, acts: As) -> None:
    for operation in (inbounds.request, inbounds.transfer):
        with pytest.raises(NotFound, match="no warehouse 'Attic'"):
            acts("tom", operation, "Attic", "Main", {"LAMP": 1})
    with pytest.raises(BadInput) as asked:
        acts("tom", stock.receive, "LAMP", None, 1)
    assert "Main, Side" in asked.value.message and "Attic" not in asked.value.message
    for name in ("mia", "boss"):
        assert acts(name, inbounds.request, "Attic", "Main", {"LAMP": 1}).startswith("TO-")


def test_Z45_a_transfer_from_it_is_seen_by_those_who_see_it(book: Book, acts: As) -> None:
    number = acts("mia", inbounds.request, "Attic", "Main", {"LAMP": 1})
    assert [row[0] for row in views.inbounds(book.home, actor="mia").rows] == [number]
    assert views.inbounds(book.home, actor="tom").rows == []
    with pytest.raises(NotFound):
        acts("tom", inbounds.allocate, number)
    acts("boss", inbounds.allocate, number)


def test_Z45_shared_again_every_user_sees_it_and_can_request(book: Book, acts: As) -> None:
    with pytest.raises(NotFound):
        acts("tom", stock.edit_warehouse, "Attic", shared=True)
    acts("mia", stock.edit_warehouse, "Attic", shared=True)
    assert "Attic" in str(views.warehouses(book.home, "tom").rows)
    acts("tom", inbounds.request, "Attic", "Main", {"LAMP": 1})


def test_Z45_who_makes_a_warehouse_private_that_nobody_keeps_keeps_it(book: Book, acts: As) -> None:
    with book.transaction() as t:
        t.sql.exec_driver_sql("UPDATE warehouse SET keeper = '' WHERE name = 'Side'")
    acts("tom", stock.edit_warehouse, "Side", shared=False)
    assert "Side" in str(views.warehouses(book.home, "tom").rows)
    assert "Side" not in str(views.warehouses(book.home, "mia").rows)


def test_the_inbox_says_who_keeps_what_is_asked_for(book: Book, acts: As) -> None:
    acts("boss", inbounds.request, "Attic", "Main", {"LAMP": 1})
    ((text,),) = books.ask(book, "SELECT text FROM inbox WHERE kind = 'transfer request'")
    assert text == "boss asks for 1 units from Attic to Main; mia keeps Attic"


def test_where_nobody_is_known_everybody_sees_everything(book: Book) -> None:
    do(book, stock.add_warehouse, "Attic", shared=False)
    assert "Attic" in str(views.warehouses(book.home, "anybody").rows)


def test_Z44_a_providers_warehouse_that_is_not_shared_is_a_finding_with_its_cure(book: Book) -> None:
    link(book)
    Zenv(book.home).good("warehouses", "edit", DEPOT, "--private")
    (found,) = invariants.check_all(book)
    assert (found.check, found.subject, found.command) == ("shared", DEPOT, f"zenv warehouses edit {DEPOT} --shared")
    Zenv(book.home).good(*found.command.split()[1:])
    assert books.findings(book) == []
