"""What a client says becomes ours: items, orders, edits, cancellations; and orders that we enter for it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests import books
from tests.books import do, held
from tests.zfn import companies
from tests.zfn.companies import Told, hand, link, order, share, stock_of, told
from zenv import wire
from zenv.errors import BadInput, NotFound, Refused
from zenv.ledger import catalog, orders, recipients
from zenv.ledger.book import Book
from zenv.ledger.transaction import AnyRow
from zenv.ledger.zfn import feed, standing, taking

TAKEN, PICKED, SHIPPED = Told("taken", "", 1), Told("refused", "being picked", 2), Told("refused", "shipped", 2)


@pytest.fixture
def acme(provider: Book) -> AnyRow:
    """A client with LAMP and BULB, ten of each here."""
    client, _ = link(provider)
    share(provider, client, "LAMP", "BULB")
    stock_of(provider, client, LAMP=10, BULB=10)
    return client


def changes(book: Book, client: AnyRow) -> list[wire.Change]:
    with book.transaction() as t:
        return feed.changes(t, client).changes


# ---- items -----------------------------------------------------------------------------------------------


def test_an_item_that_is_shared_becomes_the_clients_item_under_its_number(provider: Book, acme: AnyRow) -> None:
    assert books.ask(provider, "SELECT sku, name, client FROM items ORDER BY sku") == [
        ("1-BULB", "Name of BULB", "Acme"), ("1-LAMP", "Name of LAMP", "Acme"),
    ]  # fmt: skip


def test_a_shared_item_follows_what_the_client_says_of_it_and_said_again_changes_nothing(
    provider: Book, acme: AnyRow
) -> None:
    told_of = {"gtin": "4006381333931", "weight_grams": 90, "attributes": {"colour": "red"}, "active": False}
    share(provider, acme, "LAMP", **told_of)
    (found,) = books.ask(provider, "SELECT gtin, weight_grams, attributes, active FROM items WHERE sku = '1-LAMP'")
    assert found == ("4006381333931", 90, '{"colour": "red"}', 0)
    before = companies.content(provider)
    share(provider, acme, "LAMP", **told_of)
    assert companies.content(provider) == before


def test_what_was_said_of_an_item_earlier_is_not_heeded_when_it_comes_later(provider: Book, acme: AnyRow) -> None:
    noon = provider.clock()
    share(provider, acme, "LAMP", name="Lamp, red", said_at=noon)
    share(provider, acme, "LAMP", name="Lamp", said_at=noon - books.HOUR)
    assert books.ask(provider, "SELECT name FROM items WHERE sku = '1-LAMP'") == [("Lamp, red",)]
    share(provider, acme, "LAMP", name="Lamp, blue", said_at=noon + books.HOUR / 2)
    assert books.ask(provider, "SELECT name FROM items WHERE sku = '1-LAMP'") == [("Lamp, blue",)]


def test_a_gtin_that_is_none_is_left_out_and_stops_no_order(provider: Book, acme: AnyRow) -> None:
    share(provider, acme, "VASE", gtin="123")
    assert books.ask(provider, "SELECT gtin FROM items WHERE sku = '1-VASE'") == [(None,)]


def test_a_sku_that_cannot_be_kept_as_it_is_written_is_refused(provider: Book, acme: AnyRow) -> None:
    with pytest.raises(BadInput):
        share(provider, acme, " LAMP")


def test_our_own_items_and_listings_never_mix_with_a_clients(provider: Book, acme: AnyRow) -> None:
    """Neither by an equal SKU nor by an equal GTIN: their goods are not ours to sell."""
    share(provider, acme, "VASE", gtin="4006381333931")
    books.add_items(provider, "LAMP")
    channel = books.connect(provider)
    books.list_(provider, channel, "OURS", gtin="4006381333931")
    books.list_(provider, channel, "LAMP")
    listed = "SELECT sku, item FROM listings WHERE connection = 'amazon' ORDER BY sku"
    assert books.ask(provider, listed) == [("LAMP", "LAMP"), ("OURS", None)]
    hand(provider, acme, order("1", ("LAMP", 1)))
    assert books.ask(provider, "SELECT item FROM order_lines") == [("1-LAMP",)]
    assert {kind for _, kind in books.ask(provider, "SELECT subject, kind FROM messages")} <= {"stock_level"}


def test_an_item_of_ours_that_bears_the_wanted_sku_is_left_alone(provider: Book, acme: AnyRow) -> None:
    books.add_items(provider, "1-VASE")
    share(provider, acme, "VASE")
    assert books.ask(provider, "SELECT sku, client FROM items WHERE sku LIKE '1-VASE%' ORDER BY sku") == [
        ("1-VASE", None), ("1-VASE (2)", "Acme"),
    ]  # fmt: skip


# ---- orders ----------------------------------------------------------------------------------------------


def test_Z25_an_order_carries_the_import_user_and_a_number_that_cannot_collide(provider: Book, acme: AnyRow) -> None:
    books.add_items(provider, "OWN")
    books.make_order(provider, ("OWN", 1), number="7")
    (answer,) = hand(provider, acme, order("7", ("LAMP", 2)))
    assert (answer.outcome, answer.number) == ("taken", "CO-1-7")
    entered = books.ask(provider, "SELECT number, entered_by FROM orders WHERE connection = 'Acme'")
    assert entered == [("CO-1-7", "tester")]
    assert held(provider, "CO-1-7") == [("LAMP", "Main", 2, 0)]


def test_two_clients_may_have_the_same_numbers_and_skus(provider: Book, acme: AnyRow) -> None:
    other, _ = link(provider, "other")
    share(provider, other, "LAMP")
    for client in (acme, other):
        hand(provider, client, order("7", ("LAMP", 1)))
    assert books.ask(provider, "SELECT number FROM orders ORDER BY number") == [("CO-1-7",), ("CO-2-7",)]
    assert held(provider, "CO-2-7") == [("LAMP", None, 0, 0)], "the goods of one are not the other's"


def test_the_person_is_sealed_as_any_other_and_no_e_mail_address_is_among_it(provider: Book, acme: AnyRow) -> None:
    hand(provider, acme, order("7", ("LAMP", 1)))
    with provider.reading() as sql:
        who = recipients.recipient(sql, provider.keys, orders.find_order(sql, "CO-1-7").id)
    assert (who["name"], who["phone"], who["email"]) == ("Marker Nameson", "+49 555 0199 77", "")
    assert b"Marker" not in (provider.home / "ledger.db").read_bytes()


def test_the_same_snapshot_again_is_answered_and_changes_nothing(provider: Book, acme: AnyRow) -> None:
    said = order("7", ("LAMP", 1))
    first = hand(provider, acme, said)
    before = companies.content(provider)
    assert hand(provider, acme, said) == first
    assert companies.content(provider) == before


def test_an_older_snapshot_that_comes_late_is_answered_and_not_heeded(provider: Book, acme: AnyRow) -> None:
    hand(provider, acme, order("7", ("LAMP", 5), version=2))
    assert told(hand(provider, acme, order("7", ("LAMP", 1)))) == [Told("taken", "", 2)]
    assert books.counts(provider, "CO-1-7") == [("LAMP", 5, 0, 0)]


def test_a_cancellation_that_overtakes_its_order_keeps_it_from_ever_coming_alive(provider: Book, acme: AnyRow) -> None:
    hand(provider, acme, order("7", ("LAMP", 1), version=2, cancelled=True))
    hand(provider, acme, order("7", ("LAMP", 1), version=1))
    assert books.state(provider, "CO-1-7") == "cancelled"
    assert held(provider, "CO-1-7") == [("LAMP", None, 0, 0)]


def test_an_edit_before_picking_is_taken(provider: Book, acme: AnyRow) -> None:
    hand(provider, acme, order("7", ("LAMP", 1)))
    assert told(hand(provider, acme, order("7", ("LAMP", 3), ("BULB", 1), version=2))) == [Told("taken", "", 2)]
    assert books.counts(provider, "CO-1-7") == [("LAMP", 3, 0, 0), ("BULB", 1, 0, 0)]
    hand(provider, acme, order("7", ("LAMP", 3), version=3))
    assert books.counts(provider, "CO-1-7")[1] == ("BULB", 1, 1, 0), "a line that is no longer named is cancelled"


@pytest.mark.parametrize("change", [{"cancelled": True}, {"hold": True}])
def test_N9_an_order_being_picked_is_changed_only_where_the_provider_allows_it(
    provider: Book, acme: AnyRow, change: dict[str, Any]
) -> None:
    hand(provider, acme, order("7", ("LAMP", 2)))
    do(provider, orders.pick, "CO-1-7")
    edit = order("7", ("LAMP", 2), version=2, **change)
    assert told(hand(provider, acme, edit)) == [PICKED]
    assert held(provider, "CO-1-7") == [("LAMP", "Main", 2, 2)]
    do(provider, standing.edit, may_edit_picked=True)
    assert told(hand(provider, acme, order("7", ("LAMP", 2), version=3, **change))) == [Told("taken", "", 3)]


def test_what_is_only_said_again_is_taken_while_it_is_being_picked(provider: Book, acme: AnyRow) -> None:
    """Whoever restored a backup tells all that is open again."""
    hand(provider, acme, order("7", ("LAMP", 3)))
    do(provider, orders.pick, "CO-1-7")
    assert told(hand(provider, acme, order("7", ("LAMP", 3), version=2))) == [Told("taken", "", 2)]
    assert told(hand(provider, acme, order("7", ("LAMP", 2), version=3))) == [Told("refused", "being picked", 3)]


def test_an_edit_that_takes_away_what_has_left_is_refused_even_where_picked_orders_may_be_edited(
    provider: Book, acme: AnyRow
) -> None:
    do(provider, standing.edit, may_edit_picked=True)
    hand(provider, acme, order("7", ("LAMP", 2)))
    books.ship(provider, "CO-1-7", {"LAMP": 1})
    assert told(hand(provider, acme, order("7", ("LAMP", 2), version=2, cancelled=True))) == [SHIPPED]
    assert told(hand(provider, acme, order("7", ("LAMP", 1), version=3))) == [Told("taken", "", 3)]
    assert books.counts(provider, "CO-1-7") == [("LAMP", 1, 0, 1)]


def test_a_refused_edit_that_comes_again_is_refused_again_even_when_picking_has_ended(
    provider: Book, acme: AnyRow
) -> None:
    """Its client was told no and has gone on; a delayed copy must not be taken behind its back."""
    hand(provider, acme, order("7", ("LAMP", 1)))
    do(provider, orders.pick, "CO-1-7")
    late = order("7", ("LAMP", 9), version=2)
    assert told(hand(provider, acme, late)) == [PICKED]
    do(provider, orders.unpick, "CO-1-7")
    assert told(hand(provider, acme, late)) == [PICKED]
    assert books.counts(provider, "CO-1-7") == [("LAMP", 1, 0, 0)]
    assert told(hand(provider, acme, order("7", ("LAMP", 8), version=2))) == [Told("taken", "", 2)], "another wish"


def test_an_order_with_goods_we_do_not_know_is_refused_and_never_taken_later(provider: Book, acme: AnyRow) -> None:
    said = order("7", ("LAMP", 1), ("VASE", 1))
    assert told(hand(provider, acme, said)) == [Told("refused", "unknown item", 1)]
    share(provider, acme, "VASE")
    assert told(hand(provider, acme, said)) == [Told("refused", "unknown item", 1)]
    assert books.state(provider, "CO-1-7") == "cancelled"
    assert told(hand(provider, acme, order("7", ("LAMP", 1), ("VASE", 1), version=2))) == [Told("taken", "", 2)]
    assert books.counts(provider, "CO-1-7") == [("LAMP", 1, 0, 0), ("VASE", 1, 0, 0)]
    assert books.state(provider, "CO-1-7") == "ready"


@pytest.mark.parametrize("said", [
    {"order": "p:7"},
    {"lines": [wire.HandedLine(line="1", sku="LAMP", quantity=1), wire.HandedLine(line="1", sku="BULB", quantity=1)]},
    {"lines": [wire.HandedLine(line="1", sku="LAMP", quantity=1, cancelled=2)]},
])  # fmt: skip
def test_what_cannot_be_is_refused(provider: Book, acme: AnyRow, said: dict[str, Any]) -> None:
    plain = order("7", ("LAMP", 1)).model_dump(mode="json")
    (answer,) = hand(provider, acme, wire.HandedOrder(**(plain | said)))
    assert (answer.outcome, answer.reason) == ("refused", "not possible")


def test_a_hold_of_the_client_comes_and_goes_and_one_of_ours_stays(provider: Book, acme: AnyRow) -> None:
    hand(provider, acme, order("7", ("LAMP", 1), hold=True), order("8", ("LAMP", 1)))
    assert books.state(provider, "CO-1-7") == "on hold"
    do(provider, orders.hold, "CO-1-8", "look at the lamp")
    hand(provider, acme, order("7", ("LAMP", 1), version=2), order("8", ("LAMP", 1), version=2))
    assert [books.state(provider, f"CO-1-{number}") for number in (7, 8)] == ["ready", "on hold"]


def test_an_order_that_comes_twice_in_one_request_is_taken_in_its_order(provider: Book, acme: AnyRow) -> None:
    answers = hand(provider, acme, order("7", ("LAMP", 1)), order("8", ("LAMP", 1)), order("7", ("LAMP", 2), version=2))
    assert told(answers) == [TAKEN, TAKEN, Told("taken", "", 2)]
    assert [answer.reference for answer in answers] == ["c:7", "c:8", "c:7"]
    assert books.counts(provider, "CO-1-7") == [("LAMP", 2, 0, 0)]


def test_whatever_the_sequence_and_however_often_snapshots_come_the_newest_holds(provider: Book, acme: AnyRow) -> None:
    chance = Random(7)
    for number in range(30):
        versions = [*range(1, 6), *(chance.randint(1, 5) for _ in range(chance.randint(0, 5)))]
        chance.shuffle(versions)
        for version in versions:
            ended = version == number % 7
            hand(provider, acme, order(str(number), ("LAMP", version), version=version, cancelled=ended))
        assert books.counts(provider, f"CO-1-{number}")[0][:2] == ("LAMP", 5), versions
        assert (books.state(provider, f"CO-1-{number}") == "cancelled") == (number % 7 == 5), versions


# ---- what we do of our own -------------------------------------------------------------------------------


def test_N5_an_order_we_enter_for_a_client_waits_for_it_until_it_is_seen(provider: Book, acme: AnyRow) -> None:
    number = do(provider, taking.enter, "Acme", orders.NewOrder([orders.NewLine("1-LAMP", 2, price=500)], number="X1"))
    (told_of,) = changes(provider, acme)
    assert told_of.order is not None and told_of.order.order == f"p:{number}"
    assert [(line.sku, line.quantity) for line in told_of.order.lines] == [("LAMP", 2)]
    assert "500" not in told_of.model_dump_json(), "no price goes out"
    do(provider, feed.seen, acme, [(told_of.key, told_of.revision)])
    assert changes(provider, acme) == []


def test_an_order_for_a_client_holds_goods_of_that_client_only(provider: Book, acme: AnyRow) -> None:
    books.add_items(provider, "OWN")
    for sku, error in (("OWN", Refused), ("NOTHING", NotFound)):
        with pytest.raises(error):
            do(provider, taking.enter, "Acme", orders.NewOrder([orders.NewLine(sku, 1)]))
    assert changes(provider, acme) == []


def test_an_order_we_cancel_is_told_and_not_revived_before_the_client_knows(provider: Book, acme: AnyRow) -> None:
    hand(provider, acme, order("7", ("LAMP", 1)))
    do(provider, cancelled, "CO-1-7")
    assert told(hand(provider, acme, order("7", ("LAMP", 2), version=2))) == [Told("refused", "not possible", 2)]
    (told_of,) = changes(provider, acme)
    assert told_of.order is not None and told_of.order.cancelled
    do(provider, feed.seen, acme, [(told_of.key, told_of.revision)])
    assert told(hand(provider, acme, order("7", ("LAMP", 2), version=3))) == [Told("taken", "", 3)]
    assert books.state(provider, "CO-1-7") == "ready"


def cancelled(t: Any, number: str) -> None:
    from zenv.ledger import order_changes

    order_changes.cancel(t, number, "no_stock")
    taking.changed(t, [orders.find_order(t.sql, number).id])


def test_a_change_that_happens_while_the_client_reads_stays_owed(provider: Book, acme: AnyRow) -> None:
    number = do(provider, taking.enter, "Acme", orders.NewOrder([orders.NewLine("1-LAMP", 2)]))
    (first,) = changes(provider, acme)
    do(provider, cancelled, number)
    do(provider, feed.seen, acme, [(first.key, first.revision)])
    (second,) = changes(provider, acme)
    assert second.revision > first.revision and second.order is not None and second.order.cancelled


def test_an_item_we_make_for_a_client_waits_for_it(provider: Book, acme: AnyRow) -> None:
    with provider.transaction() as t:
        t.tell(acme.connection_id, "item", catalog.find_ids(t.sql, ["1-LAMP"])["1-LAMP"])
    (told_of,) = changes(provider, acme)
    assert told_of.item is not None and told_of.item.sku == "LAMP"


def test_what_one_client_has_to_hear_no_other_hears_or_can_take_away(provider: Book, acme: AnyRow) -> None:
    other, _ = link(provider, "other")
    do(provider, taking.enter, "Acme", orders.NewOrder([orders.NewLine("1-LAMP", 1)]))
    assert changes(provider, other) == []
    (mine,) = changes(provider, acme)
    do(provider, feed.seen, other, [(mine.key, mine.revision), (2**70, 1), (-(2**70), 1)])
    assert changes(provider, acme) == [mine]
