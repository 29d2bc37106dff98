"""Reconnecting items to a provider, and quantities that are fresh in the same run; over real HTTPS."""

from __future__ import annotations

import pytest

from tests import books
from tests.zfn.provider_face import DEPOT, Provider, link, receive, run, save, world
from zenv import reimport, sync, wire
from zenv.errors import Refused, Stopped
from zenv.facts import BookedFact
from zenv.ledger import catalog, connections, listings
from zenv.ledger.book import Book
from zenv.ledger.catalog import NewItem
from zenv.ledger.zfn import client_items, journal, sharing


@pytest.fixture
def linked(book: Book, served: Provider) -> int:
    """LAMP and BULB are shared, and the provider has 7 of LAMP, which nobody has read yet."""
    books.add_items(book, "LAMP", "BULB")
    found = link(book, served)
    receive(served, "LAMP", 7)
    return int(found.connection_id)


def again(book: Book) -> reimport.Reimported:
    (done,) = reimport.reimport_items(book, DEPOT, world(book))
    assert done.result.outcome == "ok", done.result
    return done


def items(book: Book) -> list[tuple[str, ...]]:
    return books.ask(book, "SELECT sku, name, gtin, attributes FROM items ORDER BY sku")


def test_Z33_quantities_are_fresh_in_the_same_run(book: Book, served: Provider, linked: int) -> None:
    assert books.shelf(book, "LAMP", DEPOT) == (0, 0, 0)
    again(book)
    assert books.shelf(book, "LAMP", DEPOT) == (7, 0, 0)
    assert books.movements(book, "LAMP") == [("received", 7)]


def test_Z31_no_item_is_made_and_what_has_no_counterpart_is_named(book: Book, served: Provider, linked: int) -> None:
    books.do(served.book, client_items.add, NewItem("VASE", "A vase"), "Lamp Shop")
    before = items(book)
    done = again(book)
    assert items(book) == before
    assert reimport.without_item([done]) == [(DEPOT, "VASE")]
    assert ("unlinked", DEPOT) in books.inbox(book)


def test_Z32_a_stale_link_is_replaced_and_both_items_have_the_providers_quantity(
    book: Book, served: Provider, linked: int
) -> None:
    again(book)
    with book.transaction() as t:
        listings.unlink(t, "LAMP", DEPOT)
        listings.link(t, "LAMP", "BULB", DEPOT)
    done = again(book)
    assert (done.remapped.replaced, done.remapped.linked) == (1, 0)
    assert books.shelf(book, "LAMP", DEPOT) == (7, 0, 0)
    assert books.shelf(book, "BULB", DEPOT) == (0, 0, 0)


def test_Z32_what_the_provider_keeps_under_a_sku_is_counted_once_whatever_it_was_linked_to(
    book: Book, served: Provider, linked: int
) -> None:
    again(book)
    books.do(book, listings.unlink, "LAMP", DEPOT)
    books.do(book, catalog.add_item, NewItem("TORCH"))
    books.do(book, listings.link, "LAMP", "TORCH", DEPOT)
    run(book)
    assert books.shelf(book, "TORCH", DEPOT) == (7, 0, 0)
    assert books.shelf(book, "LAMP", DEPOT) == (0, 0, 0)


def test_Z32_doing_it_again_changes_nothing(book: Book, served: Provider, linked: int) -> None:
    again(book)
    before = books.ask(book, "SELECT COUNT(*) FROM movement"), books.ask(book, "SELECT * FROM listings")
    done = again(book)
    assert (done.remapped.linked, done.remapped.replaced) == (0, 0)
    assert (books.ask(book, "SELECT COUNT(*) FROM movement"), books.ask(book, "SELECT * FROM listings")) == before


