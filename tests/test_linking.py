"""Order lines of listings nobody knows yet, and what a person decides about such listings."""

from __future__ import annotations

import pytest

from tests.catalog_books import (
    Clock,
    add,
    book,
    clock,
    connect,
    everything,
    items,
    lines_of,
    linked,
    listings,
    on_hand,
    owed,
    record,
    reserved,
    seen,
    sell,
)
from zenv.errors import BadInput, NotFound, Refused, SettingsError
from zenv.facts import ListingFact, Money
from zenv.ledger import listings as shop
from zenv.ledger import stock
from zenv.ledger.book import Book
from zenv.ledger.catalog import NewItem

__all__ = ["book", "clock"]


# ---- order lines -----------------------------------------------------------------------------------------


def test_trap_d_an_order_for_an_unknown_sku_waits_and_is_filled_once_it_is_linked(book: Book, clock: Clock) -> None:
    add(book, NewItem("LAMP"))
    connection = connect(book)
    with book.transaction() as t:
        stock.receive(t, "LAMP", "Main", 5)
    sell(book, connection, "1", clock(), "STRANGE", 2)
    assert (lines_of(book, "1")[0].item_id, reserved(book)) == (None, 0)
    with book.transaction() as t:
        assert shop.link(t, "STRANGE", "LAMP") == 1
    assert (lines_of(book, "1")[0].item_id, reserved(book)) == (items(book)["LAMP"].id, 2)


def test_order_lines_bind_to_the_listings_there_are_and_to_the_item_with_that_sku(book: Book) -> None:
    add(book, NewItem("LAMP"))
    connection, other = connect(book), connect(book, "other")
    record(book, connection, seen("A"))
    record(book, other, seen("A"))
    with book.transaction() as t:
        bound = shop.bind_lines(t, connection, ["A", "LAMP", "NEW", "NEW"])
        assert bound == shop.bind_lines(t, connection, ["A", "LAMP", "NEW"])
    assert bound["A"][1] is bound["NEW"][1] is None
    assert bound["LAMP"][1] == items(book)["LAMP"].id
    assert len({listing for listing, _ in bound.values()}) == 3


def test_C18_a_listing_known_only_from_an_order_is_told_no_stock_until_the_remote_has_shown_it(
    book: Book, clock: Clock
) -> None:
    add(book, NewItem("LAMP"))
    connection = connect(book)
    with book.transaction() as t:
        stock.receive(t, "LAMP", "Main", 5)
    sell(book, connection, "1", clock(), "LAMP", 2)
    assert owed(book) == set()
    assert listings(book)["LAMP"].needs_detail
    record(book, connection, seen("LAMP", quantity=5))
    assert owed(book) == {listings(book)["LAMP"].id}


# ---- what a person decides -------------------------------------------------------------------------------


def test_H23_linking_merges_the_listing_into_the_item_and_clears_it_from_the_unconfirmed(book: Book) -> None:
    add(book, NewItem("LAMP"))
    connection = connect(book)
    record(book, connection, everything("X", quantity=9))
    with book.transaction() as t:
        assert shop.link(t, "X", "LAMP") == 0
        assert shop.link(t, "X", "LAMP", "amazon") == 0
    assert linked(book) == {"X": "LAMP"}
    assert on_hand(book) == {}
    assert owed(book) == {listings(book)["X"].id}
    with book.reading() as sql:
        assert shop.suggestions(sql) == []


def test_a_link_is_refused_when_it_is_unclear_or_would_take_anothers_listing(book: Book) -> None:
    add(book, NewItem("LAMP"), NewItem("OTHER"))
    for name in ("first", "second"):
        record(book, connect(book, name), seen("X"))
    with book.transaction() as t:
        with pytest.raises(BadInput, match="first, second"):
            shop.link(t, "X", "LAMP")
        shop.link(t, "X", "LAMP", "second")
        with pytest.raises(Refused, match="linked to LAMP"):
            shop.link(t, "X", "OTHER", "second")
        with pytest.raises(NotFound, match="no listing 'Y'"):
            shop.link(t, "Y", "LAMP")
        with pytest.raises(NotFound, match="no item 'NOBODY'"):
            shop.link(t, "X", "NOBODY", "first")
        with pytest.raises(NotFound, match="no connection 'third'"):
            shop.link(t, "X", "LAMP", "third")


def test_unlinking_gives_reserved_and_picked_units_back_and_lets_the_lines_wait(book: Book, clock: Clock) -> None:
    from zenv.ledger import orders

    add(book, NewItem("LAMP"))
    connection = connect(book)
    record(book, connection, seen("X"))
    with book.transaction() as t:
        shop.link(t, "X", "LAMP")
        stock.receive(t, "LAMP", "Main", 5)
    sell(book, connection, "1", clock(), "X", 2)
    sell(book, connection, "2", clock(), "X", 1)
    with book.transaction() as t:
        orders.pick(t, "1")
    assert on_hand(book) == {"LAMP": 3}
    with book.transaction() as t:
        shop.unlink(t, "X")
    assert (linked(book), on_hand(book), reserved(book)) == ({"X": None}, {"LAMP": 5}, 0)
    assert [line.item_id for line in lines_of(book, "1") + lines_of(book, "2")] == [None, None]
    with book.transaction() as t, pytest.raises(Refused, match="has no item"):
        shop.unlink(t, "X")


