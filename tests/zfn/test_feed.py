"""What a client may read: the journal of its goods, page by page, levels at a mark, its items; and of nobody else."""

from __future__ import annotations

from random import Random

import pytest

from tests import books
from tests.books import Clock, do
from tests.zfn import companies
from tests.zfn.companies import hand, link, order, share, stock_of
from zenv import wire
from zenv.ledger import orders
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow
from zenv.ledger.zfn import feed

BEGINNING = wire.Mark(entry=0)


@pytest.fixture
def acme(provider: Book) -> AnyRow:
    client, _ = link(provider)
    share(provider, client, "LAMP", "BULB")
    return client


def events(book: Book, client: AnyRow, mark: wire.Mark = BEGINNING, limit: int = 100) -> wire.Events:
    do(book, feed.number, client)
    with book.reading() as sql:
        return feed.events(sql, client, mark, limit)


def levels(book: Book, client: AnyRow, entry: int | None = None, after: str = "", limit: int = 100) -> wire.Levels:
    do(book, feed.number, client)
    with book.reading() as sql:
        return feed.levels(sql, client, entry, after, limit)


def by_sku(found: wire.Levels) -> dict[str, tuple[int, int, int]]:
    return {one.sku: (one.on_hand, one.picked, one.in_transit) for one in found.levels}


def test_N7_receipts_picks_and_shipments_are_told_with_their_order_and_package(
    provider: Book, acme: AnyRow, clock: Clock
) -> None:
    stock_of(provider, acme, LAMP=5)
    clock.later(minutes=1)
    hand(provider, acme, order("7", ("LAMP", 2)))
    do(provider, orders.pick, "CO-1-7")
    clock.later(minutes=1)
    books.ship(provider, "CO-1-7", tracking="1Z9")
    received, picked, shipped = events(provider, acme).booked
    assert [(one.movements[0].source, one.movements[0].destination) for one in (received, picked, shipped)] == [
        ("supplier", "on_hand"), ("on_hand", "picked"), ("picked", "customer"),
    ]  # fmt: skip
    assert (received.movements[0].order, picked.movements[0].order) == (None, "c:7")
    assert [one.packages for one in (received, picked)] == [[], []]
    (package,) = shipped.packages
    assert (package.order, package.carrier, package.tracking) == ("c:7", "DHL", "1Z9")
    assert [(line.line, line.quantity) for line in package.lines] == [("1", 2)]


def test_Z7_a_reference_of_ours_or_of_another_clients_is_not_told(provider: Book, acme: AnyRow, clock: Clock) -> None:
    do(provider, books.stock.receive, "1-LAMP", "Main", 1, "delivery note 17 of our supplier")
    assert [(one.order, one.inbound) for one in events(provider, acme).booked[0].movements] == [(None, None)]


def test_entries_are_numbered_for_each_client_alone(provider: Book, acme: AnyRow) -> None:
    other, _ = link(provider, "other")
    share(provider, other, "LAMP")
    books.add_items(provider, "OWN")
    for _ in range(3):
        stock_of(provider, other, LAMP=1)
        books.receive(provider, "OWN", 1)
        stock_of(provider, acme, LAMP=1)
    for client in (acme, other):
        said = events(provider, client)
        assert [one.entry for booked in said.booked for one in booked.movements] == [1, 2, 3]
        assert said.head == said.until.entry == 3
        assert {one.sku for booked in said.booked for one in booked.movements} == {"LAMP"}


def test_a_transaction_is_never_split_even_where_it_is_larger_than_a_page(
    provider: Book, acme: AnyRow, clock: Clock
) -> None:
    sizes = [1, 3, 5, 1, 2]
    for size in sizes:
        clock.later(seconds=1)
        with provider.transaction() as t:
            for _ in range(size):
                books.stock.receive(t, "1-LAMP", "Main", 1)
    for limit in range(1, 14):
        mark, pages = BEGINNING, []
        while (said := events(provider, acme, mark, limit)).booked:
            pages.append([len(one.movements) for one in said.booked])
            mark = said.until
        assert [size for page in pages for size in page] == sizes, limit
        assert all(sum(page) <= limit or len(page) == 1 for page in pages), limit
        assert mark.entry == sum(sizes)


