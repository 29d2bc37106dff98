"""Goods on their way to a provider: what the client says of them, and what comes back; two ledgers side by side."""

from __future__ import annotations

import pytest

from tests import books
from tests.books import do
from tests.zfn import two_books
from tests.zfn.linked import DEPOT
from tests.zfn.two_books import Two, state
from zenv.errors import NotFound, Refused
from zenv.ledger import catalog, inbounds, stock
from zenv.ledger.zfn import client_items


def shipped(two: Two, units: int = 5) -> str:
    """A transfer to the provider that has left."""
    number = str(do(two.client, inbounds.transfer, "Main", DEPOT, {"LAMP": units}))
    for stage in (inbounds.allocate, inbounds.pick, inbounds.ship):
        do(two.client, stage, number)
    return number


def notices(two: Two, kind: str) -> list[tuple[str, ...]]:
    found = books.ask(two.client, "SELECT subject, text, command FROM inbox WHERE kind = ?", kind)
    return [tuple(row) for row in found]


# ---- telling ---------------------------------------------------------------------------------------------


def test_N10_a_purchase_order_is_the_providers_under_the_clients_number(two: Two) -> None:
    number = do(two.client, inbounds.order, DEPOT, {"LAMP": 5, "BULB": 2})
    (answer,) = two.tell()
    assert (number, answer.outcome, answer.number) == ("PO-1", "taken", "PO-1-1")
    found = books.ask(two.provider, "SELECT number, kind, client, destination, state, units FROM inbounds")
    assert found == [("PO-1-1", "purchase", "Lamp Shop", "Main", "open", 7)]
    assert books.ask(two.provider, "SELECT sku FROM inbound_lines ORDER BY line") == [("1-LAMP",), ("1-BULB",)]
    assert books.owed(two.client) == set()


def test_N10_a_transfer_is_a_purchase_order_there(two: Two) -> None:
    number = shipped(two)
    (answer,) = two.tell()
    assert (number, answer.number, answer.version) == ("TO-1", "TO-1-1", 2)
    assert books.ask(two.provider, "SELECT kind, sent FROM inbounds") == [("purchase", 5)]


def test_N11_no_cost_and_no_supplier_is_told(two: Two) -> None:
    do(two.client, catalog.edit_item, "LAMP", unit_cost=499)
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5}, supplier="Secret Lamps Ltd")
    said = two.said().model_dump_json()
    assert "Secret" not in said and "499" not in said


def test_N3_it_is_owed_at_once_and_again_with_each_change_in_a_newer_version(two: Two) -> None:
    number = do(two.client, inbounds.transfer, "Main", DEPOT, {"LAMP": 5})
    assert ("inbound", number, "pending") in books.owed(two.client)
    first = two.said()
    do(two.client, inbounds.allocate, number)
    do(two.client, inbounds.pick, number)
    assert two.said() == first
    do(two.client, inbounds.ship, number)
    again = two.said()
    assert (first.version, first.lines[0].sent, again.version, again.lines[0].sent) == (1, 0, 2, 5)


def test_a_request_is_told_once_it_is_accepted(two: Two) -> None:
    number = do(two.client, inbounds.request, "Main", DEPOT, {"LAMP": 5})
    assert books.owed(two.client) == set()
    do(two.client, inbounds.allocate, number)
    assert two.said().version == 1


def test_a_request_that_was_turned_down_is_never_told(two: Two) -> None:
    number = do(two.client, inbounds.request, "Main", DEPOT, {"LAMP": 5})
    do(two.client, inbounds.cancel, number)
    assert books.owed(two.client) == set()


def test_N13_goods_are_not_sent_back_from_a_provider(two: Two) -> None:
    for operation in (inbounds.transfer, inbounds.request):
        with pytest.raises(Refused, match="not sent back"):
            do(two.client, operation, DEPOT, "Main", {"LAMP": 1})
    with pytest.raises(Refused) as refused:
        do(two.client, stock.transfer, "LAMP", "Main", DEPOT, 1)
    assert refused.value.hint.startswith("zenv inbound transfer")
    with pytest.raises(Refused):
        do(two.client, stock.transfer, "LAMP", DEPOT, "Main", 1)


def test_N13_only_the_provider_receives_what_goes_to_it(two: Two) -> None:
    number = shipped(two)
    for operation in (inbounds.receive, inbounds.complete):
        with pytest.raises(Refused, match="receives what goes there"):
            do(two.client, operation, number)


# ---- what the provider takes -----------------------------------------------------------------------------


def test_a_snapshot_that_is_not_newer_changes_nothing(two: Two) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5})
    said = two.said()
    two.tell()
    for quantity in (5, 9):
        again = said.model_copy(update={"lines": [said.lines[0].model_copy(update={"quantity": quantity})]})
        assert (two.take(again).outcome, two.take(again).version) == ("taken", 1)
    assert state(two.provider, "PO-1-1") == ("open", 5, 0, 0)
    assert len(books.ask(two.provider, "SELECT * FROM inbounds")) == 1


