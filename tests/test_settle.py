"""What channels are told: never more than is there, nothing that is not theirs to be told, and only differences."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import books
from tests.books import HOUR, MORNING, do, line, offers, order, owed, record
from zenv.errors import ZenvError
from zenv.facts import ListingFact
from zenv.ledger import connections, listing_facts, listings, order_changes, orders, stock
from zenv.ledger.book import Book
from zenv.ledger.models import OUTSIDE


@pytest.fixture
def lamps(book: Book) -> Book:
    """LAMP: ten in Main, five in Side. Nothing is connected."""
    books.add_items(book, "LAMP", "BULB")
    books.receive(book, "LAMP", 10)
    books.receive(book, "LAMP", 5, "Side")
    return book


def edit(book: Book, **changes: Any) -> None:
    do(book, connections.edit, "amazon", **changes)


# ---- how much --------------------------------------------------------------------------------------------


def test_A26_pushed_quantity_is_the_sum_of_selected_warehouses(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    assert offers(lamps, amazon) == {"LAMP": 10}
    edit(lamps, warehouses=("Main", "Side"))
    assert offers(lamps, amazon) == {"LAMP": 15}
    edit(lamps, warehouses=("Side",))
    assert offers(lamps, amazon) == {"LAMP": 5}


def test_units_kept_by_somebody_else_are_never_offered(lamps: Book) -> None:
    amazon = books.connect(lamps, warehouses=("Main", "Side"))
    with lamps.transaction() as t:
        elsewhere = t.place(stock.add_warehouse(t, "At Amazon", kind="fba", rank=1), "on_hand")
        lamp = stock.item_id(t.sql, "LAMP")
        stock.move(t, [stock.Move(lamp, OUTSIDE["opening"], elsewhere, 50, "opening")])
    books.list_(lamps, amazon, "LAMP")
    assert offers(lamps, amazon) == {"LAMP": 15}
    assert books.available(lamps, "LAMP") == 15
    assert books.held(lamps, books.make_order(lamps, ("LAMP", 20))) == [("LAMP", None, 0, 0)]


def test_C4_what_is_reserved_is_not_offered(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    books.make_order(lamps, ("LAMP", 4))
    assert offers(lamps, amazon) == {"LAMP": 6}
    with lamps.transaction() as t:
        orders.pick(t, "M-1")
    assert offers(lamps, amazon) == {"LAMP": 6}
    books.ship(lamps, "M-1")
    assert offers(lamps, amazon) == {"LAMP": 6}


def test_C4_a_unit_that_somebody_waits_for_is_not_offered(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    books.make_order(lamps, ("LAMP", 99))
    assert offers(lamps, amazon) == {"LAMP": 0}


def test_units_in_transit_are_not_offered(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    with lamps.transaction() as t:
        number = stock.transfer(t, "LAMP", "Side", "Main", 5)
    assert offers(lamps, amazon) == {"LAMP": 10}
    with lamps.transaction() as t:
        stock.arrive(t, number)
    assert offers(lamps, amazon) == {"LAMP": 15}


def test_the_buffer_is_held_back_and_never_goes_below_zero(lamps: Book) -> None:
    amazon = books.connect(lamps, buffer=3)
    books.list_(lamps, amazon, "LAMP")
    assert offers(lamps, amazon) == {"LAMP": 7}
    edit(lamps, buffer=11)
    assert offers(lamps, amazon) == {"LAMP": 0}


def test_a_deallocated_order_still_counts_against_what_is_offered(lamps: Book) -> None:
    amazon = books.connect(lamps, warehouses=("Main",))
    books.list_(lamps, amazon, "LAMP")
    number = books.make_order(lamps, ("LAMP", 2))
    with lamps.transaction() as t:
        orders.allocate(t, number, "Side")
    assert offers(lamps, amazon) == {"LAMP": 10}
    with lamps.transaction() as t:
        orders.deallocate(t, number)
    assert offers(lamps, amazon) == {"LAMP": 8}


def test_two_channels_are_each_told_from_their_own_warehouses(lamps: Book) -> None:
    amazon, other = books.connect(lamps), books.connect(lamps, "other", warehouses=("Side",), buffer=1)
    books.list_(lamps, amazon, "LAMP")
    books.list_(lamps, other, "LAMP")
    assert (offers(lamps, amazon), offers(lamps, other)) == ({"LAMP": 10}, {"LAMP": 4})
    record(lamps, other, order("A-1", line("LAMP", 2)))
    assert books.held(lamps, "A-1") == [("LAMP", "Side", 2, 0)]
    assert (offers(lamps, amazon), offers(lamps, other)) == ({"LAMP": 10}, {"LAMP": 2})


def test_H19_several_listings_of_one_item_share_its_stock(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    books.list_(lamps, amazon, "LAMP-B")
    with lamps.transaction() as t:
        listings.link(t, "LAMP-B", "LAMP")
    assert offers(lamps, amazon) == {"LAMP": 10, "LAMP-B": 10}
    record(lamps, amazon, order("A-1", line("LAMP-B", 3)))
    assert offers(lamps, amazon) == {"LAMP": 7, "LAMP-B": 7}


# ---- only differences ------------------------------------------------------------------------------------


def test_what_the_channel_was_told_already_is_not_owed_again(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    assert [message.quantity for message in books.send(lamps, amazon)] == [10]
    assert owed(lamps) == set()
    edit(lamps, high_frequency=True)
    assert owed(lamps) == set()
    with lamps.transaction() as t:
        stock.transfer(t, "LAMP", "Side", "Main", 1)
    assert owed(lamps) == set()
    books.receive(lamps, "LAMP", 1)
    assert offers(lamps, amazon) == {"LAMP": 11}


def test_a_change_that_is_undone_before_it_is_sent_is_not_sent(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    books.send(lamps, amazon)
    for change in (-1, 1):
        with lamps.transaction() as t:
            stock.adjust(t, "LAMP", "Main", change, "there and back")
    assert books.send(lamps, amazon) == []
    assert owed(lamps) == set()


def test_A10_a_new_handling_time_is_owed_for_all_listings_together_with_their_quantity(lamps: Book) -> None:
    amazon = books.connect(lamps, handling_days=2)
    books.list_(lamps, amazon, "LAMP")
    books.list_(lamps, amazon, "BULB")
    told = {(m.sku, m.quantity, m.handling_days) for m in books.send(lamps, amazon)}
    assert told == {("LAMP", 10, 2), ("BULB", 0, 2)}
    edit(lamps, handling_days=3)
    told = {(m.sku, m.quantity, m.handling_days) for m in books.send(lamps, amazon)}
    assert told == {("LAMP", 10, 3), ("BULB", 0, 3)}


def test_a_message_says_what_is_so_when_it_is_sent_not_when_it_was_owed(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    books.make_order(lamps, ("LAMP", 1))
    books.make_order(lamps, ("LAMP", 1))
    assert len(owed(lamps)) == 1
    assert [message.quantity for message in books.send(lamps, amazon)] == [8]


# ---- who is told -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("leg", ["channel", "both"])
def test_C18_trap_f_a_listing_the_channel_fulfils_is_never_told_our_stock(lamps: Book, leg: Any) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP", fulfilled_by=leg)
    books.receive(lamps, "LAMP", 1)
    edit(lamps, handling_days=9)
    assert owed(lamps) == set()


def test_C18_a_message_already_owed_is_not_sent_once_the_channel_fulfils_the_listing(
    lamps: Book, clock: books.Clock
) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    assert owed(lamps)
    clock.later(minutes=1)
    books.list_(lamps, amazon, "LAMP", fulfilled_by="channel")
    assert books.send(lamps, amazon) == []
    assert owed(lamps) == set()


@pytest.mark.parametrize("why", ["parent", "deleted", "unlinked"])
def test_A6_only_linked_live_sellable_listings_are_told(lamps: Book, clock: books.Clock, why: str) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP", is_parent=why == "parent")
    assert len(owed(lamps)) == (0 if why == "parent" else 1)
    clock.later(minutes=1)
    if why == "deleted":
        books.list_(lamps, amazon, "LAMP", status="deleted")
    if why == "unlinked":
        with lamps.transaction() as t:
            listings.unlink(t, "LAMP")
    books.receive(lamps, "LAMP", 1)
    edit(lamps, handling_days=9)
    assert books.to_send(lamps, amazon) == []
    assert books.send(lamps, amazon) == []
    assert owed(lamps) == set()


def test_H82_an_inactive_connection_is_owed_nothing_until_it_is_enabled_again(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    books.send(lamps, amazon)
    with lamps.transaction() as t:
        connections.disable(t, "amazon")
    books.receive(lamps, "LAMP", 1)
    assert owed(lamps) == set()
    with lamps.transaction() as t:
        connections.enable(t, "amazon")
    assert offers(lamps, amazon) == {"LAMP": 11}


def test_A24_a_connection_that_was_only_saved_is_owed_nothing(lamps: Book) -> None:
    new = connections.NewConnection("amazon", "amazon", "S", "eu", (books.MARKETPLACE,), books.MARKETPLACE,
                                    ("Main",), "all")  # fmt: skip
    with lamps.transaction() as t:
        amazon = connections.add(t, new, {"client_id": "made up"}, lamps.master_key())
    books.list_(lamps, amazon, "LAMP")
    assert owed(lamps) == set()
    with lamps.transaction() as t:
        connections.enable(t, "amazon")
    assert offers(lamps, amazon) == {"LAMP": 10}


def test_a_connection_that_waits_for_a_login_is_still_owed_what_changes(lamps: Book) -> None:
    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    books.send(lamps, amazon)
    with lamps.transaction() as t:
        connections.needs_login(t, amazon)
    books.receive(lamps, "LAMP", 1)
    assert offers(lamps, amazon) == {"LAMP": 11}


def test_C14_a_channel_that_shows_something_else_is_a_mismatch_and_is_told_again_on_request(
    lamps: Book, clock: books.Clock
) -> None:
    from zenv.ledger import messages

    amazon = books.connect(lamps)
    books.list_(lamps, amazon, "LAMP")
    books.send(lamps, amazon)
    clock.later(minutes=10)
    books.list_(lamps, amazon, "LAMP", quantity=10)
    assert not [kind for kind, _ in books.inbox(lamps) if kind == "mismatch"]
    clock.later(minutes=10)
    books.list_(lamps, amazon, "LAMP", quantity=3)
    assert ("mismatch", "LAMP") in books.inbox(lamps)
    assert books.shelf(lamps, "LAMP") == (10, 0, 0)
    with lamps.transaction() as t:
        messages.resend(t, "LAMP", "amazon")
    assert offers(lamps, amazon) == {"LAMP": 10}


# ---- all at once -----------------------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from(["receive", "count", "order", "cancel", "pick", "ship", "sold", "edit", "send", "lost",
                         "move"]),
        st.integers(0, 4),
        st.integers(0, 6),
    ),
    max_size=20,
)  # fmt: skip


def step(book: Book, amazon: int, kind: str, which: int, units: int) -> None:
    number, warehouse = f"M-{which + 1}", ("Main", "Side")[which % 2]
    chosen = (("Main",), ("Main", "Side"))[which % 2]
    by_kind: dict[str, Callable[[], object]] = {
        "send": lambda: books.send(book, amazon),
        "lost": lambda: books.send(book, amazon, outcome="retry"),
        "sold": lambda: record(book, amazon, order(f"A-{which}", line("LAMP", units), said=MORNING + units * HOUR)),
        "order": lambda: books.make_order(book, ("LAMP", units)),
        "ship": lambda: books.ship(book, number),
        "receive": lambda: books.receive(book, "LAMP", units, warehouse),
        "count": lambda: do(book, stock.book_count, "LAMP", warehouse, units),
        "move": lambda: do(book, stock.transfer, "LAMP", "Side", "Main", units, arrives_now=True),
        "cancel": lambda: do(book, order_changes.cancel, number, "no_stock"),
        "pick": lambda: do(book, orders.pick, number),
        "edit": lambda: edit(book, warehouses=chosen, buffer=units),
    }
    by_kind[kind]()


@given(steps)
def test_C4_A26_after_anything_the_channel_is_owed_exactly_available_less_buffer(
    blank_home: Any, tmp_path_factory: pytest.TempPathFactory, done: list[tuple[str, int, int]]
) -> None:
    home = books.home_like(blank_home, tmp_path_factory.mktemp("offers") / "home")
    with books.opened(home, books.Clock()) as book:
        with book.transaction() as t:
            stock.add_warehouse(t, "Main")
            stock.add_warehouse(t, "Side", rank=200)
        books.add_items(book, "LAMP")
        amazon = books.connect(book)
        with book.transaction() as t:
            listing_facts.record_listings(t, amazon, [ListingFact("LAMP", observed_at=MORNING)])
        for one in done:
            with suppress(ZenvError):  # refused: nothing may have changed
                step(book, amazon, *one)
            assert told_or_owed(book, amazon) == expected_offer(book)
        assert books.findings(book) == []


def told_or_owed(book: Book, amazon: int) -> int:
    """What the channel shows once everything owed has been sent."""
    waiting = offers(book, amazon)
    ((submitted,),) = books.ask(book, "SELECT submitted FROM listings")
    return waiting.get("LAMP", submitted)


def expected_offer(book: Book) -> int:
    """By plain SQL, over the chosen warehouses: on hand - reserved there - waiting anywhere - buffer, at least 0."""
    chosen = "(SELECT warehouse_id FROM stock_source)"
    ((units,),) = books.ask(
        book,
        f"""SELECT COALESCE((SELECT SUM(l.on_hand) FROM levels l JOIN warehouse w ON w.name = l.warehouse
                              WHERE w.id IN {chosen}), 0)
                 - COALESCE((SELECT SUM(reserved - picked) FROM open_lines WHERE warehouse_id IN {chosen}), 0)
                 - COALESCE((SELECT SUM(open - reserved) FROM open_lines), 0)
                 - (SELECT buffer FROM connection)""",
    )
    return max(0, int(units))
