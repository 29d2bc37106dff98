"""The client's side of orders that a provider ships: which go there, what is said of them, and what a change means
until the provider agrees."""

from __future__ import annotations

import pytest

from tests import books
from tests.books import PERSON, line, make_order, order, record
from tests.zfn import linked
from tests.zfn.linked import DEPOT, Journal, handed, state
from zenv.errors import Refused
from zenv.facts import RecipientFact
from zenv.ledger import order_changes, orders, recipients
from zenv.ledger.book import Book
from zenv.ledger.order_changes import Edit


@pytest.fixture
def depot(book: Book) -> int:
    """The connection to a provider that keeps 10 LAMP and 10 BULB for us in `Depot`."""
    books.add_items(book, "LAMP", "BULB")
    connection = linked.link(book, "LAMP", "BULB")
    journal = Journal(book, connection)
    journal.received("LAMP", 10)
    journal.received("BULB", 10)
    return connection


@pytest.fixture
def amazon(book: Book, depot: int) -> int:
    """A channel that is told what lies on our own shelves and in the depot."""
    connection = books.connect(book, warehouses=("Main", DEPOT))
    for sku in ("LAMP", "BULB"):
        books.list_(book, connection, sku)
    return connection


def sold(book: Book, amazon: int, number: str, *lines: object, **about: object) -> None:
    """An order of the channel whose recipient is known."""
    record(book, amazon, order(number, *lines, **about))  # type: ignore[arg-type]
    known = RecipientFact(**{**vars(PERSON), "order": number})
    with book.transaction() as t:
        recipients.record(t, amazon, [known])


def by_hand(book: Book, *wanted: tuple[str, int], number: str = "1001") -> str:
    return make_order(book, *wanted, number=number, recipient=PERSON, ship_from=DEPOT)


def leaves_from(book: Book, number: str) -> str | None:
    return str(books.ask(book, "SELECT ship_from FROM orders WHERE number = ?", number)[0][0])


# ---- which orders go to a provider -----------------------------------------------------------------------


def test_N8_an_order_that_only_the_provider_can_fill_is_handed_over_whole(book: Book, amazon: int, depot: int) -> None:
    sold(book, amazon, "A-1", line("LAMP", 2), line("BULB", 3, 2))
    assert leaves_from(book, "A-1") == DEPOT
    assert books.held(book, "A-1") == [("LAMP", DEPOT, 2, 0), ("BULB", DEPOT, 3, 0)]
    said = handed(book, depot)
    assert (said.order, said.version, said.cancelled) == ("c:A-1", 1, False)
    assert [(one.sku, one.quantity) for one in said.lines] == [("LAMP", 2), ("BULB", 3)]
    assert state(book, "A-1") == ("handed", 1, 1, 0)
    assert books.findings(book) == []


def test_N8_an_order_is_never_split_between_own_shelves_and_the_provider(book: Book, amazon: int) -> None:
    books.receive(book, "LAMP", 2)
    sold(book, amazon, "A-1", line("LAMP", 2), line("BULB", 3, 2))
    assert leaves_from(book, "A-1") == "None"
    assert books.held(book, "A-1") == [("LAMP", "Main", 2, 0), ("BULB", None, 0, 0)]


def test_N8_an_order_that_the_provider_has_only_in_part_stays(book: Book, amazon: int) -> None:
    sold(book, amazon, "A-1", line("LAMP", 2), line("BULB", 11, 2))
    assert leaves_from(book, "A-1") == "None"
    assert books.held(book, "A-1") == [("LAMP", None, 0, 0), ("BULB", None, 0, 0)]


def test_two_orders_are_not_given_the_same_units_of_a_provider(book: Book, amazon: int) -> None:
    sold(book, amazon, "A-1", line("LAMP", 6), line("BULB", 1, 2))
    sold(book, amazon, "A-2", line("LAMP", 6))
    assert (leaves_from(book, "A-1"), leaves_from(book, "A-2")) == (DEPOT, "None")


def test_A26_a_channel_is_told_what_lies_at_the_provider_as_well(book: Book, amazon: int) -> None:
    books.receive(book, "LAMP", 5)
    assert books.offers(book, amazon) == {"LAMP": 15, "BULB": 10}
    sold(book, amazon, "A-1", line("BULB", 4))
    assert books.offers(book, amazon) == {"LAMP": 15, "BULB": 6}


def test_what_is_not_paid_is_set_aside_and_told_once_it_is(book: Book, amazon: int, depot: int) -> None:
    sold(book, amazon, "A-1", line("LAMP", 2), state="pending", channel_status="PENDING")
    assert books.held(book, "A-1") == [("LAMP", DEPOT, 2, 0)]
    assert books.to_send(book, depot, "order") == []
    sold(book, amazon, "A-1", line("LAMP", 2), said=books.MORNING + books.HOUR)
    assert handed(book, depot).order == "c:A-1"