def test_a_delayed_snapshot_does_not_bring_a_cancelled_inbound_back(two: Two) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5})
    delayed = two.said()
    do(two.client, inbounds.cancel, "PO-1")
    two.tell()
    assert two.take(delayed).version == 2 and state(two.provider, "PO-1-1")[0] == "cancelled"


def test_an_item_that_was_never_shared_is_refused_and_said(two: Two) -> None:
    books.add_items(two.client, "NEW")
    do(two.client, inbounds.order, DEPOT, {"NEW": 1})
    (answer,) = two.tell()
    assert (answer.outcome, answer.reason, answer.version) == ("refused", "unknown item", 0)
    assert books.ask(two.provider, "SELECT * FROM inbounds") == []
    assert notices(two, "inbound") == [
        ("PO-1", "the provider does not take PO-1: unknown item", "zenv inbound cancel PO-1")
    ]
    do(two.client, inbounds.cancel, "PO-1")
    assert notices(two, "inbound") == []


def test_items_of_the_provider_and_of_other_clients_are_unknown(two: Two) -> None:
    books.add_items(two.provider, "OWN")
    two_books.add_client(two.provider, "Fan Shop")
    do(two.provider, client_items.add, catalog.NewItem("FAN"), "Fan Shop")
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5})
    said = two.said()
    for sku in ("OWN", "1-LAMP", "FAN", "2-FAN"):
        foreign = said.model_copy(update={"lines": [said.lines[0].model_copy(update={"sku": sku})]})
        assert two.take(foreign).reason == "unknown item"


@pytest.mark.parametrize(("change", "reason"), [
    ({"quantity": 3}, ""), ({"quantity": 9}, ""), ({"quantity": 1}, "received"), ({"sku": "BULB"}, "received"),
    ({"line": "other"}, "received"),
])  # fmt: skip
def test_an_edit_may_not_take_back_what_was_received(two: Two, change: dict[str, object], reason: str) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5})
    said = two.said()
    two.tell()
    do(two.provider, inbounds.receive, "PO-1-1", {"1-LAMP": 2})
    edited = said.model_copy(update={"version": 2, "lines": [said.lines[0].model_copy(update=change)]})
    answer = two.take(edited)
    assert (answer.reason, answer.version) == (reason, 1 if reason else 2)
    assert state(two.provider, "PO-1-1")[1] == (5 if reason else change["quantity"])


def test_an_edit_may_add_and_drop_lines_and_close_what_has_come(two: Two) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5, "BULB": 2})
    said = two.said()
    two.tell()
    do(two.provider, inbounds.receive, "PO-1-1", {"1-LAMP": 4})
    lamps = said.lines[0].model_copy(update={"quantity": 4})
    assert two.take(said.model_copy(update={"version": 2, "lines": [lamps]})).outcome == "taken"
    assert state(two.provider, "PO-1-1") == ("closed", 4, 0, 4)
    more = said.model_copy(update={"version": 3, "lines": [*said.lines]})
    assert two.take(more).reason == "received"


@pytest.mark.parametrize("twice", [{"line": "2"}, {"sku": "BULB"}])
def test_a_snapshot_with_a_line_or_an_item_twice_is_not_possible(two: Two, twice: dict[str, str]) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5, "BULB": 2})
    said = two.said()
    lines = [said.lines[0].model_copy(update=twice), said.lines[1]]
    assert two.take(said.model_copy(update={"lines": lines})).reason == "not possible"


def test_two_inbounds_of_one_number_are_two_inbounds(two: Two) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5})
    said = two.said()
    two.tell()
    again = two.take(said.model_copy(update={"inbound": "c:another"}))
    assert again.number == "PO-1-1/2"


def test_a_provider_does_not_cancel_what_is_a_clients(two: Two) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5})
    two.tell()
    with pytest.raises(Refused, match="a client's"):
        do(two.provider, inbounds.cancel, "PO-1-1")


# ---- what comes back -------------------------------------------------------------------------------------


def test_N12_what_the_provider_receives_is_received_here_and_closes_it(two: Two) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5})
    two.tell()
    do(two.provider, inbounds.receive, "PO-1-1", {"1-LAMP": 2})
    two.pull()
    assert state(two.client, "PO-1") == ("open", 5, 0, 2) and two.shelves() == ((2, 0, 0), (2, 0, 0))
    do(two.provider, inbounds.receive, "PO-1-1")
    two.pull()
    assert state(two.client, "PO-1") == ("closed", 5, 0, 5) and two.shelves() == ((5, 0, 0), (5, 0, 0))
    assert books.owed(two.provider) == set()
    assert notices(two, "short receipt") == [] and two.findings() == []


