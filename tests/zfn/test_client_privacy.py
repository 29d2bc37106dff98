"""The people whom a client's orders go to: at the provider they are gone within 30 days, too (A27, A30)."""

from __future__ import annotations

import pytest

from tests import books
from tests.books import Clock, do
from tests.zfn import companies
from tests.zfn.companies import hand, link, order, share, stock_of
from zenv.errors import Refused
from zenv.ledger import explaining, orders, policy, recipients, redaction
from zenv.ledger.book import Book


@pytest.fixture
def shipped(provider: Book) -> Book:
    """A provider that has shipped an order of a client's."""
    client, _ = link(provider)
    share(provider, client, "LAMP")
    stock_of(provider, client, LAMP=5)
    hand(provider, client, order("7", ("LAMP", 1)))
    books.ship(provider, "CO-1-7")
    return provider


def person(book: Book) -> str:
    with book.reading() as sql:
        return recipients.recipient(sql, book.keys, orders.find_order(sql, "CO-1-7").id)["name"]


def test_A30_a_clients_customer_is_forgotten_two_days_before_the_thirtieth(shipped: Book, clock: Clock) -> None:
    clock.later(days=27)
    assert redaction.redact_due(shipped) == 0 and person(shipped) == "Marker Nameson"
    clock.later(days=1, seconds=1)
    assert redaction.redact_due(shipped) == 1 and person(shipped) == "REDACTED"
    assert books.state(shipped, "CO-1-7") == "shipped" and books.counts(shipped, "CO-1-7") == [("LAMP", 1, 0, 1)]


def test_A30_one_that_is_kept_longer_is_a_finding(shipped: Book, clock: Clock) -> None:
    clock.later(days=31)
    with shipped.reading() as sql:
        assert redaction.overdue(sql, clock()) == ["CO-1-7"]
        told = explaining.explain(sql, "CO-1-7", clock())
    assert (told.entry, told.days) == ("client-recipients", 30) and "that is past" in told.why
    redaction.redact_due(shipped)


def test_A27_no_setting_keeps_them_longer(shipped: Book) -> None:
    with pytest.raises(Refused, match="30 days at most"):
        do(shipped, policy.choose, "client-recipients", 31)
    do(shipped, policy.choose, "client-recipients", 5)
    with shipped.reading() as sql:
        assert {line.entry: line.days for line in policy.standing(sql)}["client-papers"] == 5


def test_a_person_that_was_forgotten_is_not_brought_back_by_a_later_snapshot(shipped: Book, clock: Clock) -> None:
    with shipped.reading() as sql:
        client = companies.clients.by_id(sql, 1)
    hand(shipped, client, order("8", ("LAMP", 1)))
    redaction.redact(shipped, ["CO-1-8"])
    hand(shipped, client, order("8", ("LAMP", 2), version=2))
    with shipped.reading() as sql:
        assert recipients.recipient(sql, shipped.keys, orders.find_order(sql, "CO-1-8").id)["name"] == "REDACTED"