def test_C8_an_order_is_told_only_once_it_is_known_where_it_goes(book: Book, amazon: int, depot: int) -> None:
    record(book, amazon, order("A-1", line("LAMP", 2)))
    assert books.to_send(book, depot, "order") == []
    sold(book, amazon, "A-1", line("LAMP", 2))
    assert handed(book, depot).recipient is not None


def test_a_provider_learns_where_to_send_it_and_no_mail_address_and_no_price(
    book: Book, amazon: int, depot: int
) -> None:
    sold(book, amazon, "A-1", line("LAMP", 2))
    said = handed(book, depot)
    assert said.recipient is not None
    assert (said.recipient.name, said.recipient.phone, said.recipient.city) == (PERSON.name, PERSON.phone, PERSON.city)
    everything = said.model_dump_json()
    assert PERSON.email not in everything and "price" not in everything and "1000" not in everything
    assert PERSON.name not in repr(said)


def test_an_order_by_hand_needs_a_recipient_to_leave_from_a_provider(book: Book, depot: int) -> None:
    with pytest.raises(Refused, match="without a recipient"):
        make_order(book, ("LAMP", 1), ship_from=DEPOT)
    assert books.ask(book, "SELECT COUNT(*) FROM orders") == [(0,)]


def test_what_a_provider_ships_is_not_picked_or_shipped_here(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 1))
    for operation in (orders.pick, orders.allocate, orders.deallocate, orders.unpick):
        with pytest.raises(Refused, match="Fulfil Ltd picks and ships it"):
            books.do(book, operation, number)
    with pytest.raises(Refused, match="Fulfil Ltd picks and ships it"):
        books.ship(book, number)


# ---- changes ---------------------------------------------------------------------------------------------


def test_N9_an_edit_is_a_wish_until_the_provider_agrees(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 5))
    handed(book, depot)
    assert books.do(book, order_changes.edit, number, Edit({"LAMP": 2})) == "requested"
    assert books.counts(book, number) == [("LAMP", 5, 0, 0)] and books.available(book, "LAMP") == 5
    said = handed(book, depot)
    assert (said.version, said.lines[0].quantity) == (2, 2)
    assert books.counts(book, number) == [("LAMP", 2, 0, 0)] and books.available(book, "LAMP") == 8
    assert state(book, number) == ("handed", 2, 2, 0)
    assert books.to_send(book, depot, "order") == []


def test_N9_an_edit_the_provider_refuses_leaves_the_order_as_it_was(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 5))
    handed(book, depot)
    books.do(book, order_changes.edit, number, Edit({"LAMP": 2}))
    handed(book, depot, "refused", reason="being picked")
    assert books.counts(book, number) == [("LAMP", 5, 0, 0)]
    assert ("change refused", number) in books.inbox(book)
    assert state(book, number) == ("handed", 2, 2, 0)
    assert books.to_send(book, depot, "order") == []
    books.do(book, order_changes.edit, number, Edit({"LAMP": 4}))
    assert ("change refused", number) not in books.inbox(book)
    assert handed(book, depot).version == 3
    assert books.counts(book, number) == [("LAMP", 4, 0, 0)]


def test_a_second_wish_waits_for_the_answer_to_the_first(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 5))
    handed(book, depot)
    books.do(book, order_changes.edit, number, Edit({"LAMP": 2}))
    with pytest.raises(Refused, match="still waits for the provider"):
        books.do(book, order_changes.cancel, number, "no_stock")
    assert handed(book, depot).lines[0].quantity == 2


def test_a_wish_for_what_is_so_already_is_none_and_stands_in_nobodys_way(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 5))
    handed(book, depot)
    books.do(book, order_changes.edit, number, Edit({"LAMP": 5}))
    assert books.to_send(book, depot, "order") == []
    assert books.do(book, order_changes.edit, number, Edit({"LAMP": 2})) == "requested"
    assert handed(book, depot).version == 2


def test_a_cancellation_frees_the_units_only_once_the_provider_agrees(book: Book, amazon: int, depot: int) -> None:
    number = by_hand(book, ("LAMP", 4))
    handed(book, depot)
    assert books.offers(book, amazon)["LAMP"] == 6
    assert books.do(book, order_changes.cancel, number, "no_stock") == "requested"
    assert (books.state(book, number), books.offers(book, amazon)["LAMP"]) == ("cancelling", 6)
    said = handed(book, depot)
    assert (said.cancelled, said.version) == (True, 2)
    assert (books.state(book, number), books.offers(book, amazon)["LAMP"]) == ("cancelled", 10)
    assert books.findings(book) == []