def test_N13_a_transfer_that_was_shipped_comes_out_of_transit(two: Two) -> None:
    shipped(two)
    two.tell()
    assert books.shelf(two.client, "LAMP", DEPOT) == (0, 0, 5)
    do(two.provider, inbounds.receive, "TO-1-1", {"1-LAMP": 2})
    two.pull()
    assert books.shelf(two.client, "LAMP", DEPOT) == (2, 0, 3)
    do(two.provider, inbounds.receive, "TO-1-1")
    two.repeat()
    assert books.shelf(two.client, "LAMP", DEPOT) == (5, 0, 0) and state(two.client, "TO-1") == ("closed", 5, 5, 5)
    two.hear()
    assert two.findings() == []


@pytest.mark.parametrize("stages", [(), ("allocate",), ("allocate", "pick")])
def test_N13_an_earlier_receipt_of_the_provider_closes_it_at_once(two: Two, stages: tuple[str, ...]) -> None:
    do(two.client, inbounds.transfer, "Main", DEPOT, {"LAMP": 5})
    for stage in stages:
        do(two.client, getattr(inbounds, stage), "TO-1")
    two.tell()
    do(two.provider, inbounds.receive, "TO-1-1", {"1-LAMP": 3})
    two.pull()
    assert state(two.client, "TO-1") == ("open", 5, 3, 3) and books.shelf(two.client, "LAMP", DEPOT) == (3, 0, 0)
    assert sum(books.shelf(two.client, "LAMP")) == 17 and two.findings() == []
    do(two.provider, inbounds.receive, "TO-1-1")
    two.pull()
    assert state(two.client, "TO-1") == ("closed", 5, 5, 5) and books.shelf(two.client, "LAMP") == (15, 0, 0)
    assert books.available(two.client, "LAMP") == 20 and two.findings() == []


def test_the_rest_of_a_transfer_that_was_received_in_part_can_still_be_shipped(two: Two) -> None:
    do(two.client, inbounds.transfer, "Main", DEPOT, {"LAMP": 5})
    two.tell()
    do(two.provider, inbounds.receive, "TO-1-1", {"1-LAMP": 3})
    two.pull()
    for stage in (inbounds.allocate, inbounds.pick, inbounds.ship):
        assert do(two.client, stage, "TO-1") == 2
    assert books.shelf(two.client, "LAMP", DEPOT) == (3, 0, 2)
    two.tell()
    do(two.provider, inbounds.receive, "TO-1-1")
    two.pull()
    assert books.shelf(two.client, "LAMP", DEPOT) == (5, 0, 0) and two.findings() == []


@pytest.mark.parametrize("first", ["hear", "repeat"])
def test_C19_a_short_receipt_is_written_off_and_said(two: Two, first: str) -> None:
    shipped(two)
    two.tell()
    do(two.provider, inbounds.receive, "TO-1-1", {"1-LAMP": 3})
    do(two.provider, inbounds.complete, "TO-1-1")
    for step in (first, "repeat", "hear", "repeat"):
        getattr(two, step)()
    assert books.shelf(two.client, "LAMP", DEPOT) == (3, 0, 0) and state(two.client, "TO-1") == ("closed", 5, 5, 3)
    assert books.ask(two.client, "SELECT quantity, note FROM movements WHERE reason = 'adjusted'") == [
        (2, "the provider received 3 of 5")
    ]
    assert notices(two, "short receipt") == [(
        "TO-1/LAMP", "the provider received 3 of 5 x LAMP of TO-1, and closed it",
        "zenv inbox settle 'short receipt' 'TO-1/LAMP'",
    )]  # fmt: skip
    assert two.findings() == []


@pytest.mark.parametrize("first", ["hear", "repeat"])
def test_a_short_receipt_of_what_was_never_shipped_frees_the_rest(two: Two, first: str) -> None:
    do(two.client, inbounds.transfer, "Main", DEPOT, {"LAMP": 5})
    do(two.client, inbounds.allocate, "TO-1")
    do(two.client, inbounds.pick, "TO-1")
    two.tell()
    do(two.provider, inbounds.receive, "TO-1-1", {"1-LAMP": 3})
    do(two.provider, inbounds.complete, "TO-1-1")
    for step in (first, "repeat", "hear"):
        getattr(two, step)()
    assert books.shelf(two.client, "LAMP") == (17, 0, 0) and books.shelf(two.client, "LAMP", DEPOT) == (3, 0, 0)
    assert two.findings() == []


def test_C19_more_than_was_sent_is_booked_and_shown(two: Two) -> None:
    shipped(two)
    two.tell()
    do(two.provider, inbounds.receive, "TO-1-1", {"1-LAMP": 7})
    two.pull()
    assert two.shelves() == ((7, 0, 0), (7, 0, 0)) and state(two.client, "TO-1") == ("closed", 5, 5, 7)
    assert books.shelf(two.client, "LAMP") == (15, 0, 0) and two.findings() == []


