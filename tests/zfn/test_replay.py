"""The client repeats its provider's journal: the same units, entry by entry, with the packages that left."""

from __future__ import annotations

import pytest

from tests import books
from tests.books import PERSON, line, make_order, order, record
from tests.zfn import linked
from tests.zfn.linked import DEPOT, Journal, handed
from tests.zfn.test_handing import sold
from zenv import wire
from zenv.ledger.book import Book
from zenv.ledger.zfn import replay


@pytest.fixture
def journal(book: Book) -> Journal:
    """A provider that has received 10 LAMP and 10 BULB of ours."""
    books.add_items(book, "LAMP", "BULB")
    found = Journal(book, linked.link(book, "LAMP", "BULB"))
    found.received("LAMP", 10)
    found.received("BULB", 10)
    return found


@pytest.fixture
def ours(book: Book, journal: Journal) -> str:
    """An order of 3 LAMP and 2 BULB that the provider has."""
    number = make_order(book, ("LAMP", 3), ("BULB", 2), number="1001", recipient=PERSON, ship_from=DEPOT)
    handed(book, journal.connection)
    return number


def test_N7_receipts_at_the_provider_are_on_our_shelf_there(book: Book, journal: Journal) -> None:
    assert books.shelf(book, "LAMP", DEPOT) == (10, 0, 0)
    assert books.movements(book, "LAMP") == [("received", 10)]
    entries = books.ask(book, "SELECT entry, movement_id FROM mirrored ORDER BY entry")
    assert entries == [(1, 1), (2, 2)]


def test_N7_picks_and_packages_of_the_provider_end_the_order(book: Book, journal: Journal, ours: str) -> None:
    journal.picked(ours, LAMP=3, BULB=2)
    assert books.held(book, ours) == [("LAMP", DEPOT, 3, 3), ("BULB", DEPOT, 2, 2)]
    assert books.shelf(book, "LAMP", DEPOT) == (7, 3, 0)
    assert books.findings(book) == []
    journal.shipped(ours, l1=("LAMP", 3), l2=("BULB", 2))
    assert books.state(book, ours) == "shipped"
    assert books.shelf(book, "LAMP", DEPOT) == (7, 0, 0)
    assert books.findings(book) == []


def test_a_part_of_an_order_that_left_leaves_the_rest_set_aside(book: Book, journal: Journal, ours: str) -> None:
    journal.picked(ours, LAMP=3)
    journal.shipped(ours, l1=("LAMP", 1))
    assert books.state(book, ours) == "part_shipped"
    assert books.held(book, ours) == [("LAMP", DEPOT, 2, 2), ("BULB", DEPOT, 2, 0)]
    journal.booked(("LAMP", 1, "picked", "on_hand", "unpicked"), order=f"c:{ours}")
    assert books.held(book, ours) == [("LAMP", DEPOT, 2, 1), ("BULB", DEPOT, 2, 0)]
    assert books.findings(book) == []


def test_what_was_never_picked_may_be_shipped(book: Book, journal: Journal, ours: str) -> None:
    journal.shipped(ours, source="on_hand", l1=("LAMP", 3), l2=("BULB", 2))
    assert books.state(book, ours) == "shipped" and books.held(book, ours) == [
        ("LAMP", None, 0, 0),
        ("BULB", None, 0, 0),
    ]
    assert books.findings(book) == []


def test_what_waits_here_may_be_picked_there(book: Book, journal: Journal) -> None:
    number = make_order(book, ("LAMP", 12), number="1002", recipient=PERSON, ship_from=DEPOT)
    assert books.held(book, number) == [("LAMP", None, 0, 0)]
    journal.picked(number, LAMP=4)
    assert books.held(book, number) == [("LAMP", DEPOT, 4, 4)]
    journal.received("LAMP", 5)
    assert books.held(book, number) == [("LAMP", DEPOT, 12, 4)]
    assert books.findings(book) == []


def test_N7_a_package_of_the_provider_is_told_to_the_channel_that_sold_it(book: Book, journal: Journal) -> None:
    amazon = books.connect(book, warehouses=(DEPOT,))
    books.list_(book, amazon, "LAMP")
    sold(book, amazon, "A-1", line("LAMP", 2))
    handed(book, journal.connection)
    journal.picked("A-1", LAMP=2)
    journal.shipped("A-1", tracking="1Z999", lL1=("LAMP", 2))
    (notice,) = books.to_send(book, amazon, "shipment")
    assert (notice.order, notice.carrier, notice.tracking, notice.lines) == ("A-1", "UPS", "1Z999", (("L1", 2),))
    assert books.findings(book) == []