def test_a_refused_cancellation_leaves_the_order_with_the_provider(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 4))
    handed(book, depot)
    books.do(book, order_changes.cancel, number, "no_stock")
    handed(book, depot, "refused", reason="shipped")
    assert books.state(book, number) == "ready" and books.held(book, number) == [("LAMP", DEPOT, 4, 0)]
    assert ("cancel refused", number) in books.inbox(book)


def test_an_order_of_a_channel_is_cancelled_there_once_the_provider_has_agreed(
    book: Book, amazon: int, depot: int
) -> None:
    sold(book, amazon, "A-1", line("LAMP", 2))
    handed(book, depot)
    books.do(book, order_changes.cancel, "A-1", "no_stock")
    assert books.to_send(book, amazon, "cancellation") == []
    handed(book, depot)
    assert [one.order for one in books.to_send(book, amazon, "cancellation")] == ["A-1"]
    assert leaves_from(book, "A-1") == "None"


def test_a_cancellation_by_the_channel_is_told_to_the_provider(book: Book, amazon: int, depot: int) -> None:
    sold(book, amazon, "A-1", line("LAMP", 2))
    handed(book, depot)
    record(book, amazon, order("A-1", line("LAMP", 2, cancelled=2), state="cancelled", said=books.MORNING + books.HOUR))
    said = handed(book, depot)
    assert (said.version, said.cancelled) == (2, True)


def test_a_cancellation_by_the_channel_that_comes_too_late_is_said_aloud(book: Book, amazon: int, depot: int) -> None:
    sold(book, amazon, "A-1", line("LAMP", 2))
    handed(book, depot)
    record(book, amazon, order("A-1", line("LAMP", 2, cancelled=2), state="cancelled", said=books.MORNING + books.HOUR))
    handed(book, depot, "refused", reason="shipped")
    assert ("change refused", "A-1") in books.inbox(book)
    assert books.to_send(book, depot, "order") == []


def test_an_order_on_hold_is_told_to_be_on_hold(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 1))
    assert not handed(book, depot).hold
    books.do(book, orders.hold, number, "a question")
    assert handed(book, depot).hold
    books.do(book, orders.release, number)
    assert not handed(book, depot).hold


def test_N8_an_order_is_called_back_to_own_shelves_when_the_provider_lets_go(book: Book, depot: int) -> None:
    books.receive(book, "LAMP", 3)
    number = by_hand(book, ("LAMP", 2))
    handed(book, depot)
    assert books.do(book, order_changes.edit, number, Edit(ship_from="Main")) == "requested"
    assert books.held(book, number) == [("LAMP", DEPOT, 2, 0)]
    assert handed(book, depot).cancelled
    assert books.held(book, number) == [("LAMP", "Main", 2, 0)] and state(book, number) == ()
    books.ship(book, number)
    assert books.state(book, number) == "shipped" and books.findings(book) == []


def test_an_order_that_is_refused_at_once_waits_for_a_person(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 2))
    handed(book, depot, "refused", reason="unknown item")
    assert ("returned", number) in books.inbox(book) and state(book, number)[0] == "returned"
    assert books.to_send(book, depot, "order") == []
    books.receive(book, "LAMP", 3)
    assert books.do(book, order_changes.edit, number, Edit(ship_from="Main")) == "changed"
    assert books.held(book, number) == [("LAMP", "Main", 2, 0)]
    assert ("returned", number) not in books.inbox(book)


def test_a_refused_change_is_off_the_inbox_once_the_order_has_left(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 5))
    handed(book, depot)
    books.do(book, order_changes.edit, number, Edit({"LAMP": 2}))
    handed(book, depot, "refused", reason="being picked")
    (entry,) = books.ask(book, "SELECT command FROM inbox WHERE kind = 'change refused'")
    assert entry == (f"zenv inbox settle 'change refused' {number}",)
    journal = Journal(book, depot)
    journal.entries = 2
    journal.shipped(number, source="on_hand", l1=("LAMP", 5))
    assert books.state(book, number) == "shipped" and ("change refused", number) not in books.inbox(book)


def test_an_order_that_the_provider_cannot_fill_asks_for_goods_to_be_sent_there(book: Book, depot: int) -> None:
    by_hand(book, ("LAMP", 11))
    (entry,) = books.ask(book, "SELECT command FROM inbox WHERE kind = 'backorder'")
    assert entry == ("zenv inbound order --line LAMP=11 --warehouse 'Depot'",)


