"""Forgetting people on time: whose clock runs from when, what stays, and what a crash leaves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests import books
from tests.books import AMAZON, PERSON, line, order, record
from zenv.ledger import orders, policy, recipients, redaction, views
from zenv.ledger.book import Book

MARKERS = [value.encode() for value in PERSON.personal().values()]


@pytest.fixture
def shop(book: Book) -> Book:
    """An open order A-1 of a channel, with its recipient."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 10)
    books.connect(book)
    order_to_a_person(book, "A-1")
    return book


def order_to_a_person(book: Book, number: str, **about: Any) -> None:
    record(book, AMAZON, order(number, line("LAMP", 2), payment="Paid", **about))
    books.do(book, recipients.record, AMAZON, [replace(PERSON, order=number)])


def name_of(book: Book, number: str) -> str:
    with book.reading() as sql:
        found = sql.exec_driver_sql("SELECT id FROM customer_order WHERE number = ?", (number,)).scalar_one()
        return recipients.recipient(sql, book.keys, found).get("name", "")


def overdue(book: Book) -> list[str]:
    with book.reading() as sql:
        return redaction.overdue(sql, book.clock())


def test_A30_an_order_is_forgotten_28_days_after_it_was_shipped_and_overdue_after_30(
    shop: Book, clock: books.Clock
) -> None:
    books.ship(shop, "A-1")
    clock.later(days=28)
    assert redaction.redact_due(shop) == 0
    clock.later(days=2, seconds=1)
    assert overdue(shop) == ["A-1"]
    assert redaction.redact_due(shop) == 1
    assert (name_of(shop, "A-1"), overdue(shop)) == ("REDACTED", [])


def test_1_8_a_the_earlier_of_shipped_and_completed_counts(shop: Book, clock: books.Clock) -> None:
    books.ship(shop, "A-1")
    clock.later(days=27)
    books.do(shop, orders.complete, "A-1")
    clock.later(days=2)
    assert redaction.redact_due(shop) == 1


def test_1_8_a_a_cancelled_order_has_a_clock_too(shop: Book, clock: books.Clock) -> None:
    record(shop, AMAZON, order("A-1", line("LAMP", 2, cancelled=2), said=clock.later(hours=1), state="cancelled",
                               channel_status="CANCELLED"))  # fmt: skip
    assert books.state(shop, "A-1") == "cancelled"
    clock.later(days=29)
    assert redaction.redact_due(shop) == 1


def test_an_order_that_is_still_to_be_shipped_is_never_forgotten(shop: Book, clock: books.Clock) -> None:
    books.ship(shop, "A-1", {"LAMP": 1})
    clock.later(days=400)
    assert redaction.redact_due(shop) == 0
    assert name_of(shop, "A-1") == PERSON.name


def test_A36_to_A40_everything_else_of_the_order_stays_as_it_was(shop: Book, clock: books.Clock) -> None:
    books.ship(shop, "A-1")
    clock.later(days=31)
    questions = ("orders", "order_lines", "shipments", "movements", "levels", "items", "listings")
    before = [books.ask(shop, f"SELECT * FROM {view}") for view in questions]
    redaction.redact_due(shop)
    assert [books.ask(shop, f"SELECT * FROM {view}") for view in questions] == before
    assert views.orders(shop.home, search="A-1").rows[0][0] == "A-1"
    assert views.order(shop.home, "A-1")["city"] == "Berlin"  # A32: city, region, postcode and country are kept


def test_A27_what_is_told_again_of_a_forgotten_person_is_not_kept(shop: Book, clock: books.Clock) -> None:
    books.ship(shop, "A-1")
    clock.later(days=31)
    redaction.redact_due(shop)
    books.do(shop, recipients.record, AMAZON, [replace(PERSON, order="A-1")])
    assert name_of(shop, "A-1") == "REDACTED"


def test_I7_no_byte_of_the_sealed_person_and_no_key_is_left(shop: Book, clock: books.Clock) -> None:
    ((key, sealed),) = books.ask(shop, "SELECT key_id, sealed FROM personal")
    books.ship(shop, "A-1")
    clock.later(days=31)
    redaction.redact_due(shop)
    shop.close()
    for file in shop.home.iterdir():
        content = file.read_bytes()
        assert bytes(sealed)[-24:] not in content, file.name
        assert not any(marker in content for marker in MARKERS), file.name
    assert key.encode() not in (shop.home / "keys.db").read_bytes()


def test_a_crash_between_the_key_and_the_bytes_ends_forgotten(shop: Book, clock: books.Clock) -> None:
    books.ship(shop, "A-1")
    clock.later(days=31)
    ((key,),) = books.ask(shop, "SELECT key_id FROM personal")
    shop.keys.destroy([key])
    assert name_of(shop, "A-1") == "REDACTED"
    assert overdue(shop) == ["A-1"]
    assert redaction.redact_due(shop) == 1
    assert overdue(shop) == []


def test_many_orders_are_forgotten_in_one_go(shop: Book, clock: books.Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "AT_ONCE", 3)
    for number in range(2, 10):
        order_to_a_person(shop, f"A-{number}")
    for number in range(1, 5):
        books.ship(shop, f"A-{number}")
    clock.later(days=31)
    assert redaction.redact_due(shop) == 4
    assert [name_of(shop, f"A-{number}") for number in (1, 4, 5)] == ["REDACTED", "REDACTED", PERSON.name]


def test_the_margin_is_shorter_than_the_time_they_are_kept() -> None:
    term = policy.ENTRIES[policy.AMAZON]
    assert term.days == term.ceiling == 30 and 0 < term.margin < 30