def test_the_same_package_read_again_is_one_package(book: Book, journal: Journal, ours: str) -> None:
    journal.picked(ours, LAMP=3)
    journal.shipped(ours, l1=("LAMP", 1))
    left, inside = book.clock() - books.HOUR / 60, [wire.Packed(line="1", quantity=1)]
    again = wire.Package(order=f"c:{ours}", reference="1", carrier="UPS", service="", tracking="T1", shipped_at=left,
                         lines=inside)  # fmt: skip
    journal.booked(("LAMP", 5, "supplier", "on_hand", "received"), order=f"c:{ours}", packages=[again])
    assert books.counts(book, ours)[0] == ("LAMP", 3, 0, 1)


def test_two_lines_of_one_item_share_what_was_picked_of_it(book: Book, journal: Journal) -> None:
    number = make_order(book, ("LAMP", 1), ("LAMP", 1), number="1003", recipient=PERSON, ship_from=DEPOT)
    journal.picked(number, LAMP=1)
    journal.shipped(number, l2=("LAMP", 1))
    assert books.counts(book, number) == [("LAMP", 1, 0, 0), ("LAMP", 1, 0, 1)]
    assert books.held(book, number)[0] == ("LAMP", DEPOT, 1, 0)
    assert books.findings(book) == []


def test_what_left_although_it_was_cancelled_here_did_leave(book: Book, journal: Journal) -> None:
    amazon = books.connect(book, warehouses=(DEPOT,))
    books.list_(book, amazon, "LAMP")
    sold(book, amazon, "A-1", line("LAMP", 2))
    handed(book, journal.connection)
    record(book, amazon, order("A-1", line("LAMP", 2, cancelled=2), state="cancelled", said=books.MORNING + books.HOUR))
    journal.shipped("A-1", source="on_hand", lL1=("LAMP", 2))
    assert books.counts(book, "A-1") == [("LAMP", 2, 0, 2)] and books.state(book, "A-1") == "shipped"
    assert ("shipped anyway", "A-1/LAMP") in books.inbox(book)
    assert books.findings(book) == []


def test_units_the_mirror_lacks_are_taken_as_the_provider_has_them_and_said_aloud(book: Book, journal: Journal) -> None:
    journal.booked(("LAMP", 12, "on_hand", "adjustment", "counted"))
    assert books.shelf(book, "LAMP", DEPOT) == (0, 0, 0)
    assert ("provider differs", "LAMP") in books.inbox(book)
    assert books.findings(book) == []


def test_an_item_that_is_none_of_ours_is_left_out(book: Book, journal: Journal) -> None:
    journal.received("STRANGE", 4)
    assert books.ask(book, "SELECT COUNT(*) FROM movements") == [(2,)]


def test_a_transfer_between_the_providers_own_warehouses_is_in_transit_there(book: Book, journal: Journal) -> None:
    journal.booked(("LAMP", 4, "on_hand", "in_transit", "transferred"))
    assert books.shelf(book, "LAMP", DEPOT) == (6, 0, 4)
    journal.booked(("LAMP", 4, "in_transit", "on_hand", "arrived"))
    assert books.shelf(book, "LAMP", DEPOT) == (10, 0, 0)


# ---- levels as they are ----------------------------------------------------------------------------------


def told(sku: str, on_hand: int, picked: int = 0, in_transit: int = 0) -> wire.LevelOf:
    return wire.LevelOf(sku=sku, on_hand=on_hand, picked=picked, in_transit=in_transit)


def refreshed(book: Book, journal: Journal, *levels: wire.LevelOf, skus: list[str] | None = None) -> list[str]:
    with book.transaction() as t:
        return replay.refresh(t, journal.connection, levels, skus)


def test_Z33_the_mirror_takes_the_levels_of_the_provider(book: Book, journal: Journal, ours: str) -> None:
    journal.picked(ours, LAMP=3)
    assert refreshed(book, journal, told("LAMP", 8, picked=1)) == ["BULB", "LAMP"]
    assert (books.shelf(book, "LAMP", DEPOT), books.shelf(book, "BULB", DEPOT)) == ((8, 1, 0), (0, 0, 0))
    assert books.held(book, ours)[0] == ("LAMP", DEPOT, 3, 1)
    assert refreshed(book, journal, told("LAMP", 8, picked=1)) == []
    assert books.findings(book) == []


def test_Z33_only_the_items_that_were_asked_about_are_set(book: Book, journal: Journal) -> None:
    assert refreshed(book, journal, told("LAMP", 3), skus=["LAMP"]) == ["LAMP"]
    assert (books.shelf(book, "LAMP", DEPOT), books.shelf(book, "BULB", DEPOT)) == ((3, 0, 0), (10, 0, 0))