def test_what_was_shipped_stays_with_its_item_when_the_listing_is_linked_to_another(book: Book, clock: Clock) -> None:
    add(book, NewItem("OLD"), NewItem("NEW"))
    connection = connect(book)
    record(book, connection, seen("X"))
    with book.transaction() as t:
        shop.link(t, "X", "OLD")
        stock.receive(t, "OLD", "Main", 5)
    sell(book, connection, "GONE", clock(), "X", 1, shipped=1, state="shipped")
    sell(book, connection, "OPEN", clock(), "X", 2)
    with book.transaction() as t:
        shop.unlink(t, "X")
        assert shop.link(t, "X", "NEW") == 1
    now = items(book)
    assert lines_of(book, "GONE")[0].item_id == now["OLD"].id
    assert lines_of(book, "OPEN")[0].item_id == now["NEW"].id
    assert (on_hand(book), reserved(book)) == ({"OLD": 4}, 0)


def test_what_a_person_unlinked_is_not_linked_again_by_the_next_page(book: Book, clock: Clock) -> None:
    add(book, NewItem("A"))
    connection = connect(book, adopt_new=True)
    record(book, connection, everything(parent_sku=""))
    with book.transaction() as t:
        shop.unlink(t, "A")
    record(book, connection, everything(parent_sku="", price=Money(5, "EUR"), observed_at=clock.later(hours=4)))
    sell(book, connection, "1", clock(), "A", 1)
    assert linked(book) == {"A": None}
    with book.transaction() as t, pytest.raises(Refused, match="an item A already"):
        shop.confirm(t, "A")


def test_F9_confirming_makes_an_item_with_stock_parent_and_waiting_orders(book: Book, clock: Clock) -> None:
    connection = connect(book)
    record(book, connection, everything(quantity=5, parent_sku="MUM"))
    sell(book, connection, "1", clock.later(minutes=5), "A", 2)
    with book.transaction() as t:
        assert shop.confirm(t, "A") == 2
    now = items(book)
    assert now["A"].parent_id == now["MUM"].id
    assert (on_hand(book), reserved(book)) == ({"A": 5}, 2)
    with book.transaction() as t, pytest.raises(Refused, match="linked to A already"):
        shop.confirm(t, "A")


def test_confirming_all_takes_every_connection_and_shares_items_between_them(book: Book) -> None:
    for name in ("first", "second"):
        record(book, connect(book, name), everything("A", quantity=3), seen(f"{name}-ONLY", quantity=1))
    with book.transaction() as t:
        assert shop.confirm(t, connection="second") == 3
        assert shop.confirm(t) == 1
        assert shop.confirm(t) == 0
    assert set(items(book)) == {"A", "P", "first-ONLY", "second-ONLY"}
    assert on_hand(book) == {"A": 3, "first-ONLY": 1, "second-ONLY": 1}


def test_a_deleted_listing_is_not_confirmed(book: Book, clock: Clock) -> None:
    connection = connect(book)
    record(book, connection, seen("A"))
    record(book, connection, ListingFact("A", status="deleted", observed_at=clock.later(hours=1)))
    with book.transaction() as t:
        assert shop.confirm(t) == 0
        with pytest.raises(Refused, match="was deleted"):
            shop.confirm(t, "A")


def test_confirming_without_a_warehouse_books_nothing_and_says_what_to_do(book: Book) -> None:
    connection = connect(book, adopt_new=True)
    with book.transaction() as t:
        t.sql.execute(stock.warehouses.update().values(active=False))
    record(book, connection, everything(quantity=2))
    assert linked(book) == {"A": None}
    with pytest.raises(SettingsError, match="no warehouse"), book.transaction() as t:
        shop.confirm(t, "A")
    assert items(book) == {}


def test_H21_the_unconfirmed_are_listed_with_what_waits_and_the_item_of_the_same_name(book: Book, clock: Clock) -> None:
    add(book, NewItem("LAMP", "Big  LAMP"), NewItem("S-1", "Shade"), NewItem("S-2", "shade"))
    connection = connect(book)
    record(
        book, connection, seen("A", name="Shade", quantity=1), seen("B", name="big lamp ", gtin="036000291452"),
        seen("C", name=""), seen("LAMP"),
    )  # fmt: skip
    sell(book, connection, "1", clock(), "B", 2)
    with book.reading() as sql:
        found = shop.suggestions(sql)
        with pytest.raises(NotFound, match="no connection"):
            shop.suggestions(sql, "nobody")
    assert [(one.sku, one.suggested, one.waiting_lines, one.live, one.gtin) for one in found] == [
        ("B", "LAMP", 1, None, "036000291452"), ("A", "", 0, 1, ""), ("C", "", 0, None, ""),
    ]  # fmt: skip
