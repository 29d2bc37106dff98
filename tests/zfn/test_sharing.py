"""The client's catalogue at the provider, what the provider makes for it, and telling at once; over real HTTPS."""

from __future__ import annotations

from typing import Any

from tests import books
from tests.zfn.provider_face import DEPOT, Provider, link, run, world
from zenv import handover
from zenv.errors import Unreachable
from zenv.ledger import catalog, orders
from zenv.ledger.book import Book
from zenv.ledger.catalog import NewItem
from zenv.ledger.zfn import client_items, sharing


def there(served: Provider) -> list[tuple[Any, ...]]:
    return books.ask(served.book, "SELECT sku, name, gtin, weight_grams, active FROM items ORDER BY sku")


def test_N4_the_catalogue_is_shared_on_linking_and_listed_here(book: Book, served: Provider) -> None:
    books.do(book, catalog.add_item, NewItem("LAMP", "A lamp", "4006381333931", weight_grams=500, unit_cost=1234))
    books.do(book, catalog.add_item, NewItem("OLD", "Gone", active=False))
    link(book, served)
    assert there(served) == [("1-LAMP", "A lamp", "4006381333931", 500, 1)]
    assert books.ask(served.book, "SELECT unit_cost FROM items") == [(None,)]
    assert books.ask(book, "SELECT connection, sku, item FROM listings") == [(DEPOT, "LAMP", "LAMP")]
    assert books.owed(book) == set()


def test_an_item_that_is_new_or_edited_is_told_again_under_the_name_it_was_first_shared_by(
    book: Book, served: Provider
) -> None:
    link(book, served)
    books.add_items(book, "LAMP")
    run(book, "handover")
    books.do(book, catalog.edit_item, "LAMP", sku="LAMP-2", name="A better lamp")
    run(book, "handover")
    assert [(sku, name) for sku, name, *_ in there(served)] == [("1-LAMP", "A better lamp")]


def test_N11_no_cost_and_no_price_is_in_what_is_shared(book: Book, served: Provider) -> None:
    books.do(book, catalog.add_item, NewItem("LAMP", unit_cost=1234, attributes={"colour": "red"}))
    found = link(book, served)
    with book.transaction() as t:
        sharing.share_all(t, found.connection_id)
    (message,) = books.to_send(book, found.connection_id, "item")
    assert message.item.attributes == {"colour": "red"} and "1234" not in repr(message)


def test_N4_an_item_that_the_provider_makes_for_us_appears_here_and_is_not_told_back(
    book: Book, served: Provider
) -> None:
    link(book, served)
    books.do(served.book, client_items.add, NewItem("VASE", "A vase", weight_grams=300), "Lamp Shop")
    run(book)
    assert books.ask(book, "SELECT sku, name FROM items") == [("VASE", "A vase")]
    assert books.owed(book) == set()
    run(book)
    assert ("1-VASE", "A vase", None, 300, 1) in there(served)


def test_items_of_clients_of_our_own_are_never_shared(book: Book, served: Provider) -> None:
    from tests.zfn import two_books

    link(book, served)
    with book.transaction() as t:
        from zenv.ledger.models import Client, Connection
        from zenv.ledger.transaction import row, table

        about = row(Connection, name=two_books.NAME, kind="zfn_client", external_id="c", region="-", status="active",
                    consent_at=t.now, consent_scope="link", secret_set_at=t.now, created_at=t.now)  # fmt: skip
        made = table(Connection).insert().returning(table(Connection).c.id)
        number = t.sql.execute(made, about).scalar_one()
        t.insert(Client, [row(Client, name=two_books.NAME, connection_id=number, company_id="c", import_user="tester",
                              fingerprint="1", created_at=t.now, linked_at=t.now)])  # fmt: skip
    books.do(book, client_items.add, NewItem("THEIRS"), two_books.NAME)
    run(book)
    assert there(served) == []


# ---- at once ---------------------------------------------------------------------------------------------


def test_an_order_is_handed_over_at_once_and_waits_while_the_provider_is_away(
    book: Book, served: Provider, clock: books.Clock
) -> None:
    books.add_items(book, "LAMP")
    link(book, served)
    served.stop()
    new = orders.NewOrder([orders.NewLine("LAMP", 1)], "1001", recipient=books.PERSON, ship_from=DEPOT)
    books.do(book, orders.create_order, new)
    (waits,) = handover.at_once(book, world(book))
    assert (waits.connection, waits.owed) == (DEPOT, 1)
    assert handover.in_words(waits).startswith("1 thing waits for Depot; told when it answers")
    (again,) = handover.at_once(book, world(book))
    assert again.why == "it was out of reach a moment ago"
    served.start()
    clock.later(minutes=2)
    assert run(book, "handover").sent == 1
    assert handover.at_once(book, world(book)) == []
    assert books.ask(served.book, "SELECT number FROM orders") == [("CO-1-1001",)]


def test_nobody_is_asked_where_nothing_is_owed(book: Book, served: Provider) -> None:
    link(book, served)
    served.stop()
    assert handover.at_once(book, world(book)) == []
    assert isinstance(run(book).error, Unreachable)
