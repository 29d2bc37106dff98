"""The people orders go to: readable by whoever ships, by nobody who finds the files, and gone with the key."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests import books
from tests.books import MORNING, PERSON, line, order, record
from zenv.facts import RecipientFact
from zenv.ledger import order_changes, orders, recipients, views
from zenv.ledger.book import Book
from zenv.ledger.orders import NewLine, NewOrder
from zenv.privacy import PERSONAL_FIELDS, REDACTED

MARKERS = [value for name in PERSONAL_FIELDS if (value := getattr(PERSON, name))]


@pytest.fixture
def amazon(book: Book) -> int:
    """LAMPs and a connection with two orders that are ready to ship."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 10)
    number = books.connect(book)
    record(book, number, order("A-1", line("LAMP", 1), ship_by=MORNING + timedelta(days=2)),
           order("A-2", line("LAMP", 1), ship_by=MORNING + timedelta(days=1)))  # fmt: skip
    return number


def tell(book: Book, connection: int, *people: RecipientFact) -> None:
    with book.transaction() as t:
        recipients.record(t, connection, people)


def read(book: Book, number: str) -> dict[str, str]:
    with book.reading() as sql:
        return recipients.recipient(sql, book.keys, orders.find_order(sql, number).id)


def wanted(book: Book, connection: int) -> list[str]:
    with book.reading() as sql:
        return recipients.wanted(sql, connection, 100)


def test_what_was_told_of_a_person_is_read_back_and_of_others_nothing(book: Book, amazon: int) -> None:
    tell(book, amazon, replace(PERSON, order="A-1"))
    assert read(book, "A-1") == PERSON.personal()
    assert read(book, "A-2") == {}


def test_A32_city_region_postcode_and_country_stay_readable_for_reports(book: Book, amazon: int) -> None:
    tell(book, amazon, replace(PERSON, order="A-1"))
    shown = views.order(book.home, "A-1")
    assert (shown["city"], shown["region"], shown["postcode"], shown["country"]) == ("Berlin", "BE", "10115", "DE")


def test_no_byte_of_a_person_is_readable_in_any_file_of_the_home(book: Book, amazon: int) -> None:
    tell(book, amazon, replace(PERSON, order="A-1"))
    with book.transaction() as t:
        orders.create_order(t, NewOrder([NewLine("LAMP", 1)], recipient=PERSON))
    scan(book)
    books.receive(book, "LAMP", 1)
    book.close()
    scan(book)


def scan(book: Book) -> None:
    files = {file.name: file.read_bytes() for file in book.home.rglob("*") if file.is_file()}
    assert any(b"Berlin" in content for content in files.values())  # the scan does see what is not sealed
    for marker in MARKERS:
        for text in (marker.encode(), marker.encode("utf-16-le"), marker.encode().hex().encode()):
            assert not [name for name, content in files.items() if text in content]


def test_A38_without_its_key_every_field_reads_REDACTED_and_the_order_stays(book: Book, amazon: int) -> None:
    tell(book, amazon, replace(PERSON, order="A-1"), replace(PERSON, order="A-2"))
    ((key,),) = books.ask(
        book, "SELECT p.key_id FROM personal p JOIN customer_order o ON o.id = p.order_id WHERE o.number = 'A-1'"
    )
    assert book.keys.destroy([key]) == 1
    assert read(book, "A-1") == dict.fromkeys(PERSONAL_FIELDS, REDACTED)
    assert read(book, "A-2") == PERSON.personal()
    assert books.counts(book, "A-1") == [("LAMP", 1, 0, 0)]
    assert views.orders(book.home, search="A-1").rows


def test_a_changed_address_replaces_the_old_one_under_the_same_key(book: Book, amazon: int) -> None:
    tell(book, amazon, replace(PERSON, order="A-1"))
    before = books.ask(book, "SELECT key_id FROM personal")
    tell(book, amazon, replace(PERSON, order="A-1", line1="Elsewhere 2", city="Bonn"))
    assert read(book, "A-1")["line1"] == "Elsewhere 2"
    assert views.order(book.home, "A-1")["city"] == "Bonn"
    assert books.ask(book, "SELECT key_id FROM personal") == before


def test_control_characters_of_a_persons_data_are_dropped(book: Book, amazon: int) -> None:
    tell(book, amazon, replace(PERSON, order="A-1", name="Ev\x1b[2Jil\nName", city="Ber\x07lin"))
    assert read(book, "A-1")["name"] == "Ev[2Jil Name"
    assert views.order(book.home, "A-1")["city"] == "Berlin"


def test_C8_persons_are_asked_for_once_an_order_is_ready_the_most_urgent_first(book: Book, amazon: int) -> None:
    record(book, amazon, order("A-3", line("LAMP", 1), state="pending"),
           order("A-4", line("LAMP", 1), fulfilled_by="channel"),
           order("A-5", line("LAMP", 1), state="cancelled"))  # fmt: skip
    assert wanted(book, amazon) == ["A-2", "A-1"]
    tell(book, amazon, replace(PERSON, order="A-2"))
    assert wanted(book, amazon) == ["A-1"]
    with book.transaction() as t:
        order_changes.cancel(t, "A-1", "buyer_request")
    assert wanted(book, amazon) == []


def test_a_person_of_an_order_we_do_not_have_is_not_kept(book: Book, amazon: int) -> None:
    tell(book, amazon, replace(PERSON, order="NOPE"))
    assert books.ask(book, "SELECT COUNT(*) FROM personal") == [(0,)]


def test_C8_a_page_with_a_redacted_order_on_it_is_kept_for_the_others(book: Book, amazon: int) -> None:
    tell(book, amazon, replace(PERSON, order="A-1"))
    book.keys.destroy([row[0] for row in books.ask(book, "SELECT key_id FROM personal")])
    tell(book, amazon, replace(PERSON, order="A-1"), replace(PERSON, order="A-2"))
    assert read(book, "A-1") == dict.fromkeys(PERSONAL_FIELDS, REDACTED)
    assert read(book, "A-2") == PERSON.personal()


def test_nothing_of_a_person_shows_in_a_repr(book: Book) -> None:
    new = NewOrder([NewLine("LAMP", 1)], recipient=PERSON)
    for text in (repr(PERSON), repr(new), str(PERSON), f"{[PERSON]}"):
        assert not any(marker in text for marker in MARKERS)


def test_an_order_that_could_not_be_made_leaves_no_person_behind(book: Book) -> None:
    books.add_items(book, "LAMP")
    with pytest.raises(Exception, match="NOPE"), book.transaction() as t:
        orders.create_order(t, NewOrder([NewLine("LAMP", 1), NewLine("NOPE", 1)], recipient=PERSON))
    assert books.ask(book, "SELECT COUNT(*) FROM personal") == [(0,)]