def test_units_that_the_books_do_not_find_at_the_source_arrive_all_the_same(two: Two) -> None:
    do(two.client, inbounds.transfer, "Main", DEPOT, {"LAMP": 5})
    two.tell()
    do(two.client, stock.book_count, "LAMP", "Main", 1)
    do(two.provider, inbounds.receive, "TO-1-1", {"1-LAMP": 3})
    two.pull()
    assert two.shelves() == ((3, 0, 0), (3, 0, 0)) and books.shelf(two.client, "LAMP") == (0, 0, 0)
    books.receive(two.client, "LAMP", 9)
    for stage in (inbounds.allocate, inbounds.pick, inbounds.ship):
        do(two.client, stage, "TO-1")
    do(two.provider, inbounds.receive, "TO-1-1")
    two.pull()
    assert two.shelves() == ((5, 0, 0), (5, 0, 0)) and two.findings() == []


def test_a_cancellation_is_taken_before_anything_came(two: Two) -> None:
    do(two.client, inbounds.transfer, "Main", DEPOT, {"LAMP": 5})
    two.tell()
    do(two.client, inbounds.cancel, "TO-1")
    two.tell()
    assert state(two.provider, "TO-1-1")[0] == "cancelled"
    with pytest.raises(Refused, match="cancelled"):
        do(two.provider, inbounds.receive, "TO-1-1")


@pytest.mark.parametrize("first", ["tell", "pull"])
def test_a_cancellation_that_came_too_late_puts_the_inbound_back(two: Two, first: str) -> None:
    do(two.client, inbounds.transfer, "Main", DEPOT, {"LAMP": 5})
    two.tell()
    do(two.provider, inbounds.receive, "TO-1-1", {"1-LAMP": 2})
    do(two.client, inbounds.cancel, "TO-1")
    getattr(two, first)()
    two.tell()
    two.pull()
    assert state(two.client, "TO-1") == ("open", 5, 2, 2) and state(two.provider, "TO-1-1")[0] == "open"
    do(two.provider, inbounds.receive, "TO-1-1")
    two.pull()
    assert state(two.client, "TO-1")[0] == "closed" and books.owed(two.client) == set() and two.findings() == []


def test_a_refused_cancellation_is_said(two: Two) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5})
    two.tell()
    do(two.provider, inbounds.receive, "PO-1-1", {"1-LAMP": 2})
    do(two.client, inbounds.cancel, "PO-1")
    assert [answer.reason for answer in two.tell()] == ["received"]
    ((subject, text, _),) = notices(two, "inbound")
    assert subject == "PO-1" and "was not cancelled" in text and state(two.client, "PO-1")[0] == "open"


def test_an_answer_that_was_lost_is_asked_for_again_and_changes_nothing(two: Two) -> None:
    do(two.client, inbounds.order, DEPOT, {"LAMP": 5})
    said = two.said()
    two.take(said)
    do(two.provider, inbounds.receive, "PO-1-1")
    (answer,) = two.tell()
    assert answer.outcome == "taken" and state(two.provider, "PO-1-1")[0] == "closed"


def test_N6_an_order_of_the_providers_own_is_not_told(two: Two) -> None:
    do(two.provider, inbounds.order, "Main", {"1-LAMP": 3})
    do(two.provider, inbounds.receive, "PO-1")
    two.pull()
    assert books.ask(two.client, "SELECT * FROM inbounds") == [] and two.shelves() == ((3, 0, 0), (3, 0, 0))
    do(two.provider, stock.receive, "1-LAMP", "Main", 2)
    two.pull()
    assert two.shelves() == ((5, 0, 0), (5, 0, 0))


# ---- items for a client ----------------------------------------------------------------------------------


def test_N4_an_item_made_for_a_client_is_owed_to_it(two: Two) -> None:
    sku = do(two.provider, client_items.add, catalog.NewItem("FAN", name="A fan"), "Lamp Shop")
    assert sku == "1-FAN" and ("item", "1-FAN", "pending") in books.owed(two.provider)
    assert books.ask(two.provider, "SELECT sku, item FROM listings WHERE sku = 'FAN'") == [("FAN", "1-FAN")]
    assert books.ask(two.provider, "SELECT client FROM items WHERE sku = '1-FAN'") == [("Lamp Shop",)]
    with pytest.raises(Refused, match="has FAN already"):
        do(two.provider, client_items.add, catalog.NewItem("1-FAN"), "Lamp Shop")
    with pytest.raises(NotFound, match="no client"):
        do(two.provider, client_items.add, catalog.NewItem("FAN"), "Nobody")