def test_an_item_that_is_linked_later_gets_its_level_with_the_next_run(
    book: Book, served: Provider, linked: int
) -> None:
    books.do(served.book, client_items.add, NewItem("VASE", "A vase"), "Lamp Shop")
    receive(served, "VASE", 3)
    books.do(book, connections.edit, DEPOT, adopt_new=False)
    run(book)
    assert books.ask(book, "SELECT item FROM listings WHERE sku = 'VASE'") == [(None,)]
    books.do(book, catalog.add_item, NewItem("URN"))
    books.do(book, listings.link, "VASE", "URN", DEPOT)
    run(book)
    assert books.shelf(book, "URN", DEPOT) == (3, 0, 0)
    assert books.movements(book, "URN") == [("counted", 3)]
    receive(served, "VASE", 2)
    run(book)
    assert books.shelf(book, "URN", DEPOT) == (5, 0, 0)


def test_Z34_it_is_refused_on_a_warehouse_without_a_live_connection(book: Book, served: Provider) -> None:
    save(book)
    with pytest.raises(Refused, match="no live connection") as refused:
        reimport.reimport_items(book, DEPOT, world(book))
    assert refused.value.hint.startswith("zenv zfn request")


def test_a_provider_that_went_back_to_a_backup_is_noticed_and_its_levels_are_taken_as_they_are(
    book: Book, served: Provider, linked: int
) -> None:
    run(book)
    with book.transaction() as t:  # the journal that was read held other entries than the provider has now
        connections.move_cursor(t, linked, "events", '{"entry": 1, "digest": "' + "0" * 32 + '"}')
    receive(served, "LAMP", 5)
    result = run(book)
    assert isinstance(result.error, Refused) and result.error.hint == f"zenv zfn reimport {DEPOT}"
    assert books.shelf(book, "LAMP", DEPOT) == (7, 0, 0)
    again(book)
    assert books.shelf(book, "LAMP", DEPOT) == (12, 0, 0)
    receive(served, "LAMP", 1)
    assert run(book).outcome == "ok"
    assert books.shelf(book, "LAMP", DEPOT) == (13, 0, 0)


def test_an_entry_that_cannot_be_repeated_is_left_out_and_its_levels_are_taken_from_the_provider(
    book: Book, served: Provider, linked: int
) -> None:
    run(book)
    moved = wire.Moved(entry=2, sku="BULB", quantity=1, source="supplier", destination="on_hand", reason="teleported")
    good = moved.model_copy(update={"entry": 3, "sku": "LAMP", "reason": "received"})
    booked = [wire.Booked(at=book.clock(), movements=[one], packages=[]) for one in (moved, good)]
    with book.transaction() as t:
        (bad,) = journal.record(t, linked, booked)
        assert sharing.without_levels(t.sql, linked) == ["BULB"]
    assert (bad.kind, bad.remote_id) == ("entry", "2") and "zenv zfn compare" in bad.reason
    assert books.shelf(book, "LAMP", DEPOT) == (8, 0, 0)
    again(book)
    assert books.shelf(book, "LAMP", DEPOT) == (7, 0, 0)
    with book.reading() as sql:
        assert sharing.without_levels(sql, linked) == []


def test_levels_of_a_mark_that_another_run_has_left_behind_are_not_taken(
    book: Book, served: Provider, linked: int
) -> None:
    run(book)
    with book.reading() as sql:
        before = journal.mark(sql, linked)
        journal.demand_mark(sql, linked, before)
    receive(served, "LAMP", 1)
    run(book)
    with book.reading() as sql, pytest.raises(Stopped):
        journal.demand_mark(sql, linked, before)


def test_two_runs_that_read_at_the_same_time_book_nothing_twice(book: Book, served: Provider, linked: int) -> None:
    connector = sync.open_connector(book, DEPOT, world(book))
    (page,) = connector.pull("events", None)
    connector.close()
    run(book)
    booked = [fact.booked for fact in page.facts if isinstance(fact, BookedFact)]
    with pytest.raises(Stopped), book.transaction() as t:
        journal.record(t, linked, booked)
    assert books.movements(book, "LAMP") == [("received", 7)]
