"""Listings find their items, become items, or wait; what the remote says twice changes nothing."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from sqlalchemy import select

from tests.catalog_books import (
    MORNING,
    Clock,
    add,
    book,
    clock,
    connect,
    connection_row,
    everything,
    items,
    lines_of,
    linked,
    listings,
    nothing_written,
    on_hand,
    owed,
    record,
    reserved,
    seen,
    sell,
)
from zenv.facts import BadRecord, ListingFact, Money
from zenv.ledger import listings as shop
from zenv.ledger import stock
from zenv.ledger.book import Book
from zenv.ledger.catalog import NewItem
from zenv.ledger.models import Listing
from zenv.ledger.transaction import table

__all__ = ["book", "clock"]


# ---- matching --------------------------------------------------------------------------------------------


def test_F8_an_equal_sku_or_gtin_links_by_itself_and_an_equal_name_does_not(book: Book) -> None:
    add(book, NewItem("A", "Lamp"), NewItem("B", "Shade", gtin="036000291452"))
    record(
        book, connect(book), seen("A"), seen("X", gtin="0036000291452"), seen("Y", name="Lamp"),
        seen("Z", gtin="036000291453"),
    )  # fmt: skip
    assert linked(book) == {"A": "A", "X": "B", "Y": None, "Z": None}


def test_F8_a_gtin_that_two_items_have_links_nothing(book: Book) -> None:
    add(book, NewItem("NEW", gtin="036000291452"), NewItem("USED", gtin="0036000291452"))
    record(book, connect(book, adopt_new=False), seen("X", gtin="036000291452"))
    assert linked(book) == {"X": None}


def test_an_equal_sku_goes_before_an_equal_gtin_and_a_parent_has_none(book: Book) -> None:
    add(book, NewItem("A"), NewItem("B", gtin="036000291452"))
    record(book, connect(book), seen("A", gtin="036000291452"), seen("P", gtin="036000291452", is_parent=True))
    assert linked(book) == {"A": "A", "P": None}


def test_H18_many_listings_of_several_connections_sell_one_item(book: Book) -> None:
    add(book, NewItem("A", gtin="036000291452"))
    for name in ("first", "second"):
        facts = (seen("A"), seen("A-FBA", gtin="036000291452", fulfilled_by="channel"))
        record(book, connect(book, name), *facts)
    with book.reading() as sql:
        owners = set(sql.execute(select(table(Listing).c.item_id)).scalars())
    assert owners == {items(book)["A"].id}
    assert on_hand(book) == {}


def test_F6_the_channels_stock_is_ignored_for_an_item_that_is_known(book: Book) -> None:
    add(book, NewItem("A"))
    record(book, connect(book, adopt_new=True), seen("A", quantity=9))
    assert on_hand(book) == {}
    assert (listings(book)["A"].channel_quantity, listings(book)["A"].opened_at) == (9, None)


def test_details_that_bring_the_gtin_later_link_the_listing_then(book: Book) -> None:
    add(book, NewItem("A", gtin="036000291452"))
    connection = connect(book)
    record(book, connection, seen("X", needs_detail=True))
    assert linked(book) == {"X": None}
    record(book, connection, seen("X", gtin="036000291452"))
    assert linked(book) == {"X": "A"}


# ---- snapshots -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adopts", [True, False])
def test_the_same_page_again_changes_no_row(book: Book, adopts: bool) -> None:
    connection = connect(book, adopt_new=adopts)
    page = (
        everything(), seen("P", is_parent=True), seen("R", needs_detail=True, quantity=1), seen("NONE"),
        everything("FBA", fulfilled_by="channel", quantity=None),
    )  # fmt: skip
    assert record(book, connection, *page).items == 5
    with nothing_written(book):
        assert record(book, connection, *page).items == 0


def test_the_same_thing_seen_later_moves_only_the_time(book: Book, clock: Clock) -> None:
    connection = connect(book)
    record(book, connection, everything(), everything("B"))
    later = clock.later(hours=4)
    before = {sku: row._asdict() for sku, row in listings(book).items()}
    assert record(book, connection, everything(observed_at=later), everything("B", observed_at=later)).items == 0
    now = {sku: row._asdict() for sku, row in listings(book).items()}
    assert now == {sku: row | {"observed_at": later} for sku, row in before.items()}


def test_every_field_of_a_fact_arrives_when_it_changes(book: Book, clock: Clock) -> None:
    connection = connect(book)
    record(book, connection, everything())
    changes: dict[str, Any] = {
        "name": "New name", "asin": "B000000002", "gtin": "4006381333931", "product_type": "SHADE",
        "fulfilled_by": "both", "status": "inactive", "quantity": 6, "parent_sku": "Q", "is_parent": True,
        "attributes": {"color": "blue"}, "price": Money(2500, "USD"),
    }  # fmt: skip
    for field, value in changes.items():
        record(book, connection, everything(observed_at=clock.later(minutes=1), **{field: value}))
        row = listings(book)["A"]._asdict()
        stored = {"quantity": row["channel_quantity"], "attributes": json.loads(row["attributes"]),
                  "price": Money(row["price"], row["currency"])}  # fmt: skip
        assert (row | stored)[field] == value, field
        record(book, connection, everything(observed_at=clock.later(minutes=1)))
    assert set(changes) | {"sku", "observed_at", "needs_detail", "variation_theme"} == set(
        ListingFact.__dataclass_fields__
    )


def test_an_older_fact_never_overwrites_a_newer_one(book: Book, clock: Clock) -> None:
    connection = connect(book)
    record(book, connection, everything(quantity=5, observed_at=clock.later(hours=1)))
    record(book, connection, everything(quantity=7, name="Old", observed_at=MORNING))
    record(book, connection, ListingFact("A", status="deleted", observed_at=MORNING))
    row = listings(book)["A"]
    assert (row.channel_quantity, row.name, row.status) == (5, "Name of A", "active")


def test_a_report_never_wipes_the_details_and_details_complete_an_older_report(book: Book, clock: Clock) -> None:
    connection = connect(book)
    newer = clock.later(hours=1)
    record(book, connection, seen("A", needs_detail=True, quantity=5, observed_at=newer))
    record(book, connection, everything(quantity=3, observed_at=MORNING))
    row = listings(book)["A"]
    assert (row.needs_detail, row.gtin, row.parent_sku, row.channel_quantity) == (False, "036000291452", "P", 5)
    record(book, connection, seen("A", name="Brighter", needs_detail=True, observed_at=clock.later(hours=4)))
    row = listings(book)["A"]
    assert (row.name, row.asin, row.needs_detail, row.gtin, row.parent_sku, row.price) == (
        "Brighter", "B000000001", False, "036000291452", "P", 1999,
    )  # fmt: skip


def test_details_that_did_not_change_are_not_written_again_after_a_report(book: Book, clock: Clock) -> None:
    connection = connect(book)
    record(book, connection, everything())
    at, cheaper = clock.later(hours=4), Money(999, "EUR")
    short = seen("A", asin="B000000001", price=cheaper, quantity=5, needs_detail=True, observed_at=at)
    record(book, connection, short)
    assert listings(book)["A"].price == 999
    with nothing_written(book):
        record(book, connection, everything(price=cheaper, observed_at=at))


def test_a_deleted_listing_is_marked_keeps_its_link_and_may_come_back(book: Book, clock: Clock) -> None:
    add(book, NewItem("A"))
    connection = connect(book)
    record(book, connection, everything(), everything("B"))
    gone = clock.later(hours=1)
    deleted = [ListingFact(sku, status="deleted", observed_at=gone) for sku in ("A", "B", "NEVER SEEN")]
    assert record(book, connection, *deleted).items == 2
    assert {sku: row.status for sku, row in listings(book).items()} == {"A": "deleted", "B": "deleted"}
    assert linked(book)["A"] == "A"
    with nothing_written(book):
        record(book, connection, *deleted)
    record(book, connection, everything(observed_at=clock.later(hours=1)))
    assert listings(book)["A"].status == "active"


def test_H28_what_was_told_is_applied_once_it_is_seen_after_it_was_told(book: Book, clock: Clock) -> None:
    add(book, NewItem("A"))
    connection = connect(book)
    record(book, connection, everything(quantity=7))
    told = clock.later(hours=1)
    with book.transaction() as t:
        t.sql.execute(table(Listing).update().values(submitted=7, submitted_at=told, applied_at=None))
    record(book, connection, everything(quantity=7))
    assert listings(book)["A"].applied_at is None
    record(book, connection, everything(quantity=6, observed_at=clock.later(minutes=1)))
    assert listings(book)["A"].applied_at is None
    applied = clock.later(minutes=1)
    record(book, connection, everything(quantity=7, observed_at=applied))
    assert listings(book)["A"].applied_at == applied
    record(book, connection, everything(quantity=2, observed_at=clock.later(minutes=1)))
    assert (listings(book)["A"].channel_quantity, listings(book)["A"].applied_at) == (2, applied)


def test_C2_a_sku_that_cannot_be_kept_is_set_aside_and_the_others_go_on(book: Book) -> None:
    recorded = record(book, connect(book), seen("A"), seen(""), seen("B\x1b[2J"), seen(" C"))
    reason = "its SKU is empty or unprintable"
    assert recorded.failures == tuple(BadRecord("listing", sku, reason) for sku in ("", "B[2J", "C"))
    assert list(listings(book)) == ["A"]


def test_control_characters_of_a_remote_never_enter(book: Book) -> None:
    record(book, connect(book, adopt_new=True), seen("A", name="La\x1b[31mmp\x9b", attributes={"co\x07lor": "r\x00ed"}))
    assert items(book)["A"].name == listings(book)["A"].name == "La[31mmp"
    assert json.loads(items(book)["A"].attributes) == {"color": "red"}


def test_C18_the_channels_own_leg_is_never_told_stock_and_is_told_again_once_it_is_the_merchants(
    book: Book, clock: Clock
) -> None:
    add(book, NewItem("A"))
    connection = connect(book)
    record(book, connection, everything(fulfilled_by="channel", quantity=None))
    with book.transaction() as t:
        stock.receive(t, "A", "Main", 4)
    assert owed(book) == set()
    record(book, connection, everything(observed_at=clock.later(hours=1)))
    assert owed(book) == {listings(book)["A"].id}


# ---- new items -------------------------------------------------------------------------------------------


def test_F6_a_listing_that_matches_nothing_becomes_an_item_with_the_channels_stock(book: Book) -> None:
    connection = connect(book, adopt_new=True)
    record(book, connection, everything("A", quantity=5), everything("B", quantity=0, gtin="4006381333931"))
    lamp, row = items(book)["A"], listings(book)["A"]
    assert (lamp.name, lamp.gtin, json.loads(lamp.attributes)) == ("Name of A", "036000291452", {"color": "red"})
    assert on_hand(book) == {"A": 5}
    assert row.opened_at == listings(book)["B"].opened_at == MORNING
    assert connection_row(book, connection).opened_at == MORNING


def test_F12_after_the_opening_the_channels_stock_changes_nothing_here(book: Book, clock: Clock) -> None:
    connection = connect(book, adopt_new=True)
    record(book, connection, everything(quantity=5))
    record(book, connection, everything(quantity=50, observed_at=clock.later(hours=4)))
    assert on_hand(book) == {"A": 5}


def test_F6_units_of_orders_the_channel_has_already_deducted_are_still_on_the_shelf(book: Book, clock: Clock) -> None:
    connection = connect(book, adopt_new=True)
    before, after = clock.later(minutes=-20), clock.later(minutes=40)
    sell(book, connection, "BEFORE", before, "A", 2)
    sell(book, connection, "PENDING", before, "A", 1, state="pending")
    sell(book, connection, "FBA", before, "A", 50, fulfilled_by="channel")
    sell(book, connection, "AFTER", after, "A", 3)
    sell(book, connection, "SHIPPED AFTER", after, "A", 1, shipped=1, state="shipped")
    record(book, connection, everything(quantity=10))
    assert on_hand(book) == {"A": 10 + 2 + 1 - 1}
    assert reserved(book) == 2 + 1 + 3
    assert lines_of(book, "AFTER")[0].item_id == items(book)["A"].id


def test_F6_an_order_from_before_the_opening_that_is_read_later_brings_its_units(book: Book, clock: Clock) -> None:
    connection = connect(book, adopt_new=True)
    record(book, connection, everything(quantity=10))
    sell(book, connection, "BEFORE", clock.later(minutes=-5), "A", 2)
    assert on_hand(book) == {"A": 12}


def test_channel_and_mixed_listings_open_nothing(book: Book) -> None:
    record(
        book, connect(book, adopt_new=True), everything("A", fulfilled_by="channel", quantity=None),
        everything("B", fulfilled_by="both", gtin="4006381333931"),
    )  # fmt: skip
    assert {"A", "B"} <= items(book).keys()
    assert on_hand(book) == {}


def test_opening_stock_goes_to_the_connections_first_warehouse(book: Book) -> None:
    with book.transaction() as t:
        stock.add_warehouse(t, "Early", rank=1)
    record(book, connect(book, adopt_new=True), everything(quantity=5))
    with book.reading() as sql:
        assert stock.on_hand(sql, items(book)["A"].id, stock.warehouse_id(sql, "Main")) == 5


def test_without_adopting_everything_waits_and_a_mid_life_adoption_leaves_the_baseline_alone(
    book: Book, clock: Clock
) -> None:
    add(book, NewItem("OLD"))
    connection = connect(book)
    record(book, connection, seen("OLD"), everything())
    assert linked(book) == {"OLD": "OLD", "A": None}
    with book.transaction() as t:
        t.sql.execute(shop.connections.update().values(adopt_new=True))
    record(book, connection, everything("B", gtin="", observed_at=clock.later(hours=1)))
    assert linked(book)["B"] == "B"
    assert connection_row(book, connection).opened_at is None


def test_two_listings_of_one_gtin_become_one_item_in_one_page_or_in_two(book: Book) -> None:
    connection = connect(book, adopt_new=True)
    record(
        book, connection, everything("FBA", fulfilled_by="channel", quantity=None, parent_sku=""),
        everything("MFN", quantity=4, parent_sku=""),
    )  # fmt: skip
    record(book, connection, everything("MFN-2", quantity=9, parent_sku="", gtin="0036000291452"))
    assert linked(book) == {"FBA": "MFN", "MFN": "MFN", "MFN-2": "MFN"}
    assert on_hand(book) == {"MFN": 4}


def test_a_report_row_without_a_quantity_waits_for_its_details_before_it_becomes_an_item(book: Book) -> None:
    connection = connect(book, adopt_new=True)
    record(book, connection, seen("P", needs_detail=True), seen("A", needs_detail=True, quantity=3))
    assert linked(book) == {"P": None, "A": "A"}
    record(book, connection, seen("P", is_parent=True), everything("A", quantity=3))
    assert linked(book) == {"P": "P", "A": "A"}
    assert items(book)["A"].parent_id == items(book)["P"].id
    assert on_hand(book) == {"A": 3}


def test_A5_details_that_name_a_parent_nobody_has_seen_bring_it_along(book: Book) -> None:
    connection = connect(book, adopt_new=True)
    record(book, connection, seen("KID", needs_detail=True, quantity=3))
    assert items(book)["KID"].parent_id is None
    record(book, connection, everything("KID", quantity=3, parent_sku="MUM"))
    kid, mum = items(book)["KID"], items(book)["MUM"]
    assert (kid.parent_id, kid.gtin, json.loads(kid.attributes)) == (mum.id, "036000291452", {"color": "red"})
    assert listings(book)["MUM"].needs_detail


def test_what_a_person_wrote_of_an_item_is_never_overwritten_by_a_listing(book: Book) -> None:
    mine = NewItem("A", "My name", "4006381333931", attributes={"my": "own"})
    add(book, mine)
    connection = connect(book, adopt_new=True)
    record(book, connection, seen("A", needs_detail=True))
    record(book, connection, everything())
    item = items(book)["A"]
    assert (item.name, item.gtin, json.loads(item.attributes)) == (mine.name, mine.gtin, mine.attributes)


FAMILY = (
    everything("KID-1", gtin="036000291452", quantity=1, parent_sku="MUM", attributes={"size": "S"}),
    everything("KID-2", gtin="4006381333931", quantity=2, parent_sku="MUM", attributes={"size": "M"}),
    seen("MUM", is_parent=True, name="All sizes"),
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("pages", [1, 3])
def test_A5_variations_come_as_items_with_their_parent_in_whatever_order(
    book: Book, order: tuple[int, ...], pages: int
) -> None:
    connection = connect(book, adopt_new=True)
    facts = [FAMILY[place] for place in order]
    for page in [facts] if pages == 1 else [[fact] for fact in facts]:
        record(book, connection, *page)
    now = items(book)
    assert {sku: item.parent_id for sku, item in now.items()} == {
        "MUM": None, "KID-1": now["MUM"].id, "KID-2": now["MUM"].id,
    }  # fmt: skip
    assert now["MUM"].name == "All sizes"
    assert on_hand(book) == {"KID-1": 1, "KID-2": 2}
    assert len(listings(book)) == 3


def test_listings_that_name_each_other_as_parents_make_no_circle(book: Book) -> None:
    connection = connect(book, adopt_new=True)
    record(
        book, connection, seen("A", parent_sku="B", quantity=1), seen("B", parent_sku="A", quantity=1),
        seen("C", parent_sku="C", quantity=1), seen("D", parent_sku="E", quantity=1), seen("E", parent_sku="F"),
    )  # fmt: skip
    record(book, connection, seen("F", parent_sku="D"))
    parents = {item.id: item.parent_id for item in items(book).values()}
    assert set(items(book)) == {"A", "B", "C", "D", "E", "F"}
    assert all(parents[parent] is None for parent in parents.values() if parent is not None)
