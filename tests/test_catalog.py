"""Items are made by hand or from a file; the preview of a file is what is booked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.catalog_books import Clock, book, clock, connect, items, listings, nothing_written, on_hand, seen
from tests.shared_files import SHARED
from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import catalog, stock
from zenv.ledger.book import Book
from zenv.ledger.catalog import NewItem, Preview
from zenv.ledger.item_files import Sheet, read_items_csv, sheet_from_listings
from zenv.ledger.listing_facts import record_listings

__all__ = ["book", "clock"]

LISTINGS_UK = SHARED / "data" / "all_listings_uk_2016.txt"


def add(book: Book, *new: NewItem) -> None:
    with book.transaction() as t:
        for item in new:
            catalog.add_item(t, item)


def sheet(tmp_path: Path, *lines: str) -> Sheet:
    path = tmp_path / "items.csv"
    path.write_text("\n".join(lines) + "\n")
    return read_items_csv(path, "EUR")


def apply(book: Book, of: Sheet, warehouse: str | None = None) -> Preview:
    with book.transaction() as t:
        return catalog.apply(t, of, warehouse)


def preview(book: Book, of: Sheet) -> Preview:
    with book.reading() as sql:
        return catalog.preview(sql, of)


# ---- by hand ---------------------------------------------------------------------------------------------


def test_an_item_keeps_what_is_said_of_it(book: Book) -> None:
    add(book, NewItem("LAMP", "Lamp"))
    add(book, NewItem(" LAMP-RED ", "Red\x1b  lamp", "4006381333931", "LAMP", {"color": "red"}, 1250, 300))
    lamp, red = items(book)["LAMP"], items(book)["LAMP-RED"]
    assert (red.name, red.gtin, red.parent_id, red.unit_cost, red.weight_grams) == (
        "Red lamp", "4006381333931", lamp.id, 1250, 300,
    )  # fmt: skip
    assert json.loads(red.attributes) == {"color": "red"}


@pytest.mark.parametrize(("new", "error", "says"), [
    (NewItem(" \x07 "), BadInput, "needs a SKU"),
    (NewItem("A", gtin="4006381333932"), BadInput, "check digit"),
    (NewItem("A", unit_cost=-1), BadInput, "unit_cost"),
    (NewItem("A", weight_grams=10**12), BadInput, "weight_grams"),
    (NewItem("A", parent="NOBODY"), NotFound, "NOBODY"),
    (NewItem("LAMP"), Refused, "an item LAMP already"),
])  # fmt: skip
def test_an_item_that_cannot_be_is_refused_and_nothing_is_booked(
    book: Book, new: NewItem, error: type[Exception], says: str
) -> None:
    add(book, NewItem("LAMP"))
    with pytest.raises(error, match=says):
        add(book, new)
    assert list(items(book)) == ["LAMP"]


def test_editing_changes_what_is_named_and_clears_what_is_emptied(book: Book) -> None:
    add(book, NewItem("LAMP", "Lamp", "4006381333931", unit_cost=5), NewItem("ALL"))
    with book.transaction() as t:
        catalog.edit_item(t, "LAMP", sku="LAMP-2", gtin="", parent="ALL", unit_cost=None, active=False)
    lamp = items(book)["LAMP-2"]
    assert (lamp.name, lamp.gtin, lamp.unit_cost, lamp.active) == ("Lamp", None, None, False)
    assert lamp.parent_id == items(book)["ALL"].id


def test_editing_never_makes_an_item_its_own_ancestor_or_takes_anothers_sku(book: Book) -> None:
    add(book, NewItem("A"), NewItem("B", parent="A"), NewItem("C", parent="B"))
    with book.transaction() as t:
        for parent in ("A", "B", "C"):
            with pytest.raises(Refused, match="its own ancestor"):
                catalog.edit_item(t, "A", parent=parent)
        with pytest.raises(Refused, match="an item B already"):
            catalog.edit_item(t, "A", sku="B")
        with pytest.raises(NotFound, match="no item 'D'"):
            catalog.edit_item(t, "D", name="x")
        with pytest.raises(BadInput, match="Nothing to change"):
            catalog.edit_item(t, "A")


# ---- from a file -----------------------------------------------------------------------------------------


def test_the_preview_tells_new_changed_same_and_problems_and_is_what_is_booked(book: Book, tmp_path: Path) -> None:
    add(book, NewItem("A", "Old", unit_cost=100), NewItem("B", "Same", attributes={"x": "1"}))
    of = sheet(tmp_path, "sku,name,unit_cost,attribute:x,gtin", "A,New,1.00,,", "B,Same,,1,", "C,C,,,", "D,,,,123")
    shown = preview(book, of)
    assert [line.sku for line in shown.new] == ["C"]
    (changed,) = shown.changed
    (change,) = changed.fields
    assert (changed.line.sku, change.field, change.old, change.new) == ("A", "name", "Old", "New")
    assert shown.same == 1
    assert [problem.line_number for problem in shown.problems] == [5]
    assert list(items(book)) == ["A", "B"]
    assert apply(book, of) == shown
    assert {sku: item.name for sku, item in items(book).items()} == {"A": "New", "B": "Same", "C": "C"}


def test_importing_the_same_file_again_changes_no_row(book: Book, tmp_path: Path) -> None:
    of = sheet(
        tmp_path,
        "sku,name,gtin,parent,attributes,unit_cost,weight,active,quantity",
        "KID,Kid,036000291452,MUM,size=L;color=red,1.5,1 kg,no,4",
        "MUM,Mum,,,,,,,",
    )
    apply(book, of)
    with nothing_written(book):
        again = apply(book, of)
    assert (again.new, again.changed, again.same, again.quantities_left_out) == ([], [], 2, 1)
    assert on_hand(book) == {"KID": 4}


def test_an_attribute_of_a_file_is_added_to_those_there_are(book: Book, tmp_path: Path) -> None:
    add(book, NewItem("A", attributes={"size": "L", "color": "red"}))
    apply(book, sheet(tmp_path, "sku,attribute:color", "A,blue"))
    assert json.loads(items(book)["A"].attributes) == {"size": "L", "color": "blue"}


def test_parents_may_stand_in_the_file_in_any_order_or_in_the_books(book: Book, tmp_path: Path) -> None:
    add(book, NewItem("OLD"))
    apply(book, sheet(tmp_path, "sku,parent", "GRANDKID,KID", "KID,MUM", "MUM,", "OTHER,OLD", "OLD,MUM"))
    now = items(book)
    names = {item.id: sku for sku, item in now.items()}
    assert {sku: names.get(item.parent_id) for sku, item in now.items()} == {
        "OLD": "MUM", "GRANDKID": "KID", "KID": "MUM", "MUM": None, "OTHER": "OLD",
    }  # fmt: skip


def test_a_line_whose_parent_falls_out_falls_out_too(book: Book, tmp_path: Path) -> None:
    booked = apply(book, sheet(tmp_path, "sku,parent,gtin", "A,B,", "B,C,", "C,,123", "D,,"))
    assert list(items(book)) == ["D"]
    assert [(problem.line_number, problem.reason) for problem in booked.problems] == [
        (2, "there is no item B to be the parent of A"),
        (3, "there is no item C to be the parent of B"),
        (4, "'123' is not a GTIN: it has 3 digits, not 8, 12, 13 or 14"),
    ]


def test_a_circle_of_parents_is_named_and_the_other_lines_are_booked(book: Book, tmp_path: Path) -> None:
    add(book, NewItem("X"), NewItem("Y", parent="X"))
    booked = apply(book, sheet(tmp_path, "sku,parent", "A,B", "B,A", "C,A", "X,Y", "E,X"))
    reasons = {problem.line_number: problem.reason for problem in booked.problems}
    assert "A < B < A" in reasons[2] and "B < A < B" in reasons[3]
    assert reasons[4] == "there is no item A to be the parent of C"
    assert "X < Y < X" in reasons[5]
    assert sorted(items(book)) == ["E", "X", "Y"]
    assert items(book)["X"].parent_id is None


def test_quantities_open_new_items_only_and_need_a_clear_warehouse(book: Book, tmp_path: Path) -> None:
    add(book, NewItem("OLD"))
    with book.transaction() as t:
        stock.add_warehouse(t, "Second")
    of = sheet(tmp_path, "sku,quantity", "NEW,5", "OLD,9", "NONE,0")
    with pytest.raises(BadInput, match="Which warehouse"):
        apply(book, of)
    assert list(items(book)) == ["OLD"]
    booked = apply(book, of, "Second")
    assert (booked.opening_units, booked.quantities_left_out) == (5, 1)
    assert on_hand(book) == {"NEW": 5}


def test_a_new_item_finds_the_listings_that_waited_for_its_sku_or_gtin(book: Book, tmp_path: Path) -> None:
    connection = connect(book)
    with book.transaction() as t:
        facts = [seen("A"), seen("L-1", gtin="0036000291452"), seen("L-2", gtin="4006381333931"), seen("Z"),
                 seen("D"), seen("PARENT", gtin="0036000291452", is_parent=True)]  # fmt: skip
        record_listings(t, connection, facts)
    apply(book, sheet(tmp_path, "sku,gtin", "A,", "B,036000291452"))
    add(book, NewItem("C"), NewItem("D"))
    with book.transaction() as t:
        catalog.edit_item(t, "C", gtin="4006381333931")
    linked = {sku: listing.item for sku, listing in listings(book).items()}
    assert linked == {"A": "A", "L-1": "B", "L-2": "C", "Z": None, "D": "D", "PARENT": None}


@pytest.mark.skipif(not LISTINGS_UK.exists(), reason="the published All Listings report is not there")
def test_a_seller_starts_from_amazons_downloaded_file_without_access_to_its_interface(book: Book) -> None:
    from zenv.connectors.amazon.listings_report import read_listings

    with LISTINGS_UK.open("rb") as file:
        booked = apply(book, sheet_from_listings(read_listings(file)))
    assert len(booked.new) == len(items(book)) > 0
    vest = items(book)["1234567"]
    assert (vest.name, vest.gtin) == ("Vest", "680242554716")
    assert on_hand(book)["1234567"] == 1
    with LISTINGS_UK.open("rb") as file:
        again = apply(book, sheet_from_listings(read_listings(file)))
    assert (again.new, again.changed) == ([], [])


def test_many_lines_go_through_in_bulk(book: Book, tmp_path: Path, clock: Clock) -> None:
    rows = [f"SKU-{number},Lamp {number},PARENT,3" for number in range(2500)]
    apply(book, sheet(tmp_path, "sku,name,parent,quantity", *rows, "PARENT,All,,"))
    clock.later(hours=1)
    assert len(items(book)) == 2501
    assert sum(on_hand(book).values()) == 7500
    assert preview(book, sheet(tmp_path, "sku,name,parent,quantity", *rows, "PARENT,All,,")).same == 2501
