"""Orders that the provider entered for us, at our side: their goods are not sold twice, and none of them is missed."""

from __future__ import annotations

import pytest

from tests import books
from tests.zfn.provider_face import DEPOT, Provider, link, receive, run, world
from zenv import reimport
from zenv.errors import Refused
from zenv.ledger import order_changes, orders
from zenv.ledger.book import Book
from zenv.ledger.order_changes import Edit
from zenv.ledger.zfn import taking


@pytest.fixture
def entered(book: Book, served: Provider) -> str:
    """The provider has 3 LAMP of ours, and has entered P-1 for 2 of them; of neither we have heard."""
    books.add_items(book, "LAMP")
    link(book, served)
    receive(served, "LAMP", 3)
    client = books.ask(served.book, "SELECT name FROM clients")[0][0]
    new = orders.NewOrder([orders.NewLine("1-LAMP", 2)], "P-1")
    return str(books.do(served.book, taking.enter, client, new))


def test_N5_units_of_an_entered_order_are_not_for_sale(book: Book, entered: str) -> None:
    channel = books.connect(book, warehouses=("Main", DEPOT))
    books.list_(book, channel, "LAMP")
    run(book)
    assert books.held(book, entered) == [("LAMP", DEPOT, 2, 0)]
    (told,) = books.to_send(book, channel, "stock_level")
    assert told.quantity == 1


def test_N5_an_entered_order_is_the_providers_alone_to_change(book: Book, entered: str) -> None:
    run(book)
    for edit in (Edit(ship_from="Main"), Edit(units={"LAMP": 1})):
        with pytest.raises(Refused, match="who alone can change it"):
            books.do(book, order_changes.edit, entered, edit)
    for do in (orders.pick, orders.unpick):
        with pytest.raises(Refused):
            books.do(book, do, entered)


def test_N5_the_journal_is_not_ahead_of_the_orders_it_speaks_of(book: Book, served: Provider, entered: str) -> None:
    """A new look at the provider's items reads its journal, and nothing of what it has to tell."""
    books.do(served.book, orders.ship, entered, [orders.NewPackage("UPS", "T1")])
    (done,) = reimport.reimport_items(book, DEPOT, world(book))
    assert done.result.outcome == "ok", done.result
    assert books.state(book, entered) == "shipped" and books.findings(book) == []
    run(book)
    assert books.state(book, entered) == "shipped" and books.findings(book) == []