def test_repeating_the_journal_gives_the_levels_at_each_mark(provider: Book, acme: AnyRow, clock: Clock) -> None:
    """The oracle is the sum of what the events say."""
    chance = Random(11)
    for number in range(25):
        clock.later(seconds=1)
        sku = chance.choice(("LAMP", "BULB"))
        stock_of(provider, acme, **{sku: chance.randint(1, 4)})
        if chance.random() < 0.5:
            hand(provider, acme, order(str(number), (sku, 1)))
            do(provider, orders.pick, f"CO-1-{number}")
            if chance.random() < 0.5:
                books.ship(provider, f"CO-1-{number}")
    sums: dict[str, dict[str, int]] = {}
    for booked in events(provider, acme).booked:
        for one in booked.movements:
            for place, by in ((one.source, -one.quantity), (one.destination, one.quantity)):
                units = sums.setdefault(one.sku, dict.fromkeys(("on_hand", "picked", "in_transit"), 0))
                if place in units:
                    units[place] += by
        last = booked.movements[-1].entry
        want = {sku: tuple(units.values()) for sku, units in sums.items() if any(units.values())}
        assert by_sku(levels(provider, acme, last)) == want
    assert by_sku(levels(provider, acme)) == want


def test_levels_come_by_pages(provider: Book, acme: AnyRow) -> None:
    share(provider, acme, *(f"S{number}" for number in range(7)))
    stock_of(provider, acme, **{f"S{number}": number for number in range(1, 7)})
    found: dict[str, tuple[int, int, int]] = {}
    entry, after = None, ""
    while True:
        page = levels(provider, acme, entry, after, limit=2)
        found |= by_sku(page)
        if not page.more:
            break
        entry, after = page.at.entry, page.levels[-1].sku
    assert found == {f"S{number}": (number, 0, 0) for number in range(1, 7)}, "what has no units is left out"


def test_goods_in_several_warehouses_are_one_sum_to_the_client(provider: Book, acme: AnyRow) -> None:
    stock_of(provider, acme, LAMP=5)
    do(provider, books.stock.transfer, "1-LAMP", "Main", "Side", 2)
    assert by_sku(levels(provider, acme)) == {"LAMP": (3, 0, 2)}


def test_a_mark_of_another_history_is_noticed(provider: Book, acme: AnyRow) -> None:
    stock_of(provider, acme, LAMP=1)
    until = events(provider, acme).until
    for wrong in (wire.Mark(entry=1, digest="0" * 32), wire.Mark(entry=2, digest=until.digest), wire.Mark(entry=1)):
        with pytest.raises(feed.HistoryChanged):
            events(provider, acme, wrong)
    with pytest.raises(feed.HistoryChanged):
        levels(provider, acme, 2)
    assert events(provider, acme, until).booked == []


def test_numbering_again_numbers_nothing_twice(provider: Book, acme: AnyRow) -> None:
    stock_of(provider, acme, LAMP=1)
    events(provider, acme)
    with provider.reading() as sql:
        assert feed.is_numbered(sql, acme)
    before = companies.content(provider)
    do(provider, feed.number, acme)
    assert companies.content(provider) == before


def test_items_come_by_pages_and_hold_nothing_the_client_should_not_see(provider: Book, acme: AnyRow) -> None:
    from zenv.ledger import catalog

    do(provider, catalog.edit_item, "1-LAMP", unit_cost=12345, name="x" * 500, attributes={"colour": "y" * 500})
    with provider.reading() as sql:
        first = feed.item_page(sql, acme, "", 1)
        second = feed.item_page(sql, acme, first.items[-1].sku, 1)
    assert [one.sku for one in (*first.items, *second.items)] == ["BULB", "LAMP"]
    assert (first.more, second.more) == (True, False)
    assert "12345" not in second.model_dump_json()


def test_an_item_whose_listing_was_unlinked_does_not_stop_the_journal(provider: Book, acme: AnyRow) -> None:
    from zenv.ledger import listings

    stock_of(provider, acme, LAMP=1)
    do(provider, listings.unlink, "LAMP", "Acme")
    assert [one.sku for one in events(provider, acme).booked[0].movements] == ["1-LAMP"]
    do(provider, listings.link, "LAMP", "1-LAMP", "Acme")
