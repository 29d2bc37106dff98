"""What is owed to a remote: told once, told again when it changed meanwhile, and looked up when the answer was lost."""

from __future__ import annotations

from typing import Any

import pytest

from tests import books
from tests.books import line, offers, order, owed, record
from zenv.errors import NotFound, Refused
from zenv.facts import Receipt
from zenv.ledger import connections, messages, outbox, stock
from zenv.ledger.book import Book


@pytest.fixture
def amazon(book: Book) -> int:
    """Ten LAMPs in Main, listed on an enabled connection that is owed their number."""
    books.add_items(book, "LAMP")
    books.receive(book, "LAMP", 10)
    number = books.connect(book)
    books.list_(book, number, "LAMP")
    return number


def states(book: Book) -> list[str]:
    return [state for _, _, state in owed(book)]


def expire(book: Book, connection: int) -> None:
    with book.transaction() as t:
        outbox.expire_leases(t, connection)


def lost(book: Book, connection: int, kind: str) -> list[outbox.Owed]:
    with book.reading() as sql:
        return outbox.unknown(sql, connection, kind)


# ---- the way of a message --------------------------------------------------------------------------------


def test_a_message_is_claimed_before_it_is_sent_and_gone_when_its_effect_is_certain(book: Book, amazon: int) -> None:
    taken, built = books.claim(book, amazon)
    assert states(book) == ["sending"]
    assert books.claim(book, amazon) == ({}, {})
    books.answer(book, "stock_level", taken, built, "done")
    assert states(book) == []


def test_A18_submitted_waits_for_the_remotes_answer_under_its_reference(book: Book, amazon: int) -> None:
    taken, built = books.claim(book, amazon)
    books.answer(book, "stock_level", taken, built, "submitted", remote_ref="feed-1")
    with book.reading() as sql:
        assert [one.id for one in outbox.under_way(sql, amazon, "stock_level")["feed-1"]] == list(taken)
    assert books.claim(book, amazon) == ({}, {})
    ((state,),) = books.ask(book, "SELECT stock_state FROM listings")
    assert state == "submitted"
    books.answer(book, "stock_level", taken, {key: None for key in taken}, "done")
    assert states(book) == []


def test_a_change_booked_while_a_message_is_on_the_wire_is_sent_after_it(book: Book, amazon: int) -> None:
    taken, built = books.claim(book, amazon)
    books.receive(book, "LAMP", 1)
    assert states(book) == ["sending"]
    books.answer(book, "stock_level", taken, built, "done")
    assert offers(book, amazon) == {"LAMP": 11}
    assert [message.quantity for message in books.send(book, amazon)] == [11]
    assert states(book) == []


@pytest.mark.parametrize("outcome", ["done", "submitted", "retry", "refused"])
def test_a_change_that_is_undone_while_its_opposite_is_on_the_wire_is_owed_again(
    book: Book, amazon: int, outcome: str
) -> None:
    books.send(book, amazon)
    books.receive(book, "LAMP", 1)
    taken, built = books.claim(book, amazon)
    with book.transaction() as t:
        stock.adjust(t, "LAMP", "Main", -1, "counted wrongly")
    books.answer(book, "stock_level", taken, built, outcome, remote_ref="feed-1")
    if outcome == "submitted":
        assert states(book) == ["sent"]
        books.answer(book, "stock_level", taken, {key: None for key in taken}, "done")
    assert states(book) == (["parked"] if outcome == "refused" else ["pending"])
    if outcome != "refused":
        assert offers(book, amazon) == {"LAMP": 10}


def test_a_change_booked_while_a_feed_is_under_way_is_sent_after_its_answer(book: Book, amazon: int) -> None:
    taken, built = books.claim(book, amazon)
    books.answer(book, "stock_level", taken, built, "submitted", remote_ref="feed-1")
    books.receive(book, "LAMP", 1)
    assert states(book) == ["sent"]
    assert books.claim(book, amazon) == ({}, {})
    books.answer(book, "stock_level", taken, {key: None for key in taken}, "done")
    assert offers(book, amazon) == {"LAMP": 11}


def test_a_receipt_settles_only_the_revision_it_answers(book: Book, amazon: int) -> None:
    record(book, amazon, order("A-1", line("LAMP", 1)))
    books.ship(book, "A-1")
    _, built = books.claim(book, amazon, "shipment")
    ((shipment,),) = books.ask(book, "SELECT id FROM shipment")
    with book.transaction() as t:
        t.tell(amazon, "shipment", shipment)
    with book.transaction() as t:
        outbox.settle(t, [Receipt(key, "done") for key in built])
    assert ("shipment", "A-1/1", "pending") in owed(book)


def test_retry_waits_as_long_as_the_remote_asked(book: Book, amazon: int, clock: books.Clock) -> None:
    books.send(book, amazon, outcome="retry", wait=60.0, reason="busy")
    assert states(book) == ["pending"]
    assert books.claim(book, amazon) == ({}, {})
    clock.later(seconds=60)
    taken, _ = books.claim(book, amazon)
    assert [one.attempts for one in taken.values()] == [1]


def test_a_refused_message_is_parked_with_its_reason_and_wakes_when_its_subject_changes(
    book: Book, amazon: int
) -> None:
    books.send(book, amazon, outcome="refused", reason="no such\nproduct type")
    assert states(book) == ["parked"]
    assert ("parked", "stock_level LAMP") in books.inbox(book)
    ((reason,),) = books.ask(book, "SELECT reason FROM messages")
    assert reason == "no such product type"
    assert books.claim(book, amazon) == ({}, {})
    books.receive(book, "LAMP", 1)
    assert [message.quantity for message in books.send(book, amazon)] == [11]