def test_what_was_shipped_elsewhere_is_not_shipped_by_the_provider_too(book: Book, amazon: int, depot: int) -> None:
    sold(book, amazon, "A-1", line("LAMP", 2))
    handed(book, depot)
    shipped = order("A-1", line("LAMP", 2, shipped=2), state="shipped", said=books.MORNING + books.HOUR,
                    packages=(books.package("7"),))  # fmt: skip
    record(book, amazon, shipped)
    assert handed(book, depot).cancelled
    assert books.shelf(book, "LAMP", DEPOT) == (10, 0, 0)
    assert ("shipped elsewhere", "A-1") in books.inbox(book)
    assert books.findings(book) == []


def test_an_order_that_is_handed_over_again_goes_on_with_its_versions(book: Book, depot: int) -> None:
    """The provider has heard version 2 already, and would not heed a new version 1."""
    number = by_hand(book, ("LAMP", 2))
    handed(book, depot)
    books.do(book, order_changes.edit, number, Edit(ship_from="Main"))
    assert handed(book, depot).version == 2
    books.do(book, order_changes.edit, number, Edit(ship_from=DEPOT))
    again = handed(book, depot)
    assert (again.version, again.cancelled) == (3, False)
    assert state(book, number) == ("handed", 3, 3, 0) and books.findings(book) == []


def test_a_line_that_had_gone_down_to_nothing_is_said_when_units_of_it_are_wanted_again(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 1), ("BULB", 1))
    handed(book, depot)
    for units in (0, 2):
        assert books.do(book, order_changes.edit, number, Edit(units={"BULB": units})) == "requested"
        said = handed(book, depot).lines[1]
    assert (said.sku, said.quantity, said.cancelled) == ("BULB", 2, 0)


def test_what_the_provider_has_picked_is_the_providers_to_put_back(book: Book, amazon: int, depot: int) -> None:
    sold(book, amazon, "A-1", line("LAMP", 2))
    handed(book, depot)
    journal = Journal(book, depot)
    journal.entries = 2
    journal.picked("A-1", LAMP=2)
    gone = order("A-1", line("LAMP", 2), state="cancelled", said=books.MORNING + books.HOUR)
    record(book, amazon, gone)
    assert books.state(book, "A-1") == "cancelled" and books.held(book, "A-1") == [("LAMP", None, 0, 0)]
    assert books.shelf(book, "LAMP", DEPOT) == (8, 2, 0) and books.findings(book) == []
    journal.booked(("LAMP", 2, "picked", "on_hand", "unpicked"), order="c:A-1")
    assert books.shelf(book, "LAMP", DEPOT) == (10, 0, 0) and books.findings(book) == []


def test_nothing_stays_set_aside_in_the_depot_once_the_provider_has_let_go(book: Book, amazon: int, depot: int) -> None:
    """The channel is yet to agree to the cancellation; should it not, nobody can book the shipping there."""
    sold(book, amazon, "A-1", line("LAMP", 2))
    handed(book, depot)
    assert books.do(book, order_changes.cancel, "A-1", "buyer_request") == "requested"
    assert handed(book, depot).cancelled
    assert books.held(book, "A-1") == [("LAMP", None, 0, 0)]
    assert ("cancellation", "A-1") in {(kind, subject) for kind, subject, *_ in books.ask(
        book, "SELECT kind, subject FROM messages")}  # fmt: skip
    assert books.findings(book) == []


def test_a_first_handover_that_was_changed_on_its_way_and_is_refused_comes_back(book: Book, depot: int) -> None:
    """The first version never arrived, and the second is refused: the provider has nothing of it."""
    number = by_hand(book, ("LAMP", 5))
    assert books.do(book, order_changes.edit, number, Edit({"LAMP": 2})) == "requested"
    assert handed(book, depot, "refused", reason="unknown item").version == 2
    assert ("returned", number) in books.inbox(book) and state(book, number)[0] == "returned"


def test_a_change_refused_before_the_first_answer_was_heard_leaves_it_handed_over(book: Book, depot: int) -> None:
    number = by_hand(book, ("LAMP", 5))
    assert books.do(book, order_changes.edit, number, Edit({"LAMP": 2})) == "requested"
    handed(book, depot, "refused", reason="being picked")
    assert ("change refused", number) in books.inbox(book) and state(book, number) == ("handed", 2, 2, 0)


def test_a_wish_made_while_another_version_is_on_its_way_outlives_the_refusal_of_that_one(
    book: Book, depot: int
) -> None:
    number = by_hand(book, ("LAMP", 4))
    handed(book, depot)
    books.do(book, orders.hold, number, "a question")
    on_its_way = books.claim(book, depot, "order")
    books.do(book, order_changes.cancel, number, "no_stock")
    books.answer(book, "order", *on_its_way, "refused", reason="being picked")
    assert state(book, number) == ("handed", 3, 2, 1)
    assert handed(book, depot).cancelled
    assert books.state(book, number) == "cancelled" and books.findings(book) == []
