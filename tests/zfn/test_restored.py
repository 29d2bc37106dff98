"""After one side went back to a backup: it is heard again, and nothing is told twice."""

from __future__ import annotations

import json

import pytest

from tests import books
from tests.books import PERSON, make_order
from tests.zfn.provider_face import DEPOT, Provider, link, receive, run
from zenv.ledger import audit, order_changes, orders, restore
from zenv.ledger.book import Book
from zenv.ledger.order_changes import Edit


@pytest.fixture
def linked(book: Book, served: Provider) -> Book:
    """A client with 10 LAMP at the provider, and order 1001 for 3 of them handed over."""
    books.add_items(book, "LAMP")
    link(book, served)
    assert run(book).outcome == "ok"
    receive(served, "LAMP", 10)
    make_order(book, ("LAMP", 3), number="1001", recipient=PERSON, ship_from=DEPOT)
    assert run(book).outcome == "ok"
    return book


def went_back(book: Book) -> None:
    """What a restore leaves behind in the books it brings back."""
    with book.transaction() as t:
        restore.say_what_is_uncertain(t)
        audit.record(t, "restored", "backup")


def told(book: Book) -> list[tuple[int, int]]:
    return books.ask(book, "SELECT version, told FROM fulfilment")


def test_what_a_client_says_after_going_back_to_a_backup_is_heard(linked: Book, served: Provider) -> None:
    for units in (4, 5):
        books.do(linked, order_changes.edit, "1001", Edit({"LAMP": units}))
        assert run(linked).outcome == "ok"
    assert told(linked) == [(3, 3)]
    with linked.transaction() as t:  # the books as they were before both edits
        t.sql.exec_driver_sql("UPDATE fulfilment SET version = 1, told = 1")
        t.sql.exec_driver_sql("UPDATE order_line SET quantity = 3")
    went_back(linked)
    books.do(linked, order_changes.edit, "1001", Edit({"LAMP": 2}))
    assert run(linked).outcome == "ok"
    assert books.counts(linked, "1001") == books.counts(served.book, "CO-1-1001") == [("LAMP", 2, 0, 0)]


def test_a_provider_that_went_back_to_a_backup_is_told_all_that_is_open_once_more(
    linked: Book, served: Provider
) -> None:
    with served.book.transaction() as t:  # the backup was made before the order came
        for gone in ("reservation", "personal", "order_line", "fulfilment", "order_customer", "customer_order"):
            t.sql.exec_driver_sql(f"DELETE FROM {gone}")
    assert run(linked).outcome == "ok" and books.ask(served.book, "SELECT COUNT(*) FROM orders") == [(0,)]
    went_back(served.book)
    assert run(linked).outcome == "ok"
    assert books.counts(served.book, "CO-1-1001") == [("LAMP", 3, 0, 0)]
    assert ("provider restored", DEPOT) in books.inbox(linked)
    assert told(linked) == [(2, 2)]
    assert run(linked).outcome == "ok" and told(linked) == [(2, 2)]


def test_what_is_being_picked_stays_so_when_all_is_told_again(linked: Book, served: Provider) -> None:
    books.do(served.book, orders.pick, "CO-1-1001")
    went_back(served.book)
    assert run(linked).outcome == "ok"
    assert ("change refused", "1001") not in books.inbox(linked)
    assert books.held(served.book, "CO-1-1001") == [("LAMP", "Main", 3, 3)]


def test_a_mark_of_another_history_is_not_read_on_from(linked: Book, served: Provider) -> None:
    with linked.transaction() as t:
        (position,) = t.sql.exec_driver_sql("SELECT position FROM cursor WHERE stream = 'events'").one()
        other = json.dumps(json.loads(position) | {"digest": "0" * 32})
        t.sql.exec_driver_sql("UPDATE cursor SET position = ? WHERE stream = 'events'", (other,))
    receive(served, "LAMP", 5)
    result = run(linked)
    assert result.error is not None and "zenv zfn reimport" in result.error.hint
    assert books.shelf(linked, "LAMP", DEPOT) == (10, 0, 0)