def test_a_change_booked_while_the_refusal_was_under_way_is_tried_by_itself(book: Book, amazon: int) -> None:
    taken, built = books.claim(book, amazon)
    books.receive(book, "LAMP", 1)
    books.answer(book, "stock_level", taken, built, "refused", reason="too many")
    assert states(book) == ["pending"]
    books.send(book, amazon, outcome="refused", reason="too many")
    assert states(book) == ["parked"]


def test_a_parked_message_is_tried_again_when_a_person_says_so(book: Book, amazon: int) -> None:
    books.send(book, amazon, outcome="refused", reason="no")
    ((number,),) = books.ask(book, "SELECT message FROM messages")
    with book.transaction() as t:
        outbox.retry(t, number)
    assert [message.quantity for message in books.send(book, amazon)] == [10]
    with pytest.raises(NotFound), book.transaction() as t:
        outbox.retry(t, number)


# ---- lost answers ----------------------------------------------------------------------------------------


def test_a_sender_that_died_leaves_messages_to_be_looked_up(book: Book, amazon: int, clock: books.Clock) -> None:
    taken, _ = books.claim(book, amazon)
    clock.later(seconds=outbox.LEASE.total_seconds())
    expire(book, amazon)
    assert states(book) == ["sending"]
    clock.later(seconds=1)
    expire(book, amazon)
    assert states(book) == ["unknown"]
    assert books.claim(book, amazon) == ({}, {})
    assert [one.id for one in lost(book, amazon, "stock_level")] == list(taken)


@pytest.mark.parametrize("how", ["died", "answer lost"])
def test_after_a_lost_answer_the_channel_is_told_even_what_it_was_told_before(
    book: Book, amazon: int, clock: books.Clock, how: str
) -> None:
    books.send(book, amazon)
    books.receive(book, "LAMP", 1)
    taken, built = books.claim(book, amazon)
    if how == "died":
        clock.later(seconds=outbox.LEASE.total_seconds() + 1)
        expire(book, amazon)
    else:
        books.answer(book, "stock_level", taken, built, "unknown")
    with book.transaction() as t:  # back to what the ledger believes the channel shows
        stock.adjust(t, "LAMP", "Main", -1, "counted wrongly")
    with book.reading() as sql:
        again = messages.build(sql, "stock_level", outbox.unknown(sql, amazon, "stock_level"), book.keys)
    assert [message.quantity for message in again.values()] == [10]


def test_a_lost_shipment_is_looked_up_under_its_own_number_and_never_owed_twice(
    book: Book, amazon: int, clock: books.Clock
) -> None:
    record(book, amazon, order("A-1", line("LAMP", 1)))
    books.ship(book, "A-1")
    taken, built = books.claim(book, amazon, "shipment")
    books.answer(book, "shipment", taken, built, "unknown", reason="no answer")
    assert books.claim(book, amazon, "shipment") == ({}, {})
    with book.reading() as sql:
        (message,) = messages.build(sql, "shipment", lost(book, amazon, "shipment"), book.keys).values()
    assert message.reference == "1"
    books.answer(book, "shipment", taken, {key: message for key in taken}, "done")
    assert not [kind for kind, _, _ in owed(book) if kind == "shipment"]
    assert books.dicts(books.views.shipments(book.home, "A-1"))[0]["told"] == "confirmed"


def test_a_receipt_settles_only_its_own_message(book: Book, amazon: int) -> None:
    record(book, amazon, order("A-1", line("LAMP", 2)))
    books.ship(book, "A-1", {"LAMP": 1})
    books.ship(book, "A-1", {"LAMP": 1}, tracking="T2")
    taken, built = books.claim(book, amazon, "shipment")
    first = min(built)
    with book.transaction() as t:
        messages.book_receipts(t, "shipment", taken, built, [Receipt(first, "done")])
    assert {(subject, state) for kind, subject, state in owed(book) if kind == "shipment"} == {("A-1/2", "sending")}


# ---- connections -----------------------------------------------------------------------------------------


def test_H81_what_is_owed_survives_disabling_and_is_sent_after_enabling(book: Book, amazon: int) -> None:
    record(book, amazon, order("A-1", line("LAMP", 1)))
    books.ship(book, "A-1")
    with book.transaction() as t:
        connections.disable(t, "amazon")
    assert ("shipment", "A-1/1", "pending") in owed(book)
    with book.transaction() as t:
        connections.enable(t, "amazon")
    assert [message.order for message in books.send(book, amazon, "shipment")] == ["A-1"]


def test_a_connection_is_not_removed_while_it_is_owed_a_shipment(book: Book, amazon: int) -> None:
    record(book, amazon, order("A-1", line("LAMP", 1)))
    books.ship(book, "A-1")
    with pytest.raises(Refused, match="still owed"), book.transaction() as t:
        connections.remove(t, "amazon")
    books.send(book, amazon, "shipment")
    with book.transaction() as t:
        connections.remove(t, "amazon")
    assert owed(book) == set()


def test_each_claim_takes_no_more_than_asked_the_oldest_first(book: Book, amazon: int, clock: books.Clock) -> None:
    record(book, amazon, order("A-1", line("LAMP", 3)))
    for tracking in ("T1", "T2", "T3"):
        books.ship(book, "A-1", {"LAMP": 1}, tracking=tracking)
        clock.later(minutes=1)
    with book.transaction() as t:
        taken = outbox.claim(t, amazon, "shipment", 2)
    assert [one.attempts for one in taken] == [0, 0]
    rows: list[Any] = books.ask(book, "SELECT subject FROM messages WHERE kind = 'shipment' AND state = 'sending'")
    assert {row[0] for row in rows} == {"A-1/1", "A-1/2"}
